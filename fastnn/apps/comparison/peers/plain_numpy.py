"""NumPy, as someone writes it who wants just this network: no classes in the loop, one expression a line."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from fastnn.apps.comparison.workloads import MOMENTUM, NotComparable, Workload

ACTIVATIONS: dict[str, tuple[Callable[[NDArray], NDArray], Callable[[NDArray], NDArray]]] = {
    "sigmoid": (lambda z: 1 / (1 + np.exp(-z)), lambda h: h * (1 - h)),
    "tanh": (np.tanh, lambda h: 1 - h * h),
    "relu": (lambda z: np.maximum(z, 0), lambda h: h > 0),
}


class Training:
    """Feedforward, backpropagation and update in plain NumPy."""

    def __init__(self, workload: Workload, threads: int):
        self.workload = workload
        self.net = workload.network()
        self.start = self.net.params.copy()
        X, y = workload.data()
        if y.ndim == 1:
            y = np.eye(workload.sizes[-1], dtype=workload.dtype)[y]
        rows = [slice(k * workload.batch_size, (k + 1) * workload.batch_size) for k in range(workload.batches)]
        self.batches = [(X[batch], y[batch]) for batch in rows]

    def reset(self) -> None:
        self.net.params = self.start
        self.arrays = [*self.net.weights, *self.net.biases]
        self.m = [np.zeros_like(p) for p in self.arrays]
        self.v = [np.zeros_like(p) for p in self.arrays]

    def params(self) -> NDArray:
        return self.net.params

    def run(self, steps: int) -> None:
        step = {"sgd": self.descend, "momentum": self.roll, "adam": self.adapt}[self.workload.optimizer]
        for t in range(steps):
            step(t + 1, self.gradient(*self.batches[t % len(self.batches)]))

    def gradient(self, x: NDArray, y: NDArray) -> list[NDArray]:
        """Of the batch's loss, in the order of `arrays`."""
        W, b, loss = self.net.weights, self.net.biases, self.workload.loss
        act, slope = ACTIVATIONS[self.workload.activation]
        h = [x]
        for k in range(len(W)):
            z = h[-1] @ W[k] + b[k] if b else h[-1] @ W[k]
            h.append(act(z) if k < len(W) - 1 else z)
        if loss == "cross_entropy":
            e = np.exp(z - z.max(axis=1, keepdims=True))
            d = (e / e.sum(axis=1, keepdims=True) - y) / len(x)
        elif loss == "sse":
            o = 1 / (1 + np.exp(-z))
            d = 2 * (o - y) * o * (1 - o)
        else:
            d = (z - y) * z.dtype.type(2 / y.size)
        dW, db = [], []
        for k in reversed(range(len(W))):
            dW.append(h[k].T @ d)
            if b:
                db.append(d.sum(axis=0))
            if k:
                d = d @ W[k].T * slope(h[k])
        return [*reversed(dW), *reversed(db)]

    def descend(self, t: int, gradient: list[NDArray]) -> None:
        for p, g in zip(self.arrays, gradient, strict=True):
            p -= self.workload.learning_rate * g

    def roll(self, t: int, gradient: list[NDArray]) -> None:
        for p, g, m in zip(self.arrays, gradient, self.m, strict=True):
            m *= MOMENTUM
            m += g
            p -= self.workload.learning_rate * m

    def adapt(self, t: int, gradient: list[NDArray]) -> None:
        rate = self.workload.learning_rate / (1 - 0.9**t)
        for p, g, m, v in zip(self.arrays, gradient, self.m, self.v, strict=True):
            m *= 0.9
            m += 0.1 * g
            v *= 0.999
            v += 0.001 * g * g
            p -= rate * m / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)


class Many:
    """Networks side by side on the last axis, so that an operation serves a block of them, of the size of a cache."""

    BLOCK = 2**18  # bytes of a layer's outputs

    def __init__(self, workload: Workload, threads: int):
        if workload.batches > 1 or workload.optimizer != "sgd" or workload.loss == "cross_entropy":
            raise NotComparable(
                "its code for many networks only has whole batches, gradient descent and squared losses"
            )
        self.workload, self.spec, self.start = workload, workload.network().spec, workload.start()
        self.X, self.y = workload.data()
        numbers = self.X.shape[0] * max(self.spec.sizes[1:])
        size = max(1, self.BLOCK // (numbers * self.X.itemsize))
        self.blocks = [slice(k, k + size) for k in range(0, workload.members, size)]

    def reset(self) -> None:
        self.learned = self.start.copy()

    def params(self) -> NDArray:
        return self.learned

    def run(self, steps: int) -> None:
        for block in self.blocks:
            flat = self.learned[block]
            views = [*self.spec.weights(flat), *self.spec.biases(flat)]
            arrays = [np.ascontiguousarray(np.moveaxis(view, 0, -1)) for view in views]  # (n_in, n_out, networks)
            n = self.spec.n_layers
            for _ in range(steps):
                self.step(arrays[:n], arrays[n:])
            for view, array in zip(views, arrays, strict=True):
                view[:] = np.moveaxis(array, -1, 0)

    def step(self, W: list[NDArray], b: list[NDArray]) -> None:
        """One update of a block of networks; all arrays have them on the last axis."""
        X, y, rate = self.X, self.y[:, :, None], self.workload.learning_rate
        act, slope = ACTIVATIONS[self.workload.activation]
        z = (X @ W[0].reshape(X.shape[1], -1)).reshape(len(X), *W[0].shape[1:])  # one product: they share the samples
        h: list[NDArray] = []
        for k in range(len(W)):
            if k:
                z = (h[-1][:, :, None] * W[k]).sum(axis=1)
            if b:
                z += b[k]
            if k < len(W) - 1:
                h.append(act(z))
        if self.workload.loss == "sse":
            o = 1 / (1 + np.exp(-z))
            d = 2 * (o - y) * o * (1 - o)
        else:
            d = (z - y) * z.dtype.type(2 / y.size)
        for k in reversed(range(len(W))):
            if k:
                gradient = (h[k - 1][:, :, None] * d[:, None]).sum(axis=0)
                below = (d[:, None] * W[k]).sum(axis=2) * slope(h[k - 1])
            else:
                gradient = (X.T @ d.reshape(len(X), -1)).reshape(W[0].shape)
            W[k] -= rate * gradient
            if b:
                b[k] -= rate * d.sum(axis=0)
            d = below
