"""``fastnn sweep``."""

from __future__ import annotations

import argparse
import itertools
import math
import os
import shlex
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from fastnn.apps.commands.files import check_output_file
from fastnn.apps.commands.learning import read_and_prepare, saving
from fastnn.apps.commands.table_options import add_table_arguments, layers, settings_of
from fastnn.apps.commands.table_output import baseline_titles, score_text, tell_scores
from fastnn.apps.commands.terminal import Terminal
from fastnn.training.interrupts import Interrupts

if TYPE_CHECKING:
    from fastnn.tabular.preparing import PreparedTable
    from fastnn.tabular.sweeping import Compared
    from fastnn.tabular.training import TableSettings

SUMMARY = "compare widths and learning rates on a table, with many networks for each"
EXAMPLES = """\
examples:
  fastnn sweep data.csv --target price
  fastnn sweep data.csv --target price --output best.safetensors
  fastnn sweep data.csv --target price --hidden 8 32 32,32 --rate 0.001 0.01 --repeats 50
  fastnn sweep data.csv --target price --activation relu tanh --repeats 5 --folds 5

Settings are ranked by the loss on validation rows. The held-out rows play no part in it: the scores on them
show what can be expected of the best setting.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``fastnn sweep``."""
    add_table_arguments(parser)
    parser.add_argument(
        "--hidden",
        nargs="+",
        default=["8", "32", "32,32"],
        metavar="N,N,...",
        help="widths of the hidden layers (default: 8 32 32,32)",
    )
    parser.add_argument(
        "--activation", nargs="+", default=["tanh"], help="activations of the hidden layers (default: tanh)"
    )
    parser.add_argument(
        "--rate", nargs="+", type=float, default=[1e-3, 1e-2], help="Adam's learning rates (default: 0.001 0.01)"
    )
    parser.add_argument(
        "--repeats", type=int, default=20, help="networks for each setting, or for each fold (default: %(default)s)"
    )
    parser.add_argument(
        "--output", "--save", metavar="MODEL", help="train the best setting as `fastnn train` does, and save it"
    )
    parser.add_argument(
        "--folds",
        type=int,
        help="parts of the rows for cross-validation (default: none; an eighth validates all networks)",
    )


def run(args: argparse.Namespace, terminal: Terminal) -> None:
    """Train what can share a call together, and print a table of validation losses and scores, best first."""
    from fastnn.checks import check_integer, counted
    from fastnn.checks.extras import require_all
    from fastnn.tabular import scoring, sweeping, training
    from fastnn.tabular.reading import extras_for
    from fastnn.tabular.saved import check_saveable

    folds = None if args.folds is None else check_integer("--folds", args.folds, 2)
    if args.output is not None and Path(args.output).suffix != ".safetensors":
        raise ValueError(f"--output must end in .safetensors; got {args.output!r}")
    check_output_file(args.output)
    grid = [
        settings_of(args, hidden, activation, rate)
        for hidden, activation, rate in itertools.product(map(layers, args.hidden), args.activation, args.rate)
    ]
    require_all(extras_for(args.data) | {"sklearn": "data"} | ({} if args.output is None else {"safetensors": "io"}))
    table = read_and_prepare(args, terminal)
    if folds is not None and folds > (most := len(table.fold)):
        raise ValueError(f"--folds must be at most the number of rows for training, {most:,}; got {folds:,}")
    if args.output is not None:
        check_saveable(table.columns, table.left_out, table.target)
    scores = scoring.baselines(table)
    with Interrupts() as interrupts:  # what is finished is told
        with terminal.working("training; new kernels are compiled first, once"):
            compared = sweeping.compare(table, grid, folds, False)
        count = args.repeats * (folds or 1)
        trained = f"{counted(len(grid), 'setting')}, {counted(count, 'network')} of each"
        _tell_comparison(trained, compared, scores, table, terminal)
        done, total = sum(len(one.scores) for one in compared), len(grid) * count
        if done < total or interrupts.pending:
            terminal.say(f"Interrupted: {done} of {total} networks were finished, and are shown here.")
            raise KeyboardInterrupt
    if not math.isfinite(compared[0].loss):
        raise ValueError("all networks diverged; a smaller --rate may help")
    best = compared[0].settings
    terminal.say(f"To train the best one: {train_command(args, best)}")
    if args.output is not None:
        baselines = scoring.baselines(training.learned_by(table, best))
        with saving(Path(args.output), best.repeats, terminal) as save:
            with Interrupts() as interrupts:  # what is finished is saved and told
                outcome = training.train(table, best, baselines, False if args.quiet else None)
                save(outcome)
                terminal.say()
                tell_scores("the best", outcome.scores, table, terminal)
                terminal.say(f"\nModel: {args.output}")
            if interrupts.pending or len(outcome.many) < best.repeats:
                raise KeyboardInterrupt


def _tell_comparison(
    trained: str,
    compared: list[Compared],
    scores: dict[str, dict[str, float]],
    table: PreparedTable,
    terminal: Terminal,
) -> None:
    """A table of the settings, best first."""
    import numpy as np

    measure = next(iter(scores["linear"]))
    terminal.say(f"\n{trained}. {measure} on {len(table.held_out.y):,} rows held out:\n")
    rows = []
    for one in compared:
        s = one.settings
        name = f"{'-'.join(map(str, s.hidden)) or 'linear'} {s.activation}, rate {s.learning_rate:g}"
        sound = one.scores[np.isfinite(one.scores)]
        quantiles = np.quantile(sound, [0.5, 0.05, 0.95]) if len(sound) else [np.nan] * 3
        lost = f"{len(one.scores) - len(sound)}"
        rows.append([name, f"{one.loss:.4g}", f"{one.loss_spread:.2g}", *map(score_text, quantiles), lost])
    header = ["setting", "valid. loss", "std. dev.", "median", "5% quantile", "95% quantile", "diverged"]
    if all(row[-1] == "0" for row in rows):
        header, rows = header[:-1], [row[:-1] for row in rows]
    terminal.table(header, rows)
    told = "; ".join(f"{title}: {score_text(scores[name][measure])}" for name, title in baseline_titles(table).items())
    terminal.say(f"\nBaselines: {told}.")


def train_command(args: argparse.Namespace, best: TableSettings) -> str:
    """The command that trains a setting of a sweep alone."""
    data = args.data if args.data == "-" or not args.data.startswith("-") else os.path.join(os.curdir, args.data)
    words = ["fastnn", "train", data, *_option("--target", [args.target])]
    words += ["--hidden", ",".join(map(str, best.hidden))]
    words += ["--activation", best.activation, "--rate", str(best.learning_rate), "--repeats", str(best.repeats)]
    shared = (
        "task", "epochs", "patience", "batch_size", "l2", "class_weight", "seed", "separator", "decimal", "thousands",
        "encoding", "comment", "sheet", "loss", "quantiles", "use", "leave_out", "missing",
    )  # fmt: skip
    for name in shared:
        value = getattr(args, name)
        if value != args.parser.get_default(name):
            words += _option(f"--{name.replace('_', '-')}", [*map(str, value if isinstance(value, list) else [value])])
    words += ["--no-header"] * args.no_header
    return subprocess.list2cmdline(words) if os.name == "nt" else shlex.join(words)


def _option(name: str, values: list[str]) -> list[str]:
    """The words of an option, whose values may begin as options do."""
    return [f"{name}={text}" for text in values] if any(text[:1] == "-" for text in values) else [name, *values]
