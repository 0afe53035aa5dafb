"""Activations of the user's own: as the catalogue's where they say the same, on every path; wrong ones are refused."""

import math
import pickle
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numba import njit
from numba.core import serialize
from numba.core.errors import TypingError

import fastnn
from fastnn import MLP, SGD, Activation, Adam, LevenbergMarquardt
from fastnn.kernels.functions.own import of_numbers, of_vectors
from fastnn.kernels.jit.architecture import Architecture
from fastnn.kernels.jit.compiling import inlined
from fastnn.kernels.lanes.kind import StepKind, StepKindType
from fastnn.kernels.simd import load, pointer, store, with_lanes
from fastnn.reference import series
from fastnn.settings import catalogue
from fastnn.settings.spec import NetworkSpec


@njit
def bent(z):
    return z / math.sqrt(1 + z * z)


@njit
def slope(z):
    return (1 + z * z) ** -1.5


def curvature(z):  # need not be decorated
    return -3 * z * (1 + z * z) ** -2.5


def bend_of_curvature(z):
    return (12 * z * z - 3) * (1 + z * z) ** -3.5


BENT = Activation(bent, slope, curvature, bend_of_curvature, name="isru")
CURVED = Activation(bent, slope, curvature, name="isru_of_second_order")
FLAT = Activation(bent, slope, name="isru_of_first_order")
TANH = Activation(njit(lambda z: math.tanh(z)), njit(lambda z: 1 - math.tanh(z) ** 2), name="own_tanh")
RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(37, 3)), RNG.normal(size=(37, 2))

#: Networks by the path that trains them: a sample in each lane, and tiles.
PATHS = {"lanes": (3, 4, 2), "tiles": (3, 17, 2)}


@pytest.mark.parametrize("dtype", ["float64", pytest.param("float32", marks=pytest.mark.slow)])
@pytest.mark.parametrize("sizes", PATHS.values(), ids=PATHS)
def test_what_says_the_same_as_tanh_trains_the_same(sizes, dtype):
    nets = [MLP(sizes, activation=activation, dtype=dtype, rng=0) for activation in (TANH, "tanh")]
    for net in nets:
        net.fit(X, Y, epochs=5, batch_size=8, optimizer=Adam(0.01), rng=1)
    tolerance = 1e-12 if dtype == "float64" else 1e-5
    np.testing.assert_allclose(nets[0].params, nets[1].params, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(nets[0].predict(X), nets[1].predict(X), rtol=tolerance, atol=tolerance)
    nets[1].params[:] = nets[0].params  # `math.tanh` of vectors is tanh, computed in double precision
    tolerance = 0.0 if dtype == "float64" else 1e-6
    np.testing.assert_allclose(nets[0].predict(X), nets[1].predict(X), rtol=tolerance, atol=tolerance)


def all_that_vectors_have(z):
    logs = np.log(z * z) + math.log1p(abs(z)) + math.sqrt(1 + math.fabs(z))
    return logs + math.sin(z) * np.cos(z) - 2 / (1 + math.exp(-z)) + z**3 / 8 + math.expm1(z) ** -1 + np.tanh(z)


def applied(function, z):
    return function(z)


def branches(z):
    def below(slope):
        return slope * z

    return applied(lambda z: z, z) if z > 0 else below(0.1)


FUNCTIONS = all_that_vectors_have, branches


def test_what_numbers_are_computed_with_takes_vectors_unless_it_branches():
    first, second = map(of_numbers, FUNCTIONS)
    together, in_turn = of_vectors(inlined(lambda z, _: first(z))), of_vectors(inlined(lambda z, _: second(z)))

    @njit
    def compute(z, results):
        for i in range(0, z.size, 4):
            x = load(with_lanes(pointer(z, i), 4))
            store(with_lanes(pointer(results, i), 4), together(x, x))
            store(with_lanes(pointer(results, z.size + i), 4), in_turn(x, x))

    assert [f.py_func.__name__ for f in (together, in_turn)] == ["together", "one_by_one"]
    results = np.empty(2 * X[:36].size)
    compute(X[:36].ravel(), results)
    expected = [f(z) for f in FUNCTIONS for z in X[:36].ravel()]
    np.testing.assert_allclose(results, expected, rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("output", ["identity", BENT], ids=["hidden", "output"])
def test_the_twins_agree(output):
    net = MLP((3, 17, 2), activation=BENT, output_activation=output, rng=0)
    ours, theirs = (net.loss_and_grad(X, Y, backend=backend) for backend in ("numba", "numpy"))
    assert ours[0] == pytest.approx(theirs[0], rel=1e-13)
    np.testing.assert_allclose(ours[1], theirs[1], rtol=1e-11, atol=1e-14)


def test_single_precision_is_computed_in_double(backend):
    wide = Activation(lambda z: (1 + z * z) - 1, lambda z: 2 * z, name="cancels_in_single_precision")
    net = MLP((1, 1), output_activation=wide, bias=False, dtype="float32")
    net.params[:] = 1
    samples = np.linspace(-0.01, 0.01, 9, dtype=np.float32)[:, np.newaxis]
    np.testing.assert_allclose(net.predict(samples, backend=backend), samples.astype(float) ** 2, rtol=1e-6)


def test_many_networks_and_levenberg_marquardt():
    net = MLP((3, 4, 1), activation=BENT, rng=0)
    many = fastnn.fit_many(net.spec, X, Y[:, :1], epochs=4, params=net.params[None], optimizer=SGD(0.1))
    other = net.copy()
    other.fit(X, Y[:, :1], epochs=4, optimizer=SGD(0.1), shuffle=False, specialize=False)
    np.testing.assert_allclose(many.params[0], other.params, rtol=1e-12)
    first = net.loss_and_grad(X, Y[:, :1])[0]
    assert net.fit(X, Y[:, :1], epochs=20, optimizer=LevenbergMarquardt()).loss[-1] < first / 2


@pytest.mark.slow
def test_inside_compiled_code_with_derivatives():
    net = MLP((3, 17, 2), activation=BENT, rng=0)
    x, t, v = X[0], X[1], Y[0]

    @njit
    def derivatives(net, x, t, v, out, hvp, value, slope, curvature):
        net.forward(x, out)
        net.hvp(x, v, t, hvp)
        net.taylor(x, t, value, slope, curvature)

    out, hvp, value, first, second = np.empty(2), np.empty(3), np.empty(2), np.empty(2), np.empty(2)
    derivatives(net, x, t, v, out, hvp, value, first, second)
    np.testing.assert_allclose(out, net.predict(x[None])[0], rtol=1e-13)
    np.testing.assert_allclose(out, value, rtol=1e-13)
    step = 1e-4
    at = {k: net.predict((x + k * step * t)[None])[0] for k in (-1, 0, 1)}
    np.testing.assert_allclose(first, (at[1] - at[-1]) / (2 * step), rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(second, (at[1] - 2 * at[0] + at[-1]) / step**2, rtol=1e-4, atol=1e-5)
    assert v @ second == pytest.approx(hvp @ t, rel=1e-10)


@pytest.mark.parametrize(
    "method", ["forward", *(pytest.param(name, marks=pytest.mark.slow) for name in ("hessian", "taylor_vjp_params"))]
)
def test_an_activation_without_a_value_at_zero(method):
    """Zeros stand where features do not fill a vector: what becomes of them is never counted."""
    powers = (lambda z: 1 / z, lambda z: -1 / z**2, lambda z: 2 / z**3, lambda z: -6 / z**4)
    net = MLP((3, 5, 1), activation=Activation(*powers, name="inverse"), rng=0)
    net.biases[0][:] = 4
    x, t, weights = X[:1], X[1:2], [np.array([[w]]) for w in (0.5, -1.0, 2.0)]
    if method == "forward":
        np.testing.assert_allclose(net(x[0]), net.predict(x, backend="numpy")[0], rtol=1e-13)
    elif method == "hessian":
        h = np.empty((3, 3))
        net.hessian(x[0], h)
        expected = [series.hvp(net.spec, net.params, x, np.ones((1, 1)), unit[None])[0] for unit in np.eye(3)]
        np.testing.assert_allclose(h, expected, rtol=1e-11, atol=1e-14)
    else:
        gradient, expected = np.zeros((2, net.spec.n_params))
        net.taylor_vjp_params(x[0], t[0], *(w[0] for w in weights), gradient)
        series.vjp(net.spec, net.params, x, t, weights, expected)
        np.testing.assert_allclose(gradient, expected, rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("backend", ["numpy", pytest.param("numba", marks=pytest.mark.slow)])
def test_the_gradient_of_a_residual_takes_the_third_derivative(backend):
    net = MLP((3, 17, 2), activation=BENT, rng=0)
    x, t, weights, step = X[0], X[1], Y[:3], 1e-5
    gradient = np.zeros(net.spec.n_params)
    if backend == "numba":
        net.taylor_vjp_params(x, t, *weights, gradient)
    else:
        series.vjp(net.spec, net.params, x[None], t[None], [v[None] for v in weights], gradient)
    for k in range(0, net.spec.n_params, 7):
        at = []
        for moved in (2, 1, -1, -2):
            params = net.params.copy()
            params[k] += moved * step
            terms = series.taylor(net.spec, params, x[None], t[None])
            at.append(sum(v @ term[0] for v, term in zip(weights, terms, strict=True)))
        difference = (8 * (at[1] - at[2]) - (at[0] - at[3])) / (12 * step)
        assert gradient[k] == pytest.approx(difference, rel=1e-8, abs=1e-8)


def test_a_derivative_that_is_not_given_is_asked_for_in_one_sentence():
    flat, curved = (MLP((3, 17, 2), activation=activation, rng=0) for activation in (FLAT, CURVED))
    out, value, first = np.empty(3), np.empty(2), np.empty(2)
    flat.taylor(X[0], X[1], value, first)
    second = "activation 'isru_of_first_order' must be made with second_derivative="
    third = "activation 'isru_of_second_order' must be made with third_derivative="
    gradient = np.zeros(curved.spec.n_params)
    with pytest.raises(TypingError, match=rf"net\.hvp: {second}"):
        njit(lambda net, x, v, t, out: net.hvp(x, v, t, out))(flat, X[0], Y[0], X[1], out)
    with pytest.raises(TypingError, match=f"taylor_vjp_params: {third}"):
        njit(lambda net, x, v, grad: net.taylor_vjp_params(x, x, v, v, v, grad))(curved, X[0], Y[0], gradient)
    for call in (
        lambda: flat.hvp(X[0], Y[0], X[1], out),
        lambda: flat.hessian(X[0], np.empty((3, 3)), v=Y[0]),
        lambda: flat.taylor(X[0], X[1], value, first, np.empty(2)),
        lambda: flat.taylor_vjp_params(X[0], X[1], Y[0], Y[0], None, gradient),
    ):
        with pytest.raises(ValueError, match=f"^{second}, which this needs"):
            call()
    with pytest.raises(ValueError, match=f"^{third}"):
        curved.taylor_vjp_params(X[0], X[1], Y[0], Y[0], Y[0], gradient)
    curved.taylor_vjp_params(X[0], X[1], Y[0], Y[0], None, gradient)
    with pytest.raises(ValueError, match=third):
        series.vjp(curved.spec, curved.params, X, X, [Y] * 3, np.zeros(curved.spec.n_params))
    with pytest.raises(ValueError, match="dydx must be None; activation 'isru_of_first_order' must be made with"):
        flat.fit(X, Y, epochs=1, dydx=np.zeros((37, 2, 3)))
    with pytest.raises(TypeError, match="second_derivative must be given where third_derivative is; got None"):
        Activation(bent, slope, third_derivative=curvature)


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_a_file_holds_no_code_and_asks_for_it(suffix, tmp_path, monkeypatch):
    if suffix == ".safetensors":
        pytest.importorskip("safetensors")
    net, path = MLP((3, 17, 2), activation=BENT, rng=0), tmp_path / f"net{suffix}"
    net.save(path)
    again = fastnn.load(path, functions=[BENT])
    assert again.spec == net.spec
    np.testing.assert_array_equal(again.predict(X), net.predict(X))

    monkeypatch.setattr(catalogue, "OWN_ACTIVATIONS", {})
    with pytest.raises(ValueError, match=r"activation 'isru@\w{12}' is not fastnn's; each process must first make"):
        fastnn.load(path)
    another = Activation(bent.py_func, lambda z: slope(z), name="isru")  # the same values by another code
    assert fastnn.load(path, functions=[another]).spec.activations[0] == another.name
    monkeypatch.setattr(catalogue, "OWN_ACTIVATIONS", {})
    other = Activation(njit(lambda z: z), njit(lambda z: 1.0), name="isru")
    with pytest.raises(ValueError, match="is not fastnn's; each process"):
        fastnn.load(path, functions=[other])
    with pytest.raises(TypeError, match=r"functions must be a sequence of fastnn\.Activation; got 'isru' among them"):
        fastnn.load(path, functions=["isru"])


@pytest.mark.parametrize(
    "made",
    [
        lambda k: (lambda z: min(z, 6.0 * k), lambda z: 1.0 if z < 6.0 * k else 0.0),
        lambda k: (lambda z: math.sin(2 * k * math.pi * z), lambda z: 2 * k * math.pi * math.cos(2 * k * math.pi * z)),
    ],
    ids=["bound", "period"],
)
def test_a_function_that_was_changed_is_not_taken_for_the_saved_one(made, tmp_path, monkeypatch):
    path = tmp_path / "net.npz"
    MLP((1, 2, 1), activation=Activation(*made(1), name="changed")).save(path)
    monkeypatch.setattr(catalogue, "OWN_ACTIVATIONS", {})
    with pytest.raises(ValueError, match=r"activation 'changed@\w{12}' is not fastnn's"):
        fastnn.load(path, functions=[Activation(*made(2), name="changed")])


def test_a_function_without_values_far_out_is_found_by_the_others(tmp_path, monkeypatch):
    path = tmp_path / "net.npz"
    MLP((1, 2, 1), activation=Activation(lambda z: math.exp(z), lambda z: math.exp(z), name="grows")).save(path)
    monkeypatch.setattr(catalogue, "OWN_ACTIVATIONS", {})
    again = Activation(lambda z: math.exp(1.0 * z), lambda z: math.exp(z), name="grows")
    assert fastnn.load(path, functions=[again]).spec.activations[0] == again.name


@pytest.mark.slow
def test_a_pickle_brings_it_along():
    code = "import pickle, sys; net = pickle.load(sys.stdin.buffer); print(repr(net([0.1, 0.2, 0.3]).tolist()))"
    net = MLP((3, 4, 2), activation=Activation(math_free, one_by_root, name="algebraic"), rng=0)
    data = pickle.dumps(net)
    done = subprocess.run([sys.executable, "-c", code], input=data, capture_output=True, cwd=Path(__file__).parent)
    assert done.stdout.decode().strip() == repr(net([0.1, 0.2, 0.3]).tolist()), done.stderr.decode()


def test_a_spec_brings_it_along_and_a_kept_kernel_does_not():
    net = MLP((3, 4, 2), activation=Activation(math_free, one_by_root, name="algebraic"))
    before = pickle.dumps(NetworkSpec(net.spec.sizes, net.spec.activations))
    assert net.spec.layers[0].activation.name == net.spec.activations[0]
    assert pickle.dumps(net.spec) == before, "whatever has been read of it"
    code = "import pickle, sys; print(pickle.load(sys.stdin.buffer).layers[0].activation)"
    done = subprocess.run([sys.executable, "-c", code], input=before, capture_output=True, cwd=Path(__file__).parent)
    assert done.stdout.decode().strip() == "Activation('algebraic')", done.stderr.decode()

    kind = StepKind(net.spec, loss=0, rule=0, lanes=4, rows=1, lanes_hold_samples=True)
    for compiled_for in (net.numba_type, Architecture(net.spec), StepKindType(kind)):
        kept = serialize.dumps(compiled_for)
        assert b"algebraic" in kept
        assert b"math_free" not in kept, "the user's module may be gone when it is read"
        assert pickle.loads(kept) is compiled_for


@njit
def math_free(z):
    return z / (1 + abs(z))


@njit
def one_by_root(z):
    return 1 / (1 + abs(z)) ** 2


def test_other_languages_are_refused(tmp_path):
    net = MLP((3, 4, 2), activation=BENT)
    for write in (net.to_numpy_source, net.to_torch, lambda: net.to_c(tmp_path / "net.c")):
        with pytest.raises(
            ValueError, match=r"activations must be known to other languages .* 'isru' is a function of"
        ):
            write()
    assert list(tmp_path.iterdir()) == []


WRONG = {
    r"derivative of the activation 'cube' must be the derivative of value; at z = -11.37 it is 3, and": (
        lambda z: z**3, lambda z: 3.0),
    r"second_derivative of the activation 'square' must be the derivative of derivative; at z = .* it is 3": (
        lambda z: z * z, lambda z: 2 * z, lambda z: 3.0),
    r"third_derivative of the activation 'cubic' must be the derivative of second_derivative; at z = .* it is 2, ": (
        lambda z: z**3 / 6, lambda z: z * z / 2, lambda z: z, lambda z: 1.0 if z > 0 else 2.0),
    r"value of the activation 'root' must be finite; at z = -11.37 it is nan": (
        lambda z: math.sqrt(z), lambda z: 0.5 / math.sqrt(z)),
    r"derivative of the activation 'two' must take 1 number, z; it takes 2": (lambda z: z, lambda z, h: 1.0),
}  # fmt: skip


@pytest.mark.parametrize("sentence", WRONG)
def test_wrong_functions_are_refused_in_one_sentence(sentence):
    name = re.search("'(.*?)'", sentence)[1]
    with pytest.raises((TypeError, ValueError), match=sentence) as caught:
        MLP((3, 4, 1), activation=Activation(*WRONG[sentence], name=name))
    assert "\n" not in str(caught.value)


def test_one_for_each_layer_and_unknown_ones():
    net = MLP((3, 4, 5, 1), activation=["tanh", BENT])
    assert net.spec.activations == ("tanh", BENT.name, "identity")
    assert net.spec.layers[1].activation is BENT
    with pytest.raises(ValueError, match="activation 'no@ne' is not fastnn's; each process must first make its own"):
        MLP((3, 4, 1), activation="no@ne")


def test_the_same_functions_under_two_names_are_one_activation():
    first = fastnn.Activation(*BENT.functions, name="first")
    net = MLP((3, 4, 2), activation=first, rng=0)
    second = MLP((3, 4, 2), activation=fastnn.Activation(*BENT.functions, name="second"), rng=0)
    assert "first" in repr(net)
    assert "second" in repr(second)
    for backend in ("numba", "numpy"):
        expected = MLP((3, 4, 2), activation=BENT, rng=0).predict(X, backend=backend)
        np.testing.assert_array_equal(net.predict(X, backend=backend), expected)
        np.testing.assert_array_equal(second.predict(X, backend=backend), expected)
