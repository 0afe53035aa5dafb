"""A batch's slopes: the squares of their errors, and the gradient of those, a sample and a direction at a time."""

from __future__ import annotations

import numpy as np

from fastnn.kernels.jit.compiling import callee
from fastnn.kernels.point.adjoint import pull_all
from fastnn.kernels.point.scratch import sizes_of, tapes_of
from fastnn.kernels.point.series import run_series
from fastnn.kernels.simd import pointer_at


@callee
def add_slopes(architecture, job, params, gradient, start, stop, weight):
    """Their weighted mean over a batch, of the given weight in all, and its derivative added to `gradient`.

    The contract of `fastnn.reference.slopes.add_slopes`; the rows ``start:stop`` are those that are visited.
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
            slope, wanted = end + size.row, slopes + (row * count + k) * n_out
            for j in range(n_out):
                error = slope[j] - wanted[j] if wanted[j] == wanted[j] else 0.0 * slope[j]  # NaN stands for missing
                loss += factor * error * error
                d_value[j], d_slope[j] = 0.0, 2.0 * factor * error
            pull_all(architecture, 2, 1, 0, params, gradient, work)
    return loss
