"""One tiny network with samples in the lanes: whole epochs without a trip to memory.

Where a network is so small that a step is a chain of dependent operations, a vector holds a number of as many samples:
the kernels of `lanes`, whose gradients are summed over the lanes. Parameters have a register each, or, where these are
few, lie side by side (`StepKind.side_by_side`), so that the optimizer takes as many at once as there are lanes. The
loop over epochs, `fastnn.kernels.loop.loop`, is compiled into the kernel, to which all of this is local; a step takes a
tenth of a microsecond.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numba import from_dtype, types
from numba.extending import intrinsic, overload
from numpy.typing import NDArray

from fastnn.jobs.job import STATUSES, Job, State, Status
from fastnn.kernels import dispatch
from fastnn.kernels.functions.losses import part_present
from fastnn.kernels.functions.optimizers import RULES, bias_corrections
from fastnn.kernels.jit.compiling import address_of, callee, inlined, kernel
from fastnn.kernels.jit.options import INLINED
from fastnn.kernels.lanes import Batch, LanePointers, Pace, StepKind, gradient_step, update
from fastnn.kernels.loop import loop, present_params, take_step
from fastnn.kernels.simd import (
    broadcast,
    first,
    first_lanes,
    lanes,
    load,
    pointer,
    pointer_at,
    scratch,
    select,
    store,
    with_lanes,
)
from fastnn.kernels.simd.calls import call_float
from fastnn.kernels.simd.opaque import opaque
from fastnn.kernels.simd.registers import REGISTER_BYTES
from fastnn.kernels.simd.tiles import place_on_stack
from fastnn.kernels.simd.types import Pointer, Vector, pointer_type
from fastnn.kernels.tiles import passes
from fastnn.kernels.tiles.job_record import JOB_RECORD
from fastnn.kernels.tiles.layers import ALONE, Team
from fastnn.kernels.tiles.prepare import PreparedJob
from fastnn.settings.spec import NetworkSpec

#: Vectors of rows that go through the network together.
BLOCK_VECTORS = 4

#: Most bytes of the stack that a kernel may take: a thread may have no more than two or eight MiB of it.
STACK_BYTES = 2**20

_DONE, _BAD_DATA, _DIVERGED = int(Status.DONE), int(Status.BAD_DATA), int(Status.DIVERGED)


def _constants(kind, work):
    """What a kernel knows: where vectors of a batch begin, its parameters and slots, whether a bias is corrected."""


@overload(_constants, jit_options=INLINED)
def _choose_constants(kind, work):
    kind = kind.value
    n_params, width = kind.spec.n_params, kind.lanes
    slots, corrected = RULES[kind.rule].slots, RULES[kind.rule].corrects_bias
    return lambda kind, work: (with_lanes(work, width), n_params, slots, corrected)


def _batch(kind, x, rows):
    """Pointers to a batch of this many rows, whose vectors begin at `x`."""


@overload(_batch, jit_options=INLINED)
def _choose_batch(kind, x, rows):
    kind = kind.value
    n_in, n_targets, width = kind.spec.n_in, kind.n_targets, kind.lanes
    block_rows, one_block = kind.rows, kind.one_block

    def impl(kind, x, rows):
        vectors = block_rows if one_block else (rows + width - 1) // width
        y = x + vectors * n_in * width
        return Batch(x, y, y + vectors * n_targets * width, 1, vectors)

    return impl


@intrinsic(prefer_literal=True)
def _room(typingctx, kind, like, what):
    """Pointer to room on the stack for what a step of this kind calls `what`, a literal: numbers or vectors."""
    known, slots = kind.value, RULES[kind.value.rule].slots
    numbers = Pointer(like.dtype, 1 if known.side_by_side else like.lanes)
    place, count = {
        "parameters": (numbers, known.param_vectors),
        "slot_0": (numbers, known.param_vectors * (slots > 0)),
        "slot_1": (numbers, known.param_vectors * (slots > 1)),
        "parts": (like, known.spec.n_params),
        "values": (like, known.n_values),
    }[what.literal_value]

    def codegen(context, builder, sig, args):
        there = place_on_stack(context, builder, like, count)
        return builder.bitcast(there, context.get_value_type(place))

    return place(kind, like, what), codegen


def _widths(kind):
    """Numbers of a sample, and of its targets."""


@overload(_widths, jit_options=INLINED)
def _choose_widths(kind):
    widths = kind.value.spec.n_in, kind.value.n_targets
    return lambda kind: widths


@callee
def pack(job, ordered, start, rows, count, width, n_in, n_targets, work):
    """A batch into the lanes, vectors of its rows one after another; its weight.

    The last row is repeated in the lanes beyond it, up to `count`, without a share in the loss.
    """
    X, Y, labels = pointer_at(job.X, work), pointer_at(job.y, work), pointer_at(job.labels, np.int64)
    weights, order = pointer_at(job.sample_weight, work), pointer_at(job.order, np.int64)
    weighted, labelled, masked = job.sample_weight != 0, job.labels != 0, job.masked != 0
    weight = float(rows)
    if weighted or masked:
        weight = 0.0
        for r in range(start, start + rows):
            row = order[r] if ordered != 0 else r
            w = weights[row] if weighted else 1.0
            weight += w * part_present(Y + row * n_targets, n_targets) if masked else w
    divisor = job.row_divisor * (weight if job.mean != 0 else 1.0)
    factor = 1.0 / divisor if divisor > 0.0 else 0.0
    x, y, share = work, work + count * n_in, work + count * (n_in + n_targets)
    for begin in range(0, count, width):
        for r in range(begin, begin + width):
            row = start + min(r, rows - 1)
            row = order[row] if ordered != 0 else row
            x_r, y_r = x + begin * n_in + (r - begin), y + begin * n_targets + (r - begin)
            for i in range(n_in):  # there are few: if LLVM knew their stride, it would write long code for many
                opaque(x_r + i * width)[0] = X[row * n_in + i]
            for j in range(n_targets):
                target = Y[row * n_targets + j] if not labelled else 1.0 if labels[row] == j else 0.0
                opaque(y_r + j * width)[0] = target
            w = weights[row] if weighted else 1.0
            share[r] = factor * w if r < rows else 0.0
    return weight


def _into_lanes(kind, numbers, there):
    """Put numbers into every lane each, or side by side, with zeros to the end of the last vector."""


@overload(_into_lanes, jit_options=INLINED)
def _choose_into_lanes(kind, numbers, there):
    count, width = kind.value.param_vectors, kind.value.lanes

    def impl(kind, numbers, there):
        vectors = with_lanes(there, width)
        for i in range(count):
            store(vectors + i * width, broadcast(0.0, vectors))
        for i in range(numbers.size):
            store(there + i * lanes(there), broadcast(numbers[i], there))

    return impl


@inlined
def _out_of_lanes(vectors, numbers, count):
    """Write the first lane of this many vectors."""
    for i in range(count):
        numbers[i] = first(load(vectors + i * lanes(vectors)))


class LaneSteps(NamedTuple):
    """What the steps of a tiny network need; all that they change stands on the stack."""

    kind: StepKind
    pointers: LanePointers
    pace: Pace
    x: Pointer  # where the vectors of a batch begin
    penalty: Vector  # the factor of the l2 penalty, in the first lane alone
    bound: Vector  # the largest norm of the gradient
    numbers: Pointer  # the batch at x, number by number
    weight: Pointer  # of the batch at x
    params: Pointer  # where the parameters are handed over
    n_params: int
    corrected: bool  # whether the optimizer corrects a bias
    n_batches: int
    first_step: int
    checked_steps: int  # steps before this one look for NaN and infinity in their data
    ordered: bool  # whether an epoch has an order of its own
    team: Team


@kernel
def run(kind, records, room, params, slots, counters, sums, learning_rates, losses, max_steps, checked_steps):
    """Train from where `counters` and `sums` stand; see `fastnn.jobs.job`.

    `kind` is known to the compiler; `records` hold one `fastnn.kernels.tiles.job_record.JOB_RECORD`; a batch has `room`
    from its first whole register on.
    """
    job = records[0]
    work = pointer_at(-(-room.ctypes.data // REGISTER_BYTES) * REGISTER_BYTES, pointer(params, 0))
    x, n_params, n_slots, corrected = _constants(kind, work)
    pointers = LanePointers(
        _room(kind, x, "parameters"),
        _room(kind, x, "parts"),
        _room(kind, x, "parameters"),
        _room(kind, x, "slot_0"),
        _room(kind, x, "slot_1"),
        _room(kind, x, "values"),
        x,  # where nothing is read
    )
    pace = Pace(scratch(x, 1), scratch(x, 1), scratch(x, 1), scratch(x, 1))
    settings = pointer_at(job.settings, np.float64)
    n_batches = (job.n_rows + job.batch_size - 1) // job.batch_size

    _into_lanes(kind, params, pointers.params)
    if n_slots > 0:
        _into_lanes(kind, slots[0], pointers.slot_0)
    if n_slots > 1:
        _into_lanes(kind, slots[1], pointers.slot_1)
    store(pace.momentum, broadcast(settings[0], x))
    penalty = select(first_lanes(1, x), broadcast(job.l2, x), 0.0)
    bound, weight = broadcast(job.max_grad_norm, x), scratch(settings, 1)
    steps = LaneSteps(
        kind, pointers, pace, x, penalty, bound, work, weight, pointer(params, 0), n_params, corrected,
        n_batches, counters[2], checked_steps, job.draw_order != 0 and n_batches > 1, ALONE,
    )  # fmt: skip
    places = pointer(counters, 0), pointer(sums, 0), pointer(learning_rates, 0), pointer(losses, 0)
    status = loop(steps, job, *places, learning_rates.size, max_steps)

    _out_of_lanes(pointers.params, params, n_params)
    if n_slots > 0:
        _out_of_lanes(pointers.slot_0, slots[0], n_params)
    if n_slots > 1:
        _out_of_lanes(pointers.slot_1, slots[1], n_params)
    return status


@overload(present_params, jit_options=INLINED)
def _choose_present_params(steps):
    if steps.instance_class is not LaneSteps:
        return None

    def impl(steps):
        _out_of_lanes(steps.pointers.params, steps.params, steps.n_params)
        return steps.params

    return impl


@overload(take_step, jit_options=INLINED)
def _choose_take_step(steps, job, batch, step, rate):
    return _step if steps.instance_class is LaneSteps else None


def _step(steps, job, batch, step, rate):
    x, pace, width, (n_in, n_targets) = steps.x, steps.pace, lanes(steps.x), _widths(steps.kind)
    settings, parameter = pointer_at(job.settings, np.float64), pointer_at(job.loss_parameter, steps.numbers)
    start = batch * job.batch_size
    rows = min(job.batch_size, job.n_rows - start)
    samples = _batch(steps.kind, x, rows)
    if steps.n_batches > 1 or step == steps.first_step:  # one batch stays in the lanes
        ordered, count = np.intp(steps.ordered), samples.rows * width
        steps.weight[0] = call_float(job.pack, job, ordered, start, rows, count, width, n_in, n_targets, x)
        if step < steps.checked_steps:
            size = count * (n_in if job.masked != 0 else n_in + n_targets)
            if not (np.isfinite(steps.weight[0]) and passes.block_finite(steps.numbers, size, 1, size)):
                return np.nan, 0.0, _BAD_DATA
    loss = gradient_step(steps.kind, steps.pointers, samples, steps.penalty, steps.bound, parameter)
    loss = np.float64(first(loss))
    if not np.isfinite(loss):
        return loss, 0.0, _DIVERGED
    store(pace.rate, broadcast(rate, x))
    if steps.corrected:
        m_correction, root_correction = bias_corrections(settings, float(step + 1))
        store(pace.m_correction, broadcast(m_correction, x))
        store(pace.root_correction, broadcast(root_correction, x))
    update(steps.kind, steps.pointers, pace, settings)
    return loss, steps.weight[0], _DONE


# ---------------------------------------------------------------- from Python
@lru_cache(maxsize=256)
def _kind(
    spec: NetworkSpec, loss: int, rule: int, batch_size: int, penalised: bool, clipped: bool
) -> tuple[StepKind, int]:
    """The kind of step, and the numbers that a batch takes."""
    width, vectors = dispatch.lanes_for(batch_size, spec.dtype), dispatch.row_vectors(batch_size, spec.dtype)
    kind = StepKind(
        spec, loss, rule, width, min(vectors, BLOCK_VECTORS), True, penalised, clipped, True,
        one_block=vectors <= BLOCK_VECTORS,
    )  # fmt: skip
    if (needed := _stack_bytes(kind)) > STACK_BYTES:
        raise ValueError(
            f"specialize must not be True for a network whose kernel would take more than {STACK_BYTES >> 20} MiB of "
            f"the stack; got one of {spec.n_params:,} parameters, for which it would take {needed / 2**20:.1f} MiB"
        )
    return kind, vectors * kind.columns * width


def _stack_bytes(kind: StepKind) -> int:
    """Bytes that `run` takes from the stack: for parameters, gradients and slots, and for a block of rows."""
    vectors = (2 + RULES[kind.rule].slots) * kind.param_vectors + kind.spec.n_params + kind.n_values
    return vectors * kind.lanes * np.dtype(kind.spec.dtype).itemsize


@lru_cache
def _pack_address(dtype: str) -> int:
    place, n = pointer_type(dtype), types.intp
    return address_of(pack, from_dtype(JOB_RECORD), n, n, n, n, n, n, n, place)


class PreparedForLanes(PreparedJob):
    """A job of a tiny network, with its kind of step and its buffers."""

    def __init__(self, job: Job, state: State):
        super().__init__(job, state, None, with_steps=False)
        penalised, clipped = job.l2 > 0, job.max_grad_norm < np.inf
        self.kind, numbers = _kind(job.spec, job.loss.code, self.rule, job.batch_size, penalised, clipped)
        # Not `aligned_empty`, which would make a call of `fit` 4 us longer: the kernel begins at a whole register.
        self.room = np.empty(numbers + REGISTER_BYTES // 4, self.params.dtype)
        self.fields.pack = _pack_address(job.spec.dtype)

    def run(self, state: State, learning_rates: NDArray, epoch_losses: NDArray, max_steps: int) -> Status:
        """Train on from a state."""
        self.remember_in(state)
        arrays = self.room, self.params, state.slots, state.counters, state.sums, learning_rates, epoch_losses
        return STATUSES[run(self.kind, self.record, *arrays, max_steps, self.checked_steps)]
