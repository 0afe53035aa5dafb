"""A job as the training kernel takes it: its record filled in, its buffers, the addresses of what it calls."""

from __future__ import annotations

from functools import lru_cache
from threading import Thread
from typing import Any

import numpy as np
from numba import from_dtype, types
from numpy.typing import NDArray

from fastnn.jobs.aligned import address, aligned_zeros
from fastnn.jobs.job import STATUSES, Job, State, Status
from fastnn.jobs.random_bits import threshold
from fastnn.kernels import dispatch
from fastnn.kernels.functions import optimizers
from fastnn.kernels.jit.compiling import Dispatcher, address_of
from fastnn.kernels.simd.registers import REGISTER_BYTES
from fastnn.kernels.simd.threads import CALLED_OFF, yield_address
from fastnn.kernels.simd.types import pointer_type
from fastnn.kernels.tiles import losses
from fastnn.kernels.tiles.dense import CRITICAL_STRIDE, stride_for
from fastnn.kernels.tiles.end_epoch import end_epoch, monitor_record
from fastnn.kernels.tiles.job_record import JOB_RECORD, JobFields
from fastnn.kernels.tiles.layers import (
    ALONE,
    INTEGERS,
    TEAM,
    Team,
    backward_address,
    forward_address,
    layout,
)
from fastnn.kernels.tiles.noise import draw, draw_nothing
from fastnn.kernels.tiles.run import run
from fastnn.kernels.tiles.step import (
    LOSS_ROWS,
    clip,
    copy,
    draw_order,
    gather,
    given_order,
    penalise,
    weigh,
    weigh_present,
)
from fastnn.settings import catalogue
from fastnn.settings.spec import NetworkSpec


@lru_cache(maxsize=64)
def _loss_address(loss: catalogue.Loss, labels_given: bool, dtype: str) -> int:
    place, n = pointer_type(dtype), types.intp
    function = losses.callee_of(loss, labels_given)
    return address_of(*function, place, place, place, INTEGERS, place, n, n, place)


@lru_cache(maxsize=64)
def _optimizer_address(rule: int, dtype: str) -> int:
    place, n, number = pointer_type(dtype), types.intp, types.float64
    settings = pointer_type("float64")
    return address_of(optimizers.update, types.literal(rule), place, place, place, place, n, number, settings, n)


@lru_cache
def _step_address(part: Dispatcher, dtype: str) -> int:
    """Address of a part of a step that is called only where it is wanted."""
    place, n, number = pointer_type(dtype), types.intp, types.float64
    behind_the_record = {
        draw_order: (n,),
        given_order: (n,),
        gather: (n, n, n, n, n, place),
        copy: (n, n, n, n, n, place),
        weigh: (n, n, place),
        weigh_present: (n, n, place),
        penalise: (place, place, number, TEAM),
        clip: (place, n, n, TEAM),
        draw: (n, n, n, place, TEAM),
        draw_nothing: (n, place),
        end_epoch: (place, n, n, number, pointer_type("float64"), n, n, TEAM),
    }
    return address_of(part, from_dtype(JOB_RECORD), *behind_the_record[part])


@lru_cache(maxsize=256)
def _outline(
    spec: NetworkSpec,
    block_rows: int,
    loss_code: int,
    loss_parameter: float,
    labelled: bool,
    rule: int,
    settings: tuple[float, ...],
    shuffle: bool,
    noisy: bool,
    thresholds: tuple[int, ...],
    with_layers: bool,
    with_steps: bool,
) -> tuple[bytes, tuple[NDArray, ...], int]:
    """What the records of all jobs of a kind have in common; the arrays it points to; the size of their workspace.

    One parameter of the loss serves all targets, and all parameters of the network are updated. Unless `with_layers`,
    all that takes samples through the network is left out; unless `with_steps`, all that computes a step.
    """
    record, loss = np.zeros(1, JOB_RECORD), catalogue.loss_of(loss_code)
    n_targets = loss.n_targets(spec.n_out)
    record["mean"], record["n_targets"], record["masked"] = loss.mean, n_targets, loss.masked
    record["row_divisor"], record["reported"] = loss.divisor(spec.n_out), 1.0
    numbers, parameters = np.array(settings, np.float64), np.full(n_targets, loss_parameter, spec.dtype)
    all_params = np.array([[0, spec.n_params]], np.int64)
    shared: tuple[NDArray, ...] = numbers, parameters, all_params
    record["settings"], record["loss_parameter"] = address(numbers), address(parameters)
    record["parts"], record["n_parts"] = address(all_params), 1
    record["order_epoch"] = -1
    if shuffle:
        record["draw_order"] = _step_address(draw_order, spec.dtype)
    if not with_layers:
        return record.tobytes(), shared, 0

    dtype = np.dtype(spec.dtype)
    unit = REGISTER_BYTES // dtype.itemsize
    critical = spec.n_in * dtype.itemsize % CRITICAL_STRIDE == 0
    layers, zeros, size = layout(spec, block_rows, loss.logits_of is not None, True, thresholds)
    record["layers"], record["n_layers"], record["zeros"] = address(layers), spec.n_layers, zeros
    record["block_rows"] = block_rows
    record["x_stride"] = stride_for(spec.n_in, dtype.itemsize) if shuffle or critical or noisy else 0
    record["x_place"] = size
    record["y_place"] = y_place = size + block_rows * int(record["x_stride"][0])
    record["scale_place"] = scale_place = y_place + (-(-block_rows * n_targets // unit) * unit if shuffle else 0)
    record["forward"] = forward_address(spec.dtype)
    if with_steps:
        record["backward"] = backward_address(spec.dtype)
        record["loss"] = _loss_address(loss, labelled, spec.dtype)
        record["optimizer"] = _optimizer_address(rule, spec.dtype)
        if record["x_stride"] > 0:
            record["gather"] = _step_address(gather if shuffle else copy, spec.dtype)
    return record.tobytes(), (*shared, layers), scale_place + block_rows


class PreparedJob:
    """A job as a training loop takes it: its record, and the arrays that the record points to."""

    def __init__(self, job: Job, state: State, gradient: NDArray | None, with_steps: bool):
        """Lay out a job; with a `gradient` to write to, its steps leave the parameters alone.

        `with_steps` includes what the kernel of tiles takes a step with; the kernel of lanes computes steps by itself,
        and needs layers for a validation set alone.
        """
        with_layers = with_steps or (job.monitor is not None and job.monitor.validates)
        labelled, noisy = job.y.ndim == 1, job.input_noise > 0
        block_rows = min(job.batch_size, dispatch.BLOCK_ROWS)
        thresholds = tuple(map(threshold, job.dropout)) if job.dropout else ()
        for_all = job.loss.default if isinstance(job.loss_parameter, np.ndarray) else job.loss_parameter
        self.rule, settings = optimizers.rule_of(job.update_rule)
        outline, shared, n_work = _outline(
            job.spec, block_rows, job.loss.code, for_all, labelled, self.rule, settings, job.shuffle, noisy,
            thresholds, with_layers, with_steps,
        )  # fmt: skip
        self.fields = fields = JobFields.from_buffer_copy(outline)
        self.record = np.frombuffer(fields, JOB_RECORD)
        self.params, self.monitor = job.params, job.monitor
        # What the record points to; not the job, which may hold this: both would stay until garbage is collected.
        own = job.X, job.y, job.sample_weight, job.orders, job.monitor, job.loss_parameter, job.trainable
        self.kept: tuple = shared, gradient, *own

        fields.n_rows, fields.batch_size, fields.X = len(job.X), job.batch_size, address(job.X)
        if labelled:
            fields.labels = address(job.y)
        else:
            fields.y = address(job.y)
        if with_layers or job.shuffle:
            self._put_buffers(job, block_rows, n_work, with_layers)
        if gradient is not None:
            fields.gradient, fields.optimizer = address(gradient), 0
        if job.shuffle:
            fields.seed, fields.member = state.seed, job.member
            if job.orders is not None:
                fields.draw_order = _step_address(given_order, job.spec.dtype)
                fields.orders, fields.n_orders = address(job.orders), len(job.orders)
        self._put_options(job, state, with_steps, updates=with_steps and gradient is None)
        # After one pass the data are known to be finite.
        self.checked_steps = state.steps_done + job.n_batches

    def _put_buffers(self, job: Job, block_rows: int, n_work: int, with_layers: bool) -> None:
        """Make one array of all buffers: integers and losses, then, aligned to registers, work and gradient."""
        fields, n, itemsize = self.fields, len(job.X), job.params.itemsize
        n_losses = -(-block_rows // LOSS_ROWS)
        n_integers = n + block_rows if job.shuffle else 0
        n_own = 8 * (n_losses + 1 + n_integers)
        n_floats = n_work + job.spec.n_params if with_layers else 0
        new = aligned_zeros if with_layers else np.zeros
        buffer = new(n_own + REGISTER_BYTES + n_floats * itemsize, np.uint8)
        self.kept += (buffer,)
        place = address(buffer)
        fields.block_losses, fields.bad_data = place, place + 8 * n_losses
        if job.shuffle:
            fields.order = place + 8 * (n_losses + 1)
            fields.block_labels = fields.order + 8 * n
        if with_layers:
            fields.work = -(-(place + n_own) // REGISTER_BYTES) * REGISTER_BYTES
            fields.gradient = fields.work + n_work * itemsize

    def _put_options(self, job: Job, state: State, with_steps: bool, updates: bool) -> None:
        """Write what only some jobs ask for; `updates` says whether the steps change the parameters."""
        spec, fields = job.spec, self.fields
        if isinstance(job.loss_parameter, np.ndarray):
            fields.loss_parameter = address(job.loss_parameter)
        if job.trainable is not None:
            fields.parts, fields.n_parts = address(job.trainable), len(job.trainable)
        if job.convention is not None:
            fields.by_convention = True
            fields.reported, fields.row_divisor = job.convention.reported, job.convention.divisor
        if job.sample_weight is not None:
            fields.sample_weight = address(job.sample_weight)
        if with_steps and (job.sample_weight is not None or job.loss.masked):
            fields.weigh = _step_address(weigh_present if job.loss.masked else weigh, spec.dtype)
        penalised, clipped = job.l2 > 0, job.max_grad_norm < np.inf
        if penalised:
            fields.l2 = job.l2
            fields.penalise = _step_address(penalise, spec.dtype) if with_steps else 0
        if clipped:
            fields.max_grad_norm = job.max_grad_norm
            fields.clip = _step_address(clip, spec.dtype) if with_steps else 0
        if updates and dispatch.updates_by_parts(spec.n_params, job.batch_size):
            fields.by_parts = not (penalised or clipped or job.slopes or job.trainable is not None)
        if job.dropout or job.input_noise > 0:
            fields.draw, fields.draw_nothing = (_step_address(part, spec.dtype) for part in (draw, draw_nothing))
            fields.noise_seed, fields.noise_member, fields.input_noise = state.seed, job.member, job.input_noise
        if job.monitor is not None:
            labelled = job.monitor.validates and job.monitor.y.ndim == 1
            self.monitored = monitor_record(job, _loss_address(job.loss, labelled, spec.dtype))
            self.record["monitor"] = self.monitored[0]
            fields.end_epoch = _step_address(end_epoch, spec.dtype)

    def remember_in(self, state: State) -> None:
        """Have what is monitored written to a state, and to where the monitor has room now."""
        if self.monitor is not None:
            record = self.record[0]["monitor"]
            record["state"] = address(state.monitor_state)
            record["best"] = address(state.best) if state.best.size else 0
            record["losses"], record["metrics"] = address(self.monitor.loss), address(self.monitor.metric)


class PreparedForTiles(PreparedJob):
    """A job of a network of any size."""

    def __init__(self, job: Job, state: State, gradient: NDArray | None = None, threads: int = 1):
        """A job whose steps this many threads share; with a `gradient` to write to, they leave the parameters alone."""
        super().__init__(job, state, gradient, with_steps=True)
        self.threads = threads

    def run(self, state: State, learning_rates: NDArray, epoch_losses: NDArray, max_steps: int) -> Status:
        """Train on from a state."""
        self.remember_in(state)
        arrays = self.params, state.slots, state.counters, state.sums, learning_rates, epoch_losses
        arguments = (self.record, *arrays, max_steps, self.checked_steps)
        if self.threads == 1:
            return STATUSES[run(*arguments, ALONE)]
        arrivals, yield_ = np.zeros(1, np.int64), yield_address()
        teams = [Team(rank, self.threads, address(arrivals), yield_) for rank in range(self.threads)]
        others = [Thread(target=self._help, args=(arrivals, *arguments, team), daemon=True) for team in teams[1:]]
        try:
            for thread in others:
                thread.start()
            status = run(*arguments, teams[0])
        except BaseException:  # from a handler of signals, or as there can be no more threads
            arrivals[0] = CALLED_OFF
            raise
        for thread in others:
            thread.join()
        return STATUSES[status]

    def _help(self, arrivals: NDArray[np.int64], *arguments: Any) -> None:
        """Do another thread's part; what the kernel knows by its address stays until this ends."""
        run(*arguments)
