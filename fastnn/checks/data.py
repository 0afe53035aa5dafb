"""Checks of what a network is trained on: samples, targets, and the samples' weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn.checks.arrays import DTYPES, as_floats, as_numbers, check_finite, check_real
from fastnn.checks.values import counted, describe
from fastnn.jobs.missing import counted_weights
from fastnn.settings.catalogue import Loss
from fastnn.settings.constants import SUM_TOLERANCE
from fastnn.settings.describing import bounds
from fastnn.settings.own import plain_name
from fastnn.settings.spec import NetworkSpec

_INTP = np.dtype(np.intp)

#: The smallest normal number of each dtype, and its reciprocal: that of a larger number is zero to kernels.
_LIMITS = {dtype: (least := np.finfo(dtype).smallest_normal, 1 / float(least)) for dtype in DTYPES.values()}

#: Ends the refusal of classes that have names.
_HOW_TO_NUMBER = "; np.unique(y, return_inverse=True)[1] turns names into labels"


def check_inputs(X: Any, spec: NetworkSpec, *, least: int = 0, argument: str = "X") -> NDArray:
    """Samples, shape (n, n_in) with n of at least `least`; errors call them `argument`.

    Raises
    ------
    TypeError
        If it is not an array of real numbers.
    ValueError
        If it is ragged, masked or of another shape, or has a value that overflows the network's dtype.
    """
    dtype, n_in = DTYPES[spec.dtype], spec.sizes[0]
    if not (type(X) is np.ndarray and X.dtype is dtype and X.flags.carray):
        X = as_floats(argument, X, dtype, f"(n, {n_in})")
    if X.ndim != 2 or X.shape[1] != n_in:
        raise ValueError(f"{argument} must have shape (n, {n_in}); got {X.shape}{_how_to_shape(argument, X, n_in)}")
    if len(X) < least:
        raise ValueError(f"{argument} must have at least {least} row; got shape {X.shape}")
    return X


def _how_to_shape(argument: str, X: NDArray, n_in: int) -> str:
    """What to pass instead of samples of a usual wrong shape, to end an error message with."""
    if X.shape == (n_in,):
        return "; for one sample x, pass [x]"
    if X.ndim == n_in == 1:
        return f"; for one feature, pass {argument}[:, None]"
    return f"; samples are rows: pass {argument}.T" if X.ndim == 2 and len(X) == n_in else ""


def check_sample(x: Any, spec: NetworkSpec) -> NDArray:
    """One sample, shape (n_in,); raises as `check_inputs`."""
    dtype, n_in = DTYPES[spec.dtype], spec.sizes[0]
    if not (type(x) is np.ndarray and x.dtype is dtype and x.flags.carray):
        x = as_floats("x", x, dtype, f"({n_in},)")
    if x.shape != (n_in,):
        hint = "; predict takes many samples" if x.ndim == 2 else ""
        raise ValueError(f"x must have shape ({n_in},); got {x.shape}{hint}")
    return x


def check_samples(x: Any, spec: NetworkSpec) -> NDArray:
    """One sample, shape (n_in,), or several, shape (n, n_in); raises as `check_inputs`."""
    n_in = spec.sizes[0]
    shapes = f"({n_in},) or (n, {n_in})"
    x = x if isinstance(x, np.ndarray) else as_numbers("x", x, shapes)
    if x.ndim not in (1, 2):
        raise ValueError(f"x must have shape {shapes}; got {x.shape}")
    return check_inputs(x, spec, argument="x") if x.ndim == 2 else check_sample(x, spec)


def check_targets(y: Any, spec: NetworkSpec, loss: Loss, rows: int) -> NDArray:
    """Targets of the loss, shape (rows, n_targets), or class labels, shape (rows,) of intp.

    Targets of shape (rows,) become a column if the network has one target and the loss takes no labels; one target
    serves all outputs if the loss says so. NaN passes here, as it is found while training, or marks a missing target if
    the loss is masked.

    Raises
    ------
    TypeError
        If it is not an array of real numbers.
    ValueError
        If it is ragged, masked or of another shape, or has a value that overflows the network's dtype or for which the
        loss is not defined, including infinity if the loss is masked.
    """
    dtype, n_out, n_targets = DTYPES[spec.dtype], spec.sizes[-1], loss.n_targets(spec.sizes[-1])
    if loss.labels and type(y) is np.ndarray and y.dtype is _INTP and y.shape == (rows,):
        return _as_labels(y, n_out)
    if not (type(y) is np.ndarray and y.dtype is dtype and y.flags.carray and y.ndim == 2):
        column = n_targets == 1 or loss.one_target
        labels = ", or (n,) for class labels" if loss.labels else ", or (n,)" if column else ""
        expected = f"(n, {n_targets}){labels}"
        y = as_numbers("y", y, expected, _HOW_TO_NUMBER if loss.labels else "")
        if y.ndim == 1 and len(y) != rows:
            raise ValueError(f"y must have as many rows as X, {rows}; got {len(y)}")
        if y.ndim == 1 and loss.labels:
            return _as_labels(y, n_out)
        if y.ndim == 1 and column:
            y = y[:, None]
        if y.ndim != 2:
            hint = "; class labels need output_activation='softmax' and loss='cross_entropy'"
            raise ValueError(
                f"y must have shape {expected}; got {y.shape}{hint if y.ndim == 1 and y.dtype.kind in 'biu' else ''}"
            )
        y = as_floats("y", y, dtype, expected)
    if loss.one_target and y.shape == (rows, 1):
        y = np.repeat(y, n_out, axis=1)
    if y.shape != (rows, n_targets):
        labels = f", or ({rows},) for class labels" if loss.labels else ""
        raise ValueError(f"y must have shape {(rows, n_targets)}, a row for each of X{labels}; got {y.shape}")
    check_target_range(y, loss)
    if loss.masked and np.isinf(y).any():
        i, j = divmod(int(np.argmax(np.isinf(y))), n_targets)
        raise ValueError(f"y must be finite, or NaN where it is missing; got {y[i, j]} in row {i}, column {j}")
    return y


def copied_labels(y: NDArray) -> NDArray:
    """Targets of a run, labels copied: kernels use them as indices, and a callback may change the user's array."""
    return y.copy() if y.ndim == 1 else y


def count_classes(y: Any) -> int:
    """How many classes there are by class labels `y`, shape (n,): one more than the largest.

    Raises
    ------
    TypeError
        If it is not an array of real numbers.
    ValueError
        If there are none, or one is no integer of at least 0.
    """
    y = as_numbers("y", y, "(n,)")
    if y.ndim != 1 or not y.size:
        raise ValueError(f"y must have shape (n,), a class label for each row of X; got {y.shape}")
    bad = ~(np.isfinite(y) & (y >= 0)) | (y != np.floor(y))
    if bad.any():
        row = int(np.argmax(bad))
        raise ValueError(f"y must hold class labels, integers of at least 0; got {y[row]} in row {row}")
    return int(y.max()) + 1


def check_sample_weight(sample_weight: Any, spec: NetworkSpec, rows: int) -> NDArray | None:
    """Weights of the samples, shape (rows,), or None; NaN passes here, as it is found while training.

    Raises
    ------
    TypeError
        If it is not an array of real numbers.
    ValueError
        If it has another shape or a negative weight, or its sum is 0 or too large.
    """
    if sample_weight is None:
        return None
    weights = check_real("sample_weight", sample_weight, spec, f"({rows},)")
    if weights.shape != (rows,):
        raise ValueError(f"sample_weight must have shape ({rows},), a weight for each row of X; got {weights.shape}")
    return check_weights(weights, spec)


def largest_sum(dtype: np.dtype, n_out: int) -> float:
    """The largest sum of weights that kernels can divide by, times the number of outputs."""
    return _LIMITS[dtype][1] / n_out


def check_weights(weights: NDArray, spec: NetworkSpec) -> NDArray:
    """Weights, shape (rows,) or (K, rows), of which those below the smallest normal number are 0, as kernels take them.

    Raises
    ------
    ValueError
        If a weight is below 0; or if a row of the weights is all zeros, or its sum, times the number of outputs,
        has a reciprocal that underflows.
    """
    tiny, most = _LIMITS[weights.dtype][0], largest_sum(weights.dtype, spec.n_out)
    members = weights.ndim > 1
    if weights.min() < tiny:
        if (weights < 0).any():
            place = np.unravel_index(int(np.argmax(weights < 0)), weights.shape)
            where = ", ".join(f"{axis} {i}" for axis, i in zip(("member", "row")[-len(place) :], place, strict=True))
            raise ValueError(f"sample_weight must be at least 0; got {weights[place]} in {where}")
        weights = np.where(weights < tiny, weights.dtype.type(0), weights)
    with np.errstate(over="ignore"):
        sums = np.atleast_1d(weights.sum(axis=-1, dtype=np.float64))
    bad = ~((sums > 0) & (sums <= most))
    if bad.any():
        which = int(np.argmax(bad))
        of = f" for member {which}" if members else ""
        if sums[which] == 0:
            raise ValueError(f"sample_weight must have a sum above 0; got only zeros{of}")
        if np.isfinite(weights[which] if members else weights).all():
            raise ValueError(f"sample_weight must have a sum of at most {most:.3g}; got {sums[which]:.3g}{of}")
    return weights


def without_marks(values: NDArray, sample_weight: NDArray | None) -> NDArray:
    """Samples, or what belongs to them, in which rows of weight 0 lie between the others, or between them and 0.

    What lies elsewhere often marks what is missing. A loss might overflow there, and infinity times 0 is NaN. NaN and
    infinity themselves stay, to be refused.

    Parameters
    ----------
    values : ndarray, shape (n, ...), or (1 or K, n, ...) for K members
        Class labels are returned as they are.
    sample_weight : ndarray, shape (n,), or (1 or K, n) for K members, or None
        Their weights.
    """
    if sample_weight is None or sample_weight.all() or values.dtype.kind != "f":
        return values
    uncounted = sample_weight == 0
    if uncounted.ndim > 1:
        uncounted = np.broadcast_to(uncounted.all(axis=0) if len(values) == 1 else uncounted, values.shape[:2])
    rows = values[uncounted]
    counted = np.expand_dims(~uncounted, tuple(range(uncounted.ndim, values.ndim)))
    axis = tuple(range(values.ndim - 1))
    low, high = (part.reduce(values, axis, where=counted, initial=0) for part in (np.fmin, np.fmax))
    between = np.clip(rows, low, high)
    far = np.isfinite(rows) & (between != rows)
    if not far.any():
        return values
    values = values.copy()
    values[uncounted] = np.where(far, between, rows)
    return values


def check_some_present(loss: Loss, y: NDArray, sample_weight: NDArray | None) -> None:
    """Refuse targets that are all missing, or present only where the weight is zero; a weight of NaN is found later.

    Raises
    ------
    ValueError
        If those of any block, shape (n, n_targets), are.
    """
    weights = counted_weights(loss, y, sample_weight) if loss.masked else None
    if weights is not None and (weights <= 0).all(axis=-1).any():
        raise ValueError("y must hold a target that is not NaN, of a sample whose weight is above 0; got none")


def check_batch(batch: Any, number: int, spec: NetworkSpec, loss: Loss) -> tuple[NDArray, NDArray, NDArray | None]:
    """Samples, targets and weights of a batch that an iterator yielded; raises as the checks of each."""
    X, y, weights = split_data(batch, "X must yield", f" as batch {number}")
    with naming(f"batch {number} of X"):
        X = check_inputs(X, spec, least=1)
        y, weights = check_targets(y, spec, loss, len(X)), check_sample_weight(weights, spec, len(X))
        return without_marks(X, weights), without_marks(y, weights), weights


def split_data(given: Any, must: str, where: str = "") -> tuple[Any, Any, Any]:
    """Samples, targets and weights, None without, that came as two or three; raises TypeError if they did not."""
    if not isinstance(given, (tuple, list)) or len(given) not in (2, 3):
        raise TypeError(f"{must} (X, y) or (X, y, sample_weight); got {describe(given)}{where}")
    return given[0], given[1], given[2] if len(given) == 3 else None


@contextmanager
def naming(data: str) -> Iterator[None]:
    """A context in which errors about samples, targets and weights say first whose these are."""
    try:
        yield
    except (TypeError, ValueError) as error:
        raise type(error)(f"{data}: {error}") from error


def check_finite_data(X: NDArray, y: NDArray, sample_weight: NDArray | None, *, masked: bool = False) -> None:
    """Refuse data with NaN or infinity, except in targets that are `masked`; raises as `check_finite`."""
    check_finite("X", X)
    if not masked:
        check_finite("y", y)
    if sample_weight is not None:
        check_finite("sample_weight", sample_weight)


def _as_labels(y: NDArray, classes: int) -> NDArray[np.intp]:
    """Class labels as intp."""
    if y.dtype is _INTP and y.flags.carray and y.size and np.maximum.reduce(np.ndarray(y.shape, np.uintp, y)) < classes:
        return y  # quickly: read without its sign, a negative number is a large one
    bad = (y < 0) | (y >= classes)
    if y.dtype.kind == "f":
        bad |= y != np.floor(y)  # NaN is no whole number either
    if bad.any():
        row = int(np.argmax(bad))
        expected = f"integers from 0 to {classes - 1} for {counted(classes, 'output')}"
        raise ValueError(f"y must hold class labels, {expected}; got {y[row]} in row {row}")
    labels = y.astype(np.intp, order="C", copy=False)
    return labels if labels.flags.carray else labels.copy()


def check_target_range(y: NDArray, loss: Loss) -> None:
    """Refuse targets for which the loss is not defined."""
    low, high = loss.targets
    if low > -np.inf or high < np.inf:
        bad = (y < low) | (y > high)
        if bad.any():
            row, column = divmod(int(np.argmax(bad)), y.shape[1])
            raise ValueError(
                f"y must be {bounds(low, high)} for {plain_name(loss.name)}; "
                f"got {y[row, column]} in row {row}, column {column}"
            )
    if loss.labels:
        sums = y.sum(axis=1)
        bad = abs(sums - 1) > SUM_TOLERANCE
        if bad.any():
            row = int(np.argmax(bad))
            raise ValueError(
                f"y must hold class labels or rows that sum to 1 for {loss.name}; got a sum of {sums[row]} in row {row}"
            )
