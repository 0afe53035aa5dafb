"""Networks as ONNX files (extra ``onnx``)."""

from __future__ import annotations

import json
from typing import Any

from numpy.typing import NDArray

from fastnn.checks.extras import require
from fastnn.exchange.self_test import self_test
from fastnn.settings.spec import NetworkSpec

#: Operation and attributes of each activation; silu is two operations.
_OPERATIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "sigmoid": ("Sigmoid", {}),
    "tanh": ("Tanh", {}),
    "relu": ("Relu", {}),
    "leaky_relu": ("LeakyRelu", {"alpha": 0.01}),
    "elu": ("Elu", {"alpha": 1.0}),
    "selu": ("Selu", {"alpha": 1.6732632423543772, "gamma": 1.0507009873554805}),
    "softplus": ("Softplus", {}),
    "gelu_tanh": ("Gelu", {"approximate": "tanh"}),
    "softmax": ("Softmax", {"axis": -1}),
    "exp": ("Exp", {}),
}

#: Key of the self-test in the model's metadata.
SELF_TEST = "fastnn.self_test"


def write(spec: NetworkSpec, params: NDArray) -> bytes:
    """The bytes of a file: see `MLP.to_onnx`."""
    onnx = require("onnx", "onnx")
    node, tensor = onnx.helper.make_node, onnx.numpy_helper.from_array
    nodes, tensors, here = [], [], "x"
    for l, (layer, W) in enumerate(zip(spec.layers, spec.weights(params), strict=True)):
        last, name = l == spec.n_layers - 1, layer.activation.name
        tensors.append(tensor(W, f"W{l}"))
        inputs, z = [here, f"W{l}"], f"z{l}"
        h = "y" if last else f"h{l}"
        if spec.bias:
            tensors.append(tensor(spec.biases(params)[l], f"b{l}"))
            inputs.append(f"b{l}")
        z = h if name == "identity" else z
        nodes.append(node("Gemm" if spec.bias else "MatMul", inputs, [z], name=f"layer{l}"))
        if name == "silu":
            nodes.append(node("Sigmoid", [z], [f"s{l}"], name=f"sigmoid{l}"))
            nodes.append(node("Mul", [z, f"s{l}"], [h], name=f"silu{l}"))
        elif name != "identity":
            operation, settings = _OPERATIONS[name]
            nodes.append(node(operation, [z], [h], name=f"{name}{l}", **settings))
        here = h
    dtype = onnx.TensorProto.FLOAT if spec.dtype == "float32" else onnx.TensorProto.DOUBLE
    value = onnx.helper.make_tensor_value_info
    ends = [value("x", dtype, ["n", spec.n_in])], [value("y", dtype, ["n", spec.n_out])]
    # The oldest version that has the operations, for the oldest runtimes.
    opset, ir = (20, 9) if "gelu_tanh" in spec.activations else (13, 7)
    model = onnx.helper.make_model(
        onnx.helper.make_graph(nodes, "MLP", *ends, initializer=tensors),
        opset_imports=[onnx.helper.make_opsetid("", opset)],
        ir_version=ir,
        producer_name="fastnn",
    )
    test = {key: array.tolist() for key, array in self_test(spec, params)._asdict().items()}
    onnx.helper.set_model_props(model, {SELF_TEST: json.dumps(test)})
    return model.SerializeToString(deterministic=True)
