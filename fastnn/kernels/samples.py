"""One tiny network with samples in the lanes: whole epochs without a trip to memory.

Where a network is so small that a step is a chain of dependent operations, its parameters stay in registers, each
in every lane, and a vector holds a number of as many samples: the kernels of `lanes`, whose gradients are summed
over the lanes.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numba.extending import overload
from numpy.typing import NDArray

from fastnn.job import Job, State, Status
from fastnn.kernels.compiling import inlined, kernel
from fastnn.kernels.lanes import CORRECTED, Batch, Memory, Pace, Plan, gradient_step, update
from fastnn.kernels.layers import workspace
from fastnn.kernels.llvm.simd import (
    any_lane,
    broadcast,
    first,
    fma,
    lanes,
    load,
    pointer,
    scratch,
    store,
    with_lanes,
)
from fastnn.kernels.llvm.types import REGISTER_BYTES
from fastnn.kernels.optimizers import RULES, rule_of
from fastnn.kernels.random import permute
from fastnn.optimizers import Optimizer
from fastnn.spec import NetworkSpec

#: Networks of at most so many parameters are served, in batches of at most so many vectors.
MOST_PARAMS, MOST_SLOTS = 40, 4

_DONE, _PAUSED, _BAD_DATA, _DIVERGED = Status.DONE, Status.PAUSED, Status.BAD_DATA, Status.DIVERGED


class Data(NamedTuple):
    """The samples; `weights` may be empty, as may `orders`, the given orders of the epochs."""

    X: NDArray  # (n, n_in)
    y: NDArray  # (n, n_out)
    weights: NDArray  # (n,) or (0,)
    orders: NDArray[np.int64]  # (m, n) or (0, n)


class Settings(NamedTuple):
    """How the network is trained."""

    batch_size: int
    shuffle: bool
    seed: int
    member: int
    settings: NDArray[np.float64]  # (4,), the optimizer's
    delta: float
    outputs: float  # what a row's loss is divided by
    mean: bool
    l2: float
    max_grad_norm: float
    checked_steps: int  # until this step the data are checked


def _room(plan, work):
    """Memory of a step on the stack; parameters, vectors of rows in a batch, slots; whether a bias is corrected."""


@overload(_room, jit_options={"forceinline": True})
def _room_impl(plan, work):
    plan = plan.plan
    n_params, n_values, slots, corrected = (
        plan.spec.n_params,
        plan.n_values,
        RULES[plan.rule][2],
        plan.rule in CORRECTED,
    )
    rows, width, n_first, n_second = plan.rows, plan.lanes, n_params * (slots > 0), n_params * (slots > 1)

    def impl(plan, work):
        w = with_lanes(pointer(work, 0), width)
        memory = Memory(
            scratch(w, n_params), scratch(w, n_params), scratch(w, n_first), scratch(w, n_second), scratch(w, n_values)
        )
        pace = Pace(scratch(w, 1), scratch(w, 1), scratch(w, 1), scratch(w, 1))
        return w, memory, pace, n_params, rows, slots, corrected

    return impl


@inlined
def _pack(data, order, ordered, start, rows, slots, x, y, share, settings):
    """A batch into the lanes, row after row; surplus lanes repeat the last, with no share in the loss. Its weight."""
    n_in, n_out, width = data.X.shape[1], data.y.shape[1], lanes(x)
    weight = 0.0 if data.weights.size > 0 else float(rows)
    if data.weights.size > 0:
        for r in range(rows):
            weight += data.weights[order[start + r] if ordered else start + r]
    divisor = settings.outputs * (weight if settings.mean else 1.0)
    factor = 1.0 / divisor if divisor > 0.0 else 0.0
    for r in range(slots * width):
        row = start + min(r, rows - 1)
        row = order[row] if ordered else row
        slot, lane = r // width, r % width
        for i in range(n_in):
            x[(slot * n_in + i) * width + lane] = data.X[row, i]
        for j in range(n_out):
            y[(slot * n_out + j) * width + lane] = data.y[row, j]
        w = data.weights[row] if data.weights.size > 0 else 1.0
        share[r] = factor * w if r < rows else 0.0
    return weight


@inlined
def _finite(x, count):
    """Whether so many vectors hold finite numbers alone."""
    zeros = broadcast(0.0, x)
    for i in range(count):
        zeros = fma(load(x + i * lanes(x)), 0.0, zeros)
    return not any_lane(zeros != zeros)


@kernel
def run(plan, data, settings, work, order, params, slots, counters, sums, learning_rates, losses, max_steps):
    """Train from where `counters` and `sums` stand; see `fastnn.job`."""
    x, memory, pace, n_params, n_rows, n_slots, corrected = _room(plan, work)
    n, n_in, n_out, width = data.X.shape[0], data.X.shape[1], data.y.shape[1], lanes(x)
    batch_size = min(settings.batch_size, n)
    n_batches = (n + batch_size - 1) // batch_size
    y, share = x + n_rows * n_in * width, x + n_rows * (n_in + n_out) * width
    ordered = settings.shuffle and n_batches > 1

    for i in range(n_params):
        store(memory.params + i * width, broadcast(params[i], x))
        if n_slots > 0:
            store(memory.slot_0 + i * width, broadcast(slots[0, i], x))
        if n_slots > 1:
            store(memory.slot_1 + i * width, broadcast(slots[1, i], x))
    store(pace.momentum, broadcast(settings.settings[0], x))
    penalty, bound = broadcast(settings.l2, x), broadcast(settings.max_grad_norm, x)

    epoch, batch, step = counters[0], counters[1], counters[2]
    loss_sum, weight_sum, weight = sums[0], sums[1], 0.0
    first_epoch, first_step, status = epoch, step, _DONE
    packed = False
    while epoch < first_epoch + learning_rates.size:
        store(pace.rate, broadcast(learning_rates[epoch - first_epoch], x))
        if ordered and data.orders.shape[0] > 0:
            order[:] = data.orders[epoch % data.orders.shape[0]]
        elif ordered:
            permute(settings.seed, settings.member, epoch, pointer(order, 0), n)
        while batch < n_batches:
            if step - first_step == max_steps:
                status = _PAUSED
                break
            if not packed:
                start = batch * batch_size
                rows = min(batch_size, n - start)
                weight, packed = _pack(data, order, ordered, start, rows, n_rows, x, y, share, settings), n_batches == 1
                if step < settings.checked_steps:  # noqa: SIM102
                    if not (np.isfinite(weight) and _finite(x, n_rows * n_in) and _finite(y, n_rows * n_out)):
                        status = _BAD_DATA
                        break
            loss = gradient_step(plan, memory, Batch(x, y, share, 1, n_rows), penalty, bound, settings.delta)
            value = np.float64(first(loss))
            if not np.isfinite(value):
                status = _DIVERGED
                break
            step += 1
            if corrected:
                store(pace.correction, broadcast(1.0 / (1.0 - settings.settings[0] ** step), x))
                store(pace.root, broadcast(1.0 / np.sqrt(1.0 - settings.settings[1] ** step), x))
            update(plan, memory, pace, settings.settings)
            loss_sum += value * weight
            weight_sum += weight
            batch += 1
        if status != _DONE:
            break
        losses[epoch - first_epoch] = loss_sum / weight_sum
        epoch, batch, loss_sum, weight_sum = epoch + 1, 0, 0.0, 0.0

    for i in range(n_params):
        params[i] = first(load(memory.params + i * width))
        if n_slots > 0:
            slots[0, i] = first(load(memory.slot_0 + i * width))
        if n_slots > 1:
            slots[1, i] = first(load(memory.slot_1 + i * width))
    counters[0], counters[1], counters[2] = epoch, batch, step
    sums[0], sums[1] = loss_sum, weight_sum
    return status


# ---------------------------------------------------------------- from Python
def lanes_for(batch_size: int, dtype: str) -> int:
    """Lanes of a vector of samples: two registers at most, and no more than a batch fills."""
    most = 2 * REGISTER_BYTES // np.dtype(dtype).itemsize
    return min(most, max(REGISTER_BYTES // 2 // np.dtype(dtype).itemsize, 1 << (batch_size - 1).bit_length()))


def serves(job: Job) -> bool:
    """Whether a job is one for `train`: nothing is looked at between epochs, and nothing dropped or blurred."""
    plain = job.watch is None and job.batches is None and job.accounts is None
    return plain and not job.dropout and job.input_noise == 0.0 and isinstance(job.optimizer, Optimizer)


def pays(job: Job) -> bool:
    """Whether such a job is fastest here: the network is tiny and a batch short."""
    width = lanes_for(job.batch_size, job.spec.dtype)
    return job.spec.n_params <= MOST_PARAMS and -(-job.batch_size // width) <= MOST_SLOTS


@lru_cache(maxsize=256)
def _plan(spec: NetworkSpec, loss: int, rule: int, width: int, slots: int, penalised: bool, clipped: bool) -> Plan:
    return Plan(spec, loss, rule, width, slots, True, penalised, clipped, True)


class Prepared:
    """A job as the kernel takes it."""

    def __init__(self, job: Job, state: State):
        spec, loss, n_in, n_out = job.spec, job.loss, job.spec.n_in, job.spec.n_out
        width = lanes_for(job.batch_size, spec.dtype)
        slots = -(-job.batch_size // width)
        rule, settings = rule_of(job.optimizer)
        clipped = job.max_grad_norm < np.inf
        self.plan = _plan(spec, loss.code, rule, width, slots, job.l2 > 0, clipped)
        y = job.y if job.y.ndim == 2 else np.eye(n_out, dtype=spec.dtype)[job.y]
        self.data = Data(
            job.X,
            y,
            np.empty(0, spec.dtype) if job.sample_weight is None else job.sample_weight,
            np.empty((0, len(job.X)), np.int64) if job.orders is None else job.orders,
        )
        self.settings = Settings(
            batch_size=job.batch_size,
            shuffle=job.shuffle,
            seed=state.seed,
            member=job.member,
            settings=np.array(settings, np.float64),
            delta=float(job.delta),
            outputs=1.0 if loss.name in ("sse", "cross_entropy") else float(n_out),
            mean=loss.mean,
            l2=float(job.l2),
            max_grad_norm=float(job.max_grad_norm),
            checked_steps=int(state.counters[2]) + job.n_batches,  # after one pass the data are known to be finite
        )
        self.work = workspace(slots * (n_in + n_out + 1) * width, spec.dtype)
        self.order = np.empty(len(job.X), np.intp)


def train(
    job: Job, state: State, learning_rates: NDArray[np.float64], losses: NDArray[np.float64], max_steps: int
) -> Status:
    """Run a job from where its state stands: the contract of `fastnn.reference.training.train`."""
    if not isinstance(job.prepared, Prepared):
        job.prepared = Prepared(job, state)
    ready = job.prepared
    slots, counters, sums = state.slots, state.counters, state.sums
    return Status(
        run(
            ready.plan, ready.data, ready.settings, ready.work, ready.order, job.params, slots, counters, sums,
            learning_rates, losses, max_steps,
        )
    )  # fmt: skip
