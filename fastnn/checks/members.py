"""Checks of the data and settings of many networks: those of one network, or one for each member."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastnn.checks.arrays import as_floats, as_numbers, check_finite, check_real, has_flags, has_masked
from fastnn.checks.data import (
    check_inputs,
    check_sample_weight,
    check_some_present,
    check_targets,
    check_weights,
    without_marks,
)
from fastnn.checks.memory import check_memory
from fastnn.checks.optimizers import check_optimizer
from fastnn.checks.values import AT_LEAST_0, Interval, check_integer, describe, is_iterable
from fastnn.settings.catalogue import Loss
from fastnn.settings.intervals import intervals_of
from fastnn.settings.optimizers import Optimizer
from fastnn.settings.schedules import Schedule, constant
from fastnn.settings.solvers import Solver
from fastnn.settings.spec import NetworkSpec


def check_ensemble_params(params: Any, spec: NetworkSpec) -> NDArray:
    """Parameters of members, shape (K, n_params).

    Raises
    ------
    TypeError
        If it is not an array of real numbers.
    ValueError
        If it has another shape, or a value that overflows the network's dtype.
    """
    params = check_real("params", params, spec, f"(K, {spec.n_params})")
    if params.ndim != 2 or params.shape[1] != spec.n_params:
        raise ValueError(f"params must have shape (K, {spec.n_params}), a row for each member; got {params.shape}")
    return params


def check_members(members: Any, params: Any, spec: NetworkSpec) -> tuple[NDArray[np.int64], NDArray | None]:
    """The members' numbers, shape (K,), and their initial parameters, or None if they are to be drawn.

    Raises
    ------
    TypeError, ValueError
        If neither is given, if both are given and differ in number, or if one is invalid.
    """
    if members is None and params is None:
        raise ValueError("members must be the number of networks to train, unless params are given; got None")
    first = None
    if params is not None:
        first = check_ensemble_params(params, spec)
        check_finite("params", first)
        members = len(first) if members is None else members
    if isinstance(members, np.ndarray) or is_iterable(members):
        numbers = _as_integers(members, "members must be a count, or the members' numbers, at least 0")
    else:
        count = check_integer("members", members, 1)
        check_memory("members", count, spec.n_params * np.dtype(spec.dtype).itemsize)
        numbers = np.arange(count, dtype=np.int64)
    if len(numbers) == 0:
        raise ValueError("members must be at least one; got none")
    if first is not None and len(first) != len(numbers):
        raise ValueError(f"params must have a row for each of the {len(numbers)} members; got {len(first)}")
    return numbers, first


def check_seeds(seeds: Any, members: int) -> NDArray[np.int64]:
    """A seed for each member, shape (K,); raises ValueError if it is anything else."""
    return _one_for_each("seeds", seeds, members)


def check_positions(positions: Any, members: int) -> NDArray[np.intp]:
    """A position for each member, shape (K,); 0, 1, 2 ... for None; raises ValueError if it is anything else."""
    if positions is None:
        return np.arange(members)
    return _one_for_each("positions", positions, members).astype(np.intp, copy=False)


def _one_for_each(argument: str, values: Any, members: int) -> NDArray[np.int64]:
    expected = f"{argument} must be integers of at least 0, one for each of the {members} members"
    numbers = _as_integers(values, expected)
    if len(numbers) != members:
        raise ValueError(f"{expected}; got {describe(values)}")
    return numbers


def _as_integers(values: Any, expected: str) -> NDArray[np.int64]:
    """Integers of at least 0 that fit into int64, in one dimension."""
    try:
        numbers = np.empty((0, 0)) if has_masked(values) or has_flags(values) else np.asarray(values)
    except Exception:  # ragged, or whatever the array of another library raises
        numbers = np.empty((0, 0))
    if numbers.size == 0 and numbers.ndim == 1:
        return numbers.astype(np.int64)
    if numbers.ndim != 1 or numbers.dtype.kind not in "iu" or numbers.min() < 0 or numbers.max() >= 2**63:
        raise ValueError(f"{expected}; got {describe(values)}")
    return numbers.astype(np.int64)


def check_for_each(argument: str, value: Any, members: int, interval: Interval = AT_LEAST_0) -> NDArray[np.float64]:
    """A number for each member, shape (K,), from one for all or one for each.

    Raises
    ------
    TypeError
        If it is not a real number, nor an array of them.
    ValueError
        If it has another shape, or a number is outside the interval.
    """
    if type(value) is float and value in interval:
        return constant(value, members)
    numbers = as_floats(argument, value, np.dtype(np.float64), f"() or ({members},)")
    if has_flags(value):
        raise TypeError(f"{argument} must be {interval}, or one for each of the members; got {describe(value)}")
    if numbers.shape not in ((), (members,)):
        raise ValueError(
            f"{argument} must be one number, or one for each of the {members} members; got {numbers.shape}"
        )
    bad = ~((numbers >= interval.low) & (numbers < interval.high))
    if bad.any():
        raise ValueError(f"{argument} must be {interval}; got {numbers[bad].flat[0] if numbers.shape else numbers}")
    return np.full(members, numbers)


def check_optimizers(
    optimizer: Any, members: int
) -> tuple[Optimizer | Solver, NDArray[np.float64], NDArray[np.float64]]:
    """An optimizer with plain settings, and each member's learning rate and momentum, shape (K,).

    If the rate is a schedule, the members' rates are 1, which the schedule multiplies; a solver has none.

    Raises
    ------
    TypeError, ValueError
        As `fastnn.checks.check_optimizer`, and `check_for_each` for a rate or momentum of several numbers.
    """
    each = {}
    for name in ("learning_rate", "momentum"):
        value = getattr(optimizer, name, None)
        if isinstance(value, np.ndarray) or is_iterable(value):
            argument = f"{name} of {type(optimizer).__name__}"
            each[name] = check_for_each(argument, value, members, intervals_of(type(optimizer))[name])
    plain = check_optimizer(
        replace(optimizer, **{name: float(max(values)) for name, values in each.items()}) if each else optimizer
    )
    rate = getattr(plain, "learning_rate", 1.0)
    rates = each.get("learning_rate", constant(1.0 if isinstance(rate, Schedule) else rate, members))
    return plain, rates, each.get("momentum", constant(getattr(plain, "momentum", 0.0), members))


def check_data(
    X: Any, y: Any, sample_weight: Any, spec: NetworkSpec, loss: Loss, members: int
) -> tuple[NDArray, NDArray, NDArray]:
    """Finite samples, targets and weights in blocks, shapes (1 or K, n, n_in), (1 or K, n, n_targets), (0, 1 or K, n).

    Class labels become rows of zeros and a one.

    Raises
    ------
    TypeError, ValueError
        If one is invalid.
    """
    X, y = _as_array("X", X, "(n, n_in) or (K, n, n_in)"), _as_array("y", y, "(n, n_out), (n,) or (K, n, n_out)")
    sample_weight = _as_array("sample_weight", sample_weight, "(n,) or (K, n)")
    if np.ndim(X) == 3:
        _check_blocks("X", X, members)
        blocks = np.stack([check_inputs(block, spec, least=1) for block in X])
    else:
        blocks = check_inputs(X, spec, least=1)[None]
    n, n_targets = blocks.shape[1], loss.n_targets(spec.n_out)
    if np.ndim(y) == 3 or np.shape(y) == (members, n) != (n, n_targets):  # the latter: a row for each member
        _check_blocks("y", y, members)
        targets = np.stack([_one_hot(check_targets(block, spec, loss, n), spec) for block in y])
    else:
        targets = _one_hot(check_targets(y, spec, loss, n), spec)[None]
    weights = np.empty((0, n), spec.dtype)
    if sample_weight is not None and np.ndim(sample_weight) == 2:
        _check_blocks("sample_weight", sample_weight, members)
        weights = check_real("sample_weight", sample_weight, spec, f"({n},) or ({members}, {n})")
        if weights.shape != (members, n):
            raise ValueError(f"sample_weight must have shape ({n},) or ({members}, {n}); got {weights.shape}")
        weights = check_weights(weights, spec)
    elif sample_weight is not None:
        shared = check_sample_weight(sample_weight, spec, n)
        weights = weights if shared is None else shared[None]
    for name, array in (("X", blocks), ("y", targets), ("sample_weight", weights)):
        if name != "y" or not loss.masked:
            one = len(array) == 1
            check_finite(name, array[0] if one else array, ("row", "column") if one else ("member", "row", "column"))
    given = weights if len(weights) else None
    check_some_present(loss, targets, given)
    return without_marks(blocks, given), without_marks(targets, given), weights


def check_features(features: Any, spec: NetworkSpec, members: int) -> NDArray[np.bool_] | None:
    """Which features each member uses, shape (K, n_in); None if all use all.

    Raises
    ------
    TypeError, ValueError
        If it is not an array of bool of this shape, or a member would have no features.
    """
    if features is None:
        return None
    seen = as_numbers("features", features, str((members, spec.n_in))).copy("C")
    if seen.dtype != np.bool_ or seen.shape != (members, spec.n_in):
        expected = f"features must be an array of bool of shape {(members, spec.n_in)}"
        raise (TypeError if seen.dtype != np.bool_ else ValueError)(f"{expected}; got {describe(seen)}")
    blind = ~seen.any(axis=1)
    if blind.any():
        raise ValueError(f"features must leave each member at least one; got none for member {int(blind.argmax())}")
    return seen


def _as_array(argument: str, value: Any, shape: str) -> Any:
    """Anything whose dimensions are not known, such as a list, as an array; arrays are left for later checks."""
    return value if value is None or isinstance(value, np.ndarray) else as_numbers(argument, value, shape)


def _check_blocks(argument: str, value: Any, members: int) -> None:
    if len(value) != members:
        raise ValueError(f"{argument} must have a block for each of the {members} members; got {len(value)}")


def _one_hot(y: NDArray, spec: NetworkSpec) -> NDArray:
    return y if y.ndim == 2 else np.eye(spec.n_out, dtype=spec.dtype)[y]


def check_quantiles(argument: str, q: ArrayLike) -> NDArray[np.float64]:
    """Numbers from 0 to 1.

    Raises
    ------
    TypeError, ValueError
        If it is not such an array.
    """
    numbers = as_floats(argument, q, np.dtype(np.float64), "")
    if not ((numbers >= 0) & (numbers <= 1)).all():
        raise ValueError(f"{argument} must be numbers from 0 to 1; got {describe(q)}")
    return numbers
