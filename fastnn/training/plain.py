"""Training by plain loops: `fastnn.reference.training`, whose batches are computed by `fastnn.kernels.plain`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray

from fastnn.jobs.job import Job, State, Train
from fastnn.kernels import plain
from fastnn.reference import training


def trainer(job: Job, state: State, **unused: Any) -> Train:
    """What runs a job from where a state of it stands: the contract of `fastnn.reference.training.trainer`.

    Threads and specialised kernels exist only for the tuned kernels; these arguments are `unused`.
    """
    return training.trainer(job, state, loss_and_grad=plain.loss_and_grad)


def objective(job: Job, gradient: NDArray) -> Callable[[], float]:
    """What gives the loss of all a job's data, and its gradient: see `fastnn.reference.training.objective`."""
    return training.objective(job, gradient, loss_and_grad=plain.loss_and_grad)
