"""Files that someone else made: right or refused in one sentence that names the file, in little memory."""

import io
import json
import os
import struct
import subprocess
import sys
import tempfile
import zipfile
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastnn
from examples import examples
from fastnn import MLP
from fastnn.checks.extras import require
from fastnn.models import files
from fastnn.models.reading import open_safetensors
from fastnn.tabular.encoding import Column
from fastnn.tabular.model import TableModel
from fastnn.tabular.saved import KEY, is_table_model
from fastnn.tabular.target import Target

pytest.importorskip("safetensors")
HERE = Path(tempfile.mkdtemp(prefix="fastnn-files-"))
NET = MLP((2, 3, 1), rng=0)
CLASSIFIER = MLP((2, 3, 3), output_activation="softmax", rng=0)
RUN = {"epochs": 1, "chunk": 2, "rng": 0, "specialize": False, "optimizer": fastnn.SGD(0.1)}
X, Y = np.ones((4, 2)), np.zeros((4, 1))


NAMES = (
    "net.npz",
    "net.safetensors",
    "table.safetensors",
    "plain.npz",
    "many.npz",
    "some.npz",
    "intervals.npz",
    "sets.npz",
    "checkpoint/chunk-000000.npz",
)


@cache
def whole():
    """The bytes of a good file of each kind, by its name."""
    columns = (Column("a", None, 1.0, 2.0, True),)
    table = TableModel(MLP((2, 1), dtype="float32", rng=0), columns, Target("b"), {"r2": 0.5})
    many = fastnn.Ensemble(NET.spec, np.array([NET.params, NET.params]))
    trained = fastnn.fit_many(NET.spec, X, Y, members=3, **RUN, checkpoint=HERE / "checkpoint")
    for name, thing in {"net.npz": NET, "net.safetensors": NET, "table.safetensors": table}.items():
        thing.save(str(HERE / name))
    many.save(HERE / "plain.npz")
    trained.save(HERE / "many.npz")
    trained[[2, 0]].save(HERE / "some.npz")
    apart = np.linspace(0, 1, 40).reshape(20, 2)
    fastnn.intervals(NET, apart, np.arange(20.0)).save(HERE / "intervals.npz")
    fastnn.prediction_sets(CLASSIFIER, apart, np.arange(20) % 3).save(HERE / "sets.npz")
    return {name: (HERE / name).read_bytes() for name in NAMES}


def read(name, path):
    """Read a file as what it is named for."""
    if name.startswith("table"):
        return TableModel.load(str(path)), is_table_model(str(path))
    if name.startswith("checkpoint"):
        return fastnn.fit_many(NET.spec, X, Y, members=3, **RUN, checkpoint=path.parent)
    kinds = {"intervals.npz": fastnn.Intervals, "sets.npz": fastnn.PredictionSets}
    return kinds[name].load(path) if name in kinds else fastnn.load(path)


def outcome(name, data):
    """What reading a file of these bytes is refused with, or None; any other end than these two is a fault."""
    good, path = whole()[name], HERE / name
    path.write_bytes(data)
    try:
        read(name, path)
    except ValueError as error:
        message = str(error)
        assert path.name in message, message
        assert "\n" not in message
        return message
    finally:
        path.write_bytes(good)
    return None


# ---------------------------------------------------------------- mutated
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from([10**400, -1, 2**63]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=5,
)


def places(value, path=()):
    """Where values stand in nested lists and dictionaries."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*path, key))


def replaced(value, path, new):
    if not path:
        return new
    copy = value.copy()
    copy[path[0]] = replaced(copy[path[0]], path[1:], new)
    return copy


@st.composite
def damaged(draw, data):
    """Bytes cut, turned over, taken out, put in or doubled."""
    data = bytearray(data)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        match draw(st.sampled_from(["cut", "flip", "set", "delete", "insert", "double", "number"])):
            case "cut":
                del data[at:]
            case "flip" if data:
                data[at] ^= 1 << draw(st.integers(0, 7))
            case "set":
                data[at : at + 4] = draw(st.binary(min_size=4, max_size=4))
            case "delete":
                del data[at : at + draw(st.integers(1, 20))]
            case "insert":
                data[at:at] = draw(st.binary(max_size=20))
            case "double":
                data[at:at] = data[at : at + draw(st.integers(1, 200))]
            case "number":
                data[at : at + 8] = draw(st.sampled_from([b"\xff" * 8, b"\0" * 8, struct.pack("<Q", 2**40)]))
    return bytes(data)


@pytest.mark.parametrize("name", NAMES)
@examples(60)
@given(data=st.data())
def test_no_damage_goes_further_than_a_value_error(name, data):
    outcome(name, data.draw(damaged(whole()[name])))


@pytest.mark.parametrize(
    "name", ["net.npz", "net.safetensors", "table.safetensors", "many.npz", "intervals.npz", "sets.npz"]
)
@examples(60)
@given(data=st.data())
def test_no_header_is_trusted(name, data):
    """Any value of the JSON is replaced by any other."""
    whole()
    if name.endswith(".npz"):
        with np.load(HERE / name) as arrays:
            content = dict(arrays)
        header = json.loads(str(content["header"]))
    else:
        content = open_safetensors(HERE / name)
        with content as file:
            texts, params = file.metadata(), file.get_tensor("params")
        key = data.draw(st.sampled_from(sorted(texts)))
        header = json.loads(texts[key])
    header = replaced(header, data.draw(st.sampled_from(list(places(header)))), data.draw(JSON))
    if name.endswith(".npz"):
        file = io.BytesIO()
        np.savez(file, **content | {"header": np.array(json.dumps(header))})
        outcome(name, file.getvalue())
    else:
        from safetensors.numpy import save

        outcome(name, save({"params": params}, metadata=texts | {key: json.dumps(header)}))


# ---------------------------------------------------------------- made to do harm
def npy(descr, shape, data=b""):
    header = f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape!r}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + data


def archive(compression=zipfile.ZIP_STORED, **members):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as made:
        for name, data in members.items():
            made.writestr(f"{name}.npy", data)
    return file.getvalue()


def header_text(**changes):
    spec = {"sizes": [1, 1], "activations": ["identity"], "bias": True, "dtype": "float64"} | changes
    return json.dumps({"format": files.FORMAT, "version": files.VERSION, "spec": spec})


def text(value):
    return npy(f"<U{len(value)}", (), value.encode("utf-32-le"))


def tensors(header, data=b""):
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(raw)) + raw + data


@cache
def harmful():
    """Files made to do harm: under what each is stored, and its bytes."""
    params = {"dtype": "F64", "shape": [2], "data_offsets": [0, 16]}
    huge = {"dtype": "F64", "shape": [2**40], "data_offsets": [0, 2**43]}
    two = npy("<f8", (2,), bytes(16))
    good = text(header_text())
    deep = "[" * 50_000
    of_many = text(json.dumps({**json.loads(header_text()), "format": files.ENSEMBLE, "seed": 0}))
    layers = text(header_text(sizes=[1] * 10**5, activations=["tanh"] * 10**5))
    texts = {"fastnn": header_text()}
    many_tensors = {f"t{i}": params | {"data_offsets": [16 * i, 16 * i + 16]} for i in range(10_000)}
    many_texts = {"__metadata__": {str(i): "" for i in range(50_000)}, "params": params}
    nested = {"__metadata__": texts | {KEY: deep}, "params": params}
    npz = {
        "terabytes": archive(header=good, params=npy("<f8", (2**40,))),
        "terabytes times nothing": archive(header=good, params=npy("<f8", (2**62, 4, 0))),
        "a negative shape": archive(header=good, params=npy("<f8", (-1,))),
        "a text of terabytes": archive(header=npy("<U999999999999", ()), params=two),
        "a bomb": archive(zipfile.ZIP_DEFLATED, header=good, params=npy("<f8", (2**24,), bytes(2**27))),
        "many arrays": archive(**{f"a{i}": b"" for i in range(20_000)}),
        "objects": archive(header=good, params=npy("|O", (2,), b"cos\nsystem\n(S'false'\ntR.")),
        "sizes beyond the file": archive(header=text(header_text(sizes=[10**9, 10**9])), params=two),
        "very many layers": archive(header=layers, params=two),
        "deeply nested": archive(header=text(deep), params=two),
        "members of terabytes": archive(header=of_many, params=npy("<f8", (2**40, 2))),
        "nothing": b"",
    }
    safetensors = {
        "a header of terabytes": struct.pack("<Q", 2**43) + b"{}",
        "tensors of terabytes": tensors({"__metadata__": texts, "params": huge}, bytes(16)),
        "many tensors": tensors(many_tensors, bytes(160_000)),
        "many texts": tensors(many_texts, bytes(16)),
        "nothing at all": b"",
    }
    table = {"a nested table": tensors(nested, bytes(16)), "no table": b""}
    chunks = {"a chunk of terabytes": archive(params=npy("<f8", (2**40,))), "no chunk": b""}
    return {
        case: (name, data)
        for name, cases in [
            ("net.npz", npz),
            ("net.safetensors", safetensors),
            ("table.safetensors", table),
            ("checkpoint/chunk-000000.npz", chunks),
        ]
        for case, data in cases.items()
    }


LOAD = """
import resource, sys
sys.path.insert(0, sys.argv[1])
import test_files_from_outside as outside
def peak():
    (line,) = (line for line in open("/proc/self/status") if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024
harmful = outside.harmful()
for name in outside.NAMES:  # so that all is imported and compiled that reading needs
    assert outside.outcome(name, outside.whole()[name]) is None
limit = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize() + 100 * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
before = peak()
for case, (name, data) in harmful.items():
    message = outside.outcome(name, data)
    assert message, case
    print(f"{case}: {len(data):,} bytes, {message}")
print("memory", peak() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="limits memory as Linux does")
@pytest.mark.slow
def test_harmful_files_are_refused_in_little_memory():
    command = [sys.executable, "-c", LOAD, str(Path(__file__).parent)]
    process = subprocess.run(command, capture_output=True, text=True)
    assert process.returncode == 0, process.stderr[-2000:]
    *_, memory = process.stdout.split()
    assert int(memory) < 32 * 2**20


PEAK = """
import sys, fastnn
def memory(kind):
    (line,) = (line for line in open("/proc/self/status") if line.startswith(kind))
    return int(line.split()[1]) * 1024
fastnn.load(sys.argv[1])
before = memory("VmRSS")
net = fastnn.load(sys.argv[2])
print(memory("VmHWM") - before)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads the size of the process from /proc")
@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_memory_is_at_most_twice_the_file(suffix, tmp_path):
    small, large = tmp_path / f"small{suffix}", tmp_path / f"large{suffix}"
    NET.save(small)
    MLP((1000, 4000, 1000), rng=0, init="unit_uniform").save(large)
    process = subprocess.run([sys.executable, "-c", PEAK, small, large], capture_output=True, text=True, check=True)
    assert int(process.stdout) <= 2.2 * large.stat().st_size  # and some pages of the interpreter's


def test_arrays_may_lie_in_any_order(tmp_path):
    path = tmp_path / "net.safetensors"
    net = MLP((2, 3, 1), dtype="float64", rng=0).with_domain(np.random.default_rng(0).normal(size=(20, 2)))
    net.save(path)
    data = path.read_bytes()
    begin = 8 + int.from_bytes(data[:8], "little")
    header, place, parts = json.loads(data[8:begin]), 0, []
    for name in ("params", "domain"):  # as safetensors itself does not order them
        parts.append(data[begin:][slice(*header[name]["data_offsets"])])
        header[name]["data_offsets"] = [place, place := place + len(parts[-1])]
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(parts))
    assert fastnn.load(path).params.tobytes() == net.params.tobytes()


# ---------------------------------------------------------------- places
def test_the_home_folder_and_names_of_any_language(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    for name in ("~/netz.npz", "~/сеть 网络 é.npz", "~/réseau.safetensors"):
        NET.save(name)
        assert (tmp_path / name[2:]).exists()
        assert fastnn.load(name).params.tobytes() == NET.params.tobytes()
        assert fastnn.load(os.fsencode(tmp_path / name[2:])).spec == NET.spec


@pytest.mark.parametrize("path", [None, 3, 2.5, ["net.npz"], io.BytesIO()])
def test_what_is_no_path(path):
    for act in (NET.save, fastnn.load, fastnn.Ensemble(NET.spec, NET.params[None]).save):
        with pytest.raises(TypeError, match="path must be a str or a path; got"):
            act(path)


@pytest.mark.parametrize("path", ["a\0.npz", Path("a\0.npz"), b"a\0.npz", "a\ud800.npz"])
def test_what_no_file_can_be_called(path):
    for act in (NET.save, fastnn.load, fastnn.Ensemble(NET.spec, NET.params[None]).save):
        with pytest.raises(ValueError, match="path must have only characters that a file's name can have; got"):
            act(path)


@pytest.mark.parametrize("path", ["", b""])
def test_an_empty_path(path):
    for act in (NET.save, fastnn.load, fastnn.Ensemble(NET.spec, NET.params[None]).save):
        with pytest.raises(ValueError, match=f"path must be the name of a file; got {path!r}"):
            act(path)


@pytest.mark.parametrize("functions", [3, None, "sigmoid", fastnn.load])
def test_functions_that_are_no_sequence(functions, tmp_path):
    NET.save(tmp_path / "net.npz")
    with pytest.raises(TypeError, match=r"functions must be a sequence of fastnn\.Activation; got"):
        fastnn.load(tmp_path / "net.npz", functions=functions)


@pytest.mark.skipif(os.name != "posix", reason="links, pipes and devices are POSIX's")
@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_links_folders_devices_and_pipes(suffix, tmp_path):
    real, link = tmp_path / f"real{suffix}", tmp_path / f"link{suffix}"
    NET.save(real)
    link.symlink_to(real)
    MLP((2, 3, 1), rng=1).save(link)
    assert link.is_symlink()
    assert fastnn.load(link).params.tobytes() == fastnn.load(real).params.tobytes() != NET.params.tobytes()

    folder = tmp_path / f"folder{suffix}"
    folder.mkdir()
    for act in (NET.save, fastnn.load):
        with pytest.raises(IsADirectoryError, match=folder.name):
            act(folder)
    device, pipe = tmp_path / f"device{suffix}", tmp_path / f"pipe{suffix}"
    device.symlink_to("/dev/zero")
    os.mkfifo(pipe)
    for place in (device, pipe):
        for act in (NET.save, fastnn.load):
            with pytest.raises(ValueError, match=f"path must be a file; got '.*{place.name}', a device or a pipe"):
                act(place)
    with pytest.raises(FileNotFoundError, match=f"none/net{suffix}"):
        NET.save(tmp_path / "none" / f"net{suffix}")
    assert sorted(os.listdir(tmp_path)) == sorted(path.name for path in (real, link, folder, device, pipe))


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX's")
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664])
def test_what_is_replaced_keeps_its_permissions(mode, tmp_path):
    path = tmp_path / "net.npz"
    NET.save(path)
    path.chmod(mode)
    MLP((2, 3, 1), rng=1).save(path)
    assert path.stat().st_mode & 0o777 == mode


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"positions": np.array([0, 1, 2])}, "its positions are .* for 2 members"),
        ({"positions": np.array([0.0, 1.0])}, "its positions are .* for 2 members"),
        ({"positions": np.array([0, -1])}, "its positions are not all at least 0"),
        ({"status": np.array([1, 9], np.int8)}, "its status is none of those"),
        ({"status": np.array([1, -1], np.int8)}, "its status is none of those"),
        ({"loss": np.zeros(3)}, "its loss is .* for 2 members"),
        ({"epochs": np.zeros(2)}, "its epochs is .* for 2 members"),
        ({"seed": 1.5}, "its seed is 1.5"),
        ({"seed": True}, "its seed is True"),
    ],
)
def test_members_of_another_making(change, said, tmp_path):
    with np.load(io.BytesIO(whole()["some.npz"])) as arrays:
        content = dict(arrays)
    if "seed" in change:
        content["header"] = np.array(json.dumps(json.loads(str(content["header"])) | change))
    np.savez(tmp_path / "some.npz", **(content if "seed" in change else content | change))
    with pytest.raises(ValueError, match=said):
        fastnn.load(tmp_path / "some.npz")


def test_margins_of_another_making(tmp_path):
    path = tmp_path / "sure.npz"
    fastnn.intervals(NET, np.linspace(0, 1, 40).reshape(20, 2), np.arange(20.0)).save(path)
    with np.load(path) as arrays:
        content = dict(arrays)
    for change in ({"margin": np.zeros(2)}, {"margin": np.zeros(1, np.float32)}, {"shares": np.zeros((20, 1))}):
        np.savez(path, **content | change)
        with pytest.raises(ValueError, match=r"its arrays are .*, not {'margin': "):
            fastnn.Intervals.load(path)


def saved_sure(kind, path):
    """The content of a file of this kind, which is then changed."""
    X, y = np.linspace(0, 1, 40).reshape(20, 2), np.arange(20.0)
    counts = np.random.default_rng(0).multinomial(20, np.full(20, 1 / 20), size=12)
    many = fastnn.Ensemble(NET.spec, [MLP((2, 3, 1), rng=k).params for k in range(12)])
    {
        "absolute": lambda: fastnn.intervals(NET, X, y),
        "members": lambda: fastnn.intervals(many, X, y),
        "normalised": lambda: fastnn.intervals(MLP((2, 2), rng=0), X, y, method="normalised"),
        "jackknife+": lambda: fastnn.intervals(many, X, y, method="jackknife+", sample_weight=counts),
        "aps": lambda: fastnn.prediction_sets(CLASSIFIER, X, np.arange(20) % 3),
    }[kind]().save(path)
    with np.load(path) as arrays:
        return dict(arrays)


@pytest.mark.parametrize(
    ("kind", "change", "said"),
    [
        ("absolute", {"margin": np.array([np.nan])}, "its margin has values below 0 or NaN"),
        ("absolute", {"margin": np.array([-1.0])}, "its margin has values below 0 or NaN"),
        ("absolute", {"method": "quantile"}, "model must be a network with at least two quantiles"),
        ("absolute", {"output": "softmax"}, "model must not be a classifier"),
        (
            "members",
            {"params": np.zeros((12, 13), np.float32)},
            r"its params are .* float32, its spec has 13 of float64",
        ),
        ("members", {"params": np.zeros((0, 13))}, "it has no members"),
        ("normalised", {"min_variance": np.array([-1.0])}, "its min_variance has values below 0 or NaN"),
        ("jackknife+", {"shares": np.zeros((20, 12))}, "its shares do not sum to 1"),
        ("jackknife+", {"shares": np.full((20, 12), np.nan)}, "its shares has values below 0 or NaN"),
        ("aps", {"threshold": np.array(np.nan)}, "its threshold has values below 0 or NaN"),
        ("aps", {"output": "exp"}, "model must be one network or several with a softmax output"),
    ],
)
def test_intervals_and_sets_that_were_never_made(kind, change, said, tmp_path):
    path = tmp_path / "sure.npz"
    content = saved_sure(kind, path)
    header = json.loads(str(content["header"]))
    header["method"] = change.pop("method", header["method"])
    header["spec"]["activations"][-1] = change.pop("output", header["spec"]["activations"][-1])
    np.savez(path, **content | {"header": np.array(json.dumps(header))} | change)
    with pytest.raises(ValueError, match=rf"got '.*sure.npz': {said}"):
        (fastnn.PredictionSets if kind == "aps" else fastnn.Intervals).load(path)


@pytest.mark.parametrize(
    ("name", "load", "said"),
    [
        ("intervals.npz", fastnn.load, "it holds Intervals, which fastnn.Intervals.load reads"),
        ("sets.npz", fastnn.load, "it holds PredictionSets, which fastnn.PredictionSets.load reads"),
        ("sets.npz", fastnn.Intervals.load, "it holds PredictionSets, which fastnn.PredictionSets.load reads"),
        ("intervals.npz", fastnn.PredictionSets.load, "it holds Intervals, which fastnn.Intervals.load reads"),
        ("net.npz", fastnn.Intervals.load, "it holds a network, which fastnn.load reads"),
        ("many.npz", fastnn.PredictionSets.load, "it holds an ensemble, which fastnn.load reads"),
        ("checkpoint/chunk-000000.npz", fastnn.load, "it is part of a checkpoint, from whose folder the same call of"),
        ("other.npz", fastnn.load, "it has no 'header'"),
        ("other.safetensors", fastnn.load, "it does not say that it is one; `fastnn convert` with --activations reads"),
        ("other.onnx", fastnn.load, "which fastnn.from_onnx or `fastnn convert` reads"),
        ("net.npz", TableModel.load, "path must be a model that `fastnn train` made, and end in .safetensors"),
        ("net.safetensors", TableModel.load, "got '.*', another network, which fastnn.load reads"),
    ],
)
def test_a_file_of_another_kind_is_told_with_what_reads_it(name, load, said):
    whole()
    if name == "other.npz":
        np.savez(HERE / name, x=np.zeros(3))
    if name == "other.safetensors":
        require("safetensors.numpy", "io").save_file({"0.weight": np.zeros((1, 2))}, HERE / name)
    with pytest.raises(ValueError, match=said) as caught:
        load(HERE / name)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_checkpoint_of_another_making(tmp_path):
    folder = tmp_path / "kept"
    settings = {"members": 3, **RUN, "checkpoint": folder}
    many = fastnn.fit_many(NET.spec, X, Y, **settings)
    chunk = folder / "chunk-000000.npz"
    good = chunk.read_bytes()
    with np.load(chunk) as arrays:
        content = dict(arrays)
    for change in ({"member": np.array([5, 6])}, {"status": np.array([0, 1], np.int8)}, {"loss": np.zeros(3)},
                   {"params": np.zeros((2, 99))}, {"epochs": np.zeros(2)}):  # fmt: skip
        np.savez(chunk, **content | change)
        with pytest.raises(ValueError, match=r"checkpoint must hold what fit_many wrote; got '.*chunk-000000.npz': it"):
            fastnn.fit_many(NET.spec, X, Y, **settings)
    chunk.write_bytes(good)
    assert fastnn.fit_many(NET.spec, X, Y, **settings).params.tobytes() == many.params.tobytes()
    for mark in (b"", b"\xff\xfe", b"x" * 10**6):
        (folder / "run.txt").write_bytes(mark)
        with pytest.raises(ValueError, match="of another run"):
            fastnn.fit_many(NET.spec, X, Y, **settings)
