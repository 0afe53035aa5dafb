"""One step of training in lanes: the gradient of a batch, and the optimizer's update along it."""

from __future__ import annotations

from typing import NamedTuple

from numba.extending import overload

from fastnn.kernels.functions.optimizers import RULES, _rule
from fastnn.kernels.jit.compiling import inlined
from fastnn.kernels.jit.pipeline import INLINED
from fastnn.kernels.lanes.losses import pass_batch
from fastnn.kernels.simd import broadcast, fma, lanes, load, select, sqrt, store, total_everywhere
from fastnn.kernels.simd.types import Pointer


def gradient_step(kind, pointers, batch, l2, max_grad_norm, delta):
    """Loss of a batch and its gradient, whole: penalty, sum over the lanes of samples, and bound of its norm."""


@overload(gradient_step, jit_options=INLINED)
def _gradient_step(kind, pointers, batch, l2, max_grad_norm, delta):
    kind = kind.value
    n_params, samples, penalised, clipped = kind.spec.n_params, kind.lanes_hold_samples, kind.penalised, kind.clipped
    spans = tuple((layer.weights, layer.weights + layer.n_in * layer.n_out) for layer in kind.spec.layers)

    def impl(kind, pointers, batch, l2, max_grad_norm, delta):
        p, g, width = pointers.params, pointers.gradient, lanes(pointers.gradient)
        for i in range(n_params):
            store(g + i * width, broadcast(0.0, g))
        loss = pass_batch(kind, pointers, batch, delta, True)
        if samples:
            loss = total_everywhere(loss)
            for i in range(n_params):
                store(g + i * width, total_everywhere(load(g + i * width)))
        if penalised:
            squares = broadcast(0.0, g)
            for start, stop in spans:
                for i in range(start, stop):
                    p_i = load(p + i * width)
                    squares = fma(p_i, p_i, squares)
                    store(g + i * width, fma(l2, p_i, load(g + i * width)))
            loss = fma(0.5 * l2, squares, loss)
        if clipped:
            squares = broadcast(0.0, g)
            for i in range(n_params):
                g_i = load(g + i * width)
                squares = fma(g_i, g_i, squares)
            factor = max_grad_norm / (sqrt(squares) + 1e-6)
            factor = select(factor < 1.0, factor, broadcast(1.0, g))
            for i in range(n_params):
                store(g + i * width, factor * load(g + i * width))
        return loss

    return impl


class Pace(NamedTuple):
    """Pointers to what of a step differs from lane to lane."""

    rate: Pointer
    momentum: Pointer
    correction: Pointer  # 1 / (1 - beta_1**step)
    root: Pointer  # 1 / sqrt(1 - beta_2**step)


def _sgd(pace, settings):
    return (load(pace.rate),)


def _momentum(pace, settings):
    return load(pace.rate), load(pace.momentum)


def _rmsprop(pace, settings):
    return load(pace.rate), settings[0], 1.0 - settings[0], settings[1]


def _adam(pace, settings):
    return load(pace.rate) * load(pace.correction), settings[0], settings[1], settings[2], load(pace.root)


def _adamw(pace, settings):
    rate = load(pace.rate)
    decay = 1.0 - rate * settings[3]
    return rate * load(pace.correction), settings[0], settings[1], settings[2], load(pace.root), decay


def _adam_hat(pace, settings):
    return load(pace.rate) * load(pace.correction) / load(pace.root), settings[0], settings[1], settings[2], 1.0


def _rprop(pace, settings):
    return settings[0], settings[1], settings[2], settings[3]


#: Code of a rule: the numbers it takes, see `fastnn.kernels.functions.optimizers`.
_NUMBERS = {
    code: inlined(function)
    for codes, function in {
        (0,): _sgd,
        (1, 2, 7, 8): _momentum,
        (3,): _rmsprop,
        (4,): _adam,
        (5,): _adamw,
        (6,): _rprop,
        (9,): _adam_hat,
    }.items()
    for code in codes
}
#: Codes of the rules that correct a bias in each step.
CORRECTED = (4, 5, 9)


def update(kind, pointers, pace, settings):
    """One step of the optimizer, along the gradient."""


@overload(update, jit_options=INLINED)
def _update(kind, pointers, pace, settings):
    rule, n_params = kind.value.rule, kind.value.spec.n_params
    numbers, slots = _NUMBERS[rule], RULES[rule][2]

    def impl(kind, pointers, pace, settings):
        p, g, s, t, width = pointers.params, pointers.gradient, pointers.slot_0, pointers.slot_1, lanes(pointers.params)
        c = numbers(pace, settings)
        for i in range(n_params):
            g_i = load(g + i * width)
            s_i = load(s + i * width) if slots > 0 else g_i
            t_i = load(t + i * width) if slots > 1 else g_i
            p_i, s_i, t_i = _rule(rule, load(p + i * width), g_i, s_i, t_i, c)
            store(p + i * width, p_i)
            if slots > 0:
                store(s + i * width, s_i)
            if slots > 1:
                store(t + i * width, t_i)

    return impl
