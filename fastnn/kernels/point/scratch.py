"""Scratch for one sample: two buffers, which the layers write to in turn, and tapes of what derivatives need later."""

from __future__ import annotations

from typing import NamedTuple

from numba.extending import overload

from fastnn.kernels.jit.pipeline import INLINED
from fastnn.kernels.simd.registers import REGISTER_BYTES
from fastnn.settings.spec import NetworkSpec

#: What a network can be asked for, as far as it differs in scratch.
METHODS = ("forward", "jacobian", "vjp", "jvp", "hessian")

#: How an ``@overload`` is compiled that is chosen by literals: into its caller.
OPTIONS = {"prefer_literal": True, "jit_options": INLINED}


def padded(count: int, spec: NetworkSpec) -> int:
    """So many numbers, up to whole registers."""
    unit = REGISTER_BYTES // (4 if spec.dtype == "float32" else 8)
    return -(-count // unit) * unit


def buffer_size(spec: NetworkSpec) -> int:
    """Numbers of a buffer that takes any layer's inputs and outputs."""
    return padded(max(spec.sizes), spec)


def tape_size(spec: NetworkSpec) -> int:
    """Numbers of a tape, which keeps something of each feature of each layer: its activation's slope, say."""
    return sum(padded(size, spec) for size in spec.sizes[1:])


def scratch_size(spec: NetworkSpec, method: str) -> int:
    """Numbers of scratch that a method takes."""
    buffers = 2 * spec.n_in if method == "hessian" else 0
    tapes = {"forward": 0, "hessian": 2}.get(method, 1)
    return (2 + buffers) * buffer_size(spec) + tapes * tape_size(spec)


class Sizes(NamedTuple):
    """Numbers of inputs and outputs, of a buffer and of a tape, and where on the tape the last layer begins."""

    n_in: int
    n_out: int
    buffer: int
    tape: int
    last: int


def sizes_of(architecture):
    """The `Sizes` of a network, known to the compiler."""


@overload(sizes_of, **OPTIONS)
def _choose_sizes(architecture):
    spec = architecture.spec
    tape = tape_size(spec)
    sizes = Sizes(spec.n_in, spec.n_out, buffer_size(spec), tape, tape - padded(spec.n_out, spec))
    return lambda architecture: sizes
