"""Regularisers that draw random numbers: dropout and Gaussian noise on the inputs.

Those of the batch of step t come from the streams ``key(seed, member, t, layer)``, layer 0 being the input's noise
and layer l the l-th hidden layer's dropout; a number's place in its stream is that in the batch's matrix.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastnn.jobs.job import Job
from fastnn.jobs.random_bits import RANGE, threshold
from fastnn.reference.random import bits, key


def gaussian(stream: int, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Numbers of the normal distribution (Box and Muller, 1958), from the stream with this key."""
    i = np.arange(np.prod(shape), dtype=np.uint64).reshape(shape)
    radius = np.sqrt(-2 * np.log((bits(stream, 2 * i) + 1.0) / RANGE))
    return radius * np.cos(2 * np.pi / RANGE * bits(stream, 2 * i + 1))


def dropout_factors(stream: int, rate: float, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Zero with probability `rate`, otherwise a factor that keeps the mean (Srivastava et al., 2014)."""
    i = np.arange(np.prod(shape), dtype=np.uint64).reshape(shape)
    zero = threshold(rate)
    return np.where(bits(stream, i) >= zero, RANGE / (RANGE - zero), 0.0)


def noisy(job: Job, seed: int, step: int, X: NDArray) -> tuple[NDArray, list[NDArray] | None]:
    """A batch's samples with noise, and the factors of the hidden layers' outputs."""
    if job.input_noise:
        noise = job.input_noise * gaussian(key(seed, job.member, step, 0), X.shape)
        X = (X + noise).astype(X.dtype)
    if not job.dropout:
        return X, None
    widths = job.spec.sizes[1:-1]
    return X, [
        dropout_factors(key(seed, job.member, step, layer), rate, (len(X), width)).astype(X.dtype)
        for layer, (rate, width) in enumerate(zip(job.dropout, widths, strict=True), start=1)
    ]
