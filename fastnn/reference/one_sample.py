"""The methods of a network that take one sample, which replace the compiled ones where nothing is compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn.reference import network, series
from fastnn.settings.spec import NetworkSpec


class NumpyMethods:
    """The methods for one spec, as `fastnn.embed.from_python.CompiledMethods` has them. All arguments are trusted.

    Parameters
    ----------
    spec : NetworkSpec
        The networks' description.
    respect_domain : callable
        What computes with regard to a network's domain: see `fastnn.models.in_domain.respect_domain`.
    """

    as_inside = True  #: Whether methods take several samples and a workspace, as inside compiled code.

    def __init__(
        self, spec: NetworkSpec, respect_domain: Callable[[Any, Callable[[NDArray], NDArray], NDArray], NDArray]
    ):
        self._spec, self._respect_domain = spec, respect_domain

    def workspace(self, method: str) -> NDArray:
        """No scratch."""
        return np.empty(0, self._spec.dtype)

    def forward(self, net: Any, x: NDArray, out: NDArray) -> None:
        """Outputs of one sample or of several."""
        self.forward_with(net, net.params, x, out)

    def forward_with(self, net: Any, params: NDArray, x: NDArray, out: NDArray) -> None:
        """Outputs with other parameters."""
        outputs = self._respect_domain(net, lambda X: network.predict(self._spec, params, X), np.atleast_2d(x))
        out[:] = outputs.reshape(out.shape)

    def jacobian(self, net: Any, x: NDArray, out: NDArray, jac: NDArray) -> None:
        """Outputs and their derivatives."""
        out[:] = network.predict(self._spec, net.params, np.atleast_2d(x)).reshape(out.shape)
        jacobians = [network.jacobian(self._spec, net.params, row) for row in np.atleast_2d(x)]
        jac[:] = np.reshape(jacobians, jac.shape)

    def vjp(self, net: Any, x: NDArray, v: NDArray, out: NDArray, grad: NDArray | None) -> None:
        """A vector times the Jacobian, and, added to `grad`, times the derivative with respect to the parameters."""
        grad = np.zeros_like(net.params) if grad is None else grad
        out[:] = self._backwards(net, x, np.zeros_like(x), [v], grad)[0]

    def jvp(self, net: Any, x: NDArray, t: NDArray, out: NDArray) -> None:
        """The Jacobian times a vector."""
        out[:] = series.taylor(self._spec, net.params, x[np.newaxis], t[np.newaxis], 2)[1][0]

    def hessian(self, net: Any, x: NDArray, h: NDArray, v: NDArray | None) -> None:
        """Second derivatives of the one output, or of a vector times the outputs."""
        v = np.ones(1, x.dtype) if v is None else v
        for row, direction in zip(h, np.eye(len(x), dtype=x.dtype), strict=True):
            self.hvp(net, x, v, direction, row)

    def hvp(self, net: Any, x: NDArray, v: NDArray, t: NDArray, out: NDArray) -> None:
        """The same times a vector."""
        out[:] = series.hvp(self._spec, net.params, x[np.newaxis], v[np.newaxis], t[np.newaxis])[0]

    def taylor(self, net: Any, x: NDArray, t: NDArray, out: NDArray, slope: NDArray, curvature: NDArray | None) -> None:
        """Outputs and their derivatives along a direction."""
        terms = series.taylor(self._spec, net.params, x[np.newaxis], t[np.newaxis], 2 if curvature is None else 3)
        for target, term in zip((out, slope, curvature), terms, strict=False):
            if target is not None:
                target[:] = term[0]

    def vjp_params(self, net: Any, x: NDArray, v: NDArray, grad: NDArray) -> None:
        """A vector times the derivative with respect to the parameters."""
        self._backwards(net, x, np.zeros_like(x), [v], grad)

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
        self._backwards(net, x, t, [v, v_slope, *([] if v_curvature is None else [v_curvature])], grad)

    def _backwards(self, net: Any, x: NDArray, t: NDArray, V: list[NDArray], grad: NDArray) -> NDArray:
        """From the factors of each term of the outputs to those of the inputs, a row for each sample."""
        rows = [np.atleast_2d(v) for v in V]
        return series.vjp(self._spec, net.params, np.atleast_2d(x), np.atleast_2d(t), rows, grad)[0]
