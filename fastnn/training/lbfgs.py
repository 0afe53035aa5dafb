"""L-BFGS by SciPy (extra ``scipy``), driving the loss and the gradient of either twin."""

from __future__ import annotations

from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn.checks.extras import require
from fastnn.jobs.job import Job, State, Status
from fastnn.settings.solvers import LBFGS
from fastnn.training.twins import twin


class Lbfgs:
    """A run of SciPy's minimiser, which is stopped after each of its iterations until the next is asked for.

    It runs on a thread of its own, that and the caller's taking turns.

    Parameters
    ----------
    job : Job
        Whose optimizer is an `LBFGS`.
    backend : str
        The twin that computes.
    end_epoch : callable
        What is done when an epoch ends.
    """

    def __init__(self, job: Job, backend: str, end_epoch: Callable[..., bool]):
        self._minimize = require("scipy.optimize", "scipy").minimize
        self._job, self._end_epoch = job, end_epoch
        self._loss_and_grad = twin(backend, "network").loss_and_grad
        self._start = job.params.astype(np.float64)
        self._loss: float | None = None  # before the next iteration
        self._turns: SimpleQueue[bool] = SimpleQueue()  # whether to go on
        self._results: SimpleQueue[Any] = SimpleQueue()  # parameters and loss; in the end None, or an error
        self._thread: Thread | None = None

    def train(
        self,
        job: Job,
        state: State,
        learning_rates: NDArray[np.float64],
        losses: NDArray[np.float64],
        max_steps: int,
    ) -> Status:
        """Run the job from where its state stands: the contract of `fastnn.reference.training.train`.

        An epoch is one iteration.
        """
        for i in range(min(len(losses), max_steps)):
            before = self._loss
            result = self._next()
            before = self._loss if before is None else before
            if isinstance(result, BaseException):
                raise result
            if before is not None and not np.isfinite(before):
                finite = np.isfinite(job.X).all() and np.isfinite(job.y).all()
                return Status.DIVERGED if finite else Status.BAD_DATA
            if result is None:
                return Status.CONVERGED
            job.params[:], self._loss = result
            losses[i] = before
            stop = job.watch is not None and self._end_epoch(job, state, losses[i], learning_rates, i)
            state.counters[:] += 1, 0, 1
            if stop:
                return Status.STOPPED
        return Status.DONE if len(losses) <= max_steps else Status.PAUSED

    def close(self) -> None:
        """End the thread."""
        if self._thread is not None and self._thread.is_alive():
            self._turns.put(False)
            self._thread.join()

    def _next(self) -> Any:
        """What the next iteration leads to."""
        if self._thread is None:
            self._thread = Thread(target=self._run, name="fastnn-lbfgs", daemon=True)
            self._thread.start()
        elif not self._thread.is_alive():
            return None
        else:
            self._turns.put(True)
        return self._results.get()

    def _run(self) -> None:
        rule = self._job.optimizer
        assert isinstance(rule, LBFGS)
        options = {"maxcor": rule.memory, "ftol": rule.loss_tolerance, "gtol": rule.gradient_tolerance}
        options |= {"maxiter": 2**31 - 1, "maxfun": 2**31 - 1}
        try:
            self._minimize(
                self._evaluate, self._start, jac=True, method="L-BFGS-B", options=options, callback=self._pause
            )
            self._results.put(None)
        except Exception as error:  # for the caller to raise
            self._results.put(error)

    def _evaluate(self, x: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        job = self._job
        settings = {"sample_weight": job.sample_weight, "l2": job.l2, "delta": job.delta}
        params = x.astype(job.params.dtype)
        with np.errstate(over="ignore", invalid="ignore"):
            loss, gradient = self._loss_and_grad(job.spec, params, job.X, job.y, job.loss, **settings)
        if self._loss is None:
            self._loss = loss
        return loss, gradient.astype(np.float64)

    def _pause(self, intermediate_result: Any) -> None:
        self._results.put((intermediate_result.x.copy(), float(intermediate_result.fun)))
        if not self._turns.get():
            raise StopIteration
