"""The kernels on disk: compiled once, found again by the next process, and never stale, mixed up or trusted blindly."""

import gc
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest
from numba import types
from numba.core import event

import fastnn
from fastnn.kernels.jit.compiling import callee, kernel
from fastnn.kernels.jit.digest import ROOMS, sources
from fastnn.reference import predict
from fastnn.settings.spec import NetworkSpec

PACKAGE = Path(fastnn.__file__).parent

#: The least there is to compile of a network. Prints what was compiled, whether Numba got ready to, and the outputs.
PREDICT = """
import json, sys
import numpy as np
from numba.core import event
from fastnn.kernels.tiles.predict import predict
from fastnn.settings.spec import NetworkSpec

spec = NetworkSpec((2, 3), ("leaky_relu",), dtype=sys.argv[1])
X = np.linspace(-1, 1, 10, dtype=spec.dtype).reshape(5, 2)
with event.install_recorder("numba:compile") as recorder:
    outputs = predict(spec, np.linspace(-2, 1, 9, dtype=spec.dtype), X)
compiled = {record.data["dispatcher"].__name__ for _, record in recorder.buffer}
print(json.dumps([sorted(compiled), "numba.np.arraymath" in sys.modules, outputs.tolist()]))
"""

TINY = """
from fastnn.kernels.jit.compiling import kernel

@kernel
def item(x, i):
    return x[i] + 1
"""


# ---------------------------------------------------------------- a network, in processes of its own
def start(package, cache, dtype):
    """A process that computes with a copy of the package and a cache."""
    environment = os.environ | {"NUMBA_CACHE_DIR": str(cache), "PYTHONPATH": str(package.parent)}
    command = [sys.executable, "-c", PREDICT, dtype]
    return subprocess.Popen(command, env=environment, cwd=package.parent, stdout=subprocess.PIPE, text=True)


def finish(process):
    """What was compiled, and the outputs; what is compiled from is loaded only where something is."""
    text, _ = process.communicate()
    assert process.returncode == 0
    compiled, ready, outputs = json.loads(text)
    assert ready == (compiled != [])
    return compiled, np.array(outputs)


def expected(dtype, slope):
    """What `PREDICT` should print."""
    spec = NetworkSpec((2, 3), ("identity",), dtype=dtype)
    z = predict(spec, np.linspace(-2, 1, 9, dtype=dtype), np.linspace(-1, 1, 10, dtype=dtype).reshape(5, 2))
    return np.where(z > 0, z, slope * z)


def stamps(cache):
    """The files of a cache, and when they were written."""
    return {path: path.stat().st_mtime_ns for path in cache.rglob("*.*") if path.is_file()}


@pytest.mark.slow
def test_two_cold_processes_at_once_then_a_warm_one_then_an_edit(tmp_path):
    package, cache = tmp_path / "fastnn", tmp_path / "cache"
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    processes = {dtype: start(package, cache, dtype) for dtype in ("float32", "float64")}
    for dtype, process in processes.items():
        compiled, outputs = finish(process)
        assert "_predict" in compiled
        np.testing.assert_allclose(outputs, expected(dtype, 0.01), rtol=1e-6)

    files = stamps(cache)
    assert {path.suffix for path in files} == {".nbc"}  # no drafts are left behind
    for dtype in processes:
        compiled, outputs = finish(start(package, cache, dtype))
        assert compiled == []
        np.testing.assert_allclose(outputs, expected(dtype, 0.01), rtol=1e-6)
    assert stamps(cache) == files

    source = package / "settings" / "constants.py"
    text = source.read_text()
    assert text.count("LEAKY_SLOPE = 0.01") == 1
    source.write_text(text.replace("LEAKY_SLOPE = 0.01", "LEAKY_SLOPE = 0.25"))
    compiled, outputs = finish(start(package, cache, "float64"))
    assert "_predict" in compiled
    np.testing.assert_allclose(outputs, expected("float64", 0.25), rtol=1e-6)
    assert stamps(cache)
    assert not stamps(cache).keys() & files.keys()  # the stale ones are gone


def test_the_digest_covers_whatever_is_compiled():
    """Each file that compiles, and each module of the package that the kernels import when they are."""
    covered = set(sources())
    texts = {path: path.read_text() for path in PACKAGE.rglob("*.py")}
    compiles = re.compile(r"kernels\.jit\.compiling import|numba\.extending")
    compiling = {path for path, text in texts.items() if compiles.search(text)}
    assert len(compiling) > 10
    assert compiling <= covered
    for path in (PACKAGE / "kernels").rglob("*.py"):
        for room in re.findall(r"^from fastnn\.(\w+)[\w.]* import ", texts[path], re.MULTILINE):
            assert room in ROOMS, f"{path} imports from {room}"
        assert not re.search(r"^from fastnn import", texts[path], re.MULTILINE)
    for path in (PACKAGE / "embed").rglob("*.py"):  # whose Python checks arguments, as compiled code cannot
        for room, names in re.findall(r"^from fastnn\.(\w+)[\w.]* import (.*)", texts[path], re.MULTILINE):
            checking = all(name.startswith("check_") for name in names.split(", "))
            assert room in ROOMS or (room == "checks" and checking), f"{path} imports {names} from {room}"


# ---------------------------------------------------------------- a function of two lines, in this process
@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """A module of one kernel, as a fresh process would import it: its function, and what it compiles."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "cache"))
    gc.collect()
    gc.freeze()  # what other tests left need not be looked through again and again
    source = tmp_path / "tiny.py"
    source.write_text(TINY)

    def call(x, i):
        spec = importlib.util.spec_from_file_location("tiny", source)
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, "tiny", module)  # where what is loaded from the disk looks for it
        spec.loader.exec_module(module)
        gc.collect()  # of the module before nothing is left, as in a fresh process
        with event.install_recorder("numba:compile") as recorder:
            result = module.item(x, i)
        starts = [record for _, record in recorder.buffer if record.is_start]
        return result, len(starts)

    yield call
    gc.unfreeze()


@pytest.fixture
def entry(tiny, tmp_path):
    """The file of the kernel."""
    assert tiny(np.array([1.0, 2.0]), 1) == (3.0, 1)
    (path,) = tmp_path.rglob("*.nbc")
    return path


def test_a_kernel_is_found_again(tiny, entry):
    stamp = entry.stat().st_mtime_ns
    assert tiny(np.array([1.0, 2.0]), 0) == (2.0, 0)
    assert entry.stat().st_mtime_ns == stamp


def test_other_types_have_other_files(tiny, entry):
    assert tiny(np.array([1, 2]), 1) == (3, 1)
    assert len(list(entry.parent.glob("*.nbc"))) == 2
    assert tiny(np.array([1.0, 2.0]), 1) == (3.0, 0)
    assert tiny(np.array([1, 2]), 1) == (3, 0)


def flipped(whole, place):
    damaged = bytearray(whole)
    damaged[int(len(whole) * place)] ^= 4
    return bytes(damaged)


DAMAGES = {
    "empty": lambda whole: b"",
    "another file": lambda whole: b"not a kernel at all\n" * 100,
    "a pickle of something": lambda whole: b"\x80\x05N.",
    "a pickle of no module": lambda whole: b"cno_such_module\nthing\n.",
    "cut short": lambda whole: whole[: len(whole) // 2],
    "the last byte lost": lambda whole: whole[:-1],
    "too long": lambda whole: whole + whole,
    "a bit at the start": lambda whole: flipped(whole, 0),
    "a bit in the middle": lambda whole: flipped(whole, 0.5),
    "a bit in the machine code": lambda whole: flipped(whole, 0.7),
}


def test_a_damaged_file_is_replaced(tiny, entry):
    for damage, damaged in DAMAGES.items():
        whole = entry.read_bytes()
        entry.write_bytes(damaged(whole))
        assert tiny(np.array([1.0, 2.0]), 1) == (3.0, 1), damage
        assert entry.stat().st_size == pytest.approx(len(whole), rel=0.1), damage
    assert tiny(np.array([1.0, 2.0]), 1) == (3.0, 0)


def test_an_unreadable_file_is_replaced(tiny, entry):
    entry.unlink()
    entry.symlink_to("nowhere")
    assert tiny(np.array([1.0, 2.0]), 1) == (3.0, 1)
    assert tiny(np.array([1.0, 2.0]), 1) == (3.0, 0)


@pytest.mark.slow
def test_settings_of_the_compiler_have_entries_of_their_own(tmp_path):
    """None takes another's entries, or takes them away."""
    (tmp_path / "tiny.py").write_text(TINY)
    code = """
import numpy, tiny
try:
    print(tiny.item(numpy.ones(1), 1) * 0)
except IndexError:
    print("refused")
print(*tiny.item.stats.cache_misses.values())
"""
    answers = []
    named = "NUMBA_BOUNDSCHECK", "NUMBA_OPT", "NUMBA_SLP_VECTORIZE"
    for settings in ({}, *({name: "1"} for name in named)) * 2:
        environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "cache")} | settings
        environment["PYTHONPATH"] = os.pathsep.join([str(tmp_path), *sys.path])
        answers.append(subprocess.check_output([sys.executable, "-c", code], env=environment, text=True).split())
    assert [answer[0] for answer in answers] == ["0.0", "refused", "0.0", "0.0"] * 2
    assert [answer[1:] for answer in answers] == [["1"]] * 4 + [[]] * 4


# ---------------------------------------------------------------- functions of one factory
@pytest.mark.parametrize("decorate", [kernel, callee])
def test_functions_of_one_factory_have_names_of_their_own(decorate):
    def factory(large):
        @decorate
        def product(n):
            return n * (2 if large else 1)

        return product

    for large in (False, True):
        function = factory(large)
        function.compile((types.intp,))
        (compiled,) = function.overloads.values()
        assert compiled.fndesc.qualname.endswith(f"product[large={large}]")  # what the symbol is made of


def test_what_a_name_cannot_tell_apart_is_refused():
    numbers = [1, 2]
    with pytest.raises(TypeError, match=r"must close over numbers and texts alone; got \[1, 2\]"):
        kernel(lambda i: numbers[i])
