"""JAX: whole passes over the data in one compiled loop, whose state is donated."""

from __future__ import annotations

from functools import partial
from math import log
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from fastnn.apps.comparison.workloads import MOMENTUM, Workload

ACTIVATIONS = {"sigmoid": jax.nn.sigmoid, "tanh": jnp.tanh, "relu": jax.nn.relu}


class Training:
    """``jit`` of a ``scan`` over the batches, inside a loop over the passes."""

    def __init__(self, workload: Workload, threads: int):
        jax.config.update("jax_enable_x64", workload.dtype == "float64")
        self.workload, self.spec, self.start = workload, workload.network().spec, workload.start()
        X, y = workload.data()
        if y.ndim == 1:
            y = np.eye(workload.sizes[-1], dtype=workload.dtype)[y]
        shape = workload.batches, workload.batch_size, -1
        self.X, self.y = jnp.array(X.reshape(shape)), jnp.array(y.reshape(shape))
        self.train = jax.jit(self.passes, donate_argnums=0, static_argnums=3)

    def reset(self) -> None:
        params = [jnp.array(a) for a in (*self.spec.weights(self.start), *self.spec.biases(self.start))]
        slots = {"sgd": 0, "momentum": 1, "adam": 2}[self.workload.optimizer]
        state = params, [jax.tree.map(jnp.zeros_like, params) for _ in range(slots)], jnp.zeros(())
        self.state: Any = jax.block_until_ready(state)

    def run(self, steps: int) -> None:
        self.state = jax.block_until_ready(self.train(self.state, self.X, self.y, steps))

    def params(self) -> NDArray:
        flat = np.empty_like(self.start)
        for array, learned in zip((*self.spec.weights(flat), *self.spec.biases(flat)), self.state[0], strict=True):
            array[:] = learned
        return flat

    def passes(self, state: Any, X: jax.Array, y: jax.Array, steps: int) -> Any:
        whole, rest = divmod(steps, self.workload.batches)
        if self.workload.batches == 1:  # a scan of length 1 would only slow the loop down
            return jax.lax.fori_loop(0, steps, lambda i, state: self.step(state, (X[0], y[0]))[0], state)
        scan = partial(jax.lax.scan, self.step)
        if rest:
            return scan(state, (X[:rest], y[:rest]))[0]
        if whole == 1:
            return scan(state, (X, y))[0]
        return jax.lax.fori_loop(0, whole, lambda i, state: scan(state, (X, y))[0], state)

    def loss(self, params: Any, x: jax.Array, y: jax.Array) -> jax.Array:
        n_layers = self.spec.n_layers
        W, b = params[:n_layers], params[n_layers:]
        z = x
        for k in range(n_layers):
            h = ACTIVATIONS[self.workload.activation](z) if k else x
            z = h @ W[k] + b[k] if b else h @ W[k]
        if self.workload.loss == "cross_entropy":
            return -(jax.nn.log_softmax(z) * y).sum() / len(x)
        if self.workload.loss == "sse":
            return ((jax.nn.sigmoid(z) - y) ** 2).sum()
        return ((z - y) ** 2).mean()

    def step(self, state: Any, batch: Any) -> tuple[Any, None]:
        params, slots, t = state
        g, rate, over = jax.grad(self.loss)(params, *batch), self.workload.learning_rate, jax.tree.map
        if self.workload.optimizer == "sgd":
            return (over(lambda p, g: p - rate * g, params, g), slots, t), None
        if self.workload.optimizer == "momentum":
            v = over(lambda v, g: MOMENTUM * v + g, slots[0], g)
            return (over(lambda p, v: p - rate * v, params, v), [v], t), None
        t = t + 1
        m = over(lambda m, g: 0.9 * m + 0.1 * g, slots[0], g)
        v = over(lambda v, g: 0.999 * v + 0.001 * g * g, slots[1], g)
        scaled = rate / -jnp.expm1(t * log(0.9))  # 1 - 0.9**t, without its rounding error in float32
        root = 1 / jnp.sqrt(-jnp.expm1(t * log(0.999)))
        return (over(lambda p, m, v: p - scaled * m / (jnp.sqrt(v) * root + 1e-8), params, m, v), [m, v], t), None


class Many(Training):
    """The same, with ``vmap`` of the step over the networks."""

    def step(self, state: Any, batch: Any) -> tuple[Any, None]:
        axes = (0, 0, None)  # of parameters, slots and the count of steps
        return jax.vmap(super().step, in_axes=(axes, None), out_axes=(axes, None))(state, batch)
