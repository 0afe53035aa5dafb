"""One tiny network with samples in the lanes: whole epochs without a trip to memory.

Where a network is so small that a step is a chain of dependent operations, its parameters stay in registers, each
in every lane, and a vector holds a number of as many samples: the kernels of `lanes`, whose gradients are summed
over the lanes. The loop over epochs is its own, beside `fastnn.kernels.loop`: parameters, slots and gradient are local
to it, so that the compiler keeps them in registers from one step to the next, which takes a tenth of a microsecond.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numba import from_dtype, types
from numba.extending import intrinsic, overload
from numpy.typing import NDArray

from fastnn.jobs.job import Job, State, Status
from fastnn.kernels.dispatch import lanes_for
from fastnn.kernels.functions.optimizers import RULES, rule_of
from fastnn.kernels.jit.compiling import address_of, callee, inlined, kernel
from fastnn.kernels.jit.pipeline import INLINED
from fastnn.kernels.lanes import Batch, LanePointers, Pace, StepKind, gradient_step, update
from fastnn.kernels.simd import broadcast, first, lanes, load, pointer, pointer_at, scratch, store, with_lanes
from fastnn.kernels.simd.calls import call, call_float, call_integer
from fastnn.kernels.simd.denormals import flush_denormals, restore_denormals
from fastnn.kernels.simd.tiles import place_on_stack
from fastnn.kernels.tiles import passes
from fastnn.kernels.tiles.job_record import JOB_RECORD, put
from fastnn.kernels.tiles.layers import ALONE, pointer_type, workspace
from fastnn.kernels.tiles.prepare import PreparedJob
from fastnn.settings.spec import NetworkSpec

_DONE, _PAUSED, _BAD_DATA, _DIVERGED, _STOPPED, *_ = (int(status) for status in Status)


def _facts(kind, work):
    """Where vectors of a batch begin; parameters, vectors of rows in a batch, slots; whether a bias is corrected."""


@overload(_facts, jit_options=INLINED)
def _facts_impl(kind, work):
    kind = kind.value
    n_params, row_vectors, width = kind.spec.n_params, kind.rows, kind.lanes
    slots, corrected = RULES[kind.rule].slots, RULES[kind.rule].corrects_bias
    return lambda kind, work: (with_lanes(pointer(work, 0), width), n_params, row_vectors, slots, corrected)


@intrinsic(prefer_literal=True)
def _room(typingctx, kind, like, what):
    """Pointer to room on the stack for the vectors of a kind's step that are called so."""
    n_params, slots = kind.value.spec.n_params, RULES[kind.value.rule].slots
    count = {
        "parameters": n_params,
        "slot_0": n_params * (slots > 0),
        "slot_1": n_params * (slots > 1),
        "values": kind.value.n_values,
    }[what.literal_value]

    def codegen(context, builder, sig, args):
        return place_on_stack(context, builder, like, count)

    return like(kind, like, what), codegen


def _ends(kind):
    """Widths of the input and of the output."""


@overload(_ends, jit_options=INLINED)
def _ends_impl(kind):
    ends = kind.value.spec.n_in, kind.value.spec.n_out
    return lambda kind: ends


@callee
def pack(job, ordered, start, rows, count, width, n_in, n_out, work):
    """A batch into the lanes, vectors of its rows one after another; its weight.

    Beyond its last row up to `count` lanes repeat it, with no share in the loss.
    """
    X, Y, labels = pointer_at(job.X, work), pointer_at(job.y, work), pointer_at(job.labels, np.int64)
    weights, order = pointer_at(job.sample_weight, work), pointer_at(job.order, np.int64)
    weight = float(rows)
    if job.sample_weight != 0:
        weight = 0.0
        for r in range(start, start + rows):
            weight += weights[order[r] if ordered != 0 else r]
    divisor = job.outputs * (weight if job.mean != 0 else 1.0)
    factor = 1.0 / divisor if divisor > 0.0 else 0.0
    x, y, share = work, work + count * n_in, work + count * (n_in + n_out)
    for r in range(count):
        row = start + min(r, rows - 1)
        row = order[row] if ordered != 0 else row
        vector, lane = r // width, r % width
        for i in range(n_in):
            x[(vector * n_in + i) * width + lane] = X[row * n_in + i]
        for j in range(n_out):
            target = Y[row * n_out + j] if job.labels == 0 else 1.0 if labels[row] == j else 0.0
            y[(vector * n_out + j) * width + lane] = target
        w = weights[row] if job.sample_weight != 0 else 1.0
        share[r] = factor * w if r < rows else 0.0
    return weight


@inlined
def _hand_over(vectors, numbers, count):
    """The first lane of so many vectors."""
    for i in range(count):
        numbers[i] = first(load(vectors + i * lanes(vectors)))


@kernel
def run(kind, records, work, params, slots, counters, sums, learning_rates, losses, max_steps, checked_steps):
    """Train from where `counters` and `sums` stand; see `fastnn.jobs.job`.

    `kind` is known to the compiler; `records` hold one `fastnn.kernels.tiles.job_record.JOB_RECORD`.
    """
    x, n_params, row_vectors, n_slots, corrected = _facts(kind, work)
    pointers = LanePointers(
        _room(kind, x, "parameters"),
        _room(kind, x, "parameters"),
        _room(kind, x, "slot_0"),
        _room(kind, x, "slot_1"),
        _room(kind, x, "values"),
    )
    pace = Pace(scratch(x, 1), scratch(x, 1), scratch(x, 1), scratch(x, 1))
    job = records[0]
    settings, parameter = pointer_at(job.settings, np.float64), pointer_at(job.loss_parameter, work)
    n, width, (n_in, n_out) = job.n_rows, lanes(x), _ends(kind)
    count = row_vectors * width
    n_batches = (n + job.batch_size - 1) // job.batch_size
    y, share = x + count * n_in, x + count * (n_in + n_out)
    ordered = job.draw_order != 0 and n_batches > 1

    for i in range(n_params):
        store(pointers.params + i * width, broadcast(params[i], x))
        if n_slots > 0:
            store(pointers.slot_0 + i * width, broadcast(slots[0, i], x))
        if n_slots > 1:
            store(pointers.slot_1 + i * width, broadcast(slots[1, i], x))
    store(pace.momentum, broadcast(settings[0], x))
    penalty, bound = broadcast(job.l2, x), broadcast(job.max_grad_norm, x)

    epoch, batch, step = counters[0], counters[1], counters[2]
    loss_sum, weight_sum, weight = sums[0], sums[1], 0.0
    first_epoch, first_step, status = epoch, step, _DONE
    packed = False
    mode = flush_denormals()
    while epoch < first_epoch + learning_rates.size and status == _DONE:
        store(pace.rate, broadcast(learning_rates[epoch - first_epoch], x))
        if ordered:
            call(job.draw_order, job, epoch)
        while batch < n_batches:
            if step - first_step == max_steps:
                status = _PAUSED
                break
            if not packed:
                start = batch * job.batch_size
                rows = min(job.batch_size, n - start)
                weight = call_float(job.pack, job, np.intp(ordered), start, rows, count, width, n_in, n_out, x)
                packed = n_batches == 1
                if step < checked_steps:
                    size = count * (n_in + n_out)
                    if not (np.isfinite(weight) and passes.block_finite(pointer(work, 0), size, 1, size)):
                        status = _BAD_DATA
                        break
            loss = gradient_step(kind, pointers, Batch(x, y, share, 1, row_vectors), penalty, bound, parameter)
            value = np.float64(first(loss))
            if not np.isfinite(value):
                status, losses[epoch - first_epoch] = _DIVERGED, value
                break
            step += 1
            if corrected:
                store(pace.debias, broadcast(1.0 - settings[0] ** float(step), x))
                store(pace.spread, broadcast(np.sqrt(1.0 - settings[1] ** float(step)), x))
            update(kind, pointers, pace, settings)
            loss_sum += value * weight
            weight_sum += weight
            batch += 1
        if status != _DONE:
            break
        i, mean = epoch - first_epoch, loss_sum / (weight_sum if weight_sum > 0.0 else 1.0)
        losses[i] = mean
        if job.end_epoch != 0:
            _hand_over(pointers.params, params, n_params)
            rates, n_rates, p = pointer(learning_rates, 0), learning_rates.size, pointer(params, 0)
            if call_integer(job.end_epoch, job, p, n_params, epoch, mean, rates, i, n_rates, ALONE):
                status = _STOPPED
        epoch, batch, loss_sum, weight_sum = epoch + 1, 0, 0.0, 0.0
    restore_denormals(mode)

    _hand_over(pointers.params, params, n_params)
    if n_slots > 0:
        _hand_over(pointers.slot_0, slots[0], n_params)
    if n_slots > 1:
        _hand_over(pointers.slot_1, slots[1], n_params)
    counters[0], counters[1], counters[2] = epoch, batch, step
    sums[0], sums[1] = loss_sum, weight_sum
    return status


# ---------------------------------------------------------------- from Python
@lru_cache(maxsize=256)
def _kind(
    spec: NetworkSpec, loss: int, rule: int, width: int, row_vectors: int, penalised: bool, clipped: bool
) -> StepKind:
    return StepKind(spec, loss, rule, width, row_vectors, True, penalised, clipped, True)


@lru_cache
def _pack_address(dtype: str) -> int:
    place, n = pointer_type(dtype), types.intp
    return address_of(pack, from_dtype(JOB_RECORD), n, n, n, n, n, n, n, place)


class PreparedForLanes(PreparedJob):
    """A job of a tiny network, with its kind of step and its buffers."""

    def __init__(self, job: Job, state: State):
        super().__init__(job, state, None, whole=job.watch is not None)
        spec = job.spec
        width = lanes_for(job.batch_size, spec.dtype)
        row_vectors = -(-job.batch_size // width)
        rule, _ = rule_of(job.optimizer)
        self.kind = _kind(spec, job.loss.code, rule, width, row_vectors, job.l2 > 0, job.max_grad_norm < np.inf)
        self.vectors = workspace(row_vectors * (spec.n_in + spec.n_out + 1) * width, spec.dtype)
        put(self.record.view(np.int64), pack=_pack_address(spec.dtype))

    def run(self, state: State, learning_rates: NDArray, epoch_losses: NDArray, max_steps: int) -> Status:
        """Train on from a state."""
        self.remember_in(state)
        arrays = self.params, state.slots, state.counters, state.sums, learning_rates, epoch_losses
        return Status(run(self.kind, self.record, self.vectors, *arrays, max_steps, self.checked_steps))
