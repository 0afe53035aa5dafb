"""``fastnn predict``."""

from __future__ import annotations

import argparse
import sys
from io import BytesIO
from pathlib import Path

from fastnn.apps.commands.folders import check_folder
from fastnn.apps.commands.table_options import add_reading_arguments, reading_of
from fastnn.apps.commands.terminal import Terminal, plain
from fastnn.kernels.jit.held import InterruptsHeld
from fastnn.models.writing import write_whole

SUMMARY = "predict the target of each row of a table with a model that `fastnn train` saved"
EXAMPLES = """\
examples:
  fastnn predict data.safetensors new.csv
  fastnn predict data.safetensors new.csv --keep id --output predicted.csv
  fastnn predict data.safetensors new.parquet --keep all --output predicted.parquet
"""
NOT_IN_CSV = ("Array", "Binary", "Duration", "List", "Object", "Struct")  # polars' types


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``fastnn predict``."""
    parser.add_argument("model", metavar="MODEL", help="what `fastnn train` saved")
    parser.add_argument("data", metavar="FILE", help="a table with the same columns; the target may be missing")
    parser.add_argument("--keep", nargs="+", default=[], metavar="COLUMN", help="columns to copy to the output, or all")
    parser.add_argument("--output", metavar="FILE", help="CSV, or .parquet; by default CSV on standard output")
    add_reading_arguments(parser)


def run(args: argparse.Namespace, terminal: Terminal) -> None:
    """Predict, and write one row for each row of the table."""
    import dataclasses

    from fastnn.checks import counted
    from fastnn.checks.extras import require_all
    from fastnn.tabular import frames, model, reading

    check_folder(args.output)
    if args.output is not None and Path(args.output).suffix.lower() not in (".csv", ".parquet"):
        raise ValueError(f"--output must end in .csv or .parquet; got {args.output!r}")
    require_all(reading.extras_for(args.data) | {"safetensors": "io"})
    loaded = model.TableModel.load(args.model)
    how = reading_of(args)
    how = dataclasses.replace(how, missing=(*how.missing, *loaded.numerals.missing))
    with terminal.working(f"reading {args.data}") as update:
        names = [column.name for column in loaded.columns]
        table = reading.read_table(args.data, names, how, loaded.numerals)
        update(f"predicting {loaded.target.name}")
        predicted, remarks = loaded.predict_with_remarks(table)
    kept = table.frame.columns if args.keep == ["all"] else list(dict.fromkeys(args.keep))
    absent = [name for name in kept if name not in table.frame.columns]
    if absent:
        raise ValueError(f"--keep must name columns of the table; it has no {absent[0]!r}")
    to_csv = args.output is None or args.output.lower().endswith(".csv")
    for name in kept if to_csv else ():
        if (kind := str(table.frame[name].dtype.base_type())) in NOT_IN_CSV:
            raise ValueError(
                f"--keep must name columns that CSV can hold, or --output a .parquet file; {name!r} is {kind}"
            )
    if kept:
        taken = predicted.columns
        names = frames.distinct([*taken, *(f"{name} (given)" if name in taken else name for name in kept)])
        predicted = table.frame.select(kept).rename(dict(zip(kept, names[len(taken) :], strict=True))).hstack(predicted)
    if table.guesses and not args.quiet:
        remarks = [f"Read as: {table.guesses}.", *remarks]
    for sentence in remarks if not args.quiet else ():
        print(plain(sentence), file=sys.stderr)
    if args.output is None:
        try:
            sys.stdout.write(predicted.write_csv())
        except UnicodeEncodeError as error:
            letter = ascii(error.object[error.start])
            raise ValueError(
                f"standard output is in {error.encoding}, which has no {letter}; --output writes a file in UTF-8"
            ) from error
        return
    written = BytesIO()
    if to_csv:
        predicted.write_csv(written)
    else:
        predicted.write_parquet(written)
    with InterruptsHeld():
        write_whole(Path(args.output), written.getvalue())
        terminal.say(f"{counted(predicted.height, 'prediction')}: {args.output}")
