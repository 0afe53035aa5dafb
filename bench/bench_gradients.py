"""Derivatives of 8-64-64-1 inside a compiled loop, beside JAX's compiled loop: ``pytest bench/bench_gradients.py``.

Every call depends on the one before it, in both; the timer divides by the calls. Compiling happens before the timing,
and both are seen to compute the same.
"""

import sys

import numpy as np
import pytest
from calls import CALLS, per_call
from numba import njit

import fastnn

SAMPLES = np.random.default_rng(0).normal(size=(2, 8))


# ---------------------------------------------------------------- ours: each returns what its last call computed
@njit
def forward(net, x, t, calls):
    out = np.empty(1, x.dtype)
    for _ in range(calls):
        net.forward(x, out)
        x[0] = out[0]
    return out


@njit
def vjp_params(net, x, t, calls):
    v, grad = np.ones(1, x.dtype), np.zeros(net.params.size, x.dtype)
    for _ in range(calls):
        grad[:8] = 0.0
        net.vjp_params(x, v, grad)
        x[0] = grad[0]
    return grad[:8]


@njit
def hvp(net, x, t, calls):
    v, out = np.ones(1, x.dtype), np.empty(8, x.dtype)
    for _ in range(calls):
        net.hvp(x, v, t, out)
        x[0] = out[0]
    return out


OURS = {"forward": forward, "vjp_params": vjp_params, "hvp": hvp}


# ---------------------------------------------------------------- the same in JAX
def loops_of_jax(net, t):
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)
    jnp = jax.numpy
    layers = [(jnp.array(W), jnp.array(b)) for W, b in zip(net.weights, net.biases, strict=True)]

    def output(layers, x):
        for W, b in layers[:-1]:
            x = jnp.tanh(x @ W + b)
        W, b = layers[-1]
        return (x @ W + b)[0]

    def looped(one):
        """A loop whose calls take the sample and what is summed up, and give both."""

        @jax.jit
        def run(x, sums):
            return jax.lax.fori_loop(0, CALLS, lambda _, state: one(*state), (x, sums))[1]

        return run

    def forward(x, _):
        out = output(layers, x)
        return x.at[0].set(out), out[None]

    def vjp_params(x, sums):
        gradient = jax.grad(output)(layers, x)
        sums = jax.tree.map(jnp.add, sums, gradient)
        (W, b), *others = sums
        sums = [(W.at[0, :8].set(gradient[0][0][0, :8]), b), *others]  # as ours sets these to zero
        return x.at[0].set(gradient[0][0][0, 0]), sums

    def hvp(x, _):
        out = jax.jvp(lambda x: jax.grad(output, argnums=1)(layers, x), (x,), (jnp.array(t),))[1]
        return x.at[0].set(out[0]), out

    zeros = jax.tree.map(jnp.zeros_like, layers)
    starts = {"forward": jnp.zeros(1, t.dtype), "vjp_params": zeros, "hvp": jnp.zeros(8, t.dtype)}
    made = {"forward": forward, "vjp_params": vjp_params, "hvp": hvp}
    return {name: (looped(one), starts[name]) for name, one in made.items()}


def first_numbers(name, result):
    """What ours returns, of JAX's result."""
    return np.asarray(result[0][0][0, :8] if name == "vjp_params" else result)


# ---------------------------------------------------------------- side by side
@pytest.mark.benchmark(timer=per_call)
@pytest.mark.parametrize("peer", ["fastnn", "jax"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("what", OURS)
def bench_loop(benchmark, what, dtype, peer):
    benchmark.group = f"8-64-64-1 tanh, {dtype}, {what}"
    net, (x, t) = fastnn.MLP((8, 64, 64, 1), dtype=dtype, rng=0), SAMPLES.astype(dtype)
    ours = OURS[what](net, x.copy(), t, CALLS)
    if peer == "fastnn":
        benchmark.pedantic(OURS[what], setup=lambda: ((net, x.copy(), t, CALLS), {}), rounds=30, warmup_rounds=1)
        return
    loop, sums = loops_of_jax(net, t)[what]
    block = sys.modules["jax"].block_until_ready
    theirs = first_numbers(what, loop(x, sums))
    np.testing.assert_allclose(ours, theirs, rtol=1e-6 if dtype == "float64" else 1e-3)
    benchmark.pedantic(lambda: block(loop(x, sums)), rounds=30, warmup_rounds=1)
