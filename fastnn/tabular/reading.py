"""Read a file of whichever kind: CSV, a spreadsheet, or Parquet and Arrow, which polars reads."""

from __future__ import annotations

import gzip
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastnn.checks.extras import require
from fastnn.tabular import spreadsheets
from fastnn.tabular.csv_files import SEPARATORS, read_csv
from fastnn.tabular.numerals import Numerals, guess
from fastnn.tabular.reading_settings import Reading

PIECE = 2**16  # bytes that are unpacked at once
_PARQUET = (".parquet", ".pq")
_ARROW = (".arrow", ".ipc", ".feather")


@dataclass(frozen=True)
class Table:
    """A file that was read.

    Attributes
    ----------
    frame : polars.DataFrame
        Its columns; those of a CSV file hold its texts, without surrounding blanks.
    numerals : Numerals
        How numbers are written in it.
    guesses : str
        What was guessed about it, in words.
    """

    frame: Any
    numerals: Numerals = field(default_factory=Numerals)
    guesses: str = ""


def extras_for(path: str) -> dict[str, str]:
    """What reading this file needs: packages, and the extras that install them."""
    suffix = Path(path).suffix.lower()
    if suffix in spreadsheets.SUFFIXES:
        return {"polars": "data", "fastexcel": "excel"}
    return {"polars": "data"} if suffix in _PARQUET + _ARROW else {"polars": "data", "duckdb": "data"}


def read_table(
    path: str,
    known: Iterable[str] = (),
    reading: Reading = Reading(),  # noqa: B008 - frozen
    like: Numerals | None = None,
) -> Table:
    """Read a table.

    Parameters
    ----------
    path : str
        A ``.parquet``, ``.arrow``, ``.feather``, ``.ipc``, ``.xlsx``, ``.xls`` or ``.ods`` file. Any other file, or
        ``-`` for standard input, is read as CSV, which ``.gz`` or ``.zst`` files hold compressed.
    known : iterable of str
        Names of columns, by which the header is recognised.
    reading : Reading
        The settings that need not be guessed.
    like : Numerals, optional
        How numbers were written in training, which is preferred to a guess; columns that are not known tell nothing.

    Raises
    ------
    ImportError
        If a package is not installed.
    OSError
        If the file cannot be read.
    ValueError
        If the file cannot be read as a table.
    """
    polars = require("polars", extra="data")
    known = [name.strip() for name in known]
    if path != "-" and not Path(path).is_file():
        raise FileNotFoundError(f"{path} is not a file")
    suffix = Path(path).suffix.lower()
    _refuse_idle(path, reading, suffix)
    layout, separator = "", ""
    guesses: list[str] = []
    try:
        if suffix in _PARQUET + _ARROW:
            with open(path, "rb") as file:  # a path would be taken for a pattern
                frame = polars.read_parquet(file) if suffix in _PARQUET else polars.read_ipc(file)
        elif suffix in spreadsheets.SUFFIXES:
            frame = spreadsheets.read_spreadsheet(path, reading)
            layout = "the first sheet" if reading.sheet is None else f"sheet {reading.sheet!r}"
        else:
            frame, separator, guesses = read_csv(_bytes(path), path, known, reading)
            layout = f"{SEPARATORS.get(separator, repr(separator))} between columns"
    except (polars.exceptions.PolarsError, polars.exceptions.PanicException) as error:  # a damaged file raises either
        raise ValueError(f"{path} cannot be read as a table: {str(error).splitlines()[0]}") from error
    except OSError as error:
        if error.filename is not None:
            raise
        raise ValueError(f"{path} cannot be read as a table: {error}") from error  # as polars says of a damaged one
    missing = tuple(text.strip() for text in reading.missing)
    telling = set(frame.columns if like is None else known)
    written = frame.select(name for name in frame.columns if name in telling)
    numerals, doubtful = guess(written, reading.decimal, reading.thousands, missing, separator == ",", like)
    told = str(numerals) + (f" (--thousands {doubtful} if it is between thousands)" if doubtful else "")
    if not layout and (numerals.told or doubtful) and polars.String in written.dtypes:  # among columns of other types
        layout = "texts of numbers"
    return Table(frame, numerals, ", ".join([layout, told, *guesses]) if layout else "")


def _refuse_idle(path: str, reading: Reading, suffix: str) -> None:
    """Refuse settings that have no meaning for the kind of file."""
    text_alone = ("separator", "encoding", "comment")
    idle: tuple[str, ...] = ("sheet",)
    kind = "text"
    if suffix in spreadsheets.SUFFIXES:
        idle, kind = text_alone, "a spreadsheet"
    elif suffix in _PARQUET + _ARROW:
        idle, kind = (*text_alone, "sheet", "header"), "a table whose columns have names and types"
    for name in idle:
        if getattr(reading, name) != getattr(Reading, name):
            option, got = ("--no-header", "it") if name == "header" else (f"--{name}", repr(getattr(reading, name)))
            raise ValueError(f"{option} must be left out for {path}, which is {kind}; got {got}")


def _bytes(path: str) -> bytes:
    """The contents of a file, decompressed."""
    if path == "-" and sys.stdin is None:  # whoever started the process closed it
        raise ValueError("- stands for standard input, which is closed")
    data = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    try:
        if data[:2] == b"\x1f\x8b":
            return gzip.decompress(data)
        if data[:4] == b"\x28\xb5\x2f\xfd":
            return _unpacked_zstd(data)
    except ImportError:
        raise
    except Exception as error:  # whatever a damaged file raises
        raise ValueError(f"{path} cannot be unpacked: {error}") from error
    return data


def _unpacked_zstd(data: bytes) -> bytes:
    """The contents of frames that follow each other, all of them complete."""
    zstd = require("zstandard", extra="data")
    parts, place = [], 0
    while place < len(data):
        frame = zstd.ZstdDecompressor().decompressobj()
        while not frame.eof:
            if place == len(data):
                raise EOFError("it ends in the middle")
            piece = data[place : place + PIECE]
            parts.append(frame.decompress(piece))
            place += len(piece) - len(frame.unused_data)
    return b"".join(parts)
