"""New arrays begin where no vector of theirs spans two cache lines, and large ones on a large page."""

import numpy as np
import pytest

from fastnn.jobs.aligned import CACHE_LINE, LARGE_PAGE, aligned_copy, aligned_empty, aligned_zeros


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [0, 8, LARGE_PAGE - 8, LARGE_PAGE, 2 * LARGE_PAGE + 8])
def test_where_an_array_begins(size, dtype):
    count = size // np.dtype(dtype).itemsize
    for array in (aligned_empty(count, dtype), aligned_zeros(count, dtype), aligned_copy(np.ones(count, dtype))):
        assert array.shape == (count,)
        assert array.dtype == dtype
        assert array.ctypes.data % (LARGE_PAGE if size >= LARGE_PAGE else CACHE_LINE) == 0
    assert not aligned_zeros(count, dtype).any()
