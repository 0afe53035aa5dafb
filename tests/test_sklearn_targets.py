"""Regressors that predict quantiles, expectiles, or a mean and its variance: what their outputs say, and to whom."""

from functools import partial

import numpy as np
import pytest
from sklearn.base import clone

import fastnn
from fastnn.sklearn import MLPEnsembleRegressor, MLPRegressor, to_sklearn

RNG = np.random.default_rng(0)
X = RNG.normal(size=(80, 4))
Y = X[:, 0] + RNG.normal(size=80) / 4
LEVELS = [0.1, 0.5, 0.9]
WHOLE = {"hidden_layer_sizes": (3,), "activation": "tanh", "solver": "rprop", "max_iter": 6, "random_state": 0}

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def network_of(model, n_out, **settings):
    net = fastnn.MLP((4, 3, n_out), **settings)
    for view, values in zip(net.weights + net.biases, model.coefs_ + model.intercepts_, strict=True):
        view[...] = values
    return net


@pytest.mark.parametrize("loss", ["pinball", "ascending_pinball", "expectile", "gaussian_nll"])
def test_losses_are_those_of_networks(loss):
    """The estimators sum over the targets what `MLP.fit` averages."""
    n_out, mean_of = (2, 1) if loss == "gaussian_nll" else (3, 3)
    output = "ascending" if loss == "ascending_pinball" else "identity"
    settings = {"min_variance": 0.01} if loss == "gaussian_nll" else {"quantiles": LEVELS}
    model = MLPRegressor(loss=loss, alpha=0.0, **settings, **WHOLE).fit(X, Y)
    net = network_of(model, n_out, output_activation=output)
    if n_out == 3:
        assert model.predict(X).shape == (80, 3)
        np.testing.assert_allclose(model.predict(X), net.predict(X), rtol=1e-12)
        assert model.score(X, Y) == pytest.approx(
            np.mean(1 - ((net.predict(X) - Y[:, None]) ** 2).mean(axis=0) / Y.var())
        )
    value = net.loss_and_grad(X, Y, loss, **settings)[0]
    model.set_params(warm_start=True, max_iter=1, learning_rate_init=1e-300).fit(X, Y)
    assert model.loss_ == pytest.approx(mean_of * value, rel=1e-9)


def test_a_variance_is_a_standard_deviation_beside_the_mean():
    model = MLPRegressor(loss="gaussian_nll", min_variance=0.01, **WHOLE).fit(X, Y)
    mean, std = model.predict(X, return_std=True)
    outputs = network_of(model, 2).predict(X)
    np.testing.assert_allclose(mean, outputs[:, 0], rtol=1e-12)
    np.testing.assert_allclose(std, np.sqrt(np.exp(outputs[:, 1]) + 0.01), rtol=1e-12)
    np.testing.assert_array_equal(model.predict(X), mean)
    assert model.score(X, Y) == pytest.approx(1 - ((mean - Y) ** 2).mean() / Y.var())
    several = MLPRegressor(loss="gaussian_nll", early_stopping=True, **WHOLE).fit(X, np.c_[Y, -Y])
    assert [part.shape for part in several.predict(X, return_std=True)] == [(80, 2), (80, 2)]
    assert len(several.validation_scores_) == several.n_iter_
    with pytest.raises(ValueError, match="return_std must be False unless loss is 'gaussian_nll'"):
        MLPRegressor(**WHOLE).fit(X, Y).predict(X, return_std=True)
    with pytest.raises(ValueError, match="a loss whose predictions scikit-learn can make; got 'gaussian_nll'"):
        to_sklearn(model)


@pytest.mark.parametrize("make", [MLPRegressor, partial(MLPEnsembleRegressor, 2, (80, 50))], ids=["one", "ensemble"])
@pytest.mark.parametrize(("learned", "later"), [("gaussian_nll", "squared_error"), ("squared_error", "gaussian_nll")])
def test_what_was_learned_is_predicted_whatever_the_loss_is_set_to(make, learned, later):
    model = make(loss=learned, max_iter=2).fit(X, np.c_[Y, -Y])
    expected = model.predict(X)
    np.testing.assert_array_equal(model.set_params(loss=later).predict(X), expected)
    assert expected.shape == (80, 2)
    if learned == "gaussian_nll":
        assert (model.predict(X, return_std=True)[1] > 0).all()


@pytest.mark.parametrize("make", [MLPRegressor, partial(MLPEnsembleRegressor, 2, (80, 50))], ids=["one", "ensemble"])
def test_the_least_variance_is_that_of_the_training(make):
    model = make(loss="gaussian_nll", max_iter=2, min_variance=0.01).fit(X, Y)
    expected = model.predict(X, return_std=True)
    for later in (9.0, [1.0, 2.0, 3.0]):
        np.testing.assert_array_equal(model.set_params(min_variance=later).predict(X, return_std=True), expected)


def test_single_precision_holds_a_deviation_whose_square_it_does_not():
    model = MLPRegressor(loss="gaussian_nll", max_iter=1, min_variance=1e-37).fit(X.astype(np.float32), Y)
    for log_variance in (-100.0, 100.0):
        model.coefs_[-1][:], model.intercepts_[-1][:] = 0, [0, log_variance]
        std = model.predict(X.astype(np.float32), return_std=True)[1]
        assert std.dtype == np.float32
        np.testing.assert_allclose(std, np.sqrt(np.exp(log_variance) + 1e-37), rtol=1e-5)


def test_what_was_learned_is_scored_whatever_the_loss_is_set_to():
    model = MLPRegressor(**WHOLE, loss="pinball", quantiles=[0.1, 0.9]).fit(X, Y)
    expected = model.score(X, Y)
    assert model.set_params(loss="squared_error").score(X, Y) == expected


def test_an_ensemble_mixes_its_members():
    x = X[:, :2]
    settings = {"solver": "sgd", "alpha": 0.0, "max_iter": 6, "loss": "gaussian_nll", "min_variance": 0.01}
    model = MLPEnsembleRegressor(3, (80, 50), **settings).fit(x, Y)  # too wide for lanes, which take long to compile
    means, variances = np.split(np.stack([net.predict(x) for net in model.ensemble_]), 2, axis=2)
    drawn = means + np.sqrt(np.exp(variances) + 0.01) * np.array([-1, 1])  # each member as two points
    mean, std = model.predict(x, return_std=True)
    np.testing.assert_allclose(mean, drawn.mean(axis=(0, 2)), rtol=1e-12)
    np.testing.assert_allclose(std, drawn.std(axis=(0, 2)), rtol=1e-12)
    np.testing.assert_allclose(model.predict_quantiles(x, 0.5), np.median(means[..., 0], axis=0), rtol=1e-12)


REFUSED = [
    ({"loss": "pinball", "quantiles": [0.1, 0.9]}, "quantiles must be one number or 3, one for each output; got 2"),
    ({"loss": "ascending_pinball", "quantiles": [0.9, 0.5, 0.1]}, "quantiles must be in ascending order"),
    ({"loss": "expectile", "quantiles": 1.0}, "The 'quantiles' parameter of MLPRegressor must be"),
    ({"loss": "pinball", "quantiles": []}, "quantiles must be a number, or at least one"),
    ({"loss": "gaussian_nll", "min_variance": [1.0, 2.0]}, "min_variance must be one number or 3, one for each target"),
]


@pytest.mark.parametrize(("params", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_numbers_that_do_not_fit_are_refused(params, message):
    with pytest.raises(ValueError, match=message):
        MLPRegressor(**WHOLE, **params).fit(X, np.c_[Y, Y, Y])


@pytest.mark.parametrize("kind", [MLPRegressor, partial(MLPEnsembleRegressor, 2)], ids=["one", "ensemble"])
def test_levels_of_several_depths_are_refused(kind):
    model = kind(hidden_layer_sizes=(80, 50), max_iter=1, loss="pinball")
    for levels in ([0.1, [0.2]], [[0.1, 0.9]]):
        with pytest.raises(TypeError, match=r"quantiles must be a number in \(0, 1\); got \[0\."):
            model.set_params(quantiles=levels).fit(X, Y)


@pytest.mark.parametrize("kind", [MLPRegressor, partial(MLPEnsembleRegressor, 2)], ids=["one", "ensemble"])
def test_a_regressor_of_before_there_were_quantiles(kind):
    """What version 0.2.0 has pickled lacks the settings that came later."""
    model = kind(hidden_layer_sizes=(80, 50), max_iter=2, random_state=0).fit(X, Y)
    state = vars(model).copy()
    for name in ("quantiles", "min_variance", "_learned_loss", "_learned_min_variance"):
        del state[name]
    older = type(model).__new__(type(model))
    older.__setstate__(state)
    np.testing.assert_array_equal(older.predict(X), model.predict(X))
    assert repr(older) == repr(model)
    assert clone(older).get_params() == model.get_params()
    np.testing.assert_array_equal(older.fit(X, Y).predict(X), model.predict(X))
