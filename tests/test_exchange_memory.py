"""What is read takes no more memory than a few times what the file has, whatever it says of itself."""

import tracemalloc

import numpy as np
import pytest

import fastnn
from fastnn.apps.commands.convert import read

onnx = pytest.importorskip("onnx")
save = pytest.importorskip("safetensors.numpy").save_file

W = np.ones((500, 500), np.float32)


def graph(path, weights, layers):
    """Layers that share their weights."""
    value = onnx.helper.make_tensor_value_info
    nodes = [onnx.helper.make_node("MatMul", [f"h{l}", "W"], [f"h{l + 1}"]) for l in range(layers)]
    ends = [[value(name, onnx.TensorProto.FLOAT, ["n", 500])] for name in ("h0", f"h{layers}")]
    made = onnx.helper.make_graph(nodes, "g", *ends, [onnx.numpy_helper.from_array(weights, "W")])
    onnx.save(onnx.helper.make_model(made, opset_imports=[onnx.helper.make_opsetid("", 17)]), path)


def most(path, call):
    """Bytes at the peak over those of the file, and what came."""
    tracemalloc.start()
    try:
        came = call()
    except ValueError as error:
        came = str(error)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / path.stat().st_size, came


@pytest.mark.parametrize(("dtype", "times"), [("f4", 8), ("f2", 16), ("i1", 40)])
def test_weights_in_an_onnx_file(dtype, times, tmp_path):
    graph(path := tmp_path / "net.onnx", W.astype(dtype), 1)
    peak, net = most(path, lambda: fastnn.from_onnx(path))
    assert (net.weights[0] == 1).all()
    assert peak < times


def test_a_small_file_of_a_large_network_is_refused(tmp_path):
    graph(path := tmp_path / "net.onnx", W, 1000)
    peak, error = most(path, lambda: fastnn.from_onnx(path))
    assert "node 16 (MatMul) must not make the network more than 16 times as large as its files are" in error
    assert peak < 40


def test_weights_in_a_state_dict(tmp_path):
    save({f"{l}.weight": W.astype("f2") for l in range(4)}, path := tmp_path / "state.safetensors")
    peak, net = most(path, lambda: read(path, ",".join(["tanh"] * 4), None))
    assert net.spec.sizes == (500,) * 5
    assert peak < 16


def lies():
    """Headers of a safetensors file that do not tell the truth."""
    whole = b'{"0.weight":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]}}'
    yield "a length beyond the file", (2**40).to_bytes(8, "little") + whole + bytes(16)
    for what, header in {
        "a shape that is too large": whole.replace(b"[2,2]", b"[9999999,9999999]"),
        "a negative shape": whole.replace(b"[2,2]", b"[-2,-2]"),
        "an offset beyond the file": whole.replace(b"[0,16]", b"[0,1099511627776]"),
        "offsets in reverse": whole.replace(b"[0,16]", b"[16,0]"),
        "an unknown dtype": whole.replace(b"F32", b"F99"),
        "another dtype": whole.replace(b"F32", b"F64"),
        "tensors that overlap": whole[:-1] + b"," + whole[1:].replace(b"0.w", b"1.w"),
        "no JSON": b"[" * 64,
    }.items():
        yield what, len(header).to_bytes(8, "little") + header + bytes(16)


@pytest.mark.parametrize("data", [data for _, data in lies()], ids=[what for what, _ in lies()])
def test_a_safetensors_header_that_lies_is_refused(data, tmp_path):
    (path := tmp_path / "state.safetensors").write_bytes(data)
    peak, error = most(path, lambda: read(path, "tanh", None))
    assert "cannot be read as a safetensors file" in error
    assert "\n" not in error
    assert peak < 1e6 / path.stat().st_size
