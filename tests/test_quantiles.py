"""Losses whose outputs are quantiles or expectiles of one target: on every path, and at the boundary."""

import numpy as np
import pytest

import fastnn

QUANTILES = [0.1, 0.5, 0.9]
RNG = np.random.default_rng(0)
X = RNG.uniform(-1, 1, (37, 2))
Y = X[:, 0] + RNG.normal(size=37)
LOSSES = ["pinball", "expectile"]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("outputs", [1, 3, pytest.param(11, marks=pytest.mark.slow)])
def test_gradients_agree(loss, dtype, outputs):
    net = fastnn.MLP((2, 5, outputs), dtype=dtype, rng=0)
    quantiles = np.linspace(0.1, 0.8, outputs)
    by_numpy = net.loss_and_grad(X, Y, loss, quantiles=quantiles, backend="numpy")
    tolerance = 1e-5 if dtype == "float32" else 1e-12
    for backend in ("numba", "plain"):
        value, gradient = net.loss_and_grad(X, Y, loss, quantiles=quantiles, backend=backend)
        assert value == pytest.approx(by_numpy[0], rel=tolerance)
        np.testing.assert_allclose(gradient, by_numpy[1], atol=tolerance)


@pytest.mark.parametrize("loss", ["pinball", pytest.param("expectile", marks=pytest.mark.slow)])
def test_every_path_trains_alike(loss):
    settings = {"loss": loss, "quantiles": QUANTILES, "epochs": 5, "optimizer": fastnn.SGD(0.1)}
    start = fastnn.MLP((2, 3, 3), rng=0)
    trained = []
    for run in ({"backend": "numpy"}, {"specialize": False}, {"specialize": True}):
        net = start.copy()
        net.fit(X, Y, rng=1, progress=False, **settings, **run)
        trained.append(net.params)
    for specialize in (False, True):
        many = fastnn.fit_many(start.spec, X, Y, params=start.params[None], rng=1, specialize=specialize, **settings)
        trained.append(many.params[0])
    assert np.abs(trained[0] - start.params).max() > 1e-2
    for params in trained[1:]:
        np.testing.assert_allclose(params, trained[0], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("loss", LOSSES)
def test_a_constant_is_the_quantile_or_the_expectile(loss):
    net, y = fastnn.MLP((1, 3), rng=0), Y[:7]  # whose quantiles are the first, the middle and the last
    net.fit(np.zeros((7, 1)), y, loss=loss, quantiles=QUANTILES, epochs=5000, optimizer=fastnn.SGD(0.1), rng=0)
    outputs = net.predict(np.zeros((1, 1)))[0]
    if loss == "pinball":
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
    with pytest.raises(ValueError, match="quantiles must be one number or 3, one for each output; got 2"):
        fastnn.MLP((2, 3), rng=0).fit(X, Y, epochs=1, loss="pinball", quantiles=[0.1, 0.9])


def test_the_states_of_compiled_code_take_quantiles():
    net, other = (fastnn.MLP((2, 3, 3), rng=0) for _ in range(2))
    state = fastnn.TrainState(net.spec, loss="pinball", quantiles=QUANTILES, optimizer=fastnn.SGD(0.1), max_batch=37)
    net.train_step(X, np.repeat(Y[:, None], 3, axis=1), state)
    settings = {"loss": "pinball", "quantiles": QUANTILES, "optimizer": fastnn.SGD(0.1), "specialize": False}
    other.fit(X, Y, epochs=1, shuffle=False, **settings)
    np.testing.assert_array_equal(net.params, other.params)
