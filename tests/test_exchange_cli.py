"""``fastnn convert`` and ``fastnn export``."""

import json
import os

import numpy as np
import pytest
from exchange_cases import ensemble, net

import fastnn
from fastnn.apps.cli import main
from fastnn.apps.commands import convert

polars = pytest.importorskip("polars")
save = pytest.importorskip("safetensors.numpy").save_file

from table_cases import trained_on_messy  # noqa: E402 - after importorskip()

pytestmark = pytest.mark.usefixtures("folder")


def test_from_onnx():
    pytest.importorskip("onnx")
    made = net("tanh")
    made.to_onnx("net.onnx")
    assert main(["convert", "net.onnx", "net.safetensors"]) == 0
    assert fastnn.load("net.safetensors").params.tobytes() == made.params.tobytes()


def test_from_a_state_dict(refusal):
    made = net("tanh", sizes=(2, 3, 1))
    state = {}
    for l, (W, b) in enumerate(zip(made.weights, made.biases, strict=True)):
        state |= {f"{l}.weight": W.T.copy(), f"{l}.bias": b.copy()}
    save(state, "state.safetensors")
    command = ["convert", "state.safetensors", "net.npz", "--activations", "tanh,tanh"]
    assert main(command) == 0
    assert fastnn.load("net.npz").params.tobytes() == made.params.tobytes()
    assert "--layers must keep the order of the numbers, 0, 1; got 1, 0" in refusal(*command, "--layers", "1,0")


@pytest.mark.parametrize("kind", ["F16", "BF16"])
def test_weights_of_half_precision_become_float32(kind, folder):
    numbers = [1.0, -2.0, 2.5, 0.5]
    halves = np.array(numbers, "<f2") if kind == "F16" else (np.array(numbers, "<f4").view("<u4") >> 16).astype("<u2")
    entries = {"0.weight": ([1, 3], [0, 6]), "0.bias": ([1], [6, 8])}
    told = {name: {"dtype": kind, "shape": shape, "data_offsets": at} for name, (shape, at) in entries.items()}
    header = json.dumps(told).encode()
    (folder / "state.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + halves.tobytes())
    assert main(["convert", "state.safetensors", "net.npz", "--activations", "identity"]) == 0
    made = fastnn.load("net.npz")
    assert made.spec.dtype == "float32"
    assert made.params.tolist() == numbers


def test_weights_that_are_no_such_numbers_are_refused_by_name(refusal):
    command = ["convert", "state.safetensors", "net.npz", "--activations", "identity"]
    save({"0.weight": np.ones((1, 3), bool)}, "state.safetensors")
    said = "state.safetensors must hold floats of 16, 32 or 64 bits, or integers; '0.weight' is BOOL"
    assert refusal(*command) == f"fastnn convert: {said}\n"
    save({}, "state.safetensors")
    assert "state.safetensors must hold the arrays of a state_dict; it holds none" in refusal(*command)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_domain_is_kept(dtype):
    X = np.random.default_rng(0).normal(size=(50, 3))
    made = net("tanh").with_domain(X, outside="clip")
    made.save("net.npz")
    assert main(["convert", "net.npz", "other.safetensors", "--dtype", dtype]) == 0
    other = fastnn.load("other.safetensors")
    assert other.spec.dtype == dtype
    np.testing.assert_allclose(other.distance(X), made.distance(X), rtol=1e-6)
    np.testing.assert_allclose(other.predict(9 * X), made.predict(9 * X), rtol=1e-4)


def test_the_order_of_layers_without_numbers_must_be_said(refusal):
    made = net("tanh", bias=False, sizes=(2, 2, 2))
    save({"trunk.weight": made.weights[0].T.copy(), "head.weight": made.weights[1].T.copy()}, "state.safetensors")
    command = ["convert", "state.safetensors", "net.npz", "--activations", "tanh,tanh"]
    assert "--layers must give the order of the layers in state.safetensors, head, trunk" in refusal(*command)
    line = refusal(*command, "--layers", "trunk,tail")
    assert "must name the layers in state.safetensors, head, trunk; got trunk, tail" in line
    assert main([*command, "--layers", "trunk,head"]) == 0
    assert "--layers must go with --activations" in refusal(*command[:3], "--layers", "trunk,head")
    assert fastnn.load("net.npz").params.tobytes() == made.params.tobytes()


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("net.pt", "can hold code and is not read; in the program that made it, safetensors"),
        ("net.pkl", "can hold code and is not read"),
        ("net.keras", "fastnn.from_keras"),
        ("net.txt", "SOURCE must end in .onnx, .safetensors or .npz"),
    ],
)
def test_other_files_are_refused_with_what_to_do(source, sentence, refusal, folder):
    (folder / source).write_bytes(b"x")
    assert sentence in refusal("convert", source, "net.npz")


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        ("convert net.npz ./net.npz", "SOURCE and TARGET must name two files; got net.npz for both"),
        (
            "convert net.npz other.npz --activations tanh,tanh",
            "--activations must be left out for net.npz, which holds them",
        ),
        ("export many.npz --to c --best", "--best goes with a model that `fastnn train` made"),
        ("export net.npz --to numpy --derivatives", "--derivatives goes with --to c"),
        (
            "export my-net.npz --to c",
            "--output must be a name of at most 51 letters, digits and _, a letter first, that ends in .c; "
            "got 'my-net.c'",
        ),
    ],
)
def test_refused_in_one_line(argv, sentence, refusal):
    net("tanh").save("net.npz")
    net("tanh").save("my-net.npz")
    ensemble("tanh").save("many.npz")
    assert sentence in refusal(*argv.split())


@pytest.mark.parametrize(("to", "files"), [("c", "net.c net.h"), ("fortran", "net.f90"), ("numpy", "net.py")])
def test_export(to, files, folder):
    net("tanh").save("net.npz")
    assert main(["export", "net.npz", "--to", to]) == 0
    assert {path.name for path in folder.iterdir()} == {"net.npz", *files.split()}


@pytest.mark.parametrize(("to", "ending"), [("c", "h"), ("fortran", "f90"), ("numpy", "py")])
def test_an_ensemble_is_exported_as_its_mean_and_spread(to, ending, folder):
    ensemble("tanh").save("many.npz")
    assert main(["export", "many.npz", "--to", to]) == 0
    assert "Mean and spread of 5 multi-layer perceptrons" in (folder / f"many.{ending}").read_text()


def test_a_model_of_a_table_is_exported_with_what_its_columns_mean(folder):
    rng = np.random.default_rng(0)
    frame = polars.DataFrame({"a": rng.normal(size=60), "b": ["x", "y", "z"] * 20, "t": rng.normal(size=60)})
    frame.write_csv("data.csv")
    assert main(["train", "data.csv", "--target", "t", "--epochs", "2", "--no-figure"]) == 0
    assert main(["export", "data.safetensors", "--to", "c", "--output", "surrogate.c"]) == 0
    assert "#define SURROGATE_N_MEMBERS 8" in (folder / "surrogate.h").read_text()
    assert main(["export", "data.safetensors", "--to", "c", "--output", "surrogate.c", "--best"]) == 0
    assert "N_MEMBERS" not in (folder / "surrogate.h").read_text()
    about = json.loads((folder / "surrogate.json").read_text())
    assert [column["name"] for column in about["inputs"]] == ["a", "b"]
    assert about["inputs"][1]["levels"] == ["x", "y", "z"]
    assert about["output"]["name"] == "t"
    assert about["network"]["inputs"][1:] == [f"1 if b is {level!r}, otherwise 0" for level in "xyz"]
    assert about["network"]["outputs"] == [f"(t - {about['output']['mean']}) / {about['output']['scale']}"]
    assert "surrogate_forward" in (folder / "surrogate.c").read_text()


@pytest.mark.parametrize("name", ["m.py", "m.json"])
def test_an_export_refuses_before_it_writes_what_it_cannot(name, folder, refusal):
    trained_on_messy().model.save("m.safetensors")
    (folder / name).mkdir()
    assert refusal("export", "m.safetensors", "--to", "numpy") == f"fastnn export: {name} is a folder\n"
    assert {path.name for path in folder.iterdir()} == {"m.safetensors", name}


@pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="there is no endless device here")
def test_a_device_is_no_state_dict(tmp_path):
    (tmp_path / "state.safetensors").symlink_to("/dev/zero")
    with pytest.raises(ValueError, match=r"path must be a file; got '.*state.safetensors', a device or a pipe"):
        convert.read(tmp_path / "state.safetensors", "identity", None)
