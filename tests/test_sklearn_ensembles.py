"""Ensembles as estimators: what the members are, what is made of their outputs, and scikit-learn's checks."""

import ast
import inspect
import pickle
import re

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import check_estimator
from test_sklearn import ABSENT

import fastnn
from fastnn import sklearn as estimators
from fastnn.jobs.records import DIVERGED
from fastnn.sklearn import MLPEnsembleClassifier, MLPEnsembleRegressor, MLPRegressor
from fastnn.sklearn.ensembles import base

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3))
Y = np.sin(X) + RNG.normal(size=(60, 3)) / 10
NAMES = np.array(["low", "mid", "top"])[np.digitize(Y[:, 0], [-0.4, 0.4])]
#: Too wide for lanes, for which kernels would be compiled.
SHORT = {"n_estimators": 9, "hidden_layer_sizes": (80, 50), "max_iter": 20, "random_state": 0}


def regressor(**params):
    return MLPEnsembleRegressor(**SHORT | params)


def classifier(**params):
    return MLPEnsembleClassifier(**SHORT | params)


def test_ctrl_c_before_any_member_is_finished_leaves_the_last_fit(monkeypatch):
    model = classifier(hidden_layer_sizes=(3,)).fit(X, NAMES)
    names = model.predict(X)
    monkeypatch.setattr(base, "fit_many", lambda *args, **options: fastnn.fit_many(*args, **options)[:0])
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, NAMES == "low")
    assert np.array_equal(model.predict(X), names)


def test_mean_spread_and_quantiles_are_the_members():
    model = regressor(hidden_layer_sizes=(6,)).fit(X, Y)  # in lanes
    outputs = np.stack([net.predict(X) for net in model.ensemble_])
    assert outputs.shape == (9, 60, 3)
    mean, std = model.predict(X, return_std=True)
    np.testing.assert_allclose(mean, outputs.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(std, outputs.std(axis=0), rtol=1e-12)
    assert std.min() > 0
    np.testing.assert_allclose(model.predict_quantiles(X, [0.1, 0.9]), np.quantile(outputs, [0.1, 0.9], axis=0))
    np.testing.assert_array_equal(model.n_iter_, [20] * 9)


def test_one_target_is_flat():
    model = regressor().fit(X, Y[:, 0])
    assert model.predict(X).shape == model.predict(X, return_std=True)[1].shape == (60,)
    assert model.predict_quantiles(X, [0.1, 0.5, 0.9]).shape == (3, 60)
    assert model.predict_quantiles(X, 0.5).shape == (60,)
    with pytest.raises(ValueError, match=r"^quantiles must be numbers from 0 to 1; got 1\.5"):
        model.predict_quantiles(X, 1.5)


def test_probabilities_are_the_mean_of_the_members():
    model = classifier(max_iter=100).fit(X, NAMES)
    mean, std = model.predict_proba(X, return_std=True)
    np.testing.assert_allclose(mean, np.mean([net.predict(X) for net in model.ensemble_], axis=0), rtol=1e-12)
    assert mean.shape == std.shape == (60, 3)
    assert list(model.classes_) == ["low", "mid", "top"]
    np.testing.assert_array_equal(model.predict(X), model.classes_[mean.argmax(axis=1)])
    assert model.score(X, NAMES) > 0.8


def test_the_same_seed_gives_the_same_ensemble_and_its_first_members():
    params = regressor().fit(X, Y).ensemble_.params
    np.testing.assert_array_equal(regressor(threads=2).fit(X, Y).ensemble_.params, params)
    np.testing.assert_array_equal(regressor(n_estimators=4).fit(X, Y).ensemble_.params, params[:4])
    assert not np.array_equal(regressor(random_state=1).fit(X, Y).ensemble_.params, params)
    rng = np.random.RandomState(0)
    np.testing.assert_array_equal(regressor(random_state=rng).fit(X, Y).ensemble_.params, params)
    assert not np.array_equal(regressor(random_state=rng).fit(X, Y).ensemble_.params, params)


def test_bootstraps_differ_from_each_other_and_repeat_with_the_seed():
    whole, boot, again = (regressor(bootstrap=b).fit(X, Y).ensemble_.params for b in (False, True, True))
    np.testing.assert_array_equal(boot, again)
    assert (np.abs(whole - boot).max(axis=1) > 1e-3).all()


def test_every_bootstrap_has_samples_that_count():
    few = np.zeros(60)
    few[:2] = 1
    model = regressor(bootstrap=True, n_estimators=20, max_iter=2).fit(X, Y, few)
    assert len(model.ensemble_) == 20


def test_weights_count_as_repetitions():
    weight = RNG.integers(0, 3, 60)
    weighted = regressor(alpha=1.0).fit(X, Y, weight).predict(X)
    repeated = regressor(alpha=1.0).fit(np.repeat(X, weight, axis=0), np.repeat(Y, weight, axis=0)).predict(X)
    np.testing.assert_allclose(weighted, repeated, rtol=1e-7)
    assert np.abs(weighted - regressor(alpha=1.0).fit(X, Y).predict(X)).max() > 1e-2


def test_the_penalty_is_that_of_the_other_estimators():
    settings = {"hidden_layer_sizes": (), "alpha": 50.0, "random_state": 0}
    one = MLPRegressor(solver="lbfgs", tol=1e-8, **settings).fit(X, Y[:, 0])
    many = MLPEnsembleRegressor(2, learning_rate_init=0.02, max_iter=1000, **settings).fit(X, Y[:, 0])
    np.testing.assert_allclose(many.predict(X), one.predict(X), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("model", [regressor(bootstrap=True), classifier()], ids=["regressor", "classifier"])
def test_early_stopping_by_a_validation_set(model):
    y = Y if isinstance(model, MLPEnsembleRegressor) else NAMES
    model.set_params(early_stopping=True, max_iter=400, n_iter_no_change=3, learning_rate_init=0.05).fit(X, y)
    assert model.n_iter_.max() < 400
    assert len(set(model.n_iter_)) > 1
    assert model.score(X, y) > 0.5


@pytest.mark.parametrize("loss", ["huber", "poisson", "absolute_error"])
def test_every_loss_learns(loss):
    y = RNG.poisson(np.exp(X)).astype(float)
    model = regressor(loss=loss, delta=0.5, max_iter=100).fit(X, y)
    assert model.score(X, y) > 0.2
    if loss == "poisson":
        assert model.predict(X).min() > 0


def test_tags_say_that_several_targets_are_taken():
    assert get_tags(MLPEnsembleRegressor()).target_tags.multi_output
    assert not get_tags(MLPEnsembleClassifier()).target_tags.multi_output


def test_clone_and_pickle():
    model = classifier(bootstrap=True).fit(X, NAMES)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    assert clone(model).get_params() == model.get_params()


@pytest.mark.filterwarnings("ignore:training diverged")
def test_members_that_diverge_are_left_out(monkeypatch):
    with pytest.raises(ValueError, match="every member diverged"):
        regressor(solver="sgd", learning_rate_init=1e300, max_iter=5).fit(X, Y)
    whole = regressor().fit(X, Y)

    def lose_two(*args, **settings):
        many = fastnn.fit_many(*args, **settings)
        many.records.status[[0, 4]] = DIVERGED
        return many

    monkeypatch.setattr(base, "fit_many", lose_two)
    rest = regressor().fit(X, Y)
    assert rest.ensemble_.params.tobytes() == np.delete(whole.ensemble_.params, [0, 4], axis=0).tobytes()
    assert len(rest.n_iter_) == 7


def test_parameters_reach_the_members(monkeypatch):
    given = {}

    def spy(*args, **settings):
        given.update(settings)
        return fastnn.fit_many(*args, **settings)

    monkeypatch.setattr(base, "fit_many", spy)
    weight = np.linspace(1, 2, 60)
    regressor(alpha=0.3, batch_size=20, bootstrap=True, loss="huber", delta=0.7, threads=2).fit(X, Y, weight)
    np.testing.assert_allclose(given["l2"], 0.3 * 60 / 20 / given["sample_weight"].sum(axis=1))
    drawn = given["sample_weight"] / weight
    np.testing.assert_allclose(drawn, np.rint(drawn))
    np.testing.assert_allclose(drawn.sum(axis=1), 60)
    assert (given["batch_size"], given["loss"], given["delta"], given["threads"]) == (20, "huber", 0.7, 2)
    regressor(early_stopping=True, n_iter_no_change=3, tol=0.01, validation_fraction=0.25).fit(X, Y, weight)
    rows = np.r_[given["sample_weight"], given["validation_data"][2]]
    np.testing.assert_array_equal(np.sort(rows), weight)
    assert len(given["validation_data"][2]) == 15
    assert (given["early_stopping"].patience, given["early_stopping"].min_improvement) == (3, 0.01)
    for seed in range(5):
        settings = {"early_stopping": True, "validation_fraction": 0.2, "max_iter": 1, "random_state": seed}
        classifier(**settings).fit(X, np.repeat(["often", "rare"], [50, 10]))
        assert np.bincount(given["validation_data"][1]).tolist() == [10, 2]


REFUSED = [
    ({"n_estimators": 0}, "The 'n_estimators' parameter of MLPEnsembleRegressor must be"),
    ({"solver": "lbfgs"}, "The 'solver' parameter"),
    ({"loss": "mse"}, "The 'loss' parameter"),
    ({"hidden_layer_sizes": (8.7,)}, r"hidden_layer_sizes must be whole numbers > 0, got \[8\.7\]"),
    ({"hidden_layer_sizes": [[3, 4]]}, r"hidden_layer_sizes must be whole numbers > 0, got \[\[3, 4\]\]"),
    ({"hidden_layer_sizes": (0,)}, r"hidden_layer_sizes must be > 0, got \[0\]"),
    ({"hidden_layer_sizes": (3, -3)}, r"hidden_layer_sizes must be > 0, got \[3, -3\]"),
    ({"activation": ("relu",) * 3}, "activation must be a name, or one for each of 2 hidden layers"),
]


@pytest.mark.parametrize(("params", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_bad_parameters_are_refused(params, message):
    with pytest.raises(ValueError, match=message):
        regressor(**params).fit(X, Y)


def test_what_single_precision_cannot_hold_is_refused():
    model = regressor(max_iter=1).fit(X.astype(np.float32), Y)
    with pytest.raises(ValueError, match=r"X must fit into float32, .* got 1e\+300"):
        model.predict(np.full((1, 3), 1e300))
    with pytest.raises(ValueError, match=r"y must fit into float32, .* got 1e\+300"):
        model.fit(X.astype(np.float32), np.full(60, 1e300))
    with pytest.raises(ValueError, match=r"sample_weight must fit into float32, .* got 1e\+300"):
        model.fit(X.astype(np.float32), Y, np.full(60, 1e300))


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_bad_weights_are_refused():
    with pytest.raises(ValueError, match=r"sample_weight must be at least 0 everywhere, .*; got numbers from -1 to 2"):
        regressor().fit(X, Y, np.linspace(-1, 2, 60))
    for weight, message in ((1e-320, "a sum above 0; got only zeros"), (1e307, "a sum of at most .*; got inf")):
        with pytest.raises(ValueError, match=f"sample_weight must have {message}"):
            regressor().fit(X, Y, np.full(60, weight))
    for model, y in ((regressor(early_stopping=True), Y), (classifier(early_stopping=True), NAMES)):
        said = set()
        for row in range(60):  # which is either trained or validated on
            with pytest.raises(ValueError, match="sample_weight must be above 0 for some of the samples") as refusal:
                model.fit(X, y, np.arange(60) == row)
            said.add(str(refusal.value)[54:])
        assert said == {"that are trained on; got only zeros", "of the validation set; got only zeros"}


def test_targets_that_are_no_numbers_are_refused():
    column = Y[:, 0]
    for y in (column.astype(str), column.astype("S"), np.arange(60).astype("M8[D]"), np.arange(60).astype("m8[s]")):
        with pytest.raises(TypeError, match=r"y must be an array of real numbers of shape \(60,\); got an array"):
            regressor().fit(X, y)
    with pytest.raises(TypeError, match=r"y must be an array of real numbers .* got the sparse"):
        regressor().fit(X, csr_array(Y))


@pytest.mark.parametrize(
    ("name", "page"),
    [
        ("MLPClassifier", "MLPClassifier"),
        ("MLPRegressor", "MLPClassifier"),
        ("MLPEnsembleRegressor", "MLPEnsembleRegressor"),
        ("MLPEnsembleClassifier", "MLPEnsembleRegressor"),
    ],
)
def test_defaults_are_those_that_are_documented(name, page):
    """By the estimator itself, or by the one that its page refers to."""
    documented = {}
    for text in (inspect.getdoc(getattr(estimators, page)), inspect.getdoc(getattr(estimators, name))):
        for names, about in re.findall(r"^(\w+(?:, \w+)*) : .*?defaults?[= ](.*)$", text, flags=re.MULTILINE):
            values = re.findall(r'"\w+"|\(\d+,\)|True|False|\d[\d.e-]*', about)
            documented |= dict(zip(names.split(", "), map(ast.literal_eval, values), strict=True))
    own = {name: row.default for name, row in inspect.signature(getattr(estimators, name)).parameters.items()}
    assert {name: default for name, default in own.items() if default is not None} == {
        name: default for name, default in documented.items() if name in own
    }


WIDE = (200, 30)  # too many parameters to compile a kernel for each of the architectures that the checks think of


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["MLPEnsembleClassifier", "MLPEnsembleRegressor"])
def test_check_estimator(name):
    model = getattr(estimators, name)(hidden_layer_sizes=WIDE, n_estimators=3)
    for result in check_estimator(model, on_skip=None, on_fail=None):
        absent = result["status"] == "skipped" and any(text in str(result["exception"]) for text in ABSENT)
        assert absent or result["status"] == "passed", (result["check_name"], result["exception"])
