"""What the estimators have beyond scikit-learn's, and how they get on with its tools."""

import enum
import gc
import pickle
import signal
import warnings
import weakref

import joblib
import numpy as np
import pytest
from scipy.optimize import OptimizeResult
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn_cases import LABELS, RNG, SHORT, X, Y, classifier, regressor, same_weights

from fastnn import MLP, Activation, EarlyStopping, Loss
from fastnn.kernels.dispatch import members_in_lanes
from fastnn.settings import catalogue, optimizers
from fastnn.sklearn import (
    MLPClassifier,
    MLPEnsembleClassifier,
    MLPEnsembleRegressor,
    MLPRegressor,
    fitting,
    restarts,
    to_sklearn,
    whole_batch,
)
from fastnn.sklearn.conventions import initial_weights, update_rule_of
from fastnn.sklearn.epochs import Epochs
from fastnn.sklearn.scoring import r2

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def test_what_a_dtype_cannot_hold_is_refused():
    single, wild = X.astype(np.float32), np.full(80, 1e39)
    for name, data in {
        "X": (X * 1e39, Y),
        "y": (single, wild),
        "sample_weight": (single, Y[:, 0], wild),
        "X of validation_data": (single, Y, None, (X * 1e39, Y)),
        "y of validation_data": (single, Y, None, (single, Y * 1e39)),
    }.items():
        with pytest.raises(ValueError, match=rf"^{name} must fit into float32, .*; got -?[\d.]+e\+3[89]$"):
            regressor(dtype="float32").fit(*data)
    if np.finfo(np.longdouble).max <= np.finfo(np.float64).max:
        return  # a platform without longer numbers
    for model in (regressor().fit(X, Y), classifier(dtype="float32").fit(X, LABELS)):
        with pytest.raises(ValueError, match=r"^X must fit into float64, .*; got 1e\+4000$"):
            model.predict(np.full((2, 4), np.longdouble("1e4000")))


@pytest.mark.parametrize("size", [1e-25, 1e20])
def test_r2_of_targets_whose_squares_float32_does_not_hold(size):
    y = (size * Y).astype(np.float32)
    assert r2(np.float32(0.5) * y, y, None) == pytest.approx(r2(0.5 * Y, Y, None), rel=1e-6)


def test_lbfgs_takes_targets_as_they_are_beside_samples_in_single_precision():
    single, far = X.astype(np.float32), Y[:, 0] + 1e7
    settings = {"solver": "lbfgs", "hidden_layer_sizes": (), "alpha": 0.0, "max_iter": 500}
    expected = regressor(**settings).fit(single.astype(float), far)
    assert regressor(**settings).fit(single, far).loss_ == pytest.approx(expected.loss_, rel=1e-3)


# ---------------------------------------------------------------- own parameters
@pytest.mark.parametrize("name", [row.name for row in catalogue.ACTIVATIONS.values() if row.hidden])
def test_every_activation_predicts_what_the_network_does(name):
    model = regressor(activation=(name, "tanh"), max_iter=2).fit(X, Y)
    net = MLP((4, 6, 5, 2), activation=(name, "tanh"))
    for view, values in zip(net.weights + net.biases, model.coefs_ + model.intercepts_, strict=True):
        view[...] = values
    np.testing.assert_allclose(model.predict(X), net.predict(X, backend="numpy"), rtol=1e-12, atol=1e-14)


def test_logistic_is_sigmoid():
    same_weights(regressor(activation="logistic").fit(X, Y), regressor(activation="sigmoid").fit(X, Y), rtol=0, atol=0)


SOLVERS = {
    "adamw": optimizers.AdamW(0.01, weight_decay=0.2),
    "rmsprop": optimizers.RMSprop(0.01, decay=0.9),
    "rprop": optimizers.Rprop(0.01),
}


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber"])
@pytest.mark.parametrize("solver", SOLVERS)
def test_own_solvers_and_losses_are_the_networks(solver, loss):
    """On one output, whole batches and without penalty only the halved square tells the two apart."""
    settings = {"solver": solver, "weight_decay": 0.2, "decay": 0.9, "alpha": 0.0, "shuffle": False, "batch_size": 80}
    model = regressor(loss=loss, delta=0.3, **settings)
    start = clone(model).set_params(max_iter=1, learning_rate_init=1e-300, solver="sgd").fit(X, Y[:, 0])
    net = MLP((4, 6, 5, 1), activation="relu")
    for view, values in zip(net.weights + net.biases, start.coefs_ + start.intercepts_, strict=True):
        view[...] = values
    name = {"squared_error": "huber", "absolute_error": "mae", "huber": "huber"}[loss]
    delta = 1e9 if loss == "squared_error" else 0.3
    history = net.fit(X, Y[:, 0], loss=name, delta=delta, optimizer=SOLVERS[solver], epochs=6, shuffle=False)
    model.fit(X, Y[:, 0])
    np.testing.assert_allclose(model.loss_curve_, history.loss, rtol=1e-9)
    np.testing.assert_allclose(model.predict(X), net.predict(X)[:, 0], rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("weight", [None, RNG.random(80)], ids=["even", "weighted"])
def test_levenberg_marquardt_goes_where_lbfgs_goes(weight):
    """L-BFGS, started where the other ended, finds that it is a minimum of its loss, the penalty included."""
    settings = {"hidden_layer_sizes": 2, "activation": "tanh", "alpha": 0.5, "max_iter": 3000}
    quick = regressor(solver="levenberg-marquardt", tol=1e-12, **settings).fit(X, Y[:, 0], weight)
    assert quick.n_iter_ == len(quick.loss_curve_) < 300
    assert quick.loss_curve_[0] > quick.loss_ == min(quick.loss_curve_) == quick.best_loss_
    residuals = np.average((quick.predict(X) - Y[:, 0]) ** 2, weights=weight) / 2
    total = 80 if weight is None else weight.sum()
    assert quick.loss_ == pytest.approx(residuals + 0.25 / total * sum((W**2).sum() for W in quick.coefs_), rel=1e-6)
    restarts = regressor(solver="lbfgs", tol=1e-9, warm_start=True, **settings)
    restarts.fit(X, Y[:, 0], weight)
    vars(restarts).update(coefs_=quick.coefs_, intercepts_=quick.intercepts_)
    assert restarts.fit(X, Y[:, 0], weight).loss_ == pytest.approx(quick.loss_, rel=1e-6)


def test_levenberg_marquardt_stops_early_and_calls_back():
    model = regressor(solver="levenberg-marquardt", early_stopping=True, max_iter=200, n_iter_no_change=3).fit(X, Y)
    assert model.n_iter_ == len(model.validation_scores_) < 200
    assert model.best_validation_score_ == max(model.validation_scores_)
    seen = []
    regressor(solver="levenberg-marquardt", callbacks=lambda model: seen.append(model.loss_) or len(seen) == 2).fit(
        X, Y
    )
    assert len(seen) == 2
    with pytest.raises(ValueError, match="loss must be 'squared_error' with solver='levenberg-marquardt'; got 'huber'"):
        regressor(solver="levenberg-marquardt", loss="huber").fit(X, Y)
    with pytest.raises(ValueError, match="loss must be 'squared_error' with solver='levenberg-marquardt'; got 'huber'"):
        regressor(solver="levenberg-marquardt", loss="huber").partial_fit(X, Y)


def test_levenberg_marquardt_keeps_the_best_weights_however_it_ends():
    """After a callback, without patience, and where a warm start does no better."""
    settings = {"solver": "levenberg-marquardt", "early_stopping": True, "max_iter": 12, "n_iter_no_change": 20}
    held_out, noise = (X[:20], Y[:20]), np.random.default_rng(1).normal(size=(60, 2))
    model = regressor(warm_start=True, **settings)
    for _ in range(2):
        model.fit(X[20:], Y[20:] + noise, validation_data=held_out)
        assert model.score(*held_out) == pytest.approx(model.best_validation_score_, rel=1e-12)
        assert model.best_validation_score_ == max(model.validation_scores_) > model.validation_scores_[-1]
    for change in ({"callbacks": lambda model: model.n_iter_ == 11}, {"n_iter_no_change": np.inf}):
        other = regressor(**settings | change).fit(X[20:], Y[20:] + noise, validation_data=held_out)
        assert other.score(*held_out) == pytest.approx(max(other.validation_scores_), rel=1e-12)
        assert other.n_iter_ == (11 if "callbacks" in change else 12)


def test_levenberg_marquardt_is_only_stopped_by_a_validation_set_where_it_is_to_stop_early():
    settings = {"solver": "levenberg-marquardt", "max_iter": 12, "n_iter_no_change": 2}
    alone, watched = (regressor(**settings) for _ in range(2))
    alone.fit(X[20:], Y[20:])
    watched.fit(X[20:], Y[20:], validation_data=(X[:20], -Y[:20]))
    assert alone.n_iter_ == watched.n_iter_ == 12
    same_weights(watched, alone, rtol=0, atol=0)


def test_levenberg_marquardt_keeps_its_accounts_epoch_by_epoch():
    """With a validation set, too, that does not stop it."""
    seen = []

    def look(model):
        of_now = r2(model.predict(X[:20]), Y[:20], None)
        assert model.validation_scores_[-1] == pytest.approx(of_now, rel=1e-12)
        assert model.best_loss_ == min(model.loss_curve_)
        seen.append((model.n_iter_, model.t_, len(model.loss_curve_), len(model.validation_scores_)))

    settings = {"solver": "levenberg-marquardt", "callbacks": look, "max_iter": 4}
    model = regressor(**settings).fit(X[20:], Y[20:], validation_data=(X[:20], Y[:20]))
    assert seen == [(i, 60 * i, i, i) for i in range(1, 5)]
    assert model.best_validation_score_ == max(model.validation_scores_)


@pytest.mark.parametrize("weight", [None, RNG.random(20)], ids=["even", "weighted"])
def test_levenberg_marquardt_stops_by_the_loss_where_no_held_out_target_varies(weight, monkeypatch):
    stops = []

    def spy(*settings, **others):
        stops.append(EarlyStopping(*settings, **others))
        return stops[-1]

    monkeypatch.setattr(whole_batch, "EarlyStopping", spy)
    model = regressor(solver="levenberg-marquardt", early_stopping=True, max_iter=200, n_iter_no_change=3)
    model.fit(X[20:], Y[20:], validation_data=(X[:20], np.ones((20, 2)), *([] if weight is None else [weight])))
    assert model.n_iter_ < 200
    assert model.validation_scores_ == [0.0] * model.n_iter_
    assert model.best_validation_score_ == 0.0
    taken = np.sum(np.ones(20) if weight is None else weight)
    assert stops[0].min_improvement == pytest.approx(2 * taken * model.tol)  # of a sum of squares
    split = regressor(solver="levenberg-marquardt", early_stopping=True, max_iter=200).fit(X, np.ones(80))
    assert split.validation_scores_ == [0.0] * split.n_iter_


def test_lbfgs_ends_where_scipy_says_which_need_not_be_what_it_asked_last(monkeypatch):
    def minimize(function, start, **settings):
        function(start + 1)
        starts.append(start)
        return OptimizeResult(x=start, fun=0.5, nit=1, status=0, success=True, message="")

    starts = []
    monkeypatch.setattr("scipy.optimize.minimize", minimize)
    model = regressor(solver="lbfgs").fit(X, Y)
    assert set(np.concatenate([part.ravel() for part in (*model.coefs_, *model.intercepts_)])) == set(starts[0])


def test_rprop_takes_whole_batches():
    same_weights(regressor(solver="rprop", batch_size=7).fit(X, Y), regressor(solver="rprop", batch_size=80).fit(X, Y))


def test_ctrl_c_before_any_start_is_finished_leaves_the_last_fit(monkeypatch):
    model = regressor(n_restarts=2, max_iter=5, **WIDE).fit(X, Y[:, 0])
    predicted, fit_many = model.predict(X), restarts.fit_many
    monkeypatch.setattr(restarts, "fit_many", lambda *args, **options: fit_many(*args, **options)[:0])
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, -Y[:, 0])
    assert np.array_equal(model.predict(X), predicted)
    new = clone(model)
    with pytest.raises(KeyboardInterrupt):
        new.fit(X, Y[:, 0])
    with pytest.raises(NotFittedError):
        new.predict(X)
    learned = classifier(batch_size=80).fit(X, LABELS)
    before = learned.predict(X)
    with pytest.raises(KeyboardInterrupt):
        learned.set_params(n_restarts=2).fit(X, LABELS + 5)
    np.testing.assert_array_equal(learned.predict(X), before)


def test_the_best_of_several_starts_is_kept():
    """Initial weights of all come first in the random stream; then each has its epochs."""
    params = {"shuffle": False, "warm_start": True}
    many = regressor(n_restarts=5, **params).fit(X, Y)
    rng, models = np.random.RandomState(0), []
    for _ in range(5):
        coefs, intercepts = initial_weights([4, 6, 5, 2], ("relu", "relu"), rng, np.dtype(float))
        model = regressor(max_iter=1, **params).fit(X, Y)
        vars(model).update(coefs_=coefs, intercepts_=intercepts, best_loss_=np.inf, loss_curve_=[])
        models.append(model.set_params(max_iter=6).fit(X, Y))
    best = min(models, key=lambda model: model.loss_)
    assert best not in (models[0], models[-1])
    assert many.loss_curve_ == best.loss_curve_
    same_weights(many, best, rtol=0, atol=0)


WIDE = {"hidden_layer_sizes": (80, 50), "batch_size": 80}  # too many parameters for lanes, which take long to compile
TOGETHER = {
    "in lanes": (classifier(hidden_layer_sizes=3, batch_size=80, solver="sgd", momentum=0.8), LABELS),
    "two classes": (classifier(solver="sgd", **WIDE), LABELS > 0),
    "one output": (regressor(alpha=0.5, **WIDE), Y[:, 0]),
    "absolute error": (regressor(loss="absolute_error", solver="adamw", **WIDE), Y[:, 0]),
    "huber": (regressor(loss="huber", delta=0.1, solver="rmsprop", **WIDE), Y[:, 0]),
    "poisson": (regressor(loss="poisson", **WIDE), np.abs(Y[:, 0])),
    "rprop": (regressor(solver="rprop", **WIDE | {"batch_size": 30}), Y[:, 0]),
    "early": (classifier(**WIDE | {"max_iter": 300}, tol=0.01, n_iter_no_change=4), LABELS),
    "float32": (regressor(dtype="float32", **WIDE), Y[:, 0]),
}


@pytest.mark.parametrize("weight", [None, RNG.random(80)], ids=["even", "weighted"])
@pytest.mark.parametrize(
    "kind",
    [pytest.param(kind, marks=pytest.mark.slow if kind == "in lanes" else ()) for kind in TOGETHER],
)
def test_starts_that_are_trained_together_are_those_trained_in_turn(kind, weight, monkeypatch):
    model, y = TOGETHER[kind]
    together, in_turn = (clone(model).set_params(n_restarts=4) for _ in range(2))
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", ConvergenceWarning)
        together.fit(X, y, weight)
    assert len(told) == (kind != "early")  # once, whatever the number of starts
    assert not hasattr(together, "_stochastic_state")  # that of one network alone
    assert members_in_lanes(together._network(X.dtype)[0]) == (kind == "in lanes")
    monkeypatch.setattr(fitting, "goes_together", lambda *args: False)
    in_turn.fit(X, y, weight)
    tolerance = {"rtol": 1e-8, "atol": 1e-10} if kind != "float32" else {"rtol": 1e-3, "atol": 1e-4}
    same_weights(together, in_turn, **tolerance)
    np.testing.assert_allclose(together.loss_curve_, in_turn.loss_curve_, rtol=tolerance["rtol"])
    assert together.best_loss_ == pytest.approx(in_turn.best_loss_, rel=tolerance["rtol"])
    assert (together.n_iter_, together.t_) == (in_turn.n_iter_, in_turn.t_)
    assert (together.n_iter_ < together.max_iter) == (kind == "early")
    together.partial_fit(X, y)


@pytest.mark.parametrize("momentum", [0, 1])
@pytest.mark.parametrize("weight", [None, RNG.random(80) - 0.2], ids=["even", "negative"])
def test_several_starts_take_what_one_takes(momentum, weight, monkeypatch):
    settings = {"solver": "sgd", "momentum": momentum, "n_restarts": 2, "max_iter": 3, **WIDE}
    any_way = regressor(**settings).fit(X, Y[:, 0], weight)
    monkeypatch.setattr(fitting, "goes_together", lambda *args: False)
    same_weights(any_way, regressor(**settings).fit(X, Y[:, 0], weight), rtol=1e-8, atol=1e-10)


APART = {
    "batches": (regressor(batch_size=30), Y[:, 0]),
    "outputs": (regressor(batch_size=80), Y),
    "labels": (classifier(batch_size=80), Y > 0),
    "early stopping": (classifier(batch_size=72, early_stopping=True), LABELS),
    "callbacks": (classifier(batch_size=80, callbacks=lambda model: False), LABELS),
    "schedule": (classifier(batch_size=80, solver="sgd", learning_rate="invscaling"), LABELS),
    "no tolerance": (classifier(batch_size=80, tol=0.0), LABELS),
    "L-BFGS": (classifier(solver="lbfgs"), LABELS),
}


@pytest.mark.parametrize("kind", APART)
def test_other_starts_are_trained_in_turn(kind, monkeypatch):
    model, y = APART[kind]
    monkeypatch.setattr(fitting, "fit_together", lambda *args: pytest.fail("trained together"))
    clone(model).set_params(n_restarts=2).fit(X, y)


def test_together_as_in_turn_a_start_that_diverges_is_an_error():
    for batch_size in (30, 80):
        model = regressor(n_restarts=2, solver="sgd", learning_rate_init=1e200, **WIDE | {"batch_size": batch_size})
        with pytest.raises(ValueError, match="Solver produced non-finite parameter weights"):
            model.fit(X, Y[:, 0])


@pytest.mark.parametrize("solver", ["adam", "rprop", "lbfgs"])
def test_data_are_let_go_at_once(solver):
    """Without waiting for Python's collector, which may not come before the next fit needs the memory."""
    samples, estimator = X.copy(), regressor(solver=solver)
    gc.collect()
    gc.disable()
    try:
        estimator.fit(samples, Y)
        kept = weakref.ref(samples)
        del samples
        assert kept() is None
    finally:
        gc.enable()


def test_given_validation_data_are_scored_after_every_epoch():
    model = classifier().fit(X, LABELS, validation_data=(X[:20], LABELS[:20]))
    assert len(model.validation_scores_) == model.n_iter_ == 6
    assert model.validation_scores_[-1] == model.score(X[:20], LABELS[:20])
    same_weights(model, classifier().fit(X, LABELS), rtol=0, atol=0)


def test_early_stopping_by_given_validation_data_keeps_the_best():
    weight = RNG.random(20)
    model = regressor(early_stopping=True, max_iter=200, n_iter_no_change=2, learning_rate_init=0.05)
    model.fit(X[20:], Y[20:], validation_data=(X[:20], Y[:20], weight))
    assert model.n_iter_ < 200
    assert max(model.validation_scores_) == model.best_validation_score_ > model.validation_scores_[-1]
    np.testing.assert_allclose(model.score(X[:20], Y[:20], weight), model.best_validation_score_, rtol=1e-12)


def test_validation_data_with_unknown_classes_are_refused():
    with pytest.raises(ValueError, match="`y` has classes not in"):
        classifier().fit(X, LABELS, validation_data=(X, LABELS + 1))


BAD_VALIDATION = [
    (X, r"validation_data must be \(X, y\) or \(X, y, sample_weight\); got"),
    ((X,), r"validation_data must be \(X, y\) or"),
    ((X, Y, None, None), r"validation_data must be \(X, y\) or"),
    ((X, Y[:, 0]), "validation_data must have 2 targets for each sample, as y has; got 1"),
    ((X, np.c_[Y, Y]), "validation_data must have 2 targets for each sample, as y has; got 4"),
    ((X, Y, np.resize([-1.0, 1.0], 80)), r"sample_weight must have a sum above 0 on the validation set; got 0\.0"),
]


@pytest.mark.parametrize(("data", "message"), BAD_VALIDATION, ids=[message for _, message in BAD_VALIDATION])
def test_validation_data_that_do_not_fit_are_refused(data, message):
    with pytest.raises((TypeError, ValueError), match=message):
        regressor().fit(X, Y, validation_data=data)


def test_one_sample_has_no_r2_to_stop_by():
    one = X[:1], Y[:1]
    with pytest.raises(
        ValueError, match="validation_data must have at least two samples for early_stopping, as one has"
    ):
        regressor(early_stopping=True).fit(X, Y, validation_data=one)
    assert np.isnan(r2(Y[:1], Y[:1], None))
    assert classifier(early_stopping=True, max_iter=2).fit(X, LABELS, validation_data=(X[:1], LABELS[:1])).n_iter_ == 2


def test_callbacks_see_every_epoch_and_may_stop():
    seen = []
    calls = [lambda model: seen.append((model.n_iter_, model.loss_)), lambda model: model.n_iter_ == 3]
    model = regressor(callbacks=calls).fit(X, Y)
    assert seen == list(enumerate(model.loss_curve_, start=1))
    assert model.n_iter_ == 3
    same_weights(model, regressor(max_iter=3).fit(X, Y), rtol=0, atol=0)
    for early_stopping in (False, True):  # the last epoch, too, and that of partial_fit
        seen.clear()
        settings = {"callbacks": calls[0], "tol": 1.0, "n_iter_no_change": 2, "early_stopping": early_stopping}
        model = regressor(**settings | {"max_iter": 50}).fit(X, Y)
        assert 2 < model.n_iter_ < 50
        assert seen == list(enumerate(model.loss_curve_, start=1))
    model = regressor(callbacks=calls[0]).partial_fit(X, Y)
    assert seen[-1] == (1, model.loss_)
    with pytest.raises(
        TypeError, match=r"callbacks must be functions of the estimator, or one; got an array of shape \(\)"
    ):
        regressor(callbacks=np.array(3)).fit(X, Y)
    with pytest.raises(TypeError, match=r"callbacks must be functions of the estimator, or one; got \[3\]"):
        regressor(callbacks=[3]).fit(X, Y)
    with pytest.raises(TypeError, match=r"what callbacks return must be True or False; got an array of shape \(4,\)"):
        regressor(callbacks=lambda model: model.coefs_[0][:, 0]).fit(X, Y)


OTHER_SOLVERS = [
    (first, solver)
    for first in ("adam", "rprop", "sgd", "lbfgs")
    for solver in ("sgd", "rmsprop", "rprop", "adamw")
    if first != solver
]


@pytest.mark.parametrize(("first", "solver"), OTHER_SOLVERS)
def test_another_solver_begins_with_a_state_of_its_own(first, solver):
    model = regressor(solver=first).fit(X, Y)
    again = regressor(solver=solver, warm_start=True, max_iter=1, shuffle=False).fit(X, Y)
    again.coefs_, again.intercepts_ = [W.copy() for W in model.coefs_], [b.copy() for b in model.intercepts_]
    again.fit(X, Y)
    same_weights(model.set_params(solver=solver, shuffle=False).partial_fit(X, Y), again, rtol=0, atol=0)
    assert model._stochastic_state.optimizer_state.optimizer == type(update_rule_of(model)).__name__


def test_a_state_of_another_network_is_not_gone_on_from():
    model = regressor().fit(X, Y).set_params(solver="lbfgs", hidden_layer_sizes=(9,)).fit(X, Y)
    model.set_params(solver="adam").partial_fit(X, Y)
    assert model._stochastic_state.optimizer_state.slots.shape[1] == sum(W.size for W in model.coefs_) + 11


@pytest.mark.parametrize("before", [{"early_stopping": True}, {"early_stopping": False}, {"solver": "lbfgs"}], ids=repr)
@pytest.mark.parametrize("after", [{"solver": "adam"}, {"solver": "levenberg-marquardt"}], ids=repr)
@pytest.mark.parametrize("early_stopping", [True, False])
def test_a_warm_start_may_stop_by_another_measure(before, after, early_stopping):
    model = regressor(warm_start=True, **before).fit(X, Y)
    model.set_params(**after, early_stopping=early_stopping).fit(X, Y)
    assert (model.best_validation_score_ is None) != early_stopping


OTHER_NETWORKS = [
    (Y[:, 0], {}, "y must go with the 2 outputs of the network that is trained further; got 1 target"),
    (np.c_[Y, Y], {}, "got 4 targets, for 4 outputs with loss='squared_error'"),
    (Y, {"loss": "gaussian_nll"}, "got 2 targets, for 4 outputs with loss='gaussian_nll'"),
    (Y, {"hidden_layer_sizes": (6,)}, r"hidden_layer_sizes must be \[6, 5\], as in the network"),
    (Y, {"hidden_layer_sizes": (6, 8)}, r"trained further; got \[6, 8\]"),
    (abs(Y), {"loss": "poisson"}, "loss must go with outputs of the activation 'identity', .* got 'poisson'"),
    (Y, {"loss": "ascending_pinball", "quantiles": [0.1, 0.9]}, "got 'ascending_pinball'"),
]


@pytest.mark.parametrize(
    ("solver", "y", "params", "message"),
    [
        pytest.param(solver, *case, id=f"{solver}-{case[-1]}")
        for solver in ("adam", "lbfgs", "levenberg-marquardt")
        for case in OTHER_NETWORKS
        if solver != "levenberg-marquardt" or "loss" not in case[1]  # it has one loss only
    ],
)
def test_what_needs_another_network_is_not_trained_on(solver, y, params, message):
    model = regressor(solver=solver, warm_start=True).fit(X, Y)
    model.set_params(**params)
    if solver == "adam":
        with pytest.raises(ValueError, match=message):
            model.partial_fit(X, y)
    with pytest.raises(ValueError, match=message):
        model.fit(X, y)
    assert model.n_outputs_ == 2
    assert model.set_params(warm_start=False, loss="squared_error").fit(X, y).predict(X).shape == y.shape


def test_a_warm_start_keeps_features_and_classes():
    model = classifier(warm_start=True).fit(X, LABELS)
    with pytest.raises(ValueError, match="X has 3 features, but MLPClassifier is expecting 4"):
        model.fit(X[:, :3], LABELS)
    with pytest.raises(ValueError, match="same classes as in the previous call"):
        model.fit(X, LABELS > 0)
    several = classifier().fit(X, Y > 0)
    for y, message in (
        (LABELS, r"`y` has classes not in `self.classes_`.* has \[0 1\]. 'y' has \[0 1 2\]"),
        (np.c_[Y, Y] > 0, r"`y` has classes not in `self.classes_`.* has \[0 1\]. 'y' has \[0 1 2 3\]"),
        (
            LABELS > 0,
            r"y must go with the 2 outputs of the network that is trained further; got 1 target, for 1 output",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            several.partial_fit(X, y)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_both_dtypes_learn_alike(solver):
    low, high = (regressor(solver=solver, dtype=dtype).fit(X, Y) for dtype in ("float32", np.float64))
    assert {W.dtype for W in low.coefs_} == {np.dtype("float32")}
    assert {W.dtype for W in high.coefs_} == {np.dtype("float64")}
    np.testing.assert_allclose(low.predict(X), high.predict(X), atol=2e-3)


def test_threads_change_no_bit():
    big = {"hidden_layer_sizes": (512, 512), "batch_size": 80, "max_iter": 2}
    same_weights(regressor(threads=2, **big).fit(X, Y), regressor(**big).fit(X, Y), rtol=0, atol=0)


@pytest.mark.parametrize("kind", ["balanced", {0: 3.0, 2: 0.5}])
def test_class_weight_is_a_sample_weight(kind):
    sample_weight = RNG.random(80)
    shares = np.bincount(LABELS, sample_weight) / sample_weight.sum()
    of_class = 1 / (3 * shares) if kind == "balanced" else np.array([3.0, 1.0, 0.5])
    weighted = classifier(class_weight=kind).fit(X, LABELS, sample_weight)
    same_weights(weighted, classifier().fit(X, LABELS, sample_weight * of_class[LABELS]))


def test_classes_are_balanced_by_what_their_samples_weigh():
    counts = RNG.integers(1, 4, 80)
    weighted = classifier(class_weight="balanced", batch_size=80).fit(X, LABELS, counts)
    repeated = classifier(class_weight="balanced", batch_size=int(counts.sum()))
    same_weights(weighted, repeated.fit(np.repeat(X, counts, axis=0), np.repeat(LABELS, counts)), rtol=1e-9)
    without = classifier(class_weight="balanced").fit(X, LABELS, counts * (LABELS > 0))
    assert np.isfinite(without.loss_curve_).all()  # a class of no weight is given none


def test_class_weight_of_a_class_that_a_batch_lacks():
    two = LABELS < 2
    weighted = classifier(class_weight={0: 3.0, 2: 4.0}).partial_fit(X[two], LABELS[two], classes=[0, 1, 2])
    plain = classifier().partial_fit(X[two], LABELS[two], classes=[0, 1, 2], sample_weight=3.0 - 2 * LABELS[two])
    same_weights(weighted, plain)


REFUSED = [
    (regressor(activation=("tanh",)), "activation must be a name, or one for each of 2 hidden layers"),
    (regressor(activation=("tanh", "tanz")), "did you mean 'tanh'"),
    (regressor(solver="adamm"), "The 'solver' parameter of MLPRegressor must be"),
    (regressor(loss="mse"), "The 'loss' parameter of MLPRegressor must be"),
    (regressor(hidden_layer_sizes=(8.7,)), r"hidden_layer_sizes must be whole numbers > 0, got \[8\.7\]"),
    (regressor(hidden_layer_sizes=np.array(3.5)), r"hidden_layer_sizes must be whole numbers > 0, got \[array"),
    (regressor(hidden_layer_sizes=2**60), "the parameters of hidden_layer_sizes must be at most"),
    (regressor(n_restarts=2**60), "n_restarts must be at most .* as more do not fit into the memory"),
    (regressor(hidden_layer_sizes=[[3, 4]]), r"hidden_layer_sizes must be whole numbers > 0, got \[\[3, 4\]\]"),
    (regressor(n_restarts=0), "The 'n_restarts' parameter"),
    (regressor(dtype="float16"), "The 'dtype' parameter"),
    (regressor(threads=0), "The 'threads' parameter"),
    (regressor(delta=0.0), "The 'delta' parameter"),
]


@pytest.mark.parametrize(("model", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_bad_parameters_are_refused(model, message):
    with pytest.raises(ValueError, match=message):
        model.fit(X, Y)


REFITS = {
    "validation data": (MLPRegressor, Y, {"loss": "poisson"}, (X, Y + 1, None, 3)),
    "other targets": (MLPRegressor, Y, {}, (X[:, :3], Y[:, 0], np.zeros(80))),
    "a parameter of a loss": (MLPRegressor, Y, {"loss": "huber", "delta": [1.0, 2.0, 3.0]}, (X, Y)),
    "huge weights": (MLPRegressor, Y, {"solver": "lbfgs"}, (X, Y, np.full(80, 1e306))),
    "other classes": (MLPClassifier, LABELS, {}, (X, LABELS > 1, np.zeros(80))),
    "weights of classes": (MLPClassifier, LABELS, {"class_weight": {0: -1.0}}, (X, LABELS > 1)),
    "an ensemble's weights": (MLPEnsembleRegressor, Y, {}, (X[:, :3], Y[:, 0], np.zeros(80))),
    "an ensemble's classes": (MLPEnsembleClassifier, LABELS, {}, (X, LABELS > 1, np.zeros(80))),
}


@pytest.mark.parametrize("case", REFITS)
def test_an_estimator_whose_fit_is_refused_predicts_what_it_learned(case):
    kind, targets, changed, arguments = REFITS[case]
    size = {"n_estimators": 2, "hidden_layer_sizes": (6,)} if "Ensemble" in kind.__name__ else {}
    model = kind(**SHORT | {"max_iter": 2} | size).fit(X, targets)
    before = model.predict(X)
    with pytest.raises((TypeError, ValueError)):
        model.set_params(**changed).fit(*arguments)
    np.testing.assert_array_equal(model.predict(X), before)


def test_a_first_partial_fit_that_is_refused_leaves_an_estimator_unfitted():
    model = classifier()
    for X_bad, y_bad in ((X, LABELS), (X * np.nan, LABELS > 1)):
        with pytest.raises(ValueError, match=r"not in `self.classes_`|contains NaN"):
            model.partial_fit(X_bad, y_bad, classes=[0, 1])
        with pytest.raises(NotFittedError):
            model.predict(X)
    model.partial_fit(X, LABELS, classes=[0, 1, 2])
    same_weights(model, classifier().partial_fit(X, LABELS, classes=[0, 1, 2]), rtol=0, atol=0)


def test_a_first_partial_fit_has_one_start_and_a_further_one_in_another_dtype_begins_its_own():
    model, one = regressor(n_restarts=3), regressor()
    same_weights(model.partial_fit(X, Y), one.partial_fit(X, Y), rtol=0, atol=0)
    model.set_params(dtype="float32").partial_fit(X, Y)
    assert model._stochastic_state.optimizer_state.slots.dtype == model.coefs_[0].dtype == np.float32


def test_a_further_partial_fit_goes_on_from_no_run_before_the_fit():
    used, fresh = (regressor(n_restarts=2, **WIDE) for _ in range(2))
    used.partial_fit(X, Y[:, 0])
    for model in (used, fresh):
        model.fit(X, Y[:, 0]).partial_fit(X, Y[:, 0])
    same_weights(used, fresh, rtol=0, atol=0)


def test_a_validation_set_changes_no_setting():
    model = classifier(warm_start=True)
    before = model.get_params()
    assert model.fit(X, LABELS, validation_data=(X, LABELS)).get_params() == before


class Name(str, enum.Enum):  # noqa: UP042 - in texts an enum.StrEnum is its value already
    TANH = "tanh"


def test_a_name_of_an_enumeration_is_one():
    model = regressor(activation=Name.TANH).fit(X, Y)
    assert to_sklearn(model).activation == "tanh"
    same_weights(model, regressor(activation="tanh").fit(X, Y), rtol=0, atol=0)


def test_weights_whose_sum_is_no_divisor_are_refused():
    for model, targets in ((regressor(), Y), (regressor(solver="lbfgs"), Y), (classifier(), LABELS)):
        with pytest.raises(ValueError, match=r"sample_weight must have a sum of at most .*e\+307; got inf"):
            model.fit(X, targets, np.full(80, 1e307))  # losses were 0, and nothing was trained
    with pytest.raises(ValueError, match=r"sample_weight must have a sum of at most .*e\+307; got 3.2e\+307"):
        regressor().fit(X, Y, np.full(80, 4e305))  # of which one output alone would have a loss


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_weights_of_classes_whose_sum_overflows_are_refused():
    with pytest.raises(ValueError, match=r"sample_weight must have a sum of at most .*e\+307; got inf"):
        classifier(class_weight={0: 1e308}).fit(X, LABELS)


def test_bad_weights_are_refused():
    with pytest.raises(ValueError, match="sample_weight must have a sum above 0; got 0"):
        regressor().fit(X, Y, np.resize([-1.0, 1.0], 80))
    for row in range(80):  # which is either trained or validated on
        with pytest.raises(ValueError, match=r"sample_weight must .* (on the validation set|trained on); got"):
            regressor(early_stopping=True).fit(X, Y, np.arange(80) == row)
    with pytest.raises(ValueError, match=r"sample_weight must be above 0 in float32 .* got at most 1e-40"):
        regressor(dtype="float32").fit(X, Y, np.full(80, 1e-40))
    with pytest.raises(ValueError, match="class_weight must be None with several labels"):
        classifier(class_weight={0: 2}).fit(X, Y > 0)
    for bad in ({0: -1.0}, {1: np.nan}, {2: np.inf}):
        with pytest.raises(ValueError, match="class_weight must be finite and at least 0; got"):
            classifier(class_weight=bad).fit(X, LABELS)
    with pytest.raises(ValueError, match="class_weight must leave samples with a weight above 0; got"):
        classifier(class_weight=dict.fromkeys(range(3), 0)).fit(X, LABELS)
    with pytest.raises(ValueError, match="class_weight='balanced' needs all samples at once"):
        classifier(class_weight="balanced").partial_fit(X, LABELS, classes=[0, 1, 2])


def test_ctrl_c_keeps_what_was_learned():
    def interrupt(model):
        raise KeyboardInterrupt

    with pytest.warns(UserWarning, match=r"Training interrupted by user\."):
        model = regressor(callbacks=interrupt).fit(X, Y)
    same_weights(model, regressor(max_iter=1).fit(X, Y), rtol=0, atol=0)


# ---------------------------------------------------------------- scikit-learn's tools
@pytest.mark.parametrize("early_stopping", [False, True])
def test_ctrl_c_before_the_first_epoch_is_over_keeps_the_initial_weights(monkeypatch, early_stopping):
    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(Epochs, "__call__", interrupt)
    model = regressor(early_stopping=early_stopping)
    with pytest.warns(UserWarning, match=r"Training interrupted by user\."):
        model.fit(X, Y)
    assert model.n_iter_ == 0
    assert model.predict(X).shape == Y.shape
    rng = np.random.RandomState(0)
    np.testing.assert_array_equal(model.coefs_[0], initial_weights([4, 6, 5, 2], "relu", rng, X.dtype)[0][0])


@pytest.mark.parametrize("solver", ["adam", "levenberg-marquardt"])
def test_ctrl_c_ends_several_starts(solver):
    seen = []

    def interrupt(model):
        seen.append(model.n_iter_)
        if len(seen) == 7:
            signal.raise_signal(signal.SIGINT)

    with pytest.warns(UserWarning, match=r"Training interrupted by user\."):
        model = regressor(solver=solver, max_iter=4, n_restarts=3, callbacks=interrupt).fit(X, Y)
    assert seen == [1, 2, 3, 4, 1, 2, 3]
    assert model.score(X, Y) > -2


def test_an_estimator_that_joblib_maps_to_another_process_is_trained_on(tmp_path):
    model = regressor().fit(X, Y)
    joblib.dump(model, tmp_path / "model")
    mapped = joblib.load(tmp_path / "model", mmap_mode="r").set_params(random_state=1).partial_fit(X, Y)
    same_weights(mapped, model.set_params(random_state=1).partial_fit(X, Y), rtol=0, atol=0)


def test_clone_and_pickle():
    model = classifier(activation=["tanh", "silu"], class_weight={0: 2.0}, solver="adamw").fit(X, LABELS)
    assert clone(model).get_params() == model.get_params()
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    same_weights(again.partial_fit(X, LABELS), model.partial_fit(X, LABELS), rtol=0, atol=0)


def half_square(o, y):
    return (o - y) ** 2 / 2


def difference(o, y):
    return o - y


def bent(z):
    return np.tanh(z)


def slope(z):
    return 1 - bent(z) ** 2


def test_functions_of_ones_own_go_where_names_go():
    loss, activation = Loss(half_square, difference, targets=(-9, 9)), Activation(bent, slope)
    model = regressor(loss=loss, activation=activation, alpha=0).fit(X, Y)
    other = regressor(activation="tanh", alpha=0).fit(X, Y)
    same_weights(model, other, rtol=1e-10)
    assert model.loss_ == pytest.approx(other.loss_ * 2)  # summed over two outputs, and not their mean
    again = clone(pickle.loads(pickle.dumps(model)))
    same_weights(again.fit(X, Y), model, rtol=0, atol=0)
    with pytest.raises(ValueError, match="y must be from -9 to 9 for half_square; got 10"):
        model.fit(X, Y + [0, 10 - Y[0, 1]])
    with pytest.raises(ValueError, match="must have one activation in all hidden layers, identity"):
        to_sklearn(model)


def test_pipeline_and_grid_search_on_threads():
    pipeline = make_pipeline(StandardScaler(), classifier(max_iter=30))
    grid = {"mlpclassifier__solver": ["adam", "rmsprop"], "mlpclassifier__alpha": [1e-4, 1.0]}
    scores = [
        GridSearchCV(pipeline, grid, cv=3, n_jobs=jobs).fit(X, LABELS).cv_results_["mean_test_score"]
        for jobs in (None, 2)
    ]
    np.testing.assert_array_equal(scores[0], scores[1])
    assert scores[0].max() > 0.6


def test_cross_validation_with_joblib_threads():
    from joblib import parallel_backend

    with parallel_backend("threading", n_jobs=2):
        parallel = cross_val_score(regressor(), X, Y, cv=4)
    np.testing.assert_array_equal(parallel, cross_val_score(regressor(), X, Y, cv=4))
