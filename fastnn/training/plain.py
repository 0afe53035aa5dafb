"""Training by plain loops: `fastnn.reference.training`, whose batches are computed by `fastnn.kernels.plain`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn.jobs.job import Job, State, Status
from fastnn.kernels import plain
from fastnn.reference import training


def train(
    job: Job,
    state: State,
    learning_rates: NDArray[np.float64],
    losses: NDArray[np.float64],
    max_steps: int,
    **unused: Any,
) -> Status:
    """Run a job from where its state stands: the contract of `fastnn.reference.training.train`.

    Threads and specialised kernels, `unused`, are for the tuned kernels.
    """
    return training.train(job, state, learning_rates, losses, max_steps, loss_and_grad=plain.loss_and_grad)


def objective(job: Job, gradient: NDArray) -> Callable[[], float]:
    """What gives the loss of all a job's data, and its gradient: see `fastnn.reference.training.objective`."""
    return training.objective(job, gradient, loss_and_grad=plain.loss_and_grad)
