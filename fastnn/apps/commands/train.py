"""``fastnn train``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from fastnn.apps.commands.terminal import Terminal

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fastnn.tabular.preparing import Prepared
    from fastnn.tabular.training import Outcome, Settings

SUMMARY = "train a network on a CSV or Parquet file"
EXAMPLES = """\
examples:
  fastnn train data.csv --target price
  fastnn train data.parquet --target species --hidden 64,64 --output species.safetensors
  fastnn train data.csv --target price --repeats 100
"""


def add_table_arguments(parser: argparse.ArgumentParser) -> None:
    """What every command that learns from a table takes."""
    parser.add_argument("data", metavar="FILE", help="a CSV file with a header, or a .parquet file")
    parser.add_argument("--target", required=True, metavar="COLUMN", help="the column to predict")
    parser.add_argument("--task", choices=("regression", "classification"), help="by default told by the target")
    parser.add_argument("--epochs", type=int, default=200, help="at most (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the split and the first weights (default: 0)")
    parser.add_argument("--threads", type=int, default=1, help="share the work; nothing else changes (default: 1)")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``fastnn train``."""
    add_table_arguments(parser)
    parser.add_argument("--hidden", default="32,32", metavar="N,N,...", help="hidden layers (default: %(default)s)")
    parser.add_argument("--activation", default="relu", help="of the hidden layers (default: %(default)s)")
    parser.add_argument("--rate", type=float, default=3e-3, help="Adam's learning rate (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=1, help="train so many in one call, and keep the best")
    parser.add_argument("--output", metavar="MODEL", help="a .safetensors file (default: the data's name)")
    parser.add_argument("--no-figure", action="store_true", help="draw none")


def run(args: argparse.Namespace, terminal: Terminal) -> None:
    """Train, tell what was done and how good it is, and save the network and a figure."""
    from fastnn.checks.extras import require
    from fastnn.tabular import preparing, reading, training

    output = Path(args.output or Path(args.data).with_suffix(".safetensors").name)
    if output.suffix != ".safetensors":
        raise ValueError(f"--output must end in .safetensors; got {str(output)!r}")
    if not output.absolute().parent.is_dir():
        raise ValueError(f"there is no folder for {output}")
    require("safetensors.numpy", extra="io")  # better known before the training than after
    settings = _settings(args)
    with terminal.working(f"reading {args.data}"):
        frame = reading.read_table(args.data)
        table = preparing.prepare(frame, args.target, args.task, settings.seed)
    _tell_table(table, frame.height, terminal)
    outcome = training.train(table, settings, progress=False if args.quiet else None)
    _tell_outcome(outcome, table, terminal)
    outcome.model.save(str(output))
    terminal.say(f"\nModel: {output}")
    if not args.no_figure:
        picture = output.with_suffix(".png")
        try:
            with terminal.working("the figure"):
                _figure(outcome, table).savefig(picture, dpi=110)
            terminal.say(f"Figure: {picture}")
        except ImportError as error:
            terminal.say(f"Figure left out: {error}.")


def _settings(args: argparse.Namespace) -> Settings:
    from fastnn.checks import check_integer
    from fastnn.tabular.training import Settings

    return Settings(
        hidden=layers(args.hidden),
        activation=args.activation,
        epochs=check_integer("--epochs", args.epochs, 1),
        learning_rate=args.rate,
        seed=check_integer("--seed", args.seed, 0),
        repeats=check_integer("--repeats", args.repeats, 1),
        threads=check_integer("--threads", args.threads, 1),
    )


def layers(text: str) -> tuple[int, ...]:
    """Widths of hidden layers, as in ``32,32``.

    Raises
    ------
    ValueError
        If they are no positive integers.
    """
    try:
        widths = tuple(int(width) for width in text.split(","))
    except ValueError:
        widths = (0,)
    if min(widths) < 1:
        raise ValueError(f"--hidden must be positive integers, as in 32,32; got {text!r}")
    return widths


def measure_of(table: Prepared) -> str:
    """What scores are."""
    return "r2" if table.target.classes is None else "accuracy"


def score_text(score: float) -> str:
    """A score in three places; without them where it is far off."""
    return f"{score:.3g}" if abs(score) >= 1000 else f"{score:.3f}".replace("-0.000", "0.000")


def simple_models(table: Prepared) -> dict[str, str]:
    """What a network has to beat, by the names of their scores."""
    constant = "the mean" if table.target.classes is None else "the most frequent class"
    return {"linear": "a linear model", "constant": constant}


def warn_of_left_out(table: Prepared, terminal: Terminal) -> None:
    """Name the columns and count the rows that cannot be used."""
    if table.dropped:
        terminal.say(f"{table.dropped:,} rows without {table.target.name!r} are left out.")
    reasons: dict[str, list[str]] = {}
    for name, reason in table.left_out.items():
        reasons.setdefault(reason, []).append(repr(name))
    for reason, names in reasons.items():
        some = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        subject = f"Column {some} is" if len(names) == 1 else f"Columns {some} are"
        terminal.say(f"{subject} left out: {reason}.")


def _tell_table(table: Prepared, rows: int, terminal: Terminal) -> None:
    target, columns = table.target, table.columns
    if target.classes is None:
        terminal.say(
            f"Regression: {target.name!r} is a number, {target.mean:.4g} on average, give or take {target.scale:.4g}."
        )
    else:
        names = ", ".join(target.classes[:10]) + (", ..." if len(target.classes) > 10 else "")
        terminal.say(f"Classification: {target.name!r} has {len(target.classes)} classes: {names}.")
    terminal.say(f"{rows:,} rows: " + ", ".join(f"{count:,} {what}" for what, count in table.rows.items()) + ".")
    categories = sum(column.levels is not None for column in columns)
    terminal.say(
        f"{len(columns)} columns: {len(columns) - categories} of numbers, standardised;"
        f" {categories} of categories, one input for each category."
    )
    missing = [column.name for column in columns if column.missing]
    if missing:
        terminal.say(
            f"Missing values: a number counts as the mean, and one more input tells of it: {', '.join(missing)}."
        )
    warn_of_left_out(table, terminal)


def _tell_outcome(outcome: Outcome, table: Prepared, terminal: Terminal) -> None:
    import numpy as np

    terminal.say(f"\n{outcome.model.net!r}")
    if outcome.history is not None:
        terminal.say(f"{outcome.history!r}")
    measure = measure_of(table)
    terminal.say(f"\n{measure} on the rows held out:\n")
    titles = {"network": "the network", **simple_models(table)}
    terminal.table(["", measure], [[title, score_text(outcome.scores[name])] for name, title in titles.items()])
    if len(outcome.spread) > 1:
        sound = outcome.spread[np.isfinite(outcome.spread)]
        low, middle, high = map(score_text, np.quantile(sound, [0.05, 0.5, 0.95]))
        lost = len(outcome.spread) - len(sound)
        terminal.say(
            f"\n{len(outcome.spread)} networks from different starts: {middle} in the middle,"
            f" nine in ten between {low} and {high}"
            + (f", {lost} diverged" if lost else "")
            + "; the best on the validation rows is kept."
        )


def _figure(outcome: Outcome, table: Prepared) -> Figure:
    from fastnn import plots
    from fastnn.checks.extras import require

    figure = require("matplotlib.figure", extra="plot").Figure(figsize=(12, 5), layout="constrained")
    axes = figure.subplots(1, 2)
    target = table.target
    if target.classes is None:
        plots.predicted_against_true(table.true(), outcome.predicted, axes[0], name=target.name)
    else:
        plots.confusion(table.true(), outcome.predicted, axes[0], classes=target.classes)
    if outcome.history is not None:
        losses = {"training, with the penalty": outcome.history.loss}
        if outcome.history.validation_loss is not None:
            losses["validation"] = outcome.history.validation_loss
        plots.loss_curves(losses, axes[1])
    else:
        plots.spread(outcome.spread, axes[1], unit=measure_of(table), marked={"linear model": outcome.scores["linear"]})
    return figure
