"""Steps of training inside compiled code: ``net.train_step(x, y, state)``, and ``state.apply(net, grad)``.

The first, on one sample or a batch, is one call, by its address, of the kernel that `MLP.fit` runs, so that a caller
takes no time to compile and the same stream of batches gives the same result bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import from_dtype, types

from fastnn.embed.fields import ArraysType, shows
from fastnn.embed.pointers import fits
from fastnn.embed.refusals import Refusal, method
from fastnn.embed.types import NetworkType, parameters
from fastnn.kernels.functions.optimizers import Update, update_part
from fastnn.kernels.jit.architecture import named, type_name
from fastnn.kernels.jit.compiling import entry, inlined, outlined
from fastnn.kernels.jit.options import EMBEDDED
from fastnn.kernels.simd import pointer, pointer_at
from fastnn.kernels.simd.calls import call, call_float
from fastnn.kernels.simd.types import number_type
from fastnn.kernels.tiles import passes
from fastnn.kernels.tiles.job_record import JOB_RECORD
from fastnn.kernels.tiles.layers import ALONE
from fastnn.settings import catalogue
from fastnn.settings.constants import SUM_TOLERANCE
from fastnn.settings.describing import bounds
from fastnn.settings.spec import NetworkSpec

_MANY = 2**62  # more steps than any call takes

#: Indices in a state's `constants`: the training kernel's address, and the largest number of samples in a batch.
_KERNEL, _MAX_BATCH = 0, 1


@shows("records", "label_records", "slots", "counters", "sums", "rates", "losses", "constants")
class TrainStateType(ArraysType):
    """The Numba type of the training states of a spec: what is said of targets is that of the loss."""

    called = "state"

    def __init__(self, spec: NetworkSpec, loss: catalogue.Loss):
        self.n_targets, self.labels, self.range = loss.n_targets(spec.n_out), loss.labels, loss.targets
        self.arrays = {
            "records": types.Array(from_dtype(JOB_RECORD), 1, "C"),
            "slots": types.Array(number_type(spec.dtype), 2, "C"),
            "counters": types.Array(types.int64, 1, "C"),
            "sums": types.Array(types.float64, 1, "C"),
            "rates": types.Array(types.float64, 1, "C"),
            "losses": types.Array(types.float64, 1, "C"),
            "constants": types.Array(types.int64, 1, "C"),
        }
        if self.labels:
            self.arrays["label_records"] = self.arrays["records"]
        targets = f"{self.n_targets} targets in {self.range}, labels={self.labels}"
        super().__init__(type_name(f"TrainState[{targets}]", spec), spec)


# ---------------------------------------------------------------- on a batch
def _check(net: NetworkType, x: Any, y: Any, state: Any) -> None:
    """Refuse other types than `train_step` takes."""
    if not isinstance(state, TrainStateType) or state.spec != net.spec:
        raise Refusal(f"net.train_step: state must be a fastnn.TrainState of the network's spec; got {named(state)}")
    if not (isinstance(x, types.Array) and x.dtype == net.dtype and x.ndim in (1, 2) and x.layout == "C"):
        raise Refusal(f"net.train_step: x must be a contiguous 1-D or 2-D array of {net.dtype}; got {named(x)}")
    targets = isinstance(y, types.Array) and y.layout == "C" and y.dtype == net.dtype and y.ndim == x.ndim
    labels = isinstance(y, types.Array) and y.layout == "C" and y.dtype == types.int64 and y.ndim == 1
    if not (targets or (labels and state.labels and x.ndim == 2)):
        also = f", or a 1-D array of {types.int64} labels beside a 2-D x" if state.labels else ""
        raise Refusal(f"net.train_step: y must be a contiguous {x.ndim}-D array of {net.dtype}{also}; got {named(y)}")


@inlined
def _within(place, rows, n, low, high):
    """Whether none of the numbers in `rows` rows of `n` lies outside a range; NaN does not."""
    within = True
    for i in range(rows * n):
        within &= not (place[i] < low or place[i] > high)
    return within


@inlined
def _distributions(place, rows, n, low, high):
    """The same, and whether every row without NaN sums to 1."""
    within = _within(place, rows, n, low, high)
    for r in range(rows):
        excess = -1.0
        for j in range(n):
            excess += place[r * n + j]
        within &= not abs(excess) > SUM_TOLERANCE
    return within


@inlined
def _anything(place, rows, n, low, high):
    """True, as for the targets of a loss that is defined for all numbers."""
    return True


@outlined
def _step(params, state, records, x, y, labels, n):
    """One step on `n` samples, given by the addresses of the arrays."""
    records[0].X, records[0].y, records[0].labels = x, y, labels
    records[0].n_rows, records[0].batch_size = n, n
    rates, losses = state.rates, state.losses
    kernel, counters, sums = state.constants[_KERNEL], state.counters, state.sums
    call(kernel, records, params, state.slots, counters, sums, rates, losses, _MANY, _MANY, ALONE)
    return losses[0]


def choose_step(net: NetworkType, x: Any, y: Any, state: Any) -> Callable:
    """What ``net.train_step(x, y, state)`` is for these types."""
    _check(net, x, y, state)
    n_in, n_out, n_targets = net.spec.n_in, net.spec.n_out, state.n_targets
    shape = f"net.train_step: x must have shape ({n_in},), and y ({n_targets},)"
    of_batches = "(n,)" if y.dtype == types.int64 else f"(n, {n_targets})"
    shapes = f"net.train_step: x must have shape (n, {n_in}) with n from 1 to max_batch, and y {of_batches}"
    low, high = state.range
    are_targets = _anything if (low, high) == (-np.inf, np.inf) else _distributions if state.labels else _within
    sums = " and each row sum to 1" if state.labels else ""
    targets = f"net.train_step: y must be {bounds(low, high)}{sums} for the loss of state"
    classes = f"net.train_step: y must hold class labels from 0 to {n_out - 1}"

    def sample(net, x, y, state):
        if not (fits(x, (n_in,)) and fits(y, (n_targets,))):
            raise ValueError(shape)
        if not are_targets(pointer(y, 0), 1, n_targets, low, high):
            raise ValueError(targets)
        return _step(net.params, state, state.records, x.ctypes.data, y.ctypes.data, 0, 1)

    def batch(net, x, y, state):
        n = x.shape[0]
        if not (1 <= n <= state.constants[_MAX_BATCH] and fits(x, (n, n_in)) and fits(y, (n, n_targets))):
            raise ValueError(shapes)
        if not are_targets(pointer(y, 0), n, n_targets, low, high):
            raise ValueError(targets)
        return _step(net.params, state, state.records, x.ctypes.data, y.ctypes.data, 0, n)

    def labelled_batch(net, x, y, state):
        n = x.shape[0]
        if not (1 <= n <= state.constants[_MAX_BATCH] and fits(x, (n, n_in)) and fits(y, (n,))):
            raise ValueError(shapes)
        if not _within(pointer(y, 0), n, 1, 0, n_out - 1):
            raise ValueError(classes)
        return _step(net.params, state, state.label_records, x.ctypes.data, 0, y.ctypes.data, n)

    if y.dtype == types.int64:
        return labelled_batch
    return sample if x.ndim == 1 else batch


# ---------------------------------------------------------------- a gradient of the caller's own
@outlined
def _apply(job, p, n_params, given, slots, rate, steps):
    """One step by a gradient at `given`; whether that and the step are finite."""
    gradient = pointer_at(job.gradient, p)
    for i in range(n_params):
        gradient[i] = given[i]
    penalty = 0.0
    if job.penalise != 0:
        penalty = call_float(job.penalise, job, p, gradient, 1.0, ALONE)
    if not (np.isfinite(penalty) and passes.block_finite(gradient, n_params, 1, n_params)):
        return False
    if job.clip != 0:
        call(job.clip, job, gradient, 0, n_params, ALONE)
    steps[0] += 1
    (slot_0, slot_1), settings = slots, pointer_at(job.settings, np.float64)
    update_part(Update(job.optimizer, slot_0, slot_1, rate, settings, steps[0]), p, gradient, 0, n_params)
    return True


@method(TrainStateType, "apply", jit_options=EMBEDDED)
def _apply_method(state, net, grad):
    if not isinstance(net, NetworkType) or state.spec != net.spec:
        raise Refusal(f"state.apply: net must be a network of the state's spec; got {named(net)}")
    if grad != types.Array(net.dtype, 1, "C") and grad != types.Array(net.dtype, 1, "C", readonly=True):
        raise Refusal(f"state.apply: grad must be a contiguous 1-D array of {net.dtype}; got {named(grad)}")
    n_params = net.spec.n_params
    message = f"state.apply: grad must have shape ({n_params},)"

    def apply(state, net, grad):
        if not fits(grad, (n_params,)):
            raise ValueError(message)
        slots = pointer(state.slots, 0), pointer(state.slots, (state.slots.shape[0] - 1) * n_params)
        steps = pointer(state.counters, 2)
        return _apply(state.records[0], parameters(net), n_params, pointer(grad, 0), slots, state.rates[0], steps)

    return apply


@entry
def apply(state, net, grad):
    """`TrainState.apply`."""
    return state.apply(net, grad)


@entry
def train_step(net, x, y, state):
    """`MLP.train_step`."""
    return net.train_step(x, y, state)
