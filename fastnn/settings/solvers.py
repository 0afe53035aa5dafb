"""Optimizers that use all the data in every step and choose its length themselves: frozen dataclasses of settings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fastnn.settings.intervals import ABOVE_0, AT_LEAST_0, AT_LEAST_1, one_of, within


@dataclass(frozen=True)
class Solver:
    """Base of every solver."""

    def rates(self, first: int, count: int) -> NDArray[np.float64]:
        """Ones, shape (count,), as a solver has no learning rate."""
        return np.ones(count)


@dataclass(frozen=True)
class LevenbergMarquardt(Solver):
    """Damped Gauss-Newton steps for squared losses on small networks; see `fastnn.training.least_squares`.

    An epoch is one step that lowers the loss, at a cost of about ``n * n_out * n_params**2 + n_params**3`` operations.
    `MLP.fit` then takes all samples as one batch; dropout, noise and `max_grad_norm` are refused. In float32 roundings
    end a run sooner than in float64, where the way down is nearly flat.

    Parameters
    ----------
    damping : float
        The initial damping, as a fraction of the largest curvature; above 0.
    memory : int
        Limit in bytes for a block of the Jacobian, which is never stored as a whole; a block has at least one sample.
    regularisation : {"bayesian"}, optional
        How the penalty that draws the parameters to zero is chosen. By default it is the `l2` of `MLP.fit`, on the
        weights. ``"bayesian"`` finds before every step the penalty, on weights and biases, that makes the data most
        probable, so that neither a penalty nor a validation set has to be chosen. The history's loss is then that of
        the data alone, and its `evidence` holds what was found (`fastnn.training.evidence.Evidence`).
    """

    damping: float = within(ABOVE_0, 1e-3)
    memory: int = within(AT_LEAST_1, 2**26)
    regularisation: str | None = one_of("bayesian")


def is_bayesian(optimizer: object) -> bool:
    """Whether an optimizer finds the penalty on the parameters itself."""
    return isinstance(optimizer, LevenbergMarquardt) and optimizer.regularisation == "bayesian"


@dataclass(frozen=True)
class LBFGS(Solver):
    """SciPy's L-BFGS (Byrd, Lu, Nocedal and Zhu, 1995); extra ``scipy``.

    An epoch is one iteration. SciPy does not reveal the curvature it has gathered, so that a run cannot be resumed.
    What `LevenbergMarquardt` refuses is refused here, too.

    Parameters
    ----------
    memory : int
        How many past gradients are kept; at least 1.
    gradient_tolerance : float
        The run has converged when the largest derivative, divided by the square root of the loss, has fallen to this
        fraction of its initial value, and can gain at most this fraction of the loss; at least 0.
    loss_tolerance : float
        The run has also converged when an iteration lowers the loss by less than this fraction of it, and the gradient
        promises no more; at least 0.
    """

    memory: int = within(AT_LEAST_1, 10)
    gradient_tolerance: float = within(AT_LEAST_0, 1e-8)
    loss_tolerance: float = within(AT_LEAST_0, 1e-12)
