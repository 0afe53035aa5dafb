"""Optimizers that look at all the data in every step and choose its length themselves: settings and nothing else."""

from __future__ import annotations

from dataclasses import dataclass

from fastnn.schedules import Constant, Schedule


@dataclass(frozen=True)
class Solver:
    """What every solver has."""

    @property
    def schedule(self) -> Schedule:
        """One: there is no learning rate."""
        return Constant(1.0)


@dataclass(frozen=True)
class LevenbergMarquardt(Solver):
    """Damped Gauss-Newton steps for squared losses on small networks, see `fastnn.least_squares`.

    An epoch is one step that lowers the loss, and costs about ``n * n_out * n_params**2 + n_params**3`` operations.

    Parameters
    ----------
    damping : float
        The first damping, as a fraction of the greatest curvature; above 0.
    memory : int
        Most bytes for a block of the Jacobian, which is never held as a whole; at least one sample's rows.
    """

    damping: float = 1e-3
    memory: int = 2**26
