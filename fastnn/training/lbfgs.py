"""SciPy's L-BFGS (extra ``scipy``) on the loss and the gradient of either twin."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cached_property
from math import isfinite, sqrt
from queue import SimpleQueue
from threading import Thread
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn.checks.extras import require
from fastnn.jobs.job import Job, State, Status
from fastnn.settings.solvers import LBFGS
from fastnn.training.blas import norm
from fastnn.training.interrupts import Interrupted, Interrupts
from fastnn.training.twins import twin
from fastnn.training.verdict import rounding_loss, size_of_loss, some_rows

#: Length of the step along the gradient, relative to the parameters, over which a difference gives the curvature.
PROBE = 1e-4

#: The part of the loss that is not worth gaining.
LITTLE = 1e-6


class Lbfgs:
    """A run of SciPy's minimiser, which pauses after each of its iterations until the next is asked for.

    It runs on a thread of its own, which takes turns with the caller's. SciPy's tolerances, which are absolute, are
    switched off; those of `LBFGS`, relative to the scale of the problem, are checked here.

    Parameters
    ----------
    job : Job
        Whose optimizer is an `LBFGS`.
    backend : str
        The twin that computes.
    end_epoch : callable
        What is done when an epoch ends.
    interrupts : Interrupts
        Ctrl-C is answered between two evaluations.
    """

    def __init__(self, job: Job, backend: str, end_epoch: Callable[..., bool], interrupts: Interrupts):
        self._minimize = require("scipy.optimize", "scipy").minimize
        assert isinstance(job.optimizer, LBFGS)
        self._job, self._rule, self._end_epoch, self._answer = job, job.optimizer, end_epoch, interrupts.answer
        self._frozen, self._tried = job.frozen, np.empty_like(job.params)
        self._gradient_of_tried = np.empty_like(job.params)
        self._objective = twin(backend, "training").objective(replace(job, params=self._tried), self._gradient_of_tried)
        self._start = job.params.astype(np.float64)
        self._loss: float | None = None  # before the next iteration
        self._first_slope = 0.0  # the largest derivative at the start, relative to the root of the loss
        self._gradient = self._start  # of the last evaluation
        self._here: tuple[NDArray, float, NDArray] = (self._start, np.nan, self._start)  # x, loss and gradient
        self._turns: SimpleQueue[bool] = SimpleQueue()  # whether to go on
        self._results: SimpleQueue[Any] = SimpleQueue()  # parameters and loss; in the end None, or an error
        self._thread: Thread | None = None
        self._has_converged = False

    def train(
        self, state: State, learning_rates: NDArray[np.float64], losses: NDArray[np.float64], max_steps: int
    ) -> Status:
        """Run the job from where its state stands: the contract of `fastnn.reference.training.train`.

        An epoch is one iteration.
        """
        job = self._job
        for i in range(min(len(losses), max_steps)):
            before = self._loss
            result = self._next()
            before = self._loss if before is None else before
            if isinstance(result, Interrupted):
                return Status.PAUSED
            if isinstance(result, BaseException):
                raise result
            if before is not None and not np.isfinite(before):
                return Status.DIVERGED if job.is_finite else Status.BAD_DATA
            if result is None and not job.is_finite:  # infinity may saturate units and leave the loss finite
                return Status.BAD_DATA
            if result is None:
                return Status.CONVERGED if self._has_converged else Status.STALLED
            with np.errstate(over="ignore"):
                params = result[0].astype(job.params.dtype)
            if not np.isfinite(params).all():
                return Status.DIVERGED
            np.copyto(job.params, params, where=~self._frozen)  # of the others SciPy may change a zero's sign
            self._loss = result[1]
            losses[i] = before
            stop = job.monitor is not None and self._end_epoch(job, state, losses[i], learning_rates, i)
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
        """The result of the next iteration: see `_results`."""
        if self._thread is None:
            self._thread = Thread(target=self._run, name="fastnn-lbfgs", daemon=True)
            self._thread.start()
        elif not self._thread.is_alive():
            return None
        else:
            self._turns.put(True)
        return self._results.get()

    def _run(self) -> None:
        options = {"maxcor": self._rule.memory, "ftol": 0.0, "gtol": 0.0}
        options |= {"maxiter": 2**31 - 1, "maxfun": 2**31 - 1}
        try:
            self._minimize(
                self._evaluate, self._start, jac=True, method="L-BFGS-B", options=options, callback=self._pause
            )
            self._has_converged = self._has_converged or self._is_minimum(*self._here)
            self._results.put(None)
        except Exception as error:  # for the caller to raise
            self._results.put(error)

    def _evaluate(self, x: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        self._answer()
        with np.errstate(over="ignore", invalid="ignore", under="ignore"):
            self._tried[:] = x
            loss = self._objective()
        gradient = np.where(self._frozen, 0.0, self._gradient_of_tried).astype(np.float64, copy=False)
        if self._loss is None:
            self._loss, self._first_slope = loss, _slope(loss, gradient)
            self._here = x.copy(), loss, gradient
        self._gradient = gradient
        return loss, gradient

    def _pause(self, intermediate_result: Any) -> None:
        x, loss = intermediate_result.x.copy(), float(intermediate_result.fun)
        before, gradient = self._loss, self._gradient
        self._here = x, loss, gradient
        self._results.put((x, loss))
        if not self._turns.get():
            raise StopIteration
        assert before is not None
        steep = self._rule.gradient_tolerance
        if _slope(loss, gradient) <= steep * self._first_slope:  # or the inputs are tiny, and with them all derivatives
            self._has_converged = self._is_minimum(x, loss, gradient, max(LITTLE, steep))
        tolerance = max(self._rule.loss_tolerance, np.finfo(self._job.params.dtype).eps)
        if before - loss <= tolerance * max(abs(before), abs(loss)):
            self._has_converged = self._has_converged or self._is_minimum(x, loss, gradient)
        if self._has_converged:
            raise StopIteration

    def _is_minimum(
        self, x: NDArray[np.float64], loss: float, gradient: NDArray[np.float64], little: float = LITTLE
    ) -> bool:
        """Whether no step along the gradient, or along a layer's part of it, can gain more than a `little` of the loss.

        This is judged by the curvature along them: if the inputs are tiny, a small derivative may still promise much.
        So may the gradient of the same network on standardised samples, where these are not.
        """
        if not isfinite(loss):
            return False
        dtype = self._job.params.dtype
        with np.errstate(over="ignore", invalid="ignore", under="ignore"):
            if abs(loss) <= rounding_loss(self._job):
                return True
            size = max(abs(loss), size_of_loss(self._job, x.astype(dtype)))
            promise = max(self._gain(x, size, gradient, part, norm(part), norm(x)) for part in self._parts(gradient))
            promise = max(promise, self._gain(x, size, gradient, *self._on_standardised(x, gradient)))
        return promise <= max(little, 10 * np.finfo(dtype).eps) * size

    def _parts(self, gradient: NDArray[np.float64]) -> Iterator[NDArray[np.float64]]:
        """The gradient, and that restricted to each layer's weights in turn."""
        yield gradient
        for l in range(self._job.spec.n_layers):
            part = np.zeros_like(gradient)
            self._job.spec.weights(part)[l][:] = self._job.spec.weights(gradient)[l]
            yield part

    def _on_standardised(
        self, x: NDArray[np.float64], gradient: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], float, float]:
        """The gradient with respect to the parameters that standardised samples would have, as a step of ours.

        Also its length, and that of those parameters: ``W' = s W`` and ``b' = b + m W`` for the mean m and the scale s.
        """
        spec = self._job.spec
        mean, scale = self._moments
        varies = scale > 10 * np.finfo(self._job.params.dtype).eps * abs(mean)  # by more than rounding
        per_scale = np.divide(1.0, scale, out=np.zeros_like(scale), where=varies)
        theirs, step, there = gradient.copy(), gradient.copy(), x.copy()
        by_weights, changes, weights = (spec.weights(each)[0] for each in (theirs, step, there))
        if spec.bias:
            by_weights -= mean * spec.biases(gradient)[0]
            spec.biases(there)[0][:] += (mean * weights).sum(axis=0)
        by_weights *= per_scale
        theirs[self._frozen] = 0
        changes[:] = by_weights * per_scale
        weights *= scale
        if spec.bias:
            spec.biases(step)[0][:] -= (mean * changes).sum(axis=0)
        step[self._frozen] = 0
        return step, norm(theirs), norm(there)

    @cached_property
    def _moments(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean and scale of each input, shape (n_in, 1), of which networks without biases take no mean."""
        rows, _ = some_rows(self._job)
        samples = self._job.X[rows].astype(np.float64)
        mean = samples.mean(axis=0) if self._job.spec.bias else np.zeros(samples.shape[1])
        return mean[:, np.newaxis], np.sqrt(((samples - mean) ** 2).mean(axis=0))[:, np.newaxis]

    def _gain(
        self,
        x: NDArray[np.float64],
        size: float,
        gradient: NDArray[np.float64],
        step: NDArray[np.float64],
        length: float,
        extent: float,
    ) -> float:
        """How much the best multiple of a step would lower a loss of this size if it were a parabola.

        The step lowers it by the square of the length, to first order; the parameters, in its units, have this extent.
        """
        if length == 0:
            return 0.0
        probe = PROBE * min(max(1.0, extent), size / length)
        _, behind = self._evaluate(x - probe / length * step)
        curvature = ((gradient - behind) * step).sum() / (probe * length)
        return length**2 / (2 * curvature) if curvature > 0 else np.inf


def _slope(loss: float, gradient: NDArray[np.float64]) -> float:
    """The largest derivative, relative to the root of the loss."""
    return float(abs(gradient).max()) / sqrt(abs(loss)) if loss != 0 and np.isfinite(loss) else 0.0
