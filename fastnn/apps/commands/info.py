"""``fastnn info``."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Sequence

from fastnn.apps.commands.files import known_as
from fastnn.apps.commands.table_output import WIDTH, measure_text, number_text
from fastnn.apps.commands.terminal import Terminal
from fastnn.checks import counted, listed

SUMMARY = "show what a saved network is, and what it was trained on"
EXAMPLES = """\
examples:
  fastnn info data.safetensors
  fastnn info network.npz
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``fastnn info``."""
    parser.add_argument("model", metavar="MODEL", help="a .safetensors or .npz file")


def run(args: argparse.Namespace, terminal: Terminal) -> None:
    """Read the file, and print it in words."""
    import fastnn
    from fastnn.tabular.model import TableModel
    from fastnn.tabular.saved import is_table_model

    with known_as("MODEL"):
        terminal.say(f"{fastnn.load(args.model)!r}")
    if not is_table_model(args.model):
        return
    with known_as("MODEL"):
        loaded = TableModel.load(args.model)
    target = loaded.target
    if len(loaded.networks) > 1:
        terminal.say(f"and {len(loaded.networks) - 1} more of its kind; their mean is the prediction.")
    what = "a number" if target.classes is None else f"one of {listed(target.classes, 10)}"
    terminal.say(f"\nPredicts {target.name!r}, {what}, from {counted(len(loaded.columns), 'column')}:\n")
    rows = []
    for column in loaded.columns:
        of = (
            f"mean {number_text(column.mean)}, std. dev. {number_text(column.scale)}"
            if column.levels is None
            else _some(column.levels)
        )
        kind = "category" if column.levels is not None else column.kind
        rows.append([column.name, kind, of, "yes" if column.missing else ""])
    terminal.table(["column", "kind", "values", "may be missing"], rows)
    if loaded.left_out:
        terminal.say("\nLeft out:\n")
        for name, reason in loaded.left_out.items():
            terminal.say(f"  {name}: {reason}")
    if loaded.about:
        about = "; ".join(f"{name}: {value!s}" for name, value in loaded.about.items())
        terminal.say("\n" + textwrap.fill(f"Training: {about}.", WIDTH))
    terminal.say()
    for name, score in loaded.scores.items():
        terminal.say(f"{name} on the held-out rows: {measure_text(name, score)}")


#: Characters for the categories of a column.
_ROOM = 40


def _some(levels: Sequence[str]) -> str:
    """The first categories, as many as there is room for, and how many more there are."""
    texts = (listed(levels, most) for most in range(6, 0, -1))
    return next((text for text in texts if len(text) <= _ROOM), counted(len(levels), "category", "categories"))
