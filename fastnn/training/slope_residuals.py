"""Slopes in a least-squares problem: residuals stacked below those of the values."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from fastnn.jobs.job import Job
from fastnn.training.twins import twin


class SlopeResiduals:
    """The errors of a job's slopes, scaled so that the sum of their squares is their part of the loss."""

    def __init__(self, job: Job, backend: str):
        assert job.slopes is not None
        self.job, self.slopes, self.twin = job, job.slopes, twin(backend, "slopes")
        weights = job.weights
        share = self.slopes.weight / (len(self.slopes.directions) * job.spec.n_out) / weights.sum()
        self.scale = np.sqrt(share * weights).astype(job.spec.dtype)[:, np.newaxis, np.newaxis]

    def loss(self, params: NDArray) -> float:
        """The slopes' part of the loss for some parameters."""
        values = self.twin.slope_values(self.job.spec, params, self.job.X, self.slopes.directions)
        return float((self._errors(values, slice(None)).astype(np.float64) ** 2).sum())

    def _errors(self, values: NDArray, rows: slice) -> NDArray:
        wanted = self.slopes.values[rows]
        return self.scale[rows] * np.where(np.isnan(wanted), 0 * values, values - wanted)

    def normal_equations(self, block_rows: int, answer: Callable[[], None]) -> NDArray[np.float64]:
        """The slopes' part of the normal equations; see `fastnn.reference.normal_equations`."""
        job, n_params = self.job, self.job.spec.n_params
        sums = np.zeros((n_params + 1, n_params + 1))
        block_rows = max(1, block_rows // len(self.slopes.directions))
        for start in range(0, len(job.X), block_rows):
            answer()
            rows = slice(start, start + block_rows)
            values, jacobian = self.twin.slope_jacobian(job.spec, job.params, job.X[rows], self.slopes.directions)
            present = ~np.isnan(self.slopes.values[rows])
            jacobian *= (self.scale[rows] * present)[..., np.newaxis]
            block = np.concatenate([jacobian, self._errors(values, rows)[..., np.newaxis]], axis=3)
            block = block.reshape(-1, n_params + 1).astype(np.float64, copy=False)
            sums += block.T @ block
        return sums
