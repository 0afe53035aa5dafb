"""A network as a readable Python module that needs NumPy alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastnn.exchange.self_test import self_test
from fastnn.settings.spec import NetworkSpec

#: Each activation's definition; the name is that of the catalogue.
_FUNCTIONS = {
    "sigmoid": "return np.exp(np.minimum(z, 0)) / (1 + np.exp(-abs(z)))",
    "tanh": "return np.tanh(z)",
    "relu": "return np.maximum(z, 0)",
    "leaky_relu": "return np.maximum(z, 0.01 * z)",
    "elu": "return np.maximum(z, 0) + np.expm1(np.minimum(z, 0))",
    "selu": ("return 1.0507009873554805 * np.maximum(z, 0) + 1.7580993408473766 * np.expm1(np.minimum(z, 0))"),
    "silu": "return np.maximum(z, -1e4) * np.exp(np.minimum(z, 0)) / (1 + np.exp(-abs(z)))",
    "softplus": "return np.maximum(z, 0) + np.log1p(np.exp(-abs(z)))",
    "gelu_tanh": (
        "y = np.clip(z, -100, 100)\n"
        "    v = 1.5957691216057308 * (y + 0.044715 * y * y * y)\n"
        "    return np.maximum(z, -100) * np.exp(np.minimum(v, 0)) / (1 + np.exp(-abs(v)))"
    ),
    "softmax": "e = np.exp(z - z.max(axis=-1, keepdims=True))\n    return e / e.sum(axis=-1, keepdims=True)",
    "exp": "return np.exp(z)",
}


def write(spec: NetworkSpec, params: NDArray) -> str:
    """The module: see `MLP.to_numpy_source`."""
    layers = " -> ".join(f"{layer.n_out} {layer.activation.name}" for layer in spec.layers)
    lines = [
        f'"""A multi-layer perceptron: {spec.n_in} -> {layers}. Written by fastnn."""',
        "",
        "import numpy as np",
        "",
    ]
    for l, W in enumerate(spec.weights(params)):
        lines.append(f"W{l} = {_literal(W)}")
        if spec.bias:
            lines.append(f"b{l} = {_literal(spec.biases(params)[l])}")
    for name in sorted(set(spec.activations) - {"identity"}):
        lines += ["", "", f"def {name}(z):", f"    {_FUNCTIONS[name]}"]
    lines += [
        "",
        "",
        "def predict(X):",
        f'    """The outputs, shape (n, {spec.n_out}), for samples (n, {spec.n_in})."""',
    ]
    lines.append(f'    h = np.asarray(X, "{spec.dtype}")')
    for l, name in enumerate(spec.activations):
        z = f"h @ W{l}" + (f" + b{l}" if spec.bias else "")
        lines.append(f"    h = {z if name == 'identity' else f'{name}({z})'}")
    test = self_test(spec, params)
    lines += [
        "    return h",
        "",
        "",
        'if __name__ == "__main__":',
        "    # Samples, their outputs, and by how much these may be off.",
        f"    x = {_literal(test.x, '    ')}",
        f"    outputs = {_literal(test.outputs, '    ')}",
        f"    allowed = {_literal(test.allowed, '    ')}",
        "    assert np.allclose(predict(x), outputs, rtol=0, atol=allowed, equal_nan=True)",
    ]
    return "\n".join(lines) + "\n"


def _literal(array: NDArray, indent: str = "") -> str:
    """An array whose numbers are written with as many digits as tell them apart from every other."""

    def row(numbers: NDArray) -> str:
        return "[" + ", ".join(str(x) if np.isfinite(x) else f"float('{x}')" for x in numbers) + "]"

    if array.ndim == 1:
        return f'np.array({row(array)}, "{array.dtype}")'
    rows = "".join(f"\n{indent}    {row(numbers)}," for numbers in array)
    return f'np.array([{rows}\n{indent}], "{array.dtype}")'
