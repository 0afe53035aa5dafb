"""Whenever Ctrl-C comes after a model has been written, the last line says so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from fastnn.apps.commands.terminal import Terminal
from fastnn.kernels.jit.held import InterruptsHeld

if TYPE_CHECKING:
    from fastnn.tabular.training import TrainingResult


@contextmanager
def saving(path: Path, repeats: int, terminal: Terminal) -> Iterator[Callable[[TrainingResult], None]]:
    """A context that yields what saves a result; after Ctrl-C it says how many networks of `repeats` are in the file.

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
