"""Tables in memory, of polars, pandas or a dict of columns, as frames of polars."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from numbers import Integral, Real
from typing import Any

import numpy as np

from fastnn.checks.extras import require


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
        if isinstance(data, np.matrix):  # whose columns are matrices again, without end
            data = np.asarray(data)
        if isinstance(data, Mapping):
            data = {name: _column(values) for name, values in data.items()}
        return polars.DataFrame(data, infer_schema_length=None).fill_nan(None)  # by all records, not the first hundred
    except MemoryError:
        raise
    except (Exception, polars.exceptions.PanicException) as error:  # whatever the array of another library raises
        reason = str(error).splitlines() or [type(error).__name__]
        raise ValueError(f"frame cannot be read as a table: {reason[0]}") from error


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
    if isinstance(values, (list, tuple)):
        missing = [_is_missing(value) for value in values]
        numbers = all(gone or _is_number(value) for gone, value in zip(missing, values, strict=True))
        if numbers or any(gone and value is not None for gone, value in zip(missing, values, strict=True)):
            return _objects([*values])  # whole numbers among others, or NaN among texts
    if not isinstance(values, np.ndarray):
        return values
    if values.dtype.kind == "M" and np.datetime_data(values.dtype)[0] not in ("D", "ms", "us", "ns"):
        return values.astype("datetime64[us]")
    return _objects(values.tolist()) if values.dtype.kind == "O" else values


def _objects(values: list[Any]) -> list[Any]:
    """Python's objects, None where one is missing: dates, datetimes and numbers as they are, all others as texts."""
    values = [None if _is_missing(value) else value for value in values]
    present = [value for value in values if value is not None]
    datetimes = sum(isinstance(value, datetime) for value in present)
    if all(isinstance(value, date) for value in present) and datetimes in (0, len(present)):
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


def distinct(names: Iterable[str]) -> list[str]:
    """Distinct names of columns: a missing name becomes a number, a repeated one gets a counter."""
    found: dict[str, None] = {}
    counts: dict[str, int] = {}
    for place, name in enumerate(names, start=1):
        name = name or f"column_{place}"
        wanted, count = name, counts.get(name, 1)
        while wanted in found:
            count += 1
            wanted = f"{name} ({count})"
        found[wanted], counts[name] = None, count
    return list(found)
