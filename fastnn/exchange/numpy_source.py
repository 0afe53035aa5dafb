"""A network, or an ensemble, as a readable Python module that needs NumPy alone."""

from __future__ import annotations

from math import isfinite

import numpy as np
from numpy.typing import NDArray

from fastnn.exchange.contents import title, weights_and_biases
from fastnn.exchange.self_test import self_test
from fastnn.settings.constants import GELU_CUBIC, GELU_FACTOR, LEAKY_SLOPE, SELU_SCALE, SELU_SCALE_ALPHA
from fastnn.settings.spec import NetworkSpec

#: Each activation's definition; the name is that of the catalogue.
_FUNCTIONS = {
    "sigmoid": "return np.exp(np.minimum(z, 0)) / (1 + np.exp(-abs(z)))",
    "tanh": "return np.tanh(z)",
    "relu": "return np.maximum(z, 0)",
    "leaky_relu": f"return np.maximum(z, {LEAKY_SLOPE!r} * z)",
    "elu": "return np.maximum(z, 0) + np.expm1(np.minimum(z, 0))",
    "selu": f"return {SELU_SCALE!r} * np.maximum(z, 0) + {SELU_SCALE_ALPHA!r} * np.expm1(np.minimum(z, 0))",
    "silu": "return np.maximum(z, -1e4) * np.exp(np.minimum(z, 0)) / (1 + np.exp(-abs(z)))",
    "softplus": "return np.maximum(z, 0) + np.log1p(np.exp(-abs(z)))",
    "gelu_tanh": (
        "y = np.clip(z, -100, 100)\n"
        f"    v = {GELU_FACTOR!r} * (y + {GELU_CUBIC!r} * y * y * y)\n"
        "    return np.maximum(z, -100) * np.exp(np.minimum(v, 0)) / (1 + np.exp(-abs(v)))"
    ),
    "ascending": (
        "steps = np.maximum(z, 0) + np.log1p(np.exp(-abs(z)))\n    steps[..., 0] = z[..., 0]\n"
        "    return np.cumsum(steps, axis=-1)"
    ),
    "softmax": "e = np.exp(z - z.max(axis=-1, keepdims=True))\n    return e / e.sum(axis=-1, keepdims=True)",
    "exp": "return np.exp(z)",
    "sin": "return np.sin(z)",
}


def write(spec: NetworkSpec, params: NDArray) -> str:
    """The module: see `MLP.to_numpy_source`."""
    many = params.ndim == 2
    lines = [
        f'"""{title(spec, params)} Written by fastnn."""',
        "",
        "import numpy as np",
        "",
    ]
    for l, (W, b) in enumerate(weights_and_biases(spec, params)):
        lines.append(f"W{l} = {_literal(W)}")
        if b is not None:
            lines.append(f"b{l} = {_literal(b[:, None] if many else b)}")
    of = "mean of the members' outputs and their standard deviation, each of" if many else "outputs,"
    for name in sorted(set(spec.activations) - {"identity"}):
        lines += ["", "", f"def {name}(z):", f"    {_FUNCTIONS[name]}"]
    lines += [
        "",
        "",
        "def predict(X):",
        f'    """The {of} shape (n, {spec.n_out}), for samples (n, {spec.n_in})."""',
    ]
    lines.append(f'    h = np.asarray(X, "{spec.dtype}")')
    if many:  # whose dimension would be taken for one of the samples
        lines.append("    if h.ndim != 2:")
        lines.append(f'        raise ValueError(f"X must have shape (n, {spec.n_in}); got {{h.shape}}")')
    for l, name in enumerate(spec.activations):
        z = f"h @ W{l}" + (f" + b{l}" if spec.bias else "")
        lines.append(f"    h = {z if name == 'identity' else f'{name}({z})'}")
    test, got = self_test(spec, params), "np.hstack(predict(x))" if many else "predict(x)"
    lines += [
        "    return h.mean(axis=0), h.std(axis=0)" if many else "    return h",
        "",
        "",
        'if __name__ == "__main__":',
        "    # Samples, their outputs, and by how much these may be off.",
        f"    x = {_literal(test.x, '    ')}",
        f"    outputs = {_literal(test.outputs, '    ')}",
        f"    allowed = {_literal(test.allowed, '    ')}",
        f"    assert np.allclose({got}, outputs, rtol=0, atol=allowed, equal_nan=True)",
    ]
    return "\n".join(lines) + "\n"


def _literal(array: NDArray, indent: str = "") -> str:
    """An array whose numbers are written with as many digits as tell them apart from every other."""

    def number(x: np.floating) -> str:
        value, digits = float(x), str(x)
        if not isfinite(value):
            return f"float('{value}')"
        # Python reads a float64: rounded once more, that of the digits of 7.038531e-26 is another float32.
        return digits if array.dtype.type(float(digits)) == x else repr(value)

    def nested(part: NDArray, indent: str) -> str:
        if part.ndim == 1:
            return "[" + ", ".join(map(number, part)) + "]"
        rows = "".join(f"\n{indent}    {nested(row, indent + '    ')}," for row in part)
        return f"[{rows}\n{indent}]"

    with np.printoptions(legacy=False):  # older ways to print drop digits
        return f'np.array({nested(array, indent)}, "{array.dtype}")'
