"""Run a job in a few calls of a twin, sized by time, and record its history."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, closing, nullcontext
from functools import partial
from threading import Event
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn.checks import (
    all_finite,
    check_batches_done,
    check_callback,
    check_epochs,
    check_finite_data,
    check_flag,
    check_integer,
    check_name,
    check_optional_flag,
    check_specialize,
    naming,
)
from fastnn.jobs.job import Job, State, Status, Train
from fastnn.jobs.monitor import Monitor, MonitorState
from fastnn.kernels.jit.turned_off import compiler_is_off
from fastnn.settings.solvers import LBFGS, Solver, is_bayesian
from fastnn.training import evidence
from fastnn.training.blas import blas_threads
from fastnn.training.history import Epoch, History, Stop
from fastnn.training.interrupts import SECONDS_A_CALL, UNBOUNDED, Interrupts, NoInterrupts
from fastnn.training.progress import EpochsBar
from fastnn.training.twins import BACKENDS, twin

CALLS_A_COPY = 10  # calls from one copy of finite parameters to the next, so that even wide networks lose no time
FIRST_ROOM = 2**16  # epochs for whose losses and rates there is room at first; it grows with the run
_STOPS: dict[int, Stop] = {
    Status.BAD_DATA: "diverged",
    Status.DIVERGED: "diverged",
    Status.STOPPED: "early",
    Status.CONVERGED: "converged",
    Status.STALLED: "stalled",
}
_NOTHING = nullcontext()
_NOTHING_PENDING = NoInterrupts()

Callback = Callable[[Epoch], bool | None]


def fit(
    job: Job,
    state: State,
    epochs: int,
    *,
    callback: Callback | None = None,
    progress: bool | None = None,
    backend: str = "numba",
    threads: int = 1,
    specialize: bool | None = None,
    halt: Event | None = None,
    warn: bool = True,
) -> History:
    """Run a job for some epochs from where its state stands.

    Parameters
    ----------
    job : Job
        The job, as `fastnn.checks.check_job` makes it; its parameters are updated in place.
    state : State
        The state to start from, which becomes the history's.
    epochs, callback, progress, backend, threads, specialize
        As in `MLP.fit`.
    halt : threading.Event, optional
        Ends the run like Ctrl-C once it is set.
    warn : bool
        Whether to warn. Callers in threads cannot use `warnings.catch_warnings`, which affects the whole process.

    Returns
    -------
    History

    Raises
    ------
    ValueError
        If the data are not finite; the parameters are then unchanged.
    ImportError
        If SciPy is not installed for `LBFGS`, or rich for ``progress=True``.
    RuntimeError
        If the data changed while the network was trained on them; the parameters are then those before.
    KeyboardInterrupt
        If Ctrl-C was pressed when the run had just ended by itself.

    Warns
    -----
    RuntimeWarning
        If the run diverges; the parameters are then those after the last epoch that left them finite.
    """
    if job.monitor is not None and job.monitor.fraction > 0:
        from fastnn.training.holding_out import hold_out

        job = hold_out(job, state.seed)
    check_batches_done(state, job)
    epochs = check_epochs(epochs)
    show, callback = check_optional_flag("progress", progress), check_callback(callback)
    threads, backend = check_integer("threads", threads, 1), check_name("backend", backend, BACKENDS)
    options = {"threads": threads, "specialize": check_specialize(specialize, job, backend)}
    first_steps, solves = _first_steps(job, backend), isinstance(job.optimizer, Solver)
    # So short a run ends before Ctrl-C need be answered.
    is_one_call = epochs * job.n_batches <= first_steps and callback is None and not solves
    interruptible = _NOTHING_PENDING if is_one_call else Interrupts(halt)
    limited_blas = blas_threads(1 if solves else threads) if backend == "numpy" or solves else _NOTHING

    start = perf_counter()
    with interruptible as interrupts:
        before = job.params.copy()
        if job.monitor is not None:
            job.monitor.begin(state.epochs_done, min(epochs, FIRST_ROOM))
        train, thread = _trainer(job, state, backend, options, interrupts)
        with limited_blas, thread:  # that of SciPy, too, which a trainer may have loaded
            run = _Run(train, job, state, epochs, before, first_steps)
            with EpochsBar(show, epochs, validates=run.validation is not None) as bar:
                status, stopped = run.train_all(bar, interrupts, callback)
            stopped, trouble = run.settle(status, stopped)
    if trouble is not None and warn:
        told = f"training {stopped} in epoch {run.done}: {trouble}"
        warnings.warn(told, RuntimeWarning, stacklevel=3)  # where the user calls MLP.fit
    if stopped not in ("interrupted", "diverged"):
        run.restore_best()
    history = run.history(perf_counter() - start, stopped)
    if interrupts.pending and stopped != "interrupted":
        raise KeyboardInterrupt
    return history


def _why_stalled(job: Job, stopped: Stop) -> str | None:
    """What keeps a solver that has converged, or stalled, from lowering the loss; None at a minimum."""
    from fastnn.training.verdict import REMEDY, why_stalled

    why = why_stalled(job)
    if why is None and stopped == "stalled":
        why = f"the gradient is not zero, but no step leads down; {REMEDY}"
        if job.spec.dtype == "float32":  # whose roundings may hide the way down
            why += ", or use float64"
    return why


def _trainer(
    job: Job, state: State, backend: str, options: dict[str, Any], interrupts: Interrupts
) -> tuple[Train, AbstractContextManager[Any]]:
    """What runs the job, and a context that ends its thread, if it has one of its own."""
    if isinstance(job.optimizer, LBFGS):
        from fastnn.training.lbfgs import Lbfgs

        lbfgs = Lbfgs(job, backend, end_epoch_of(backend), interrupts)
        return lbfgs.train, closing(lbfgs)
    if isinstance(job.optimizer, Solver):
        from fastnn.training import least_squares

        solve = partial(least_squares.train, backend=backend, end_epoch=end_epoch_of(backend), interrupts=interrupts)
        return partial(solve, job), _NOTHING
    trainer = twin(backend, "training").trainer
    if backend != "numba":
        options = {}
    if job.batches is None:
        return trainer(job, state, **options), _NOTHING
    from fastnn.training.batches import Feed

    if options:  # each batch is a job of its own, and takes the path of networks of any size
        options = options | {"specialize": False}
    feed = Feed(job, partial(trainer, **options), end_epoch_of(backend), interrupts)
    return feed.train, feed


def end_epoch_of(backend: str) -> Callable[..., bool]:
    """The function that ends an epoch, for training loops in Python."""
    return partial(twin("numpy", "end_epoch").end_epoch, evaluate=twin(backend, "network").evaluate)


class _Run:
    """A run in progress: the function that trains, and the arrays that its calls read and write."""

    def __init__(self, train: Train, job: Job, state: State, epochs: int, before: NDArray[Any], first_steps: int):
        self.train, self.job, self.state, self.epochs = train, job, state, epochs
        self.first_steps, self.before = first_steps, before
        self.first = state.epochs_done
        room = min(epochs, FIRST_ROOM)
        self.learning_rates = job.optimizer.rates(self.first, room)
        self.losses = np.empty(room)
        self.follows_plateau = self.keeps_best = False
        self.validation: Monitor | None = None  # the monitor, where it has a validation set
        if job.monitor is not None:
            self._begin_monitoring()
        if state.last is not None:
            before = state.last
            job.params[:], state.last = before, None
        is_fresh = job.monitor is None and state.steps_done == 0  # `rewind` can make such a state again
        self.last_finite = before, None if is_fresh else state.copy()

    def _begin_monitoring(self) -> None:
        monitor, monitor_state = self.job.monitor, self.state.monitor_state
        assert monitor is not None
        self.follows_plateau = monitor.plateau is not None
        self.validation = monitor if monitor.validates else None
        if monitor.plateau is not None and monitor_state[MonitorState.RATE] == np.inf:
            monitor_state[MonitorState.RATE] = monitor.plateau.learning_rate
        self.keeps_best = monitor.stopping is not None and monitor.stopping.restore_best
        if self.keeps_best and not self.state.best.size:  # a resumed run that kept none has lost its best
            self.state.best = self.job.params.copy()
            monitor_state[[MonitorState.BEST, MonitorState.BEST_EPOCH]] = np.inf, -1

    @property
    def done(self) -> int:
        """Number of whole epochs that this run has done."""
        return self.state.epochs_done - self.first

    def is_finite(self, state: State) -> bool:
        """Whether the parameters are, and what the optimizer keeps: an infinite one would hold a parameter still."""
        return all_finite(self.job.params) and all_finite(state.slots)

    def next_epochs(self, state: State, epochs: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The learning rates of the epochs after a state, at most this many, and room for their losses."""
        done = state.epochs_done - self.first
        if done == len(self.losses):
            self._make_room()
        if self.follows_plateau:
            self.learning_rates[done : done + 1] = state.monitor_state[MonitorState.RATE]
        return self.learning_rates[done : done + epochs], self.losses[done : done + epochs]

    def _make_room(self) -> None:
        """Make room for twice as many epochs: a run of very many is often meant to end before."""
        room = len(self.losses)
        more = min(room, self.epochs - room)
        rates = self.job.optimizer.rates(self.first + room, more)
        self.learning_rates = np.concatenate([self.learning_rates, rates])
        self.losses = np.concatenate([self.losses, np.empty(more)])
        if self.job.monitor is not None:
            self.job.monitor.make_room(more)

    def train_all(self, bar: EpochsBar, interrupts: Interrupts, callback: Callback | None) -> tuple[Status, Stop]:
        """Train to the end, in calls of about `SECONDS_A_CALL`, or of one epoch if there is a callback."""
        # Parameters are copied where a call ends with an epoch, as few longer calls on batches from a callable do.
        most_epochs = self.epochs if callback is None and self.job.batches is None else 1
        max_steps = self.first_steps
        calls = 0
        while True:
            calls += 1
            to_copy = calls >= CALLS_A_COPY
            done, steps, clock = self.done, self.state.steps_done, perf_counter()
            steps_now = self._whole_epochs(max_steps) if to_copy else max_steps
            status = self.train(self.state, *self.next_epochs(self.state, most_epochs), steps_now)
            seconds = perf_counter() - clock
            stop = _STOPS.get(status)
            if stop == "diverged":
                return status, stop
            if callback is not None and self.done > done and self._callback_ends_run(callback):
                return status, "callback"
            if stop is not None:
                return status, stop
            if self.done == self.epochs:
                return status, "finished"
            if interrupts.pending:
                return status, "interrupted"
            max_steps = max(1, int((self.state.steps_done - steps) * SECONDS_A_CALL / max(seconds, 1e-9)))
            if to_copy and self.state.batches_done == 0 and self.is_finite(self.state):
                self.last_finite = self.job.params.copy(), self.state.copy()
                calls = 0
            bar.update(self.done, *self._last_epoch())

    def _whole_epochs(self, max_steps: int) -> int:
        """At most this number of steps, reduced to whole epochs if possible."""
        to_end = self.job.n_batches - self.state.batches_done
        beyond = max_steps - to_end
        return max_steps if beyond < 0 else to_end + beyond // self.job.n_batches * self.job.n_batches

    def _last_epoch(self) -> tuple[float, float, float]:
        """Loss, validation loss and learning rate of the last whole epoch."""
        last = self.done - 1
        if last < 0:
            return np.nan, np.nan, self.learning_rates[0]
        loss = np.nan if self.validation is None else self.validation.loss[last]
        return self.losses[last], loss, self.learning_rates[last]

    def _callback_ends_run(self, callback: Callback) -> bool:
        """Call the callback with the last epoch; whether it ends the run."""
        last, validation = self.done - 1, self.validation
        answer = callback(
            Epoch(
                self.first + last,
                float(self.losses[last]),
                float(self.learning_rates[last]),
                None if validation is None else float(validation.loss[last]),
                None if validation is None else float(validation.metric[last]),
            )
        )
        return answer is not None and check_flag("what callback returns", answer)

    def settle(self, status: Status, stopped: Stop) -> tuple[Stop, str | None]:
        """Why the run ended, after a look at its data and parameters, and what to warn of; as `fit` raises."""
        job = self.job
        if status == Status.BAD_DATA and not (job.input_noise > 0 and job.is_finite):  # it was not the noise
            job.params[:] = self.before
            with _NOTHING if job.batches is None else naming(f"batch {self.state.batches_done} of X"):
                check_finite_data(job.X, job.y, job.sample_weight, masked=job.loss.masked)
            raise RuntimeError("X, y or sample_weight changed while the network was trained on them")
        if stopped == "diverged" or not self.is_finite(self.state):
            if not isinstance(job.optimizer, Solver):  # solvers take no step to where anything is infinite
                self.rewind()
            return "diverged", (
                "the loss or the parameters are no longer finite; the parameters after the last finite epoch are kept"
            )
        why = _why_stalled(job, stopped) if stopped in ("converged", "stalled") else None
        return (stopped, None) if why is None else ("stalled", why)

    def rewind(self) -> None:
        """Go back to the last epoch with finite parameters, by bisection: training again gives the same bits."""
        params, state = self.last_finite
        if state is None:
            state = State.fresh(self.job.spec, self.job.optimizer, self.state.seed)
        last, bad = self.done, self.done + 1
        while bad - state.epochs_done + self.first > 1:
            good = state.epochs_done - self.first
            middle = last if bad > last else (good + bad) // 2
            self.job.params[:] = params
            trial = state.copy()
            self.train(trial, *self.next_epochs(trial, middle - good), UNBOUNDED)
            # It gets ahead by whole epochs, unless a callable yields other batches than before.
            ahead = trial.epochs_done - self.first > good and trial.batches_done == 0
            if ahead and self.is_finite(trial):
                params, state = self.job.params.copy(), trial
            else:
                bad = middle
        self.job.params[:] = params
        self.state = state

    def restore_best(self) -> None:
        """Give the network the parameters of the best epoch."""
        if self.keeps_best and self.state.monitor_state[MonitorState.BEST_EPOCH] >= 0:
            self.state.last = self.job.params.copy()
            self.job.params[:] = self.state.best

    def history(self, seconds: float, stopped: Stop) -> History:
        """The record of the run."""
        done, monitor, validation = self.done, self.job.monitor, self.validation
        stops_early = monitor is not None and monitor.stopping is not None
        best = int(self.state.monitor_state[MonitorState.BEST_EPOCH])
        return History(
            loss=self.losses[:done],
            learning_rate=self.learning_rates[:done],
            seconds=seconds,
            stopped=stopped,
            state=self.state,
            validation_loss=None if validation is None else validation.loss[:done],
            validation_metric=None if validation is None else validation.metric[:done],
            metric=self.job.loss.metric,
            best_epoch=best if stops_early and best >= 0 else None,
            evidence=evidence.recall(self.state.monitor_state) if is_bayesian(self.job.optimizer) else None,
        )


def _first_steps(job: Job, backend: str) -> int:
    """A first number of steps: all those of a short run, but at most a tenth of a second, before any time is known."""
    if isinstance(job.optimizer, Solver) or job.batches is not None:  # nobody knows how long batches take to come
        return 1
    if backend != "numpy" and compiler_is_off():
        return 1
    overhead = 20e-6 if backend == "numba" else 200e-6  # seconds of a step apart from its operations, at most
    rows = job.batch_size * (1 if job.slopes is None else 1 + len(job.slopes.directions))
    if job.monitor is not None and job.monitor.X is not None:
        rows += len(job.monitor.X) // job.n_batches  # a step's share of those that an epoch ends with
    operations = rows * (6 * job.spec.n_params + 50 * job.spec.n_units)
    return max(1, int(SECONDS_A_CALL / 2 / (overhead + operations / 5e9)))  # 5e9 operations a second: a slow core
