"""How a column becomes inputs of a network: numbers are standardised, categories one-hot or encoded by the target."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn.checks.extras import require
from fastnn.tabular.numerals import Numerals, days_as, in_words, values_of

PARTS = 5  # of the rows, each of which has its means from the others
LARGEST = 1e100  # of a number: the square of its distance from the mean is a float64
TRUTH = {"true": "1", "True": "1", "TRUE": "1", "false": "0", "False": "0", "FALSE": "0"}


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes
    ----------
    name : str
        Its name in the header.
    levels : tuple of str, or None
        The categories, as they are written in the file.
    mean, scale : float
        Mean and standard deviation of a number; missing values count as the mean.
    missing : bool
        Whether values were missing in training, which an additional input then indicates.
    kind : {"number", "date", "category", "many"}
        A date is a number of days; "many" categories are encoded by means of the target.
    means : tuple of tuple of float
        For "many": the means of the target for each category, then for any other category.
    form : str
        The format of dates.
    strays : tuple of str
        Texts among the numbers that count as missing.
    """

    name: str
    levels: tuple[str, ...] | None = None
    mean: float = 0.0
    scale: float = 1.0
    missing: bool = False
    kind: str = ""
    means: tuple[tuple[float, ...], ...] = ()
    form: str = ""
    strays: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """By default a column without levels is a number, one with levels a category."""
        if not self.kind:
            object.__setattr__(self, "kind", "number" if self.levels is None else "category")

    @property
    def width(self) -> int:
        """Number of inputs."""
        if self.kind == "many":
            return len(self.means[-1]) + self.missing
        return (1 if self.levels is None else len(self.levels)) + self.missing

    @property
    def meanings(self) -> list[str]:
        """What each input is, in words, for whoever encodes a row elsewhere."""
        name = self.name
        if self.kind == "many":
            of = f"of {name}: i is its place in levels, or the last for any other and none"
            words = [f"means[i][{k}] {of}" for k in range(len(self.means[-1]))]
        elif self.levels is not None:
            words = [f"1 if {name} is {level!r}, otherwise 0" for level in self.levels]
        else:
            number = f"days from 1970-01-01 to {name}" if self.kind == "date" else name
            words = [f"({number} - {self.mean!r}) / {self.scale!r}, or 0 if it is missing"]
        return [*words, *([f"1 if {name} is missing, otherwise 0"] if self.missing else [])]

    def read(self, series: Any, numerals: Numerals) -> Any:
        """Read a column of a file as this one: as numbers, with NaN where they are missing, or as texts, with null.

        Raises
        ------
        ValueError
            If a value is not of the kind that it was in training.
        """
        import polars

        numerals = Numerals(numerals.decimal, numerals.thousands, (*numerals.missing, *self.strays))
        if not series.is_not_null().any():  # of whatever type: nothing in it tells what it is
            series = polars.Series(series.name, [None] * len(series), polars.String)
        if series.dtype.is_nested() or series.dtype == polars.Object:
            raise ValueError(f"column {series.name!r} must hold single values, as in training; it holds {series.dtype}")
        if self.levels is not None:
            if (kind := str(series.dtype.base_type())) in ("Binary", "Duration"):  # of which polars makes no texts
                raise ValueError(f"column {series.name!r} must hold categories, as in training; it holds {kind}")
            texts = numerals.present(as_texts(series))
            if series.dtype.is_float():
                texts = texts.replace(self._whole())
            return texts.replace(self._truth())
        if self.kind == "date":
            return dates(series, self.form, numerals)
        return numbers(series, numerals)

    def _truth(self) -> dict[str, str]:
        """The level for each other text of a truth value, where one level is true and one false."""
        truth = {"0": "0", "1": "1", **TRUTH}
        levels = [level for level in self.levels or () if level in truth]
        if sorted(truth[level] for level in levels) != ["0", "1"]:
            return {}
        level_of = {truth[level]: level for level in levels}
        return {text: level_of[value] for text, value in truth.items() if text not in levels}

    def _whole(self) -> dict[str, str]:
        """The text of each whole number as a float, which pandas makes of whole numbers where one is missing."""
        levels = self.levels or ()
        return {f"{text}.0": text for text in (*levels, "0", "1") if f"{text}.0" not in levels}

    def encode(self, values: Any, out: NDArray) -> int:
        """Write the inputs, shape (n, width), of values from `read`; return how many are of an unseen category."""
        out[:] = 0
        if self.levels is None:
            absent = np.isnan(values)
            out[:, 0] = np.where(absent, 0.0, (values - self.mean) / self.scale)
            unseen = 0
        else:
            places = np.arange(len(self.levels))
            place = values.replace_strict(list(self.levels), places, default=-1).to_numpy()
            absent = values.is_null().to_numpy()
            place = np.where(absent, -1, place)
            if self.kind == "many":
                means = np.array(self.means)
                out[:, : means.shape[1]] = means[place]  # the last is that of a category never seen
            else:
                known = np.flatnonzero(place >= 0)
                out[known, place[known]] = 1
            unseen = int(((place < 0) & ~absent).sum())
        if self.missing:
            out[:, -1] = absent
        return unseen


def as_texts(series: Any) -> Any:
    """A column as texts."""
    import polars

    return series if series.dtype == polars.String else series.cast(polars.String)


def is_number(series: Any) -> bool:
    """Whether a column is of numbers, as Parquet files have them."""
    return bool(series.dtype.is_numeric()) or str(series.dtype.base_type()) == "Boolean"


def is_text(series: Any) -> bool:
    """Whether a column is of texts."""
    return str(series.dtype.base_type()) in ("String", "Categorical", "Enum")


def numbers(series: Any, numerals: Numerals) -> NDArray[np.float64]:
    """A column's values, with NaN where they are missing.

    Raises
    ------
    ValueError
        If a value is infinite, too large to be squared, or not a number.
    """
    if is_number(series):
        return finite(series.name, numerals.numbers_of(series))
    if not is_text(series):
        raise ValueError(
            f"column {series.name!r} must hold numbers, as in training; it holds {series.dtype.base_type()}"
        )
    present = numerals.present(as_texts(series))
    values = numerals.parse(present.replace(TRUTH))
    strays = values.is_null() & present.is_not_null()
    if strays.any():
        raise ValueError(
            f"column {series.name!r} must hold numbers{numerals.told}, as in training;"
            f" it holds {examples(present, strays)}"
        )
    return finite(series.name, values_of(values))


def dates(series: Any, form: str, numerals: Numerals) -> NDArray[np.float64]:
    """Days since 1970, with NaN where they are missing; texts are of the format, or of ISO 8601 if that is, or none.

    Raises
    ------
    ValueError
        If a value is not a date.
    """
    if str(series.dtype.base_type()) in ("Date", "Datetime"):
        return numerals.days_of(series, form)
    if not is_text(series):
        raise ValueError(f"column {series.name!r} must hold dates, as in training; it holds {series.dtype.base_type()}")
    present = numerals.present(as_texts(series))
    values = days_as(present, form)
    strays = values.is_null() & present.is_not_null()
    if strays.any():
        raise ValueError(
            f"column {series.name!r} must hold dates as {in_words(form)}; it holds {examples(present, strays)}"
        )
    return values_of(values)


def finite(name: str, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The values, checked to be ones that a network can take.

    Raises
    ------
    ValueError
        If a value is infinite or too large to be squared.
    """
    wild = np.abs(values) > LARGEST
    if wild.any():
        row = int(wild.argmax())
        what = "infinity" if np.isinf(values[row]) else f"{values[row]:g}, which is too large,"
        raise ValueError(f"column {name!r} holds {what} in row {row + 1}")
    return values


def hardly_repeat(levels: int, rows: int) -> bool:
    """Whether there are so many different texts in so many rows that they are no categories."""
    return levels > max(2, rows // 2)


def examples(series: Any, where: Any) -> str:
    """Some of a column's texts, and the rows they are in; the row below the header is row 1."""
    rows = where.arg_true()
    some = ", ".join(f"{series[int(row)]!r} in row {row + 1:,}" for row in rows[:3])
    return some + (f" and {len(rows) - 3:,} more" if len(rows) > 3 else "")


def many_means(
    texts: Any, levels: list[str], y: NDArray, classes: int | None, seed: int
) -> tuple[tuple[tuple[float, ...], ...], NDArray[np.float64]]:
    """The means of the target for each level, shrunk towards the overall mean by scikit-learn's `TargetEncoder`.

    Parameters
    ----------
    texts : polars.Series, shape (n,)
        The values of the column that are not missing.
    levels : list of str
        Its categories.
    y : ndarray, shape (n,)
        The target, standardised, or the numbers of its classes.
    classes : int or None
        Number of classes.
    seed : int
        Seed of the parts of the rows, of which each has its means from the others.

    Returns
    -------
    means : tuple of tuple of float
        The means for each level, then for any other.
    crossed : ndarray, shape (n, width)
        For each row, the means over other rows of its level: for training, as a row's own target must not enter.
    """
    there = np.unique(y, return_counts=True)[1]  # the rows of each class that has any here
    rare = classes is not None and there.max() < PARTS
    splitter = "KFold" if classes is None or rare else "StratifiedKFold"
    folds = getattr(require("sklearn.model_selection", extra="data"), splitter)
    encoder = require("sklearn.preprocessing", extra="data").TargetEncoder(
        target_type="continuous" if classes is None else "binary" if len(there) <= 2 else "multiclass",
        categories=[levels],
        cv=folds(PARTS, shuffle=True, random_state=int(np.random.default_rng(seed).integers(2**32))),
    )
    with_other = np.array([*levels, "\x00"], object)[:, None]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class")  # whose rows lie in some of the parts alone
        crossed = np.asarray(encoder.fit_transform(texts.to_numpy().astype(object)[:, None], y))
    means = np.asarray(encoder.transform(with_other))
    return tuple(tuple(float(mean) for mean in row) for row in means), crossed


def encode(columns: Sequence[Column], values: Sequence[Any]) -> tuple[NDArray[np.float32], dict[str, int]]:
    """Encode columns as the inputs of a network.

    Parameters
    ----------
    columns : sequence of Column
        The columns.
    values : sequence
        Their values, as `Column.read` returns them.

    Returns
    -------
    X : ndarray of float32, shape (n, sum of widths)
    unseen : dict of str to int
        For each column, the number of values in categories not seen in training, which have no input.

    Raises
    ------
    ValueError
        If a number is too large.
    """
    X = np.empty((len(values[0]), sum(column.width for column in columns)), np.float32)
    unseen, place = {}, 0
    for column, series in zip(columns, values, strict=True):
        with np.errstate(over="ignore"):
            count = column.encode(series, X[:, place : place + column.width])
        if not np.isfinite(X[:, place]).all():
            raise ValueError(
                f"column {column.name!r} holds a number that is too large for float32 once it is standardised"
            )
        place += column.width
        if count:
            unseen[column.name] = count
    return X, unseen
