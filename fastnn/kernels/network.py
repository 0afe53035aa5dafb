"""One network on many samples: its outputs, and the loss with its gradient."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastnn import catalogue
from fastnn.job import Job, State
from fastnn.kernels import passes
from fastnn.kernels.compiling import kernel
from fastnn.kernels.layers import ALONE, forward, layout, workspace
from fastnn.kernels.llvm.simd import pointer
from fastnn.kernels.training import BLOCK_ROWS, Prepared
from fastnn.spec import NetworkSpec


@kernel
def _predict(layers, zeros, params, X, work, block_rows, out, team):
    n_in, n_out = X.shape[1], out.shape[1]
    p, w, arrivals = pointer(params, 0), pointer(work, 0), pointer(team.arrivals, 0)
    for start in range(0, X.shape[0], block_rows):
        n = min(block_rows, X.shape[0] - start)
        output = forward(layers, zeros, p, pointer(X, start * n_in), n_in, n, w, team, arrivals)
        passes.copy_block(output, n_out, pointer(out, start * n_out), n_out, n, n_out)


def predict(spec: NetworkSpec, params: NDArray, X: NDArray) -> NDArray:
    """The network's outputs, of shape (n, n_out), for samples `X` of shape (n, n_in)."""
    block_rows = min(len(X), BLOCK_ROWS)
    layers, zeros, size = layout(spec, block_rows, False, False)
    out = np.empty((len(X), spec.n_out), spec.dtype)
    _predict(layers, zeros, params, X, workspace(size, spec.dtype), block_rows, out, ALONE)
    return out


def loss_and_grad(
    spec: NetworkSpec,
    params: NDArray,
    X: NDArray,
    y: NDArray,
    loss: catalogue.Loss,
    *,
    sample_weight: NDArray | None = None,
    l2: float = 0.0,
    delta: float = 1.0,
    out: NDArray | None = None,
) -> tuple[float, NDArray]:
    """The loss of a batch and its gradient: the contract of `fastnn.reference.network.loss_and_grad`.

    One step of the training kernel that leaves the parameters alone.
    """
    out = np.empty_like(params) if out is None else out
    job = Job(
        spec, params, X, y, loss, None, len(X), sample_weight=sample_weight, delta=delta, shuffle=False, l2=l2
    )
    state = State("", 0, np.empty((1, 0), spec.dtype), np.zeros(3, np.int64), np.zeros(2))
    value = np.empty(1)
    Prepared(job, state, out).run(state, np.zeros(1), value, 1)
    return float(value[0]), out
