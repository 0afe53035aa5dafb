"""The update rules: one pass over the flat parameter vector.

A rule is a row of `RULES`: what it computes once a step from its settings, and
``name(p, g, s, t, c) -> (p, s, t)`` on vectors: parameters, gradient, the two slots, those numbers.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import types
from numba.extending import overload

from fastnn.kernels.jit.compiling import callee, inlined
from fastnn.kernels.jit.pipeline import INLINED
from fastnn.kernels.simd import fma, lanes, load_first, select, sqrt, store_first
from fastnn.kernels.simd.calls import KNOWN, call
from fastnn.kernels.simd.types import Pointer
from fastnn.settings import optimizers


# ---------------------------------------------------------------- once a step
@inlined
def rate_alone(rate, settings, step):
    """The learning rate and the settings as they are."""
    return rate, settings[0], 1.0 - settings[0], settings[1], 0.0


@inlined
def bias_corrections(rate, settings, step):
    """Adam's: ``m / (1 - beta_1**step)`` and ``v / (1 - beta_2**step)`` moved into the rate and beside the root."""
    beta_1, beta_2, t = settings[0], settings[1], float(step)  # a float, for whole powers take long to compile
    return rate / (1.0 - beta_1**t), beta_1, beta_2, settings[2], 1.0 / np.sqrt(1.0 - beta_2**t)


@inlined
def decayed_bias_corrections(rate, settings, step):
    """Adam's, and the decay in the last place."""
    return (*bias_corrections(rate, settings, step), 1.0 - rate * settings[3])


@inlined
def folded_bias_corrections(rate, settings, step):
    """Both corrections moved into the rate; the root stays as it is."""
    beta_1, beta_2, t = settings[0], settings[1], float(step)
    return rate * np.sqrt(1.0 - beta_2**t) / (1.0 - beta_1**t), beta_1, beta_2, settings[2], 1.0


@inlined
def factors_and_bounds(rate, settings, step):
    """Rprop's."""
    return settings[0], settings[1], settings[2], settings[3]


# ---------------------------------------------------------------- once a vector of parameters
@inlined
def sgd(p, g, s, t, c):
    """``p -= rate g``."""
    return fma(-c[0], g, p), s, t


@inlined
def momentum(p, g, s, t, c):
    """``s = momentum s + g``; ``p -= rate s``."""
    s = fma(s, c[1], g)
    return p - c[0] * s, s, t


@inlined
def nesterov(p, g, s, t, c):
    """``s = momentum s + g``; ``p -= rate (g + momentum s)``."""
    s = fma(s, c[1], g)
    return p - c[0] * fma(s, c[1], g), s, t


@inlined
def rmsprop(p, g, s, t, c):
    """``s = decay s + (1 - decay) g**2``; ``p -= rate g / (sqrt(s) + epsilon)``."""
    s = fma(s, c[1], c[2] * g * g)
    return p - c[0] * g / (sqrt(s) + c[3]), s, t


@inlined
def adam(p, g, s, t, c):
    """``s`` and ``t`` are the decaying means of g and g**2."""
    s = fma(s, c[1], (1.0 - c[1]) * g)
    t = fma(t, c[2], (1.0 - c[2]) * g * g)
    return p - c[0] * s / fma(sqrt(t), c[4], c[3]), s, t


@inlined
def adamw(p, g, s, t, c):
    """Adam on decayed parameters."""
    return adam(c[5] * p, g, s, t, c)


@inlined
def rprop(p, g, s, t, c):
    """``s`` is the last gradient, ``t`` the step sizes."""
    agreement = select(s > 0.0, g, select(s < 0.0, -g, s))  # the sign of g s, which may underflow
    turned = agreement < 0.0
    t = select(agreement > 0.0, t * c[1], select(turned, t * c[0], t))
    t = select(t < c[2], c[2], select(t > c[3], c[3], t))
    s = select(turned, 0.0, g)
    return p - select(s > 0.0, t, select(s < 0.0, -t, s)), s, t


@inlined
def velocity(p, g, s, t, c):
    """``s = momentum s - rate g``; ``p += s``."""
    s = fma(s, c[1], -c[0] * g)
    return p + s, s, t


@inlined
def nesterov_velocity(p, g, s, t, c):
    """``s = momentum s - rate g``; ``p += momentum s - rate g``."""
    s = fma(s, c[1], -c[0] * g)
    return p + fma(s, c[1], -c[0] * g), s, t


#: Code: (numbers of a step, rule, slots it touches).
RULES = {
    0: (rate_alone, sgd, 0),
    1: (rate_alone, momentum, 1),
    2: (rate_alone, nesterov, 1),
    3: (rate_alone, rmsprop, 1),
    4: (bias_corrections, adam, 2),
    5: (decayed_bias_corrections, adamw, 2),
    6: (factors_and_bounds, rprop, 2),
    7: (rate_alone, velocity, 1),
    8: (rate_alone, nesterov_velocity, 1),
    9: (folded_bias_corrections, adam, 2),
}


def rule_of(optimizer: optimizers.Optimizer) -> tuple[int, tuple[float, ...]]:
    """Code of the rule an optimizer asks for, and its settings (four numbers)."""
    match optimizer:  # variants before what they are variants of
        case optimizers.VelocitySGD(momentum=mass, nesterov=ahead):
            return 7 + ahead, (mass, 0.0, 0.0, 0.0)
        case optimizers.AdamHat(beta_1=beta_1, beta_2=beta_2, epsilon=epsilon):
            return 9, (beta_1, beta_2, epsilon, 0.0)
        case optimizers.SGD(momentum=0.0):
            return 0, (0.0,) * 4
        case optimizers.SGD(momentum=mass, nesterov=ahead):
            return 1 + ahead, (mass, 0.0, 0.0, 0.0)
        case optimizers.RMSprop(decay=decay, epsilon=epsilon):
            return 3, (decay, epsilon, 0.0, 0.0)
        case optimizers.AdamW(beta_1=beta_1, beta_2=beta_2, epsilon=epsilon, weight_decay=decay):
            return 5, (beta_1, beta_2, epsilon, decay)
        case optimizers.Adam(beta_1=beta_1, beta_2=beta_2, epsilon=epsilon):
            return 4, (beta_1, beta_2, epsilon, 0.0)
        case optimizers.Rprop(decrease=decrease, increase=increase, step_min=low, step_max=high):
            return 6, (decrease, increase, low, high)
    raise NotImplementedError(f"no kernel for {type(optimizer).__name__}")


def _prepare(code, rate, settings, step):
    """What a rule needs of a step."""


@overload(_prepare, prefer_literal=True, jit_options=INLINED)
def _choose_prepare(code, rate, settings, step):
    prepare = RULES[code.literal_value][0]
    return lambda code, rate, settings, step: prepare(rate, settings, step)


def _rule(code, p, g, s, t, c):
    """One rule on one vector of parameters."""


@overload(_rule, prefer_literal=True, jit_options=INLINED)
def _choose_rule(code, p, g, s, t, c):
    rule = RULES[code.literal_value][1]
    return lambda code, p, g, s, t, c: rule(p, g, s, t, c)


def _slots(code):
    """How many slots a rule touches."""


@overload(_slots, prefer_literal=True, jit_options=INLINED)
def _choose_slots(code):
    slots = RULES[code.literal_value][2]
    return lambda code: slots


@inlined(literals=("code",))
def _update_vector(code, p, g, s, t, count, c):
    """Update one vector of parameters, the first `count` of its lanes."""
    p_i, g_i = load_first(p, count), load_first(g, count)
    s_i = load_first(s, count) if _slots(code) > 0 else g_i
    t_i = load_first(t, count) if _slots(code) > 1 else g_i
    p_i, s_i, t_i = _rule(code, p_i, g_i, s_i, t_i, c)
    store_first(p, p_i, count)
    if _slots(code) > 0:
        store_first(s, s_i, count)
    if _slots(code) > 1:
        store_first(t, t_i, count)


@callee
def update(code, p, g, s, t, count, rate, settings, step):
    """Update `count` parameters `p` and their slots `s` and `t` by the gradient `g`; `code` is a literal."""
    c = _prepare(code, rate, settings, step)
    width = lanes(p)
    whole = count - count % width
    for i in range(0, whole, width):
        _update_vector(code, p + i, g + i, s + i, t + i, width, c)
    if whole < count:
        _update_vector(code, p + whole, g + whole, s + whole, t + whole, count - whole, c)


class Update(NamedTuple):
    """What a step's update goes by, besides the parameters and their gradient."""

    rule: int  # address of `update`, 0 for none
    slot_0: Pointer
    slot_1: Pointer
    rate: float
    settings: Pointer
    step: int


def update_type(place: Pointer, settings: Pointer) -> types.Type:
    """The Numba type of an `Update`, by those of pointers to the parameters' numbers and to the settings'."""
    return types.NamedTuple((types.intp, place, place, types.float64, settings, types.intp), Update)


@inlined
def update_part(update, params, gradient, start, count):
    """Update ``params[start:start + count]`` by `gradient`, which begins with theirs."""
    places = params + start, gradient, update.slot_0 + start, update.slot_1 + start
    call(update.rule, KNOWN, *places, count, update.rate, update.settings, update.step)
