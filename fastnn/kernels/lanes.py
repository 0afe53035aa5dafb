"""One training step with a network, or a few samples, in every lane of a vector.

Every number of a network is a vector here. Its lanes hold either many networks (`members`), each at the same place
of its own training, or many samples of one network (`samples`), whose parameters are then equal in every lane and
whose gradients are summed over the lanes at the end of a batch. That sum is all that tells the two apart.

A `Plan` says at compile time what is computed: the sizes are known to the compiler, and layers are unrolled by
recursion. A batch goes through the network in blocks of `Plan.rows` rows, products and activations apart, so that
each is a small loop of independent operations.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cached_property, lru_cache
from typing import NamedTuple

from numba import types
from numba.extending import NativeValue, models, overload, register_model, unbox

from fastnn import catalogue
from fastnn.kernels.activations import activate, derivative
from fastnn.kernels.compiling import address_of, callee, inlined
from fastnn.kernels.llvm.simd import (
    broadcast,
    fma,
    lanes,
    load,
    select,
    sqrt,
    store,
    tile,
    total_everywhere,
    with_lanes,
)
from fastnn.kernels.llvm.types import Pointer, native_lanes
from fastnn.kernels.losses import _element
from fastnn.kernels.optimizers import RULES, _rule
from fastnn.kernels.vecmath import exp, log
from fastnn.spec import NetworkSpec

_INLINE = {"forceinline": True, "error_model": "numpy"}


# ---------------------------------------------------------------- what is known to the compiler
@dataclass(frozen=True)
class Plan:
    """What a kernel is compiled for; passed to it, it carries nothing at run time.

    Attributes
    ----------
    spec : NetworkSpec
        The network.
    loss, rule : int
        Codes of `fastnn.catalogue.LOSSES` and of `fastnn.kernels.optimizers.RULES`.
    lanes : int
        Of every vector.
    rows : int
        Rows of a batch (vectors of rows, where lanes hold samples) that go through the network together.
    samples : bool
        Whether the lanes hold samples of one network; else they hold networks.
    penalised, clipped : bool
        Whether there is an L2 penalty, and a bound of the gradient's norm.
    packed : bool
        Whether every lane has rows of its own, copied to where a vector holds them; else all share those of the data.
    """

    spec: NetworkSpec
    loss: int
    rule: int
    lanes: int
    rows: int
    samples: bool
    penalised: bool = False
    clipped: bool = False
    packed: bool = False

    def __reduce__(self) -> tuple:
        return Plan, tuple(getattr(self, field.name) for field in fields(self))

    @cached_property
    def _numba_type_(self) -> PlanType:  # where Numba looks for the type of an argument first
        return PlanType(self)

    @property
    def fused(self) -> bool:
        """Whether the loss takes the output's pre-activations."""
        return any(row.code == self.loss and row.logits_of is not None for row in catalogue.LOSSES.values())

    def activation(self, layer: int) -> catalogue.Activation:
        """The activation that is computed in a layer."""
        if self.fused and layer == self.spec.n_layers - 1:
            return catalogue.ACTIVATIONS["identity"]
        return self.spec.layers[layer].activation

    @cached_property
    def places(self) -> tuple[list[tuple[int, int, int]], int]:
        """Of each layer the places of z, h and d among the values, counted in vectors; and how many there are."""
        places, size = [], 0
        for l, layer in enumerate(self.spec.layers):
            count = self.rows * layer.n_out
            z = size
            h = z + count if self.activation(l).needs_input else z
            places.append((z, h, h + count))
            size = h + 2 * count
        return places, size

    @property
    def n_values(self) -> int:
        """Vectors that the values of a block of rows take."""
        return self.places[1]


class PlanType(types.Type):
    """The type of a plan."""

    def __init__(self, plan: Plan):
        self.plan = plan
        super().__init__(repr(plan))


@register_model(PlanType)
class _PlanModel(models.OpaqueModel):
    pass


@unbox(PlanType)
def _unbox_plan(typ, plan, context):
    return NativeValue(context.context.get_dummy_value())


class Memory(NamedTuple):
    """Pointers to what a step reads and writes, all vectors as long as the plan's."""

    params: Pointer
    gradient: Pointer
    slot_0: Pointer
    slot_1: Pointer
    values: Pointer  # of a block of rows, see `Plan.places`


class Batch(NamedTuple):
    """Pointers to the rows of a batch. Loads take one lane where a number is the same for every lane."""

    x: Pointer
    y: Pointer
    share: Pointer  # what a row's loss is multiplied by
    share_stride: int  # 0 where it is the same for every row
    rows: int


def column(place, k, like):
    """The k-th vector from a pointer on, or the k-th number in every lane."""


@overload(column, jit_options=_INLINE)
def _column(place, k, like):
    if place.lanes == 1:
        return lambda place, k, like: broadcast(place[k], like)
    return lambda place, k, like: load(place + k * lanes(place))


# ---------------------------------------------------------------- products
@inlined(literals=("rows", "code"))
def linear(rows, last, n, depth, a, biases, has_biases, w, code, z, h):
    """``z = a W + b`` and ``h = f(z)`` with a (rows, depth), W (depth, n), z and h (rows, n); z may be h.

    Rows of `a` beyond `last` repeat it. Two columns at a time; where n is odd the last one is computed twice.
    """
    width = lanes(z)
    for j in range(0, n, 2):
        j2 = min(j + 1, n - 1)
        sums = tile(z, rows, 2)
        for r in range(rows):
            sums[r, 0] = load(biases + j * width) if has_biases else broadcast(0.0, z)
            sums[r, 1] = load(biases + j2 * width) if has_biases else broadcast(0.0, z)
        for k in range(depth):
            w_1, w_2 = load(w + (k * n + j) * width), load(w + (k * n + j2) * width)
            for r in range(rows):
                a_rk = column(a, min(r, last) * depth + k, z)
                sums[r, 0] = fma(a_rk, w_1, sums[r, 0])
                sums[r, 1] = fma(a_rk, w_2, sums[r, 1])
        for r in range(rows):
            store(z + (r * n + j) * width, sums[r, 0])
            store(z + (r * n + j2) * width, sums[r, 1])
    for i in range(rows * n):
        store(h + i * width, activate(code, load(z + i * width)))


@inlined(literals=("rows", "code"))
def linear_back(rows, n, depth, d, w, code, z, h, c):
    """``c = (d W^T) f'(z)`` with d (rows, depth), W (n, depth), and z, ``h = f(z)`` and c (rows, n)."""
    width = lanes(c)
    for j in range(0, n, 2):
        j2 = min(j + 1, n - 1)
        sums = tile(c, rows, 2)
        for r in range(rows):
            sums[r, 0], sums[r, 1] = broadcast(0.0, c), broadcast(0.0, c)
        for k in range(depth):
            w_1, w_2 = load(w + (j * depth + k) * width), load(w + (j2 * depth + k) * width)
            for r in range(rows):
                d_rk = load(d + (r * depth + k) * width)
                sums[r, 0] = fma(d_rk, w_1, sums[r, 0])
                sums[r, 1] = fma(d_rk, w_2, sums[r, 1])
        for r in range(rows):
            place, place_2 = (r * n + j) * width, (r * n + j2) * width
            store(c + place, sums[r, 0] * derivative(code, load(z + place), load(h + place)))
            store(c + place_2, sums[r, 1] * derivative(code, load(z + place_2), load(h + place_2)))


@inlined(literals=("rows",))
def accumulate(rows, last, n, depth, a, d, g, g_biases, has_biases):
    """``g += a^T d`` with a (rows, depth), d (rows, n) and g (depth, n); for the biases the sum of d's rows.

    Two rows of g at a time; where the depth is odd the last one is computed twice, and stored once.
    """
    width = lanes(d)
    for k in range(0, depth, 2):
        k2 = min(k + 1, depth - 1)
        kept = tile(d, rows, 2)
        for r in range(rows):
            kept[r, 0] = column(a, min(r, last) * depth + k, d)
            kept[r, 1] = column(a, min(r, last) * depth + k2, d)
        for j in range(n):
            sum_1, sum_2 = load(g + (k * n + j) * width), load(g + (k2 * n + j) * width)
            bias = broadcast(0.0, d)
            for r in range(rows):
                d_rj = load(d + (r * n + j) * width)
                sum_1, sum_2 = fma(kept[r, 0], d_rj, sum_1), fma(kept[r, 1], d_rj, sum_2)
                bias = bias + d_rj
            store(g + (k * n + j) * width, sum_1)
            store(g + (k2 * n + j) * width, sum_2)
            if has_biases and k == 0:
                store(g_biases + j * width, load(g_biases + j * width) + bias)


# ---------------------------------------------------------------- the network
def forward(plan, l, memory, a, last):
    """Activations of a block of rows from layer `l` on; `a` is its input."""


@overload(forward, prefer_literal=True, jit_options=_INLINE)
def _forward(plan, l, memory, a, last):
    plan, l = plan.plan, l.literal_value
    if l == plan.spec.n_layers:
        return lambda plan, l, memory, a, last: None
    layer, (z, h, _), code = plan.spec.layers[l], plan.places[0][l], plan.activation(l).code
    n_in, n_out, weights, biases = layer.n_in, layer.n_out, layer.weights, max(0, layer.biases)
    has_biases = plan.spec.bias
    rows, following, bottom = plan.rows, l + 1, plan.rows - 1

    def impl(plan, l, memory, a, last):
        p, v, width = memory.params, memory.values, lanes(memory.params)
        z_l, h_l = v + z * width, v + h * width
        linear(rows, last, n_out, n_in, a, p + biases * width, has_biases, p + weights * width, code, z_l, h_l)
        forward(plan, following, memory, h_l, bottom)

    return impl


def backward(plan, l, memory, x, last):
    """Add a block's gradient, from layer `l` down; the derivative with respect to its pre-activations is known."""


@overload(backward, prefer_literal=True, jit_options=_INLINE)
def _backward(plan, l, memory, x, last):
    plan, l = plan.plan, l.literal_value
    layer, d, rows, bottom = plan.spec.layers[l], plan.places[0][l][2], plan.rows, plan.rows - 1
    n_in, n_out, weights, biases = layer.n_in, layer.n_out, layer.weights, max(0, layer.biases)
    has_biases = plan.spec.bias

    if l == 0:

        def first(plan, l, memory, x, last):
            g, width = memory.gradient, lanes(memory.gradient)
            d_l = memory.values + d * width
            accumulate(rows, last, n_out, n_in, x, d_l, g + weights * width, g + biases * width, has_biases)

        return first

    z_below, h_below, d_below = plan.places[0][l - 1]
    code, below = plan.activation(l - 1).code, l - 1

    def impl(plan, l, memory, x, last):
        p, g, v, width = memory.params, memory.gradient, memory.values, lanes(memory.gradient)
        d_l, z_b, h_b, d_b = v + d * width, v + z_below * width, v + h_below * width, v + d_below * width
        accumulate(rows, bottom, n_out, n_in, h_b, d_l, g + weights * width, g + biases * width, has_biases)
        linear_back(rows, n_in, n_out, d_l, p + weights * width, code, z_b, h_b, d_b)
        backward(plan, below, memory, x, last)

    return impl


# ---------------------------------------------------------------- the loss
def row_loss(plan, o, d, y, n, share, delta):
    """Loss of one row, times its share; into `d` its derivative with respect to the outputs `o`."""


@overload(row_loss, jit_options=_INLINE)
def _row_loss(plan, o, d, y, n, share, delta):
    code = plan.plan.loss
    if code == catalogue.LOSSES["cross_entropy"].code:
        return lambda plan, o, d, y, n, share, delta: _cross_entropy(o, d, y, n, share)

    def elementwise(plan, o, d, y, n, share, delta):
        width = lanes(o)
        loss = broadcast(0.0, o)
        for j in range(n):
            value, slope = _element(code, load(o + j * width), column(y, j, o), delta)
            loss = fma(share, value, loss)
            store(d + j * width, share * slope)
        return loss

    return elementwise


@inlined
def _cross_entropy(z, d, y, n, share):
    width = lanes(z)
    top = load(z)
    for j in range(1, n):
        z_j = load(z + j * width)
        top = select((top > z_j) | (top != top), top, z_j)
    exps, targets, hits = broadcast(0.0, z), broadcast(0.0, z), broadcast(0.0, z)
    for j in range(n):
        z_j, y_j = load(z + j * width) - top, column(y, j, z)
        e_j = exp(z_j)
        store(d + j * width, e_j)
        exps, targets, hits = exps + e_j, targets + y_j, fma(y_j, z_j, hits)
    factor = share * targets / exps
    for j in range(n):
        store(d + j * width, factor * load(d + j * width) - share * column(y, j, z))
    return share * (targets * log(exps) - hits)


def output_loss(plan, memory, batch, start, last, delta, training):
    """Loss of a block of rows, and the derivative with respect to the output's pre-activations."""


@overload(output_loss, jit_options=_INLINE)
def _output_loss(plan, memory, batch, start, last, delta, training):
    plan = plan.plan
    rows, n, (z, h, d) = plan.rows, plan.spec.n_out, plan.places[0][-1]
    code, count = plan.activation(plan.spec.n_layers - 1).code, plan.rows * plan.spec.n_out

    def impl(plan, memory, batch, start, last, delta, training):
        v, width = memory.values, lanes(memory.values)
        h_l, d_l = v + h * width, v + d * width
        loss = broadcast(0.0, v)
        for r in range(rows):
            row = start + min(r, last)
            share = load(batch.share + row * batch.share_stride * width) if r <= last else broadcast(0.0, v)
            y_r = batch.y + row * n * lanes(batch.y)
            loss = loss + row_loss(plan, h_l + r * n * width, d_l + r * n * width, y_r, n, share, delta)
        for i in range(count if training else 0):
            place = i * width
            store(d_l + place, load(d_l + place) * derivative(code, load(v + (z * width + place)), load(h_l + place)))
        return loss

    return impl


@inlined(literals=("training",))
def pass_batch(plan, memory, batch, delta, training):
    """Loss of a batch; with the literal `training`, its gradient is added to what stands there."""
    rows, n_in = _shape(plan)
    loss = broadcast(0.0, memory.values)
    for start in range(0, batch.rows, rows):
        last = min(rows, batch.rows - start) - 1
        x = batch.x + start * n_in * lanes(batch.x)
        forward(plan, 0, memory, x, last)
        loss = loss + output_loss(plan, memory, batch, start, last, delta, training)
        if training:
            _backward_all(plan, memory, x, last)
    return loss


def _shape(plan):
    """Rows of a block, and width of the input."""


@overload(_shape, jit_options=_INLINE)
def _shape_impl(plan):
    rows, n_in = plan.plan.rows, plan.plan.spec.n_in
    return lambda plan: (rows, n_in)


def _backward_all(plan, memory, x, last):
    """`backward` from the output's layer."""


@overload(_backward_all, jit_options=_INLINE)
def _backward_all_impl(plan, memory, x, last):
    top = plan.plan.spec.n_layers - 1
    return lambda plan, memory, x, last: backward(plan, top, memory, x, last)


# ---------------------------------------------------------------- the step
def gradient_step(plan, memory, batch, l2, max_grad_norm, delta):
    """Loss of a batch and its gradient, whole: penalty, sum over the lanes of samples, and bound of its norm."""


@overload(gradient_step, jit_options=_INLINE)
def _gradient_step(plan, memory, batch, l2, max_grad_norm, delta):
    plan = plan.plan
    n_params, samples, penalised, clipped = plan.spec.n_params, plan.samples, plan.penalised, plan.clipped
    spans = tuple((layer.weights, layer.weights + layer.n_in * layer.n_out) for layer in plan.spec.layers)

    def impl(plan, memory, batch, l2, max_grad_norm, delta):
        p, g, width = memory.params, memory.gradient, lanes(memory.gradient)
        for i in range(n_params):
            store(g + i * width, broadcast(0.0, g))
        loss = pass_batch(plan, memory, batch, delta, True)
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


#: Code of a rule: the numbers it takes, see `fastnn.kernels.optimizers`.
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


def update(plan, memory, pace, settings):
    """One step of the optimizer, along the gradient."""


@overload(update, jit_options=_INLINE)
def _update(plan, memory, pace, settings):
    rule, n_params = plan.plan.rule, plan.plan.spec.n_params
    numbers, slots = _NUMBERS[rule], RULES[rule][2]

    def impl(plan, memory, pace, settings):
        p, g, s, t, width = memory.params, memory.gradient, memory.slot_0, memory.slot_1, lanes(memory.params)
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


# ---------------------------------------------------------------- by address
@callee
def train_batch(
    plan, work, values, pace, X, y, packed_x, packed_y, share, share_stride, rows, max_grad_norm, delta, settings, loss
):
    """One step of the optimizer on a batch, whose loss is stored; parameters, gradient and slots lie in `work`."""
    memory, batch = _memory(plan, work, values), _batch(plan, X, y, packed_x, packed_y, share, share_stride, rows)
    width = lanes(work)
    paces = Pace(pace, pace + width, pace + 2 * width, pace + 3 * width)
    bound = broadcast(max_grad_norm, work)
    store(loss, gradient_step(plan, memory, batch, load(pace + 4 * width), bound, delta))
    update(plan, memory, paces, settings)


@callee
def batch_loss(plan, work, values, X, y, packed_x, packed_y, share, share_stride, rows, delta, loss):
    """The loss of a batch, which is stored."""
    memory, batch = _memory(plan, work, values), _batch(plan, X, y, packed_x, packed_y, share, share_stride, rows)
    store(loss, pass_batch(plan, memory, batch, delta, False))


def _memory(plan, work, values):
    """Parameters, gradient and slots, one after another."""


@overload(_memory, jit_options=_INLINE)
def _memory_impl(plan, work, values):
    n_params = plan.plan.spec.n_params

    def impl(plan, work, values):
        size = n_params * lanes(work)
        return Memory(work, work + size, work + 2 * size, work + 3 * size, values)

    return impl


def _batch(plan, X, y, packed_x, packed_y, share, share_stride, rows):
    """A batch: in the data where its rows are the same for every lane, else where they were packed."""


@overload(_batch, jit_options=_INLINE)
def _batch_impl(plan, X, y, packed_x, packed_y, share, share_stride, rows):
    if plan.plan.packed:
        return lambda plan, X, y, packed_x, packed_y, share, share_stride, rows: Batch(
            packed_x, packed_y, share, share_stride, rows
        )
    return lambda plan, X, y, packed_x, packed_y, share, share_stride, rows: Batch(
        with_lanes(X, 1), with_lanes(y, 1), share, share_stride, rows
    )


@lru_cache(maxsize=256)
def addresses(plan: Plan, validates: bool) -> tuple[int, int]:
    """Addresses of `train_batch` and `batch_loss`, the latter where it is wanted, compiled for a plan."""
    number = types.float32 if plan.spec.dtype == "float32" else types.float64
    kind, n, real = PlanType(plan), types.intp, types.float64
    v, data = Pointer(number, plan.lanes), Pointer(number, native_lanes(number))
    settings = Pointer(real, native_lanes(real))
    step = address_of(train_batch, kind, v, v, v, data, data, v, v, v, n, n, real, real, settings, v)
    shared = PlanType(replace(plan, packed=False, penalised=False, clipped=False))
    loss = address_of(batch_loss, shared, v, v, data, data, v, v, v, n, n, real, v) if validates else 0
    return step, loss
