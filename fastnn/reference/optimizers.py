"""The update rules of `fastnn.settings.optimizers`, one step each, in place.

In each, p are the parameters, g the gradient, `slots` what the rule keeps from step to step, ``(n_slots, n_params)``,
and t the number of the step, from 1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn.settings.catalogue import OPTIMIZERS
from fastnn.settings.constants import CLIPPING_UNIT_32, CLIPPING_UNIT_64
from fastnn.settings.optimizers import SGD, Adam, AdamHat, AdamW, Optimizer, RMSprop, Rprop, VelocitySGD


def sgd(rule: SGD, p: NDArray, g: NDArray, slots: NDArray, learning_rate: float, t: int) -> None:
    """``v = momentum v + g``, then ``p -= learning_rate v``; without momentum v is g, and nothing is kept."""
    v = g
    if rule.momentum > 0:
        v = slots[0]
        v *= rule.momentum
        v += g
        if rule.nesterov:
            v = g + rule.momentum * v
    p -= learning_rate * v


def rmsprop(rule: RMSprop, p: NDArray, g: NDArray, slots: NDArray, learning_rate: float, t: int) -> None:
    """``v = decay v + (1 - decay) g**2``, then ``p -= learning_rate g / (sqrt(v) + epsilon)``."""
    v = slots[0]
    v *= rule.decay
    v += (1 - rule.decay) * g**2
    p -= learning_rate * g / (np.sqrt(v) + rule.epsilon)


def adam(rule: Adam, p: NDArray, g: NDArray, slots: NDArray, learning_rate: float, t: int) -> None:
    """``p -= learning_rate m / (sqrt(v) + epsilon)``: running means of g and g**2, corrected for their start at 0."""
    m, v = slots
    m *= rule.beta_1
    m += (1 - rule.beta_1) * g
    v *= rule.beta_2
    v += (1 - rule.beta_2) * g**2
    # Python floats: in float32 1 - 0.999**t would lose half of its digits
    m_correction = 1 - rule.beta_1**t
    v_correction = 1 - rule.beta_2**t
    p -= learning_rate / m_correction * m / (np.sqrt(v / v_correction) + rule.epsilon)


def adamw(rule: AdamW, p: NDArray, g: NDArray, slots: NDArray, learning_rate: float, t: int) -> None:
    """``p *= 1 - learning_rate weight_decay``, then Adam's step."""
    p *= 1 - learning_rate * rule.weight_decay
    adam(rule, p, g, slots, learning_rate, t)


def rprop(rule: Rprop, p: NDArray, g: NDArray, slots: NDArray, learning_rate: float, t: int) -> None:
    """Each step size grows while its gradient keeps its sign, and shrinks, without a move, where the sign turns."""
    last, size = slots
    agreement = np.sign(g) * np.sign(last)  # 1, 0 or -1
    size[agreement > 0] *= rule.increase
    size[agreement < 0] *= rule.decrease
    np.clip(size, rule.step_min, rule.step_max, out=size)
    last[:] = np.where(agreement < 0, 0, g)  # zero: no move now, and no change of size the next time
    p -= np.sign(last) * size


def velocity_sgd(rule: VelocitySGD, p: NDArray, g: NDArray, slots: NDArray, learning_rate: float, t: int) -> None:
    """``v = momentum v - learning_rate g``, then ``p += v``."""
    v = slots[0]
    v *= rule.momentum
    v -= learning_rate * g
    p += rule.momentum * v - learning_rate * g if rule.nesterov else v


def adam_hat(rule: AdamHat, p: NDArray, g: NDArray, slots: NDArray, learning_rate: float, t: int) -> None:
    """Adam's step with both corrections in the rate, and epsilon beside the uncorrected root."""
    m, v = slots
    m *= rule.beta_1
    m += (1 - rule.beta_1) * g
    v *= rule.beta_2
    v += (1 - rule.beta_2) * g**2
    correction = (1 - rule.beta_2**t) ** 0.5 / (1 - rule.beta_1**t)
    p -= learning_rate * correction * m / (np.sqrt(v) + rule.epsilon)


FUNCTIONS: dict[str, Callable[[Any, NDArray, NDArray, NDArray, float, int], None]] = {
    name: globals()[row.rule] for name, row in OPTIMIZERS.items()
}


def step(
    optimizer: Optimizer, params: NDArray, gradient: NDArray, slots: NDArray, learning_rate: float, t: int
) -> None:
    """Update the parameters once, in place.

    Parameters
    ----------
    optimizer : Optimizer
        The update rule.
    params : ndarray, shape (n_params,)
        Updated in place.
    gradient : ndarray, shape (n_params,)
        The loss's gradient; only read.
    slots : ndarray, shape (n_slots, n_params)
        What the rule keeps, as `fastnn.jobs.job.State.fresh` makes it; updated in place.
    learning_rate : float
        Factor of this step; Rprop has its own step sizes and ignores it.
    t : int
        Number of this step, the first being 1.
    """
    FUNCTIONS[type(optimizer).__name__](optimizer, params, gradient, slots, learning_rate, t)


def clip(gradient: NDArray, max_grad_norm: float) -> None:
    """Scale a gradient down, in place, to a 2-norm of about `max_grad_norm`; a smaller one is left alone.

    The factor is ``max_grad_norm / (norm + 1e-6)``, at most 1, as PyTorch's ``clip_grad_norm_`` has it. Where the
    squares overflow, the gradient is scaled first, as it would be clipped to zero otherwise.

    Parameters
    ----------
    gradient : ndarray, shape (n_params,)
        Scaled in place.
    max_grad_norm : float
        Above 0; infinity leaves every gradient alone.
    """
    if max_grad_norm == np.inf:
        return
    norm, unit = float(np.linalg.norm(gradient)), 1.0
    if norm == np.inf:
        unit = CLIPPING_UNIT_32 if gradient.dtype == np.float32 else CLIPPING_UNIT_64
        gradient *= unit
        norm = float(np.linalg.norm(gradient))
    gradient *= min(1.0 / unit, max_grad_norm / (norm + 1e-6 * unit))
