"""Learning rates that change from epoch to epoch: what an optimizer takes instead of a number.

Each is a frozen dataclass that gives the rate of any epoch, counted from 0, by its number alone, so that a run
resumed later goes on as if it had not stopped. `ReduceOnPlateau` is the exception: its rate depends on the history.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Schedule:
    """What every schedule has.

    Parameters
    ----------
    learning_rate : float
        The rate that the others are fractions of; at least 0.
    """

    learning_rate: float

    def rates(self, first: int, count: int) -> NDArray[np.float64]:
        """The rates of `count` epochs, the first of them number `first`, shape (count,)."""
        return self.learning_rate * self.factors(np.arange(first, first + count, dtype=np.float64))

    def factors(self, epoch: NDArray[np.float64]) -> NDArray[np.float64]:
        """What the learning rate is multiplied by in these epochs."""
        raise NotImplementedError(f"{type(self).__name__} does not say what its rates are")


@dataclass(frozen=True)
class Constant(Schedule):
    """The same rate in every epoch; what a plain number stands for."""

    def rates(self, first: int, count: int) -> NDArray[np.float64]:
        """The rate, `count` times."""
        rates = np.empty(count)
        rates.fill(self.learning_rate)  # in half of np.full's time
        return rates

    def factors(self, epoch: NDArray[np.float64]) -> NDArray[np.float64]:
        """One."""
        return np.ones_like(epoch)


@dataclass(frozen=True)
class Step(Schedule):
    """The rate times `factor` after every so many epochs.

    Parameters
    ----------
    learning_rate : float
        In the first epoch.
    every : int
        Epochs between two steps; at least 1.
    factor : float
        Above 0.
    """

    every: int
    factor: float = 0.1

    def factors(self, epoch: NDArray[np.float64]) -> NDArray[np.float64]:
        """``factor**(epoch // every)``."""
        return self.factor ** (epoch // self.every)


@dataclass(frozen=True)
class Exponential(Schedule):
    """The rate times `factor` after every epoch.

    Parameters
    ----------
    learning_rate : float
        In the first epoch.
    factor : float
        Above 0.
    """

    factor: float = 0.95

    def factors(self, epoch: NDArray[np.float64]) -> NDArray[np.float64]:
        """``factor**epoch``."""
        return self.factor**epoch


@dataclass(frozen=True)
class InverseScaling(Schedule):
    """The rate over a power of the time.

    Parameters
    ----------
    learning_rate : float
        In the first epoch.
    power : float
        At least 0.
    scale : float
        How much time an epoch is; at least 0. With the number of samples it is scikit-learn's ``invscaling``.
    """

    power: float = 0.5
    scale: float = 1.0

    def factors(self, epoch: NDArray[np.float64]) -> NDArray[np.float64]:
        """``(1 + scale * epoch)**-power``."""
        return (1 + self.scale * epoch) ** -self.power


@dataclass(frozen=True)
class Cosine(Schedule):
    """A straight warm-up, then half a cosine down (Loshchilov and Hutter, 2017).

    Parameters
    ----------
    learning_rate : float
        The highest, reached when the warm-up is over.
    epochs : int
        When the cosine ends, counted from the first epoch; the rate stays there.
    warm_up : int
        Epochs of the warm-up, in which the rate grows by equal steps; fewer than `epochs`.
    final : float
        The last rate as a fraction of `learning_rate`; at least 0.
    """

    epochs: int
    warm_up: int = 0
    final: float = 0.0

    def factors(self, epoch: NDArray[np.float64]) -> NDArray[np.float64]:
        """``(epoch + 1) / (warm_up + 1)``, then ``final + (1 - final) * (1 + cos(pi t)) / 2`` with t from 0 to 1."""
        t = np.clip((epoch - self.warm_up) / (self.epochs - self.warm_up), 0, 1)
        down = self.final + (1 - self.final) * (1 + np.cos(np.pi * t)) / 2
        return np.where(epoch < self.warm_up, (epoch + 1) / (self.warm_up + 1), down)


@dataclass(frozen=True)
class OneCycle(Schedule):
    """Half a cosine up and a longer one down (Smith and Topin, 2018), with PyTorch's shape.

    Parameters
    ----------
    learning_rate : float
        The highest.
    epochs : int
        Length of the cycle, at least 2; the rate stays where it ends.
    warm_up : float
        Which part of the cycle goes up; in [0, 1).
    start, final : float
        The first and the last rate as fractions of `learning_rate`; at least 0.
    """

    epochs: int
    warm_up: float = 0.3
    start: float = 0.04
    final: float = 4e-6

    def factors(self, epoch: NDArray[np.float64]) -> NDArray[np.float64]:
        """From `start` to 1 and on to `final`, each along half a cosine."""
        top = self.warm_up * (self.epochs - 1)
        up = np.clip(epoch / top, 0, 1) if top > 0 else np.ones_like(epoch)
        down = np.clip((epoch - top) / (self.epochs - 1 - top), 0, 1)
        rising = self.start + (1 - self.start) * (1 - np.cos(np.pi * up)) / 2
        falling = self.final + (1 - self.final) * (1 + np.cos(np.pi * down)) / 2
        return np.where(epoch < top, rising, falling)


@dataclass(frozen=True)
class ReduceOnPlateau(Schedule):
    """The rate times `factor` whenever the loss has stopped falling.

    The loss is that of the validation set if there is one, else that of training.

    Parameters
    ----------
    learning_rate : float
        In the first epoch.
    factor : float
        In (0, 1).
    patience : int
        So many epochs in a row without an improvement reduce the rate; at least 1.
    min_improvement : float
        A loss less than this below the best so far is no improvement; at least 0.
    cooldown : int
        Epochs after a reduction that are not counted; at least 0.
    min_rate : float
        The rate is not reduced below; at least 0.
    """

    factor: float = 0.1
    patience: int = 10
    min_improvement: float = 1e-4
    cooldown: int = 0
    min_rate: float = 0.0

    def factors(self, epoch: NDArray[np.float64]) -> NDArray[np.float64]:
        """One, for as long as nothing is reduced."""
        return np.ones_like(epoch)


#: What there is.
NAMES = ("Constant", "Step", "Exponential", "InverseScaling", "Cosine", "OneCycle", "ReduceOnPlateau")
