"""A step of training for networks in lanes, and their loss: compiled for a kind of network, and called by address."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

from numba import types
from numba.extending import overload

from fastnn.kernels.functions.optimizers import RULES
from fastnn.kernels.jit.compiling import address_of, callee
from fastnn.kernels.jit.options import INLINED
from fastnn.kernels.lanes import (
    Batch,
    LanePointers,
    Pace,
    StepKind,
    StepKindType,
    gradient_step,
    pass_batch,
    update,
)
from fastnn.kernels.simd import any_lane, broadcast, lanes, load, store, with_lanes
from fastnn.kernels.simd.registers import REGISTER_FILE
from fastnn.kernels.simd.types import Pointer, native_lanes, number_type, pointer_type
from fastnn.settings.spec import NetworkSpec

#: Rows of a batch that go through the networks together.
ROWS = 4


@callee
def take_steps(
    kind, work, values, pace, X, y, packed_x, packed_y, share, share_stride, rows, steps, max_grad_norm, parameter,
    settings, loss,
):  # fmt: skip
    """Take steps on one batch until a loss is not finite, and store the last loss; returns how many were taken.

    Parameters, gradient and slots lie in `work`.
    """
    pointers, batch = _pointers(kind, work, values), _batch(kind, X, y, packed_x, packed_y, share, share_stride, rows)
    width = lanes(work)
    paces = Pace(pace, pace + width, pace + 2 * width, pace + 3 * width)
    bound, penalty, done = broadcast(max_grad_norm, work), load(pace + 4 * width), 0
    while done < steps:
        done += 1
        value = gradient_step(kind, pointers, batch, penalty, bound, parameter)
        update(kind, pointers, paces, settings)
        store(loss, value)
        if any_lane(value - value != 0.0):
            break
    return done


@callee
def batch_loss(kind, work, values, X, y, packed_x, packed_y, share, share_stride, rows, parameter, loss):
    """The loss of a batch, which is stored."""
    pointers, batch = _pointers(kind, work, values), _batch(kind, X, y, packed_x, packed_y, share, share_stride, rows)
    store(loss, pass_batch(kind, pointers, batch, parameter, False))


def _pointers(kind, work, values):
    """Parameters, gradient, slots and the features that are seen, one after another."""


@overload(_pointers, jit_options=INLINED)
def _choose_pointers(kind, work, values):
    n_params = kind.value.spec.n_params

    def impl(kind, work, values):
        size = n_params * lanes(work)
        return LanePointers(work, work + size, work + size, work + 2 * size, work + 3 * size, values, work + 4 * size)

    return impl


def _batch(kind, X, y, packed_x, packed_y, share, share_stride, rows):
    """A batch: in the data where its rows are the same for every lane, else where they were packed."""


@overload(_batch, jit_options=INLINED)
def _choose_batch(kind, X, y, packed_x, packed_y, share, share_stride, rows):
    if kind.value.packed:
        return lambda kind, X, y, packed_x, packed_y, share, share_stride, rows: Batch(
            packed_x, packed_y, share, share_stride, rows
        )
    return lambda kind, X, y, packed_x, packed_y, share, share_stride, rows: Batch(
        with_lanes(X, 1), with_lanes(y, 1), share, share_stride, rows
    )


def _addresses(kind: StepKind, validates: bool) -> tuple[int, int]:
    """Addresses of `take_steps` and `batch_loss`, the latter where it is wanted, compiled for a kind of step."""
    dtype, kind_type, n, real = kind.spec.dtype, StepKindType(kind), types.intp, types.float64
    v, data, settings = Pointer(number_type(dtype), kind.lanes), pointer_type(dtype), pointer_type("float64")
    steps = address_of(take_steps, kind_type, v, v, v, data, data, v, v, v, n, n, n, real, data, settings, v)
    shared = StepKindType(replace(kind, packed=False, penalised=False, clipped=False, selective=False))
    loss = address_of(batch_loss, shared, v, v, data, data, v, v, v, n, n, data, v) if validates else 0
    return steps, loss


class CompiledStep(NamedTuple):
    """The addresses of what is compiled for the networks, and what the loop over members must know of them."""

    take_steps: int
    batch_loss: int
    n_params: int
    n_slots: int
    corrected: bool  # the optimizer corrects a bias in each step
    keeps_step_sizes: bool  # the second slot starts at the rate
    packed: bool  # every lane has rows of its own


def lanes_of(dtype: types.Type) -> int:
    """Members of a block: the more registers a value takes, the more latencies overlap."""
    return REGISTER_FILE.members * native_lanes(dtype)


@lru_cache(maxsize=256)
def new_step(
    spec: NetworkSpec,
    loss: int,
    rule: int,
    batch_size: int,
    *,
    packed: bool,
    penalised: bool,
    clipped: bool,
    selective: bool,
    validates: bool,
) -> tuple[StepKind, CompiledStep]:
    """The kind of step for networks in lanes, by the codes of loss and rule, and what is compiled for it."""
    width = lanes_of(number_type(spec.dtype))
    kind = StepKind(spec, loss, rule, width, min(ROWS, batch_size), False, penalised, clipped, packed, selective)
    steps, batch_loss = _addresses(kind, validates)
    row = RULES[rule]
    traits = row.slots, row.corrects_bias, row.keeps_step_sizes
    return kind, CompiledStep(steps, batch_loss, spec.n_params, *traits, packed)
