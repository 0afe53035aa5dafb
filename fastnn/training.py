"""The loop over either twin: a job is run in a few calls, sized by time, and its history written down."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from fastnn.backends import twin
from fastnn.checks import check_finite_data, check_integer, check_optional_flag
from fastnn.history import History, Stop
from fastnn.job import Job, State, Status
from fastnn.optimizers import Optimizer
from fastnn.progress import ProgressBar

SECONDS_A_CALL = 0.1  # between two calls Python may answer Ctrl-C and show progress
CALLS_A_COPY = 10  # from one copy of finite parameters to the next, so that even wide networks do not feel it


def fit(
    job: Job,
    state: State,
    epochs: int,
    *,
    progress: bool | None = None,
    backend: str = "numba",
    threads: int = 1,
    specialize: bool | None = None,
) -> History:
    """Run a job for some epochs from where its state stands.

    Parameters
    ----------
    job : Job
        What is trained on what, as `fastnn.checks.check_job` makes it; its parameters are updated in place.
    state : State
        How far the run has come; the history takes it over.
    epochs, progress, backend, threads, specialize
        As in `MLP.fit`.

    Returns
    -------
    History

    Raises
    ------
    ValueError
        If the data are not finite; the parameters are then what they were.

    Warns
    -----
    RuntimeWarning
        If the run diverges; the parameters are then the last finite ones.
    """
    epochs = check_integer("epochs", epochs, 1)
    show = check_optional_flag("progress", progress)
    options = {
        "threads": check_integer("threads", threads, 1),
        "specialize": check_optional_flag("specialize", specialize),
    }
    train = twin(backend, "training").train
    if backend == "numba":
        train = partial(train, **options)

    start = perf_counter()
    run = _Run(train, job, state, epochs)
    before, _ = run.finite
    with ProgressBar(show, epochs) as bar:
        status = run.calls(bar)
    if status == Status.BAD_DATA:
        job.params[:] = before
        check_finite_data(job.X, job.y, job.sample_weight)
        raise RuntimeError("X, y or sample_weight changed while the network was trained on them")
    stopped: Stop = "finished"
    if status == Status.DIVERGED or not np.isfinite(job.params).all():
        stopped = "diverged"
        run.rewind()
        warnings.warn(
            f"training diverged in epoch {run.done}: the loss or the parameters are no longer finite; "
            "the last finite parameters are kept",
            RuntimeWarning,
            stacklevel=3,  # where the user calls MLP.fit
        )
    learning_rates, losses = run.learning_rates[: run.done], run.losses[: run.done]
    return History(losses, learning_rates, perf_counter() - start, stopped, run.state)


class _Run:
    """One run in the making: the twin's ``train``, and what its calls read and write."""

    def __init__(self, train: Callable[..., Status], job: Job, state: State, epochs: int):
        self.train, self.job, self.state = train, job, state
        self.first = int(state.counters[0])
        self.learning_rates = _learning_rates(job.optimizer, self.first, epochs)
        self.losses = np.empty(epochs)
        self.finite = job.params.copy(), state.copy()

    @property
    def done(self) -> int:
        """Whole epochs of this run that are over."""
        return int(self.state.counters[0]) - self.first

    def call(self, state: State, max_steps: int) -> Status:
        """Train on from a state, by so many steps at most."""
        done = int(state.counters[0]) - self.first
        return self.train(self.job, state, self.learning_rates[done:], self.losses[done:], max_steps)

    def calls(self, bar: ProgressBar) -> Status:
        """Train to the end, by calls of about `SECONDS_A_CALL`."""
        max_steps = _first_steps(self.job)
        calls = 0
        while True:
            steps, clock = int(self.state.counters[2]), perf_counter()
            status = self.call(self.state, max_steps)
            if status != Status.PAUSED:
                return status
            seconds = perf_counter() - clock
            max_steps = max(1, int((int(self.state.counters[2]) - steps) * SECONDS_A_CALL / seconds))
            calls += 1
            if calls % CALLS_A_COPY == 0 and np.isfinite(self.job.params).all():
                self.finite = self.job.params.copy(), self.state.copy()
            bar.update(self.done, self.losses[self.done - 1] if self.done else np.nan)

    def rewind(self) -> None:
        """Go back to the last step after which the parameters were finite: bisection, for training repeats its bits."""
        params, state = self.finite
        bad = int(self.state.counters[2])
        if np.isfinite(self.job.params).all():
            return
        while bad - int(state.counters[2]) > 1:
            self.job.params[:] = params
            trial = state.copy()
            self.call(trial, (bad - int(state.counters[2])) // 2)
            if np.isfinite(self.job.params).all():
                params, state = self.job.params.copy(), trial
            else:
                bad = int(trial.counters[2])
        self.job.params[:] = params
        self.state = state


def _learning_rates(optimizer: Optimizer, first: int, epochs: int) -> NDArray[np.float64]:
    """The rate of each epoch from `first` on."""
    return np.full(epochs, optimizer.learning_rate)


def _first_steps(job: Job) -> int:
    """Steps that take a tenth of a second at most, and yet all of a short run's, before anything is measured."""
    operations = job.batch_size * (6 * job.spec.n_params + 50 * sum(job.spec.sizes[1:]))
    return max(1, int(SECONDS_A_CALL / 2 / (20e-6 + operations / 5e9)))
