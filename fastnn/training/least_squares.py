"""The Levenberg-Marquardt method: damped Gauss-Newton steps for squared losses on small networks.

With all residuals r scaled so that the loss is ``r^T r + l2 / 2 * sum(W**2)``, J their Jacobian with respect to the
parameters and M the diagonal matrix of ones at the weights, the step d solves

    (J^T J + l2 / 2 M + damping I) d = -(J^T r + l2 / 2 M p).

To correct for the curvature of the residuals along d, half of the acceleration a is added to the step, which solves the
same equations with J^T r'' on the right-hand side, where r'' is the second derivative of the residuals along d
(Transtrum and Sethna, "Improvements to the Levenberg-Marquardt algorithm for nonlinear least-squares minimization",
2012). It halves the number of steps, at the cost of two more evaluations in each. If the step lowers the loss and a is
short compared with it, the step is taken and the damping reduced; otherwise the damping is increased, and the step
tried again.

If slopes are trained on as well (`fit(dydx=)`), their residuals are stacked below these, and there is no acceleration,
which would need their second derivatives along d as well.

Frozen parameters have columns of zeros in J and no penalty's pull, so that d is 0 there.

A run has converged when the residuals are orthogonal to every column of J, to within rounding. With
``regularisation="bayesian"`` a penalty on all parameters replaces l2 and is updated in every step
(`fastnn.training.evidence`); for convergence it must have settled.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from math import isfinite, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastnn.jobs.job import Job, State, Status
from fastnn.jobs.missing import counted_weights
from fastnn.jobs.monitor import MonitorState
from fastnn.settings import catalogue
from fastnn.settings.solvers import LevenbergMarquardt, is_bayesian
from fastnn.training import evidence
from fastnn.training.blas import norm
from fastnn.training.evidence import Evidence
from fastnn.training.interrupts import Interrupted, Interrupts
from fastnn.training.slope_residuals import SlopeResiduals
from fastnn.training.twins import twin
from fastnn.training.verdict import rounding_loss

#: What the damping is divided by after a step that was taken, and multiplied by after one that was not.
SHRINK, GROW = 3.0, 2.0

#: Damping, relative to the greatest curvature, below which it has no effect, and above which no step lowers the loss.
VANISHING, HOPELESS = 1e-18, 1e12

#: Largest cosine of the angle between the residuals and a column of J that counts as a right angle.
RIGHT_ANGLE = 1e-6

#: The part of a step over which differences give the residuals' second derivative.
PROBE = 0.1

#: Length of the acceleration, relative to that of its step, up to which the step is trusted.
LONGEST_ACCELERATION = 0.75

#: Rows of a block of the Jacobian, at most: few enough for it to stay in the cache.
BLOCK_ROWS = 256


def train(
    job: Job,
    state: State,
    learning_rates: NDArray[np.float64],
    losses: NDArray[np.float64],
    max_steps: int,
    *,
    backend: str,
    end_epoch: Callable[..., bool],
    interrupts: Interrupts,
) -> Status:
    """Run a job whose optimizer is a `LevenbergMarquardt`: the contract of `fastnn.reference.training.train`.

    An epoch is one step that lowers the loss; or where a penalty has to settle, an update of that alone.

    Parameters
    ----------
    backend : str
        The twin that computes.
    end_epoch : callable
        What is done when an epoch ends.
    interrupts : Interrupts
        Ctrl-C is answered in the middle of a step.
    """
    problem, monitor_state = _Problem(job, backend, interrupts), state.monitor_state
    for i in range(min(len(losses), max_steps)):
        before = monitor_state.copy()
        try:
            with np.errstate(over="ignore", invalid="ignore", under="ignore"):
                sums, settled = problem.linearise(), True
                if problem.is_bayesian and np.isfinite(sums.loss):
                    settled = problem.weigh(sums, monitor_state)
                here = problem.penalised(sums)
                if not (np.isfinite(here.loss) and np.isfinite(here.gradient).all()):
                    return Status.DIVERGED if job.is_finite else Status.BAD_DATA
                if problem.is_bayesian and settled and problem.is_minimum(here):
                    return Status.CONVERGED
                better = _search(problem, monitor_state, here)
                if better is None and settled:
                    return Status.CONVERGED if problem.is_minimum(here) else Status.STALLED
        except Interrupted:  # with the step its evidence and damping are discarded, so that a resumed run repeats it
            monitor_state[:] = before
            return Status.PAUSED
        if better is None:
            monitor_state[MonitorState.DAMPING] = 0.0
        else:
            job.params[:] = better
        losses[i] = sums.loss if problem.is_bayesian else here.loss
        stop = job.monitor is not None and end_epoch(job, state, losses[i], learning_rates, i)
        state.counters[:] += 1, 0, 1
        if stop:
            return Status.STOPPED
    return Status.DONE if len(losses) <= max_steps else Status.PAUSED


class _Linearised(NamedTuple):
    """A loss near the present parameters. Only the upper triangle of the curvature is meaningful."""

    curvature: NDArray[np.float64]
    gradient: NDArray[np.float64]  # half of it
    loss: float


class _Problem:
    """A job as a sum of squares, in float64 whatever the network's dtype."""

    def __init__(self, job: Job, backend: str, interrupts: Interrupts):
        assert isinstance(job.optimizer, LevenbergMarquardt)
        self.job, self.spec, self.rule, self.answer = job, job.spec, job.optimizer, interrupts.answer
        self.backend = backend
        self.network, self.equations = twin(backend, "network"), twin(backend, "normal_equations")
        self.eps = float(np.finfo(job.params.dtype).eps)
        weights = job.weights
        counted = counted_weights(job.loss, job.y, weights)
        divisor = counted.sum() * job.spec.n_out if job.loss.mean else 1.0
        with np.errstate(invalid="ignore"):  # an infinite weight is refused with the residuals that it makes
            self.scale = np.sqrt(weights / divisor).astype(job.spec.dtype)  # of each sample's residuals
        self.frozen = job.frozen
        self.penalty = job.l2 / 2 * job.spec.weight_mask()
        self.divisor, self.n_targets = divisor, float(counted.sum()) * job.spec.n_out
        self.is_bayesian = is_bayesian(self.rule)
        self.slopes = SlopeResiduals(job, backend) if job.slopes is not None else None
        bytes_a_sample = (job.spec.n_params + 1) * job.spec.n_out * job.params.itemsize
        self.block_rows = max(1, min(BLOCK_ROWS // job.spec.n_out, len(job.X), self.rule.memory // bytes_a_sample))

    def linearise(self) -> _Linearised:
        """The loss of the data."""
        sums = self.equations.normal_equations(self.job, self.scale, self.block_rows, self.answer)
        if self.slopes is not None:
            sums += self.slopes.normal_equations(self.block_rows, self.answer)
        if self.job.trainable is not None:
            sums[:-1][self.frozen] = sums[:, :-1][:, self.frozen] = 0
        return _Linearised(sums[:-1, :-1], sums[:-1, -1], float(sums[-1, -1]))

    def penalised(self, data: _Linearised) -> _Linearised:
        """The loss of the data with the penalty, from which a step is computed; the curvature is changed in place."""
        params = self.job.params.astype(np.float64)
        np.einsum("ii->i", data.curvature)[:] += self.penalty
        loss = data.loss + float((self.penalty * params**2).sum())
        return _Linearised(data.curvature, self._of_trained(data.gradient + self.penalty * params), loss)

    def _of_trained(self, gradient: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.where(self.frozen, 0.0, gradient)

    def weigh(self, data: _Linearised, monitor_state: NDArray[np.float64]) -> bool:
        """Update the penalty from the parameters; whether it has settled."""
        params = self.job.params[~self.frozen].astype(np.float64)
        n, squares = self.n_targets, data.loss * self.divisor
        kept = evidence.recall(monitor_state)
        before = kept or evidence.first(n, squares, params)
        ridge = before.alpha / before.beta / self.divisor
        gamma = evidence.effective_params(data.curvature, ridge, self.equations, self.answer)
        found = Evidence(*evidence.precisions(gamma, n, squares, params), gamma)
        if kept is None and not params.any():
            found = found._replace(alpha=before.alpha)
        evidence.remember(monitor_state, found)
        self.penalty = np.where(self.frozen, 0.0, found.alpha / found.beta / self.divisor)
        return abs(gamma - before.effective_params) <= evidence.SETTLED

    def is_minimum(self, here: _Linearised) -> bool:
        """Whether the residuals are orthogonal to every column of their Jacobian, or are mere rounding errors."""
        right = max(RIGHT_ANGLE, sqrt(self.eps))
        seen = right * sqrt(here.loss) + sqrt(rounding_loss(self.job))
        return bool((abs(here.gradient) <= np.sqrt(here.curvature.diagonal()) * seen).all())

    def residuals(self, params: NDArray) -> NDArray[np.float64]:
        """The residuals of other parameters, shape (n, n_out)."""
        outputs = self.network.predict(self.spec, params, self.job.X)
        errors, _ = self.equations.residuals(self.job, outputs)
        return self._scaled(errors)

    def _scaled(self, errors: NDArray) -> NDArray[np.float64]:
        return (self.scale[:, np.newaxis] * errors).astype(np.float64)

    def loss(self, params: NDArray, residuals: NDArray[np.float64]) -> float:
        """The loss of parameters with these residuals."""
        slopes = 0.0 if self.slopes is None else self.slopes.loss(params)
        penalty = (self.penalty * params.astype(np.float64) ** 2).sum()
        return float((residuals**2).sum() + penalty) + slopes

    def present(self) -> tuple[NDArray, NDArray[np.float64], NDArray]:
        """The outputs at the present parameters, their residuals, and the derivatives of these without scale."""
        outputs = self.network.predict(self.spec, self.job.params, self.job.X)
        errors, slopes = self.equations.residuals(self.job, outputs)
        return outputs, self._scaled(errors), slopes

    def bend(self, step: NDArray, present: tuple[NDArray, NDArray[np.float64], NDArray]) -> NDArray:
        """``J^T r''`` by backpropagation, where r'' is the second derivative of the residuals along a step."""
        job, here, (outputs, residuals, slopes) = self.job, self.job.params, present
        if self.slopes is not None:  # whose own bend would take third derivatives: steps go without acceleration
            return np.zeros(len(here))
        probe, scale = (PROBE * step).astype(here.dtype), self.scale[:, np.newaxis]
        ahead, behind = self.residuals(here + probe), self.residuals(here - probe)
        second = (ahead - 2 * residuals + behind) / PROBE**2
        second = np.divide(second, scale, out=np.zeros_like(second), where=scale > 0)
        loss_of_targets, targets, gradient = self._squared_errors
        targets[:] = outputs - slopes * second  # the error is r'' times what the chain rule asks for
        if job.loss.masked:
            targets[np.isnan(job.y)] = np.nan
        if not isfinite(loss_of_targets()):
            return np.full(len(here), np.nan)
        return self._of_trained(gradient.astype(np.float64) / 2)

    @cached_property
    def _squared_errors(self) -> tuple[Callable[[], float], NDArray, NDArray]:
        """What gives the squared errors of targets, for `bend`; where these stand, and where it writes the gradient."""
        targets, gradient = np.empty(self.job.y.shape, self.spec.dtype), np.empty_like(self.job.params)
        loss = catalogue.LOSSES["mse" if self.job.loss.mean else "sse"]
        loss = loss.where_present() if self.job.loss.masked else loss
        job = replace(self.job, y=targets, loss=loss, l2=0.0, slopes=None)
        return twin(self.backend, "training").objective(job, gradient), targets, gradient


def _search(problem: _Problem, monitor_state: NDArray[np.float64], here: _Linearised) -> NDArray | None:
    """Find parameters with a lower loss, or None if no damping leads to any; updates the damping.

    The search ends, because the damping first shrinks and then grows, within bounds.
    """
    params, equations = problem.job.params, problem.equations
    largest = here.curvature.diagonal().max()
    if not 0 < largest < np.inf:
        return None
    damping = monitor_state[MonitorState.DAMPING] or problem.rule.damping * largest  # 0 before the first step
    damping, present = max(damping, VANISHING * largest), problem.present()
    loss = problem.loss(params, present[1])  # which `here` rounds otherwise: a step to the same place would lower that
    hopeless = HOPELESS * largest * max(1.0, problem.rule.damping)
    has_grown = False
    while damping <= hopeless and damping < np.inf:
        problem.answer()
        factor = equations.cholesky(here.curvature, damping, problem.answer)
        if factor is not None:  # rounding can make the matrix indefinite
            step = -equations.cholesky_solve(factor, here.gradient)
            if -(here.gradient * step).sum() <= problem.eps * here.loss:
                if has_grown or damping <= VANISHING * largest or problem.is_minimum(here):
                    return None
                damping /= SHRINK
                continue
            acceleration = -equations.cholesky_solve(factor, problem.bend(step, present))
            better = params + (step + acceleration / 2).astype(params.dtype)
            is_short = np.isfinite(better).all() and norm(acceleration) <= LONGEST_ACCELERATION * norm(step)
            if is_short and problem.loss(better, problem.residuals(better)) < loss:
                monitor_state[MonitorState.DAMPING] = damping / SHRINK
                return better
        has_grown = True
        damping = monitor_state[MonitorState.DAMPING] = damping * GROW
    return None
