"""The plan of a run, and the parts of a step that a kernel calls where they are wanted."""

from __future__ import annotations

import numpy as np

from fastnn.kernels.end_epoch import WATCHED
from fastnn.kernels.jit.compiling import callee, inlined
from fastnn.kernels.simd import pointer_at
from fastnn.kernels.simd.calls import KNOWN, call, call_float
from fastnn.kernels.simd.threads import meet, share
from fastnn.kernels.simd.types import REGISTER_BYTES
from fastnn.kernels.tiles import passes
from fastnn.kernels.tiles.dense import LOW
from fastnn.kernels.tiles.layers import COLUMNS, DERIVE, N_IN, N_OUT, WEIGHTS, D, H, Z

#: Rows whose losses are summed together, by one thread.
LOSS_ROWS = 64


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
        ("weigh", np.intp),
        ("gather", np.intp),
        ("forward", np.intp),
        ("loss", np.intp),
        ("backward", np.intp),
        ("penalise", np.intp),
        ("clip", np.intp),
        ("optimizer", np.intp),
        ("by_parts", np.intp),  # whether parameters are updated as soon as their gradient is known
        # settings
        ("mean", np.intp),  # whether the batch's loss is a mean
        ("recounted", np.intp),  # whether it goes by `fastnn.jobs.job.Accounts`
        ("shown", np.float64),
        ("outputs", np.float64),  # what a row's loss is divided by
        ("delta", np.float64),
        ("settings", np.intp),  # of the optimizer
        ("l2", np.float64),
        ("max_grad_norm", np.float64),
        # buffers
        ("gradient", np.intp),
        ("order", np.intp),  # the rows, shuffled
        ("bad_data", np.intp),  # an integer: whether a thread has met a number that is not finite
        ("block_labels", np.intp),
        ("block_losses", np.intp),  # of each `LOSS_ROWS` rows of a block
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


@callee
def copy(plan, start, first, stop, n_in, n_out, work):
    """Copy the data's rows ``start + first : start + stop`` to rows ``first:stop`` of the block's buffer, X alone."""
    X = pointer_at(plan.X, work) + (start + first) * n_in
    passes.copy_block(X, n_in, work + (plan.x_place + first * plan.x_stride), plan.x_stride, stop - first, n_in)


@inlined
def weight_of(plan, row, like):
    """Sample weight of the row-th row that is visited."""
    row = pointer_at(plan.order, np.int64)[row] if plan.order != 0 else row
    return pointer_at(plan.sample_weight, like)[row]


@callee
def weigh(plan, start, stop, like):
    """Sum of the sample weights of the rows ``start:stop`` that are visited."""
    weight = 0.0
    for r in range(start, stop):
        weight += weight_of(plan, r, like)
    return weight


@inlined
def block_loss(plan, y, labels, start, n, weight, work, team):
    """Loss of a block, its derivative with respect to the output's pre-activations into the workspace.

    The block begins at row `start`; its batch has the given weight.
    """
    last = pointer_at(plan.layers, np.int64) + (plan.n_layers - 1) * COLUMNS
    n_out, output, d, z = last[N_OUT], work + last[H], work + last[D], work + last[Z]
    scale, block_losses = work + plan.scale_place, pointer_at(plan.block_losses, np.float64)
    divisor = plan.outputs * (weight if plan.mean != 0 else 1.0)
    factor = 1.0 / divisor if divisor > 0.0 else 0.0
    first, stop = share(n, LOSS_ROWS, team)
    for r in range(first, stop, LOSS_ROWS):
        rows, place = min(LOSS_ROWS, stop - r), r * n_out
        for i in range(r, r + rows):
            scale[i] = factor * weight_of(plan, start + i, work) if plan.sample_weight != 0 else factor
        block_losses[r // LOSS_ROWS] = call_float(
            plan.loss, KNOWN, output + place, d + place, y + place, labels + r, scale + r, rows, n_out, plan.delta
        )
        if last[DERIVE] != 0:
            call(last[DERIVE], KNOWN, d + place, z + place, output + place, rows * n_out)
    meet(team)
    loss = 0.0
    for i in range((n + LOSS_ROWS - 1) // LOSS_ROWS):
        loss += block_losses[i]
    return loss


@inlined
def finite_part(plan, x, x_stride, y, n, n_in, n_out, team):
    """Whether this thread's share of a block's rows holds finite numbers alone."""
    first, stop = share(n, LOW, team)
    if not passes.block_finite(x + first * x_stride, x_stride, stop - first, n_in):
        return False
    return plan.labels != 0 or passes.block_finite(y + first * n_out, n_out, stop - first, n_out)


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
