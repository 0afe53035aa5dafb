"""What ``fastnn train`` and ``fastnn sweep`` do alike: read the table, and keep what is finished when Ctrl-C comes."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from fastnn.apps.commands.table_options import reading_of
from fastnn.apps.commands.table_output import tell_table
from fastnn.apps.commands.terminal import Terminal
from fastnn.kernels.jit.signals import InterruptsHeld

if TYPE_CHECKING:
    from fastnn.tabular.preparing import PreparedTable
    from fastnn.tabular.training import TrainingResult


def read_and_prepare(args: argparse.Namespace, terminal: Terminal) -> PreparedTable:
    """Read a table to learn from, encode it, and say how both were done."""
    from fastnn.checks import check_integer

    with InterruptsHeld():  # extension modules lose what comes while they are imported
        import numpy.random  # noqa: F401 - which NumPy would import when it is first used

        from fastnn.tabular import preparing, reading

    with terminal.working(f"reading {args.data}"):
        table = reading.read_table(args.data, [args.target], reading_of(args))
        if not table.frame.height:
            raise ValueError(f"{args.data} has a header and no rows")
        seed = check_integer("--seed", args.seed, 0)
        prepared = preparing.prepare(table, args.target, args.task, seed, args.use, args.leave_out)
    if table.guesses:
        terminal.say(f"Read as: {table.guesses}.")
    tell_table(prepared, table.frame.height, terminal)
    return prepared


@contextmanager
def saving(path: Path, repeats: int, terminal: Terminal) -> Iterator[Callable[[TrainingResult], None]]:
    """A context that yields a function to save a result; after Ctrl-C it says how many of `repeats` networks are saved.

    Raises
    ------
    KeyboardInterrupt
        If it is raised within.
    """
    count = None

    def save(outcome: TrainingResult) -> None:
        nonlocal count
        with InterruptsHeld():
            outcome.model.save(path)
            count = len(outcome.many)

    try:
        yield save
    except KeyboardInterrupt:
        if count is not None:
            terminal.say(f"Interrupted: {count} of {repeats} networks were finished, and are saved.")
        raise
