"""The parts of a step that the training loop calls, by address, where they are wanted; `job` is a `JOB_RECORD`."""

from __future__ import annotations

import numpy as np

from fastnn.kernels.functions.losses import part_present
from fastnn.kernels.functions.optimizers import clipping_unit
from fastnn.kernels.functions.random import permute
from fastnn.kernels.jit.compiling import callee, inlined
from fastnn.kernels.simd import pointer_at
from fastnn.kernels.simd.calls import KNOWN, call, call_float
from fastnn.kernels.simd.registers import REGISTER_BYTES
from fastnn.kernels.simd.threads import meet, own_part
from fastnn.kernels.tiles import passes
from fastnn.kernels.tiles.dense import TILE_ROWS
from fastnn.kernels.tiles.layers import COLUMNS, DERIVE, N_IN, N_OUT, WEIGHTS, D, H, Z

#: Rows whose losses are summed together, by one thread.
LOSS_ROWS = 64


@callee
def draw_order(job, epoch):
    """Shuffle the rows for an epoch."""
    permute(job.seed, job.member, epoch, pointer_at(job.order, np.int64), job.n_rows)


@callee
def given_order(job, epoch):
    """The order of the rows in an epoch, copied from those the job came with."""
    order = pointer_at(job.order, np.int64)
    given = pointer_at(job.orders, np.int64) + epoch % job.n_orders * job.n_rows
    for i in range(job.n_rows):
        order[i] = given[i]


@callee
def gather(job, start, first, stop, n_in, n_targets, work):
    """Copy the data's rows ``order[start + first : start + stop]`` to rows ``first:stop`` of the block's buffers."""
    order, X = pointer_at(job.order, np.int64), pointer_at(job.X, work)
    y, labels = pointer_at(job.y, work), pointer_at(job.labels, np.int64)
    block_x, block_y = work + job.x_place, work + job.y_place
    block_labels = pointer_at(job.block_labels, np.int64)
    for r in range(first, stop):
        row = order[start + r]
        passes.copy_block(X + row * n_in, n_in, block_x + r * job.x_stride, n_in, 1, n_in)
        if job.labels != 0:
            block_labels[r] = labels[row]
        else:
            passes.copy_block(y + row * n_targets, n_targets, block_y + r * n_targets, n_targets, 1, n_targets)


@callee
def copy(job, start, first, stop, n_in, n_targets, work):
    """Copy the data's rows ``start + first : start + stop`` to rows ``first:stop`` of the block's buffer, X alone."""
    X = pointer_at(job.X, work) + (start + first) * n_in
    passes.copy_block(X, n_in, work + (job.x_place + first * job.x_stride), job.x_stride, stop - first, n_in)


@inlined
def weight_of(job, row, like):
    """Sample weight of the row-th row that is visited."""
    row = pointer_at(job.order, np.int64)[row] if job.order != 0 else row
    return pointer_at(job.sample_weight, like)[row]


@callee
def weigh(job, start, stop, like):
    """Sum of the sample weights of the rows ``start:stop`` that are visited."""
    weight = 0.0
    for r in range(start, stop):
        weight += weight_of(job, r, like)
    return weight


@callee
def weigh_present(job, start, stop, like):
    """The same, each weight times the part of its row's targets that is present."""
    order, y, n_targets, weight = pointer_at(job.order, np.int64), pointer_at(job.y, like), job.n_targets, 0.0
    for r in range(start, stop):
        row = order[r] if job.order != 0 else r
        part = part_present(y + row * n_targets, n_targets)
        weight += part * weight_of(job, r, like) if job.sample_weight != 0 else part
    return weight


@inlined
def block_loss(job, y, labels, start, n, weight, work, team):
    """Loss of a block, its derivative with respect to the output's pre-activations into the workspace.

    The block begins at row `start`; its batch has the given weight.
    """
    last = pointer_at(job.layers, np.int64) + (job.n_layers - 1) * COLUMNS
    n_out, output, d, z = last[N_OUT], work + last[H], work + last[D], work + last[Z]
    scale, block_losses = work + job.scale_place, pointer_at(job.block_losses, np.float64)
    divisor = job.row_divisor * (weight if job.mean != 0 else 1.0)
    factor = 1.0 / divisor if divisor > 0.0 else 0.0
    parameter = pointer_at(job.loss_parameter, work)
    first, stop = own_part(n, LOSS_ROWS, team)
    for r in range(first, stop, LOSS_ROWS):
        rows, place = min(LOSS_ROWS, stop - r), r * n_out
        for i in range(r, r + rows):
            scale[i] = factor * weight_of(job, start + i, work) if job.sample_weight != 0 else factor
        where = output + place, d + place, y + r * job.n_targets, labels + r, scale + r
        block_losses[r // LOSS_ROWS] = call_float(job.loss, KNOWN, *where, rows, n_out, parameter)
        if last[DERIVE] != 0:
            call(last[DERIVE], KNOWN, d + place, z + place, output + place, rows * n_out)
    meet(team)
    loss = 0.0
    for i in range((n + LOSS_ROWS - 1) // LOSS_ROWS):
        loss += block_losses[i]
    return loss


@inlined
def finite_part(job, x, x_stride, y, n, n_in, team):
    """Whether this thread's share of a block's rows holds finite numbers alone."""
    first, stop = own_part(n, TILE_ROWS, team)
    if not passes.block_finite(x + first * x_stride, x_stride, stop - first, n_in):
        return False
    n = job.n_targets
    return job.labels != 0 or job.masked != 0 or passes.block_finite(y + first * n, n, stop - first, n)


@callee
def penalise(job, params, gradient, weight, team):
    """Add the gradient of ``l2 / 2 * sum(W**2)``; the penalty itself. The batch has the given weight."""
    squares, l2 = 0.0, job.l2
    if job.by_convention != 0:
        l2 = l2 / weight if weight > 0.0 else 0.0
    for l in range(job.n_layers):
        layer = pointer_at(job.layers, np.int64) + l * COLUMNS
        count, w, dw = layer[N_IN] * layer[N_OUT], params + layer[WEIGHTS], gradient + layer[WEIGHTS]
        squares += np.float64(passes.sum_of_squares(w, count))
        first, stop = own_part(count, REGISTER_BYTES, team)
        passes.add_scaled(l2, w + first, dw + first, stop - first)
    meet(team)
    return 0.5 * l2 * squares


@callee
def clip(job, gradient, start, stop, team):
    """Scale ``gradient[start:stop]`` down by what brings all that is trained to a norm of at most `max_grad_norm`."""
    squares, unit = _sum_of_squares(job, gradient), 1.0
    meet(team)
    if squares == np.inf:
        unit = clipping_unit(gradient)
        passes.scale(unit, gradient + start, stop - start)
        meet(team)
        squares = _sum_of_squares(job, gradient)
        meet(team)
    passes.scale(min(1.0 / unit, job.max_grad_norm / (np.sqrt(squares) + 1e-6 * unit)), gradient + start, stop - start)


@inlined
def _sum_of_squares(job, gradient):
    """Of the gradient with respect to all that is trained."""
    squares, parts = 0.0, pointer_at(job.parts, np.int64)
    for part in range(job.n_parts):
        begin, end = parts[2 * part], parts[2 * part + 1]
        squares += np.float64(passes.sum_of_squares(gradient + begin, end - begin))
    return squares
