"""Arrays aligned to cache lines, so that no vector of theirs spans two, and large ones to large pages."""

from __future__ import annotations

from collections.abc import Callable
from ctypes import addressof, c_char

import numpy as np
from numpy.typing import DTypeLike, NDArray

#: Bytes of a cache line, and of the widest vector.
CACHE_LINE = 64

#: Bytes of a large page. A processor remembers where few pages are: with small ones it looks up page after page as it
#: passes over a large network's arrays (``pytest bench/bench_fit.py``).
LARGE_PAGE = 2**21

#: Bytes from which on NumPy asks the operating system for large pages.
LARGE_TO_NUMPY = 2**22


def aligned_empty(count: int, dtype: DTypeLike) -> NDArray:
    """A new 1-D array of `count` numbers, its contents undefined."""
    return _aligned(np.empty, count, dtype)


def aligned_zeros(count: int, dtype: DTypeLike) -> NDArray:
    """A new 1-D array of `count` zeros."""
    return _aligned(np.zeros, count, dtype)


def aligned_copy(values: NDArray) -> NDArray:
    """A copy of a 1-D array."""
    copy = aligned_empty(values.size, values.dtype)
    copy[:] = values
    return copy


def address(array: NDArray) -> int:
    """Where a contiguous array's numbers begin."""
    try:
        return addressof(c_char.from_buffer(array))  # type: ignore[arg-type] # in a third of the time
    except (TypeError, ValueError):  # read-only, or empty
        return array.__array_interface__["data"][0]


def _aligned(new: Callable[[int, type], NDArray], count: int, dtype: DTypeLike) -> NDArray:
    """A part of an array of bytes, of which the rest is never touched and takes no memory."""
    size, room, unit = count * np.dtype(dtype).itemsize, CACHE_LINE, CACHE_LINE
    if size >= LARGE_PAGE:
        room, unit = max(LARGE_PAGE, LARGE_TO_NUMPY - size), LARGE_PAGE
    raw = new(size + room, np.uint8)
    return np.ndarray(count, dtype, raw, -address(raw) % unit)
