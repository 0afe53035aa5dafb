"""Optimizers that look at all the data in every step and choose its length themselves: settings and nothing else."""

from __future__ import annotations

from dataclasses import dataclass

from fastnn.settings.intervals import ABOVE_0, AT_LEAST_0, Interval, one_of, within
from fastnn.settings.schedules import Constant, Schedule


@dataclass(frozen=True)
class Solver:
    """What every solver has."""

    @property
    def schedule(self) -> Schedule:
        """One: there is no learning rate."""
        return Constant(1.0)


@dataclass(frozen=True)
class LevenbergMarquardt(Solver):
    """Damped Gauss-Newton steps for squared losses on small networks, see `fastnn.training.least_squares`.

    An epoch is one step that lowers the loss, and costs about ``n * n_out * n_params**2 + n_params**3`` operations.

    Parameters
    ----------
    damping : float
        The first damping, as a fraction of the greatest curvature; above 0.
    memory : int
        Most bytes for a block of the Jacobian, which is never held as a whole; at least one sample's rows.
    regularisation : {"bayesian"}, optional
        How strongly all parameters, biases too, are drawn to zero: by default as `l2` of `MLP.fit` says; by
        ``"bayesian"`` as strongly as makes the data most probable, found anew before every step, so that neither a
        penalty nor a validation set has to be chosen. The history's loss is then that of the data alone, and its
        `evidence` says what was found (`fastnn.training.evidence`).
    """

    damping: float = within(ABOVE_0, 1e-3)
    memory: int = within(Interval(1), 2**26)
    regularisation: str | None = one_of("bayesian")


def is_bayesian(optimizer: object) -> bool:
    """Whether it finds the penalty on the parameters itself."""
    return isinstance(optimizer, LevenbergMarquardt) and optimizer.regularisation == "bayesian"


@dataclass(frozen=True)
class LBFGS(Solver):
    """L-BFGS of Byrd, Lu, Nocedal and Zhu (1995) as SciPy has it (extra ``scipy``).

    An epoch is one iteration. SciPy keeps what it remembers, so that a run cannot be resumed.

    Parameters
    ----------
    memory : int
        How many past gradients are remembered; at least 1.
    gradient_tolerance : float
        The run has converged when the largest derivative, beside the square root of the loss, is this part of what it
        was at the start, and promises to gain no more than this part of the loss; at least 0.
    loss_tolerance : float
        Or when an iteration lowers the loss by less than this part of it, and the gradient promises no more; at least
        0.
    """

    memory: int = within(Interval(1), 10)
    gradient_tolerance: float = within(AT_LEAST_0, 1e-8)
    loss_tolerance: float = within(AT_LEAST_0, 1e-12)
