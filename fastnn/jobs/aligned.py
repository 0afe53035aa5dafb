"""Arrays aligned to cache lines, so that no vector of theirs spans two."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: Bytes of a cache line, and of the widest vector.
LINE = 64


def aligned_empty(count: int, dtype: str | np.dtype) -> NDArray:
    """A new 1-D array of `count` numbers, its contents undefined."""
    size = count * np.dtype(dtype).itemsize
    raw = np.empty(size + LINE, np.uint8)
    start = -raw.ctypes.data % LINE
    return raw[start : start + size].view(dtype)


def aligned_copy(values: NDArray) -> NDArray:
    """A copy of a 1-D array."""
    copy = aligned_empty(values.size, values.dtype)
    copy[:] = values
    return copy
