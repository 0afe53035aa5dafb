"""Training: the door to both kernels, of networks of any size (`tiles`) and of tiny ones (`lanes`)."""

from __future__ import annotations

import os
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from fastnn.jobs.job import Job, State, Status
from fastnn.kernels.lanes import samples
from fastnn.kernels.lanes.samples import PreparedForLanes
from fastnn.kernels.tiles.prepare import PreparedForTiles

#: Operations of a step (ten microseconds of them) from which on two threads are faster than one: 1.2 times here, 1.4
#: times at 14 million, twice at a billion. What one thread updates the other has to fetch.
WORTH_SHARING = 3_000_000


def _worthwhile(threads: int, job: Job) -> int:
    """How many threads a step is shared by: one, unless it takes long enough; never more than there are processors."""
    operations = 6 * job.batch_size * job.spec.n_params + 20 * job.spec.n_params
    return min(threads, _processors()) if operations > WORTH_SHARING else 1


@lru_cache
def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def train(
    job: Job,
    state: State,
    learning_rates: NDArray[np.float64],
    losses: NDArray[np.float64],
    max_steps: int,
    *,
    threads: int = 1,
    specialize: bool | None = None,
) -> Status:
    """Run a job from where its state stands: the contract of `fastnn.reference.training.train`.

    Parameters
    ----------
    threads : int
        How many threads may share each step; the results are the same to the bit.
    specialize : bool, optional
        Whether to compile for the sizes of this network (`fastnn.kernels.lanes.samples`), whose results differ by
        rounding and which takes plain jobs alone. By default where it pays, which the network and the batch decide.
    """
    if specialize or (specialize is None and job.is_plain and samples.suits(job.spec, job.batch_size)):
        if not isinstance(job.prepared, PreparedForLanes):
            job.prepared = PreparedForLanes(job, state)
        return job.prepared.run(state, learning_rates, losses, max_steps)
    if not isinstance(job.prepared, PreparedForTiles):
        job.prepared = PreparedForTiles(job, state)
    return job.prepared.run(state, learning_rates, losses, max_steps, _worthwhile(threads, job))
