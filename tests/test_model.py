"""`MLP`, the face of one network: its parameters and their views, its calls, its copies."""

import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest

import fastnn
from fastnn import MLP, NetworkSpec

X = np.random.default_rng(0).normal(size=(6, 3))
NETS = {
    "tutorial": MLP.tutorial(rng=0),
    "deep": MLP((3, 5, 4, 2), activation=["relu", "tanh"], rng=1),
    "float32": MLP((3, 4, 3), output_activation="softmax", dtype="float32", rng=2),
    "no hidden layer": MLP((3, 2), bias=False, rng=3),
}
each_net = pytest.mark.parametrize("net", NETS.values(), ids=NETS)


def by_hand(net, X):
    """The outputs, from the weights and the biases."""
    functions = {
        "identity": lambda z: z,
        "relu": lambda z: np.maximum(z, 0),
        "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
        "softmax": lambda z: np.exp(z) / np.exp(z).sum(axis=1, keepdims=True),
        "tanh": np.tanh,
    }
    H = X
    biases = net.biases or [0.0] * len(net.weights)
    for W, b, activation in zip(net.weights, biases, net.spec.activations, strict=True):
        H = functions[activation](H @ W + b)
    return H


def tolerance(net):
    return 1e-5 if net.spec.dtype == "float32" else 1e-12


def test_the_defaults():
    net = MLP((3, 16, 1))
    assert net.spec == NetworkSpec((3, 16, 1), ("tanh", "identity"), True, "float64")
    assert np.array_equal(MLP((3, 4), rng=5).params, MLP((3, 4), init="glorot_uniform", rng=5).params)
    assert not np.array_equal(MLP((3, 4)).params, MLP((3, 4)).params)


def test_the_tutorials_network():
    net = MLP.tutorial(rng=0)
    assert net.spec == NetworkSpec((3, 4, 1), ("sigmoid", "sigmoid"), False, "float64")
    assert np.array_equal(net.params, np.random.default_rng(0).random(16))
    assert net.biases == ()


@each_net
def test_weights_and_biases_are_views_in_the_order_of_the_layers(net):
    net = net.copy()
    assert net.params.shape == (net.spec.n_params,)
    assert net.params.dtype == net.spec.dtype
    net.params[:] = np.arange(net.spec.n_params)
    place = 0
    for i, (n_in, n_out) in enumerate(zip(net.spec.sizes, net.spec.sizes[1:], strict=False)):
        assert np.array_equal(net.weights[i], place + np.arange(n_in * n_out).reshape(n_in, n_out))
        place += n_in * n_out
        if net.spec.bias:
            assert np.array_equal(net.biases[i], place + np.arange(n_out))
            place += n_out
    assert place == net.spec.n_params
    net.weights[0][1, 0] = -1
    assert -1 in net.params


def test_parameters_are_set_in_place():
    net = MLP((2, 3, 1), rng=0)
    params, weights = net.params, net.weights[0]
    net.params = range(13)
    assert net.params is params
    assert np.array_equal(weights, np.arange(6).reshape(2, 3))
    net.params += 1
    assert net.params is params
    assert params[0] == 1
    for name in ("spec", "weights", "biases"):
        with pytest.raises(AttributeError):
            setattr(net, name, None)


@each_net
def test_predictions_are_those_by_hand(net, backend):
    samples = X.astype(net.spec.dtype)
    outputs = net.predict(samples, backend=backend)
    assert outputs.shape == (6, net.spec.n_out)
    assert outputs.dtype == net.spec.dtype
    np.testing.assert_allclose(outputs, by_hand(net, samples), rtol=tolerance(net))
    np.testing.assert_allclose(net.predict(X[:1].tolist(), backend=backend), outputs[:1], rtol=tolerance(net))


def test_nan_in_a_sample_gives_nan_in_its_outputs_alone(backend):
    samples = X.copy()
    samples[2, 1] = np.nan
    outputs = NETS["deep"].predict(samples, backend=backend)
    assert np.isnan(outputs[2]).all()
    assert np.isfinite(np.delete(outputs, 2, axis=0)).all()


def test_what_predict_returns_is_the_callers():
    net = NETS["deep"]
    first = net.predict(X)
    kept = first.copy()
    net.predict(X + 1)
    assert np.array_equal(first, kept)


@each_net
def test_one_sample_has_the_bits_of_many(net):
    expected = net.predict(X)
    out = np.empty(net.spec.n_out, net.spec.dtype)
    for i, x in enumerate(X):
        assert net.forward(x, out) is None
        assert np.array_equal(out, net(x))
        np.testing.assert_allclose(out, expected[i], rtol=tolerance(net), atol=1e-7 if tolerance(net) > 1e-6 else 0)
    with pytest.raises(ValueError, match=r"x must have shape \(3,\); got \(6, 3\); predict takes many samples"):
        net(X)
    for wrong in (X[0, :2], np.append(X[0], 0)):
        with pytest.raises(ValueError, match=rf"x must have shape \(3,\); got \({len(wrong)},\)$"):
            net(wrong)
    with pytest.raises(ValueError, match=r"out must have shape .*; got \(9,\)"):
        net.forward(X[0], np.empty(9, net.spec.dtype))


@pytest.mark.parametrize(
    "net",
    [pytest.param(net, marks=pytest.mark.slow if name in ("deep", "tutorial") else ()) for name, net in NETS.items()],
    ids=NETS,
)
def test_jacobian_is_that_of_differences(net):
    n_out = net.spec.n_out
    out, jac = np.empty(n_out, net.spec.dtype), np.empty((n_out, 3), net.spec.dtype)
    assert net.jacobian(X[0], out, jac) is None
    np.testing.assert_allclose(out, net(X[0]), rtol=tolerance(net))
    h, double = 1e-6, MLP.from_params(NetworkSpec(net.spec.sizes, net.spec.activations, net.spec.bias), net.params)
    steps = h * np.eye(3)
    differences = (by_hand(double, X[0] + steps) - by_hand(double, X[0] - steps)).T / (2 * h)
    np.testing.assert_allclose(jac, differences, rtol=1e-4, atol=1e-6)
    with pytest.raises(ValueError, match=r"jac must have shape"):
        net.jacobian(X[0], out, jac.T.copy()[None])


@each_net
def test_loss_and_grad(net, backend):
    loss = "cross_entropy" if net.spec.output_activation == "softmax" else "mse"
    y = np.eye(net.spec.n_out)[np.arange(6) % net.spec.n_out]
    settings = {"sample_weight": np.arange(6), "l2": 0.3}
    value, gradient = net.loss_and_grad(X, y, loss, **settings, backend=backend)
    expected, reference = net.loss_and_grad(X, y, loss, **settings, backend="numpy")
    assert type(value) is float
    assert value == pytest.approx(expected, rel=tolerance(net))
    assert gradient.dtype == net.spec.dtype
    assert np.linalg.norm(gradient - reference) <= tolerance(net) * np.linalg.norm(reference)
    out = np.full_like(net.params, np.nan)
    assert net.loss_and_grad(X, y, loss, **settings, out=out, backend=backend)[1] is out
    assert np.array_equal(out, gradient)


@pytest.mark.filterwarnings("ignore:overflow")
def test_a_loss_that_overflows_is_infinite(backend):
    net = MLP((1, 1), bias=False, init="unit_uniform", rng=0)
    losses = [net.loss_and_grad([[x]], [0.0], backend=backend)[0] for x in (1.0, 1e200, 1.0, 1e200)]
    assert losses[0] == losses[2] == pytest.approx(net.params[0] ** 2)
    assert losses[1] == losses[3] == np.inf


def test_delta_reaches_the_huber_loss(backend):
    net, y = NETS["deep"], 5 * np.ones((6, 2))
    small, large = (net.loss_and_grad(X, y, "huber", delta=delta, backend=backend)[0] for delta in (0.1, 100.0))
    assert large == pytest.approx(net.loss_and_grad(X, y, "mse", backend=backend)[0] / 2, rel=1e-12)
    distance = abs(by_hand(net, X) - y)
    assert small == pytest.approx((0.1 * (distance - 0.05)).mean(), rel=1e-12)


@each_net
@pytest.mark.parametrize("duplicate", [MLP.copy, copy.copy, copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_copies_share_nothing(net, duplicate):
    other = duplicate(net)
    assert type(other) is MLP
    assert other.spec == net.spec
    assert other.params.tobytes() == net.params.tobytes()
    before = net.params.copy()
    other.weights[0][:] = 7
    assert 7 in other.params
    assert np.array_equal(net.params, before)


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_copies_and_pickles_keep_the_users_attributes_alone(duplicate):
    for net in (MLP((2, 3, 1), rng=0), MLP((2, 3, 1), rng=0).with_domain(np.eye(2), outside="clip")):
        net(np.zeros(2))
        assert net.numba_type is net.numba_type
        net._cfunctions["C"] = lambda: None  # which cannot be pickled
        net.units = ["Pa", "kg"]
        other = duplicate(net)
        assert other.units == ["Pa", "kg"]
        assert (other.units is net.units) == (duplicate is copy.copy)
        assert not {"_methods", "_cfunctions", "numba_type"} & set(vars(other))
        assert not np.shares_memory(other.params, net.params)
        assert np.shares_memory(other.params, other.weights[0])
        assert np.array_equal(other(np.array([0.5, 9.0])), net(np.array([0.5, 9.0])))


def test_from_params_copies():
    params = np.arange(3.0)
    net = MLP.from_params(NetworkSpec((2, 1), ("identity",)), params)
    net.params += 1
    assert np.array_equal(params, [0, 1, 2])
    assert np.array_equal(net.weights[0].ravel(), [1, 2])
    assert np.array_equal(net.biases[0], [3])


REPRS = {
    "tutorial": "<MLP: 3 -> 4 sigmoid -> 1 sigmoid; no biases, 16 parameters, float64>",
    "float32": "<MLP: 3 -> 4 tanh -> 3 softmax; biases, 31 parameters, float32>",
}


@pytest.mark.parametrize("name", REPRS)
def test_repr(name):
    assert repr(NETS[name]) == REPRS[name]


def test_importing_fastnn_imports_no_numba_and_the_reference_needs_none():
    code = (
        "import sys, fastnn\n"
        "assert not {'numba', 'rich', 'safetensors', 'fastnn.reference'} & set(sys.modules)\n"
        "net = fastnn.MLP((2, 3, 1), rng=0)\n"
        "net.fit([[0, 1]], [1], epochs=2, backend='numpy'); net.predict([[0, 1]], backend='numpy')\n"
        "fastnn.reference.network\n"
        "assert 'numba' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_public_name_is_there():
    assert all(hasattr(fastnn, name) for name in fastnn.__all__)
    assert fastnn.reference.__name__ == "fastnn.reference"
    with pytest.raises(AttributeError, match="module 'fastnn' has no attribute 'nothing'"):
        fastnn.nothing  # noqa: B018 - the access is what is tested
