"""An ensemble as an argument of compiled code: ``many.forward(x, out)`` computes all its members for one sample."""

from __future__ import annotations

from functools import cache

from numba import types

from fastnn.embed.arguments import also_required, check_array, check_workspace
from fastnn.embed.fields import ArraysType, announce, shows
from fastnn.embed.pointers import apart, fits, holds, scratch_for, stride
from fastnn.embed.refusals import method
from fastnn.embed.types import architecture
from fastnn.kernels import point
from fastnn.kernels.jit.architecture import type_name
from fastnn.kernels.jit.compiling import kernel
from fastnn.kernels.jit.options import EMBEDDED
from fastnn.kernels.simd import pointer
from fastnn.kernels.simd.types import number_type
from fastnn.settings.spec import NetworkSpec


@shows("params")
class EnsembleType(ArraysType):
    """The Numba type of the ensembles with a spec, whatever their number of members."""

    called, has_members = "many", True

    def __init__(self, spec: NetworkSpec):
        self.dtype = number_type(spec.dtype)
        self.arrays = {"params": types.Array(self.dtype, 2, "A")}  # a part of an ensemble may skip rows
        super().__init__(type_name("Ensemble", spec), spec)


@cache
def type_of(spec: NetworkSpec) -> EnsembleType:
    """The Numba type of the ensembles of a spec."""
    return EnsembleType(spec)


@method(EnsembleType, "forward", jit_options=EMBEDDED)
def _forward(many, x, out, workspace=None):
    check_array(many, "forward", "x", x, (1,))
    check_array(many, "forward", "out", out, (2,), written=True)
    n_in, n_out, size = many.spec.n_in, many.spec.n_out, check_workspace(many, "forward", workspace)
    overlap = "many.forward: out must be an array of its own; got one that shares the memory of x"
    shapes = f"many.forward: x must have shape ({n_in},) and out a row of {n_out} for each member"
    message = f"{shapes}{also_required(size)}"

    def forward(many, x, out, workspace=None):
        params = many.params
        members = params.shape[0]
        if not (fits(x, (n_in,)) and fits(out, (members, n_out)) and holds(workspace, size)):
            raise ValueError(message)
        if not apart(out, x):
            raise ValueError(overlap)
        x_0 = pointer(x, 0)
        work = scratch_for(x_0, size, workspace)
        for k in range(members):
            p, out_k = pointer(params, k * stride(params, 0)), pointer(out, k * stride(out, 0))
            point.forward(architecture(many), p, x_0, stride(x, 0), out_k, stride(out, 1), work)

    return forward


@kernel
def forward(many, x, out, workspace):
    """`Ensemble.forward`."""
    many.forward(x, out, workspace)


announce()
