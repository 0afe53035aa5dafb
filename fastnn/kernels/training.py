"""The training loop: whole epochs of batches in one compiled call."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numba import types
from numpy.typing import NDArray

from fastnn import catalogue
from fastnn.job import Job, State, Status
from fastnn.kernels import passes
from fastnn.kernels.compiling import address_of, inlined, kernel
from fastnn.kernels.dense import CRITICAL_STRIDE, TILE_ROWS
from fastnn.kernels.llvm.calls import KNOWN, call, call_float
from fastnn.kernels.llvm.simd import pointer
from fastnn.kernels.llvm.threads import meet, share
from fastnn.kernels.llvm.types import REGISTER_BYTES, Pointer, native_lanes
from fastnn.kernels.losses import batch_loss
from fastnn.kernels.layers import (
    ALONE,
    BIASES,
    D,
    DERIVE,
    H,
    N_IN,
    N_OUT,
    STRIDE,
    WEIGHTS,
    Z,
    backward,
    forward,
    layout,
    workspace,
)
from fastnn.kernels.optimizers import optimizer_step, rule_of
from fastnn.kernels.random import key, permute

_DONE, _PAUSED, _BAD_DATA, _DIVERGED = (int(status) for status in Status)

#: Rows whose losses are summed together, by one thread.
_LOSS_ROWS = 64


class Data(NamedTuple):
    """The samples; of `y` and `labels` one is empty, and `weights` may be."""

    X: NDArray
    y: NDArray
    labels: NDArray[np.intp]
    weights: NDArray


class Buffers(NamedTuple):
    """What a run writes to; the places are offsets into `work`."""

    params: NDArray
    gradient: NDArray
    work: NDArray
    order: NDArray[np.intp]
    labels: NDArray[np.intp]
    losses: NDArray[np.float64]  # of each `_LOSS_ROWS` rows of a block
    block_rows: int  # a batch goes through the network in blocks of so many rows
    zeros: int
    x: int
    x_stride: int  # 0 where blocks are read in place
    y: int
    scale: int


class Rules(NamedTuple):
    """What a step does, by address, and the settings."""

    loss: int
    delta: float
    outputs: float  # what a row's loss is divided by
    mean: bool
    optimizer: int  # 0 leaves the parameters alone
    settings: NDArray[np.float64]
    l2: float
    max_grad_norm: float
    batch_size: int
    shuffle: bool
    seed: int
    member: int


@inlined
def _gather(data, buffers, start, first, stop, x, y, labels):
    """Copy the data's rows ``order[start + first : start + stop]`` to rows ``first:stop`` of x, y and labels."""
    n_in, n_out = data.X.shape[1], data.y.shape[1]
    for r in range(first, stop):
        row = buffers.order[start + r]
        passes.copy_block(pointer(data.X, row * n_in), n_in, x + r * buffers.x_stride, n_in, 1, n_in)
        if data.labels.size > 0:
            labels[r] = data.labels[row]
        else:
            passes.copy_block(pointer(data.y, row * n_out), n_out, y + r * n_out, n_out, 1, n_out)


@inlined
def _batch_weight(data, rules, order, start, n):
    """Sum of the sample weights of a batch."""
    if data.weights.size == 0:
        return np.float64(n)
    weight = 0.0
    for r in range(start, start + n):
        weight += data.weights[order[r] if rules.shuffle else r]
    return weight


@inlined
def _share_out(data, rules, order, start, stop, weight, scale):
    """Fill `scale` with the share that rows ``start:stop`` have in the loss of a batch of this weight."""
    divisor = rules.outputs * (weight if rules.mean else 1.0)
    factor = 1.0 / divisor if divisor > 0.0 else 0.0
    for r in range(start, stop):
        if data.weights.size == 0:
            scale[r - start] = factor
        else:
            scale[r - start] = factor * data.weights[order[r] if rules.shuffle else r]


@inlined
def _block_loss(layers, rules, buffers, y, labels, n, scale, work, team, arrivals):
    """Loss of a block, its derivative with respect to the output's pre-activations into the workspace."""
    last = layers.shape[0] - 1
    n_out, output, d, z = layers[last, N_OUT], work + layers[last, H], work + layers[last, D], work + layers[last, Z]
    first, stop = share(n, _LOSS_ROWS, team.rank, team.size)
    for r in range(first, stop, _LOSS_ROWS):
        rows, place = min(_LOSS_ROWS, stop - r), r * n_out
        buffers.losses[r // _LOSS_ROWS] = call_float(
            rules.loss, KNOWN, KNOWN, output + place, d + place, y + place, labels + r, scale + r, rows, n_out, rules.delta
        )
        if layers[last, DERIVE] != 0:
            call(layers[last, DERIVE], KNOWN, d + place, z + place, output + place, rows * n_out)
    meet(arrivals, team.size, team.yield_)
    loss = 0.0
    for i in range((n + _LOSS_ROWS - 1) // _LOSS_ROWS):
        loss += buffers.losses[i]
    return loss


@inlined
def _penalise(layers, l2, params, gradient, team, arrivals):
    """Add the gradient of ``l2 / 2 * sum(W**2)``; the penalty itself."""
    squares = 0.0
    for l in range(layers.shape[0]):
        count, w, dw = layers[l, N_IN] * layers[l, N_OUT], params + layers[l, WEIGHTS], gradient + layers[l, WEIGHTS]
        squares += np.float64(passes.sum_of_squares(w, count))
        first, stop = share(count, REGISTER_BYTES, team.rank, team.size)
        passes.add_scaled(l2, w + first, dw + first, stop - first)
    meet(arrivals, team.size, team.yield_)
    return 0.5 * l2 * squares


@kernel
def run(layers, data, buffers, rules, slots, counters, sums, learning_rates, losses, max_steps, checked_steps, team):
    """Train from where `counters` and `sums` stand; see `fastnn.job`.

    Every thread of the team runs this: each does its share of a step, and all know how far the run has come.
    """
    n_params = buffers.params.size
    params, gradient = pointer(buffers.params, 0), pointer(buffers.gradient, 0)
    slot_0, slot_1 = pointer(slots, 0), pointer(slots, (slots.shape[0] - 1) * n_params)
    work, arrivals, settings = pointer(buffers.work, 0), pointer(team.arrivals, 0), pointer(rules.settings, 0)
    scale = work + buffers.scale
    n_rows, n_in = data.X.shape[0], data.X.shape[1]
    n_out = layers[layers.shape[0] - 1, N_OUT]
    n_batches = (n_rows + rules.batch_size - 1) // rules.batch_size
    from_param, to_param = share(n_params, REGISTER_BYTES, team.rank, team.size)

    epoch, batch, step = counters[0], counters[1], counters[2]
    loss_sum, weight_sum = sums[0], sums[1]
    first_epoch, first_step, status = epoch, step, _DONE
    meet(arrivals, team.size, team.yield_)

    while epoch < first_epoch + learning_rates.size:
        if rules.shuffle and team.rank == 0:
            permute(key(rules.seed, rules.member, epoch), buffers.order)
        while batch < n_batches and status == _DONE:
            if step - first_step == max_steps:
                status = _PAUSED
                break
            meet(arrivals, team.size, team.yield_)
            batch_start = batch * rules.batch_size
            batch_stop = min(batch_start + rules.batch_size, n_rows)
            weight = _batch_weight(data, rules, buffers.order, batch_start, batch_stop - batch_start)
            loss, finite = 0.0, np.isfinite(weight)

            for start in range(batch_start, batch_stop, buffers.block_rows):
                n = min(buffers.block_rows, batch_stop - start)
                x, x_stride = pointer(data.X, start * n_in), n_in
                y, labels = pointer(data.y, start * n_out), pointer(data.labels, start)
                if buffers.x_stride > 0:
                    first, stop = share(n, TILE_ROWS, team.rank, team.size)
                    x, x_stride = work + buffers.x, buffers.x_stride
                    if rules.shuffle:
                        y, labels = work + buffers.y, pointer(buffers.labels, 0)
                        _gather(data, buffers, start, first, stop, x, y, labels)
                    else:
                        rows = pointer(data.X, (start + first) * n_in)
                        passes.copy_block(rows, n_in, x + first * x_stride, x_stride, stop - first, n_in)
                first, stop = share(n, _LOSS_ROWS, team.rank, team.size)
                _share_out(data, rules, buffers.order, start + first, start + stop, weight, scale + first)

                forward(layers, buffers.zeros, params, x, x_stride, n, work, team, arrivals)
                meet(arrivals, team.size, team.yield_)
                loss += _block_loss(layers, rules, buffers, y, labels, n, scale, work, team, arrivals)
                if step < checked_steps:
                    finite = finite and passes.block_finite(x, x_stride, n, n_in)
                    finite = finite and (data.labels.size > 0 or passes.block_finite(y, n_out, n, n_out))
                backward(layers, buffers.zeros, params, gradient, start > batch_start, x, x_stride, n, work, team, arrivals)

            if rules.l2 > 0.0:
                loss += _penalise(layers, rules.l2, params, gradient, team, arrivals)
            if not (finite and np.isfinite(loss)):
                status = _DIVERGED if finite else _BAD_DATA
                break
            if rules.max_grad_norm < np.inf:
                norm = np.sqrt(np.float64(passes.sum_of_squares(gradient, n_params)))
                meet(arrivals, team.size, team.yield_)
                passes.scale(min(1.0, rules.max_grad_norm / (norm + 1e-6)), gradient + from_param, to_param - from_param)
            step += 1
            rate = learning_rates[epoch - first_epoch]
            if rules.optimizer != 0:
                call(rules.optimizer, KNOWN, params, gradient, slot_0, slot_1, from_param, to_param, rate, settings, step)
            loss_sum += loss * weight
            weight_sum += weight
            batch += 1
        if status != _DONE:
            break
        losses[epoch - first_epoch] = loss_sum / weight_sum
        epoch, batch, loss_sum, weight_sum = epoch + 1, 0, 0.0, 0.0
    meet(arrivals, team.size, team.yield_)
    if team.rank == 0:
        counters[0], counters[1], counters[2] = epoch, batch, step
        sums[0], sums[1] = loss_sum, weight_sum
    return status


# ---------------------------------------------------------------- from Python
#: Rows of a batch that go through the network together: few enough for their activations to stay in the cache.
BLOCK_ROWS = 256


@lru_cache(maxsize=64)
def _loss_address(loss: catalogue.Loss, labels_given: bool, dtype: str) -> int:
    place, n = _pointer(dtype), types.intp
    labels = Pointer(n, native_lanes(n))
    code, given = types.literal(loss.code), types.literal(int(labels_given))
    return address_of(batch_loss, code, given, place, place, place, labels, place, n, n, types.float64)


@lru_cache(maxsize=64)
def _optimizer_address(rule: int, dtype: str) -> int:
    place, n, number = _pointer(dtype), types.intp, types.float64
    settings = Pointer(number, native_lanes(number))
    return address_of(optimizer_step, types.literal(rule), place, place, place, place, n, n, number, settings, n)


def _pointer(dtype: str) -> Pointer:
    number = types.float32 if dtype == "float32" else types.float64
    return Pointer(number, native_lanes(number))


class Prepared:
    """A job as the kernel takes it, with its buffers."""

    def __init__(self, job: Job, state: State, gradient: NDArray):
        spec, n = job.spec, len(job.X)
        dtype = np.dtype(spec.dtype)
        labelled = job.y.ndim == 1
        block_rows = min(job.batch_size, BLOCK_ROWS)
        self.layers, zeros, size = layout(spec, block_rows, job.loss.logits_of is not None, True)

        unit = REGISTER_BYTES // dtype.itemsize
        critical = spec.n_in * dtype.itemsize % CRITICAL_STRIDE == 0
        x_stride = -(-(spec.n_in + critical) // unit) * unit if job.shuffle or critical else 0
        x, y = size, size + block_rows * x_stride
        scale = y + -(-block_rows * spec.n_out // unit) * unit
        self.data = Data(
            X=job.X,
            y=np.empty((0, spec.n_out), dtype) if labelled else job.y,
            labels=job.y if labelled else np.empty(0, np.intp),
            weights=np.empty(0, dtype) if job.sample_weight is None else job.sample_weight,
        )
        self.buffers = Buffers(
            params=job.params,
            gradient=gradient,
            work=workspace(scale + block_rows, spec.dtype),
            order=np.empty(n if job.shuffle else 0, np.intp),
            labels=np.empty(block_rows if labelled else 0, np.intp),
            losses=np.empty(-(-block_rows // _LOSS_ROWS)),
            block_rows=block_rows,
            zeros=zeros,
            x=x,
            x_stride=x_stride,
            y=y,
            scale=scale,
        )
        rule, settings = rule_of(job.optimizer) if job.optimizer is not None else (None, (0.0,) * 4)
        self.rules = Rules(
            loss=_loss_address(job.loss, labelled, spec.dtype),
            delta=float(job.delta),
            outputs=1.0 if job.loss.name in ("sse", "cross_entropy") else float(spec.n_out),
            mean=job.loss.mean,
            optimizer=_optimizer_address(rule, spec.dtype) if rule is not None else 0,
            settings=np.array(settings),
            l2=float(job.l2),
            max_grad_norm=float(job.max_grad_norm),
            batch_size=job.batch_size,
            shuffle=job.shuffle,
            seed=state.seed,
            member=job.member,
        )
        self.checked_steps = int(state.counters[2]) + job.n_batches  # after one pass the data are known to be finite

    def run(self, state: State, learning_rates: NDArray, losses: NDArray, max_steps: int) -> Status:
        """Train on from a state."""
        return Status(
            run(
                self.layers,
                self.data,
                self.buffers,
                self.rules,
                state.slots,
                state.counters,
                state.sums,
                learning_rates,
                losses,
                max_steps,
                self.checked_steps,
                ALONE,
            )
        )


def train(
    job: Job,
    state: State,
    learning_rates: NDArray[np.float64],
    losses: NDArray[np.float64],
    max_steps: int,
    *,
    threads: int = 1,
    specialize: bool | None = None,
) -> Status:
    """Run a job from where its state stands: the contract of `fastnn.reference.training.train`.

    Parameters
    ----------
    threads : int
        How many threads share each step.
    specialize : bool, optional
        Whether to compile for the sizes of this network.
    """
    if job.prepared is None:
        job.prepared = Prepared(job, state, np.empty_like(job.params))
    return job.prepared.run(state, learning_rates, losses, max_steps)
