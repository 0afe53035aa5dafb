"""Checks of arrays, which return a plain ndarray: C-contiguous, aligned, writable and of the network's dtype.

An argument that is one already is not copied, and passes quickly. Anything else is converted, exactly or by rounding,
or refused.
"""

from __future__ import annotations

import sys
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn.checks.values import describe
from fastnn.settings.spec import NetworkSpec

_HOLDERS = (np.ndarray, list, tuple)

DTYPES: dict[str, np.dtype] = {"float32": np.dtype(np.float32), "float64": np.dtype(np.float64)}


def as_numbers(argument: str, value: Any, shape: str, of_texts: str = "") -> NDArray:
    """Any array of real numbers, bools included, whatever its dtype, order and byte order.

    `shape` is for messages, and so is `of_texts`, which says what to do with texts.
    """
    expected = f"{argument} must be an array of real numbers of {f'shape {shape}' if shape else 'any shape'}"
    if hasattr(value, "toarray"):
        raise TypeError(f"{expected}; got the sparse {describe(value)}, whose toarray() is dense")
    if has_masked(value):
        raise ValueError(f"{expected}; got a masked array, whose masked values would be lost")
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{expected}; got a ragged {type(value).__name__}") from error
    except MemoryError:
        raise
    except Exception as error:  # whatever the array of another library raises
        raise TypeError(f"{expected}; got {describe(value)}, which NumPy cannot turn into an array: {error}") from error
    if array.dtype.kind not in "biuf":
        came = describe(value if array.ndim == 0 else array)
        if array.dtype.kind in "OU" and array.ndim:
            came += of_texts or "; astype(float) converts it if it holds numbers"
        raise TypeError(f"{expected}; got {came}")
    return array


def has_masked(value: Any) -> bool:
    """Whether there is a masked value in an array, or in an array within a list."""
    if "numpy.ma" not in sys.modules:  # which is imported only where it is used
        return False
    if isinstance(value, np.ndarray):
        return type(value) is not np.ndarray and np.ma.is_masked(value)
    if not isinstance(value, (list, tuple)) or not any(issubclass(kind, _HOLDERS) for kind in set(map(type, value))):
        return False
    return any(map(has_masked, value))


def has_flags(value: Any) -> bool:
    """Whether there are bools among the numbers of a list, which an array made of it would hide; or in an array."""
    if isinstance(value, (list, tuple)):
        return any(map(has_flags, value))
    return isinstance(value, (bool, np.bool_)) or getattr(value, "dtype", None) == np.bool_


def as_floats(argument: str, value: Any, dtype: np.dtype, shape: str) -> NDArray:
    """An array of the dtype; C-contiguous, aligned and writable."""
    if type(value) is np.ndarray and value.dtype is dtype and value.flags.carray:
        return value
    numbers = as_numbers(argument, value, shape)
    try:
        with np.errstate(over="raise", under="ignore"):
            array = numbers.astype(dtype, order="C", copy=False)
    except FloatingPointError as error:
        big = abs(numbers) > np.finfo(dtype).max
        value = numbers[big & np.isfinite(numbers)][0]
        raise ValueError(
            f"{argument} must fit into {dtype}, whose largest number is {np.finfo(dtype).max}; got {value!s}"
        ) from error
    return array if array.flags.carray else array.copy()


def check_real(argument: str, array: Any, spec: NetworkSpec, shape: str) -> NDArray:
    """An array of the network's dtype, whose shape the caller checks; raises as `check_numbers`."""
    return as_floats(argument, array, DTYPES[spec.dtype], shape)


def check_numbers(argument: str, array: Any, shape: tuple[int, ...], spec: NetworkSpec) -> NDArray:
    """An array of this shape.

    Raises
    ------
    TypeError
        If it is not an array of real numbers.
    ValueError
        If it has another shape, or a value that overflows the network's dtype.
    """
    array = as_floats(argument, array, DTYPES[spec.dtype], str(shape))
    if array.shape != shape:
        raise ValueError(f"{argument} must have shape {shape}; got {array.shape}")
    return array


def check_params(params: Any, spec: NetworkSpec) -> NDArray:
    """A parameter vector, shape (n_params,); raises as `check_numbers`."""
    return check_numbers("params", params, (spec.n_params,), spec)


def check_columns(argument: str, columns: Any) -> NDArray[np.float64]:
    """A finite table of at least one row, shape (n, columns), as float64; one dimension is one column.

    Raises
    ------
    TypeError, ValueError
        If it is anything else.
    """
    array = as_floats(argument, columns, DTYPES["float64"], "(n, columns)")
    array = array[:, np.newaxis] if array.ndim == 1 else array
    if array.ndim != 2 or array.size == 0:
        raise ValueError(f"{argument} must have shape (n, columns) with at least one row; got {array.shape}")
    check_finite(argument, array)
    return array


def check_means(argument: str, means: Any, length: int) -> NDArray[np.float64]:
    """A finite number for each of `length` columns, or one for all.

    Raises
    ------
    TypeError, ValueError
        If it is anything else.
    """
    array = as_floats(argument, means, DTYPES["float64"], f"({length},)")
    if array.shape not in ((), (length,)):
        raise ValueError(f"{argument} must have shape ({length},) or be one number; got shape {array.shape}")
    check_finite(argument, np.atleast_1d(array))
    return np.broadcast_to(array, (length,))


def check_scales(argument: str, scales: Any, length: int) -> NDArray[np.float64]:
    """As `check_means`, and above 0."""
    array = check_means(argument, scales, length)
    if not (array > 0).all():
        raise ValueError(f"{argument} must be above 0; got {array[array <= 0][0]}")
    return array


def check_out(argument: str, out: Any, shape: tuple[int, ...], spec: NetworkSpec, *, strided: bool = False) -> NDArray:
    """An array to write to, which cannot be converted; with `strided`, its numbers may lie anyhow.

    Raises
    ------
    TypeError
        If it is not an ndarray of the network's dtype, or some of it is masked.
    ValueError
        If it has another shape, is not writable or, without `strided`, not C-contiguous and aligned.
    """
    if not isinstance(out, np.ndarray) or out.dtype != DTYPES[spec.dtype] or has_masked(out):
        raise TypeError(f"{argument} must be an array of shape {shape} and dtype {spec.dtype}; got {describe(out)}")
    if out.shape != shape:
        raise ValueError(f"{argument} must have shape {shape}; got {out.shape}")
    if not (out.flags.carray or (strided and out.flags.writeable)):
        lacks = "writable" if not out.flags.writeable else "C-contiguous" if not out.flags.c_contiguous else "aligned"
        raise ValueError(f"{argument} must be C-contiguous, aligned and writable; got one that is not {lacks}")
    return out


def check_plain(**arrays: Any) -> None:
    """Refuse arrays that compiled code may mistake for others: the types it remembers have no byte order and no mask.

    Anything but an array or a list is left to the compiler, which refuses it.

    Raises
    ------
    TypeError
        If one is of foreign byte order, or masked, or of a dtype that Numba does not have; or a list.
    """
    for name, array in arrays.items():
        if isinstance(array, list):  # of which an empty one has no type
            raise TypeError(f"{name} must not be a list, as compiled code takes it as it is; got {describe(array)}")
        if not isinstance(array, np.ndarray):
            continue
        if not array.dtype.isnative or isinstance(array, np.ma.MaskedArray):
            raise TypeError(f"{name} must be a plain array in the machine's byte order; got {describe(array)}")
        if array.dtype.char in "OgG":  # objects and long doubles
            raise TypeError(f"{name} must be an array of a dtype that compiled code has; got {describe(array)}")


def check_apart(**arrays: Any) -> None:
    """Refuse an array to write to, the first argument, that shares memory with another."""
    (name, out), *others = arrays.items()
    owner = out if out.base is None else out.base
    for other, array in others:
        if array is None:
            continue
        of_other = array if array.base is None else array.base
        apart = of_other is not owner and type(of_other) is type(owner) is np.ndarray  # two owners of memory
        if not apart and _share_memory(out, array):
            raise ValueError(f"{name} must be an array of its own; got one that shares the memory of {other}")


def _share_memory(one: NDArray, other: NDArray) -> bool:
    """Whether two arrays have a number in common, or might, if that takes long to find out."""
    try:
        return np.shares_memory(one, other, max_work=10_000)  # type: ignore[arg-type] # the stubs know 0 and -1
    except np.exceptions.TooHardError:
        return True


def check_no_workspace(workspace: Any) -> None:
    """Refuse a workspace, which calls from Python do not need; raises TypeError if there is one."""
    if workspace is not None:
        raise TypeError(f"workspace must be None but in compiled code; got {describe(workspace)}")


#: Numbers that NumPy's BLAS surely sums on one thread.
_FEW = 10_000


def all_finite(array: NDArray) -> bool:
    """Whether an array is free of NaN and infinity; a finite sum of squares shows it quickly."""
    if array.size <= _FEW and isfinite(np.vdot(array, array)):  # unlike `dot`, it does not warn of an overflow
        return True
    return bool(np.isfinite(array).all())


def check_finite(argument: str, array: NDArray, axes: tuple[str, ...] = ("row", "column")) -> None:
    """Refuse NaN and infinity.

    Raises
    ------
    ValueError
        If there is any; the message says where the first one is, by the names of the axes.
    """
    if array.dtype.kind == "f" and all_finite(array):
        return
    finite = np.isfinite(array)
    if not finite.all():
        place = np.unravel_index(int(np.argmin(finite)), array.shape)
        where = ", ".join(f"{axis} {index}" for axis, index in zip(axes, place, strict=False))
        raise ValueError(f"{argument} must be finite; got {array[place]} in {where}")
