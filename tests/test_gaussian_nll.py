"""The loss whose outputs are means and variances: on every path, where variances collapse, and at the boundary."""

import numpy as np
import pytest

import fastnn
from fastnn.models.normal_outputs import means_and_variances, variance_of_mixture

RNG = np.random.default_rng(0)
X = RNG.uniform(-1, 1, (37, 2))
Y = np.c_[X[:, 0] + RNG.normal(size=37), X[:, 1] * RNG.normal(size=37), X[:, 0] * X[:, 1]]
WEIGHT = RNG.integers(0, 3, 37).astype(float)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n_targets", [1, 3, pytest.param(9, marks=pytest.mark.slow)])
def test_gradients_agree(n_targets, dtype):
    net = fastnn.MLP((2, 5, 2 * n_targets), dtype=dtype, rng=0)
    floors = np.linspace(1e-3, 1, n_targets)
    y = Y[:, np.arange(n_targets) % 3]
    settings = {"loss": "gaussian_nll", "min_variance": floors, "sample_weight": WEIGHT}
    by_numpy = net.loss_and_grad(X, y, backend="numpy", **settings)
    tolerance = 1e-5 if dtype == "float32" else 1e-12
    for backend in ("numba", "plain"):
        value, gradient = net.loss_and_grad(X, y, backend=backend, **settings)
        assert value == pytest.approx(by_numpy[0], rel=tolerance)
        np.testing.assert_allclose(gradient, by_numpy[1], atol=tolerance)


@pytest.mark.slow
@pytest.mark.parametrize("n_targets", [1, 2])
def test_every_path_trains_alike(n_targets):
    y, validation = Y[:, :n_targets], (X[:9], Y[:9, :n_targets])
    settings = {"loss": "gaussian_nll", "epochs": 4, "optimizer": fastnn.SGD(0.1), "batch_size": 16}
    start = fastnn.MLP((2, 3, 2 * n_targets), rng=0)
    trained, watched = [], []
    for run in ({"backend": "numpy"}, {"specialize": False}, {"specialize": True}):
        net = start.copy()
        history = net.fit(X, y, rng=1, progress=False, validation_data=validation, **settings, **run)
        trained.append(net.params)
        watched.append(np.r_[history.loss, history.validation_loss, history.validation_metric])
    own = np.stack([y, y[::-1]]), np.stack([start.params] * 2)
    for specialize in (False, True):
        settings |= {"validation_data": validation, "specialize": specialize, "rng": 1, "history": True}
        many = fastnn.fit_many(start.spec, X, y, params=start.params[None], **settings)
        trained.append(many.params[0])
        np.testing.assert_allclose(many.records.validation[0], watched[0][4:8], rtol=1e-10)
        many = fastnn.fit_many(start.spec, X, own[0], params=own[1], **settings)
        trained.append(many.params[0])
    assert np.abs(trained[0] - start.params).max() > 1e-2
    for params in trained[1:]:
        np.testing.assert_allclose(params, trained[0], rtol=1e-10, atol=1e-12)
    for numbers in watched[1:]:
        np.testing.assert_allclose(numbers, watched[0], rtol=1e-10)


def test_it_finds_the_mean_and_the_variance():
    net, nothing = fastnn.MLP((1, 6), rng=0), np.zeros((37, 1))
    net.fit(nothing, Y, loss="gaussian_nll", sample_weight=WEIGHT, optimizer=fastnn.LBFGS(), epochs=200, rng=0)
    mean, log_variance = np.split(net.predict(nothing[:1])[0], 2)
    expected = np.average(Y, axis=0, weights=WEIGHT)
    np.testing.assert_allclose(mean, expected, atol=1e-3)
    np.testing.assert_allclose(np.exp(log_variance), np.average((Y - expected) ** 2, axis=0, weights=WEIGHT), rtol=1e-2)


@pytest.mark.parametrize("rows", [1, 20])
def test_a_variance_that_collapses_stops_at_its_floor(rows, backend):
    """A constant target, or one sample: without a floor the loss would fall for ever."""
    net = fastnn.MLP((2, 2), rng=0)
    settings = {
        "loss": "gaussian_nll",
        "min_variance": 0.01,
        "optimizer": fastnn.Adam(fastnn.schedules.Cosine(0.1, 2000)),  # at a full rate it would not come to rest
        "rng": 0,
        "specialize": False,
    }
    history = net.fit(X[:rows], np.full(rows, 3.0), epochs=2000, backend=backend, **settings)
    assert history.stopped == "finished"
    floor = np.log(0.01) / 2 - 1e-15  # less what rounding takes
    assert floor <= history.loss[-1] < np.log(0.011) / 2
    np.testing.assert_allclose(net.predict(X[:rows])[:, 0], 3.0, atol=0.01)
    lost = net.copy()
    lost.params[-1] = -1e4  # as far as it may go: exp gives 0, and the loss is that of the floor
    value, gradient = lost.loss_and_grad(X[:rows], np.full(rows, 3.0), "gaussian_nll", min_variance=0.01)
    assert floor <= value < np.log(0.011) / 2
    assert np.isfinite(gradient).all()


def test_a_target_takes_two_outputs():
    net = fastnn.MLP((2, 4), rng=0)
    with pytest.raises(ValueError, match=r"loss must suit the number of outputs: .* takes 2 for each .* of 3"):
        fastnn.MLP((2, 3), rng=0).fit(X, Y, loss="gaussian_nll", epochs=1)
    with pytest.raises(ValueError, match=r"y must have shape \(37, 2\)"):
        net.fit(X, Y, loss="gaussian_nll", epochs=1)
    with pytest.raises(ValueError, match="min_variance must be one number or 2, one for each target; got 4"):
        net.fit(X, Y[:, :2], loss="gaussian_nll", min_variance=[0.1] * 4, epochs=1)
    with pytest.raises(ValueError, match="min_variance must be a finite number above 0; got 0"):
        net.fit(X, Y[:, :2], loss="gaussian_nll", min_variance=0, epochs=1)
    with pytest.raises(ValueError, match="loss must be a sum of squares"):
        net.fit(X, Y[:, :2], loss="gaussian_nll", optimizer=fastnn.LevenbergMarquardt(), epochs=1)


def test_the_states_of_compiled_code_take_it():
    net, other = (fastnn.MLP((2, 5, 6), rng=0) for _ in range(2))
    settings = {"loss": "gaussian_nll", "min_variance": 0.1, "optimizer": fastnn.SGD(0.1)}
    state = fastnn.TrainState(net.spec, max_batch=37, **settings)
    net.train_step(X, Y, state)
    net.train_step(X[0], Y[0], state)
    other.fit(X, Y, epochs=1, shuffle=False, specialize=False, **settings)
    other.fit(X[:1], Y[:1], epochs=1, shuffle=False, specialize=False, **settings)
    np.testing.assert_array_equal(net.params, other.params)
    with pytest.raises(ValueError, match=r"and y \(n, 3\); got x of shape \(37, 2\) and y of shape \(37, 6\)"):
        net.train_step(X, np.zeros((37, 6)), state)


def test_a_variance_beyond_the_dtype_is_infinite_without_a_warning():
    means, variances = means_and_variances(np.array([[1.0, 800.0]]), 1e-6)
    assert (means[0, 0], variances[0, 0]) == (1.0, np.inf)


def test_batches_from_a_callable_and_a_sweep_take_it():
    net, other = (fastnn.MLP((2, 5, 6), rng=0) for _ in range(2))
    settings = {"loss": "gaussian_nll", "epochs": 2, "optimizer": fastnn.SGD(0.1)}
    net.fit(lambda: iter([(X, Y)]), **settings)
    other.fit(X, Y, shuffle=False, specialize=False, **settings)
    np.testing.assert_array_equal(net.params, other.params)
    found = fastnn.sweep(X, Y, [{"hidden": (5,), "min_variance": 0.1}], folds=2, **settings)
    assert [net.spec.n_out for net in found.networks] == [6, 6]


@pytest.mark.parametrize("rows", [1, 7, 8])
def test_a_variance_that_overflows_makes_the_loss_infinite(rows, backend):
    net = fastnn.MLP((2, 2), dtype="float32", rng=0)
    net.biases[0][1] = 100
    with np.errstate(over="ignore", invalid="ignore"):
        assert net.loss_and_grad(X[:rows], Y[:rows, :1], "gaussian_nll", backend=backend)[0] == np.inf


def test_the_variance_of_a_mixture_is_summed_in_double_precision():
    """In float32 the squares, or the sum of many, would overflow or lose what the means have in common."""
    means = np.float32(3e4) + np.float32([[[0.0]], [[1 / 512]], [[2 / 512]]])
    assert variance_of_mixture(means, np.zeros_like(means)) == pytest.approx(np.var([0, 1, 2]) / 512**2, rel=1e-12)
    means, variances = np.float32([[[-2e19]], [[2e19]]]), np.full((2, 1, 1), 3e38, np.float32)
    assert variance_of_mixture(means, variances) == pytest.approx(7e38, rel=1e-6)
