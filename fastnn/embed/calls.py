"""The methods of a network as functions that Python calls: each compiled once for a spec and cached on disk."""

from __future__ import annotations

from fastnn.embed import methods as methods  # registers what the functions call
from fastnn.kernels.compiling import kernel


@kernel
def forward(net, x, out, workspace):
    """Outputs of one sample or of several."""
    net.forward(x, out, workspace)


@kernel
def forward_with(net, params, x, out, workspace):
    """Outputs with other parameters."""
    net.forward_with(params, x, out, workspace)


@kernel
def jacobian(net, x, out, jac, workspace):
    """Outputs and their derivatives."""
    net.jacobian(x, out, jac, workspace)


@kernel
def vjp(net, x, v, out, workspace):
    """A vector times the Jacobian."""
    net.vjp(x, v, out, workspace)


@kernel
def jvp(net, x, t, out, workspace):
    """The Jacobian times a vector."""
    net.jvp(x, t, out, workspace)


@kernel
def hessian(net, x, h, workspace):
    """Second derivatives of the one output."""
    net.hessian(x, h, workspace)
