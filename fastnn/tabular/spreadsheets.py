"""Read a spreadsheet, by fastexcel (extra ``excel``)."""

from __future__ import annotations

import re
from datetime import time
from pathlib import Path
from typing import Any

from fastnn.checks import check_name
from fastnn.checks.extras import require
from fastnn.tabular.frames import distinct
from fastnn.tabular.reading_settings import Reading

SUFFIXES = (".xlsx", ".xlsm", ".xls", ".ods")
_MADE_UP = re.compile(r"^__UNNAMED__|_\d+$")  # names that fastexcel gives where there is none, or one twice


def read_spreadsheet(path: str, reading: Reading) -> Any:
    """A sheet of a spreadsheet, without the empty rows below it and empty columns that have no name."""
    polars, fastexcel = require("polars", extra="data"), require("fastexcel", extra="excel")
    data = Path(path).read_bytes()
    try:
        book = fastexcel.read_excel(data)
        which = 0 if reading.sheet is None else check_name("--sheet", reading.sheet, book.sheet_names)
        sheet = book.load_sheet(
            which,
            header_row=0 if reading.header else None,
            schema_sample_rows=None,  # all: a cell that does not fit the type of those before it would be lost
        )
        frame = sheet.to_polars()
        names = frame.columns
        if reading.header and any(map(_MADE_UP.search, names)):  # as they are in the file
            [names] = book.load_sheet(which, header_row=None, n_rows=1, dtypes="string").to_polars().rows()
    except Exception as error:  # the engine's own
        raise ValueError(f"{path} cannot be read as a spreadsheet: {str(error).splitlines()[0]}") from error
    names = [(name or "").strip() if reading.header else "" for name in names]
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
    """A column of a spreadsheet, which has floats where whole numbers are meant, and datetimes where dates are."""
    import polars

    if column.dtype == polars.String:
        return column.str.strip_chars()
    if column.dtype.is_float() and ((column % 1 == 0) & (column.abs() < 2**63)).all():
        return column.cast(polars.Int64)
    if column.dtype == polars.Datetime and (column.dt.time() == time()).all():
        return column.cast(polars.Date)
    return column
