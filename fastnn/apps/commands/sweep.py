"""``fastnn sweep``."""

from __future__ import annotations

import argparse
import itertools

from fastnn.apps.commands.terminal import Terminal
from fastnn.apps.commands.train import (
    add_table_arguments,
    layers,
    measure_of,
    score_text,
    simple_models,
    warn_of_left_out,
)

SUMMARY = "train networks of several widths and rates on a CSV or Parquet file, many of each, and compare"
EXAMPLES = """\
examples:
  fastnn sweep data.csv --target price
  fastnn sweep data.csv --target price --hidden 8 32 32,32 --rate 0.001 0.01 --repeats 50
  fastnn sweep data.csv --target price --activation relu tanh --repeats 5 --folds 5

Settings are ranked by the loss on validation rows. The rows held out have no part in it: the scores on them are
what the best setting may be expected to do.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``fastnn sweep``."""
    add_table_arguments(parser)
    parser.add_argument(
        "--hidden",
        nargs="+",
        default=["8", "32", "32,32"],
        metavar="N,N,...",
        help="hidden layers (default: 8 32 32,32)",
    )
    parser.add_argument("--activation", nargs="+", default=["relu"], help="of the hidden layers (default: relu)")
    parser.add_argument(
        "--rate", nargs="+", type=float, default=[1e-3, 1e-2], help="Adam's learning rates (default: 0.001 0.01)"
    )
    parser.add_argument("--repeats", type=int, default=20, help="networks of each kind (default: %(default)s)")
    parser.add_argument("--folds", type=int, help="validate on so many parts of the rows in turn, not on one of them")


def run(args: argparse.Namespace, terminal: Terminal) -> None:
    """Train what can share a call together, and print a table of validation losses and scores, best first."""
    import numpy as np

    from fastnn.checks import check_integer
    from fastnn.tabular import preparing, reading, sweeping, training

    repeats, folds = check_integer("--repeats", args.repeats, 1), args.folds
    if folds is not None:
        check_integer("--folds", folds, 2)
    epochs, seed = check_integer("--epochs", args.epochs, 1), check_integer("--seed", args.seed, 0)
    threads = check_integer("--threads", args.threads, 1)
    grid = [
        training.Settings(hidden, activation, epochs, rate, seed, repeats, threads)
        for hidden, activation, rate in itertools.product(map(layers, args.hidden), args.activation, args.rate)
    ]
    with terminal.working(f"reading {args.data}"):
        frame = reading.read_table(args.data)
        table = preparing.prepare(frame, args.target, args.task, seed)
    progress = False if args.quiet else None
    compared = sweeping.compare(table, grid, folds, progress)
    warn_of_left_out(table, terminal)
    count, held = repeats * (folds or 1), len(table.held[1])
    terminal.say(f"{len(grid)} settings, {count} networks of each. {measure_of(table)} on {held:,} rows held out:\n")
    rows = []
    for one in compared:
        s = one.settings
        name = f"{'-'.join(map(str, s.hidden))} {s.activation}, rate {s.learning_rate:g}"
        sound = one.scores[np.isfinite(one.scores)]
        quantiles = np.quantile(sound, [0.5, 0.05, 0.95]) if len(sound) else [np.nan] * 3
        lost = f"{len(one.scores) - len(sound)}"
        rows.append([name, f"{one.loss:.4g}", f"{one.loss_spread:.2g}", *map(score_text, quantiles), lost])
    header = ["setting", "validation loss", "+-", "median", "5 %", "95 %", "diverged"]
    if all(row[-1] == "0" for row in rows):
        header, rows = header[:-1], [row[:-1] for row in rows]
    terminal.table(header, rows)
    scores = training.baselines(table, grid[0], progress)
    told = "; ".join(f"{title}: {score_text(scores[name])}" for name, title in simple_models(table).items())
    terminal.say(f"\nTo beat: {told}.")
