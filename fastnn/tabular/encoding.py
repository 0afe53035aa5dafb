"""How the columns of a table become the inputs of a network: standardised numbers, and categories one-hot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

LARGEST = 1e100  # of a number: the square of its distance from the mean is a float64
MOST_LEVELS = 50  # a column of more categories is a name or a number of its own, not a category


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes
    ----------
    name : str
        In the header.
    levels : tuple of str, or None
        The categories, of which each has an input of its own; None for a column of numbers.
    mean, scale : float
        Of a column of numbers, whose missing values count as the mean.
    missing : bool
        Whether values were missing, so that one more input tells it.
    """

    name: str
    levels: tuple[str, ...] | None = None
    mean: float = 0.0
    scale: float = 1.0
    missing: bool = False

    @property
    def width(self) -> int:
        """Number of inputs."""
        return (1 if self.levels is None else len(self.levels)) + self.missing

    def encode(self, series: Any, out: NDArray) -> int:
        """Write the inputs, shape (n, width), and return how many values are of a category never seen.

        Raises
        ------
        ValueError
            If a number is infinite, too large, or none at all.
        """
        absent = series.is_null().to_numpy()
        out[:] = 0
        if self.missing:
            out[:, -1] = absent
        if self.levels is None:
            values = numbers(series)
            out[:, 0] = np.where(absent, 0.0, (values - self.mean) / self.scale)
            return 0
        values = series.cast(str).to_numpy()
        known = absent.copy()
        for k, level in enumerate(self.levels):
            out[:, k] = values == level
            known |= values == level
        return int((~known).sum())


def numbers(series: Any) -> NDArray[np.float64]:
    """A column's values, NaN where they are missing.

    Raises
    ------
    ValueError
        If one is infinite, too large to be squared, or no number.
    """
    import polars

    try:
        values = series.cast(polars.Float64).to_numpy().astype(np.float64)
    except polars.exceptions.PolarsError as error:
        raise ValueError(
            f"column {series.name!r} must hold numbers, as in training; it holds {series.dtype}"
        ) from error
    wild = np.abs(values) > LARGEST
    if wild.any():
        row = int(wild.argmax())
        what = "infinity" if np.isinf(values[row]) else f"{values[row]:g}, which is too large,"
        raise ValueError(f"column {series.name!r} holds {what} in row {row + 1}")
    return values


def kind_of(series: Any) -> str | None:
    """Whether a column holds a "number" or a "category", or neither."""
    name = str(series.dtype.base_type())
    if series.dtype.is_numeric() or name == "Boolean":
        return "number"
    return "category" if name in ("String", "Categorical", "Enum") else None


def learn_columns(frame: Any) -> tuple[tuple[Column, ...], dict[str, str]]:
    """Which columns of a table can be used and how, and why others cannot.

    Parameters
    ----------
    frame : polars.DataFrame
        The rows to train on, without the target.

    Returns
    -------
    columns : tuple of Column
    left_out : dict of str to str
        Name of a column, and the reason.
    """
    columns, left_out = [], {}
    for series in frame:
        present = series.drop_nulls()
        kind = kind_of(series)
        if present.n_unique() < 2 and not (present.n_unique() and series.null_count()):
            left_out[series.name] = "constant" if len(present) else "empty"
        elif kind == "number":
            values = numbers(present)
            scale = float(values.std())
            missing = series.null_count() > 0
            columns.append(Column(series.name, None, float(values.mean()), scale or 1.0, missing))
        elif kind == "category":
            levels = sorted(present.cast(str).unique().to_list())
            if len(levels) > min(MOST_LEVELS, max(2, len(present) // 2)):
                left_out[series.name] = f"{len(levels)} different texts, too many for categories"
            else:
                columns.append(Column(series.name, tuple(levels), missing=series.null_count() > 0))
        else:
            left_out[series.name] = f"{series.dtype.base_type()} is neither a number nor a category"
    return tuple(columns), left_out


def encode(columns: Sequence[Column], frame: Any) -> tuple[NDArray[np.float32], dict[str, int]]:
    """The inputs of a network.

    Parameters
    ----------
    columns : sequence of Column
        As `learn_columns` gives them.
    frame : polars.DataFrame
        A table that has them all.

    Returns
    -------
    X : ndarray of float32, shape (n, sum of widths)
    unseen : dict of str to int
        For each column, the values of a category never seen in training; they have no input.

    Raises
    ------
    ValueError
        If a column is missing, or is not what it was in training.
    """
    absent = [column.name for column in columns if column.name not in frame.columns]
    if absent:
        some = ", ".join(map(repr, absent[:5])) + (f" and {len(absent) - 5} more" if len(absent) > 5 else "")
        raise ValueError(f"the table must have the {len(columns)} columns of training; it lacks {some}")
    X = np.empty((frame.height, sum(column.width for column in columns)), np.float32)
    unseen, place = {}, 0
    for column in columns:
        count = column.encode(frame[column.name], X[:, place : place + column.width])
        place += column.width
        if count:
            unseen[column.name] = count
    if not np.isfinite(X).all():
        raise ValueError("a number is too large for float32 once it is standardised")
    return X, unseen
