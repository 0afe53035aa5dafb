"""``fastnn predict``."""

from __future__ import annotations

import argparse
import os
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

from fastnn.apps.commands.files import check_distinct, check_output_file, known_as
from fastnn.apps.commands.table_options import SEVERAL, add_reading_arguments, reading_of
from fastnn.apps.commands.terminal import Terminal, plain
from fastnn.kernels.jit.signals import InterruptsHeld
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
    parser.add_argument(
        "data", metavar="FILE", help="a table with the same columns, with the target or not; - for standard input"
    )
    parser.add_argument("--keep", **SEVERAL, metavar="COLUMN", help="columns to copy to the output, or all")
    parser.add_argument("--output", metavar="FILE", help="CSV, or .parquet; by default CSV on standard output")
    add_reading_arguments(parser)


def run(args: argparse.Namespace, terminal: Terminal) -> None:
    """Predict, and write one row for each row of the table."""
    import dataclasses

    from fastnn.checks.extras import require_all
    from fastnn.tabular import model, reading

    check_output_file(args.output)
    check_distinct(FILE=args.data, output=args.output)
    if args.output is not None and Path(args.output).suffix.lower() not in (".csv", ".parquet"):
        raise ValueError(f"--output must end in .csv or .parquet; got {args.output!r}")
    if args.output is None and sys.__stdout__ is None and getattr(sys.stdout, "name", None) == os.devnull:
        raise ValueError("--output must name a file where standard output is closed; got none")
    require_all(reading.extras_for(args.data) | {"safetensors": "io"})
    with known_as("MODEL"):
        loaded = model.TableModel.load(args.model)
    how = reading_of(args)
    how = dataclasses.replace(how, missing=(*how.missing, *loaded.numerals.missing))
    with terminal.working(f"reading {args.data}") as update:
        names = [column.name for column in loaded.columns]
        table = reading.read_table(args.data, names, how, loaded.numerals)
        update(f"predicting {loaded.target.name}")
        predicted, remarks = loaded.predict_with_remarks(table)
    written = _beside_kept(predicted, table.frame, args)
    if table.guesses and not args.quiet:
        remarks = [f"Read as: {table.guesses}.", *remarks]
    for sentence in remarks if not args.quiet else ():
        print(plain(sentence), file=sys.stderr)
    if args.output is None:
        _print_csv(written)
    else:
        _write_file(written, args.output, terminal)


def _to_csv(output: str | None) -> bool:
    return output is None or output.lower().endswith(".csv")


def _beside_kept(predicted: Any, frame: Any, args: argparse.Namespace) -> Any:
    """The predictions beside the columns of the table that ``--keep`` names, which must be there and fit the output."""
    from fastnn.tabular.frames import distinct

    kept = frame.columns if args.keep == ["all"] else list(dict.fromkeys(args.keep))
    absent = [name for name in kept if name not in frame.columns]
    if absent:
        raise ValueError(f"--keep must name columns of the table; it has no {absent[0]!r}")
    for name in kept if _to_csv(args.output) else ():
        if (kind := str(frame[name].dtype.base_type())) in NOT_IN_CSV:
            raise ValueError(
                f"--keep must name columns that CSV can hold, or --output a .parquet file; {name!r} is {kind}"
            )
    if not kept:
        return predicted
    taken = predicted.columns
    names = distinct([*taken, *(f"{name} (given)" if name in taken else name for name in kept)])[len(taken) :]
    return frame.select(kept).rename(dict(zip(kept, names, strict=True))).hstack(predicted)


def _print_csv(frame: Any) -> None:
    try:
        sys.stdout.write(frame.write_csv())
    except UnicodeEncodeError as error:
        letter = ascii(error.object[error.start])
        raise ValueError(
            f"standard output is in {error.encoding}, which has no {letter}; --output writes a file in UTF-8"
        ) from error


def _write_file(frame: Any, output: str, terminal: Terminal) -> None:
    from fastnn.checks import counted

    content = BytesIO()
    if _to_csv(output):
        frame.write_csv(content)
    else:
        frame.write_parquet(content)
    with InterruptsHeld():
        write_whole(Path(output), content.getvalue())
        terminal.say(f"{counted(frame.height, 'prediction')}: {output}")
