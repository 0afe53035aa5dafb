"""One network on many samples: its outputs, and the loss with its gradient."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn.jobs.aligned import aligned_zeros
from fastnn.jobs.job import Job, State
from fastnn.kernels.dispatch import BLOCK_ROWS, MANY_ROWS
from fastnn.kernels.jit.compiling import kernel
from fastnn.kernels.simd import pointer
from fastnn.kernels.simd.calls import call
from fastnn.kernels.tiles import passes
from fastnn.kernels.tiles.layers import ALONE, COLUMNS, H, forward_address, layout
from fastnn.kernels.tiles.prepare import PreparedForTiles
from fastnn.settings import catalogue
from fastnn.settings.optimizers import SGD
from fastnn.settings.spec import NetworkSpec

#: About how many multiplications a call of the kernel does: between two calls Python can answer Ctrl-C.
PRODUCTS_A_CALL = 10**9

#: Workspaces of at most this many bytes are kept for the next call.
SPARE_BYTES = 2**17


@kernel
def _predict(layers, n_layers, zeros, forward, params, X, work, block_rows, out, members):
    rows, n_in, n_out, n_params = X.shape[0], X.shape[1], out.shape[1], params.size // max(1, members)
    table, w = pointer(layers, 0), pointer(work, 0)
    output = w + table[(n_layers - 1) * COLUMNS + H]
    for k in range(members):
        p = pointer(params, k * n_params)
        for start in range(0, rows, block_rows):
            n, place = min(block_rows, rows - start), pointer(out, (k * rows + start) * n_out)
            call(forward, table, n_layers, zeros, p, pointer(X, start * n_in), n_in, n, w, ALONE)
            passes.copy_block(output, n_out, place, n_out, n, n_out)


class _Predictor:
    """Predicts blocks of up to `block_rows` rows: what depends on the spec alone is prepared.

    Small workspaces are used again, as making one takes as long as a small network.
    """

    def __init__(self, spec: NetworkSpec, block_rows: int):
        self.layers, zeros, self.size = layout(spec, block_rows, False, False)
        self.settings = spec.n_layers, zeros, forward_address(spec.dtype)
        self.block_rows, self.n_out, self.dtype = block_rows, spec.n_out, np.dtype(spec.dtype)
        self.n_params = spec.n_params
        self.spare: list[NDArray] = []  # workspaces that no thread uses
        self.keeps = self.size * self.dtype.itemsize <= SPARE_BYTES

    def __call__(self, params: NDArray, X: NDArray) -> NDArray:
        rows = len(X)
        out = np.empty((rows, self.n_out), self.dtype)
        work = self._workspace()
        if rows <= self.block_rows:
            _predict(self.layers, *self.settings, params, X, work, self.block_rows, out, 1)
        else:
            # Whole blocks, whose outputs are the same to the bit.
            rows_a_call = max(1, PRODUCTS_A_CALL // (self.n_params * self.block_rows)) * self.block_rows
            for start in range(0, rows, rows_a_call):
                part = slice(start, start + rows_a_call)
                _predict(self.layers, *self.settings, params, X[part], work, self.block_rows, out[part], 1)
        if self.keeps:
            self.spare.append(work)
        return out

    def of_each(self, params: NDArray, X: NDArray) -> NDArray:
        """The same of several networks, of parameters of shape (K, n_params)."""
        out = np.empty((len(params), len(X), self.n_out), self.dtype)
        members_a_call = PRODUCTS_A_CALL // (self.n_params * max(1, len(X)))
        if members_a_call == 0:
            for k, of_one in enumerate(params):
                out[k] = self(of_one, X)
            return out
        work = self._workspace()
        for start in range(0, len(params), members_a_call):
            some, place = params[start : start + members_a_call], out[start : start + members_a_call]
            place = place.reshape(len(some) * len(X), self.n_out)
            _predict(self.layers, *self.settings, some.reshape(-1), X, work, self.block_rows, place, len(some))
        if self.keeps:
            self.spare.append(work)
        return out

    def _workspace(self) -> NDArray:
        try:
            return self.spare.pop()
        except IndexError:
            return aligned_zeros(self.size, self.dtype)


_predictor = lru_cache(maxsize=256)(_Predictor)


def _block_rows(rows: int) -> int:
    """Rows of a block: all, if they are few, whose products differ; of more there are few kinds of predictors."""
    return rows if 0 < rows < MANY_ROWS else min(-(-rows // MANY_ROWS) * MANY_ROWS or BLOCK_ROWS, BLOCK_ROWS)


def predict(spec: NetworkSpec, params: NDArray, X: NDArray) -> NDArray:
    """The network's outputs, of shape (n, n_out), for samples `X` of shape (n, n_in)."""
    return _predictor(spec, _block_rows(len(X)))(params, X)


def predict_each(spec: NetworkSpec, params: NDArray, X: NDArray) -> NDArray:
    """The outputs, of shape (K, n, n_out), of networks with parameters of shape (K, n_params)."""
    return _predictor(spec, _block_rows(len(X))).of_each(params, X)


def loss_and_grad(
    spec: NetworkSpec,
    params: NDArray,
    X: NDArray,
    y: NDArray,
    loss: catalogue.Loss,
    *,
    sample_weight: NDArray | None = None,
    l2: float = 0.0,
    loss_parameter: NDArray | float | None = None,
    out: NDArray | None = None,
) -> tuple[float, NDArray]:
    """The loss of a batch and its gradient: the contract of `fastnn.reference.network.loss_and_grad`.

    One step of the training kernel that leaves the parameters alone.
    """
    out = np.empty_like(params) if out is None else out
    settings: dict[str, Any] = {"sample_weight": sample_weight, "loss_parameter": loss_parameter, "l2": l2}
    job = Job(spec, params, X, y, loss, SGD(0.0), len(X), shuffle=False, **settings)
    state = State.for_gradient(spec.dtype)
    value = np.empty(1)
    PreparedForTiles(job, state, out).run(state, np.zeros(1), value, 1)
    return float(value[0]), out


def evaluate(job: Job) -> tuple[float, float]:
    """The loss and the metric of a job's network on its validation set: the contract of `fastnn.reference.network`.

    An epoch of no samples, whose end is the training kernel's: it computes no gradient, and judges block by block.
    """
    assert job.monitor is not None
    monitor = replace(job.monitor, stopping=None, plateau=None, first=0, loss=np.empty(1), metric=np.empty(1))
    if job.loss.metric == "r2":
        monitor.shares = job.monitor.shares  # which are computed once a run
    settings: dict[str, Any] = {"loss_parameter": job.loss_parameter, "shuffle": False, "monitor": monitor}
    rows = min(len(monitor.X), BLOCK_ROWS)
    ended = Job(job.spec, job.params, monitor.X[:0], monitor.y[:0], job.loss, SGD(0.0), rows, **settings)
    state = State.for_gradient(job.spec.dtype)
    PreparedForTiles(ended, state, np.empty_like(job.params)).run(state, np.zeros(1), np.empty(1), 1)
    return float(monitor.loss[0]), float(monitor.metric[0])
