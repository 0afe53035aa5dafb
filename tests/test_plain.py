"""The plain loops: against the reference on every pair of activation and loss, compiled and as Python runs them."""

import os
import subprocess
import sys

import numpy as np
import pytest
from reference_cases import GOING_TOGETHER, HIDDEN, about, draw, error

import fastnn
from fastnn import MLP
from fastnn.kernels import plain
from fastnn.reference import activations, network
from fastnn.settings import catalogue
from fastnn.settings.spec import NetworkSpec


def served(hidden):
    """The networks of one hidden activation, and the losses, that the plain loops train."""
    specs = [(NetworkSpec((3, 5, 4, 2), (hidden, hidden, output)), loss) for output, loss in GOING_TOGETHER]
    return [(spec, loss) for spec, loss in specs if plain.serves(spec, catalogue.LOSSES[loss])]


def test_most_of_the_catalogue_is_served():
    assert sum(len(served(hidden)) for hidden in HIDDEN) > 300


@pytest.mark.parametrize("hidden", HIDDEN)
def test_gradients_are_those_of_the_reference(hidden):
    settings = {"sample_weight": np.linspace(0, 2, 7), "l2": 0.1, "loss_parameter": 0.7}
    for spec, loss in served(hidden):
        row, (params, X, y) = catalogue.LOSSES[loss], draw(spec, loss, 7)
        value, gradient = plain.loss_and_grad(spec, params, X, y, row, **settings)
        expected, expected_gradient = network.loss_and_grad(spec, params, X, y, row, **settings)
        outputs, expected_outputs = plain.predict(spec, params, X), network.predict(spec, params, X)
        with about(spec.activations[-1], loss):
            assert value == pytest.approx(expected, rel=1e-13)
            assert error(gradient, expected_gradient) < 1e-12
            np.testing.assert_allclose(outputs, expected_outputs, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize(
    "row", [row for row in catalogue.ACTIVATIONS.values() if row.elementwise], ids=lambda row: row.name
)
def test_activations_at_their_limits(row):
    z = np.array([-np.inf, -1e308, -1e5, -750, -1e-300, -0.0, 0, 1e-300, 709.78, 709.79, 1e5, 1e308, np.inf])
    with np.errstate(over="ignore"):
        h = activations.FUNCTIONS[row.name](z)
    slopes = activations.DERIVATIVES[row.name](z, h)
    np.testing.assert_allclose([plain.activate(row.code, x) for x in z], h, rtol=1e-12)
    np.testing.assert_allclose([plain.slope(row.code, *pair) for pair in zip(z, h, strict=True)], slopes, rtol=1e-12)
    assert np.isnan(plain.activate(row.code, np.nan))


def test_classes_whose_exponentials_overflow():
    spec, row = NetworkSpec((3, 4), ("softmax",)), catalogue.LOSSES["cross_entropy"]
    params, X, y = draw(spec, "cross_entropy", 7)
    params *= 1e4
    value, gradient = plain.loss_and_grad(spec, params, X, y, row)
    expected, expected_gradient = network.loss_and_grad(spec, params, X, y, row)
    assert value == pytest.approx(expected, rel=1e-13)
    assert error(gradient, expected_gradient) < 1e-12
    np.testing.assert_allclose(plain.predict(spec, params, X), network.predict(spec, params, X), rtol=1e-9)


@pytest.mark.parametrize("optimizer", catalogue.OPTIMIZERS)
def test_fits_are_those_of_the_reference(optimizer):
    rule, rng = getattr(fastnn.optimizers, optimizer)(), np.random.default_rng(0)
    X, y = rng.normal(size=(20, 3)), rng.normal(size=(20, 2))
    nets = [MLP((3, 5, 2), rng=0) for _ in range(2)]
    for net, backend in zip(nets, ("plain", "numpy"), strict=True):
        net.fit(X, y, optimizer=rule, epochs=4, rng=1, validation_data=(X, y), backend=backend)
    np.testing.assert_allclose(nets[0].params, nets[1].params, rtol=1e-10)


def test_what_is_not_written_out_is_refused(monkeypatch):
    monkeypatch.setattr(plain, "_ACTIVATIONS", ("identity",))
    net = MLP((3, 5, 2), activation="tanh")
    with pytest.raises(ValueError, match=r"backend must be 'numba' or 'numpy' for tanh, identity, not all of which"):
        net.predict(np.ones((4, 3)), backend="plain")
    with pytest.raises(ValueError, match=r"backend must be 'numba' or 'numpy' for tanh, identity, mse, not all"):
        net.fit(np.ones((4, 3)), np.ones((4, 2)), epochs=1, backend="plain")


def test_functions_of_ones_own_need_no_compiler():
    code = """
import numpy as np, fastnn
def helper(r): return r * r
def value(o, y): return helper(o - y)
def gradient(o, y): return 2 * (o - y)
def bent(z): return z / (1 + z * z) ** 0.5
def slope(z): return (1 + z * z) ** -1.5
net = fastnn.MLP((3, 5, 2), activation=fastnn.Activation(bent, slope), rng=0)
other, X, Y = net.copy(), np.eye(3), np.eye(3, 2)
Y[0, 1] = np.nan
loss = fastnn.Loss(value, gradient)
plain = net.fit(X, Y, loss=loss, epochs=4, rng=0, targets="masked")
assert np.allclose(plain.loss, other.fit(X, Y, epochs=4, rng=0, targets="masked", backend="numpy").loss, rtol=1e-12)
assert np.allclose(net.params, other.params, rtol=1e-12)
"""
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    net = MLP((3, 5, 2), activation=fastnn.Activation(lambda z: z * z, lambda z: 2 * z, name="square"))
    with pytest.raises(
        ValueError, match="backend must be 'numba' or 'numpy' for square, a function of your own, which"
    ):
        net.predict(np.ones((4, 3)), backend="plain")


def test_dropout_is_refused():
    with pytest.raises(ValueError, match="dropout must be 0 with backend='plain'"):
        MLP((3, 5, 2)).fit(np.ones((4, 3)), np.ones((4, 2)), epochs=1, dropout=0.1, backend="plain")
