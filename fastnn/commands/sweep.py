"""``fastnn sweep``."""

from __future__ import annotations

import argparse
import itertools

from fastnn.commands.terminal import Terminal
from fastnn.commands.train import add_table_arguments, layers

SUMMARY = "train networks of several widths and rates on a CSV or Parquet file, many of each, and compare"
EXAMPLES = """\
examples:
  fastnn sweep data.csv --target price
  fastnn sweep data.csv --target price --hidden 8 32 32,32 --rate 0.001 0.01 --repeats 50

The scores are on the rows held out. Whoever chooses by them should judge the choice on other rows.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``fastnn sweep``."""
    add_table_arguments(parser)
    parser.add_argument("--hidden", nargs="+", default=["8", "32", "32,32"], metavar="N,N,...", help="hidden layers")
    parser.add_argument("--activation", nargs="+", default=["relu"], help="of the hidden layers (default: relu)")
    parser.add_argument("--rate", nargs="+", type=float, default=[1e-3, 1e-2], help="Adam's learning rates")
    parser.add_argument("--repeats", type=int, default=20, help="networks of each kind (default: %(default)s)")


def run(args: argparse.Namespace, terminal: Terminal) -> None:
    """Train a setting after the other, each setting's networks in one call, and print a table of their scores."""
    import numpy as np

    from fastnn.checks import check_integer
    from fastnn.tabular import reading, training

    repeats = check_integer("--repeats", args.repeats, 2)
    epochs, seed = check_integer("--epochs", args.epochs, 1), check_integer("--seed", args.seed, 0)
    grid = list(itertools.product([layers(text) for text in args.hidden], args.activation, args.rate))
    with terminal.working(f"reading {args.data}"):
        frame = reading.read_table(args.data)
    rows, outcomes = [], []
    with terminal.working("") as update:
        for k, (hidden, activation, rate) in enumerate(grid, start=1):
            name = f"{'-'.join(map(str, hidden))} {activation}, rate {rate:g}"
            update(f"{name} ({k} of {len(grid)})")
            settings = training.Settings(hidden, activation, epochs, rate, seed, repeats, args.task)
            outcomes.append(training.train(frame, args.target, settings, progress=False))
            low, middle, high = np.nanquantile(outcomes[-1].spread, [0.05, 0.5, 0.95])
            rows.append([name, f"{middle:.3f}", f"{low:.3f}", f"{high:.3f}"])
    outcome = outcomes[-1]
    measure = "r2" if outcome.model.target.classes is None else "accuracy"
    terminal.say(f"{measure} on {outcome.rows['held out']:,} rows held out, of {repeats} networks each:\n")
    terminal.table(["setting", "median", "5 %", "95 %"], rows)
    terminal.say(f"\nA linear model: {outcome.scores['linear']:.3f}.")
