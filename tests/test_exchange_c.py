"""Networks in C: what gcc makes of them computes what ours does, on every path and for every width."""

import ctypes
import itertools
import platform
import shutil
import subprocess

import numpy as np
import pytest
from exchange_cases import DTYPES, EXPORTED, WIDTHS, difference, difference_of_many, ensemble, extreme, net, samples

from fastnn import MLP, Ensemble
from fastnn.exchange import c_functions
from fastnn.exchange.self_test import PRODUCTS
from fastnn.reference import activations, network

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")

STRICT = ("-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-O2")
FAST = ("-O3", "-march=native", "-Wall", "-Wextra", "-Werror")

one_dtype_fast = pytest.mark.parametrize("dtype", ["float32", pytest.param("float64", marks=pytest.mark.slow)])


class Compiled:
    """A network's C file as a shared library."""

    def __init__(self, made, folder, flags, derivatives=False):
        made.to_c(folder / "made.c", derivatives=derivatives)
        gcc(folder, *flags, "-shared", "-fPIC", "-o", "made.so")
        self.spec, self.library = made.spec, ctypes.CDLL(str(folder / "made.so"))

    def __call__(self, function, *vectors, size):
        out = np.empty(size, self.spec.dtype)
        getattr(self.library, f"made_{function}")(*(v.ctypes.data_as(ctypes.c_void_p) for v in (*vectors, out)))
        return out

    def forward(self, X):
        return np.array([self("forward", x, size=self.spec.n_out) for x in X], np.float64)


def gcc(folder, *flags):
    done = subprocess.run(["gcc", *flags, "made.c", "-lm"], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def self_test(folder, *flags):
    gcc(folder, *flags, "-DSELF_TEST", "-o", "test")
    return subprocess.run(["./test"], cwd=folder, capture_output=True, text=True)


@pytest.mark.parametrize("width", [1, 16, 33])
def test_every_width(width, tmp_path):
    made = net("tanh", bias=width % 2 == 0, sizes=(width, width, width))
    X = samples(made)
    assert difference(made, X, Compiled(made, tmp_path, FAST).forward(X)) < 4


def points(dtype):
    """Numbers of every size, and those at which functions do something else."""
    spread = np.concatenate(
        [np.linspace(-30, 30, 5000), np.geomspace(1e-30, 1e30, 500), -np.geomspace(1e-30, 1e30, 500)]
    )
    ends = [0.0, -0.0, np.inf, -np.inf, np.nan, 87, 88.5, -87.3, -103.5, 709.5, -708.4, -745.0]
    return np.concatenate([spread, ends]).astype(dtype)


@pytest.mark.parametrize("flags", [STRICT, pytest.param(FAST, marks=pytest.mark.slow)], ids=["strict", "fast"])
@one_dtype_fast
@pytest.mark.parametrize("name", [name for name in EXPORTED if name not in ("softmax", "identity")])
def test_activations_are_as_near_to_the_truth_as_ours(name, dtype, flags, tmp_path):
    made = MLP((1, 1), output_activation=name, bias=False, dtype=dtype)
    made.params[:] = 1
    x = points(dtype)[:, None]
    with np.errstate(all="ignore"):
        got, ours = Compiled(made, tmp_path, flags).forward(x), made.predict(x).astype(np.float64)
        truth = activations.FUNCTIONS[name](x.astype(np.longdouble))
        truth = np.where(abs(truth) > np.finfo(dtype).max, np.sign(truth) * np.inf, truth)
        same = (got == ours) | (np.isnan(got) & np.isnan(ours))
        size = np.maximum(abs(truth), np.finfo(dtype).tiny / np.finfo(dtype).eps)
        if name in PRODUCTS:
            size = np.maximum(size, abs(x))
        error = np.where(same, 0, abs(got - truth) / (size * np.finfo(dtype).eps))
    assert error.max() <= 4


@one_dtype_fast
@pytest.mark.parametrize("name", EXPORTED)
def test_outputs_and_derivatives(name, dtype, tmp_path):
    made = net(name, dtype, sizes=(3, 18, 4))
    compiled = Compiled(made, tmp_path, STRICT, derivatives=True)
    X = samples(made)
    assert difference(made, X, compiled.forward(X)) < 4
    rng, tolerance = np.random.default_rng(0), 200 * np.finfo(dtype).eps
    t, v = rng.normal(size=3).astype(dtype), rng.normal(size=4).astype(dtype)
    for x in X[:5]:
        J = network.jacobian(made.spec, made.params.astype(np.float64), x.astype(np.float64))
        assert abs(compiled("jvp", x, t, size=4) - J @ t).max() <= tolerance * (abs(J) @ abs(t)).max()
        assert abs(compiled("vjp", x, v, size=3) - v @ J).max() <= tolerance * (abs(v) @ abs(J)).max()


SANITIZED = (*STRICT, "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")


@pytest.mark.parametrize("name", ["gelu_tanh", "softmax"])
def test_self_test_passes_under_the_sanitizers(name, tmp_path):
    net(name, sizes=(3, 19, 33, 2)).to_c(tmp_path / "made.c", derivatives=True)
    done = self_test(tmp_path, *SANITIZED)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout == "made: 0 of 10 outputs are wrong\n"


MANY = [("tanh", "float32", True, STRICT), ("gelu_tanh", "float64", False, FAST), ("softmax", "float64", True, STRICT)]


def mean_and_spread(compiled, X):
    """What an ensemble's functions write at each sample."""
    mean, spread = np.empty((2, len(X), compiled.spec.n_out), compiled.spec.dtype)
    for i, x in enumerate(X):
        compiled.library.made_forward(*(v.ctypes.data_as(ctypes.c_void_p) for v in (x, mean[i], spread[i])))
    return mean, spread


@pytest.mark.parametrize(("name", "dtype", "bias", "flags"), MANY)
def test_an_ensemble(name, dtype, bias, flags, tmp_path):
    many = ensemble(name, dtype, bias, sizes=(3, 18, 4))
    compiled, X = Compiled(many, tmp_path, flags, derivatives=True), samples(many)
    assert difference_of_many(many, X, *mean_and_spread(compiled, X)) < 4
    J = np.mean(
        [network.jacobian(many.spec, p, X[0].astype(np.float64)) for p in many.params.astype(np.float64)], axis=0
    )
    t, v, tolerance = np.ones(3, dtype), np.ones(4, dtype), 200 * np.finfo(dtype).eps
    assert abs(compiled("jvp", X[0], t, size=4) - J @ t).max() <= tolerance * abs(J).sum(axis=1).max()
    assert abs(compiled("vjp", X[0], v, size=3) - v @ J).max() <= tolerance * abs(J).sum(axis=0).max()
    assert self_test(tmp_path, *flags).stdout == "made: 0 of 40 outputs are wrong\n"


@pytest.mark.slow
@pytest.mark.parametrize(("dtype", "bias"), [(DTYPES[0], True), (DTYPES[1], False)])
@pytest.mark.parametrize("name", EXPORTED)
def test_an_ensemble_of_every_kind(name, dtype, bias, tmp_path):
    for width in WIDTHS[::2]:
        (tmp_path / str(width)).mkdir()
        many = ensemble(name, dtype, bias, sizes=(3, width, min(width, 5)))
        X = samples(many)
        assert difference_of_many(many, X, *mean_and_spread(Compiled(many, tmp_path / str(width), FAST), X)) < 4


def test_an_ensemble_under_the_sanitizers(tmp_path):
    ensemble("tanh", sizes=(3, 19, 33, 2)).to_c(tmp_path / "made.c", derivatives=True)
    done = self_test(tmp_path, *SANITIZED)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("members", [[0] * 5, [2]], ids=["alike", "one"])
def test_members_that_agree_have_no_spread(members, tmp_path):
    many = ensemble("tanh")[members]
    mean, spread = mean_and_spread(Compiled(many, tmp_path, STRICT), samples(many))
    assert spread.max() <= 4 * np.finfo(np.float64).eps * abs(mean).max()


def test_the_header_of_an_ensemble_of_one(tmp_path):
    ensemble("tanh", "float64", True, members=1).to_c(tmp_path / "policy_of_one.c")
    header = (tmp_path / "policy_of_one.h").read_text()
    assert "Mean and spread of 1 multi-layer perceptron: " in header
    assert all(len(line) <= 120 for line in header.splitlines())


def test_an_ensemble_without_members_is_refused(tmp_path):
    many = Ensemble(net("tanh").spec, np.empty((0, net("tanh").spec.n_params)))
    with pytest.raises(ValueError, match="an ensemble must have members to be written; this one has none"):
        many.to_c(tmp_path / "made.c")
    assert list(tmp_path.iterdir()) == []


def test_self_test_of_an_ensemble_fails_where_a_weight_is_another(tmp_path):
    many = ensemble("tanh")
    many.to_c(tmp_path / "made.c")
    text, last = (tmp_path / "made.c").read_text(), many[4].weights[1][0, 0]
    assert text.count(f"R({last.hex()})") == 1
    (tmp_path / "made.c").write_text(text.replace(f"R({last.hex()})", f"R({(last * (1 + 1e-8)).hex()})"))
    assert self_test(tmp_path, *STRICT).returncode == 1


def test_self_test_fails_where_a_weight_is_another(tmp_path):
    made = net("tanh")
    made.to_c(tmp_path / "made.c")
    text, weight = (tmp_path / "made.c").read_text(), f"R({made.weights[1][0, 0].hex()})"
    assert weight in text
    (tmp_path / "made.c").write_text(text.replace(weight, f"R({(made.weights[1][0, 0] * (1 + 1e-9)).hex()})"))
    done = self_test(tmp_path, *STRICT)
    assert done.returncode == 1
    assert "instead of" in done.stdout


def test_parameters_that_are_not_finite(tmp_path):
    made = MLP((1, 3))
    made.weights[0][:] = [[np.nan, np.inf, -np.inf]]
    got = Compiled(made, tmp_path, STRICT).forward(np.ones((1, 1)))
    np.testing.assert_array_equal(got, [[np.nan, np.inf, -np.inf]])
    assert self_test(tmp_path, *STRICT).returncode == 0


@pytest.mark.parametrize("output", ["sigmoid", "exp", "identity", "softplus"])
def test_self_test_of_outputs_at_the_ends_of_float32(output, tmp_path):
    extreme(output).to_c(tmp_path / "made.c")
    done = self_test(tmp_path, *STRICT)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (("-Ofast",), "must be compiled without -ffast-math"),
        (("-funsafe-math-optimizations",), "must be compiled without -ffast-math"),
        (("-mfpmath=387", "-std=gnu99"), "must be compiled with -std=c99 for this processor"),
        (("-mfpmath=387", "-std=c99", "-D__clang__"), "must be compiled with -msse2 for this processor"),
    ],
)
def test_arithmetic_that_would_give_other_numbers_is_refused(flags, sentence, tmp_path):
    if "387" in flags[0] and platform.machine() != "x86_64":
        pytest.skip("it is not a processor of this kind")
    net("tanh").to_c(tmp_path / "made.c")
    done = subprocess.run(["gcc", *flags, "-c", "made.c"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode != 0
    assert sentence in done.stderr


def test_nothing_is_left_unwritten_in_a_function():
    for dtype, name in itertools.product(DTYPES, c_functions._FUNCTIONS):
        assert "@" not in c_functions.sources([name], dtype)


@pytest.mark.parametrize("path", ["net.cpp", "net", "2net.c", "my-net.c", "é.c"])
def test_paths_that_c_cannot_use_are_refused(path, tmp_path):
    with pytest.raises(ValueError, match=r"path must be a name of .*, a letter first, that ends in \.c; got"):
        net("tanh").to_c(tmp_path / path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["math", "stdio", "String"])
def test_names_of_standard_headers_are_refused(name, tmp_path):
    with pytest.raises(ValueError, match=f"path must not be named like a header .*; got '{name}'"):
        net("tanh").to_c(tmp_path / f"{name}.c")
    assert list(tmp_path.iterdir()) == []


def test_names_of_functions_and_keywords_are_no_trouble(tmp_path):
    for name in ("exp", "int", "class", "main"):
        net("tanh").to_c(tmp_path / f"{name}.c")
        command = ["gcc", *STRICT, "-DSELF_TEST", "-I.", f"{name}.c", "-lm", "-o", "test"]
        subprocess.run(command, cwd=tmp_path, check=True)
        assert subprocess.run(["./test"], cwd=tmp_path).returncode == 0


@pytest.mark.parametrize("blocked", ["made.c", "made.h"])
def test_source_and_header_are_written_both_or_neither(blocked, tmp_path):
    (tmp_path / blocked).mkdir()
    with pytest.raises(IsADirectoryError, match=blocked):
        net("tanh").to_c(tmp_path / "made.c")
    assert [path.name for path in tmp_path.iterdir()] == [blocked]
