"""Learning rates that change from epoch to epoch, which an optimizer takes instead of a number.

Each is a frozen dataclass that gives the rate of an epoch from its number alone, counted from 0, so that a resumed run
continues as if it had not stopped. `ReduceOnPlateau` is the exception: its rate depends on the history.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fastnn.settings.intervals import ABOVE_0, AT_LEAST_0, AT_LEAST_1, AT_LEAST_2, INSIDE_UNIT, UNIT, within


@dataclass(frozen=True)
class Schedule:
    """Base of every schedule.

    Parameters
    ----------
    learning_rate : float
        The rate that the schedule multiplies; at least 0.
    """

    learning_rate: float = field(metadata={"interval": AT_LEAST_0})

    def rates(self, first: int, count: int) -> NDArray[np.float64]:
        """The learning rates of `count` epochs from number `first`, shape (count,)."""
        with np.errstate(over="ignore"):  # training says that it diverged
            return self.learning_rate * self.factors(np.arange(first, first + count, dtype=np.float64))

    def factors(self, epoch: NDArray[np.float64]) -> NDArray[np.float64]:
        """The factors of the learning rate in these epochs."""
        raise NotImplementedError(f"{type(self).__name__} does not say what its rates are")


def constant(rate: float | NDArray, count: int) -> NDArray[np.float64]:
    """The same rate for `count` epochs, shape (count,)."""
    rates = np.empty(count)
    rates.fill(rate)  # in half of np.full's time
    return rates


@dataclass(frozen=True)
class Constant(Schedule):
    """The same rate in every epoch, as a plain number gives.

    Parameters
    ----------
    learning_rate : float
        The rate; at least 0.
    """

    def rates(self, first: int, count: int) -> NDArray[np.float64]:
        """The rate, `count` times."""
        return constant(self.learning_rate, count)

    def factors(self, epoch: NDArray[np.float64]) -> NDArray[np.float64]:
        """Ones."""
        return np.ones_like(epoch)


@dataclass(frozen=True)
class Step(Schedule):
    """Multiply the rate by `factor` once in every so many epochs.

    Parameters
    ----------
    learning_rate : float
        Rate of the first epoch.
    every : int
        Number of epochs between two changes; at least 1.
    factor : float
        Above 0.
    """

    every: int = field(metadata={"interval": AT_LEAST_1})
    factor: float = within(ABOVE_0, 0.1)

    def factors(self, epoch: NDArray[np.float64]) -> NDArray[np.float64]:
        """``factor**(epoch // every)``."""
        return self.factor ** (epoch // self.every)


@dataclass(frozen=True)
class Exponential(Schedule):
    """Multiply the rate by `factor` after every epoch.

    Parameters
    ----------
    learning_rate : float
        Rate of the first epoch.
    factor : float
        Above 0.
    """

    factor: float = within(ABOVE_0, 0.95)

    def factors(self, epoch: NDArray[np.float64]) -> NDArray[np.float64]:
        """``factor**epoch``."""
        return self.factor**epoch


@dataclass(frozen=True)
class InverseScaling(Schedule):
    """Divide the rate by a power of the time.

    Parameters
    ----------
    learning_rate : float
        Rate of the first epoch.
    power : float
        At least 0.
    scale : float
        Time that an epoch takes; at least 0. The number of samples gives scikit-learn's ``invscaling``.
    """

    power: float = within(AT_LEAST_0, 0.5)
    scale: float = within(AT_LEAST_0, 1.0)

    def factors(self, epoch: NDArray[np.float64]) -> NDArray[np.float64]:
        """``(1 + scale * epoch)**-power``."""
        return (1 + self.scale * epoch) ** -self.power


@dataclass(frozen=True)
class Cosine(Schedule):
    """Rise linearly in a warm-up, then fall along half a cosine (Loshchilov and Hutter, 2017).

    Parameters
    ----------
    learning_rate : float
        Highest rate, reached at the end of the warm-up.
    epochs : int
        Number of the epoch, counted from the first, at which the cosine ends; the rate then stays constant.
    warm_up : int
        Number of epochs of the warm-up; less than `epochs`.
    final : float
        Last rate, as a fraction of `learning_rate`; at least 0.
    """

    epochs: int = field(metadata={"interval": AT_LEAST_1})
    warm_up: int = within(AT_LEAST_0, 0)
    final: float = within(AT_LEAST_0, 0.0)

    def factors(self, epoch: NDArray[np.float64]) -> NDArray[np.float64]:
        """``(epoch + 1) / (warm_up + 1)``, then ``final + (1 - final) * (1 + cos(pi t)) / 2`` with t from 0 to 1."""
        t = np.clip((epoch - self.warm_up) / (self.epochs - self.warm_up), 0, 1)
        down = self.final + (1 - self.final) * (1 + np.cos(np.pi * t)) / 2
        return np.where(epoch < self.warm_up, (epoch + 1) / (self.warm_up + 1), down)


@dataclass(frozen=True)
class OneCycle(Schedule):
    """Rise along half a cosine, then fall along a longer one (Smith and Topin, 2018), in the shape of PyTorch's.

    Parameters
    ----------
    learning_rate : float
        Highest rate.
    epochs : int
        Length of the cycle, at least 2; the rate then stays constant.
    warm_up : float
        Fraction of the cycle in which the rate rises; in [0, 1). PyTorch's turns at ``pct_start * total_steps - 1``, to
        which ``warm_up = (pct_start * epochs - 1) / (epochs - 1)`` is equal.
    start, final : float
        First and last rate, as fractions of `learning_rate`; at least 0.
    """

    epochs: int = field(metadata={"interval": AT_LEAST_2})
    warm_up: float = within(UNIT, 0.3)
    start: float = within(AT_LEAST_0, 0.04)
    final: float = within(AT_LEAST_0, 4e-6)

    def factors(self, epoch: NDArray[np.float64]) -> NDArray[np.float64]:
        """From `start` to 1, then to `final`, each along half a cosine."""
        top = self.warm_up * (self.epochs - 1)
        up = np.clip(epoch / top, 0, 1) if top > 0 else np.ones_like(epoch)
        down = np.clip((epoch - top) / (self.epochs - 1 - top), 0, 1)
        rising = self.start + (1 - self.start) * (1 - np.cos(np.pi * up)) / 2
        falling = self.final + (1 - self.final) * (1 + np.cos(np.pi * down)) / 2
        return np.where(epoch < top, rising, falling)


@dataclass(frozen=True)
class ReduceOnPlateau(Schedule):
    """Multiply the rate by `factor` whenever the loss has stopped falling.

    The loss is that of the validation set, or without one the training loss.

    Parameters
    ----------
    learning_rate : float
        Rate of the first epoch.
    factor : float
        In (0, 1).
    patience : int
        Number of epochs in a row without improvement after which the rate is reduced; at least 1.
    min_improvement : float
        How far below the lowest loss so far a loss must be to count as an improvement; at least 0.
    cooldown : int
        Number of epochs after a reduction that are not counted; at least 0.
    min_rate : float
        Lower bound of the rate; at least 0.
    """

    factor: float = within(INSIDE_UNIT, 0.1)
    patience: int = within(AT_LEAST_1, 10)
    min_improvement: float = within(AT_LEAST_0, 1e-4)
    cooldown: int = within(AT_LEAST_0, 0)
    min_rate: float = within(AT_LEAST_0, 0.0)

    def factors(self, epoch: NDArray[np.float64]) -> NDArray[np.float64]:
        """Ones, until the rate is reduced."""
        return np.ones_like(epoch)


#: Names of the schedules.
NAMES = ("Constant", "Step", "Exponential", "InverseScaling", "Cosine", "OneCycle", "ReduceOnPlateau")
