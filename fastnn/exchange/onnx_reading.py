"""Networks from ONNX files: graphs that are one chain of nodes (extra ``onnx``)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn.checks import counted
from fastnn.checks.extras import require
from fastnn.exchange import arrays
from fastnn.exchange.activations import activation
from fastnn.exchange.folding import Network, network_of
from fastnn.exchange.numbers import floats_of
from fastnn.exchange.shape import Shape
from fastnn.exchange.steps import Scaling, Step, normalisation

#: The versions of the standard whose operations are read; before, broadcasting was another.
OLDEST = 7

#: How many times as large as its files a network may be, which share weights or hold them as small integers.
LARGEST = 16

#: Our name of an operation, and of its attributes: theirs, and what it is if left out.
_ACTIVATIONS: dict[str, tuple[str, dict[str, tuple[str, Any]]]] = {
    "Sigmoid": ("sigmoid", {}),
    "Tanh": ("tanh", {}),
    "Relu": ("relu", {}),
    "LeakyRelu": ("leaky_relu", {"slope": ("alpha", 0.01)}),
    "Elu": ("elu", {"alpha": ("alpha", 1.0)}),
    "Selu": ("selu", {"alpha": ("alpha", 1.67326319), "gamma": ("gamma", 1.05070102)}),
    "Swish": ("silu", {"beta": ("alpha", 1.0)}),
    "Softplus": ("softplus", {}),
    "Gelu": ("gelu_tanh", {"approximate": ("approximate", "none")}),
    "Softmax": ("softmax", {"axis": ("axis", -1)}),
    "Exp": ("exp", {}),
    "Sin": ("sin", {}),
}


def read(path: Path, dtype: Any) -> Network:
    """The network of a file: see `fastnn.from_onnx`."""
    onnx = require("onnx", "onnx")
    data = path.read_bytes()
    try:
        model = onnx.load_model_from_string(data)
    except Exception as error:  # protobuf has exceptions of its own
        raise ValueError(f"path must be an ONNX file; got {str(path)!r}, which cannot be read as one") from error
    versions = {opset.domain: opset.version for opset in model.opset_import}
    version, newest = versions.get("", versions.get("ai.onnx", 0)), onnx.defs.onnx_opset_version()
    if not OLDEST <= version <= newest:
        raise ValueError(f"path must be an ONNX file of opset {OLDEST} to {newest}; got {versions} in {str(path)!r}")
    try:
        graph = _GraphReader(onnx, model.graph, version, path.parent, len(data))
        spec, params = network_of(graph.steps(), dtype)
        if graph.widths and spec.n_in not in graph.widths:
            features = f"the {spec.n_in} features of its first layer"
            raise ValueError(f"the graph's input must have {features}; it has {graph.widths[0]}")
    except (TypeError, ValueError) as error:
        raise ValueError(f"{error} (in {str(path)!r})") from error
    return spec, params


def _setting(settings: dict[str, Any], name: str, default: Any, place: str) -> Any:
    """An attribute of a node, of the type that its default has."""
    value = settings.get(name, default)
    if not isinstance(value, type(default)):
        kind = {float: "a number", int: "a whole number", str: "a text"}[type(default)]
        raise ValueError(f"{place} must have {kind} as {name}; got {value!r}")
    return value


class _GraphReader:
    """A graph, walked along the one value that is not a constant."""

    def __init__(self, onnx: Any, graph: Any, version: int, folder: Path, size: int):
        self.onnx, self.graph, self.version, self.folder = onnx, graph, version, folder
        self.size = size  # of all files, in bytes
        self.weights = 0  # bytes of them in the network to be
        self.loaded: Counter[Path] = Counter()  # bytes from files beside
        if graph.sparse_initializer:
            raise ValueError("the graph must have dense initializers; got sparse ones")
        self.constants = {tensor.name: self._array(tensor) for tensor in graph.initializer}
        inputs = [value for value in graph.input if value.name not in self.constants]
        if len(inputs) != 1 or len(graph.output) != 1:
            raise ValueError(f"the graph must have one input and one output; got {len(inputs)} and {len(graph.output)}")
        self.here = inputs[0].name
        tensor = inputs[0].type.tensor_type
        dims = [dim.dim_value for dim in tensor.shape.dim]  # 0 where any will do
        self.shape = Shape(dims or None)
        types = onnx.TensorProto
        self.floats = (types.FLOAT, types.DOUBLE, types.FLOAT16, types.BFLOAT16)
        self.input_type = tensor.elem_type
        self.computes_in_floats = tensor.elem_type in (types.UNDEFINED, *self.floats)
        #: Features of a sample, as the file says, if it does: all of them flattened, or those of the last dimension.
        self.widths = [width for width in {*dims[-1:], math.prod(dims[1:] or dims or [0])} if width > 0]
        self.uses = Counter(name for node in graph.node for name in node.input)
        self.uses[graph.output[0].name] += 1

    def steps(self) -> Iterator[Step]:
        """What the nodes do, in order."""
        before_sigmoid = ""  # the value that a node multiplies by its sigmoid
        for index, node in enumerate(self.graph.node):
            kind = node.op_type if str(node.op_type).isidentifier() else ascii(node.op_type)
            place = f"node {node.name or index!r} ({kind})"
            if node.domain not in ("", "ai.onnx"):
                raise ValueError(f"{place} must belong to the ONNX standard; it belongs to the domain {node.domain!r}")
            if not any(node.output[:1]):
                raise ValueError(f"{place} must have an output; it has none")
            self._check_form(node, place)
            if before_sigmoid:
                if node.op_type != "Mul" or set(node.input) != {before_sigmoid, self.here}:
                    raise ValueError(f"{place} must multiply a value by its sigmoid, to be silu; got another operation")
                yield activation("silu", place)
                before_sigmoid, self.here = "", node.output[0]
            elif all(name in self.constants for name in node.input if name):
                self.constants[node.output[0]] = self._constant(node, place)
            elif self.here not in node.input:
                raise ValueError(
                    f"{place} must take what the node before it gives, {self.here!r}, as the graph must be one chain; "
                    f"got {', '.join(map(repr, node.input)) or 'nothing'}"
                )
            elif node.op_type == "Sigmoid" and self.uses[self.here] == 2:
                before_sigmoid, self.here = self.here, node.output[0]
            elif self.uses[self.here] != 1:
                raise ValueError(
                    f"{place} must be the only one to take its input, once, as the graph must be one chain; "
                    f"{self.here!r} is taken {self.uses[self.here]} times"
                )
            else:
                yield from self._step(node, place)
                self.here = node.output[0]
        if self.here != self.graph.output[0].name:
            raise ValueError(f"the graph's output must be that of its last node; got {self.graph.output[0].name!r}")

    def _check_form(self, node: Any, place: str) -> None:
        """Refuse inputs and attributes that the operation does not have, as they cannot be taken into account."""
        try:
            schema = self.onnx.defs.get_schema(node.op_type, self.version)
        except (TypeError, self.onnx.defs.SchemaError):  # it has no such name, in this version or at all
            return
        if len(node.input) > schema.max_input:
            raise ValueError(f"{place} must have {counted(schema.max_input, 'input')} at most; got {len(node.input)}")
        for attribute in node.attribute:
            if attribute.name not in schema.attributes:
                raise ValueError(f"{place} must have attributes of the standard's alone; got {attribute.name!r}")

    def _step(self, node: Any, place: str) -> Iterator[Step]:
        kind, settings = node.op_type, self._attributes(node, place)
        if not self.computes_in_floats and kind not in ("Cast", "Flatten", "Reshape", "Identity"):
            types = {number: name for name, number in self.onnx.TensorProto.DataType.items()}
            got = types.get(self.input_type, self.input_type)
            raise ValueError(f"{place} must compute with floats; the graph's input is of {got} and not cast to them")
        if kind in _ACTIVATIONS:
            ours, theirs = _ACTIVATIONS[kind]
            given = {key: _setting(settings, *default, place) for key, default in theirs.items()}
            if kind == "Softmax":  # all from axis 1 on, before there was another default
                axis = given["axis"] if "axis" in settings or self.version >= 13 else 1
                given["axis"] = self.shape.from_end(axis)
            yield activation(ours, place, **given)
        elif kind == "Gemm":
            yield from self._gemm(node, settings, place)
        elif kind == "MatMul":
            if node.input[0] != self.here:
                raise ValueError(f"{place} must multiply its input by weights from the right; got them on the left")
            yield self._dense(self._weights(node, place), place)
        elif kind in ("Add", "Sub", "Mul", "Div"):
            yield self._arithmetic(node, place)
        elif kind == "BatchNormalization":
            # Before there was the attribute, further outputs, the batch's statistics, meant training.
            if _setting(settings, "training_mode", 0, place) or any(node.output[1:]):
                raise ValueError(f"{place} must not be in training mode; it is")
            if self.shape.from_end(1) not in (1, -1):
                raise ValueError(f"{place} must take values of 2 dimensions; got {len(self.shape.dims or ())}")
            gamma, beta, mean, variance = (self._row(node, position, place) for position in (1, 2, 3, 4))
            yield normalisation(mean, variance, _setting(settings, "epsilon", 1e-5, place), gamma, beta, place)
        elif not self._idle(node, settings, place):
            raise ValueError(f"{place} cannot be part of an MLP of dense layers and fastnn's activations")

    def _gemm(self, node: Any, settings: dict[str, Any], place: str) -> Iterator[Step]:
        if node.input[0] != self.here or _setting(settings, "transA", 0, place):
            got = "weights on the left" if node.input[0] != self.here else "its input transposed"
            raise ValueError(f"{place} must multiply its input, not transposed, by weights from the right; got {got}")
        if self.shape.dims and len(self.shape.dims) != 2:
            raise ValueError(f"{place} must take values of 2 dimensions; got {len(self.shape.dims)}")
        weights = self._weights(node, place)
        self.shape.dims = self.shape.dims or [0, 0]  # as Gemm takes no others
        yield self._dense(weights.T if _setting(settings, "transB", 0, place) else weights, place)
        alpha, beta = (_setting(settings, name, 1.0, place) for name in ("alpha", "beta"))
        if alpha != 1:
            yield Scaling(np.float64(alpha), np.float64(0), place)
        if len(node.input) > 2 and node.input[2]:
            yield Scaling(np.float64(1), beta * self._row(node, 2, place), place)

    def _dense(self, weights: NDArray, place: str) -> Step:
        self.shape.multiply(weights.shape[1])
        return arrays.dense(weights, None, place)

    def _arithmetic(self, node: Any, place: str) -> Step:
        ours = list(node.input).index(self.here)
        c = self._row(node, 1 - ours, place)
        one, zero = np.float64(1), np.float64(0)
        if node.op_type == "Add":
            return Scaling(one, c, place)
        if node.op_type == "Mul":
            return Scaling(c, zero, place)
        if node.op_type == "Sub":
            return Scaling(one, -c, place) if ours == 0 else Scaling(-one, c, place)
        with np.errstate(divide="ignore", over="ignore"):
            factor = 1 / c
        if ours == 1 or np.isinf(factor).any():
            raise ValueError(f"{place} must divide its input by numbers other than 0; got another quotient")
        return Scaling(factor, zero, place)

    def _idle(self, node: Any, settings: dict[str, Any], place: str) -> bool:
        """Whether the node changes nothing about samples of one dimension."""
        if node.input[0] != self.here:
            return False
        if node.op_type == "Reshape":
            return self._reshaped(self._of(node, 1, place), settings, place)
        if node.op_type == "Flatten" and _setting(settings, "axis", 1, place) == 1:
            self.shape.reshape(1 if len(self.shape.dims or (0, 0)) == 1 else 0, place)
            return True
        if node.op_type == "Cast" and _setting(settings, "to", 0, place) in self.floats:
            self.computes_in_floats = True
            return True
        training = node.op_type == "Dropout" and len(node.input) > 2 and node.input[2]
        if training and np.any(self._of(node, 2, place)):
            raise ValueError(f"{place} must not be in training mode; it is")
        return node.op_type in ("Identity", "Dropout")

    def _reshaped(self, shape: NDArray, settings: dict[str, Any], place: str) -> bool:
        """Whether a new shape leaves each sample a row of its own: 0 is a dimension as it was, -1 what is left."""
        if (
            shape.shape != (2,)
            or shape.dtype.kind != "i"
            or shape.min() < -1
            or (_setting(settings, "allowzero", 0, place) and not shape.all())
        ):
            return False
        dims, (rows, features) = self.shape.dims, shape.tolist()
        if (rows > 0 and (not dims or rows != dims[0])) or (rows, features) == (-1, -1):
            return False
        if dims is not None and len(dims) == 1 and rows != -1:  # a sample's features would become samples
            return False
        if features == 0 and (dims is None or len(dims) != 2):
            return False
        self.shape.reshape(max(features, 0), place)
        return True

    # ------------------------------------------------------------ constants
    def _of(self, node: Any, position: int, place: str) -> NDArray:
        """The constant that is an input of the node."""
        name = node.input[position] if position < len(node.input) else ""
        if name not in self.constants:
            raise ValueError(f"{place} must have a constant as input {position}; got {name!r}")
        return self.constants[name]

    def _weights(self, node: Any, place: str) -> NDArray:
        """The constant that a node multiplies by, which other nodes may share as long as that is no bomb."""
        weights = floats_of(f"the weights of {place}", self._of(node, 1, place), 2)
        self.weights += weights.nbytes
        if self.weights > LARGEST * self.size:
            raise ValueError(
                f"{place} must not make the network more than {LARGEST} times as large as its files are, "
                f"{self.size:,} bytes; it shares its weights with too many nodes"
            )
        return weights

    def _row(self, node: Any, position: int, place: str) -> NDArray:
        """A constant that is one number, or one for each feature, in float64."""
        array = self._of(node, position, place)
        if array.size != (array.shape[-1] if array.ndim else 1):
            raise ValueError(f"{place} must have one row of numbers as input {position}; got shape {array.shape}")
        dims = self.shape.dims or []
        if array.ndim > max(2, len(dims)) or (array.size > 1 and dims[-1:] == [1]):
            raise ValueError(f"{place} must keep the shape of its input, {dims}; input {position} has {array.shape}")
        if dims and array.ndim > len(dims):
            self.shape.dims = [1, *dims]
        row = floats_of(f"input {position} of {place}", array.reshape(-1), 1).astype(np.float64)
        return row[0] if len(row) == 1 else row

    def _constant(self, node: Any, place: str) -> NDArray:
        """What a node makes of constants alone."""
        settings = self._attributes(node, place)
        if node.op_type == "Constant" and len(settings) == 1:
            ((name, value),) = settings.items()
            if name == "value" and isinstance(value, self.onnx.TensorProto):
                return self._array(value)
            if name in ("value_float", "value_floats", "value_int", "value_ints"):
                kind, dtype = (float, np.float32) if "float" in name else (int, np.int64)
                if not all(isinstance(number, kind) for number in (value if isinstance(value, list) else [value])):
                    raise ValueError(f"{place} must have numbers of its type as {name}; got {value!r:.40}")
                return np.array(value, dtype)
        if node.op_type == "Identity":
            return self._of(node, 0, place)
        if node.op_type == "Transpose" and settings.get("perm", [1, 0]) == [1, 0]:
            return self._of(node, 0, place).T
        raise ValueError(f"{place} must not compute with constants alone; got a graph that was not simplified")

    def _attributes(self, node: Any, place: str) -> dict[str, Any]:
        if any(attribute.ref_attr_name for attribute in node.attribute):
            raise ValueError(f"{place} must have its attributes' values; got a reference to another's")
        values = {}
        for attribute in node.attribute:
            try:
                value = self.onnx.helper.get_attribute_value(attribute)
                values[attribute.name] = value.decode() if isinstance(value, bytes) else value
            except ValueError as error:  # of a type that there is not, or not UTF-8
                raise ValueError(
                    f"{place} must have attributes of the standard's types, texts in UTF-8; {attribute.name!r} is not"
                ) from error
        return values

    def _array(self, tensor: Any) -> NDArray:
        """A tensor's numbers, which may stand in a file beside; no more memory is taken than the file has."""
        if tensor.data_location == self.onnx.TensorProto.EXTERNAL:
            tensor = self._loaded(tensor)
        try:
            return self.onnx.numpy_helper.to_array(tensor)
        except Exception as error:  # a damaged file fails in any of a dozen ways
            raise ValueError(
                f"tensor {tensor.name!r} must hold as many numbers as its shape says; that is {list(tensor.dims)}"
            ) from error

    def _loaded(self, tensor: Any) -> Any:
        entries = {entry.key: entry.value for entry in tensor.external_data}
        location = entries.get("location", "")
        file = self.folder / location
        if not location or Path(location).name != location or file.is_symlink() or not file.is_file():
            raise ValueError(f"tensor {tensor.name!r} must be in a file beside the model; got {location!r}")
        try:
            offset = int(entries.get("offset", 0))
            length = int(entries.get("length", file.stat().st_size - offset))
        except ValueError as error:
            raise ValueError(f"tensor {tensor.name!r} must have numbers as offset and length; got {entries}") from error
        size = file.stat().st_size
        if offset < 0 or length < 0 or offset + length > size:
            raise ValueError(f"tensor {tensor.name!r} must lie within {location!r}; it ends at {offset + length}")
        self.size += 0 if file in self.loaded else size
        self.loaded[file] += length
        if self.loaded[file] > size:
            raise ValueError(f"tensor {tensor.name!r} must share no bytes of {location!r} with others; it does")
        loaded = self.onnx.TensorProto(name=tensor.name, data_type=tensor.data_type, dims=tensor.dims)
        with open(file, "rb") as stream:
            stream.seek(offset)
            loaded.raw_data = stream.read(length)
        return loaded
