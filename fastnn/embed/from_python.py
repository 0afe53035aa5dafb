"""The methods of a network for calls from Python, each compiled once for a spec and cached on disk."""

from __future__ import annotations

from collections.abc import Iterator
from types import EllipsisType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn.embed import cfunction
from fastnn.embed.arguments import STACK_BYTES
from fastnn.jobs.aligned import aligned_empty
from fastnn.kernels import point
from fastnn.kernels.jit.compiling import kernel
from fastnn.kernels.tiles.predict import PRODUCTS_A_CALL
from fastnn.settings.methods import METHODS
from fastnn.settings.spec import NetworkSpec


@kernel
def _forward(net, x, out, workspace):
    net.forward(x, out, workspace)


@kernel
def _forward_with(net, params, x, out, workspace):
    net.forward_with(params, x, out, workspace)


@kernel
def _jacobian(net, x, out, jac, workspace):
    net.jacobian(x, out, jac, workspace)


@kernel
def _vjp(net, x, v, out, workspace, grad):
    net.vjp(x, v, out, workspace, grad)


@kernel
def _jvp(net, x, t, out, workspace):
    net.jvp(x, t, out, workspace)


@kernel
def _hessian(net, x, h, workspace, v):
    net.hessian(x, h, workspace, v)


@kernel
def _hvp(net, x, v, t, out, workspace):
    net.hvp(x, v, t, out, workspace)


@kernel
def _taylor(net, x, t, out, slope, curvature, workspace):
    net.taylor(x, t, out, slope, curvature, workspace)


@kernel
def _vjp_params(net, x, v, grad, workspace):
    net.vjp_params(x, v, grad, workspace)


@kernel
def _taylor_vjp_params(net, x, t, v, v_slope, v_curvature, grad, workspace):
    net.taylor_vjp_params(x, t, v, v_slope, v_curvature, grad, workspace)


class CompiledMethods:
    """The compiled methods for one spec; wide networks get their scratch here. All arguments are trusted."""

    as_inside = False  #: Whether methods take several samples and a workspace: Python has `predict`, and needs none.

    def __init__(self, spec: NetworkSpec):
        self._spec = spec
        itemsize = np.dtype(spec.dtype).itemsize
        self._sizes = {method: point.scratch_size(spec, method) for method in METHODS}
        self._wide = {method: size * itemsize > STACK_BYTES for method, size in self._sizes.items()}

    def workspace(self, method: str) -> NDArray:
        """Scratch for one thread's calls of a method."""
        return aligned_empty(self._sizes[method], self._spec.dtype)

    def scratch(self, method: str) -> NDArray | None:
        """Scratch for a method, if it is too large for the stack."""
        return self.workspace(method) if self._wide[method] else None

    def _parts(self, x: NDArray, passes: int) -> Iterator[slice | EllipsisType]:
        """The parts of the samples for one call each, so that Ctrl-C is answered in between; one sample is one part."""
        rows = max(1, PRODUCTS_A_CALL // (self._spec.n_params * passes))
        if x.ndim == 1 or len(x) <= rows:
            yield ...
            return
        for start in range(0, len(x), rows):
            yield slice(start, start + rows)

    def forward(self, net: Any, x: NDArray, out: NDArray) -> None:
        """Outputs of one sample."""
        _forward(net, x, out, self.scratch("forward"))

    def forward_with(self, net: Any, params: NDArray, x: NDArray, out: NDArray) -> None:
        """Outputs with other parameters."""
        _forward_with(net, params, x, out, self.scratch("forward"))

    def jacobian(self, net: Any, x: NDArray, out: NDArray, jac: NDArray) -> None:
        """Outputs and their derivatives."""
        workspace, columns = self.scratch("jacobian"), min(self._spec.n_in, self._spec.n_out)
        for part in self._parts(x, 1 + columns):
            _jacobian(net, x[part], out[part], jac[part], workspace)

    def vjp(self, net: Any, x: NDArray, v: NDArray, out: NDArray, grad: NDArray | None) -> None:
        """A vector times the Jacobian, and, added to `grad`, times the derivative with respect to the parameters."""
        _vjp(net, x, v, out, self.scratch("vjp" if grad is None else "vjp_params"), grad)

    def jvp(self, net: Any, x: NDArray, t: NDArray, out: NDArray) -> None:
        """The Jacobian times a vector."""
        _jvp(net, x, t, out, self.scratch("jvp"))

    def hessian(self, net: Any, x: NDArray, h: NDArray, v: NDArray | None) -> None:
        """Second derivatives of the one output, or of a vector times the outputs."""
        _hessian(net, x, h, self.scratch("hessian"), v)

    def hvp(self, net: Any, x: NDArray, v: NDArray, t: NDArray, out: NDArray) -> None:
        """The same times a vector."""
        _hvp(net, x, v, t, out, self.scratch("hvp"))

    def taylor(self, net: Any, x: NDArray, t: NDArray, out: NDArray, slope: NDArray, curvature: NDArray | None) -> None:
        """Outputs and their derivatives along a direction."""
        _taylor(net, x, t, out, slope, curvature, self.scratch("taylor"))

    def vjp_params(self, net: Any, x: NDArray, v: NDArray, grad: NDArray) -> None:
        """A vector times the derivative with respect to the parameters."""
        workspace = self.scratch("vjp_params")
        for part in self._parts(x, 3):
            _vjp_params(net, x[part], v[part], grad, workspace)

    def taylor_vjp_params(
        self,
        net: Any,
        x: NDArray,
        t: NDArray,
        v: NDArray,
        v_slope: NDArray,
        v_curvature: NDArray | None,
        grad: NDArray,
    ) -> None:
        """The same of the outputs and their derivatives along a direction."""
        _taylor_vjp_params(net, x, t, v, v_slope, v_curvature, grad, self.scratch("taylor_vjp_params"))

    def cfunc(self, net: Any, caller: str) -> cfunction.CFunction:
        """A network as a C function."""
        return cfunction.make(self._spec, net.params, caller)
