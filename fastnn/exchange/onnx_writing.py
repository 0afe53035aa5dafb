"""Networks and ensembles as ONNX files (extra ``onnx``)."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn.checks.extras import require
from fastnn.exchange.contents import weights_and_biases
from fastnn.exchange.self_test import self_test
from fastnn.settings.constants import LEAKY_SLOPE, SELU_ALPHA, SELU_SCALE
from fastnn.settings.spec import NetworkSpec

#: Operation and attributes of each activation; silu is two operations.
_OPERATIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "sigmoid": ("Sigmoid", {}),
    "tanh": ("Tanh", {}),
    "relu": ("Relu", {}),
    "leaky_relu": ("LeakyRelu", {"alpha": LEAKY_SLOPE}),
    "elu": ("Elu", {"alpha": 1.0}),
    "selu": ("Selu", {"alpha": SELU_ALPHA, "gamma": SELU_SCALE}),
    "softplus": ("Softplus", {}),
    "gelu_tanh": ("Gelu", {"approximate": "tanh"}),
    "softmax": ("Softmax", {"axis": -1}),
    "exp": ("Exp", {}),
    "sin": ("Sin", {}),
}

#: Key of the self-test in the model's metadata.
SELF_TEST = "fastnn.self_test"


def write(spec: NetworkSpec, params: NDArray) -> bytes:
    """The bytes of a file: see `MLP.to_onnx`."""
    onnx = require("onnx", "onnx")
    node, tensor = onnx.helper.make_node, onnx.numpy_helper.from_array
    nodes, tensors, here, many = [], [], "x", params.ndim == 2
    for l, (layer, (W, b)) in enumerate(zip(spec.layers, weights_and_biases(spec, params), strict=True)):
        last, name = l == spec.n_layers - 1, layer.activation.name
        h = f"h{l}" if not last else "outputs" if many else "y"
        z = h if name == "identity" else f"z{l}"
        tensors.append(tensor(W, f"W{l}"))
        if b is None:
            nodes.append(node("MatMul", [here, f"W{l}"], [z], name=f"layer{l}"))
        elif not many:
            tensors.append(tensor(b, f"b{l}"))
            nodes.append(node("Gemm", [here, f"W{l}", f"b{l}"], [z], name=f"layer{l}"))
        else:  # Gemm multiplies one matrix, MatMul every member's
            tensors.append(tensor(b[:, None], f"b{l}"))
            nodes.append(node("MatMul", [here, f"W{l}"], [f"p{l}"], name=f"products{l}"))
            nodes.append(node("Add", [f"p{l}", f"b{l}"], [z], name=f"layer{l}"))
        if name == "silu":
            nodes.append(node("Sigmoid", [z], [f"s{l}"], name=f"sigmoid{l}"))
            nodes.append(node("Mul", [z, f"s{l}"], [h], name=f"silu{l}"))
        elif name == "ascending":
            tensors += [tensor(np.array([k]), key) for key, k in (("zero", 0), ("one", 1), ("end", layer.n_out))]
            nodes += [
                node("Slice", [z, "zero", "one", "last"], ["lowest"]),
                node("Slice", [z, "one", "end", "last"], ["rest"]),
                node("Softplus", ["rest"], ["increments"]),
                node("Concat", ["lowest", "increments"], ["summands"], axis=-1),
                node("CumSum", ["summands", "last"], [h], name=f"ascending{l}"),
            ]
            tensors.append(tensor(np.array([-1]), "last"))
        elif name != "identity":
            operation, settings = _OPERATIONS[name]
            nodes.append(node(operation, [z], [h], name=f"{name}{l}", **settings))
        here = h
    if many:
        tensors += [tensor(np.array([0]), "axes"), tensor(np.array(len(params), spec.dtype), "members")]
        nodes += [
            node("ReduceSum", ["outputs", "axes"], ["sum"], keepdims=0),
            node("Div", ["sum", "members"], ["mean"]),
            node("Sub", ["outputs", "mean"], ["off"]),
            node("Mul", ["off", "off"], ["squares"]),
            node("ReduceSum", ["squares", "axes"], ["sum_of_squares"], keepdims=0),
            node("Div", ["sum_of_squares", "members"], ["variance"]),
            node("Sqrt", ["variance"], ["spread"]),
        ]
    dtype = onnx.TensorProto.FLOAT if spec.dtype == "float32" else onnx.TensorProto.DOUBLE
    value = onnx.helper.make_tensor_value_info
    outputs = [value(name, dtype, ["n", spec.n_out]) for name in (("mean", "spread") if many else ("y",))]
    # The oldest version that has the operations, for the oldest runtimes.
    opset, ir = (20, 9) if "gelu_tanh" in spec.activations else (13, 7)
    model = onnx.helper.make_model(
        onnx.helper.make_graph(nodes, "MLP", [value("x", dtype, ["n", spec.n_in])], outputs, initializer=tensors),
        opset_imports=[onnx.helper.make_opsetid("", opset)],
        ir_version=ir,
        producer_name="fastnn",
    )
    test = self_test(spec, params, beside_one=("elu", "selu"))  # of which ONNX Runtime takes 1 from exp(z)
    told = {key: _plain(array) for key, array in test._asdict().items()}
    onnx.helper.set_model_props(model, {SELF_TEST: json.dumps(told, allow_nan=False)})
    return model.SerializeToString(deterministic=True)


def _plain(array: NDArray) -> list[list[float | str]]:
    """Rows of numbers as JSON has them; those that it lacks are texts, such as "Infinity" and "NaN"."""
    names = {np.inf: "Infinity", -np.inf: "-Infinity"}
    return [[x if np.isfinite(x) else names.get(x, "NaN") for x in row] for row in array.tolist()]
