"""The update rules that `fit` takes: frozen dataclasses of settings.

The formulas are PyTorch's, except for the two variants at the end. They are written in ``reference/optimizers.py`` and
``kernels/functions/optimizers.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn.settings.intervals import ABOVE_0, AT_LEAST_0, INSIDE_UNIT, UNIT, Interval, within
from fastnn.settings.schedules import Schedule, constant


@dataclass(frozen=True)
class Optimizer:
    """Base of every update rule.

    Parameters
    ----------
    learning_rate : float or Schedule
        Factor of the step, at least 0: one for the whole run, or one for each epoch; in `fit_many` also an array of
        one for each member, as a momentum may be.
    """

    learning_rate: float | Schedule | NDArray[Any]

    def rates(self, first: int, count: int) -> NDArray[np.float64]:
        """The learning rates of `count` epochs from number `first`, shape (count,)."""
        rate = self.learning_rate
        return rate.rates(first, count) if isinstance(rate, Schedule) else constant(rate, count)

    @property
    def variant(self) -> str:
        """Suffix of the rule's function in compiled code: one of `catalogue.Optimizer.variants`."""
        return ""


@dataclass(frozen=True)
class SGD(Optimizer):
    """Gradient descent: ``v = momentum * v + g``; ``p -= learning_rate * v``.

    Parameters
    ----------
    learning_rate : float or Schedule
        At least 0.
    momentum : float
        In [0, 1).
    nesterov : bool
        Step along ``g + momentum * v`` instead of ``v``; needs a momentum above 0.
    """

    learning_rate: float | Schedule | NDArray[Any] = within(AT_LEAST_0, 1e-2)
    momentum: float | NDArray[Any] = within(UNIT, 0.0)
    nesterov: bool = False

    @property
    def variant(self) -> str:
        """One for no momentum, which keeps nothing from step to step, one for momentum, one for Nesterov's."""
        return "_nesterov" if self.nesterov else "_momentum" if self.momentum > 0 else ""


@dataclass(frozen=True)
class RMSprop(Optimizer):
    """``v = decay * v + (1 - decay) * g**2``; ``p -= learning_rate * g / (sqrt(v) + epsilon)``.

    Parameters
    ----------
    learning_rate : float or Schedule
        At least 0.
    decay : float
        In [0, 1).
    epsilon : float
        Above 0.
    """

    learning_rate: float | Schedule | NDArray[Any] = within(AT_LEAST_0, 1e-2)
    decay: float = within(UNIT, 0.99)
    epsilon: float = within(ABOVE_0, 1e-8)


@dataclass(frozen=True)
class Adam(Optimizer):
    """Adam of Kingma and Ba (2015), with both bias corrections.

    ``m = beta_1 * m + (1 - beta_1) * g``; ``v = beta_2 * v + (1 - beta_2) * g**2``;
    ``p -= learning_rate / (1 - beta_1**t) * m / (sqrt(v / (1 - beta_2**t)) + epsilon)``.

    Parameters
    ----------
    learning_rate : float or Schedule
        At least 0.
    beta_1, beta_2 : float
        In [0, 1).
    epsilon : float
        Above 0.
    """

    learning_rate: float | Schedule | NDArray[Any] = within(AT_LEAST_0, 1e-3)
    beta_1: float = within(UNIT, 0.9)
    beta_2: float = within(UNIT, 0.999)
    epsilon: float = within(ABOVE_0, 1e-8)


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019): first ``p *= 1 - learning_rate * weight_decay``.

    The decay acts on every parameter, biases included, as PyTorch's does.

    Parameters
    ----------
    learning_rate, beta_1, beta_2, epsilon : float
        As for `Adam`.
    weight_decay : float
        At least 0.
    """

    weight_decay: float = within(AT_LEAST_0, 1e-2)


@dataclass(frozen=True)
class Rprop(Optimizer):
    """Resilient backpropagation (Riedmiller and Braun, 1993), which gives every parameter its own step size.

    A step size is multiplied by `increase` while the gradient keeps its sign, and by `decrease`, without a step, when
    the sign changes. For full batches only.

    Parameters
    ----------
    learning_rate : float
        The initial step size.
    decrease, increase : float
        ``0 < decrease < 1 < increase``.
    step_min, step_max : float
        Bounds of the step sizes.
    """

    learning_rate: float = within(AT_LEAST_0, 1e-2)
    decrease: float = within(INSIDE_UNIT, 0.5)
    increase: float = within(Interval(1, open_low=True), 1.2)
    step_min: float = within(ABOVE_0, 1e-6)
    step_max: float = within(ABOVE_0, 50.0)


@dataclass(frozen=True)
class VelocitySGD(SGD):
    """`SGD` whose velocity contains the learning rate: ``v = momentum * v - learning_rate * g``; ``p += v``.

    This is the form in scikit-learn and Keras. It differs from `SGD` if the learning rate changes: earlier gradients
    keep the rate they were added with.

    Parameters
    ----------
    learning_rate, momentum : float
        As for `SGD`.
    nesterov : bool
        Step along ``momentum * v - learning_rate * g`` instead of ``v``; needs a momentum above 0.
    """

    @property
    def variant(self) -> str:
        """One for plain and one for Nesterov's momentum; the velocity is kept even if the momentum is 0."""
        return "_nesterov" if self.nesterov else ""


@dataclass(frozen=True)
class AdamHat(Adam):
    """`Adam` with epsilon added to the uncorrected root: epsilon-hat at the end of section 2 of Kingma and Ba.

    ``p -= learning_rate * sqrt(1 - beta_2**t) / (1 - beta_1**t) * m / (sqrt(v) + epsilon)``, which is the form in
    scikit-learn and Keras.

    Parameters
    ----------
    learning_rate, beta_1, beta_2, epsilon : float
        As for `Adam`.
    """
