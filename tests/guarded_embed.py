"""Run as a program: what compiled code calls on a network, with every array beside memory that must not be touched."""

import sys

import numpy as np
from guarded import empty, guarded

from fastnn import MLP, Ensemble, NetworkSpec, TrainState
from fastnn.embed import ensembles, steps
from fastnn.embed import from_python as calls
from fastnn.models.mlp import network_over

#: More outputs than inputs, and fewer; one output; more than a block of vectors; several samples at once; by tiles.
SPECS = [
    ((3, 17, 18), ("gelu_tanh", "softmax")),
    ((9, 5, 2), ("silu", "identity")),
    ((33, 150, 37, 1), ("relu", "tanh", "sigmoid")),
    ((40, 320, 90), ("silu", "identity")),
]


def main(dtype, at_end):
    """All methods of the networks that this dtype has."""
    rng = np.random.default_rng(0)

    def numbers(*shape):
        return guarded(rng.normal(size=shape).astype(dtype), at_end)

    def room(*shape):
        return empty(shape, dtype, at_end)

    # Compiling takes minutes, and the code is the same for either dtype: each has its part.
    specs = SPECS[::2] if dtype == "float32" else SPECS[1::2]
    for sizes, activations in specs:
        print(sizes, flush=True)
        spec = NetworkSpec(sizes, activations, dtype=dtype)
        net, n_in, n_out = network_over(spec, numbers(spec.n_params)), spec.n_in, spec.n_out
        work = {method: guarded(net.workspace(method), at_end) for method in ("forward", "jacobian", "vjp", "jvp")}
        for n in (1, 2, 5, 8):
            calls._forward(net, numbers(n, n_in), room(n, n_out), work["forward"])
        x, out = numbers(n_in), room(n_out)
        calls._forward(net, x, out, work["forward"])
        calls._forward_with(net, numbers(spec.n_params), x, out, work["forward"])
        calls._jacobian(net, x, out, room(n_out, n_in), work["jacobian"])
        calls._vjp(net, x, numbers(n_out), room(n_in), work["vjp"], None)
        calls._jvp(net, x, numbers(n_in), out, work["jvp"])
        if n_out == 1:
            calls._hessian(net, x, room(n_in, n_in), guarded(net.workspace("hessian"), at_end), None)
    if dtype == "float32":
        differentiate(numbers, room, NetworkSpec(*SPECS[0], dtype=dtype), at_end)
    else:
        ask(numbers, room, NetworkSpec(*SPECS[1], dtype=dtype))
        train(numbers, NetworkSpec(*SPECS[1], dtype=dtype), at_end)


def differentiate(numbers, room, spec, at_end):
    """With respect to the parameters, and twice."""
    net, n_in, n_out = network_over(spec, numbers(spec.n_params)), spec.n_in, spec.n_out
    methods = ("vjp_params", "hvp", "taylor", "taylor_vjp_params", "hessian")
    work = {method: guarded(net.workspace(method), at_end) for method in methods}
    x, t, v, grad = numbers(n_in), numbers(n_in), numbers(n_out), numbers(spec.n_params)
    calls._vjp_params(net, x, v, grad, work["vjp_params"])
    calls._vjp_params(net, numbers(3, n_in), numbers(3, n_out), grad, work["vjp_params"])
    calls._vjp(net, x, v, room(n_in), work["vjp_params"], grad)
    calls._hvp(net, x, v, t, room(n_in), work["hvp"])
    calls._hessian(net, x, room(n_in, n_in), work["hessian"], v)
    calls._taylor(net, x, t, room(n_out), room(n_out), room(n_out), work["taylor"])
    calls._taylor_vjp_params(net, x, t, v, v, v, grad, work["taylor_vjp_params"])


def ask(numbers, room, spec):
    """All members of an ensemble."""
    members, workspace = numbers(7, spec.n_params), numbers(MLP(spec.sizes, dtype=spec.dtype).workspace().size)
    many = Ensemble(spec, members)
    for params in (members, members[::-2]):
        many._params = params  # not a copy
        ensembles.forward(many, numbers(spec.n_in), room(len(params), spec.n_out), workspace)


def train(numbers, spec, at_end):
    """Steps on batches of every size."""
    state = TrainState(spec, max_batch=5, l2=0.1, max_grad_norm=1.0)
    records = state._records  # which keeps alive what a copy of it points to
    for name in state._numba_type_.arrays:
        setattr(state, f"_{name}", guarded(getattr(state, f"_{name}"), at_end))
    net = network_over(spec, numbers(spec.n_params))
    for n in range(1, 6):
        assert np.isfinite(steps.train_step(net, numbers(n, spec.n_in), numbers(n, spec.n_out), state))
    del records


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2] == "end")
