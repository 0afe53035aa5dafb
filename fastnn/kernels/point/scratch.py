"""Scratch for one sample: two buffers, which the layers write to in turn, and tapes of what derivatives need later."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba.extending import overload

from fastnn.kernels.dispatch import batch_in_tiles, rows_at_once
from fastnn.kernels.jit.options import BY_LITERALS
from fastnn.kernels.simd.registers import REGISTER_BYTES, REGISTER_FILE
from fastnn.kernels.tiles.dense import HALF_TILE, TILE_ROWS, stride_for
from fastnn.settings.spec import NetworkSpec

#: Terms of the series (see `series`) of methods that only go forward, and of those that come back along tapes.
TERMS, TERMS_BACK = {"jvp": 2, "taylor": 3}, {"vjp_params": 1, "hvp": 2, "taylor_vjp_params": 3}

#: Rows of a Jacobian that go through a large network together, at most: few enough that they stay in the cache.
JACOBIAN_ROWS = 32


def padded(count: int, spec: NetworkSpec) -> int:
    """A count of numbers, rounded up to whole registers."""
    unit = REGISTER_BYTES // (4 if spec.dtype == "float32" else 8)
    return -(-count // unit) * unit


def buffer_size(spec: NetworkSpec) -> int:
    """Numbers of a buffer that takes any layer's inputs and outputs."""
    return padded(max(spec.sizes), spec)


def row_stride(spec: NetworkSpec, rows: int) -> int:
    """Numbers from one of the rows that go together to the next: a buffer, but no critical stride."""
    return stride_for(max(spec.sizes), np.dtype(spec.dtype).itemsize) if rows > 1 else buffer_size(spec)


def tape_size(spec: NetworkSpec) -> int:
    """Numbers of a tape, which keeps something of each feature of each layer: its activation's slope, say."""
    return sum(padded(size, spec) for size in spec.sizes[1:])


def scratch_size(spec: NetworkSpec, method: str) -> int:
    """Numbers of scratch that a method takes."""
    if method == "jacobian":
        return jacobian_scratch(spec, jacobian_rows(spec))
    if method in TERMS_BACK:
        return tapes(spec, TERMS_BACK[method]).size
    if method in TERMS:
        return TERMS[method] * (2 * buffer_size(spec) + padded(spec.n_out, spec))
    tangents = 2 * spec.n_in if method == "hessian" else 0
    kept = {"forward": 0, "hessian": 2}.get(method, 1)
    return (2 + tangents) * buffer_size(spec) + kept * tape_size(spec)


def jacobian_rows(spec: NetworkSpec, room: int | None = None) -> int:
    """How many rows or columns of a Jacobian go through a network together.

    One, unless it has many weights; and if `room` is given, no more than that many numbers of scratch allow.
    """
    rows = min(spec.n_in, spec.n_out, JACOBIAN_ROWS) if rows_at_once(spec) else 1
    while room is not None and rows > 1 and jacobian_scratch(spec, rows) > room:
        rows -= 1
    return rows


def batch_rows(spec: NetworkSpec, room: int) -> int:
    """How many samples of a batch go through a network together, within `room` numbers of scratch.

    One, unless it has many weights; the rows of some tiles, if it has layers for tiles; else `RegisterFile.samples`.
    """
    few = REGISTER_FILE.samples
    if not rows_at_once(spec) or batch_scratch(spec, few) > room:
        return 1
    if not batch_in_tiles(spec):
        return few
    most = room // (2 * row_stride(spec, TILE_ROWS))
    return max(few, min(most, REGISTER_FILE.batch_rows) // TILE_ROWS * TILE_ROWS)


def batch_scratch(spec: NetworkSpec, rows: int) -> int:
    """Numbers of scratch for this many samples: two buffers each; by tiles, for all rows of the last tile, too."""
    whole = -(-rows // HALF_TILE) * HALF_TILE if batch_in_tiles(spec) else rows
    return 2 * whole * row_stride(spec, rows)


def jacobian_scratch(spec: NetworkSpec, rows: int) -> int:
    """Numbers of scratch for this many rows or columns: two buffers each, and a tape."""
    return 2 * rows * row_stride(spec, rows) + tape_size(spec)


class Tapes(NamedTuple):
    """Where the parts of a series' scratch begin, behind the tape of h (see `series`), which is the first."""

    c: int  # the tape of c
    cotangents: int  # two buffers, which the layers write to in turn on the way back
    other: int
    size: int  # of it all


def tapes(spec: NetworkSpec, terms: int) -> Tapes:
    """The scratch of a series of this many terms, and of its adjoint."""
    c = terms * (padded(spec.n_in, spec) + tape_size(spec))
    cotangents = c + terms * tape_size(spec)
    other = cotangents + terms * buffer_size(spec)
    return Tapes(c, cotangents, other, other + terms * buffer_size(spec))


class Sizes(NamedTuple):
    """A network's sizes as the compiler knows them, in numbers."""

    n_in: int
    n_out: int
    padded_out: int  # from one term of the outputs to the next: n_out in whole registers
    buffer: int  # `buffer_size`
    tape: int  # `tape_size`
    last: int  # where the last layer begins on a tape
    stride: int  # from one of several rows that go together to the next


def sizes_of(architecture):
    """The `Sizes` of a network, known to the compiler."""


@overload(sizes_of, **BY_LITERALS)
def _choose_sizes(architecture):
    spec = architecture.spec
    buffer, tape, padded_out = buffer_size(spec), tape_size(spec), padded(spec.n_out, spec)
    stride = row_stride(spec, JACOBIAN_ROWS)
    sizes = Sizes(spec.n_in, spec.n_out, padded_out, buffer, tape, tape - padded_out, stride)
    return lambda architecture: sizes


def tapes_of(architecture, terms):
    """The `Tapes` of a network and a literal number of terms, known to the compiler."""


@overload(tapes_of, **BY_LITERALS)
def _choose_tapes(architecture, terms):
    known = tapes(architecture.spec, terms.literal_value)
    return lambda architecture, terms: known
