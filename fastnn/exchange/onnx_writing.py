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


class _GraphBuilder:
    """The nodes and the constant arrays of a model, in the order in which they are added."""

    def __init__(self) -> None:
        self._helper, self._arrays = require("onnx.helper", "onnx"), require("onnx.numpy_helper", "onnx")
        self.nodes: list[Any] = []
        self.arrays: list[Any] = []

    def node(self, operation: str, inputs: list[str], output: str, name: str | None = None, **attributes: Any) -> None:
        """Add an operation, which computes `output`."""
        self.nodes.append(self._helper.make_node(operation, inputs, [output], name=name, **attributes))

    def array(self, values: Any, name: str) -> None:
        """Add a constant array."""
        self.arrays.append(self._arrays.from_array(values, name))


def write(spec: NetworkSpec, params: NDArray) -> bytes:
    """The bytes of a file: see `MLP.to_onnx`."""
    onnx = require("onnx", "onnx")
    graph, here, many = _GraphBuilder(), "x", params.ndim == 2
    for l, (layer, (W, b)) in enumerate(zip(spec.layers, weights_and_biases(spec, params), strict=True)):
        name = layer.activation.name
        h = f"h{l}" if l < spec.n_layers - 1 else "outputs" if many else "y"
        z = h if name == "identity" else f"z{l}"
        _add_products(graph, l, W, b, here, z)
        _add_activation(graph, l, name, layer.n_out, z, h)
        here = h
    if many:
        _add_mean_and_spread(graph, np.array(len(params), spec.dtype))
    dtype = onnx.TensorProto.FLOAT if spec.dtype == "float32" else onnx.TensorProto.DOUBLE
    value = onnx.helper.make_tensor_value_info
    outputs = [value(name, dtype, ["n", spec.n_out]) for name in (("mean", "spread") if many else ("y",))]
    inputs = [value("x", dtype, ["n", spec.n_in])]
    # The oldest version that has the operations, for the oldest runtimes.
    opset, ir = (20, 9) if "gelu_tanh" in spec.activations else (13, 7)
    model = onnx.helper.make_model(
        onnx.helper.make_graph(graph.nodes, "MLP", inputs, outputs, initializer=graph.arrays),
        opset_imports=[onnx.helper.make_opsetid("", opset)],
        ir_version=ir,
        producer_name="fastnn",
    )
    # ONNX Runtime takes 1 from exp(z), and computes a sigmoid as a difference from 1/2.
    # The standard has the constants of some activations as float32, whatever they compute with.
    in_single = ("leaky_relu", "selu", "gelu_tanh") if spec.dtype == "float64" else ()
    test = self_test(spec, params, ("elu", "selu", "sigmoid"), in_single)
    told = {key: _plain(array) for key, array in test._asdict().items()}
    onnx.helper.set_model_props(model, {SELF_TEST: json.dumps(told, allow_nan=False)})
    return model.SerializeToString(deterministic=True)


def _add_products(graph: _GraphBuilder, l: int, W: NDArray, b: NDArray | None, x: str, z: str) -> None:
    """``z = x W + b`` of layer l; W and b have an axis more for members."""
    graph.array(W, f"W{l}")
    if b is None:
        graph.node("MatMul", [x, f"W{l}"], z, f"layer{l}")
    elif b.ndim == 1:
        graph.array(b, f"b{l}")
        graph.node("Gemm", [x, f"W{l}", f"b{l}"], z, f"layer{l}")
    else:  # Gemm multiplies one matrix, MatMul every member's
        graph.array(b[:, None], f"b{l}")
        graph.node("MatMul", [x, f"W{l}"], f"p{l}", f"products{l}")
        graph.node("Add", [f"p{l}", f"b{l}"], z, f"layer{l}")


def _add_activation(graph: _GraphBuilder, l: int, name: str, n_out: int, z: str, h: str) -> None:
    """``h = f(z)`` of layer l; nothing for the identity, whose h is z."""
    if name == "identity":
        return
    if name == "silu":
        graph.node("Sigmoid", [z], f"s{l}", f"sigmoid{l}")
        graph.node("Mul", [z, f"s{l}"], h, f"silu{l}")
    elif name == "ascending":
        for place, k in (("zero", 0), ("one", 1), ("end", n_out), ("last", -1)):
            graph.array(np.array([k]), place)
        graph.array(np.array(-1), "axis")  # CumSum's has no dimension, in the standard
        graph.node("Slice", [z, "zero", "one", "last"], "lowest")
        graph.node("Slice", [z, "one", "end", "last"], "rest")
        graph.node("Softplus", ["rest"], "increments")
        graph.node("Concat", ["lowest", "increments"], "summands", axis=-1)
        graph.node("CumSum", ["summands", "axis"], h, f"ascending{l}")
    else:
        operation, attributes = _OPERATIONS[name]
        graph.node(operation, [z], h, f"{name}{l}", **attributes)


def _add_mean_and_spread(graph: _GraphBuilder, members: NDArray) -> None:
    """The mean and the standard deviation of the members' outputs."""
    graph.array(np.array([0]), "axes")
    graph.array(members, "members")
    graph.node("ReduceSum", ["outputs", "axes"], "sum", keepdims=0)
    graph.node("Div", ["sum", "members"], "mean")
    graph.node("Sub", ["outputs", "mean"], "off")
    graph.node("Mul", ["off", "off"], "squares")
    graph.node("ReduceSum", ["squares", "axes"], "sum_of_squares", keepdims=0)
    graph.node("Div", ["sum_of_squares", "members"], "variance")
    graph.node("Sqrt", ["variance"], "spread")


def _plain(array: NDArray) -> list[list[float | str]]:
    """Rows of numbers as JSON has them; those that it lacks are texts, such as "Infinity" and "NaN"."""
    names = {np.inf: "Infinity", -np.inf: "-Infinity"}
    return [[x if np.isfinite(x) else names.get(x, "NaN") for x in row] for row in array.tolist()]
