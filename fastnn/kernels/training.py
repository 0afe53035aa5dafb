"""The training loop: whole epochs of batches in one compiled call."""

from __future__ import annotations

import os
from functools import lru_cache
from threading import Thread

import numpy as np
from numba import from_dtype, types
from numpy.typing import NDArray

from fastnn import catalogue
from fastnn.job import Job, State, Status
from fastnn.kernels import losses, optimizers, passes, samples
from fastnn.kernels.compiling import address_of, callee, inlined, kernel
from fastnn.kernels.dense import CRITICAL_STRIDE, LOW
from fastnn.kernels.layers import (
    ALONE,
    COLUMNS,
    DERIVE,
    INTEGERS,
    N_IN,
    N_OUT,
    TEAM,
    WEIGHTS,
    D,
    H,
    Team,
    Z,
    backward_address,
    forward_address,
    layout,
    pointer_type,
    workspace,
)
from fastnn.kernels.llvm.calls import KNOWN, call, call_float, call_integer
from fastnn.kernels.llvm.denormals import flush_denormals, restore_denormals
from fastnn.kernels.llvm.simd import pointer, pointer_at
from fastnn.kernels.llvm.threads import meet, share, yield_address
from fastnn.kernels.llvm.types import REGISTER_BYTES
from fastnn.kernels.noise import draw, draw_nothing, threshold
from fastnn.kernels.random import given_order, permute
from fastnn.kernels.watch import WATCHED, end_epoch, watched
from fastnn.spec import NetworkSpec

_DONE, _PAUSED, _BAD_DATA, _DIVERGED, _STOPPED, _ = (int(status) for status in Status)

#: Rows whose losses are summed together, by one thread.
_LOSS_ROWS = 64


#: All that a run goes by. Arrays and functions come as addresses, 0 where there is none; `Prepared` keeps the arrays
#: alive.
PLAN = np.dtype(
    [
        # the data
        ("X", np.intp),
        ("y", np.intp),
        ("labels", np.intp),
        ("sample_weight", np.intp),
        ("n_rows", np.intp),
        ("batch_size", np.intp),
        ("seed", np.intp),
        ("member", np.intp),
        # the network
        ("layers", np.intp),
        ("n_layers", np.intp),
        # what a step calls, where it is wanted
        ("permute", np.intp),
        ("gather", np.intp),
        ("forward", np.intp),
        ("loss", np.intp),
        ("backward", np.intp),
        ("penalise", np.intp),
        ("clip", np.intp),
        ("optimizer", np.intp),
        # settings
        ("mean", np.intp),  # whether the batch's loss is a mean
        ("recounted", np.intp),  # whether it goes by `fastnn.job.Accounts`
        ("shown", np.float64),
        ("outputs", np.float64),  # what a row's loss is divided by
        ("delta", np.float64),
        ("settings", np.intp),  # of the optimizer
        ("l2", np.float64),
        ("max_grad_norm", np.float64),
        # buffers
        ("gradient", np.intp),
        ("order", np.intp),  # the rows, shuffled
        ("block_labels", np.intp),
        ("block_losses", np.intp),  # of each `_LOSS_ROWS` rows of a block
        ("work", np.intp),
        # places in `work`
        ("block_rows", np.intp),  # a batch goes through the network in blocks of so many rows
        ("zeros", np.intp),
        ("x_place", np.intp),
        ("x_stride", np.intp),  # 0 where blocks are read in place
        ("y_place", np.intp),
        ("scale_place", np.intp),
        # dropout and noise
        ("draw", np.intp),
        ("draw_nothing", np.intp),
        ("noise_seed", np.intp),
        ("noise_member", np.intp),
        ("input_noise", np.float64),
        # what is done when an epoch ends
        ("end_epoch", np.intp),
        ("watch", WATCHED),
    ]
)


@callee
def gather(plan, start, first, stop, n_in, n_out, work):
    """Copy the data's rows ``order[start + first : start + stop]`` to rows ``first:stop`` of the block's buffers."""
    order, X = pointer_at(plan.order, np.int64), pointer_at(plan.X, work)
    y, labels = pointer_at(plan.y, work), pointer_at(plan.labels, np.int64)
    block_x, block_y = work + plan.x_place, work + plan.y_place
    block_labels = pointer_at(plan.block_labels, np.int64)
    for r in range(first, stop):
        row = order[start + r]
        passes.copy_block(X + row * n_in, n_in, block_x + r * plan.x_stride, n_in, 1, n_in)
        if plan.labels != 0:
            block_labels[r] = labels[row]
        else:
            passes.copy_block(y + row * n_out, n_out, block_y + r * n_out, n_out, 1, n_out)


@inlined
def _weight(plan, row, like):
    """Sample weight of the row-th row that is visited."""
    row = pointer_at(plan.order, np.int64)[row] if plan.order != 0 else row
    return pointer_at(plan.sample_weight, like)[row]


@inlined
def _block_loss(plan, y, labels, start, n, weight, work, team):
    """Loss of a block, its derivative with respect to the output's pre-activations into the workspace.

    The block begins at row `start`; its batch has the given weight.
    """
    last = pointer_at(plan.layers, np.int64) + (plan.n_layers - 1) * COLUMNS
    n_out, output, d, z = last[N_OUT], work + last[H], work + last[D], work + last[Z]
    scale, block_losses = work + plan.scale_place, pointer_at(plan.block_losses, np.float64)
    divisor = plan.outputs * (weight if plan.mean != 0 else 1.0)
    factor = 1.0 / divisor if divisor > 0.0 else 0.0
    first, stop = share(n, _LOSS_ROWS, team)
    for r in range(first, stop, _LOSS_ROWS):
        rows, place = min(_LOSS_ROWS, stop - r), r * n_out
        for i in range(r, r + rows):
            scale[i] = factor * _weight(plan, start + i, work) if plan.sample_weight != 0 else factor
        block_losses[r // _LOSS_ROWS] = call_float(
            plan.loss, KNOWN, output + place, d + place, y + place, labels + r, scale + r, rows, n_out, plan.delta
        )
        if last[DERIVE] != 0:
            call(last[DERIVE], KNOWN, d + place, z + place, output + place, rows * n_out)
    meet(team)
    loss = 0.0
    for i in range((n + _LOSS_ROWS - 1) // _LOSS_ROWS):
        loss += block_losses[i]
    return loss


@callee
def penalise(plan, params, gradient, weight, team):
    """Add the gradient of ``l2 / 2 * sum(W**2)``; the penalty itself. The batch has the given weight."""
    squares, l2 = 0.0, plan.l2
    if plan.recounted != 0:
        l2 = l2 / weight if weight > 0.0 else 0.0
    for l in range(plan.n_layers):
        layer = pointer_at(plan.layers, np.int64) + l * COLUMNS
        count, w, dw = layer[N_IN] * layer[N_OUT], params + layer[WEIGHTS], gradient + layer[WEIGHTS]
        squares += np.float64(passes.sum_of_squares(w, count))
        first, stop = share(count, REGISTER_BYTES, team)
        passes.add_scaled(l2, w + first, dw + first, stop - first)
    meet(team)
    return 0.5 * l2 * squares


@callee
def clip(plan, gradient, n_params, start, stop, team):
    """Scale ``gradient[start:stop]`` down by what brings all of it to a norm of at most `max_grad_norm`."""
    norm = np.sqrt(np.float64(passes.sum_of_squares(gradient, n_params)))
    meet(team)
    passes.scale(min(1.0, plan.max_grad_norm / (norm + 1e-6)), gradient + start, stop - start)


@kernel
def run(plans, params, slots, counters, sums, learning_rates, epoch_losses, max_steps, checked_steps, team):
    """Train from where `counters` and `sums` stand; see `fastnn.job`.

    Every thread of the team runs this: each does its share of a step, and all know how far the run has come.
    """
    plan, n_params = plans[0], params.size
    slot_0, slot_1 = pointer(slots, 0), pointer(slots, (slots.shape[0] - 1) * n_params)
    params = pointer(params, 0)
    gradient, work = pointer_at(plan.gradient, params), pointer_at(plan.work, params)
    settings = pointer_at(plan.settings, np.float64)
    layers = pointer_at(plan.layers, np.int64)
    n_in, n_out = layers[N_IN], layers[(plan.n_layers - 1) * COLUMNS + N_OUT]
    n_batches = (plan.n_rows + plan.batch_size - 1) // plan.batch_size
    from_param, to_param = share(n_params, REGISTER_BYTES, team)

    epoch, batch, step = counters[0], counters[1], counters[2]
    loss_sum, weight_sum = sums[0], sums[1]
    first_epoch, first_step, status = epoch, step, _DONE
    mode = flush_denormals()
    meet(team)

    while epoch < first_epoch + learning_rates.size and status == _DONE:
        if plan.permute != 0 and team.rank == 0:
            call(plan.permute, plan.seed, plan.member, epoch, pointer_at(plan.order, np.int64), plan.n_rows)
        while batch < n_batches and status == _DONE:
            if step - first_step == max_steps:
                status = _PAUSED
                break
            meet(team)
            batch_start = batch * plan.batch_size
            batch_stop = min(batch_start + plan.batch_size, plan.n_rows)
            weight = float(batch_stop - batch_start)
            if plan.sample_weight != 0:
                weight = 0.0
                for r in range(batch_start, batch_stop):
                    weight += _weight(plan, r, params)
            loss, finite = 0.0, np.isfinite(weight)

            for start in range(batch_start, batch_stop, plan.block_rows):
                n = min(plan.block_rows, batch_stop - start)
                x, x_stride = pointer_at(plan.X, params) + start * n_in, n_in
                y, labels = pointer_at(plan.y, params) + start * n_out, pointer_at(plan.labels, np.int64) + start
                if plan.x_stride > 0:
                    first, stop = share(n, LOW, team)
                    if plan.gather != 0:
                        y, labels = work + plan.y_place, pointer_at(plan.block_labels, np.int64)
                        call(plan.gather, plan, start, first, stop, n_in, n_out, work)
                    else:
                        rows, copy = x + first * n_in, work + (plan.x_place + first * plan.x_stride)
                        passes.copy_block(rows, n_in, copy, plan.x_stride, stop - first, n_in)
                    x, x_stride = work + plan.x_place, plan.x_stride
                    meet(team)
                if plan.draw != 0:
                    call(plan.draw, plan, step, start - batch_start, n, work, team)

                call(plan.forward, layers, plan.n_layers, plan.zeros, params, x, x_stride, n, work, team)
                meet(team)
                loss += _block_loss(plan, y, labels, start, n, weight, work, team)
                if step < checked_steps:
                    finite = finite and passes.block_finite(x, x_stride, n, n_in)
                    finite = finite and (plan.labels != 0 or passes.block_finite(y, n_out, n, n_out))
                places = params, gradient, start > batch_start, x, x_stride, n, work, team
                call(plan.backward, layers, plan.n_layers, plan.zeros, *places)

            loss *= plan.shown
            if plan.penalise != 0:
                loss += call_float(plan.penalise, plan, params, gradient, weight, team)
            if not (finite and np.isfinite(loss)):
                status = _DIVERGED if finite else _BAD_DATA
                epoch_losses[epoch - first_epoch] = loss
                break
            if plan.clip != 0:
                call(plan.clip, plan, gradient, n_params, from_param, to_param, team)
            step += 1
            if plan.optimizer != 0:
                rate = learning_rates[epoch - first_epoch]
                span = from_param, to_param
                call(plan.optimizer, KNOWN, params, gradient, slot_0, slot_1, *span, rate, settings, step)
            if plan.recounted != 0:
                weight = np.float64(batch_stop - batch_start)
            loss_sum += loss * weight
            weight_sum += weight
            batch += 1
        if status != _DONE:
            break
        loss, i = loss_sum / (weight_sum if weight_sum > 0.0 else 1.0), epoch - first_epoch
        epoch_losses[i] = loss
        if plan.end_epoch != 0:
            rates, n_rates = pointer(learning_rates, 0), learning_rates.size
            if call_integer(plan.end_epoch, plan, params, n_params, epoch, loss, rates, i, n_rates, team):
                status = _STOPPED
        epoch, batch, loss_sum, weight_sum = epoch + 1, 0, 0.0, 0.0
    restore_denormals(mode)
    meet(team)
    if team.rank == 0:
        counters[0], counters[1], counters[2] = epoch, batch, step
        sums[0], sums[1] = loss_sum, weight_sum
    return status


# ---------------------------------------------------------------- from Python
#: Rows of a batch that go through the network together: few enough for their activations to stay in the cache.
BLOCK_ROWS = 256


#: Operations of a step from which on two threads are faster than one: what they must fetch from each other counts.
WORTH_SHARING = 20_000_000


@lru_cache(maxsize=64)
def _loss_address(loss: catalogue.Loss, labels_given: bool, dtype: str) -> int:
    place, n = pointer_type(dtype), types.intp
    function = losses.callee_of(loss, labels_given)
    return address_of(*function, place, place, place, INTEGERS, place, n, n, types.float64)


@lru_cache(maxsize=64)
def _optimizer_address(rule: int, dtype: str) -> int:
    place, n, number = pointer_type(dtype), types.intp, types.float64
    settings = pointer_type("float64")
    return address_of(optimizers.update, types.literal(rule), place, place, place, place, n, n, number, settings, n)


@lru_cache
def _step_address(name: str, dtype: str) -> int:
    """Address of one of the things that a step does only where it is wanted."""
    place, n = pointer_type(dtype), types.intp
    plan = from_dtype(PLAN)
    match name:
        case "permute":
            return address_of(permute, n, n, n, INTEGERS, n)
        case "given_order":
            return address_of(given_order, n, n, n, INTEGERS, n)
        case "gather":
            return address_of(gather, plan, n, n, n, n, n, place)
        case "penalise":
            return address_of(penalise, plan, place, place, types.float64, TEAM)
        case "clip":
            return address_of(clip, plan, place, n, n, n, TEAM)
        case "draw":
            return address_of(draw, plan, n, n, n, place, TEAM)
        case "draw_nothing":
            return address_of(draw_nothing, plan, n, place)
        case "end_epoch":
            number, numbers = types.float64, pointer_type("float64")
            return address_of(end_epoch, plan, place, n, n, number, numbers, n, n, TEAM)
    raise KeyError(name)


#: Place of each field of a plan, in words of eight bytes: setting a word is much faster than setting a field.
AT = {name: field[1] // 8 for name, field in (PLAN.fields or {}).items()}


@lru_cache(maxsize=256)
def _outline(
    spec: NetworkSpec,
    block_rows: int,
    loss: catalogue.Loss,
    labelled: bool,
    rule: int,
    shuffle: bool,
    noisy: bool,
    thresholds: tuple[int, ...],
) -> tuple[NDArray, NDArray[np.intp], int]:
    """What the plans of all jobs of a kind have in common, as words; their layer table; the size of their workspace."""
    dtype = np.dtype(spec.dtype)
    unit = REGISTER_BYTES // dtype.itemsize
    critical = spec.n_in * dtype.itemsize % CRITICAL_STRIDE == 0
    layers, zeros, size = layout(spec, block_rows, loss.logits_of is not None, True, thresholds)
    plan = np.zeros(1, PLAN)
    plan["layers"], plan["n_layers"], plan["zeros"] = _address(layers), spec.n_layers, zeros
    plan["block_rows"] = block_rows
    plan["x_stride"] = -(-(spec.n_in + critical) // unit) * unit if shuffle or critical or noisy else 0
    plan["x_place"] = size
    plan["y_place"] = y_place = size + block_rows * int(plan["x_stride"][0])
    plan["scale_place"] = scale_place = y_place + (-(-block_rows * spec.n_out // unit) * unit if shuffle else 0)
    plan["forward"], plan["backward"] = forward_address(spec.dtype), backward_address(spec.dtype)
    plan["loss"] = _loss_address(loss, labelled, spec.dtype)
    plan["optimizer"] = _optimizer_address(rule, spec.dtype)
    plan["mean"] = loss.mean
    plan["outputs"], plan["shown"] = spec.n_out if loss.mean_output else 1.0, 1.0
    if shuffle:
        plan["permute"], plan["gather"] = _step_address("permute", spec.dtype), _step_address("gather", spec.dtype)
    return plan.view(np.int64), layers, scale_place + block_rows


def _address(array: NDArray) -> int:
    return array.__array_interface__["data"][0]


class Prepared:
    """A job as the kernel takes it, with its buffers."""

    def __init__(self, job: Job, state: State, gradient: NDArray | None = None):
        """Lay out a job; with a `gradient` to write to, its steps leave the parameters alone."""
        spec, n, shuffle, labelled = job.spec, len(job.X), job.shuffle, job.y.ndim == 1
        block_rows = min(job.batch_size, BLOCK_ROWS)
        rule, settings = optimizers.rule_of(job.optimizer)
        thresholds = tuple(threshold(rate) for rate in job.dropout)
        outline, layers, size = _outline(
            spec, block_rows, job.loss, labelled, rule, shuffle, job.input_noise > 0, thresholds
        )
        n_blocks = -(-block_rows // _LOSS_ROWS)
        floats = np.empty(len(settings) + n_blocks)
        floats[: len(settings)] = settings
        integers = np.empty(n + block_rows if shuffle else 0, np.int64)
        work = workspace(size + (spec.n_params if gradient is None else 0), spec.dtype)
        self.job, self.kept = job, (layers, floats, integers, work, gradient)

        words = outline.copy()
        self.plan = words.view(PLAN)
        words[AT["X"]], words[AT["labels" if labelled else "y"]] = _address(job.X), _address(job.y)
        words[AT["n_rows"]], words[AT["batch_size"]] = n, job.batch_size
        words[AT["seed"]], words[AT["member"]] = state.seed, job.member
        words[AT["work"]] = place = _address(work)
        words[AT["settings"]] = at = _address(floats)
        words[AT["block_losses"]] = at + 8 * len(settings)
        if gradient is None:
            words[AT["gradient"]] = place + size * work.itemsize
        else:
            words[AT["gradient"]], words[AT["optimizer"]] = _address(gradient), 0
        if shuffle:
            words[AT["order"]] = at = _address(integers)
            words[AT["block_labels"]] = at + 8 * n
            if job.orders is not None:
                words[AT["permute"]] = _step_address("given_order", spec.dtype)
                words[AT["seed"]], words[AT["member"]] = _address(job.orders), len(job.orders)
        if job.accounts is not None:
            self.plan["recounted"], self.plan["shown"] = True, job.accounts.shown
            self.plan["outputs"] = job.accounts.divisor
        if job.sample_weight is not None:
            words[AT["sample_weight"]] = _address(job.sample_weight)
        if job.loss.name == "huber":
            self.plan["delta"] = job.delta
        if job.l2 > 0:
            self.plan["l2"], words[AT["penalise"]] = job.l2, _step_address("penalise", spec.dtype)
        if job.max_grad_norm < np.inf:
            self.plan["max_grad_norm"], words[AT["clip"]] = job.max_grad_norm, _step_address("clip", spec.dtype)
        if job.dropout or job.input_noise > 0:
            self.plan["input_noise"], words[AT["draw"]] = job.input_noise, _step_address("draw", spec.dtype)
            words[AT["draw_nothing"]] = _step_address("draw_nothing", spec.dtype)
            words[AT["noise_seed"]], words[AT["noise_member"]] = state.seed, job.member
        if job.watch is not None:
            labelled = job.watch.validates and job.watch.y.ndim == 1
            self.watched = watched(job, _loss_address(job.loss, labelled, spec.dtype))
            self.plan["watch"], words[AT["end_epoch"]] = self.watched[0], _step_address("end_epoch", spec.dtype)
        self.checked_steps = int(state.counters[2]) + job.n_batches  # after one pass the data are known to be finite

    def run(
        self, state: State, learning_rates: NDArray, epoch_losses: NDArray, max_steps: int, threads: int = 1
    ) -> Status:
        """Train on from a state, each step shared by so many threads."""
        if self.job.watch is not None:
            watch = self.plan[0]["watch"]
            watch["memory"], watch["best"] = _address(state.memory), _address(state.best) if state.best.size else 0
        arrays = self.job.params, state.slots, state.counters, state.sums, learning_rates, epoch_losses
        arguments = (self.plan, *arrays, max_steps, self.checked_steps)
        if threads == 1:
            return Status(run(*arguments, ALONE))
        arrivals, yield_ = np.zeros(1, np.int64), yield_address()
        teams = [Team(rank, threads, _address(arrivals), yield_) for rank in range(threads)]
        others = [Thread(target=run, args=(*arguments, team), daemon=True) for team in teams[1:]]
        for thread in others:
            thread.start()
        status = run(*arguments, teams[0])
        for thread in others:
            thread.join()
        return Status(status)


def _worthwhile(threads: int, job: Job) -> int:
    """How many threads a step is shared by: one, unless it takes long enough; never more than there are processors."""
    operations = 6 * job.batch_size * job.spec.n_params + 20 * job.spec.n_params
    return min(threads, _processors()) if operations > WORTH_SHARING else 1


@lru_cache
def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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
        How many threads may share each step; the results are the same to the bit.
    specialize : bool, optional
        Whether to compile for the sizes of this network (`fastnn.kernels.samples`), which pays for tiny ones. Only
        where it is asked for: that path rounds otherwise, and does not validate, drop or stream.
    """
    if specialize and not samples.serves(job):
        raise ValueError(
            "specialize must not be True with validation, early stopping, ReduceOnPlateau, dropout, input_noise, "
            "batches from a callable or a solver, which the specialised path does not do"
        )
    if specialize:
        return samples.train(job, state, learning_rates, losses, max_steps)
    if not isinstance(job.prepared, Prepared):
        job.prepared = Prepared(job, state)
    return job.prepared.run(state, learning_rates, losses, max_steps, _worthwhile(threads, job))
