"""Levenberg and Marquardt's method: damped Gauss-Newton steps for squared losses on small networks.

With all residuals r scaled so that the loss is ``r^T r + l2 / 2 * sum(W**2)``, J their Jacobian with respect to the
parameters and M the diagonal matrix of ones at the weights, the step d solves

    (J^T J + l2 / 2 M + damping I) d = -(J^T r + l2 / 2 M p).

The residuals bend along d; half of the acceleration a, which solves the same equations with J^T r'' on the right hand
side, r'' being their second derivative along d, is added to the step (Transtrum and Sethna, "Improvements to the
Levenberg-Marquardt algorithm for nonlinear least-squares minimization", 2012). That halves the number of steps for two
more evaluations. The step is taken if it lowers the loss and a is short beside it, and the damping shrinks; else the
damping grows, and the step is tried anew.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.linalg import LinAlgError, cholesky, norm
from numpy.typing import NDArray

from fastnn.jobs.job import Job, State, Status
from fastnn.jobs.monitor import MonitorState
from fastnn.settings.solvers import LevenbergMarquardt
from fastnn.training.twins import twin

#: What the damping is divided by after a step that was taken, and multiplied by after one that was not.
SHRINK, GROW = 3.0, 2.0

#: Damping, beside the greatest curvature, beyond which no step will lower the loss.
HOPELESS = 1e12

#: How far along a step, as a part of it, the residuals' second derivative is taken.
PROBE = 0.1

#: The longest acceleration, beside its step, with which the step is trusted.
LONGEST_ACCELERATION = 0.75

#: Samples of a block of the Jacobian, at most: few enough for it to stay in the cache.
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
) -> Status:
    """Run a job whose optimizer is a `LevenbergMarquardt`: the contract of `fastnn.reference.training.train`.

    An epoch is one step that lowers the loss.

    Parameters
    ----------
    backend : str
        The twin that computes.
    end_epoch : callable
        What is done when an epoch ends.
    """
    problem, memory = _Problem(job, backend), state.memory
    for i in range(min(len(losses), max_steps)):
        with np.errstate(over="ignore", invalid="ignore"):
            curvature, gradient, loss = problem.linearise()
            if not (np.isfinite(loss) and np.isfinite(gradient).all()):
                finite = all(np.isfinite(data).all() for data in (job.X, job.y, problem.scale))
                return Status.DIVERGED if finite else Status.BAD_DATA
            if memory[MonitorState.DAMPING] == 0:
                memory[MonitorState.DAMPING] = problem.rule.damping * curvature.diagonal().max()
            better = _search(problem, memory, curvature, gradient, loss)
        if better is None:
            return Status.CONVERGED
        job.params[:] = better
        losses[i] = loss
        stop = job.watch is not None and end_epoch(job, state, loss, learning_rates, i)
        state.counters[:] += 1, 0, 1
        if stop:
            return Status.STOPPED
    return Status.DONE if len(losses) <= max_steps else Status.PAUSED


class _Problem:
    """A job as a sum of squares; all of it in float64, whatever the network computes in."""

    def __init__(self, job: Job, backend: str):
        assert isinstance(job.optimizer, LevenbergMarquardt)
        self.job, self.spec, self.rule = job, job.spec, job.optimizer
        self.network, self.equations = twin(backend, "network"), twin(backend, "normal_equations")
        weight = np.ones(len(job.X)) if job.sample_weight is None else job.sample_weight.astype(np.float64)
        divisor = weight.sum() * job.spec.n_out if job.loss.mean else 1.0
        self.scale = np.sqrt(weight / divisor).astype(job.spec.dtype)  # of each sample's residuals
        self.penalty = job.l2 / 2 * job.spec.weight_mask()
        bytes_a_sample = (job.spec.n_params + 1) * job.spec.n_out * job.params.itemsize
        self.block_rows = max(1, min(BLOCK_ROWS // job.spec.n_out, len(job.X), self.rule.memory // bytes_a_sample))

    def linearise(self) -> tuple[NDArray, NDArray, float]:
        """Curvature, of which only the part on and above the diagonal counts, half the gradient, and the loss."""
        params = self.job.params.astype(np.float64)
        sums = self.equations.normal_equations(self.job, self.scale, self.block_rows).astype(np.float64, copy=False)
        curvature, gradient = sums[:-1, :-1], sums[:-1, -1] + self.penalty * params
        np.einsum("ii->i", curvature)[:] += self.penalty
        return curvature, gradient, float(sums[-1, -1] + self.penalty @ params**2)

    def residuals(self, params: NDArray) -> NDArray[np.float64]:
        """Shape (n, n_out)."""
        outputs = self.network.predict(self.spec, params, self.job.X)
        return (self.scale[:, np.newaxis] * (outputs - self.job.y)).astype(np.float64)

    def loss(self, params: NDArray) -> float:
        """The loss of other parameters."""
        return float((self.residuals(params) ** 2).sum() + self.penalty @ params.astype(np.float64) ** 2)

    def bend(self, step: NDArray) -> NDArray:
        """``J^T r''``, r'' being the second derivative of the residuals along a step; by backpropagation."""
        job, here = self.job, self.job.params
        probe = (PROBE * step).astype(here.dtype)
        ahead, behind = self.residuals(here + probe), self.residuals(here - probe)
        second = (ahead - 2 * self.residuals(here) + behind) / PROBE**2
        scale = self.scale[:, np.newaxis]
        second = np.divide(second, scale, out=np.zeros_like(second), where=scale > 0)
        targets = (self.network.predict(self.spec, here, job.X) - second).astype(here.dtype)  # whose error is r''
        _, gradient = self.network.loss_and_grad(
            self.spec, here, job.X, targets, job.loss, sample_weight=job.sample_weight
        )
        return gradient.astype(np.float64) / 2


def _search(
    problem: _Problem, memory: NDArray[np.float64], curvature: NDArray, gradient: NDArray, loss: float
) -> NDArray | None:
    """Parameters of a lower loss, or None where no damping leads to any; the damping is updated."""
    params, solve = problem.job.params, problem.equations.cholesky_solve
    diagonal = np.einsum("ii->i", curvature)
    undamped, hopeless = diagonal.copy(), HOPELESS * diagonal.max()
    while memory[MonitorState.DAMPING] <= hopeless:
        diagonal[:] = undamped + memory[MonitorState.DAMPING]
        try:
            factor = cholesky(curvature, upper=True)
        except LinAlgError:  # by rounding
            memory[MonitorState.DAMPING] *= GROW
            continue
        step = -solve(factor, gradient)
        if -gradient @ step <= np.finfo(float).eps * loss:
            return None
        acceleration = -solve(factor, problem.bend(step))
        better = params + (step + acceleration / 2).astype(params.dtype)
        if norm(acceleration) <= LONGEST_ACCELERATION * norm(step) and problem.loss(better) < loss:
            memory[MonitorState.DAMPING] /= SHRINK
            return better
        memory[MonitorState.DAMPING] *= GROW
    return None
