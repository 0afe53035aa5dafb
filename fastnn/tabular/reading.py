"""Read a file: CSV by DuckDB's sniffer, Parquet and Arrow by polars, spreadsheets by fastexcel (extra ``excel``)."""

from __future__ import annotations

import csv
import gzip
import io
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np

from fastnn.checks import counted
from fastnn.checks.extras import require
from fastnn.tabular.numerals import Numerals, guess

SEPARATORS = {",": "','", ";": "';'", "\t": "tabs", "|": "'|'", " ": "blanks"}
FEW_LINES = 50  # a header stands among the first
PIECE = 2**16  # bytes that are unpacked at once
_PARQUET = (".parquet", ".pq")
_ARROW = (".arrow", ".ipc", ".feather")
_SPREADSHEETS = (".xlsx", ".xlsm", ".xls", ".ods")


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
    numerals: Numerals
    guesses: str


@dataclass(frozen=True)
class Reading:
    """How to read a file; settings that are None are guessed.

    Attributes
    ----------
    separator, decimal, thousands : str, optional
        The characters between columns, before the fraction, and between groups of three digits.
    encoding : str, optional
        The encoding of the text.
    comment : str, optional
        The character before a comment.
    missing : sequence of str, optional
        Texts that mark a missing value, besides an empty field and those in `numerals.MISSING`.
    header : bool
        Whether the first row holds the names of the columns.
    sheet : str, optional
        The sheet of an Excel file; the first by default.
    """

    separator: str | None = None
    decimal: str | None = None
    thousands: str | None = None
    encoding: str | None = None
    missing: Sequence[str] = ()
    comment: str | None = None
    header: bool = True
    sheet: str | None = None


def extras_for(path: str) -> dict[str, str]:
    """What reading this file needs: packages, and the extras that install them."""
    suffix = Path(path).suffix.lower()
    if suffix in _SPREADSHEETS:
        return {"polars": "data", "fastexcel": "excel"}
    return {"polars": "data"} if suffix in _PARQUET + _ARROW else {"polars": "data", "duckdb": "data"}


def read_table(
    path: str, known: Iterable[str] = (), reading: Reading = Reading(), like: Numerals | None = None
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
        How numbers were written in training, which is preferred to a guess.

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
        elif suffix in _SPREADSHEETS:
            frame = _read_excel(path, reading)
            layout = f"sheet {reading.sheet!r}" if reading.sheet else "the first sheet"
        else:
            frame, separator, guesses = _read_csv(_bytes(path), path, known, reading)
            layout = f"{SEPARATORS.get(separator, repr(separator))} between columns"
    except (polars.exceptions.PolarsError, polars.exceptions.PanicException) as error:  # a damaged file raises either
        raise ValueError(f"{path} cannot be read as a table: {str(error).splitlines()[0]}") from error
    missing = tuple(text.strip() for text in reading.missing)
    numerals = guess(frame, reading.decimal, reading.thousands, missing, separator == ",", like)
    return Table(frame, numerals, ", ".join([layout, str(numerals), *guesses]) if layout else "")


def _refuse_idle(path: str, reading: Reading, suffix: str) -> None:
    """Refuse settings that have no meaning for the kind of file."""
    text_alone = ("separator", "encoding", "comment")
    idle: tuple[str, ...] = ("sheet",)
    kind = "text"
    if suffix in _SPREADSHEETS:
        idle, kind = text_alone, "a spreadsheet"
    elif suffix in _PARQUET + _ARROW:
        idle, kind = (*text_alone, "sheet", "decimal", "thousands", "header"), "a table whose columns have types"
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


def _decode(data: bytes, path: str, encoding: str | None) -> tuple[str, str]:
    """The text, and its encoding: that of a byte order mark, UTF-8, or else Windows-1252."""
    marks = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
    marked = next((name for mark, name in marks.items() if data.startswith(mark)), None)
    for name in [encoding or marked] if encoding or marked else ["utf-8", "cp1252"]:
        try:
            text = data.decode(str(name)).removeprefix("\ufeff")  # the mark, which an encoding that is said may leave
        except LookupError as error:
            raise ValueError(f"--encoding must be one that Python knows, such as utf-8; got {encoding!r}") from error
        except UnicodeError:
            continue
        if "\x00" in text:
            break
        return text, {"utf-8": "UTF-8", "utf-8-sig": "UTF-8", "utf-16": "UTF-16", "cp1252": "Windows-1252"}.get(
            str(name), str(name)
        )
    raise ValueError(
        f"{path} cannot be read as a table: it is not text in {encoding or 'UTF-8 or Windows-1252'};"
        " --encoding says what it is"
    )


def _read_csv(data: bytes, path: str, known: list[str], reading: Reading) -> tuple[Any, str, list[str]]:
    """A CSV file as columns of texts, its separator, and what else was guessed about it, in words."""
    polars, duckdb = require("polars", extra="data"), require("duckdb", extra="data")
    text, encoding = _decode(data, path, reading.encoding)
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    separator, skipped = reading.separator, 0
    if declared := re.match(r"sep=(.)\n", text):
        separator, skipped, text = separator or declared[1], 1, text[declared.end() :]
    above, likely = _lines_above(text, known, reading)
    skipped, text = skipped + above, text.split("\n", above)[-1]
    if not text.strip():
        raise ValueError(f"{path} cannot be read as a table: it is empty")
    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as connection:
        copy = Path(folder, "table.csv")  # in UTF-8, by a name that is no pattern
        copy.write_text(text, encoding="utf-8", newline="")
        shape = _sniff(connection, str(copy), separator, reading)
        if likely and not _cells(next(_rows(text.split("\n", FEW_LINES)[:FEW_LINES]))[1], shape["sep"]) & set(known):
            shape["sep"] = likely
        if shape["sep"] == " " and '"' not in text:  # columns that stand below each other
            text = re.sub("(?m)^ +| +$", "", re.sub("  +", " ", text))
            copy.write_text(text, encoding="utf-8", newline="")
        try:
            first = next(csv.reader(io.StringIO(text), delimiter=shape["sep"], quotechar=shape["quotechar"]))
            columns = {f"column_{place}": "VARCHAR" for place in range(len(first))}
            rows = connection.read_csv(str(copy), header=False, auto_detect=False, columns=columns, **shape)
            frame = polars.DataFrame(rows)
        except csv.Error as error:
            raise ValueError(f"{path} cannot be read as a table: line {skipped + 1} has a {error}") from error
        except (duckdb.Error, polars.exceptions.PolarsError) as error:  # polars' of what DuckDB finds further down
            raise ValueError(f"{path} cannot be read as a table: {_reason(error, skipped)}") from error
    frame = frame.select(polars.all().str.strip_chars())
    if reading.header:
        names, frame = [name or "" for name in frame.row(0)], frame[1:]
    else:
        names = [""] * frame.width
    frame.columns = distinct(names)
    guesses = [encoding]
    if shape["quotechar"] == "'":
        guesses.append("quotes '")
    if above:
        guesses.append(f"{counted(above, 'line')} above the header")
    return frame, shape["sep"], guesses


def _lines_above(text: str, known: list[str], reading: Reading) -> tuple[int, str]:
    """How many lines there are above the header, and its separator if that is known.

    The header is the first line with a known name, or else the first that is not a comment.
    """
    lines = text.split("\n", FEW_LINES)[:FEW_LINES]
    for number, line in _rows(lines) if reading.header else ():
        for separator in [reading.separator] if reading.separator else SEPARATORS:
            if _cells(line, separator) & set(known) and (separator != " " or "," not in line):
                return number, separator
    marks = (reading.comment,) if reading.comment else ("#",)
    return next((k for k, line in enumerate(lines) if line.strip() and not line.startswith(marks)), 0), ""


def _rows(lines: list[str]) -> Iterator[tuple[int, str]]:
    """The rows that the lines form, as quoted texts may span lines, and the number of each row's first line."""
    begin = 0
    while begin < len(lines):
        ends = (end for end in range(begin, len(lines)) if not "\n".join(lines[begin : end + 1]).count('"') % 2)
        end = next(ends, begin)  # a quote that is never closed is none
        yield begin, "\n".join(lines[begin : end + 1])
        begin = end + 1


def _cells(line: str, separator: str) -> set[str]:
    """The names in a header line; none in a line with a field too long for a name."""
    try:
        cells = next(csv.reader(io.StringIO(line), delimiter=separator, skipinitialspace=True), [])
    except csv.Error:
        return set()
    return {cell.strip().strip("'") for cell in cells}


def _sniff(connection: Any, path: str, separator: str | None, reading: Reading) -> dict[str, Any]:
    """The separator, the quotes and their escape that DuckDB finds."""
    given = {"comment": reading.comment or "", **({"delim": separator} if separator else {})}
    options = ", ".join(f"{name} = {_sql(value)}" for name, value in given.items())
    found = None
    for more in ("", ", strict_mode = false"):
        try:
            settings = f"{options}, sample_size = 20000{more}"
            query = f"SELECT Delimiter, Quote, Escape FROM sniff_csv({_sql(path)}, {settings})"
            [found] = connection.execute(query).fetchall()
            break
        except Exception:  # it found no shape: the plain one then tells what is wrong
            continue
    found = found or (separator or ",", '"', '"')
    sep, quote, escape = ("" if value in (None, "(empty)", "\0") else value for value in found)  # as versions differ
    quote = quote or '"'
    return {
        "sep": sep or separator or ",",
        "quotechar": quote,
        "escapechar": escape or quote,
        "comment": reading.comment or "",
    }


def _sql(text: str) -> str:
    """A text as SQL writes it."""
    return "'" + text.replace("'", "''") + "'"


def _reason(error: Exception, skipped: int) -> str:
    """What DuckDB says about a file, in one sentence."""
    text = str(error)
    line = re.search(r"Line: (\d+)", text)
    where = f"line {int(line[1]) + skipped} has " if line else ""
    if fields := re.search(r"Expected Number of Columns: (\d+) Found: (\d+)", text):
        return f"{where}{counted(int(fields[2]), 'field')}, where the header has {fields[1]}"
    if "unterminated quote" in text:
        return f"{where}a quote that is not closed where its field ends"
    fault = text.partition("Possible fixes")[0].strip().splitlines()[-1].removesuffix(".")
    return f"{where}this fault: {fault}" if where else fault


def _read_excel(path: str, reading: Reading) -> Any:
    """A sheet of a spreadsheet, without the empty rows below it and empty columns that have no name."""
    polars, fastexcel = require("polars", extra="data"), require("fastexcel", extra="excel")
    try:
        sheet = fastexcel.read_excel(path).load_sheet(
            reading.sheet or 0,
            header_row=0 if reading.header else None,
            schema_sample_rows=None,  # all: a cell that does not fit the type of those before it would be lost
        )
        frame = sheet.to_polars()
    except Exception as error:  # the engine's own
        raise ValueError(f"{path} cannot be read as a spreadsheet: {str(error).splitlines()[0]}") from error
    names = ["" if re.fullmatch(r"__UNNAMED__\d+", name) else name.strip() for name in frame.columns]
    frame.columns = distinct(names)
    frame = frame.drop(
        [column.name for column, name in zip(frame, names, strict=True) if not name and not column.is_not_null().any()]
    )
    if not frame.width:
        raise ValueError(f"{path} cannot be read as a spreadsheet: it is empty")
    filled = frame.select(polars.any_horizontal(polars.all().is_not_null())).to_series().arg_true()
    frame = frame[: filled.max() + 1 if len(filled) else 0]
    return frame.with_columns(_refined(column) for column in frame)


def _refined(column: Any) -> Any:
    """A column of a spreadsheet, which has floats where whole numbers are meant, and moments where days are."""
    import polars

    if column.dtype == polars.String:
        return column.str.strip_chars()
    if column.dtype.is_float() and ((column % 1 == 0) & (column.abs() < 2**63)).all():
        return column.cast(polars.Int64)
    if column.dtype == polars.Datetime and (column.dt.time() == time()).all():
        return column.cast(polars.Date)
    return column


def distinct(names: Iterable[str]) -> list[str]:
    """Distinct names of columns: a missing name becomes a number, a repeated one gets a counter."""
    distinct: list[str] = []
    for place, name in enumerate(names, start=1):
        wanted, count = name or f"column_{place}", 1
        while wanted in distinct:
            count += 1
            wanted = f"{name} ({count})"
        distinct.append(wanted)
    return distinct


def as_frame(data: Any) -> Any:
    """A table as a frame of polars, from polars, pandas or a dict of columns.

    Raises
    ------
    ValueError
        If it is no table, as with columns of different lengths.
    """
    polars = require("polars", extra="data")
    if isinstance(data, polars.LazyFrame):
        data = data.collect()
    if isinstance(data, polars.DataFrame):
        return data.fill_nan(None)
    try:
        if hasattr(data, "isna") and hasattr(data, "columns"):
            data = _columns_of_pandas(data)
        if isinstance(data, Mapping):
            data = {name: _column(values) for name, values in data.items()}
        return polars.DataFrame(data, infer_schema_length=None).fill_nan(None)  # of records all, not the first hundred
    except (polars.exceptions.PolarsError, TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"frame cannot be read as a table: {str(error).splitlines()[0]}") from error


def _columns_of_pandas(frame: Any) -> dict[str, Any]:
    """The columns of a frame of pandas by distinct names; one with a time zone in UTC, as NumPy has none."""
    columns: dict[str, Any] = {}
    for place, name in enumerate(distinct(map(str, frame.columns))):
        column = frame.iloc[:, place]
        aware = getattr(column.dtype, "tz", None) is not None
        columns[name] = column.dt.tz_convert("UTC").dt.tz_localize(None) if aware else column
    return columns


def _column(values: Any) -> Any:
    """A column of pandas or NumPy, or a list of numbers, as polars takes it; anything else as it is."""
    if hasattr(values, "isna"):
        values = values.to_numpy()
    if isinstance(values, (list, tuple)) and all(_is_missing(value) or _is_number(value) for value in values):
        return _objects([*values])  # whole ones among the others
    if not isinstance(values, np.ndarray):
        return values
    if values.dtype.kind == "M" and np.datetime_data(values.dtype)[0] not in ("D", "ms", "us", "ns"):
        return values.astype("datetime64[us]")
    return _objects(values.tolist()) if values.dtype.kind == "O" else values


def _objects(values: list[Any]) -> list[Any]:
    """Python's objects, None where one is missing: dates, moments and numbers as they are, all others as texts."""
    values = [None if _is_missing(value) else value for value in values]
    present = [value for value in values if value is not None]
    moments = sum(isinstance(value, datetime) for value in present)
    if all(isinstance(value, date) for value in present) and moments in (0, len(present)):
        return values
    if all(map(_is_number, present)):
        whole = all(isinstance(value, Integral) and abs(int(value)) < 2**63 for value in present)
        kind = int if whole else float
        return [None if value is None else kind(value) for value in values]
    return [None if value is None else str(value) for value in values]


def _is_number(value: Any) -> bool:
    return isinstance(value, Real | Decimal) and not isinstance(value, bool)


def _is_missing(value: Any) -> bool:
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, Real | Decimal | np.generic) and bool(value != value)  # an array has many answers
