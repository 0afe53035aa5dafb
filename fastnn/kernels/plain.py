"""A network in plain loops: what all other kernels compute, without what makes them fast.

Feedforward is ``h = f(x W + b)``, layer after layer; backpropagation takes the loss's derivative with respect to the
outputs back through the same layers. Each is loops over numbers that Numba compiles, or that Python runs as they stand
where ``NUMBA_DISABLE_JIT=1`` turns the compiler off: in a debugger, say. ``backend="plain"`` computes by this file.

To train the tutorial's network on its four samples:

    python -m fastnn.kernels.plain
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn.jobs.job import Job
from fastnn.jobs.missing import counted_weights
from fastnn.kernels.jit.compiling import kernel
from fastnn.kernels.jit.turned_off import compiler_is_off
from fastnn.settings import own
from fastnn.settings.catalogue import (
    ACTIVATIONS,
    LOSSES,
    OWN_ACTIVATIONS,
    OWN_LOSSES,
    Activation,
    Loss,
    activation_of,
    masked_code,
)
from fastnn.settings.constants import GELU_CUBIC, GELU_FACTOR, LEAKY_SLOPE, SELU_ALPHA, SELU_SCALE, SELU_SCALE_ALPHA
from fastnn.settings.spec import NetworkSpec

_loops: Callable = (lambda function: function) if compiler_is_off() else kernel

N_IN, N_OUT, WEIGHTS, BIASES, CODE = range(5)  # columns of the table of layers

#: What is written out below; a row of the catalogue that is not is refused.
_ACTIVATIONS = ("identity", "sigmoid", "tanh", "relu", "leaky_relu", "elu", "selu", "silu", "softplus", "gelu_tanh",
                "softmax", "exp", "sin", "ascending")  # fmt: skip
_LOSSES = ("sse", "mse", "mae", "huber", "poisson", "cross_entropy", "binary_cross_entropy", "pinball",
           "expectile", "gaussian_nll", "ascending_pinball")  # fmt: skip
_, _SIGMOID, _TANH, _RELU, _LEAKY_RELU, _ELU, _SELU, _SILU, _SOFTPLUS, _GELU, _SOFTMAX, _EXP, _SIN, _ASCENDING = (
    ACTIVATIONS[name].code for name in _ACTIVATIONS
)
_, _, _MAE, _HUBER, _POISSON, _CROSS_ENTROPY, _BINARY, _PINBALL, _EXPECTILE, _GAUSSIAN, _ASCENDING_PINBALL = (
    LOSSES[name].code for name in _LOSSES
)

#: The logarithm of the largest number.
_LARGEST_EXPONENT = math.log(sys.float_info.max)


@_loops
def exp(z):
    """``exp(z)``, infinite where it overflows: without the compiler `math` raises there."""
    return math.inf if z > _LARGEST_EXPONENT else math.exp(z)


@_loops
def sigmoid(z):
    """``1 / (1 + exp(-z))``, without overflow."""
    e = math.exp(-abs(z))
    return 1 / (1 + e) if z > 0 else e / (1 + e)


@_loops
def activate(code, z):
    """An activation at `z`; softmax and ascending, which take a row together, are in `forward`."""
    if code == _SIGMOID:
        return sigmoid(z)
    if code == _TANH:
        return math.tanh(z)
    if code == _RELU:
        return max(z, 0.0)
    if code == _LEAKY_RELU:
        return z if z > 0 else LEAKY_SLOPE * z
    if code == _ELU:
        return z if z > 0 else math.expm1(z)
    if code == _SELU:
        return SELU_SCALE * (z if z > 0 else SELU_ALPHA * math.expm1(z))
    if code == _SILU:
        return max(z, -1e4) * sigmoid(z)  # sigmoid(-1e4) is 0, and -inf * 0 would be NaN
    if code == _SOFTPLUS:
        return max(z, 0.0) + math.log1p(math.exp(-abs(z)))
    if code == _GELU:
        near = min(max(z, -100.0), 100.0)  # beyond, the sigmoid is 0 or 1
        return max(z, -100.0) * sigmoid(GELU_FACTOR * (near + GELU_CUBIC * near * near * near))
    if code == _EXP:
        return exp(z)
    if code == _SIN:
        return math.sin(z) if math.isfinite(z) else math.nan
    return z


@_loops
def slope(code, z, h):
    """Its derivative, where it has the value `h`."""
    if code == _SIGMOID:
        return h * (1 - h)
    if code == _TANH:
        return 1 - h * h
    if code == _RELU:
        return 1.0 if h > 0 else 0.0
    if code == _LEAKY_RELU:
        return 1.0 if h > 0 else LEAKY_SLOPE
    if code == _ELU:
        return 1.0 if h > 0 else h + 1
    if code == _SELU:
        return SELU_SCALE if h > 0 else h + SELU_SCALE_ALPHA
    if code == _SILU:
        z = min(max(z, -1e4), 1e4)
        return sigmoid(z) * (1 + z * sigmoid(-z))
    if code == _SOFTPLUS:
        return -math.expm1(-h)
    if code == _GELU:
        z = min(max(z, -100.0), 100.0)
        u = GELU_FACTOR * (z + GELU_CUBIC * z * z * z)
        return sigmoid(u) * (1 + GELU_FACTOR * (1 + 3 * GELU_CUBIC * z * z) * z * sigmoid(-u))
    if code == _SIN:
        return math.cos(z) if math.isfinite(z) else math.nan
    return h if code == _EXP else 1.0


@_loops
def element_loss(code, o, y, parameter):
    """The loss of one output, and its derivative; `o` is the pre-activation where the catalogue says `logits_of`."""
    r = o - y
    if code == _MAE:
        return abs(r), (1.0 if r > 0 else 0.0) - (1.0 if r < 0 else 0.0)
    if code == _HUBER:
        bounded = min(max(r, -parameter), parameter)
        return bounded * (r - bounded / 2), bounded
    if code in (_PINBALL, _ASCENDING_PINBALL):
        side = (1.0 - parameter if r > 0 else 0.0) - (parameter if r < 0 else 0.0)
        return side * r, side
    if code == _EXPECTILE:
        side = 1.0 - parameter if r > 0 else parameter
        return side * r * r, 2 * side * r
    if code == _POISSON:
        return exp(o) - y * o, exp(o) - y
    if code == _BINARY:
        return max(o, 0.0) - y * o + math.log1p(math.exp(-abs(o))), (1 - y) * sigmoid(o) - y * sigmoid(-o)
    return r * r, 2 * r


if compiler_is_off():  # then Python can look up functions of the user's own
    _activate, _slope, _element_loss = activate, slope, element_loss

    def activate(code, z):
        """An activation, of the user's own perhaps."""
        row: Any = OWN_ACTIVATIONS.get(code)
        return own.or_nan(row.functions[0])(np.float64(z)) if row else _activate(code, z)

    def slope(code, z, h):
        """Its derivative."""
        row: Any = OWN_ACTIVATIONS.get(code)
        return own.or_nan(row.functions[1])(np.float64(z)) if row else _slope(code, z, h)

    def element_loss(code, o, y, parameter):
        """A loss and its derivative, of the user's own perhaps."""
        row: Any = OWN_LOSSES.get(code)
        if row:
            numbers = np.float64(o), np.float64(y)
            return own.or_nan(row.value)(*numbers), own.or_nan(row.gradient)(*numbers)
        return _element_loss(code, o, y, parameter)


@_loops
def softmax(z, h):
    """``exp(z) / sum(exp(z))`` of a row."""
    top, total = np.max(z), 0.0
    for j in range(z.size):
        h[j] = math.exp(z[j] - top)
        total += h[j]
    for j in range(z.size):
        h[j] /= total


@_loops
def forward(layers, params, Z, H):
    """All rows through the layers. Z[l] and H[l + 1] are a layer's pre-activations and outputs; H[0] is the input."""
    for l in range(layers.shape[0]):
        n_in, n_out, w, b, code = layers[l]
        for r in range(H.shape[1]):
            for j in range(n_out):
                z = params[b + j] if b >= 0 else 0.0
                for i in range(n_in):
                    z += H[l, r, i] * params[w + i * n_out + j]
                Z[l, r, j] = z
                H[l + 1, r, j] = activate(code, z)
            if code == _SOFTMAX:
                softmax(Z[l, r, :n_out], H[l + 1, r, :n_out])
            if code == _ASCENDING:
                for j in range(1, n_out):
                    H[l + 1, r, j] = H[l + 1, r, j - 1] + activate(_SOFTPLUS, Z[l, r, j])


@_loops
def output_loss(loss, logits, code, parameter, z, h, y, d):
    """The loss of one row, summed over its targets, and its derivative `d` with respect to the pre-activations `z`."""
    if loss == _CROSS_ENTROPY:
        value, total = 0.0, np.sum(y)
        top = np.max(z)
        log_sum = math.log(np.sum(np.exp(z - top)))
        for j in range(z.size):
            value += y[j] * (log_sum - (z[j] - top)) if y[j] != 0 else 0.0
            d[j] = h[j] * total - y[j]
        return value
    value = 0.0
    if loss == _GAUSSIAN:
        for j in range(y.size):
            k = y.size + j
            d[j] = d[k] = 0.0
            if math.isnan(y[j]):
                continue
            r, exp_s = h[j] - y[j], exp(h[k])
            variance = exp_s + parameter[j]
            value += (math.log(variance) + r * r / variance) / 2
            d[j] = r / variance * slope(code, z[j], h[j])
            d[k] = exp_s / variance * (1 - r * r / variance) / 2 * slope(code, z[k], h[k])
        return value
    for j in range(z.size):
        d[j] = 0.0
        if math.isnan(y[j]):  # a target that is missing
            continue
        o = z[j] if logits and code != _ASCENDING else h[j]
        of_output, derivative = element_loss(loss, o, y[j], parameter[j])
        value += of_output
        d[j] = derivative if logits else derivative * slope(code, z[j], h[j])
    if code == _ASCENDING:
        for j in range(z.size - 2, -1, -1):
            d[j] += d[j + 1]
        for j in range(1, z.size):
            d[j] *= sigmoid(z[j])
    return value


@_loops
def backward(layers, params, Z, H, D, gradient):
    """The gradient, from D[-1], the loss's derivative with respect to the last pre-activations."""
    gradient[:] = 0.0
    for l in range(layers.shape[0] - 1, -1, -1):
        n_in, n_out, w, b, _ = layers[l]
        for r in range(H.shape[1]):
            for j in range(n_out):
                if b >= 0:
                    gradient[b + j] += D[l, r, j]
                for i in range(n_in):
                    gradient[w + i * n_out + j] += H[l, r, i] * D[l, r, j]
            for i in range(n_in if l > 0 else 0):
                d = 0.0
                for j in range(n_out):
                    d += D[l, r, j] * params[w + i * n_out + j]
                D[l - 1, r, i] = d * slope(layers[l - 1, CODE], Z[l - 1, r, i], H[l, r, i])


@_loops
def batch_gradient(layers, loss, logits, parameter, params, y, shares, Z, H, D, gradient):
    """Loss and gradient of a batch whose rows count by their shares."""
    forward(layers, params, Z, H)
    last, n_out, value = layers.shape[0] - 1, layers[layers.shape[0] - 1, N_OUT], 0.0
    for r in range(y.shape[0]):
        z, h, d = Z[last, r, :n_out], H[last + 1, r, :n_out], D[last, r, :n_out]
        value += shares[r] * output_loss(loss, logits, layers[last, CODE], parameter, z, h, y[r], d)
        for j in range(n_out):
            d[j] *= shares[r]
    backward(layers, params, Z, H, D, gradient)
    return value


@_loops
def descend(layers, loss, logits, parameter, params, y, shares, Z, H, D, gradient, rate, steps):
    """Take steps of gradient descent on one batch; the loss before the last of them."""
    value = 0.0
    for _ in range(steps):
        value = batch_gradient(layers, loss, logits, parameter, params, y, shares, Z, H, D, gradient)
        for k in range(params.size):
            params[k] -= rate * gradient[k]
    return value


# ---------------------------------------------------------------- from Python
def serves(spec: NetworkSpec, loss: Loss | None = None) -> bool:
    """Whether a network's activations, and a loss, are written out here."""
    runs_own = compiler_is_off()
    activations = (name in _ACTIVATIONS or (runs_own and name not in ACTIVATIONS) for name in spec.activations)
    return all(activations) and (loss is None or loss.name in _LOSSES or (runs_own and loss.name not in LOSSES))


def _check(spec: NetworkSpec, loss: Loss | None = None) -> None:
    if serves(spec, loss):
        return
    rows: list[Activation | Loss] = [*map(activation_of, spec.activations), *([loss] if loss else [])]
    for row in rows:
        if isinstance(row, (own.Activation, own.Loss)):
            raise ValueError(
                f"backend must be 'numba' or 'numpy' for {own.plain_name(row.name)}, a function of your own, which "
                "plain loops call only where NUMBA_DISABLE_JIT=1 turns the compiler off; got 'plain'"
            )
    needed = ", ".join(dict.fromkeys(row.name for row in rows))
    raise ValueError(f"backend must be 'numba' or 'numpy' for {needed}, not all of which are plain loops; got 'plain'")


def _layer_table(spec: NetworkSpec) -> NDArray[np.int64]:
    rows = [(row.n_in, row.n_out, row.weights, row.biases, row.activation.code) for row in spec.layers]
    return np.array(rows, np.int64)


def _buffers(spec: NetworkSpec, X: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    """Z, H and D for the rows of X, as wide as the widest layer; X stands in H[0]."""
    Z, D = np.zeros((2, spec.n_layers, len(X), max(spec.sizes)), spec.dtype)
    H = np.zeros((spec.n_layers + 1, len(X), max(spec.sizes)), spec.dtype)
    H[0, :, : spec.n_in] = X
    return Z, H, D


def _arguments(
    spec: NetworkSpec,
    params: NDArray,
    X: NDArray,
    y: NDArray,
    loss: Loss,
    weights: NDArray | None,
    parameter: NDArray | float,
) -> tuple[Any, ...]:
    """The first arguments of `batch_gradient` and `descend`, up to the gradient."""
    targets = y if y.ndim == 2 else np.eye(spec.n_out, dtype=spec.dtype)[y]
    shares = np.ones(len(X)) if weights is None else weights.astype(np.float64)
    counted = counted_weights(loss, y, shares)
    total = loss.divisor(spec.n_out) * (counted.sum() if loss.mean and counted.any() else 1.0)
    code = masked_code(loss.code) if loss.masked else loss.code  # below a target that is NaN is left out in any case
    known = _layer_table(spec), code, loss.logits_of is not None
    numbers = np.full(targets.shape[1], parameter, np.float64)
    return *known, numbers, params, targets, shares / total, *_buffers(spec, X)


def predict(spec: NetworkSpec, params: NDArray, X: NDArray) -> NDArray:
    """The network's outputs, of shape (n, n_out), for samples `X` of shape (n, n_in)."""
    _check(spec)
    Z, H, _ = _buffers(spec, X)
    forward(_layer_table(spec), params, Z, H)
    return H[-1, :, : spec.n_out].copy()


def predict_each(spec: NetworkSpec, params: NDArray, X: NDArray) -> NDArray:
    """The outputs of several networks, shape (K, n, n_out), for parameters of shape (K, n_params)."""
    outputs = np.empty((len(params), len(X), spec.n_out), spec.dtype)
    for k, params_of_one in enumerate(params):
        outputs[k] = predict(spec, params_of_one, X)
    return outputs


def loss_and_grad(
    spec: NetworkSpec,
    params: NDArray,
    X: NDArray,
    y: NDArray,
    loss: Loss,
    *,
    sample_weight: NDArray | None = None,
    l2: float = 0.0,
    loss_parameter: NDArray | float | None = None,
    factors: list[NDArray] | None = None,
    out: NDArray | None = None,
) -> tuple[float, NDArray]:
    """The loss of a batch and its gradient: the contract of `fastnn.reference.network.loss_and_grad`.

    Raises
    ------
    ValueError
        If there is dropout, which the plain loops leave out, or an activation or loss that they lack.
    """
    if factors is not None:
        raise ValueError(
            "dropout must be 0 with backend='plain', which NUMBA_DISABLE_JIT takes: its loops leave it out; "
            "backend='numpy' has it"
        )
    _check(spec, loss)
    gradient = np.empty_like(params) if out is None else out
    parameter = loss.default if loss_parameter is None else loss_parameter
    value = float(batch_gradient(*_arguments(spec, params, X, y, loss, sample_weight, parameter), gradient))
    if l2:
        weights = np.where(spec.weight_mask(), params, 0)
        gradient += l2 * weights
        value += l2 / 2 * float(weights @ weights)
    return value, gradient


def evaluate(job: Job) -> tuple[float, float]:
    """The loss, without the l2 penalty, and the metric of a job's network on its validation set."""
    monitor = job.monitor
    assert monitor is not None
    settings: dict[str, Any] = {"sample_weight": monitor.sample_weight, "loss_parameter": job.loss_parameter}
    loss, _ = loss_and_grad(job.spec, job.params, monitor.X, monitor.y, job.loss, **settings)
    return loss, monitor.judge(predict(job.spec, job.params, monitor.X), job.loss)


def main() -> None:
    """The tutorial: 3-4-1 sigmoid, no biases, sum of squared errors, 1,500 steps over all samples."""
    spec = NetworkSpec((3, 4, 1), ("sigmoid", "sigmoid"), bias=False)
    X = np.array([[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]], np.float64)
    y = np.array([[0], [1], [1], [0]], np.float64)
    params = np.random.default_rng(0).random(spec.n_params)
    gradient = np.empty_like(params)
    loss = descend(*_arguments(spec, params, X, y, LOSSES["sse"], None, 1.0), gradient, 1.0, 1500)
    print(f"loss {loss:.6f}, outputs {predict(spec, params, X).ravel().round(3)}")


if __name__ == "__main__":
    main()
