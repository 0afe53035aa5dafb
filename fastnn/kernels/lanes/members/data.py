"""What the loop over members reads and writes: their data, settings and results, and the memory of their lanes."""

from __future__ import annotations

from collections import namedtuple
from dataclasses import fields
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastnn.jobs.aligned import aligned_zeros
from fastnn.jobs.records import Records
from fastnn.kernels.lanes import StepKind
from fastnn.kernels.simd.columns import chunk_of
from fastnn.kernels.simd.types import number_type


class Data(NamedTuple):
    """Samples, a block for each member or one for all; `weights` has no block where all weigh the same."""

    X: NDArray  # (1 or K, n, n_in)
    y: NDArray  # (1 or K, n, n_targets)
    weights: NDArray  # (0, 1 or K, n)
    counted: NDArray  # the same as they count in a mean's divisor: less where targets are missing
    rows: NDArray  # (1 or K, n, columns), what `table` makes of X and y, or (0, n, 0)


def table(X: NDArray, y: NDArray) -> NDArray:
    """Samples and targets side by side, shape (1 or K, n, columns), for lanes with rows of their own to copy from.

    The columns are filled up with zeros to whole chunks, as `fastnn.kernels.simd.columns.turn` takes them.
    """
    n_in, n_targets = X.shape[2], y.shape[2]
    chunk = chunk_of(number_type(X.dtype.name))
    rows = np.zeros((max(len(X), len(y)), X.shape[1], -(-(n_in + n_targets) // chunk) * chunk), X.dtype)
    rows[:, :, :n_in], rows[:, :, n_in : n_in + n_targets] = X, y
    return rows


class MemberSettings(NamedTuple):
    """How the members are trained; arrays of shape (K,) have a number for each."""

    rates: NDArray[np.float64]
    momenta: NDArray[np.float64]
    l2: NDArray[np.float64]
    seeds: NDArray[np.int64]
    epochs: NDArray[np.int64]
    schedule: NDArray[np.float64]  # factor of the rates in each epoch, or one for all
    settings: NDArray[np.float64]  # (4,), the optimizer's
    loss_parameter: NDArray  # (n_targets,), a number for each target
    row_divisor: float  # what the sum of a row's losses is divided by
    mean: bool
    max_grad_norm: float
    batch_size: int
    own_order: bool  # each member visits the samples in an order of its own
    patience: int  # epochs without improvement before a member stops; 0 never stops it
    min_improvement: float
    restore_best: bool
    features: NDArray[np.bool_]  # (K, n_in), which of them each member sees; or (0, 0)


#: What becomes of the members: their parameters, on entry the initial ones, and the fields of `Records`.
_RESULTS = ("params", *(field.name for field in fields(Records)))
Results: Any = namedtuple("Results", _RESULTS)  # type: ignore[misc]


class Block(NamedTuple):
    """The lanes of one thread, between two calls of the kernel; places count vectors in `work`."""

    work: NDArray
    members: NDArray[np.intp]  # (lanes,), -1 where a lane is idle
    started: NDArray[np.int64]  # (lanes,): the tick in which the lane's member began
    waits: NDArray[np.int64]  # (lanes,): epochs without improvement
    keys: NDArray[np.uint64]  # (2 * lanes,): of the lane's member, and of its present epoch
    order: NDArray[np.int32]  # (lanes, n), or (0, 0): in which each lane visits the samples
    numbers: NDArray[np.uint32]  # (n,), for `fastnn.kernels.lanes.members.batches.permute`
    ticks: NDArray[np.int64]  # (1,): epochs that the block has been through
    values: int
    pace: int  # rate, momentum, two corrections, l2: a vector each
    losses: int  # of a batch or epoch, its weight, what is monitored, the least of that, the validation set's weight
    x: int
    y: int
    share: int
    validation_share: int
    best_params: int


def new_block(kind: StepKind, n: int, batch_size: int, n_validation: int, own_order: bool) -> Block:
    """A block of idle lanes for this many samples."""
    spec, width = kind.spec, kind.lanes
    size = 0

    def take(vectors: int) -> int:
        nonlocal size
        place, size = size, size + vectors
        return place

    take(4 * spec.n_params + (spec.n_in if kind.selective else 0))
    places = {
        "values": take(kind.n_values),
        "pace": take(5),
        "losses": take(5),
        "x": take(batch_size * spec.n_in if kind.packed else 0),
        "y": take(batch_size * kind.n_targets if kind.packed else 0),
        "share": take(batch_size),
        "validation_share": take(max(1, n_validation)),
        "best_params": take(spec.n_params),
    }
    return Block(
        work=aligned_zeros(size * width, spec.dtype),
        members=np.full(width, -1, np.intp),
        started=np.zeros(width, np.int64),
        waits=np.zeros(width, np.int64),
        keys=np.zeros(2 * width, np.uint64),
        order=np.empty((width, n) if own_order else (0, 0), np.int32),
        numbers=np.empty(n if own_order else 0, np.uint32),
        ticks=np.zeros(1, np.int64),
        **places,
    )
