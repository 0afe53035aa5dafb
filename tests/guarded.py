"""Arrays beside memory that must not be touched; run as a program, the kernels on such arrays, whatever their shapes.

A kernel that reads or writes one number too far ends the process.
"""

import ctypes
import itertools
import mmap
import sys

import numpy as np
from reference_cases import HIDDEN, rules, sized, targets

from fastnn.jobs.aligned import aligned_zeros
from fastnn.jobs.job import Job, State, Status
from fastnn.jobs.monitor import Monitor
from fastnn.kernels import train as training
from fastnn.kernels.tiles import layers
from fastnn.kernels.tiles import predict as network
from fastnn.settings import catalogue
from fastnn.settings.early_stopping import EarlyStopping
from fastnn.settings.spec import NetworkSpec

_libc = ctypes.CDLL(None, use_errno=True)
_kept = []  # the pages stay mapped, so that no later array fills the gaps

RULES = rules(0.01)
SIZES = [(1, 1), (1, 2, 1), (3, 4, 1), (5, 9, 3), (7, 16, 17), (33, 15, 2), (8, 65, 8)]
SIZES += [(128, 3, 1), (2, 128, 256), (530, 3)]  # critical strides, and depth in parts
ROWS = [(1, 1), (2, 1), (7, 3), (16, 16), (33, 17), (65, 64), (300, 270)]


def empty(shape, dtype, at_end):
    """A new array that ends right before, or begins right after, a page without access."""
    count = int(np.prod(shape))
    n_bytes = count * np.dtype(dtype).itemsize
    pages = max(1, -(-n_bytes // mmap.PAGESIZE))
    memory = mmap.mmap(-1, (pages + 2) * mmap.PAGESIZE)
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    for page in (0, pages + 1):
        if _libc.mprotect(ctypes.c_void_p(start + page * mmap.PAGESIZE), mmap.PAGESIZE, 0):
            raise OSError(ctypes.get_errno(), "mprotect")
    _kept.append(memory)
    offset = mmap.PAGESIZE + (pages * mmap.PAGESIZE - n_bytes if at_end else 0)
    return np.frombuffer(memory, dtype, count, offset).reshape(shape)


def guarded(array, at_end):
    """A copy that is so placed."""
    copy = empty(array.shape, array.dtype, at_end)
    copy[...] = array
    return copy


def _move(plan, name, count, dtype, at_end):
    """Move a buffer of a training run, of this many numbers, if there is one."""
    if plan[name][0]:
        there = (ctypes.c_char * (count * np.dtype(dtype).itemsize)).from_address(int(plan[name][0]))
        plan[name] = guarded(np.frombuffer(there, dtype), at_end).__array_interface__["data"][0]


def train(job, at_end, threads):
    """A run of two epochs with every buffer guarded."""
    state = State.fresh(job.spec, job.optimizer, seed=0)
    if job.monitor is not None:
        job.monitor.loss, job.monitor.metric = empty((2,), np.float64, at_end), empty((2,), np.float64, at_end)
        state.monitor_state, state.best = guarded(state.monitor_state, at_end), guarded(job.params, at_end)
    prepared = training.PreparedForTiles(job, state, threads=threads)
    plan, n = prepared.record, len(job.X)
    block_rows, itemsize = int(plan["block_rows"][0]), job.params.itemsize
    room = {
        "work": (int(plan["scale_place"][0]) + block_rows, job.spec.dtype),
        "gradient": (job.spec.n_params, job.spec.dtype),
        "layers": (job.spec.n_layers * layers.COLUMNS, np.int64),
        "settings": (4, np.float64),
        "block_losses": (-(-block_rows // 64), np.float64),
        "order": (n, np.int64),
        "block_labels": (block_rows, np.int64),
    }
    assert int(plan["gradient"][0]) == int(plan["work"][0]) + room["work"][0] * itemsize
    for name, (count, dtype) in room.items():
        _move(plan, name, count, dtype, at_end)
    state.slots, state.counters, state.sums = (
        guarded(array, at_end) for array in (state.slots, state.counters, state.sums)
    )
    rates, losses = guarded(np.full(2, 1e-3), at_end), empty((2,), np.float64, at_end)
    assert prepared.run(state, rates, losses, 10**9) is Status.DONE
    assert np.isfinite(losses).all()


def cases(dtype):
    """Networks and data of all shapes; losses and activations take turns, the rest is drawn."""
    rng = np.random.default_rng(0)
    losses, hidden = itertools.cycle([*catalogue.LOSSES.values(), "labels"]), itertools.cycle(HIDDEN)

    def heads():
        return rng.random() < 0.5

    for sizes, (n, batch_size) in itertools.product(SIZES, ROWS):
        loss, rule = next(losses), RULES[rng.integers(len(RULES))]
        labelled = loss == "labels"
        loss = catalogue.LOSSES["cross_entropy"] if labelled else loss
        sizes = sized(sizes, loss.name)
        activations = (*(next(hidden) for _ in sizes[2:]), loss.logits_of or "tanh")
        spec = NetworkSpec(sizes, activations, bias=heads(), dtype=dtype)
        y = rng.integers(0, sizes[-1], n) if labelled else targets(loss.name, n, sizes[-1], rng).astype(dtype)
        X = rng.normal(size=(n, sizes[0])).astype(dtype)
        m = 1 + n // 2  # rows to validate on
        weight = rng.random(m).astype(dtype) if heads() else None
        yield Job(
            spec,
            (rng.normal(size=spec.n_params) / 10).astype(dtype),
            X,
            y,
            loss,
            rule,
            n if catalogue.OPTIMIZERS[type(rule).__name__].whole_batch else batch_size,
            sample_weight=rng.random(n).astype(dtype) if heads() else None,
            shuffle=heads(),
            l2=0.01 * heads(),
            max_grad_norm=1.0 if heads() else np.inf,
            dropout=(0.3,) * len(sizes[2:]) if heads() else (),
            input_noise=0.1 * heads(),
            monitor=Monitor(X[:m], y[:m], weight, stopping=EarlyStopping()) if heads() else None,
        )


def main(dtype, at_end):
    """All of it."""
    for job in cases(dtype):
        print(job.spec, len(job.X), job.batch_size, job.loss.name, job.optimizer, job.shuffle, flush=True)
        for holder, name in itertools.product((job, job.monitor), ("params", "X", "y", "sample_weight")):
            if getattr(holder, name, None) is not None:
                setattr(holder, name, guarded(getattr(holder, name), at_end))
        for threads in (1, 2):
            train(job, at_end, threads)
        out = empty(job.params.shape, job.spec.dtype, at_end)
        network.loss_and_grad(
            job.spec, job.params, job.X, job.y, job.loss, sample_weight=job.sample_weight, l2=job.l2, out=out
        )
        predict(job, at_end)
        _kept.clear()


def predict(job, at_end):
    """Outputs with the workspace guarded, and the outputs themselves."""
    expected = network.predict(job.spec, job.params, job.X)

    class Guard:  # stands for NumPy where the outputs are allocated
        @staticmethod
        def empty(shape, dtype):
            return empty(shape, dtype, at_end)

    network.np, network.aligned_zeros = Guard, lambda size, dtype: guarded(np.zeros(size, dtype), at_end)
    try:
        np.testing.assert_array_equal(network.predict(job.spec, job.params, job.X), expected)
    finally:
        network.np, network.aligned_zeros = np, aligned_zeros


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2] == "end")
