"""Arguments as the figures take them: numbers and classes in vectors of the same length, names, and networks."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastnn.checks import counted, describe, has_masked, is_iterable, listed
from fastnn.checks.arrays import DTYPES, as_floats
from fastnn.models.mlp import MLP


def numbers(name: str, values: ArrayLike, shape: str = "(n,)") -> NDArray[np.float64]:
    """An array of real numbers, which may come as objects.

    Raises
    ------
    TypeError, ValueError
        If it holds anything else, complex numbers or dates say, or something masked.
    """
    if values is not None and not has_masked(values):
        with suppress(Exception):  # whatever an array of another library raises; it is refused below
            values = np.asarray(values)
            if values.dtype.kind == "O" and not any(isinstance(value, (str, bytes)) for value in values.flat):
                values = values.astype(float)
    return as_floats(name, values, DTYPES["float64"], shape).astype(float)


def number(name: str, value: Any) -> float:
    """A real number, which may be NaN or infinite; raises TypeError or ValueError if it is none."""
    array = numbers(name, value, "()")
    if array.ndim:
        raise ValueError(f"{name} must be a number; got an array of shape {array.shape}")
    return float(array)


def vectors(**given: ArrayLike) -> list[NDArray[np.float64]]:
    """The arguments as vectors of numbers, all as long as the first and of at least one number.

    Raises
    ------
    TypeError, ValueError
        If one has another shape, or does not hold real numbers.
    """
    return _alike({name: numbers(name, values) for name, values in given.items()})


def class_labels(**given: ArrayLike) -> list[NDArray[Any]]:
    """The arguments as vectors of classes, numbers or texts, all as long as the first."""
    for name, values in given.items():
        if has_masked(values):
            raise ValueError(f"{name} must hold a class for each sample; got a masked array")
        if any(map(_is_missing, _as_array(name, values).ravel().tolist())):
            raise ValueError(f"{name} must hold a class for each sample; got one that is missing")
    return _alike({name: _as_array(name, values) for name, values in given.items()})


def _as_array(name: str, values: Any) -> NDArray[Any]:
    try:
        return np.asarray(values)
    except Exception as error:  # ragged, or whatever the array of another library raises
        raise TypeError(f"{name} must hold a class for each sample; got {describe(values)}") from error


def literal(text: Any) -> str:
    """A text of the data's as matplotlib shows it unchanged: between two dollar signs it would read a formula."""
    return str(text).replace("$", r"\$")


def check_mapping(argument: str, given: Any) -> Mapping[str, Any]:
    """A mapping from the names in a legend; raises TypeError if it is none."""
    if not isinstance(given, Mapping):
        raise TypeError(f"{argument} must be a mapping, a name for each of what is drawn; got {describe(given)}")
    return given


def check_names(argument: str, given: Any, count: int | None = None) -> list[Any]:
    """Names of what is drawn, of which there must be `count`, unless it is None.

    Raises
    ------
    TypeError, ValueError
        If they are no sequence of names, or of another length.
    """
    if not (is_iterable(given) and hasattr(given, "__len__") and getattr(given, "ndim", 1) == 1) or any(
        map(np.ndim, given)
    ):
        raise TypeError(f"{argument} must be a sequence of names; got {describe(given)}")
    if not all(isinstance(name, Hashable) for name in given):
        raise TypeError(f"{argument} must be numbers or texts; got {listed([*map(describe, given)])}")
    if count is not None and len(given) != count:
        raise ValueError(f"{argument} must have {counted(count, 'name')}; got {len(given)}")
    return list(given)


def check_net(net: Any) -> MLP:
    """A network; raises TypeError if it is none."""
    if not isinstance(net, MLP):
        raise TypeError(f"net must be a fastnn.MLP; got {describe(net)}")
    return net


def series(argument: str, given: Any, first: NDArray[Any], of: str) -> dict[str, NDArray[np.float64]]:
    """Vectors of numbers by the names that a legend gives them, as long as the first, which has the name `of`."""
    drawn = {}
    for name, values in check_mapping(argument, given).items():
        told = f"{name} of {argument}"
        drawn[name] = _as_long_as(first, of, _vector(told, numbers(told, values)), told)
    return drawn


def places(names: Sequence[str | int], **given: NDArray[Any]) -> list[NDArray[np.intp]]:
    """Where each of the given classes stands among all of them; raises ValueError if one does not."""
    place = {name: k for k, name in enumerate(names)}
    found = []
    for argument, classes in given.items():
        strange = next((name for name in classes.tolist() if name not in place), None)
        if strange is not None:
            raise ValueError(f"{argument} must hold classes among {listed([*map(repr, names)])}; got {strange!r}")
        found.append(np.array([place[name] for name in classes.tolist()]))
    return found


def _is_missing(label: Any) -> bool:
    return label is None or type(label).__name__ == "NAType" or (isinstance(label, float) and np.isnan(label))


def _alike(given: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
    arrays = {name: _vector(name, array) for name, array in given.items()}
    of, first = next(iter(arrays.items()))
    return [_as_long_as(first, of, array, name) for name, array in arrays.items()]


def _vector(name: str, array: NDArray[Any]) -> NDArray[Any]:
    array = array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array
    if array.ndim != 1 or not len(array):
        raise ValueError(f"{name} must have shape (n,) or (n, 1) with at least one number; got {array.shape}")
    return array


def _as_long_as(first: NDArray[Any], of: str, array: NDArray[Any], name: str) -> NDArray[Any]:
    if len(array) != len(first):
        raise ValueError(f"{name} must be as long as {of}, {len(first)}; got {len(array)}")
    return array
