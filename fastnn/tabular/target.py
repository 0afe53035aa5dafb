"""The column to predict: numbers or classes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn.checks import check_name, check_number
from fastnn.settings import catalogue
from fastnn.tabular.encoding import as_texts, examples, finite, hardly_repeat, is_number, is_text
from fastnn.tabular.numerals import CODE, MISSING, Numerals, date_format, days_as, values_of

#: The losses by which a standardised number can be learned, and those of them that learn quantiles or expectiles.
NUMBER_LOSSES = tuple(
    row.name for row in catalogue.LOSSES.values() if row.metric == "r2" and row.mean and row.targets[0] == -np.inf
)
QUANTILE_LOSSES = tuple(name for name in NUMBER_LOSSES if catalogue.LOSSES[name].parameter is catalogue.QUANTILES)
QUANTILES = (0.05, 0.5, 0.95)  # where none are asked for
MOST_NUMBERED = 20  # whole numbers of so few values may be classes
MEANT = 0.1  # of its rows: a column with no more other texts is meant to hold numbers, or dates
WORDS = {"NA", "N/A", "n/a", "NaN", "nan", "NAN", "null", "NULL", "Null", "None", "-", "--"}  # may be a class
_WITH_SIGNS = r"^[+-]?[$€£¥]? ?[+-]?\d[\d.,' ]* ?[%€$£¥]?$"


@dataclass(frozen=True)
class Target:
    """The column to predict.

    Attributes
    ----------
    name : str
        Its name in the header.
    classes : tuple of str, or None
        Its classes, or None for a number.
    mean, scale : float
        Mean and standard deviation of the number in training.
    loss : str
        The loss by which networks learn it, in the catalogue.
    quantiles : tuple of float
        The levels of the quantiles or expectiles that are learned, an output each; otherwise empty.
    """

    name: str
    classes: tuple[str, ...] | None = None
    mean: float = 0.0
    scale: float = 1.0
    loss: str = "mse"
    quantiles: tuple[float, ...] = ()

    @property
    def n_out(self) -> int:
        """Number of outputs of a network."""
        if self.classes is not None:
            return len(self.classes)
        return len(self.quantiles) or catalogue.LOSSES[self.loss].outputs_per_target

    def prediction(self, outputs: NDArray) -> NDArray:
        """Of outputs, shape (..., n_out), all that are of classes, or the one that is the prediction of a number.

        Among quantiles it is the one nearest to the median.
        """
        if self.classes is not None:
            return outputs
        nearest = int(np.argmin(np.abs(np.array(self.quantiles or 0.5) - 0.5)))
        return outputs[..., nearest : nearest + 1]

    @property
    def meanings(self) -> list[str]:
        """What each output of a network is, in words."""
        if self.classes is not None:
            return [f"probability that {self.name} is {name!r}" for name in self.classes]
        number = f"({self.name} - {self.mean!r}) / {self.scale!r}"
        if self.loss == "gaussian_nll":
            least = catalogue.MIN_VARIANCE.default
            return [f"mean of {number}", f"s, where exp(s) + {least:g} is its variance"]
        what = "expectile" if self.loss == "expectile" else "quantile"
        return [f"{what} {level!r} of {number}" for level in self.quantiles] or [number]

    def learned_by(self, loss: str | None, quantiles: Sequence[float] = ()) -> Target:
        """The same target, whose networks learn it by a loss; None is that of the squared error, or of classes.

        Raises
        ------
        ValueError
            If the target is a class, the loss is unknown, or the quantiles do not go with it.
        """
        if loss is None and not quantiles:
            return self
        if self.classes is not None:
            raise ValueError("--loss and --quantiles are for numbers; the target is a class")
        row = catalogue.LOSSES[check_name("--loss", "mse" if loss is None else loss, NUMBER_LOSSES)]
        if row.parameter is not catalogue.QUANTILES:
            if quantiles:
                raise ValueError(f"--quantiles goes with --loss {', '.join(QUANTILE_LOSSES)}; got --loss {row.name}")
            return replace(self, loss=row.name)
        levels = sorted({check_number("--quantiles", level, row.parameter.interval) for level in quantiles})
        return replace(self, loss=row.name, quantiles=tuple(levels) or QUANTILES)

    @property
    def names(self) -> NDArray[np.str_]:
        """The classes, as an array."""
        return np.array(self.classes)

    @property
    def level_names(self) -> list[str]:
        """The levels of the quantiles as names: in six digits, or in all if those are the same."""
        short = [f"{level:g}" for level in self.quantiles]
        return short if len(set(short)) == len(short) else [str(level) for level in self.quantiles]

    @property
    def decimals(self) -> int:
        """Number of decimal places that a float32 network can resolve."""
        return int(np.clip(7 - np.floor(np.log10(abs(self.scale) or 1.0)), 0, 300))


def infer_target(series: Any, task: str | None, numerals: Numerals) -> tuple[Target, NDArray[np.float64], str]:
    """Find out what is to be predicted.

    Parameters
    ----------
    series : polars.Series, shape (n,)
        The column.
    task : {"regression", "classification"} or None
        If None, the values decide.
    numerals : Numerals
        How numbers are written.

    Returns
    -------
    target : Target
        The target, without mean and scale.
    y : ndarray of float64, shape (n,)
        The numbers, or the numbers of the classes; NaN where the target is missing.
    why : str
        Why it is taken for classes or for numbers, if that is not obvious.

    Raises
    ------
    ValueError
        If it is neither.
    """
    import polars

    name = series.name
    if is_number(series) and series.dtype != polars.Boolean:
        texts = as_texts(series) if series.dtype.is_integer() else None
        return _infer_from_numbers(name, numerals.numbers_of(series), texts, task)
    if not (is_text(series) or series.dtype == polars.Boolean):
        raise ValueError(f"column {name!r} must hold numbers or classes; it holds {series.dtype.base_type()}")
    texts = as_texts(series)
    present = numerals.present(texts)
    found = numerals.parse(present)
    strays = found.is_null() & present.is_not_null()
    count, strange = len(present.drop_nulls()), int(strays.sum())
    if count == strange or (task != "regression" and strange and not _meant_as_numbers(found, count, strange, task)):
        if task == "regression":
            raise ValueError(
                f"column {name!r} must hold numbers for a regression; it holds {examples(present, strays)}"
            )
        target, labels = _classes(name, _present_classes(texts, numerals))
        if task is None and count:
            _refuse_unlikely_classes(target, present, strays, numerals)
        return target, labels, ""
    if strange:
        text = present.filter(strays)[0]
        ways = "" if task == "regression" else ", and --task classification makes each text a class"
        raise ValueError(
            f"column {name!r} holds numbers except for {examples(present, strays)}:"
            f" --missing={text!r} counts that as missing{ways}"
        )
    if task is None and present.drop_nulls().str.contains(CODE).any():
        return *_classes(name, present), "leading zeros, as codes have; --task regression predicts the number"
    return _infer_from_numbers(name, values_of(found), present, task)


def _refuse_unlikely_classes(target: Target, texts: Any, strays: Any, numerals: Numerals) -> None:
    """Refuse texts, of which `strays` are no numbers, that look like something else than the target's classes.

    Raises
    ------
    ValueError
        If nearly all are dates, or all numbers with signs, or they hardly ever repeat.
    """
    name, classes, present = target.name, target.classes or (), texts.drop_nulls()
    if form := date_format(present, MEANT):
        raise ValueError(
            f"column {name!r} must hold numbers or classes; it holds dates, such as "
            f"{examples(texts, days_as(texts, form).is_not_null())}; --task classification makes each a class"
        )
    if present.str.contains(_WITH_SIGNS).all():
        raise ValueError(
            f"column {name!r} must hold numbers without currency or percent signs{numerals.told}; it holds "
            f"{examples(texts, strays)}; --task classification makes each a class"
        )
    if hardly_repeat(len(classes), len(present)):
        raise ValueError(
            f"column {name!r} must hold numbers, or classes of several rows each; it holds "
            f"{len(classes):,} different texts in {len(present):,} rows, such as "
            f"{examples(texts, strays)}; --task classification makes each a class"
        )


def _infer_from_numbers(
    name: str, values: NDArray[np.float64], texts: Any, task: str | None
) -> tuple[Target, NDArray[np.float64], str]:
    """What `infer_target` returns for numbers; `texts` are those that they are read from, None if there are none."""
    import polars

    absent = np.isnan(values)
    present = finite(name, values)[~absent]
    classify, why = (task == "classification", "") if task is not None else _are_classes(present)
    if not classify:
        return Target(name), values, why
    exact = bool((np.abs(present) < 2**53).all())  # larger whole numbers may be one float64
    if texts is None or (exact and texts.drop_nulls().n_unique() > len(np.unique(present))):
        whole = bool((present == np.rint(present)).all())
        texts = polars.Series([None if np.isnan(v) else str(int(v)) if whole else repr(float(v)) for v in values])
    return *_classes(name, texts.set(polars.Series(absent), None)), why


def _present_classes(texts: Any, numerals: Numerals) -> Any:
    """Texts of classes: a word such as None is a class, a sign such as #N/A a missing value."""
    signs = tuple(text for text in MISSING if text not in WORDS)
    return replace(numerals, missing=(*numerals.missing, *signs)).present(texts, tokens=False)


def _meant_as_numbers(found: Any, count: int, strange: int, task: str | None) -> bool:
    """Whether a column is meant to hold numbers, although some of its texts are not."""
    if task == "classification":
        return False
    return strange <= MEANT * count or (found.n_unique() > MOST_NUMBERED and 2 * strange < count)


def _are_classes(values: NDArray[np.float64]) -> tuple[bool, str]:
    """Whether numbers mean classes: there are two different integers, or a few numbers of which none is rare."""
    distinct, counts = np.unique(values, return_counts=True)
    if len(distinct) < 2 or len(distinct) > MOST_NUMBERED or (values != np.rint(values)).any():
        return False, ""
    if len(distinct) == 2:
        return True, ""
    if len(distinct) * 5 > len(values):
        return False, ""
    if counts.min() >= 0.2 * len(values) / len(distinct):
        return True, f"{len(distinct)} whole numbers, none of them rare; --task regression predicts the number"
    return False, (
        f"whole numbers from {distinct[0]:.0f} to {distinct[-1]:.0f}, some of them rare, as counts are;"
        " --task classification makes each a class"
    )


def _classes(name: str, texts: Any) -> tuple[Target, NDArray[np.float64]]:
    """The classes of a target, and the number of each row's class."""
    classes = texts.drop_nulls().unique().sort().to_list()
    if all(re.fullmatch(r"[+-]?\d+", text) for text in classes):
        classes.sort(key=int)
    if len(classes) > 1000:
        raise ValueError(f"column {name!r} has {len(classes):,} classes; at most 1,000 are possible")
    labels = texts.replace_strict(classes, np.arange(len(classes), dtype=float), default=None)
    return Target(name, tuple(classes), loss="cross_entropy"), values_of(labels)
