"""``fastnn info``."""

from __future__ import annotations

import argparse

from fastnn.apps.commands.terminal import Terminal

SUMMARY = "tell what a saved network is, and what it was trained on"
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
    from fastnn.tabular import model

    terminal.say(f"{fastnn.load(args.model)!r}")
    if not args.model.endswith(".safetensors") or not model.is_table_model(args.model):
        return
    loaded = model.load(args.model)
    target = loaded.target
    what = "a number" if target.classes is None else f"one of {', '.join(target.classes)}"
    terminal.say(f"\nPredicts {target.name!r}, {what}, from {len(loaded.columns)} columns:\n")
    rows = []
    for column in loaded.columns:
        of = f"{column.mean:.4g} +- {column.scale:.4g}" if column.levels is None else ", ".join(column.levels[:6])
        rows.append(
            [column.name, "number" if column.levels is None else "category", of, "yes" if column.missing else ""]
        )
    terminal.table(["column", "kind", "values", "may be missing"], rows)
    for name, score in loaded.scores.items():
        terminal.say(f"\n{name} on the rows held out: {score:.3f}")
