"""Training one network: the door to its two paths, with tiles for networks of any size and lanes for tiny ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from fastnn.jobs.job import Job, State, Train
from fastnn.kernels import dispatch
from fastnn.kernels.lanes.samples import PreparedForLanes
from fastnn.kernels.tiles.prepare import PreparedForTiles
from fastnn.settings.optimizers import SGD


def trainer(job: Job, state: State, *, threads: int = 1, specialize: bool | None = None) -> Train:
    """What runs a job from where a state of it stands: the contract of `fastnn.reference.training.trainer`.

    Parameters
    ----------
    threads : int
        How many threads may share each step; the results are the same to the bit.
    specialize : bool, optional
        Whether to compile for the sizes of this network (`fastnn.kernels.lanes.samples`), whose results differ by
        rounding and which takes plain jobs alone. By default where it pays, which the network and the batch decide.
    """
    if specialize or (specialize is None and job.may_use_lanes and dispatch.samples_in_lanes(job.spec, job.batch_size)):
        return PreparedForLanes(job, state).run
    threads = dispatch.threads_for(threads, job.batch_size, job.spec.n_params)
    return _prepared(job, state, threads=threads).run


def objective(job: Job, gradient: NDArray) -> Callable[[], float]:
    """What gives the loss of all a job's data, and its gradient: see `fastnn.reference.training.objective`."""
    # One step of all parameters, which is not taken.
    job = replace(job, optimizer=SGD(0.0), batch_size=len(job.X), shuffle=False, trainable=None, monitor=None)
    state = State.for_gradient(job.spec.dtype)
    prepared, rate, loss = _prepared(job, state, gradient), np.zeros(1), np.empty(1)

    def evaluate() -> float:
        state.counters[:] = 0
        state.sums[:] = 0
        prepared.run(state, rate, loss, 1)
        return float(loss[0])

    return evaluate


def _prepared(job: Job, state: State, gradient: NDArray | None = None, threads: int = 1) -> PreparedForTiles:
    prepared = PreparedForTiles(job, state, gradient, threads)
    if job.slopes is not None:
        from fastnn.kernels import slopes  # which few need

        slopes.attach(prepared, job)
    return prepared
