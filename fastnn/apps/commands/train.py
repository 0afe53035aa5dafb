"""``fastnn train``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from fastnn.apps.commands.files import check_output_file, save_figure
from fastnn.apps.commands.learning import read_and_prepare, saving
from fastnn.apps.commands.table_options import add_table_arguments, layers, settings_of
from fastnn.apps.commands.table_output import score_text, tell_scores
from fastnn.apps.commands.terminal import Terminal
from fastnn.training.interrupts import Interrupts

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fastnn.tabular.preparing import PreparedTable
    from fastnn.tabular.training import TrainingResult

SUMMARY = "train networks on a table: CSV, Excel, Parquet or Arrow"
EXAMPLES = """\
examples:
  fastnn train data.csv --target price --dry-run
  fastnn train data.csv --target price
  fastnn train data.parquet --target species --hidden 128 --output species.safetensors
  fastnn train data.csv --target price --loss ascending_pinball --quantiles 0.1 0.5 0.9
  fastnn train data.csv --target price --missing "<1.0" --decimal , --repeats 100
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``fastnn train``."""
    add_table_arguments(parser)
    parser.add_argument(
        "--hidden",
        default="64,64",
        metavar="N,N,...",
        help='widths of the hidden layers, "" for none (default: %(default)s)',
    )
    parser.add_argument("--activation", default="tanh", help="activation of the hidden layers (default: %(default)s)")
    parser.add_argument("--rate", type=float, default=3e-3, help="Adam's learning rate (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=8, help="networks to train and average (default: %(default)s)")
    parser.add_argument(
        "--output",
        metavar="MODEL",
        help="a .safetensors file (default: the data's name, or table for standard input, in this folder)",
    )
    parser.add_argument("--dry-run", action="store_true", help="show how the columns would be used, and train nothing")
    parser.add_argument("--no-figure", action="store_true", help="draw no figure")


def run(args: argparse.Namespace, terminal: Terminal) -> None:
    """Train, tell what was done and how good it is, and save the networks and a figure."""
    from fastnn.checks.extras import require_all
    from fastnn.ensembles.fit_many import WORTH_COMPILING
    from fastnn.tabular import scoring, training
    from fastnn.tabular.reading import extras_for
    from fastnn.tabular.saved import check_saveable

    if args.data != "-" and not Path(args.data).is_file():
        raise FileNotFoundError(f"{args.data} is not a file")
    name = f"{'table' if args.data == '-' else _stem(args.data)}.safetensors" if args.output is None else args.output
    output = Path(name)
    if output.suffix != ".safetensors":
        raise ValueError(f"--output must end in .safetensors; got {name!r}")
    figure = None if args.no_figure else output.with_suffix(".png")
    for path in (output, figure):
        check_output_file(path)
    settings = settings_of(args, layers(args.hidden), args.activation, args.rate)
    require_all(extras_for(args.data) | ({} if args.dry_run else {"sklearn": "data", "safetensors": "io"}))
    table = read_and_prepare(args, terminal)
    check_saveable(table.columns, table.left_out, table.target)
    learned = training.learned_by(table, settings)
    training.row_weights(learned, settings)  # refuses weights for classes where there are none
    if args.dry_run:
        return
    if settings.repeats >= WORTH_COMPILING:
        several = f"{settings.repeats} networks need kernels made for their shape"
        terminal.say(f"{several}, which are compiled first unless an earlier run has done so.")
    baselines = scoring.baselines(learned)
    with saving(output, settings.repeats, terminal) as save:
        with Interrupts() as interrupts:  # what is finished is saved and told
            with terminal.working("training; new kernels are compiled first, once"):
                outcome = training.train(table, settings, baselines, False)
            save(outcome)
            _tell_outcome(outcome, table, terminal)
            terminal.say(f"\nModel: {output}")
        if interrupts.pending or len(outcome.many) < settings.repeats:
            raise KeyboardInterrupt
        if figure is not None:
            _draw(outcome, table, figure, terminal)


def _stem(path: str) -> str:
    """A file's name without its suffixes."""
    name = Path(path)
    return Path(name.stem).stem if name.suffix in (".gz", ".zst") else name.stem


def _tell_outcome(outcome: TrainingResult, table: PreparedTable, terminal: Terminal) -> None:
    import numpy as np

    count, epochs = len(outcome.many), outcome.many.records.epochs
    several = f"{count} of these, whose mean is the prediction" if count > 1 else "One of these"
    terminal.say(f"\n{outcome.model.net!r}")
    least, most = epochs.min(), epochs.max()
    long = f"{least} to {most} epochs" if most > least else f"{most} epoch{'s' if most > 1 else ''}"
    terminal.say(f"{several}; trained for {long}.\n\nOn the held-out rows:\n")
    tell_scores("the network" + "s" * (count > 1), outcome.scores, table, terminal)
    if count > 1:
        sound = outcome.spread[np.isfinite(outcome.spread)]
        lost = len(outcome.spread) - len(sound)
        if len(sound):
            low, middle, high = map(score_text, np.quantile(sound, [0.05, 0.5, 0.95]))
            measure = next(iter(outcome.scores["network"]))
            terminal.say(
                f"\nEach on its own: {measure} {middle} at the median, between {low} and {high} for nine in ten"
                + (f", not counting {lost} that diverged" if lost else "")
                + "."
            )


def _draw(outcome: TrainingResult, table: PreparedTable, path: Path, terminal: Terminal) -> None:
    try:
        with terminal.working("the figure"):
            save_figure(_figure(outcome, table), path)
        terminal.say(f"Figure: {path}")
    except ImportError as error:
        terminal.say(f"Figure left out: {error}.")


def _figure(outcome: TrainingResult, table: PreparedTable) -> Figure:
    import numpy as np

    from fastnn import plots
    from fastnn.checks.extras import require
    from fastnn.plots.arguments import literal

    figure = require("matplotlib.figure", extra="plot").Figure(figsize=(12, 5), layout="constrained")
    axes = figure.subplots(1, 2)
    target, measure = table.target, next(iter(outcome.scores["network"]))
    if target.classes is None:
        plots.predicted_against_true(table.true(), outcome.predicted, axes[0], name=literal(target.name))
    else:
        plots.confusion(table.true(), outcome.predicted, axes[0], classes=target.classes)
    linear = outcome.scores["linear"][measure]
    if len(outcome.many) > 1:
        marked = {"linear model": linear} if np.isfinite(linear) else {}
        plots.spread(outcome.spread, axes[1], unit=measure, marked=marked)
    else:
        records = outcome.many.records
        plots.loss_curves({"validation": records.validation[0][: records.epochs[0]]}, axes[1])
    return figure
