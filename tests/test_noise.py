"""Dropout and Gaussian noise: what they draw, the same on both twins, and the same bits however a run is cut up."""

import numpy as np
import pytest

from fastnn import MLP, SGD, Adam, LevenbergMarquardt
from fastnn.reference import noise, random
from fastnn.reference.network import loss_and_grad
from fastnn.settings import catalogue

RNG = np.random.default_rng(0)
X = RNG.normal(size=(600, 3))
Y = np.sin(X[:, :2])
NOISES = [
    {"dropout": 0.3},
    {"dropout": (0.5, 0.0)},
    {"input_noise": 0.2},
    {"dropout": (0.0, 0.2), "input_noise": 0.1},
]


def net(dtype="float64", activation="tanh"):
    return MLP((3, 17, 7, 2), rng=0, dtype=dtype, activation=activation)


def test_the_normal_distribution():
    numbers = noise.gaussian(random.key(1, 2, 3, 0), (1000, 300))
    assert numbers.mean() == pytest.approx(0, abs=0.01)
    assert numbers.std() == pytest.approx(1, abs=0.01)
    assert (abs(numbers) > 3).mean() == pytest.approx(0.0027, abs=0.0004)
    assert abs(np.corrcoef(numbers[:, 0], numbers[:, 1])[0, 1]) < 0.1
    assert (numbers != noise.gaussian(random.key(1, 2, 4, 0), (1000, 300))).all()


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_the_factors_of_dropout(rate):
    factors = noise.dropout_factors(random.key(1, 2, 3, 1), rate, (500, 300))
    assert (factors == 0).mean() == pytest.approx(rate, abs=0.01)
    np.testing.assert_allclose(np.unique(factors), [0, 1 / (1 - rate)], rtol=1e-9)


@pytest.mark.parametrize("activation", [name for name, row in catalogue.ACTIVATIONS.items() if row.hidden])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("drawn", NOISES, ids=str)
def test_both_twins_draw_the_same(drawn, dtype, activation):
    nets = {backend: net(dtype, activation) for backend in ("numpy", "numba")}
    settings = {
        "epochs": 2,
        "batch_size": 290,
        "rng": 1,
        "optimizer": SGD(0.05),
        "l2": 1e-3,
        **drawn,
    }  # two blocks a batch
    one, other = (net.fit(X, Y, backend=backend, **settings) for backend, net in nets.items())
    tolerance = 1e-11 if dtype == "float64" else 1e-4
    np.testing.assert_allclose(one.loss, other.loss, rtol=tolerance)
    np.testing.assert_allclose(nets["numpy"].params, nets["numba"].params, rtol=tolerance, atol=tolerance)


def test_a_step_by_hand(backend):
    one = net()
    expected = one.copy()
    one.fit(
        X, Y, epochs=1, rng=5, dropout=(0.4, 0.2), input_noise=0.3, shuffle=False, optimizer=SGD(0.1), backend=backend
    )
    seed = np.random.default_rng(5).integers(2**63)
    factors = [
        noise.dropout_factors(random.key(int(seed), 0, 0, layer), rate, (600, width))
        for layer, rate, width in ((1, 0.4, 17), (2, 0.2, 7))
    ]
    samples = X + 0.3 * noise.gaussian(random.key(int(seed), 0, 0, 0), X.shape)
    h1 = np.tanh(samples @ expected.weights[0] + expected.biases[0])
    h2 = np.tanh(h1 * factors[0] @ expected.weights[1] + expected.biases[1])
    d = 2 / 1200 * (h2 * factors[1] @ expected.weights[2] + expected.biases[2] - Y)
    d2 = d @ expected.weights[2].T * factors[1] * (1 - h2**2)
    d1 = d2 @ expected.weights[1].T * factors[0] * (1 - h1**2)
    gradients = samples.T @ d1, (h1 * factors[0]).T @ d2, (h2 * factors[1]).T @ d
    for weights, start, gradient in zip(one.weights, expected.weights, gradients, strict=True):
        np.testing.assert_allclose(weights, start - 0.1 * gradient, rtol=1e-11, atol=1e-13)


def test_the_gradient_under_dropout_against_complex_steps():
    one = net()
    factors = [noise.dropout_factors(7, 0.3, (20, 17)), noise.dropout_factors(8, 0.3, (20, 7))]
    row = catalogue.LOSSES["mse"]
    _, gradient = loss_and_grad(one.spec, one.params, X[:20], Y[:20], row, factors=factors)
    for k in range(0, one.spec.n_params, 7):
        params = one.params.astype(complex)
        params[k] += 1e-30j
        Z = X[:20]
        for weights, biases, factor in zip(
            one.spec.weights(params), one.spec.biases(params), [*factors, None], strict=True
        ):
            Z = Z @ weights + biases
            Z = Z if factor is None else np.tanh(Z) * factor
        assert ((Z - Y[:20]) ** 2).mean().imag / 1e-30 == pytest.approx(gradient[k], rel=1e-10, abs=1e-14)


@pytest.mark.parametrize("drawn", NOISES, ids=str)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_resuming_and_threads_change_no_bit(drawn, dtype, backend, shared):
    whole, parts, together = net(dtype), net(dtype), net(dtype)
    settings = {"batch_size": 290, "optimizer": Adam(), "backend": backend, **drawn}
    whole.fit(X, Y, epochs=5, rng=1, **settings)
    state = parts.fit(X, Y, epochs=2, rng=1, **settings).state
    parts.fit(X, Y, epochs=3, state=state, **settings)
    together.fit(X, Y, epochs=5, rng=1, threads=2, **settings)
    assert parts.params.tobytes() == whole.params.tobytes()
    assert together.params.tobytes() == whole.params.tobytes()


def test_validation_and_prediction_are_without_it(backend):
    one = net()
    history = one.fit(
        X, Y, epochs=2, batch_size=100, validation_data=(X[:50], Y[:50]), dropout=0.5, input_noise=1.0, backend=backend
    )
    assert history.validation_loss[-1] == pytest.approx(one.loss_and_grad(X[:50], Y[:50])[0], rel=1e-12)
    assert np.array_equal(one.predict(X, backend=backend), one.predict(X, backend=backend))


@pytest.mark.parametrize("missing", [False, True])
def test_noise_that_overflows_is_no_fault_of_the_samples(missing, backend):
    net, y = MLP((3, 4, 1), rng=0), np.ones(50)
    settings = {"epochs": 3, "rng": 0, "backend": backend}
    if missing:
        y[3], settings["targets"] = np.nan, "masked"
    before = net.params.copy()
    with pytest.warns(RuntimeWarning, match="training diverged in epoch 0"):
        history = net.fit(np.ones((50, 3)), y, input_noise=1e308, **settings)
    assert history.stopped == "diverged"
    assert np.array_equal(net.params, before)


def test_tiny_networks_draw_too():
    nets = {backend: MLP((3, 4, 1), rng=0) for backend in ("numpy", "numba")}
    settings = {"epochs": 30, "rng": 1, "dropout": 0.3, "input_noise": 0.1, "optimizer": SGD(0.1)}
    for backend, one in nets.items():
        one.fit(X[:4], Y[:4, :1], backend=backend, **settings)
    np.testing.assert_allclose(nets["numpy"].params, nets["numba"].params, rtol=1e-10)


def test_infinity_among_the_samples_is_told_though_there_is_noise(backend):
    one, samples = net(), X.copy()
    samples[3, 1] = np.inf
    before = one.params.copy()
    with pytest.raises(ValueError, match="X must be finite; got inf in row 3, column 1"):
        one.fit(samples, Y, epochs=1, input_noise=0.1, backend=backend)
    assert (one.params == before).all()


def test_no_dropout_is_no_dropout(backend):
    one, other = net(), net()
    one.fit(X, Y, epochs=2, rng=0, backend=backend)
    other.fit(X, Y, epochs=2, rng=0, dropout=0.0, input_noise=0.0, backend=backend)
    assert one.params.tobytes() == other.params.tobytes()


@pytest.mark.parametrize("rates", [(0.4, 0.0), (0.0, 0.4)])
def test_dropout_of_one_layer_is_dropout(rates, backend):
    one, other = net(), net()
    one.fit(X, Y, epochs=2, rng=0, backend=backend)
    other.fit(X, Y, epochs=2, rng=0, dropout=rates, backend=backend)
    assert not np.allclose(one.params, other.params, rtol=1e-6)


BAD = [
    ({"dropout": 1.0}, ValueError, r"dropout must be a number in \[0, 1\); got 1.0"),
    ({"dropout": "half"}, TypeError, r"dropout must be a number in \[0, 1\); got 'half'"),
    ({"dropout": (0.5,)}, ValueError, "dropout must be one number, or one for each of 2 hidden layers; got 1"),
    ({"input_noise": -1}, ValueError, "input_noise must be a finite number of at least 0; got -1"),
    (
        {"dropout": 0.5, "optimizer": LevenbergMarquardt()},
        ValueError,
        "dropout and input_noise must be 0 for Levenberg",
    ),
]


@pytest.mark.parametrize(("settings", "error", "message"), BAD)
def test_bad_settings_are_refused(settings, error, message):
    with pytest.raises(error, match=message):
        net().fit(X, Y, epochs=1, **settings)
