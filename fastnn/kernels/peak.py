"""The processor's peak: fused multiply-adds on registers alone."""

from __future__ import annotations

from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from fastnn.kernels.jit.compiling import kernel
from fastnn.kernels.simd import broadcast, fma, lanes, pointer, store, tile

SUMS = 10  # independent sums hide the latency of each, and leave a few of 16 registers to the factors


@kernel
def _multiply_adds(out, x, y, repeats):
    """`SUMS` vectors of sums, `repeats` times; returns how many numbers a vector holds."""
    sums = tile(pointer(out, 0), SUMS, 1)
    x, y = broadcast(x, sums[0, 0]), broadcast(y, sums[0, 0])
    for i in range(SUMS):
        sums[i, 0] = x
    for _ in range(repeats):
        for i in range(SUMS):  # the sum is what is added to, as in a product: some processors have no other form
            sums[i, 0] = fma(x, y, sums[i, 0])
    for i in range(SUMS):
        store(pointer(out, i * lanes(x)), sums[i, 0])
    return lanes(x)


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
    factors = np.array([0.5, 0.5], dtype)
    width = _multiply_adds(out, *factors, 1)
    best = np.inf
    for _ in range(runs):
        start = perf_counter()
        _multiply_adds(out, *factors, repeats)
        best = min(best, perf_counter() - start)
    return 2 * SUMS * int(width) * repeats / best


if __name__ == "__main__":
    import json

    print(json.dumps({dtype: peak(dtype) for dtype in ("float32", "float64")}))
