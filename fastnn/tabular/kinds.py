"""What kind each column of a table is, and which columns are useless or leak the target."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn.tabular.encoding import LARGEST, TRUTH, as_texts, examples, finite, hardly_repeat, is_number, is_text
from fastnn.tabular.numerals import CODE, Numerals, date_format, days_as, in_words, values_of
from fastnn.tabular.target import Target

USABLE = ("number", "date", "category", "many", "text")  # kinds that can become inputs
MOST_LEVELS = 50  # more categories than that are encoded by the target's mean
FIRST = 1000  # rows enough to see that most columns are no function of the target
LEAST_ROWS = 10  # the order of fewer means nothing
TOUCHING = 0.25  # of a target's bands are as near to the next as their own values are, or the bands are but far apart
STRAY, STRAY_TEXTS = 0.05, 5  # of its rows, and different ones: a column of numbers or dates with more is one of texts
MIXED = 0.5  # of its rows, of dates half of that: a column with more other texts is not meant to be one of them
_ID = re.compile(
    r"^(id|uid|uuid|guid|key|index|idx|unnamed.*|column_1)$|([_. -]|[a-z](?=I))(id|ID|Id|uuid|key)$", re.IGNORECASE
)


@dataclass(frozen=True)
class ColumnProfile:
    """What was found out about a column.

    Attributes
    ----------
    name : str
        Its name in the header.
    kind : str
        One of `Column`'s kinds, or "text", "constant", "empty" or a dtype.
    n_missing, n_levels : int
        Number of missing values, and of categories or other different values.
    values : array_like, shape (n,)
        The values in all rows of the file: numbers, with NaN where they are missing, or texts, with null.
    form, strays
        As in `Column`.
    left_out : str
        Why it is not used; empty if it is.
    remark : str
        Anything else to be said about it.
    """

    name: str
    kind: str
    n_missing: int
    n_levels: int
    values: Any
    form: str = ""
    strays: tuple[str, ...] = ()
    left_out: str = ""
    remark: str = ""

    @property
    def remarkable(self) -> bool:
        """Whether there is anything to be said of it but its kind."""
        return bool(self.n_missing or self.left_out or self.remark)


def excluded(series: Any) -> ColumnProfile:
    """A column that is not to be used, whatever is in it."""
    return ColumnProfile(series.name, "empty", series.null_count(), 0, series, left_out="as you asked")


def profile_of(series: Any, numerals: Numerals) -> ColumnProfile:
    """Find out what a column is, regardless of the target.

    Raises
    ------
    ValueError
        If a number is infinite or too large.
    """
    name, kind = series.name, str(series.dtype.base_type())
    if is_number(series):
        return _number_profile(name, finite(name, numerals.numbers_of(series)))
    if kind in ("Date", "Datetime"):
        return _number_profile(name, numerals.days_of(series), kind="date", remark="days since 1970")
    if not is_text(series):
        if not series.is_not_null().any():
            return ColumnProfile(name, "empty", len(series), 0, series, left_out="empty")
        reason = f"{kind} is neither a number nor a category"
        return ColumnProfile(name, kind, series.null_count(), 0, series, left_out=reason)
    texts = numerals.present(as_texts(series))
    present = texts.drop_nulls()
    if not len(present):
        return ColumnProfile(name, "empty", len(series), 0, texts, left_out="empty")
    parsed = numerals.parse(texts.replace(TRUTH))
    strays = parsed.is_null() & texts.is_not_null()
    codes = bool(present.str.contains(CODE).any())
    if not codes and not strays.any():
        flag = bool(present.is_in(list(TRUTH)).any())
        return _number_profile(name, finite(name, values_of(parsed)), remark="true is 1, false 0" if flag else "")
    few = _few(texts, strays)
    if not codes and few is not None:
        remark = f"missing: {examples(texts, strays)}"
        return _number_profile(name, finite(name, values_of(parsed)), strays=few, remark=remark)
    remark = "leading zeros: codes, not numbers" if codes and not strays.any() else ""
    mixed = "" if codes else _mixed("numbers", texts, strays)
    if form := date_format(present, MIXED / 2):
        dates = days_as(texts, form)
        strays = dates.is_null() & texts.is_not_null()
        few = _few(texts, strays)
        if few is not None:
            remark = f"{in_words(form)}, days since 1970" + (f"; missing: {examples(texts, strays)}" if few else "")
            return _number_profile(name, values_of(dates), kind="date", form=form, strays=few, remark=remark)
        mixed = _mixed("dates", texts, strays)
    return _text_profile(name, texts, present, remark, mixed)


def _few(texts: Any, strays: Any) -> tuple[str, ...] | None:
    """The different texts among the strays; None if the strays are too many to count as missing."""
    different = texts.filter(strays).unique()
    if len(different) > STRAY_TEXTS or strays.sum() > STRAY * texts.count():
        return None
    return tuple(sorted(different))


def _mixed(what: str, texts: Any, strays: Any) -> str:
    """What is said of texts that are numbers or dates, but for more strays than may count as missing unasked."""
    if strays.sum() > MIXED * texts.count() or texts.filter(strays).n_unique() > STRAY_TEXTS:
        return ""
    first = texts.filter(strays)[0]
    return f"{what} except for {examples(texts, strays)}: --missing={first!r} counts that as missing"


def _number_profile(name: str, values: NDArray[np.float64], kind: str = "number", **more: Any) -> ColumnProfile:
    present = values[~np.isnan(values)]
    distinct, missing = len(np.unique(present)), len(values) - len(present)
    left_out = ""
    if not len(present):
        left_out = "empty"
    elif nearly_constant(present):
        left_out = "" if missing and distinct == 1 else "constant"
    elif distinct == len(values) >= LEAST_ROWS and (present == np.rint(present)).all():
        if np.ptp(present) == len(values) - 1 and kind == "number":
            left_out = "row numbers"
        elif _ID.search(name):
            left_out = "an identifier: every row has its own"
    return ColumnProfile(
        name,
        kind if left_out not in ("constant", "empty") else left_out,
        missing,
        distinct,
        values,
        left_out=left_out,
        **more,
    )


def _text_profile(name: str, texts: Any, present: Any, remark: str, mixed: str) -> ColumnProfile:
    levels, missing = present.n_unique(), texts.null_count()
    if levels < 2 and not missing:
        return ColumnProfile(name, "constant", missing, levels, texts, left_out="constant")
    if hardly_repeat(levels, len(present)):
        words = present[:100].str.contains(r"\s\S+\s").mean() > 0.5
        what = f"{levels:,} different texts, as {present[0]!r}, too many for categories"
        left_out = mixed or ("a different text in most rows" if words else what)
        return ColumnProfile(name, "text", missing, levels, texts, left_out=left_out, remark=remark)
    if levels > MOST_LEVELS:
        remark = remark or "encoded by the target's mean" + (f"; {mixed}" if mixed else "")
        return ColumnProfile(name, "many", missing, levels, texts, remark=remark)
    return ColumnProfile(name, "category", missing, levels, texts, remark=remark or mixed)


def nearly_constant(values: NDArray[np.float64]) -> bool:
    """Whether numbers differ by no more than rounding, or by too little to be squared."""
    return float(np.ptp(values)) <= max(1e-12 * float(np.abs(values).max()), 1 / LARGEST)


def _leakage(column: ColumnProfile, target: Target, y: NDArray) -> str:
    """How a column leaks the target, if it does so exactly; otherwise an empty text. See `judge_columns`."""
    if re.sub(r" \(\d+\)$", "", column.name).strip().casefold() == target.name.strip().casefold():
        return "the target's name again"
    if column.kind not in USABLE:
        return ""
    if isinstance(column.values, np.ndarray):
        x = column.values
    else:
        present = column.values.drop_nulls().unique().sort()
        x = (
            column.values.replace_strict(present, np.arange(len(present), dtype=float), default=None)
            .to_numpy()
            .astype(float)
        )
    both = ~(np.isnan(x) | np.isnan(y))
    x, y = x[both], y[both]
    if len(y) < LEAST_ROWS:
        return ""
    if target.classes is not None:
        levels = len(np.unique(x))
        if levels == len(np.unique(y)) > 1 and levels == len(np.unique(np.column_stack([x, y]), axis=0)):
            return "the target under other names"
        return ""
    if column.kind == "text":  # as different in each row as the target may be
        return ""
    if not isinstance(column.values, np.ndarray):
        x = _in_order_of(y, x.astype(np.intp))
    elif np.allclose(x, y, rtol=1e-9, atol=0):
        return "a copy of the target"
    if not (_follows(x[:FIRST], y[:FIRST]) and _follows(x, y)):
        return ""
    levels, different = len(np.unique(x)), len(np.unique(y))
    if levels == different > 1 or (levels >= LEAST_ROWS and (2 * levels > different or _bands(x, y))):
        return "an exact function of the target"
    return ""


def _in_order_of(y: NDArray, x: NDArray[np.intp]) -> NDArray[np.intp]:
    """Other numbers for categories, which rise as the least target of each does."""
    least = np.full(x.max() + 1, np.inf)
    np.minimum.at(least, x, y)
    return np.argsort(np.argsort(least))[x]


def _follows(x: NDArray, y: NDArray) -> bool:
    """Whether x is the same wherever y is, and never falls, or never rises, as y rises."""
    order = np.lexsort((x, y))
    rising, ties = np.diff(x[order]), np.diff(y[order]) == 0
    if (rising >= 0).all():
        return not rising[ties].any()
    falling = np.diff(x[np.lexsort((-x, y))])
    return bool((falling <= 0).all()) and not falling[ties].any()


def _bands(x: NDArray, y: NDArray) -> bool:
    """Whether x, which follows y, cuts its range into bands; not so if x, such as a dose, tells clusters of y apart.

    The gap between bands is a gap between any two neighbours, that between clusters is wider than those in them.
    """
    y, first = np.unique(y, return_index=True)
    gaps, inner = np.diff(y), np.diff(x[first]) == 0
    widest = np.zeros(len(y) - inner.sum())
    np.maximum.at(widest, np.cumsum(~inner)[inner], gaps[inner])
    return bool((gaps[~inner] <= np.maximum(widest[:-1], widest[1:])).mean() >= TOUCHING)


def judge_columns(
    columns: list[ColumnProfile], target: Target, y: NDArray, use: Collection[str]
) -> list[ColumnProfile]:
    """The columns, with the reasons for leaving some out.

    Parameters
    ----------
    columns : list of ColumnProfile
        The columns other than the target.
    target : Target
        The column to predict.
    y : ndarray, shape (n,)
        The target in all rows of the file: numbers, or the numbers of classes; NaN where it is missing.
    use : collection of str
        Columns that the user wants to be used.

    Raises
    ------
    ValueError
        If one of those is neither of numbers nor of texts.
    """
    judged: list[ColumnProfile] = []
    seen: dict[bytes, str] = {}
    for column in columns:
        reason = column.left_out
        if reason not in ("constant", "empty"):
            reason = _leakage(column, target, y) or reason
        if not reason:
            values = column.values if isinstance(column.values, np.ndarray) else column.values.hash().to_numpy()
            other = seen.setdefault(values.tobytes(), column.name)
            reason = f"a copy of {other!r}" if other != column.name else ""
        if column.name in use and column.kind not in ("constant", "empty"):
            if column.kind not in USABLE:
                raise ValueError(
                    f"--use must name columns of numbers, dates or categories; {column.name!r} is {column.kind}"
                )
            reason = ""
        judged.append(replace(column, left_out=reason))
    better_than_none = ("row numbers", "an exact function of the target")
    if not all(column.left_out for column in judged):
        return judged
    return [
        replace(c, left_out="", remark=f"{c.left_out}; kept, as there is no other")
        if c.left_out in better_than_none
        else c
        for c in judged
    ]
