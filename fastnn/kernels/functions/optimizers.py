"""The update rules: one pass over the flat parameter vector.

A rule is a function of the name that the catalogue gives it: ``rule(p, g, [s, [t,]] c) -> p[, s[, t]]`` on vectors of
parameters, their gradient, the slots that it keeps, and numbers c of the step. Those come from ``rule_numbers``, if
there is one, as formulas that hold for scalars and, where a network stands in each lane, for vectors:
``(rate, momentum, settings, m_correction, root_correction)``. `settings` are all of the optimizer's, and `momentum` is
the first of them. The last two correct Adam's means for their start at 0: ``1 - beta_1**step``, which divides that of
g, and ``sqrt(1 - beta_2**step)``, which divides the root of that of g**2.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from functools import cache, lru_cache
from inspect import signature
from typing import Any, NamedTuple

import numpy as np
from numba import types
from numba.extending import overload

from fastnn.kernels.jit.compiling import callee, inlined
from fastnn.kernels.jit.options import BY_LITERALS
from fastnn.kernels.simd import by_dtype, fma, lanes, load_first, quotient, select, sqrt, store_first
from fastnn.kernels.simd.calls import KNOWN, call
from fastnn.kernels.simd.types import Pointer
from fastnn.settings.catalogue import OPTIMIZERS
from fastnn.settings.constants import CLIPPING_UNIT_32, CLIPPING_UNIT_64
from fastnn.settings.optimizers import Optimizer


# ---------------------------------------------------------------- SGD
@inlined
def numbers(rate, momentum, settings, m_correction, root_correction):
    """The numbers of a rule that has none of its own."""
    return rate, momentum


@inlined
def sgd(p, g, c):
    """``p -= rate g``."""
    return fma(-c[0], g, p)


@inlined
def sgd_momentum(p, g, s, c):
    """``s = momentum s + g``; ``p -= rate s``."""
    s = fma(s, c[1], g)
    return fma(-c[0], s, p), s  # without momentum to the bits of `sgd`, beside others in lanes


@inlined
def sgd_nesterov(p, g, s, c):
    """``s = momentum s + g``; ``p -= rate (g + momentum s)``."""
    s = fma(s, c[1], g)
    return fma(-c[0], fma(s, c[1], g), p), s


@inlined
def velocity_sgd(p, g, s, c):
    """``s = momentum s - rate g``; ``p += s``."""
    s = fma(s, c[1], -c[0] * g)
    return p + s, s


@inlined
def velocity_sgd_nesterov(p, g, s, c):
    """``s = momentum s - rate g``; ``p += momentum s - rate g``."""
    s = fma(s, c[1], -c[0] * g)
    return p + fma(s, c[1], -c[0] * g), s


# ---------------------------------------------------------------- RMSprop
@inlined
def rmsprop_numbers(rate, momentum, settings, m_correction, root_correction):
    """Rate, what the decay leaves, epsilon."""
    return rate, 1.0 - settings[0], settings[1]


@inlined
def rmsprop(p, g, s, c):
    """``s += (1 - decay) (g**2 - s)``; ``p -= rate g / (sqrt(s) + epsilon)``."""
    s = fma(fma(g, g, -s), c[1], s)
    return p - quotient(c[0] * g, sqrt(s) + c[2]), s


# ---------------------------------------------------------------- Adam
@inlined
def adam_numbers(rate, momentum, settings, m_correction, root_correction):
    """The correction of the mean of g goes into the rate, that of the root becomes its factor."""
    return rate / m_correction, 1.0 - settings[0], 1.0 - settings[1], settings[2], 1.0 / root_correction


@inlined
def adam(p, g, s, t, c):
    """``s`` and ``t``, the decaying means, go the part ``1 - beta`` of the way to g and g**2."""
    s = fma(g - s, c[1], s)
    t = fma(fma(g, g, -t), c[2], t)
    return p - quotient(c[0] * s, fma(sqrt(t), c[4], c[3])), s, t


@inlined
def adamw_numbers(rate, momentum, settings, m_correction, root_correction):
    """Adam's, and the decay in the last place."""
    decay = 1.0 - rate * settings[3]
    return rate / m_correction, 1.0 - settings[0], 1.0 - settings[1], settings[2], 1.0 / root_correction, decay


@inlined
def adamw(p, g, s, t, c):
    """Adam on decayed parameters."""
    return adam(c[5] * p, g, s, t, c)


@inlined
def adam_hat_numbers(rate, momentum, settings, m_correction, root_correction):
    """Both corrections moved into the rate; the root stays as it is."""
    return rate * root_correction / m_correction, 1.0 - settings[0], 1.0 - settings[1], settings[2], 1.0


adam_hat = adam  # but for the numbers


# ---------------------------------------------------------------- Rprop
@inlined
def rprop_numbers(rate, momentum, settings, m_correction, root_correction):
    """Factors and bounds of the step sizes."""
    return settings[0], settings[1], settings[2], settings[3]


@inlined
def rprop(p, g, s, t, c):
    """``s`` is the last gradient, ``t`` the step sizes."""
    agreement = select(s > 0.0, g, select(s < 0.0, -g, s))  # the sign of g s, which may underflow
    turned = agreement < 0.0
    t = select(agreement > 0.0, t * c[1], select(turned, t * c[0], t))
    t = select(t < c[2], c[2], select(t > c[3], c[3], t))
    s = select(turned, 0.0, g)
    return p - select(s > 0.0, t, select(s < 0.0, -t, s)), s, t


# ---------------------------------------------------------------- by code
class Rule(NamedTuple):
    """What a step is compiled from."""

    name: str
    function: Any
    numbers: Any
    slots: int  # how many it reads and writes
    corrects_bias: bool
    keeps_step_sizes: bool


def _rules() -> Iterator[Rule]:
    for row in OPTIMIZERS.values():
        for variant in row.variants:
            name = row.rule + variant
            function = globals()[name]
            own_numbers = globals().get(f"{name}_numbers", globals().get(f"{row.rule}_numbers", numbers))
            slots = len(signature(function).parameters) - 3
            yield Rule(name, function, own_numbers, slots, row.corrects_bias, row.keeps_step_sizes)


#: A rule's place here is its code, a literal for the compiler.
RULES = tuple(_rules())
_CODES = {rule.name: code for code, rule in enumerate(RULES)}

#: An optimizer's settings are handed to kernels as this many numbers; it may have fewer.
MOST_SETTINGS = 4


@lru_cache(maxsize=64)
def rule_of(optimizer: Optimizer) -> tuple[int, tuple[float, ...]]:
    """Code of the rule an optimizer asks for, and its settings: all numbers but the rate, as its class lists them."""
    code = _CODES[OPTIMIZERS[type(optimizer).__name__].rule + optimizer.variant]
    names, zeros = _settings_of(type(optimizer))  # type: ignore[arg-type] # which mypy takes for an instance
    return code, (*[float(getattr(optimizer, name)) for name in names], *zeros)


@cache
def _settings_of(kind: type[Optimizer]) -> tuple[list[str], list[float]]:
    """Names of a class's numbers but for the rate; zeros for what remains of `MOST_SETTINGS`."""
    _, *names = [field.name for field in fields(kind) if type(field.default) is float]
    return names, [0.0] * (MOST_SETTINGS - len(names))


@inlined
def clipping_unit(x):
    """What numbers of the dtype of x are scaled by where the sum of their squares overflows."""
    return by_dtype(x, CLIPPING_UNIT_32, CLIPPING_UNIT_64)


@inlined
def bias_corrections(settings, t):
    """``1 - beta_1**t`` and ``sqrt(1 - beta_2**t)`` of step `t`, which takes longer to compile if it is an integer."""
    return 1.0 - settings[0] ** t, np.sqrt(1.0 - settings[1] ** t)


def corrections(code, settings, step):
    """`bias_corrections`, or ones, by the literal code of a rule."""


@overload(corrections, **BY_LITERALS)
def _choose_corrections(code, settings, step):
    if not RULES[code.literal_value].corrects_bias:
        return lambda code, settings, step: (1.0, 1.0)
    return lambda code, settings, step: bias_corrections(settings, float(step))


def numbers_of(code, rate, momentum, settings, m_correction, root_correction):
    """What the rule of a literal code needs of a step."""


@overload(numbers_of, **BY_LITERALS)
def _choose_numbers(code, rate, momentum, settings, m_correction, root_correction):
    own_numbers = RULES[code.literal_value].numbers
    return lambda code, rate, momentum, settings, m_correction, root_correction: own_numbers(
        rate, momentum, settings, m_correction, root_correction
    )


def apply_rule(code, p, g, s, t, c):
    """The rule of a literal code on one vector of parameters: their new value and the slots'."""


@overload(apply_rule, **BY_LITERALS)
def _choose_rule(code, p, g, s, t, c):
    rule = RULES[code.literal_value]
    function = rule.function

    def without_slots(code, p, g, s, t, c):
        return function(p, g, c), s, t

    def one_slot(code, p, g, s, t, c):
        p, s = function(p, g, s, c)
        return p, s, t

    def two_slots(code, p, g, s, t, c):
        return function(p, g, s, t, c)

    return (without_slots, one_slot, two_slots)[rule.slots]


def _slots(code):
    """How many slots the rule of a literal code reads and writes."""


@overload(_slots, **BY_LITERALS)
def _choose_slots(code):
    slots = RULES[code.literal_value].slots
    return lambda code: slots


# ---------------------------------------------------------------- over all parameters
@inlined(literals=("code",))
def _update_vector(code, p, g, s, t, count, c):
    """Update one vector of parameters, the first `count` of its lanes."""
    p_i, g_i = load_first(p, count), load_first(g, count)
    s_i = load_first(s, count) if _slots(code) > 0 else g_i
    t_i = load_first(t, count) if _slots(code) > 1 else g_i
    p_i, s_i, t_i = apply_rule(code, p_i, g_i, s_i, t_i, c)
    store_first(p, p_i, count)
    if _slots(code) > 0:
        store_first(s, s_i, count)
    if _slots(code) > 1:
        store_first(t, t_i, count)


@callee
def update(code, p, g, s, t, count, rate, settings, step):
    """Update `count` parameters `p` and their slots `s` and `t` by the gradient `g`; `code` is a literal."""
    m_correction, root_correction = corrections(code, settings, step)
    c = numbers_of(code, rate, settings[0], settings, m_correction, root_correction)
    width = lanes(p)
    whole = count - count % width
    for i in range(0, whole, width):
        _update_vector(code, p + i, g + i, s + i, t + i, width, c)
    if whole < count:
        _update_vector(code, p + whole, g + whole, s + whole, t + whole, count - whole, c)


class Update(NamedTuple):
    """What a step's update needs, besides the parameters and their gradient."""

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
