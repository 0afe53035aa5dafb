"""Losses whose outputs are quantiles or expectiles of one target: on every path, and at the boundary."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

import fastnn

QUANTILES = [0.1, 0.5, 0.9]
RNG = np.random.default_rng(0)
X = RNG.uniform(-1, 1, (37, 2))
Y = X[:, 0] + RNG.normal(size=37)
LOSSES = ["pinball", "expectile", "ascending_pinball"]


def network(sizes, loss, **settings):
    output = "ascending" if loss == "ascending_pinball" else "identity"
    return fastnn.MLP(sizes, output_activation=output, rng=0, **settings)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("outputs", [1, 3, pytest.param(11, marks=pytest.mark.slow)])
def test_gradients_agree(loss, dtype, outputs):
    net = network((2, 5, outputs), loss, dtype=dtype)
    quantiles = np.linspace(0.1, 0.8, outputs)
    by_numpy = net.loss_and_grad(X, Y, loss, quantiles=quantiles, backend="numpy")
    tolerance = 1e-5 if dtype == "float32" else 1e-12
    for backend in ("numba", "plain"):
        value, gradient = net.loss_and_grad(X, Y, loss, quantiles=quantiles, backend=backend)
        assert value == pytest.approx(by_numpy[0], rel=tolerance)
        np.testing.assert_allclose(gradient, by_numpy[1], atol=tolerance)


@pytest.mark.parametrize("loss", [pytest.param(loss, marks=pytest.mark.slow) for loss in LOSSES])
def test_every_path_trains_alike(loss):
    options = {"loss": loss, "quantiles": QUANTILES, "epochs": 5, "optimizer": fastnn.SGD(0.1)}
    start = network((2, 3, 3), loss)
    trained = []
    for run in ({"backend": "numpy"}, {"specialize": False}, {"specialize": True}):
        net = start.copy()
        net.fit(X, Y, rng=1, progress=False, **options, **run)
        trained.append(net.params)
    for specialize in (False, True):
        many = fastnn.fit_many(start.spec, X, Y, params=start.params[None], rng=1, specialize=specialize, **options)
        trained.append(many.params[0])
    assert np.abs(trained[0] - start.params).max() > 1e-2
    for params in trained[1:]:
        np.testing.assert_allclose(params, trained[0], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("loss", LOSSES)
def test_a_constant_is_the_quantile_or_the_expectile(loss):
    net, y = network((1, 3), loss), Y[:7]  # whose quantiles are the first, the middle and the last
    settings = {"quantiles": QUANTILES, "epochs": 5000, "optimizer": fastnn.SGD(0.1), "rng": 0, "specialize": False}
    net.fit(np.zeros((7, 1)), y, loss=loss, **settings)
    outputs = net.predict(np.zeros((1, 1)))[0]
    if loss != "expectile":
        np.testing.assert_allclose(outputs, np.sort(y)[[0, 3, 6]], atol=0.1)
    else:
        for q, e in zip(QUANTILES, outputs, strict=True):
            assert (q * np.maximum(y - e, 0)).sum() == pytest.approx(((1 - q) * np.maximum(e - y, 0)).sum(), rel=1e-3)


def test_one_column_goes_for_all_outputs_of_these_losses_alone():
    net = fastnn.MLP((2, 3), rng=0)
    one = net.loss_and_grad(X, Y, "pinball")[0]
    assert one == net.loss_and_grad(X, np.repeat(Y[:, None], 3, axis=1), "pinball")[0]
    with pytest.raises(ValueError, match="y must have shape"):
        net.loss_and_grad(X, Y, "mse")


@pytest.mark.parametrize("bad", [0.0, 1.0, [0.1, 0.5, 1.0], [0.1, np.nan, 0.9]])
def test_quantiles_lie_between_0_and_1(bad):
    with pytest.raises(ValueError, match=r"quantiles must be a number in \(0, 1\); got"):
        fastnn.MLP((2, 3), rng=0).loss_and_grad(X, Y, "pinball", quantiles=bad)


def test_there_is_one_quantile_or_one_for_each_output():
    with pytest.raises(ValueError, match="quantiles must be one number, for one output; got 2"):
        fastnn.MLP((2, 1)).fit(np.eye(2), np.ones(2), epochs=1, loss="pinball", quantiles=[0.1, 0.9])
    with pytest.raises(ValueError, match="quantiles must be one number or 3, one for each output; got 2"):
        fastnn.MLP((2, 3), rng=0).fit(X, Y, epochs=1, loss="pinball", quantiles=[0.1, 0.9])


def test_the_states_of_compiled_code_take_quantiles():
    net, other = (fastnn.MLP((2, 3, 3), rng=0) for _ in range(2))
    state = fastnn.TrainState(net.spec, loss="pinball", quantiles=QUANTILES, optimizer=fastnn.SGD(0.1), max_batch=37)
    net.train_step(X, np.repeat(Y[:, None], 3, axis=1), state)
    options = {"loss": "pinball", "quantiles": QUANTILES, "optimizer": fastnn.SGD(0.1), "specialize": False}
    other.fit(X, Y, epochs=1, shuffle=False, **options)
    np.testing.assert_array_equal(net.params, other.params)


# ---------------------------------------------------------------- outputs in ascending order
@njit
def one_by_one(net, X, out):
    for r in range(len(X)):
        net.forward(X[r], out[r])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.floats(-3, 3), st.sampled_from(["float32", "float64"]))
def test_they_never_cross(seed, magnitude, dtype):
    rng, net = np.random.default_rng(seed), fastnn.MLP((2, 5, 11), output_activation="ascending", dtype=dtype)
    net.params[:] = rng.normal(size=net.params.shape) * 10**magnitude
    inputs = (rng.normal(size=(20, 2)) * 10**magnitude).astype(dtype)
    out = np.empty((20, 11), dtype)
    one_by_one(net, inputs, out)
    for outputs in (net.predict(inputs), out, fastnn.reference.network.predict(net.spec, net.params, inputs)):
        assert np.isfinite(outputs).all()
        assert (np.diff(outputs, axis=1) >= 0).all()


def test_one_ascending_output_is_a_plain_one():
    plain, ascending = network((2, 5, 1), "pinball"), network((2, 5, 1), "ascending_pinball")
    options = {"quantiles": 0.3, "epochs": 20, "specialize": False, "rng": 0}
    plain.fit(X, Y, loss="pinball", **options)
    ascending.fit(X, Y, loss="ascending_pinball", **options)
    np.testing.assert_allclose(ascending.params, plain.params, rtol=1e-12)
    np.testing.assert_allclose(ascending.predict(X), plain.predict(X), rtol=1e-12)


@pytest.mark.parametrize("backend", ["numba", "numpy", "plain"])
def test_ascending_gradients_are_those_of_central_differences(backend):
    net, step = network((2, 5, 3), "ascending_pinball"), 1e-6
    y = np.array([[np.nan, 0.3, -0.2], [0.1, 0.2, np.nan], [1.0, -1.0, 0.0]])
    options = {"loss": "ascending_pinball", "quantiles": QUANTILES, "targets": "masked", "backend": backend}
    value, gradient = net.loss_and_grad(X[:3], y, **options)
    error, start = y - net.predict(X[:3]), net.params.copy()
    assert value == pytest.approx(np.nanmean(np.maximum(QUANTILES * error, (np.array(QUANTILES) - 1) * error)))
    for i in range(len(start)):
        values = []
        for sign in (1, -1):
            net.params[:] = start
            net.params[i] += sign * step
            values.append(net.loss_and_grad(X[:3], y, **options)[0])
        assert gradient[i] == pytest.approx((values[0] - values[1]) / (2 * step), abs=1e-8)


@pytest.mark.parametrize("targets", ["complete", "masked"])
def test_validation_judges_the_outputs(targets):
    found = []
    for backend in ("numba", "numpy"):
        net = network((2, 5, 3), "ascending_pinball")
        history = net.fit(
            X[:20], Y[:20], loss="ascending_pinball", quantiles=QUANTILES, targets=targets, epochs=3, rng=0,
            validation_data=(X[20:], Y[20:]), backend=backend, specialize=False,
        )  # fmt: skip
        found.append([history.validation_loss, history.validation_metric])
        outputs = net.predict(X[20:])
        explained = 1 - ((outputs - Y[20:, None]) ** 2).sum(axis=0) / ((Y[20:] - Y[20:].mean()) ** 2).sum()
        assert history.validation_metric[-1] == pytest.approx(explained.mean(), rel=1e-10)
    np.testing.assert_allclose(*found, rtol=1e-10)


def test_ascending_outputs_need_ascending_quantiles_and_their_loss():
    net = network((2, 5, 3), "ascending_pinball")
    with pytest.raises(ValueError, match="quantiles must be in ascending order for 'ascending_pinball'; got"):
        net.loss_and_grad(X, Y, "ascending_pinball", quantiles=[0.9, 0.5, 0.1])
    net.loss_and_grad(X, Y, "ascending_pinball", quantiles=[0.5, 0.5, 0.9])  # two of which are one
    with pytest.raises(ValueError, match=r"as ascending_pinball would; got 'pinball'$"):
        net.loss_and_grad(X, Y, "pinball", quantiles=QUANTILES)


def test_ascending_quantiles_are_calibrated_and_saved(tmp_path):
    net = network((2, 5, 3), "ascending_pinball")
    net.fit(X, Y, loss="ascending_pinball", quantiles=QUANTILES, epochs=20, specialize=False)
    sure = fastnn.intervals(net, X, Y, coverage=0.8, method="quantile")
    low, middle, high = sure.predict(X)
    np.testing.assert_array_equal(low, net.predict(X)[:, :1] - sure.margin)
    assert (low <= middle).all()
    assert (middle <= high).all()
    sure.save(tmp_path / "sure.npz")
    for again, expected in zip(
        fastnn.Intervals.load(tmp_path / "sure.npz").predict(X), (low, middle, high), strict=True
    ):
        np.testing.assert_array_equal(again, expected)
