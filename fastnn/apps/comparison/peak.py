"""The processor's peak: fused multiply-adds on registers alone."""

from __future__ import annotations

from time import perf_counter

import numpy as np
from numba import njit
from numpy.typing import NDArray

from fastnn.kernels.simd import broadcast, fma, lanes, pointer, store, tile

SUMS = 16  # independent sums hide the latency of each


@njit(error_model="numpy")
def _multiply_adds(out, repeats):
    """`SUMS` vectors of sums, `repeats` times; returns how many numbers a vector holds."""
    sums = tile(pointer(out, 0), 16, 1)
    factor = broadcast(0.5, sums[0, 0])
    for i in range(16):
        sums[i, 0] = factor
    for _ in range(repeats):
        for i in range(16):
            sums[i, 0] = fma(sums[i, 0], factor, factor)
    for i in range(16):
        store(pointer(out, i * lanes(factor)), sums[i, 0])
    return lanes(factor)


def peak(dtype: str, runs: int = 10, repeats: int = 1_000_000) -> float:
    """Floating-point operations a second of one core, a multiply-add counted as two.

    Parameters
    ----------
    dtype : str
        ``"float32"`` or ``"float64"``.
    runs, repeats : int
        How often, and how long, it is tried; the quickest counts.
    """
    out: NDArray = np.zeros(SUMS * 16, dtype)
    width = _multiply_adds(out, 1)
    best = np.inf
    for _ in range(runs):
        start = perf_counter()
        _multiply_adds(out, repeats)
        best = min(best, perf_counter() - start)
    return 2 * SUMS * int(width) * repeats / best


if __name__ == "__main__":
    import json

    print(json.dumps({dtype: peak(dtype) for dtype in ("float32", "float64")}))
