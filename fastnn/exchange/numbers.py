"""Arrays from elsewhere as NumPy's: every number is kept exactly, or the array is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn.checks import counted, describe


def floats_of(what: str, value: Any, dimensions: int) -> NDArray:
    """An array of float32 or float64, the narrower one that holds the values' type exactly.

    Parameters
    ----------
    what : str
        What an error calls it.
    value : array_like
        NumPy's, of any byte order; nested lists of numbers; a tensor of PyTorch's, a variable of Keras's, an array of
        JAX's, a table of pandas's. float16 and bfloat16 become float32, integers and Python's floats float64.
    dimensions : int
        How many it must have.

    Raises
    ------
    TypeError
        If it is not an array of real numbers.
    ValueError
        If it has another number of dimensions, or none of something.
    """
    try:
        array = _as_numpy(value)
    except Exception as error:  # each framework has exceptions of its own
        raise TypeError(f"{what} must be an array of real numbers; got {_described(value)}") from error
    if array.dtype.kind not in "iuf" and array.dtype.name != "bfloat16":
        got = describe(array if array.ndim else value)
        raise TypeError(f"{what} must be an array of real numbers; got {got}")
    if array.ndim != dimensions or 0 in array.shape:
        raise ValueError(
            f"{what} must have {counted(dimensions, 'dimension')}, none of length 0; got shape {array.shape}"
        )
    if array.dtype.name in ("float16", "bfloat16", "float32"):
        return array.astype(np.float32)
    with np.errstate(over="ignore"):  # which is refused below
        exact = array.astype(np.float64)
    if array.dtype.kind in "iu" and array.dtype.itemsize == 8 and not _kept(array, exact):
        raise ValueError(f"{what} must hold numbers that float64 represents; got integers that it would round")
    if array.dtype.itemsize > 8 and not ((exact == array) | np.isnan(array)).all():
        raise ValueError(f"{what} must hold numbers that float64 represents; got {array.dtype} that it would round")
    return exact


def dimensions_of(value: Any) -> int:
    """Dimensions of an array, or of nested lists; 2 for ragged lists, which `floats_of` refuses."""
    try:
        return np.ndim(value)
    except ValueError:
        return 2


def _described(value: Any) -> str:
    """What came; of a tensor what NumPy may lack of it: its dtype, its device, and that it is sparse."""
    if isinstance(value, np.ndarray) or not hasattr(value, "layout"):
        return describe(value)
    return f"a {type(value).__name__} of {value.dtype}, {value.device}, {value.layout}"


def _kept(integers: NDArray, exact: NDArray) -> bool:
    """Whether floats are the integers that they were made from."""
    inside = exact < float(np.iinfo(integers.dtype).max)  # as a float it is one more than the greatest
    return bool(inside.all() and (exact.astype(integers.dtype) == integers).all())


def _as_numpy(value: Any) -> NDArray:
    """Any array as one of NumPy's, on the CPU and without its history."""
    if _is_masked(value):
        raise TypeError("a masked array")
    theirs = any(base.__module__.startswith("keras.") for base in type(value).__mro__)
    if theirs and not isinstance(value, list):  # a variable
        value = value.value
    for method in ("detach", "cpu", "resolve_neg"):  # PyTorch's; a table may have columns of these names
        value = getattr(value, method)() if callable(getattr(value, method, None)) else value
    if str(getattr(value, "dtype", "")) == "torch.bfloat16":
        value = value.float()
    return np.asarray(value.numpy() if callable(getattr(value, "numpy", None)) else value)


def _is_masked(value: Any) -> bool:
    """Whether it is a masked array, or a list with one somewhere within, whose mask NumPy would drop."""
    return np.ma.isMaskedArray(value) or (isinstance(value, (list, tuple)) and any(map(_is_masked, value)))


def number_of(what: str, value: Any) -> float:
    """A finite number, as a float.

    Raises
    ------
    TypeError, ValueError
        If it is none.
    """
    number = float(floats_of(what, value, 0))
    if not np.isfinite(number):
        raise ValueError(f"{what} must be finite; got {number}")
    return number
