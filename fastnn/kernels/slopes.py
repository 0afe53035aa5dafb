"""Training on slopes (`fit(dydx=)`): their mean squared error and its gradient, a sample and a direction at a time."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numba import from_dtype, types
from numpy.typing import NDArray

from fastnn.jobs.aligned import address, aligned_zeros
from fastnn.jobs.job import Job
from fastnn.kernels.jit.architecture import Architecture
from fastnn.kernels.jit.compiling import address_of, callee, kernel
from fastnn.kernels.point.adjoint import pull_series
from fastnn.kernels.point.scratch import scratch_size, sizes_of, tapes_of
from fastnn.kernels.point.series import run_series
from fastnn.kernels.simd import pointer, pointer_at
from fastnn.kernels.simd.types import pointer_type
from fastnn.kernels.tiles.job_record import JOB_RECORD
from fastnn.kernels.tiles.prepare import PreparedForTiles
from fastnn.settings.spec import NetworkSpec


@callee
def add_slopes(architecture, job, params, gradient, start, stop, weight):
    """The slopes' part of the loss of a batch; its derivative is added to `gradient`.

    As `fastnn.reference.slopes.add_slopes`; the batch is the rows ``start:stop`` in the order of visiting, and
    `weight` the sum of their sample weights.
    """
    size, at = sizes_of(architecture), tapes_of(architecture, 2)
    n_in, n_out, count = size.n_in, size.n_out, job.n_directions
    X, slopes = pointer_at(job.X, params), pointer_at(job.slopes, params)
    directions, work = pointer_at(job.directions, params), pointer_at(job.slopes_work, params)
    order, weights = pointer_at(job.order, np.int64), pointer_at(job.sample_weight, params)
    d_value, d_slope = work + at.cotangents, work + (at.cotangents + size.buffer)
    loss, share = 0.0, job.slopes_weight / (weight * n_out * count) if weight > 0.0 else 0.0
    for r in range(start, stop):
        row = order[r] if job.order != 0 else r
        factor = share * weights[row] if job.sample_weight != 0 else share
        for k in range(count):
            end = run_series(architecture, 2, 1, params, X + row * n_in, 1, directions + k * n_in, 1, work)
            slope, wanted = end + size.padded_out, slopes + (row * count + k) * n_out
            for j in range(n_out):
                error = slope[j] - wanted[j] if wanted[j] == wanted[j] else 0.0 * slope[j]  # NaN stands for missing
                loss += factor * error * error
                d_value[j], d_slope[j] = 0.0, 2.0 * factor * error
            pull_series(architecture, 2, 1, 0, params, gradient, work)
    return loss


@kernel
def _fill(architecture, params, X, directions, slopes, jacobian, work):
    """Slopes of each sample along each direction; their derivatives are added to `jacobian`, unless it is empty."""
    size, at = sizes_of(architecture), tapes_of(architecture, 2)
    n_in, n_out, count, n_params = size.n_in, size.n_out, directions.shape[0], params.size
    p, w = pointer(params, 0), pointer(work, 0)
    d_value, d_slope = w + at.cotangents, w + (at.cotangents + size.buffer)
    for r in range(X.shape[0]):
        for k in range(count):
            end = run_series(architecture, 2, 1, p, pointer(X, r * n_in), 1, pointer(directions, k * n_in), 1, w)
            for j in range(n_out):
                slopes[r, k, j] = (end + size.padded_out)[j]
            for j in range(n_out if jacobian.size > 0 else 0):
                for i in range(n_out):
                    d_value[i], d_slope[i] = 0.0, 1.0 if i == j else 0.0
                row = pointer(jacobian, ((r * count + k) * n_out + j) * n_params)
                pull_series(architecture, 2, 1, 0, p, row, w)


# ---------------------------------------------------------------- from Python
def slope_values(spec: NetworkSpec, params: NDArray, X: NDArray, directions: NDArray) -> NDArray:
    """The contract of `fastnn.reference.slopes.slope_values`."""
    return _filled(spec, params, X, directions, 0)[0]


def slope_jacobian(spec: NetworkSpec, params: NDArray, X: NDArray, directions: NDArray) -> tuple[NDArray, NDArray]:
    """The contract of `fastnn.reference.slopes.slope_jacobian`."""
    return _filled(spec, params, X, directions, spec.n_params)


def _filled(
    spec: NetworkSpec, params: NDArray, X: NDArray, directions: NDArray, n_params: int
) -> tuple[NDArray, NDArray]:
    """The slopes, and their derivatives with respect to `n_params` parameters: all of them, or 0."""
    slopes = np.empty((len(X), len(directions), spec.n_out), spec.dtype)
    jacobian = np.zeros((*slopes.shape, n_params), spec.dtype)
    work = aligned_zeros(scratch_size(spec, "hvp"), spec.dtype)
    _fill(spec, params, X, directions, slopes, jacobian, work)
    return slopes, jacobian


@lru_cache(maxsize=64)
def _address(spec: NetworkSpec) -> int:
    """Address of `add_slopes`, which is compiled for a network."""
    place, n = pointer_type(spec.dtype), types.intp
    return address_of(add_slopes, Architecture(spec), from_dtype(JOB_RECORD), place, place, n, n, types.float64)


def attach(prepared: PreparedForTiles, job: Job) -> None:
    """Have the steps of a prepared job add its slopes."""
    slopes, loss, work = job.slopes, np.zeros(1), aligned_zeros(scratch_size(job.spec, "hvp"), job.spec.dtype)
    assert slopes is not None
    prepared.kept += slopes, loss, work
    fields = prepared.fields
    fields.add_slopes, fields.slopes, fields.slopes_weight = _address(job.spec), address(slopes.values), slopes.weight
    fields.directions, fields.n_directions = address(slopes.directions), len(slopes.directions)
    fields.slopes_work, fields.slopes_loss = address(work), address(loss)
