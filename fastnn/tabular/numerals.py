"""How numbers, dates and missing values are written in a table of texts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: What stands for a missing value, beside an empty field.
MISSING = (
    ".", "?", "-", "--", "NA", "N/A", "n/a", "#N/A", "#N/A N/A", "#NA", "<NA>", "NaN", "nan", "NAN", "NaT",
    "null", "NULL", "Null", "None", "#VALUE!", "#DIV/0!", "#REF!", "#NUM!", "#NAME?", "#NULL!",
)  # fmt: skip

#: Ways to write a date, of which the first that fits all of a column is taken.
DATES = {
    "%Y-%m-%d": "year-month-day", "%Y/%m/%d": "year/month/day", "%d.%m.%Y": "day.month.year",
    "%d/%m/%Y": "day/month/year", "%m/%d/%Y": "month/day/year", "%d-%m-%Y": "day-month-year",
    "%d.%m.%y": "day.month.year", "%d/%m/%y": "day/month/year", "%m/%d/%y": "month/day/year",
    "%d-%m-%y": "day-month-year", "%d %b %Y": "day month year", "%d %b %y": "day month year",
    "%d-%b-%Y": "day-month-year", "%d-%b-%y": "day-month-year",
    "%B %d, %Y": "month day, year", "%b %d, %Y": "month day, year",
}  # fmt: skip
TIMES = (
    "",
    " %H:%M",
    " %H:%M:%S",
    " %H:%M:%S%.f",
    "T%H:%M",
    "T%H:%M:%S",
    "T%H:%M:%S%.f",
    "T%H:%M:%SZ",
    "T%H:%M:%S%.fZ",
    "T%H:%M:%S%z",
    "T%H:%M:%S%.f%z",
    " %H:%M:%S%z",
    " %H:%M:%S%.f%z",
    " %I:%M %p",
    " %I:%M:%S %p",
)
DAY = 86_400_000_000  # microseconds
CODE = r"^[+-]?0\d"  # a zero in front is part of a code, of a number it is none

_FOR_PEOPLE = {" ": "blanks", "\u00a0": "blanks", "\u202f": "blanks"}
_SEPARATED = r"\d[., '\u2019\u00a0\u202f]\d"  # a number whose decimal or thousands character shows
_SAMPLE = 5000  # rows by which numerals are guessed, from all over the table, as it may be sorted


@dataclass(frozen=True)
class Numerals:
    """How numbers are written.

    Attributes
    ----------
    decimal : str
        The character before the fraction.
    thousands : str
        The character between groups of three digits; empty if there is none.
    missing : tuple of str
        Texts, numbers, or dates in ISO 8601, that the user has named as missing values, besides `MISSING`.
    """

    decimal: str = "."
    thousands: str = ""
    missing: tuple[str, ...] = ()

    @property
    def pattern(self) -> str:
        """A regular expression for numbers; without exponents if thousands are separated."""
        point = re.escape(self.decimal)
        plain = rf"^[+-]?(\d+{point}?\d*|{point}\d+)([eE][+-]?\d+)?$"
        if not self.thousands:
            return plain
        return rf"{plain}|^[+-]?[1-9]\d{{0,2}}({re.escape(self.thousands)}\d{{3}})+({point}\d*)?$"

    @property
    def told(self) -> str:
        """A note on how numbers are written, where that is not the plain way."""
        return f" ({self})" if self.decimal != "." or self.thousands else ""

    def __str__(self) -> str:
        text = f"{self.decimal!r} decimal"
        if self.thousands:
            text += f", {_FOR_PEOPLE.get(self.thousands, repr(self.thousands))} between thousands"
        return text

    def present(self, series: Any, tokens: bool = True) -> Any:
        """A column of texts with null for missing values: `tokens`, empty texts and those named by the user.

        A number that is named is missing however it is written, as -999 is in -999.0; but not with zeros in front.
        """
        absent = {"", *self.missing, *(MISSING if tokens else ())}  # polars refuses a text that is there twice
        texts = series.str.strip_chars().replace(list(absent), None)
        if not len(self._named):
            return texts
        numbers = self.parse(texts.set(texts.str.contains(CODE).fill_null(False), None))
        return texts.set(numbers.is_in(self._named.tolist()).fill_null(False), None)

    @cached_property
    def _named(self) -> NDArray[np.float64]:
        """The numbers that the user has named as missing values, the same for every column."""
        import polars

        named = values_of(self.parse(polars.Series(self.missing, dtype=polars.String)))
        return named[~np.isnan(named)]

    def parse(self, series: Any) -> Any:
        """The numbers in a column of texts; null where a text is not a number."""
        import polars

        texts = series.str.replace("\u2212", "-", literal=True)
        if self.thousands or self.decimal != ".":
            texts = texts.set(~texts.str.contains(self.pattern).fill_null(False), None)
            if self.thousands:
                texts = texts.str.replace_all(self.thousands, "", literal=True)
            texts = texts.str.replace(self.decimal, ".", literal=True)
        return texts.cast(polars.Float64, strict=False)

    def numbers_of(self, series: Any) -> NDArray[np.float64]:
        """A column that a file has as numbers or truth values, NaN where it is null or a number named as missing."""
        import polars

        values = values_of(series.cast(polars.Float64))
        if series.dtype == polars.Boolean:
            return values
        with np.errstate(over="ignore"):
            single = self._named.astype(np.float32).astype(np.float64)  # as it is in a column of float32
        return np.where(np.isin(values, [*self._named, *single[np.isfinite(single)]]), np.nan, values)

    def days_of(self, series: Any, form: str = "") -> NDArray[np.float64]:
        """Days since 1970 of a column that a file has as dates, NaN where it is null or a date named as missing.

        Those are of ISO 8601 or, where training had texts, of their format.
        """
        import polars

        values = values_of(days(series, ""))
        if not self.missing:
            return values
        texts = polars.Series(self.missing, dtype=polars.String)
        named = iso_days(texts)
        if form:
            named = days(texts, form).fill_null(named)
        return np.where(np.isin(values, values_of(named)), np.nan, values)


def guess(
    frame: Any,
    decimal: str | None,
    thousands: str | None,
    missing: tuple[str, ...],
    commas: bool,
    like: Numerals | None,
) -> tuple[Numerals, str]:
    """Guess how a table writes its numbers: in the way that makes most of its columns numbers.

    Parameters
    ----------
    frame : polars.DataFrame
        The columns.
    decimal, thousands : str, optional
        The characters that are known.
    missing : tuple of str
        Texts for missing values.
    commas : bool
        Whether commas separate columns, so that a comma within a number is more likely to separate thousands.
    like : Numerals, optional
        The way to prefer if it does as well as others.

    Returns
    -------
    numerals : Numerals
        The way.
    doubtful : str
        The character before fractions, if all of them have three places, so that it may stand between thousands; empty
        if that is unlikely.
    """
    import polars

    ways = [
        (".", ""),
        (",", ""),
        (".", ","),
        (",", "."),
        (".", "'"),
        (".", "\u2019"),
        (".", "\u00a0"),
        (",", "\u00a0"),
        (",", "\u202f"),
        (",", " "),
        (".", " "),
    ]
    if commas:
        ways[1:3] = ways[2:0:-1]
    if decimal is not None or thousands is not None:
        chosen = {(decimal or d, t if thousands is None else thousands) for d, t in ways if d != thousands}
        ways = [(d, t) for d, t in ways if (d, t) in chosen] + sorted(chosen - set(ways))
        ways = [(d, t) for d, t in ways if d != t] or [(decimal or ".", thousands or "")]
    if like is not None:
        ways.sort(key=lambda way: way != (like.decimal, like.thousands))
    sample = frame.gather_every(max(1, -(-frame.height // _SAMPLE)))
    columns = [Numerals(missing=missing).present(s) for s in sample if s.dtype == polars.String]
    texts = polars.DataFrame([s for s in columns if s.str.contains(_SEPARATED).any()])  # others are the same anyway
    if not texts.width:
        return Numerals(*ways[0], missing), ""
    scores = [sum(texts.select(polars.all().str.contains(Numerals(*way).pattern).mean()).row(0)) for way in ways]
    best = int(np.argmax(np.array(scores) + 1e-9 * np.arange(len(ways), 0, -1)))
    numerals = Numerals(*ways[best], missing)
    sure = numerals.thousands or (commas and numerals.decimal == ".") or str(like) == str(numerals)
    as_good = [between for (_, between), score in zip(ways, scores, strict=True) if score >= scores[best]]
    if sure or numerals.decimal not in as_good:
        return numerals, ""
    group = rf"^[+-]?[1-9]\d{{0,2}}{re.escape(numerals.decimal)}\d{{3}}$"
    return numerals, numerals.decimal if any(texts.select(polars.all().str.contains(group).any()).row(0)) else ""


def date_format(series: Any, share: float = 0.0) -> str | None:
    """The format in which a column of texts writes its dates; None if more than this share of them are no dates."""
    sample = series.gather_every(-(-len(series) // 100) or 1)
    doubtful = int(2 * share * len(sample))  # a sample may have more than its share
    if int((~sample.str.contains(r"\d,?[-/. ]")).sum()) > doubtful:
        return None
    found, fewest = None, int(share * len(series)) + 1
    for day in DATES:
        for time in TIMES:
            form = day + time
            if days(sample, form).null_count() > doubtful or (strays := days(series, form).null_count()) >= fewest:
                continue
            if not strays:
                return form
            found, fewest = form, strays
    return found


def in_words(form: str) -> str:
    """A format of `date_format` in words; where there is none, what ISO 8601 has."""
    return next((words for day, words in DATES.items() if form.startswith(day)), DATES["%Y-%m-%d"])


def days(series: Any, form: str) -> Any:
    """Days since 1970 of a column of dates, or of texts in a format; null where a text is not a date."""
    import polars

    if str(series.dtype) == "String":
        texts = series.set(~series.str.contains(_years(form)).fill_null(False), None)
        texts = texts if ":" in form else texts + " 00:00"
        series = texts.str.to_datetime(form if ":" in form else f"{form} %H:%M", strict=False, time_unit="us")
    if getattr(series.dtype, "time_zone", None):  # the same moment in UTC
        series = series.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    return series.cast(polars.Datetime("us")).cast(polars.Int64).cast(polars.Float64) / DAY


def _years(form: str) -> str:
    """A regular expression for texts whose years have all digits that a format has; polars takes fewer."""
    digits = {"%Y": r"\d{4}", "%y": r"\d\d"}
    day = re.split("[ T]%[HI]", form)[0]
    return "^" + re.sub("%[a-zA-Z]", lambda found: digits.get(found[0], r"\w+"), re.escape(day)) + r"([ T]|$)"


def iso_days(series: Any) -> Any:
    """Days since 1970 of a column of texts in ISO 8601, with a time or without; null where a text is not a date."""
    values = days(series, f"%Y-%m-%d{TIMES[0]}")
    for time in TIMES[1:]:
        if values.null_count() == series.null_count():
            break
        values = values.fill_null(days(series, f"%Y-%m-%d{time}"))
    return values


def days_as(series: Any, form: str) -> Any:
    """Days since 1970 of texts in a format, or in ISO 8601, with a time or without, if it is that or there is none."""
    values = days(series, form) if form else iso_days(series)
    if form.startswith("%Y-%m-%d") and values.null_count() > series.null_count():
        values = values.fill_null(iso_days(series))
    return values


def values_of(series: Any) -> NDArray[np.float64]:
    """A column of numbers as an array, NaN where it is null."""
    return series.to_numpy().astype(np.float64)
