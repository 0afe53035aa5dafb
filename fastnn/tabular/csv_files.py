"""Read a CSV file: its encoding and its header are found here, its separator and its quotes by DuckDB's sniffer."""

from __future__ import annotations

import csv
import io
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fastnn.checks import counted
from fastnn.checks.extras import require
from fastnn.kernels.jit.signals import InterruptsHeld
from fastnn.models.writing import errors_naming
from fastnn.tabular.frames import distinct
from fastnn.tabular.reading_settings import Reading

SEPARATORS = {",": "','", ";": "';'", "\t": "tabs", "|": "'|'", " ": "blanks"}
FEW_LINES = 50  # a header stands among the first
_IN_WORDS = {"utf-8": "UTF-8", "utf-8-sig": "UTF-8", "utf-16": "UTF-16", "cp1252": "Windows-1252"}

#: What files begin with that others take for text, and what they are.
_NO_TEXT = {
    b"PK\x03\x04": "a .zip archive or a spreadsheet",
    b"\xd0\xcf\x11\xe0": "a spreadsheet",
    b"PAR1": "a Parquet file",
    b"ARROW1": "an Arrow file",
    b"BZh": "packed by bzip2",
    b"\xfd7zXZ": "packed by xz",
}


def read_csv(data: bytes, path: str, known: list[str], reading: Reading) -> tuple[Any, str, list[str]]:
    """A CSV file as columns of texts, its separator, and what else was guessed about it, in words."""
    with InterruptsHeld():  # in DuckDB's import and queries Ctrl-C would be lost
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
    with InterruptsHeld(), tempfile.TemporaryDirectory() as folder, duckdb.connect() as connection:
        copy = Path(folder, "table.csv")  # in UTF-8, by a name that is no pattern
        _write(copy, text)
        quoted = any(mark in text for mark in "\"'\\")
        shape = _sniff(connection, str(copy), separator, reading, quoted)
        if likely and not _cells(next(_rows(text.split("\n", FEW_LINES)[:FEW_LINES]))[1], shape["sep"]) & set(known):
            shape["sep"] = likely
        if shape["sep"] == " " and '"' not in text:  # columns that stand below each other
            text = re.sub("(?m)^ +| +$", "", re.sub("  +", " ", text))
            _write(copy, text)
        if shape["comment"] == shape["sep"]:
            raise ValueError(f"--comment and the separator must differ; both are {shape['sep']!r}")
        try:
            first = next(csv.reader(io.StringIO(text), delimiter=shape["sep"], quotechar=shape["quotechar"]))
            columns = {f"column_{place}": "VARCHAR" for place in range(len(first))}
            rows = connection.read_csv(str(copy), header=False, auto_detect=False, columns=columns, **shape)
            frame = polars.DataFrame(rows)
        except csv.Error as error:
            raise ValueError(f"{path} cannot be read as a table: line {skipped + 1} has a {error}") from error
        except (duckdb.Error, polars.exceptions.PolarsError) as error:  # polars raises what DuckDB finds further down
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


def _write(copy: Path, text: str) -> None:
    with errors_naming(copy):
        copy.write_text(text, encoding="utf-8", newline="")


def _decode(data: bytes, path: str, encoding: str | None) -> tuple[str, str]:
    """The text, and its encoding: that of a byte order mark, UTF-8, or else Windows-1252."""
    marks = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
    marked = next((name for mark, name in marks.items() if data.startswith(mark)), None)
    said = marked if encoding is None else encoding
    for name in ["utf-8", "cp1252"] if said is None else [said]:
        try:
            text = data.decode(name).removeprefix("\ufeff")  # the mark, which an encoding that is said may leave
        except LookupError as error:
            raise ValueError(f"--encoding must be one that Python knows, such as utf-8; got {encoding!r}") from error
        except UnicodeError:
            continue
        if "\x00" in text:
            break
        return text, _IN_WORDS.get(name, name)
    if other := next((kind for begin, kind in _NO_TEXT.items() if data.startswith(begin)), None):
        raise ValueError(f"{path} cannot be read as a table: it is not text, but {other}")
    raise ValueError(
        f"{path} cannot be read as a table: it is not text in {encoding or 'UTF-8 or Windows-1252'};"
        " --encoding says what it is"
    )


def _lines_above(text: str, known: list[str], reading: Reading) -> tuple[int, str]:
    """How many lines there are above the header, and its separator if that is known.

    The header is the first line with a known name, or else the first that is not a comment. A comment can be the header
    if nobody says what begins one, and if the line below the comments has no known name.
    """
    lines, mark = text.split("\n", FEW_LINES)[:FEW_LINES], reading.comment or "#"
    below = next((k for k, line in enumerate(lines) if line.strip() and not line.lstrip().startswith(mark)), 0)
    first, *rows = [(below + number, line) for number, line in _rows(lines[below:])]
    comments = [] if reading.comment else [*_rows(lines[:below])]
    for number, line in [first, *comments, *rows] if reading.header else ():
        for separator in [reading.separator] if reading.separator else SEPARATORS:
            if _cells(line, separator) & set(known) and (separator != " " or "," not in line):
                return number, separator
    return below, ""


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


def _sniff(connection: Any, path: str, separator: str | None, reading: Reading, quoted: bool) -> dict[str, Any]:
    """The separator, the quotes and their escape that DuckDB finds; unless `quoted` it tries none."""
    given = {"comment": reading.comment or "", **({"delim": separator} if separator else {})}
    given |= {} if quoted else {"quote": '"', "escape": '"'}
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
    if longest := re.search(r"(?m)^Maximum line size of (\d+) bytes", text):
        return f"{where}more than {int(longest[1]):,} bytes, which are too many for a line"
    fault = text.partition("Possible fixes")[0].strip().splitlines()[-1].removesuffix(".")
    return f"{where}this fault: {fault}" if where else fault
