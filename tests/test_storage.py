"""Saving and loading: nothing is lost, nothing is half written, and no file does harm."""

import errno
import json
import os
import pickle
import stat
import sys

import numpy as np
import pytest

import fastnn
from fastnn import MLP
from fastnn.models import files as storage
from fastnn.models.reading import read_steady

SUFFIXES = [".npz", ".safetensors"]
NETS = [
    MLP.tutorial(rng=3),
    MLP((2, 5, 4, 3), activation=["relu", "gelu_tanh"], output_activation="softmax", dtype="float32", rng=0),
    MLP((1, 1), rng=1),
]


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("net", NETS, ids=repr)
def test_round_trip(net, suffix, tmp_path):
    path = tmp_path / f"net{suffix}"
    net.save(path)
    again = fastnn.load(str(path))
    assert again.spec == net.spec
    assert again.params.dtype == net.params.dtype
    assert again.params.tobytes() == net.params.tobytes()
    assert again.params.flags.carray
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_parameters_that_are_not_finite_survive(suffix, tmp_path):
    net = MLP((1, 1))
    net.params[:] = np.nan, -np.inf
    net.save(tmp_path / f"net{suffix}")
    assert fastnn.load(tmp_path / f"net{suffix}").params.tobytes() == net.params.tobytes()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_failed_save_leaves_the_old_file_and_nothing_else(suffix, tmp_path, monkeypatch):
    path = tmp_path / f"net{suffix}"
    NETS[2].save(path)
    before = path.read_bytes()

    def fail(descriptor):
        raise OSError(errno.ENOSPC, "disk full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match=rf"disk full: '.*net{suffix}'"):
        MLP((1, 1), rng=9).save(path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == [path.name]


def test_a_reading_that_a_new_file_breaks_begins_anew(tmp_path):
    path, new = tmp_path / "net", tmp_path / "new"
    path.write_bytes(b"old")
    new.write_bytes(b"new and longer")

    def read(path):
        if new.exists():
            new.replace(path)
            raise ValueError("half of each")
        if path.read_bytes() == b"damaged":
            raise ValueError("damaged")
        return path.read_bytes()

    assert read_steady(path, read) == b"new and longer"
    path.write_bytes(b"damaged")
    with pytest.raises(ValueError, match="damaged"):
        read_steady(path, read)


@pytest.mark.skipif(os.name != "posix", reason="a file that is open cannot be replaced elsewhere")
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_that_is_replaced_while_it_is_read_is_read_whole(suffix, tmp_path, monkeypatch):
    path, check = tmp_path / f"net{suffix}", storage.check_params
    old, new = (MLP((2, 3, 1), activation=name, rng=seed) for seed, name in enumerate(("tanh", "relu")))
    old.save(path)

    def replaced(*claim_and_spec):
        monkeypatch.setattr(storage, "check_params", check)
        new.save(path)
        check(*claim_and_spec)

    monkeypatch.setattr(storage, "check_params", replaced)
    loaded = fastnn.load(path)
    whole = old if suffix == ".npz" else new
    assert (loaded.spec, loaded.params.tobytes()) == (whole.spec, whole.params.tobytes())


@pytest.mark.skipif(os.name != "posix", reason="a file in a file is another error elsewhere")
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_errors_of_the_system_name_the_file(suffix, tmp_path, monkeypatch):
    path = tmp_path / f"net{suffix}"
    NETS[0].save(path)
    with pytest.raises(NotADirectoryError, match=rf"net{suffix}/net{suffix}'$"):
        NETS[0].save(path / path.name)

    def busy(*paths):
        raise OSError(errno.EBUSY, "busy", *paths)

    def denied(name, mode):
        raise PermissionError(errno.EACCES, "denied", str(name))

    monkeypatch.setattr(os, "replace", busy)
    with pytest.raises(OSError, match=rf"^\[Errno {errno.EBUSY}\] busy: '[^']*net{suffix}'$"):
        NETS[0].save(path)
    for module in ("files", "reading"):
        monkeypatch.setattr(f"fastnn.models.{module}.open", denied, raising=False)
    with pytest.raises(PermissionError, match=rf"net{suffix}'$"):
        fastnn.load(path)
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX's")
def test_a_saved_file_has_the_permissions_of_any_new_file(tmp_path):
    (tmp_path / "any").touch()
    NETS[0].save(tmp_path / "net.npz")
    assert stat.S_IMODE((tmp_path / "net.npz").stat().st_mode) == stat.S_IMODE((tmp_path / "any").stat().st_mode)


@pytest.mark.parametrize("name", ["net", "net.pkl", "net.npz.gz"])
def test_other_suffixes_are_refused(name, tmp_path):
    for act in (NETS[0].save, fastnn.load):
        with pytest.raises(ValueError, match=r"path must end in \.npz or \.safetensors; got '.*net.*'"):
            act(tmp_path / name)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_missing_file_is_an_oserror(suffix, tmp_path):
    with pytest.raises(FileNotFoundError):
        fastnn.load(tmp_path / f"none{suffix}")


def foreign(kind, suffix, tmp_path):
    """The bytes of a file that is none of ours."""
    path = tmp_path / "foreign.npz"
    match kind:
        case "empty":
            return b""
        case "text":
            return b"a,b\n1,2\n"
        case "pickle":
            return pickle.dumps({"params": [1.0]})
        case "other arrays" if suffix == ".npz":
            np.savez(path, weights=np.ones(3))
        case "other arrays":
            return pytest.importorskip("safetensors.numpy").save({"weights": np.ones(3)})
        case "objects":
            np.savez(path, header=np.array({"a": 1}, dtype=object), params=np.ones(2))
    return path.read_bytes()


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("kind", ["empty", "text", "pickle", "other arrays", "objects"])
def test_foreign_files_are_refused(kind, suffix, tmp_path):
    path = tmp_path / f"net{suffix}"
    path.write_bytes(foreign(kind, suffix, tmp_path))
    with pytest.raises(ValueError, match=r"path must be a network that fastnn saved; got '.*net.*': ."):
        fastnn.load(path)


def header(**changes):
    spec = {"sizes": [1, 1], "activations": ["identity"], "bias": True, "dtype": "float64"}
    return {"format": storage.FORMAT, "version": storage.VERSION, "spec": spec} | changes


FIELDS = header()["spec"]
BAD_HEADERS = [
    (header(format="other"), "its format is 'other'"),
    (header(version=99), "its version is 99, this fastnn reads version 1"),
    (header(spec=FIELDS | {"sizes": [1, 10**12]}), "its spec has 2000000000000"),
    (header(spec=FIELDS | {"sizes": [2, 1]}), r"its params are an array of shape \(2,\).*its spec has 3 of float64"),
    (header(spec=FIELDS | {"sizes": [1, -1]}), "sizes must be an integer of at least 1; got -1"),
    (header(spec=FIELDS | {"activations": ["__import__"]}), "output_activation must be one of"),
    (header(spec=FIELDS | {"activations": []}), "not enough values"),
    (header(spec=FIELDS | {"dtype": "float32"}), "its spec has 2 of float32"),
    (header(spec=FIELDS | {"dtype": "object"}), "dtype must be float32 or float64"),
    (header(spec={}), "activations"),
    ([], "list indices"),
]


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(("head", "message"), BAD_HEADERS)
def test_headers_are_not_trusted(head, message, suffix, tmp_path):
    path, text, params = tmp_path / f"net{suffix}", json.dumps(head), np.ones(2)
    if suffix == ".npz":
        np.savez(path, header=np.array(text), params=params)
    else:
        pytest.importorskip("safetensors.numpy").save_file({"params": params}, path, metadata={"fastnn": text})
    with pytest.raises(ValueError, match=f"path must be a network that fastnn saved.*{message}"):
        fastnn.load(path)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_no_damage_goes_further_than_a_value_error(suffix, tmp_path):
    path, net = tmp_path / f"net{suffix}", MLP((2, 3, 1), rng=0)
    net.save(path)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    damaged = [whole[:cut] for cut in rng.integers(0, len(whole), 40)]
    for _ in range(200):
        data = bytearray(whole)
        data[rng.integers(len(data))] ^= 1 << rng.integers(8)
        damaged.append(bytes(data))
    outcomes = [outcome(path, data) for data in damaged]
    assert sum(message is not None for message in outcomes) > 60
    assert all("path must be a network that fastnn saved" in message for message in outcomes if message is not None)


def outcome(path, data):
    """What loading a file of these bytes is refused with, or None."""
    path.write_bytes(data)
    try:
        assert isinstance(fastnn.load(path), MLP)
    except ValueError as error:
        return str(error)


@pytest.mark.parametrize("act", ["save", "load"])
def test_safetensors_missing_names_the_extra(act, tmp_path, monkeypatch):
    path = tmp_path / "net.safetensors"
    NETS[0].save(path)
    for module in ("safetensors", "safetensors.numpy"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=r"fastnn-jit\[io\]"):
        NETS[0].save(path) if act == "save" else fastnn.load(path)
