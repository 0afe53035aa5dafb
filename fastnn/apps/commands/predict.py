"""``fastnn predict``."""

from __future__ import annotations

import argparse
import sys

from fastnn.apps.commands.terminal import Terminal

SUMMARY = "predict the rows of a CSV or Parquet file with a model that `fastnn train` saved"
EXAMPLES = """\
examples:
  fastnn predict data.safetensors new.csv
  fastnn predict data.safetensors new.csv --output predicted.csv
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``fastnn predict``."""
    parser.add_argument("model", metavar="MODEL", help="what `fastnn train` saved")
    parser.add_argument("data", metavar="FILE", help="a table with the same columns; the target may be missing")
    parser.add_argument("--output", metavar="CSV", help="by default standard output")


def run(args: argparse.Namespace, terminal: Terminal) -> None:
    """Predict, and write a CSV of one row for each row of the table."""
    from fastnn.checks.extras import require
    from fastnn.tabular import model, reading

    polars = require("polars", extra="data")
    loaded = model.load(args.model)
    with terminal.working(f"reading {args.data}") as update:
        frame = reading.read_table(args.data)
        update(f"predicting {loaded.target.name}")
        values, probability, unseen = loaded.predict(frame)
    columns = {loaded.target.name: values}
    if probability is not None:
        columns["probability"] = probability
    for name, count in unseen.items() if not args.quiet else ():
        print(f"Column {name!r}: {count:,} values are of no category known from training.", file=sys.stderr)
    text = polars.DataFrame(columns).write_csv(args.output)
    if args.output is None:
        sys.stdout.write(text)
    else:
        terminal.say(f"{len(values):,} predictions: {args.output}")
