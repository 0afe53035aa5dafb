"""From ONNX files and to them; ONNX Runtime is the judge where it is installed."""

import json
import os

import numpy as np
import pytest
from exchange_cases import DTYPES, EXPORTED, WIDTHS, difference, ensemble, extreme, net, samples

import fastnn
from fastnn.exchange.onnx_writing import SELF_TEST
from fastnn.exchange.self_test import mean_and_spread

onnx = pytest.importorskip("onnx")
node = onnx.helper.make_node

#: What ONNX Runtime has for float32 alone.
SINGLE = {"leaky_relu", "elu", "selu", "softplus", "gelu_tanh", "ascending"}


def outputs_of(path, X):
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    outputs = session.run(None, {session.get_inputs()[0].name: X})
    return outputs[0] if len(outputs) == 1 else outputs


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", EXPORTED)
def test_there_and_back(name, dtype, bias, tmp_path):
    made, path = net(name, dtype, bias), tmp_path / "net.onnx"
    made.to_onnx(path)
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    if name == "ascending":
        again = made
        with pytest.raises(ValueError, match="the graph must be one chain"):
            fastnn.from_onnx(path)
    else:
        again = fastnn.from_onnx(path)
        assert again.spec == made.spec
        assert again.params.tobytes() == made.params.tobytes()
    test = {key: np.array(value) for key, value in json.loads(model.metadata_props[0].value).items()}
    assert model.metadata_props[0].key == SELF_TEST
    assert (abs(again.predict(test["x"]) - test["outputs"]) <= test["allowed"]).all()
    if dtype == "float32" or name not in SINGLE:
        X = samples(made)
        np.testing.assert_allclose(outputs_of(path, X), made.predict(X), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", EXPORTED)
def test_an_ensemble(name, dtype, bias, tmp_path):
    many, path = ensemble(name, dtype, bias), tmp_path / "net.onnx"
    many.to_onnx(path)
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    test = {key: np.array(value) for key, value in json.loads(model.metadata_props[0].value).items()}
    assert (abs(np.hstack([many.mean(test["x"]), many.std(test["x"])]) - test["outputs"]) <= test["allowed"]).all()
    with pytest.raises(ValueError, match="one input and one output"):
        fastnn.from_onnx(path)
    if dtype == "float32" or name not in SINGLE:
        X = samples(many)
        mean, spread = outputs_of(path, X)
        np.testing.assert_allclose(mean, many.mean(X), rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(spread, many.std(X), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("many", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", EXPORTED)
def test_self_test_passes_in_the_reference_of_the_standard(name, dtype, many, tmp_path):
    from onnx.reference import ReferenceEvaluator

    (ensemble if many else net)(name, dtype).to_onnx(tmp_path / "net.onnx")
    model = onnx.load(tmp_path / "net.onnx")
    test = json.loads(model.metadata_props[0].value)
    outputs = np.hstack(ReferenceEvaluator(model).run(None, {"x": np.array(test["x"], dtype)}))
    assert (abs(outputs - test["outputs"]) <= np.array(test["allowed"])).all()


@pytest.mark.parametrize("width", WIDTHS)
def test_every_width(width, tmp_path):
    made, path = net("tanh", "float32", sizes=(width, width, 2)), tmp_path / "net.onnx"
    made.to_onnx(path)
    X = samples(made)
    np.testing.assert_allclose(outputs_of(path, X), made.predict(X), rtol=1e-6, atol=2e-6)


@pytest.mark.parametrize("width", [1, 2])
@pytest.mark.parametrize("name", ["silu", "gelu_tanh"])
def test_self_test_passes_in_onnx_runtime_far_below_zero_too(name, width, tmp_path):
    net(name, "float32", False, sizes=(3, width, width, width)).to_onnx(tmp_path / "net.onnx")
    test = json.loads(onnx.load(tmp_path / "net.onnx").metadata_props[0].value)
    outputs = outputs_of(tmp_path / "net.onnx", np.array(test["x"], "f4"))
    assert (abs(outputs - test["outputs"]) <= np.array(test["allowed"])).all()


def by_difference(made, name, x):
    """Outputs of a network of elu or selu without biases, as from ``exp(z) - 1`` in float32."""
    scale, alpha = (1.0, 1.0) if name == "elu" else (1.0507009873554805, 1.6732632423543772)
    for W in made.weights:
        z = x @ W
        x = np.where(z > 0, np.float32(scale) * z, np.float32(scale * alpha) * (np.exp(z) - np.float32(1)))
    return x


@pytest.mark.parametrize("judge", ["ONNX Runtime", "the formula"])
@pytest.mark.parametrize("many", [False, True])
@pytest.mark.parametrize("name", ["elu", "selu"])
def test_self_test_allows_a_difference_of_an_exponential_and_one(name, many, judge, tmp_path):
    made, path = (ensemble if many else net)(name, "float32", False), tmp_path / "net.onnx"
    made.params[:] /= 100  # both are nearly 1
    made.to_onnx(path)
    test = json.loads(onnx.load(path).metadata_props[0].value)
    x = np.array(test["x"], "f4")
    if judge == "ONNX Runtime":
        outputs = np.hstack(outputs_of(path, x)) if many else outputs_of(path, x)
    elif many:
        outputs = mean_and_spread(np.array([by_difference(member, name, x) for member in made]))
    else:
        outputs = by_difference(made, name, x)
    assert (abs(outputs - test["outputs"]) <= np.array(test["allowed"])).all()


@pytest.mark.parametrize("judge", ["ONNX Runtime", "the formula"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_self_test_allows_a_sigmoid_that_is_rounded_beside_a_half(dtype, judge, tmp_path):
    made, path = net("sigmoid", dtype), tmp_path / "net.onnx"
    made.params[:] *= 30  # outputs are sure
    made.to_onnx(path)
    test = json.loads(onnx.load(path).metadata_props[0].value)
    x = np.array(test["x"], dtype)
    outputs, half = x, np.array(0.5, dtype)
    if judge == "ONNX Runtime":
        outputs = outputs_of(path, x)
    else:
        for W, b in zip(made.weights, made.biases, strict=True):
            outputs = half + half * np.tanh(half * (outputs @ W + b))
    assert np.min(test["outputs"]) < 1e-6
    assert (abs(outputs - test["outputs"]) <= np.array(test["allowed"])).all()


def test_self_test_of_outputs_at_the_ends_of_float32_is_strict_json(tmp_path):
    extreme("identity").to_onnx(tmp_path / "net.onnx")
    test = json.loads(onnx.load(tmp_path / "net.onnx").metadata_props[0].value, parse_constant=pytest.fail)
    x, wanted, allowed = (np.array(test[key], float) for key in ("x", "outputs", "allowed"))
    assert np.isinf(wanted).any()
    np.testing.assert_array_equal(np.isfinite(allowed), True)
    outputs = outputs_of(tmp_path / "net.onnx", x.astype("f4"))
    with np.errstate(invalid="ignore"):
        assert ((outputs == wanted) | (abs(outputs - wanted) <= allowed)).all()


RNG = np.random.default_rng(0)
CONSTANTS = {
    "W": RNG.normal(size=(3, 4)).astype("f4"),
    "V": RNG.normal(size=(4, 3)).astype("f4"),
    "b": RNG.normal(size=4).astype("f4"),
    "row": RNG.uniform(1, 2, (1, 4)).astype("f4"),
    "three": RNG.uniform(1, 2, 3).astype("f4"),
    "two": np.float32(2),
    "zero": np.zeros(4, "f4"),
    "shape": np.array([-1, 3]),
    "square": RNG.normal(size=(3, 3)).astype("f4"),
    "yes": np.array(True),
    "truths": np.ones((3, 4), bool),
    "half": np.float32(0.5),
    "minute": np.float64(1e-320),
    "pair": np.array([-1, np.nan], "f4"),
}


def write(path, nodes, outputs=1, opset=17, constants=CONSTANTS, inputs=1, width=3, shape=None, dtype="FLOAT"):
    """A model whose nodes are lists: operation, inputs, and attributes; each gives the next value."""
    made = [node(kind, inputs, [f"v{i}"], **dict(*rest)) for i, (kind, inputs, *rest) in enumerate(nodes)]
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        made,
        "g",
        [
            value(f"x{i}" if i else "x", onnx.TensorProto.DataType.Value(dtype), shape or ["n", width])
            for i in range(inputs)
        ],
        [value(f"v{len(nodes) - 1 - i}", onnx.TensorProto.FLOAT, None) for i in range(outputs)],
        [onnx.numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


READ = {
    "gemm of everything": [("Gemm", ["x", "V", "b"], {"alpha": 0.5, "beta": 2.0, "transB": 1})],
    "gemm without biases": [("Gemm", ["x", "W"])],
    "matmul and add": [("MatMul", ["x", "W"]), ("Add", ["v0", "b"])],
    "biases on the left": [("MatMul", ["x", "W"]), ("Add", ["b", "v0"])],
    "silu": [("MatMul", ["x", "W"]), ("Sigmoid", ["v0"]), ("Mul", ["v1", "v0"])],
    "scaled input": [("Sub", ["x", "three"]), ("Div", ["v0", "three"]), ("MatMul", ["v1", "W"]), ("Tanh", ["v2"])],
    "input from a constant": [("Sub", ["two", "x"]), ("MatMul", ["v0", "W"])],
    "scaled output": [("MatMul", ["x", "W"]), ("Mul", ["v0", "row"]), ("Add", ["v1", "two"])],
    "batch norm": [("MatMul", ["x", "W"]), ("BatchNormalization", ["v0", "b", "b", "b", "row4"]), ("Relu", ["v1"])],
    "idle nodes": [
        ("Flatten", ["x"]),
        ("Reshape", ["v0", "shape"]),
        ("Identity", ["v1"]),
        ("Dropout", ["v2"]),
        ("MatMul", ["v3", "W"]),
    ],
    "casts": [
        ("Cast", ["x"], {"to": 1}),
        ("MatMul", ["v0", "W"]),
        ("Cast", ["v1"], {"to": 11}),
        ("Cast", ["v2"], {"to": 1}),
    ],
    "a scalar as biases": [("Gemm", ["x", "W", "two"])],
    "weights that two nodes share": [("MatMul", ["x", "square"]), ("Tanh", ["v0"]), ("MatMul", ["v1", "square"])],
    "transposed weights": [("Transpose", ["V"], {"perm": [1, 0]}), ("MatMul", ["x", "v0"])],
}


@pytest.mark.parametrize("what", READ)
def test_what_is_read(what, tmp_path):
    constants = {**CONSTANTS, "row4": CONSTANTS["row"].ravel()}
    path = write(tmp_path / "net.onnx", READ[what], constants=constants)
    made = fastnn.from_onnx(path)
    X = samples(made)
    assert difference(made, X, outputs_of(path, X)) < 8


REFUSED = {
    r"node 1 \(HardSigmoid\) cannot be part of an MLP": [("MatMul", ["x", "W"]), ("HardSigmoid", ["v0"])],
    r"node 0 \(Conv\) cannot": [("Conv", ["x", "W"])],
    r"node 1 \(LeakyRelu\) must have slope 0.01": [("MatMul", ["x", "W"]), ("LeakyRelu", ["v0"], {"alpha": 0.3})],
    r"node 1 \(Softmax\) must have axis the last": [("MatMul", ["x", "W"]), ("Softmax", ["v0"], {"axis": 0})],
    r"node 1 \(Sub\) must be the only one to take its input": [("MatMul", ["x", "W"]), ("Sub", ["v0", "v0"])],
    r"node 0 \(MatMul\) must multiply its input by weights from the right": [("MatMul", ["W", "x"])],
    r"node 0 \(Gemm\) must multiply its input, not transposed": [("Gemm", ["x", "W"], {"transA": 1})],
    r"node 1 \(Add\) must have one row of numbers": [("MatMul", ["x", "W"]), ("Add", ["v0", "V"])],
    r"node 1 \(Div\) must divide its input by": [("MatMul", ["x", "W"]), ("Div", ["two", "v0"])],
    r"by numbers other than 0": [("MatMul", ["x", "W"]), ("Div", ["v0", "zero"])],
    r"node 1 \(Dropout\) must not be in training mode": [("MatMul", ["x", "W"]), ("Dropout", ["v0", "half", "yes"])],
    r"node 1 \(Relu\) must be the only one|node 2": [("MatMul", ["x", "W"]), ("Relu", ["v0"]), ("Add", ["v1", "v0"])],
    r"node 0 \(Add\) must not compute with constants": [("Add", ["W", "W"]), ("MatMul", ["x", "v0"])],
    r"node 0 \(Loop\) cannot|node 0 \(Loop\)": [("Loop", ["two", "yes", "x"])],
}


LINEAR = ("MatMul", ["x", "W"])
TWICE = [LINEAR, ("Sigmoid", ["v0"])]  # whose sigmoid may belong to silu
REFUSED |= {
    r"node 2 \(Add\) must multiply a value by its sigmoid, to be silu": [*TWICE, ("Add", ["v1", "v0"])],
    r"node 2 \(Mul\) must multiply a value by its sigmoid, to be silu": [
        *TWICE, ("Mul", ["v1", "b"]), ("Add", ["v2", "v0"])
    ],
}  # fmt: skip
REFUSED |= {
    rf"node 1 \({kind}\) cannot be part of an MLP": [LINEAR, (kind, ["v0"])]
    for kind in ("Clip", "Cast", "LogSoftmax", "Celu", "ThresholdedRelu", "Softsign", "Squeeze", "Neg", "ReduceMean")
}
REFUSED |= {
    r"node 0 \(Cast\) cannot": [("Cast", ["x"], {"to": 7}), ("MatMul", ["v0", "W"])],
    r"node 0 \(BatchNormalization\) must have as many means, variances, scales and shifts; got 3 and 4": [
        ("BatchNormalization", ["x", "three", "b", "three", "three"]),
        ("MatMul", ["v0", "W"]),
    ],
    r"node 0 \(Add\) and node 1 \(Mul\) must scale equally many features": [
        ("Add", ["x", "three"]),
        ("Mul", ["v0", "b"]),
    ],
    r"node 0 \(Div\) must divide its input by numbers other than 0": [
        ("Div", ["x", "minute"]),
        ("MatMul", ["v0", "W"]),
    ],
    r"node 1 \(Reshape\) cannot": [LINEAR, ("Reshape", ["v0", "pair"])],
    r"node 0 \(LSTM\) cannot": [("LSTM", ["x", "W", "V"])],
    r"node 1 \(Elu\) must have alpha 1": [LINEAR, ("Elu", ["v0"], {"alpha": 0.5})],
    r"node 1 \(Selu\) must have gamma 1.05070": [LINEAR, ("Selu", ["v0"], {"gamma": 1.1})],
    r"node 1 \(LeakyRelu\) must have slope 0.01.*; got nan": [LINEAR, ("LeakyRelu", ["v0"], {"alpha": np.nan})],
    r"node 1 \(LeakyRelu\) must have a number as alpha; got 'x'": [LINEAR, ("LeakyRelu", ["v0"], {"alpha": "x"})],
    r"node 1 \(Elu\) must have a number as alpha; got \[": [LINEAR, ("Elu", ["v0"], {"alpha": [1.0, 1.0]})],
    r"node 1 \(Softmax\) must have a whole number as axis": [LINEAR, ("Softmax", ["v0"], {"axis": "1"})],
    r"node 0 \(Gemm\) must have a number as alpha; got 'x'": [("Gemm", ["x", "W"], {"alpha": "x"})],
    r"node 1 \(BatchNormalization\) must have a constant as input 2": [LINEAR, ("BatchNormalization", ["v0", "b"])],
    r"node 0 \(Gemm\) must scale 4 features; it scales 3": [("Gemm", ["x", "W", "three"])],
    r"node 0 \(Gemm\) must have a constant as input 1; got ''": [("Gemm", ["x"])],
    r"node 1 \(Relu\) must not compute with constants alone": [LINEAR, ("Relu", [])],
    r"node 1 \(Relu\) must have 1 input at most; got 2": [LINEAR, ("Relu", ["W", "v0"])],
    r"node 1 \(Add\) must have 2 inputs at most; got 3": [LINEAR, ("Add", ["v0", "b", "b"])],
    r"node 1 \(Dropout\) cannot be part": [LINEAR, ("Dropout", ["b", "v0"])],
    r"node 1 \(Mul\) must have attributes of the standard's alone; got 'axis'": [
        LINEAR,
        ("Mul", ["v0", "b"], {"axis": 0}),
    ],
    r"node 1 \('Re\\nlu'\) cannot be part": [LINEAR, ("Re\nlu", ["v0"])],
    r"the weights of node 0 \(MatMul\) must be an array of real numbers": [("MatMul", ["x", "truths"])],
    r"node 0 \(Tanh\) must take what the node before it gives": [("Tanh", ["v1"]), LINEAR],
    r"node 1 \(Div\) must be the only one": [LINEAR, ("Div", ["v0", "two"]), ("Erf", ["v1"]), ("Mul", ["v0", "v2"])],
}


SHAPES = {
    name: np.array(shape)
    for name, shape in {
        "pairs": [-1, 2],
        "column": [-1, 1],
        "four": [-1, 4],
        "all": [1, -1],
        "same rows": [0, -1],
        "four rows": [4, -1],
    }.items()
}
REGROUPED = {
    r"node 1 \(Reshape\) must keep the 4 features of each sample; it makes rows of 2": [
        LINEAR,
        ("Reshape", ["v0", "pairs"]),
    ],
    r"node 2 \(Reshape\) must keep the 4 features of each sample; it makes rows of 2": [
        LINEAR,
        ("Reshape", ["v0", "same rows"]),
        ("Reshape", ["v1", "pairs"]),
    ],
    r"node 1 \(Reshape\) must keep the 4 features of each sample; it makes rows of 1": [
        LINEAR,
        ("Reshape", ["v0", "column"]),
    ],
    r"node 1 \(Reshape\) cannot be part": [LINEAR, ("Reshape", ["v0", "all"])],
}
REGROUPED_OF_THREE = {
    r"node 1 \(Flatten\) must come where values have 2 dimensions.*; got 3": [LINEAR, ("Flatten", ["v0"])],
    r"node 1 \(Reshape\) must come where values have 2 dimensions.*; got 3": [LINEAR, ("Reshape", ["v0", "four"])],
    r"node 0 \(Reshape\) must keep the 6 features of each sample; it makes rows of 3": [("Reshape", ["x", "shape"])],
    r"node 1 \(Softmax\) must have axis the last.*; got -2": [LINEAR, ("Softmax", ["v0"], {"axis": 1})],
    r"node 1 \(Softmax\) must have axis the last.*; got 0": [LINEAR, ("Softmax", ["v0"], {"axis": 4})],
    r"node 0 \(Gemm\) must take values of 2 dimensions; got 3": [("Gemm", ["x", "W"])],
    r"node 0 \(BatchNormalization\) must take values of 2 dimensions; got 3": [
        ("BatchNormalization", ["x", *["three"] * 4])
    ],
}
REGROUPED_OF_ONE = {
    r"node 1 \(Reshape\) cannot be part of": [LINEAR, ("Reshape", ["v0", "same rows"])],
    r"node 1 \(Reshape\) cannot be part of an MLP": [LINEAR, ("Reshape", ["v0", "four rows"])],
    r"node 2 \(Softmax\) must have axis the last.*; got -2": [
        LINEAR,
        ("Add", ["v0", "row"]),
        ("Softmax", ["v1"], {"axis": 0}),
    ],
}


@pytest.mark.parametrize("sentence", [*REGROUPED, *REGROUPED_OF_THREE, *REGROUPED_OF_ONE])
def test_features_that_are_regrouped_are_refused(sentence, tmp_path):
    nodes = (REGROUPED | REGROUPED_OF_THREE | REGROUPED_OF_ONE)[sentence]
    shape = ["n", 3] if sentence in REGROUPED else ["n", 2, 3] if sentence in REGROUPED_OF_THREE else [3]
    with pytest.raises(ValueError, match=sentence):
        fastnn.from_onnx(write(tmp_path / "net.onnx", nodes, constants=CONSTANTS | SHAPES, shape=shape))


@pytest.mark.parametrize("shape", [[-1, 4], [0, 4], [0, -1], [0, 0], [-1, 0]])
def test_a_shape_that_keeps_each_layers_outputs_is_idle(shape, tmp_path):
    nodes = [LINEAR, ("Reshape", ["v0", "shape"]), ("Flatten", ["v1"]), ("Softmax", ["v2"], {"axis": 1})]
    path = write(tmp_path / "net.onnx", nodes, constants=CONSTANTS | {"shape": np.array(shape)})
    made = fastnn.from_onnx(path)
    np.testing.assert_array_equal(made.weights[0], CONSTANTS["W"])
    X = samples(made)
    assert difference(made, X, outputs_of(path, X)) < 8


def test_where_the_input_has_no_shape_gemm_tells_its_dimensions(tmp_path):
    for nodes in ([("Gemm", ["x", "W"]), ("Flatten", ["v0"])], [LINEAR, ("Flatten", ["v0"])]):
        path = write(tmp_path / "net.onnx", nodes)
        model = onnx.load(path)
        model.graph.input[0].type.tensor_type.ClearField("shape")
        path.write_bytes(model.SerializeToString())
        if nodes[0] is LINEAR:
            with pytest.raises(ValueError, match=r"node 1 \(Flatten\) must come .*; got a number that is not known"):
                fastnn.from_onnx(path)
        else:
            assert (fastnn.from_onnx(path).weights[0] == CONSTANTS["W"]).all()


def test_other_faults_of_nodes_are_refused(tmp_path):
    path = write(tmp_path / "net.onnx", [LINEAR, ("LeakyRelu", ["v0"], {"alpha": 0.01})])
    model = onnx.load(path)
    model.graph.node[1].attribute[0].ref_attr_name = "alpha"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ValueError, match=r"node 1 \(LeakyRelu\) must have its attributes' values"):
        fastnn.from_onnx(path)
    model.graph.node[1].domain = "com.microsoft"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ValueError, match=r"must belong to the ONNX standard; it belongs to the domain 'com.microsoft'"):
        fastnn.from_onnx(path)
    model.graph.node[1].domain = ""
    del model.graph.node[1].output[:]
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ValueError, match=r"node 1 \(LeakyRelu\) must have an output; it has none"):
        fastnn.from_onnx(path)
    model = onnx.load(write(path, [LINEAR, ("BatchNormalization", ["v0", "b", "b", "b", "b"])]))
    model.graph.node[1].output.extend(["mean", "variance"])
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ValueError, match=r"node 1 \(BatchNormalization\) must not be in training mode"):
        fastnn.from_onnx(path)


CONSTANT = [("Constant", [], {"value_int": 3}), ("Add", ["x", "v0"]), ("MatMul", ["v1", "W"])]
TEXT = [("Constant", [], {"value_string": "a"}), *CONSTANT[1:]]
FLOATS = [("Constant", [], {"value_floats": [1.5, np.inf, 0.0]}), *CONSTANT[1:]]


@pytest.mark.parametrize(
    ("nodes", "attribute", "sentence"),
    [
        (CONSTANT, {"name": "value"}, "must not compute with constants alone"),
        (CONSTANT, {"name": "value_float"}, "must have numbers of its type as value_float; got 3"),
        (CONSTANT, {"type": 0}, r"must have attributes of the standard's types|must have numbers of its type"),
        (CONSTANT, {"type": 5}, "must have numbers of its type as value_int"),
        (TEXT, {"name": "value_float"}, "must have numbers of its type as value_float; got 'a'"),
        (TEXT, {"s": b"\xff\xfe"}, "must have attributes of the standard's types, texts in UTF-8"),
        (FLOATS, {"name": "value_ints"}, "must have numbers of its type as value_ints"),
    ],
)
def test_attributes_of_another_type_are_refused(nodes, attribute, sentence, tmp_path):
    path = write(tmp_path / "net.onnx", nodes)
    model = onnx.load(path)
    for name, value in attribute.items():
        setattr(model.graph.node[0].attribute[0], name, value)
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ValueError, match=rf"node 0 \(Constant\) ({sentence})"):
        fastnn.from_onnx(path)


@pytest.mark.parametrize("sentence", REFUSED)
def test_refused_in_one_sentence(sentence, tmp_path):
    with pytest.raises(ValueError, match=sentence) as caught:
        fastnn.from_onnx(write(tmp_path / "net.onnx", REFUSED[sentence]))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"opset": 6}, "opset 7 to"),
        ({"opset": 99}, "opset 7 to"),
        ({"inputs": 2}, "one input and one output"),
        ({"dtype": "INT64"}, r"node 0 \(MatMul\) must compute with floats; the graph's input is of INT64"),
        ({"width": 6}, "must have the 3 features of its first layer; it has 6"),
    ],
)
def test_other_models_are_refused(settings, sentence, tmp_path):
    with pytest.raises(ValueError, match=sentence):
        fastnn.from_onnx(write(tmp_path / "net.onnx", [("MatMul", ["x", "W"])], **settings))


@pytest.mark.parametrize("dtype", ["f4", "f8", "i8"])
def test_a_regressor_that_skl2onnx_writes(dtype, tmp_path):
    skl2onnx, neural = pytest.importorskip("skl2onnx"), pytest.importorskip("sklearn.neural_network")
    X = np.random.default_rng(0).normal(0, 3, (30, 3)).astype(dtype)
    model = neural.MLPRegressor(hidden_layer_sizes=(4,), max_iter=9, n_iter_no_change=1, tol=10.0, random_state=0).fit(
        X, X.sum(axis=1)
    )
    path = tmp_path / "net.onnx"
    path.write_bytes(skl2onnx.to_onnx(model, X[:1]).SerializeToString())
    np.testing.assert_allclose(fastnn.from_onnx(path).predict(X)[:, 0], model.predict(X), rtol=1e-3, atol=1e-3)


def test_every_truncation_is_refused_or_read(tmp_path):
    path = tmp_path / "net.onnx"
    net("tanh").to_onnx(path)
    data = path.read_bytes()
    for length in range(0, len(data) - 1, 37):
        path.write_bytes(data[:length])
        with pytest.raises(ValueError, match="must"):
            fastnn.from_onnx(path)


def test_a_shape_that_is_larger_than_the_file_is_refused(tmp_path):
    path = write(tmp_path / "net.onnx", [("MatMul", ["x", "W"])])
    model = onnx.load(path)
    model.graph.initializer[0].dims[:] = [2**40, 2**20]
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ValueError, match="'W' must hold as many numbers as its shape says"):
        fastnn.from_onnx(path)


@pytest.mark.parametrize(
    ("location", "more", "sentence"),
    [
        ("w.bin", {}, None),
        ("w.bin", {"offset": 8}, "as many numbers"),
        ("w.bin", {"length": 999}, "must lie within"),
        ("w.bin", {"offset": -4}, "must lie within"),
        ("../w.bin", {}, "a file beside the model"),
        ("/etc/passwd", {}, "a file beside the model"),
        ("none.bin", {}, "a file beside the model"),
    ],
)
def test_weights_in_a_file_beside(location, more, sentence, tmp_path):
    path = write(tmp_path / "net.onnx", [("MatMul", ["x", "W"])])
    model = onnx.load(path)
    W = model.graph.initializer[0]
    (tmp_path / "w.bin").write_bytes(W.raw_data)
    W.ClearField("raw_data")
    W.data_location = onnx.TensorProto.EXTERNAL
    for key, value in {"location": location, **more}.items():
        entry = W.external_data.add()
        entry.key, entry.value = key, str(value)
    path.write_bytes(model.SerializeToString())
    if sentence is None:
        assert (fastnn.from_onnx(path).weights[0] == CONSTANTS["W"]).all()
    else:
        with pytest.raises(ValueError, match=sentence):
            fastnn.from_onnx(path)


def test_bytes_that_several_tensors_claim_are_refused(tmp_path):
    path = write(tmp_path / "net.onnx", [LINEAR, ("Add", ["v0", "b"])])
    model = onnx.load(path)
    (tmp_path / "w.bin").write_bytes(CONSTANTS["W"].tobytes())
    for name in ("W", "b"):
        tensor = next(tensor for tensor in model.graph.initializer if tensor.name == name)
        onnx.external_data_helper.set_external_data(tensor, "w.bin", 0, CONSTANTS[name].nbytes)
        tensor.ClearField("raw_data")
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ValueError, match="tensor 'b' must share no bytes of"):
        fastnn.from_onnx(path)


def test_paths_of_other_files_and_of_none(tmp_path):
    with pytest.raises(ValueError, match=r"path must end in \.onnx"):
        net("tanh").to_onnx(tmp_path / "net.bin")
    with pytest.raises(FileNotFoundError):
        fastnn.from_onnx(tmp_path / "none.onnx")


def test_a_path_is_read_as_those_of_other_files(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    made = net("tanh")
    made.to_onnx("~/net.onnx")
    for path in ("~/net.onnx", os.fsencode(tmp_path / "net.onnx")):
        assert fastnn.from_onnx(path).params.tobytes() == made.params.tobytes()
    for path in (None, onnx.load(tmp_path / "net.onnx"), (tmp_path / "net.onnx").read_bytes):
        with pytest.raises(TypeError, match="path must be a str or a path; got"):
            fastnn.from_onnx(path)


@pytest.mark.skipif(os.name != "posix", reason="pipes are POSIX's")
def test_a_pipe_is_refused(tmp_path):
    os.mkfifo(tmp_path / "net.onnx")
    with pytest.raises(ValueError, match=r"path must be a file; got .* a device or a pipe"):
        fastnn.from_onnx(tmp_path / "net.onnx")
