"""The estimators beside scikit-learn's own: the same attributes, numbers, warnings, errors and output."""

import warnings
from functools import partial

import numpy as np
import pytest
import scipy.sparse
import sklearn.neural_network as theirs
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.estimator_checks import check_estimator

import fastnn.sklearn as ours
from fastnn.sklearn import splitting

RNG = np.random.default_rng(0)
N = 60
X = RNG.normal(size=(N, 4))
SCORES = X @ RNG.normal(size=(4, 3)) + RNG.normal(size=(N, 3)) / 4
WEIGHT = RNG.uniform(0.1, 2, N)
DATA = {
    "binary": ("MLPClassifier", np.array(["no", "yes"])[(SCORES[:, 0] > 0).astype(int)]),
    "multiclass": ("MLPClassifier", SCORES.argmax(axis=1) + 5),
    "multilabel": ("MLPClassifier", (SCORES > 0).astype(int)),
    "regression": ("MLPRegressor", SCORES[:, 0]),
    "multioutput": ("MLPRegressor", SCORES),
    "poisson": ("MLPRegressor", RNG.poisson(np.exp(SCORES[:, :2] / 2))),
}
SHORT = {"hidden_layer_sizes": (7, 5), "max_iter": 8, "random_state": 3, "learning_rate_init": 0.01, "batch_size": 25}


def estimator(module, kind, **params):
    loss = {"loss": "poisson"} if kind == "poisson" else {}
    return getattr(module, DATA[kind][0])(**SHORT | loss | params)


def recorded(call):
    """What a call returns or raises, and its warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = call()
        except Exception as error:
            result = type(error), str(error)
    return result, [(warning.category, str(warning.message)) for warning in caught]


def both(call, kind, **params):
    """The same call with either estimator; they warn of the same."""
    models = [estimator(module, kind, **params) for module in (theirs, ours)]
    outcomes = [recorded(partial(call, model)) for model in models]
    assert outcomes[0][1] == outcomes[1][1]
    assert not isinstance(outcomes[0][0], tuple), outcomes[0][0]
    return models


def fitted(model):
    return {name: value for name, value in vars(model).items() if name.endswith("_") and not name.startswith("_")}


def assert_same(expected, got, rtol=1e-9):
    assert fitted(expected).keys() == fitted(got).keys()
    for name, value in fitted(expected).items():
        other = fitted(got)[name]
        if isinstance(value, (str, type(None))):
            assert other == value
            continue
        assert isinstance(other, type(value)) or np.isscalar(value), name
        assert isinstance(value, np.ndarray) or np.isscalar(value) or len(value) == len(other), name
        for a, b in zip(
            *([x] if isinstance(x, np.ndarray) or np.isscalar(x) else x for x in (value, other)), strict=True
        ):
            assert np.asarray(a).dtype.kind == np.asarray(b).dtype.kind
            if np.asarray(a).dtype.kind in "OU":
                np.testing.assert_array_equal(b, a)
            else:
                np.testing.assert_allclose(b, a, rtol=rtol, atol=1e-11, err_msg=name)


# ---------------------------------------------------------------- the same numbers
SOLVERS = [
    {"solver": "adam", "beta_1": 0.8, "beta_2": 0.99, "epsilon": 1e-4},
    {"solver": "sgd", "learning_rate": "constant", "momentum": 0.7, "nesterovs_momentum": False},
    {"solver": "sgd", "learning_rate": "invscaling", "power_t": 0.3},
    {"solver": "sgd", "learning_rate": "adaptive", "n_iter_no_change": 1, "tol": 0.05, "max_iter": 12},
    {"solver": "lbfgs"},
]


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["even", "weighted"])
@pytest.mark.parametrize("params", SOLVERS, ids=lambda params: params.get("learning_rate", params["solver"]))
@pytest.mark.parametrize("kind", DATA)
def test_every_solver_on_every_kind_of_targets(kind, params, weight):
    expected, got = both(lambda model: model.fit(X, DATA[kind][1], weight), kind, alpha=0.3, **params)
    assert_same(expected, got, rtol=1e-6 if params["solver"] == "lbfgs" else 1e-9)
    np.testing.assert_allclose(got.score(X, DATA[kind][1]), expected.score(X, DATA[kind][1]), rtol=1e-6)


LABELS = {
    "integers": SCORES.argmax(axis=1) * 7 - 7,
    "unsigned": SCORES.argmax(axis=1).astype(np.uint8),
    "booleans": SCORES[:, 0] > 0,
    "strings": np.array(["b", "c", "a"])[SCORES.argmax(axis=1)],
    "objects": np.array(["b", "c", "a"], dtype=object)[SCORES.argmax(axis=1)],
    "floats": SCORES.argmax(axis=1) * 1.0,
    "a list": ["no" if score > 0 else "yes" for score in SCORES[:, 0]],
    "a column": SCORES.argmax(axis=1)[:, np.newaxis],
    "one class": np.full(N, 3),
}


@pytest.mark.parametrize("y", LABELS.values(), ids=LABELS)
def test_labels_of_every_type(y):
    expected, got = (module.MLPClassifier(**SHORT) for module in (theirs, ours))
    outcomes = [recorded(lambda model=model: model.fit(X, y).predict(X)) for model in (expected, got)]
    assert outcomes[0][1] == outcomes[1][1]
    np.testing.assert_array_equal(outcomes[1][0], outcomes[0][0])
    assert outcomes[0][0].dtype == outcomes[1][0].dtype
    assert got.classes_.dtype == expected.classes_.dtype
    assert_same(expected, got)
    assert vars(got._label_binarizer).keys() == vars(expected._label_binarizer).keys()
    assert got._label_binarizer.y_type_ == expected._label_binarizer.y_type_


def test_the_only_class_there_is_scores_1():
    def call(model):
        return model.fit(X, np.full(N, 3))

    settings = {"early_stopping": True, "n_iter_no_change": 2, "random_state": 1}  # whose first outputs are of a second
    assert_same(*both(call, "binary", **settings))


OPTIONS = [
    {"activation": "identity"},
    {"activation": "logistic"},
    {"activation": "tanh", "hidden_layer_sizes": 6},
    {"hidden_layer_sizes": ()},
    {"hidden_layer_sizes": (), "activation": "logistic"},
    {"shuffle": False},
    {"batch_size": "auto"},
    {"batch_size": 1000},
    {"tol": 0.1, "n_iter_no_change": 2, "max_iter": 300},
    {"n_iter_no_change": np.inf},
    {"n_iter_no_change": 1, "tol": 0.3, "solver": "sgd", "learning_rate": "adaptive", "max_iter": 300},
    {"early_stopping": True, "n_iter_no_change": 2, "max_iter": 30},
    {"early_stopping": True, "validation_fraction": 0.3, "tol": 0.05, "max_iter": 30},
    {"random_state": np.random.RandomState(1)},
    {"batch_size": N, "random_state": np.random.RandomState(1)},
    {"solver": "sgd", "momentum": 0.0},
    {"solver": "sgd", "momentum": 1},
    {"solver": "lbfgs", "max_fun": 3},
    {"solver": "lbfgs", "max_iter": 200, "tol": 0.1},
]


@pytest.mark.parametrize("params", OPTIONS, ids=lambda params: repr(params).partition(" at 0x")[0])
@pytest.mark.parametrize("kind", ["multiclass", "regression"])
def test_every_parameter(kind, params):
    if isinstance(params.get("random_state"), np.random.RandomState):
        streams = [np.random.RandomState(1), np.random.RandomState(1)]
        models = [
            estimator(module, kind, **params | {"random_state": rng})
            for module, rng in zip((theirs, ours), streams, strict=True)
        ]
        for model in models:
            recorded(lambda model=model: model.fit(X, DATA[kind][1]))
        assert_same(*models)
        assert streams[0].random_sample() == streams[1].random_sample()
        return
    assert_same(*both(lambda model: model.fit(X, DATA[kind][1]), kind, **params), rtol=1e-6)


@pytest.mark.parametrize("kind", ["binary", "multilabel", "multioutput"])
def test_early_stopping_with_weights(kind):
    def call(model):
        return model.fit(X, DATA[kind][1], WEIGHT)

    assert_same(*both(call, kind, early_stopping=True, max_iter=30, n_iter_no_change=3))


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_dtypes_are_those_of_scikit_learn(solver):
    expected, got = both(lambda model: model.fit(X.astype(np.float32), DATA["binary"][1]), "binary", solver=solver)
    assert [w.dtype for w in got.coefs_ + got.intercepts_] == [w.dtype for w in expected.coefs_ + expected.intercepts_]
    for dtype in (np.float32, np.float64):
        a, b = (model.predict_proba(X.astype(dtype)) for model in (expected, got))
        assert a.dtype == b.dtype
        np.testing.assert_allclose(b, a, rtol=2e-4)
    np.testing.assert_allclose(got.predict_proba(X.astype(np.longdouble)), got.predict_proba(X), rtol=1e-12)


@pytest.mark.parametrize("kind", DATA)
def test_partial_fit(kind):
    def call(model):
        y = DATA[kind][1]
        labels = np.arange(3) if kind == "multilabel" else np.unique(y)
        classes = {"classes": labels} if hasattr(model, "predict_proba") else {}
        model.partial_fit(X[:30], y[:30], **classes)
        model.partial_fit(X[30:], y[30:], sample_weight=WEIGHT[30:])
        return model.partial_fit(X, y)

    for params in ({}, {"solver": "sgd", "learning_rate": "invscaling"}):
        assert_same(*both(call, kind, **params))


def test_partial_fit_by_lbfgs_heeds_no_early_stopping():
    def call(model):
        return model.partial_fit(X, DATA["regression"][1])

    assert_same(*both(call, "regression", solver="lbfgs", early_stopping=True, max_iter=3), rtol=1e-6)


def test_partial_fit_goes_on_from_fit():
    def call(model):
        model.fit(X, DATA["multiclass"][1])
        for _ in range(15):
            model.partial_fit(X[:20], DATA["multiclass"][1][:20])
        return model

    assert_same(*both(call, "multiclass"))


@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_partial_fit_keeps_its_solvers_settings(solver):
    def call(model):
        model.fit(X, DATA["regression"][1])
        model.set_params(momentum=0.1, nesterovs_momentum=False, beta_1=0.1, beta_2=0.5, epsilon=1e-3)
        return model.set_params(learning_rate_init=0.1, alpha=0.1, batch_size=9).partial_fit(X, DATA["regression"][1])

    assert_same(*both(call, "regression", solver=solver))


@pytest.mark.parametrize("learning_rate", ["constant", "invscaling", "adaptive"])
def test_partial_fit_keeps_its_solvers_schedule(learning_rate):
    def call(model):
        model.partial_fit(X, DATA["regression"][1])
        other = "constant" if learning_rate == "invscaling" else "invscaling"
        model.set_params(learning_rate=other, power_t=0.9, learning_rate_init=0.1, tol=10.0, n_iter_no_change=1)
        for _ in range(4):
            model.partial_fit(X, DATA["regression"][1])
        return model

    mine, theirs = both(call, "regression", solver="sgd", learning_rate=learning_rate)
    assert_same(mine, theirs)
    assert mine._optimizer.learning_rate == pytest.approx(theirs._optimizer.learning_rate)


@pytest.mark.parametrize("first", ["fit", "partial_fit"])
@pytest.mark.parametrize("dtypes", [(np.float32, np.float64), (np.float64, np.float32)])
def test_a_network_that_is_trained_on_keeps_its_dtype(dtypes, first):
    def call(model):
        getattr(model, first)(X.astype(dtypes[0]), DATA["multioutput"][1])
        for dtype in (dtypes[1], *dtypes) * 3:
            model.partial_fit(X.astype(dtype), DATA["multioutput"][1])
        return model

    expected, got = both(call, "multioutput")
    assert {W.dtype for W in got.coefs_ + got.intercepts_} == {np.dtype(dtypes[0])}
    for mine, other in zip(got.coefs_, expected.coefs_, strict=True):
        np.testing.assert_allclose(mine, other, rtol=2e-3, atol=2e-5)


@pytest.mark.parametrize(
    "params", [{}, {"solver": "sgd", "learning_rate": "invscaling"}, {"solver": "lbfgs"}], ids=repr
)
def test_warm_start(params):
    def call(model):
        model.fit(X, DATA["multiclass"][1])
        return model.fit(X, DATA["multiclass"][1], WEIGHT)

    assert_same(*both(call, "multiclass", warm_start=True, **params), rtol=1e-5)


def test_a_warm_start_that_never_scores_better_keeps_the_best():
    """scikit-learn's trains the best weights that it kept, too, for they are the same arrays."""
    model = estimator(ours, "multiclass", warm_start=True, early_stopping=True, max_iter=40)
    recorded(lambda: model.fit(X, DATA["multiclass"][1]))
    before, epochs = [W.copy() for W in model.coefs_], len(model.validation_scores_)
    model.set_params(learning_rate_init=1e-9, max_iter=2)
    recorded(lambda: model.fit(X, DATA["multiclass"][1]))
    assert len(model.validation_scores_) > epochs
    np.testing.assert_array_equal(model.coefs_[0], before[0])


def test_a_loss_that_stays_where_it_is_counts_as_improved_by_nothing():
    """With ``tol=0`` scikit-learn goes on to the last epoch, here of a loss that is 0 from the second on."""
    exact = {"hidden_layer_sizes": (), "solver": "sgd", "learning_rate_init": 1.0, "momentum": 0.0, "alpha": 0.0}
    exact |= {"tol": 0.0, "max_iter": 30}
    expected, got = both(lambda model: model.fit(0 * X, np.zeros(N)), "regression", batch_size=N, **exact)
    assert got.loss_ == 0
    assert got.n_iter_ == expected.n_iter_ == 30


@pytest.mark.parametrize("form", [scipy.sparse.csr_matrix, scipy.sparse.csc_array])
@pytest.mark.parametrize("params", [{}, {"early_stopping": True}, {"solver": "lbfgs"}], ids=repr)
def test_sparse_samples(params, form):
    sparse = form(np.where(np.abs(X) > 0.5, X, 0))
    expected, got = both(lambda model: model.fit(sparse, DATA["regression"][1], WEIGHT), "regression", **params)
    assert_same(expected, got, rtol=1e-6)
    np.testing.assert_allclose(got.predict(sparse), expected.predict(sparse), rtol=1e-6)


def test_sparse_samples_are_predicted_some_rows_at_a_time(monkeypatch):
    sparse = scipy.sparse.csr_array(np.where(np.abs(X) > 0.5, X, 0))
    model, _ = recorded(lambda: estimator(ours, "regression").fit(sparse, DATA["regression"][1]))
    monkeypatch.setattr("fastnn.sklearn.data._SPARSE_ROWS", 25)
    np.testing.assert_allclose(model.predict(sparse), model.predict(sparse.toarray()), rtol=1e-12)


@pytest.mark.parametrize("shuffle", [True, False])
def test_large_sparse_samples_are_made_dense_by_batches(monkeypatch, shuffle):
    sparse = scipy.sparse.csr_matrix(np.where(np.abs(X) > 0.5, X, 0))
    dense = estimator(ours, "poisson", shuffle=shuffle)
    recorded(lambda: dense.fit(sparse.toarray(), DATA["poisson"][1], WEIGHT))
    monkeypatch.setattr(splitting, "DENSE_BYTES", 0)
    batches = estimator(ours, "poisson", shuffle=shuffle)
    recorded(lambda: batches.fit(sparse, DATA["poisson"][1], WEIGHT))
    assert_same(dense, batches, rtol=1e-12)


@pytest.mark.parametrize("kind", ["binary", "poisson"])
def test_a_batch_without_weight_counts_for_nothing(kind):
    weight = np.where(np.arange(N) < 25, 0.0, WEIGHT)  # all of the first batch's
    rate = {"solver": "sgd", "momentum": 0.0, "shuffle": False, "max_iter": 1}
    models = [estimator(ours, kind, **rate) for _ in range(2)]
    rows = slice(25, None)
    for model, data in zip(
        models, [(X, DATA[kind][1], weight), (X[rows], DATA[kind][1][rows], weight[rows])], strict=True
    ):
        result, warned = recorded(partial(model.fit, *data))
        assert result is model
        assert {category for category, _ in warned} == {ConvergenceWarning}
    np.testing.assert_allclose(models[0].coefs_[0], models[1].coefs_[0], rtol=1e-13)
    assert models[0].loss_ == pytest.approx(models[1].loss_ * 35 / 60)


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"early_stopping": True, "n_iter_no_change": 1},
        {"solver": "sgd", "learning_rate": "adaptive", "n_iter_no_change": 1, "tol": 9.0},
    ],
    ids=repr,
)
def test_verbose_prints_the_same(params, capsys):
    printed = []
    for module in (theirs, ours):
        model = estimator(module, "regression", verbose=True, **params)
        recorded(lambda model=model: model.fit(X, DATA["regression"][1]))
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1] != ""


# ---------------------------------------------------------------- the same errors
BAD = [
    ({"hidden_layer_sizes": -1}, None),
    ({"hidden_layer_sizes": (3, 0)}, None),
    ({"alpha": -1}, None),
    ({"learning_rate": "ada"}, None),
    ({"learning_rate_init": 0}, None),
    ({"momentum": 2}, None),
    ({"max_iter": 0}, None),
    ({"n_iter_no_change": 0}, None),
    ({"beta_1": 1}, None),
    ({"early_stopping": True, "validation_fraction": 0.01}, None),
    ({"warm_start": True}, lambda model: model.fit(X, DATA["multiclass"][1]).fit(X, DATA["multiclass"][1] + 1)),
    ({}, lambda model: model.partial_fit(X, DATA["multiclass"][1])),
    ({"early_stopping": True}, lambda model: model.partial_fit(X, DATA["multiclass"][1], classes=[5, 6, 7])),
    ({}, lambda model: model.partial_fit(X, np.full(N, 9), classes=[5, 6, 7])),
    ({"solver": "lbfgs"}, lambda model: model.partial_fit),
    ({}, lambda model: model.fit(X, DATA["multiclass"][1][:-1])),
    ({}, lambda model: model.fit(np.full_like(X, np.nan), DATA["multiclass"][1])),
    ({}, lambda model: model.predict(X)),
    ({}, lambda model: model.fit(X, DATA["multiclass"][1]).predict(X[:, :2])),
]


@pytest.mark.parametrize(("params", "call"), BAD, ids=range(len(BAD)))
def test_the_same_errors(params, call):
    call = call or (lambda model: model.fit(X, DATA["multiclass"][1]))
    outcomes = [recorded(lambda m=m: call(estimator(m, "multiclass", **params)))[0] for m in (theirs, ours)]
    assert isinstance(outcomes[0], tuple)
    assert outcomes[0] == outcomes[1]


def test_what_overflows_is_refused():
    outcomes = []
    for module in (theirs, ours):
        model = estimator(module, "regression", solver="sgd")
        outcomes.append(recorded(partial(model.fit, 1e200 * X, 1e200 * SCORES[:, 0]))[0])
    assert outcomes[0] == outcomes[1]
    assert outcomes[0][0] is ValueError


def test_lbfgs_that_overflows_at_once_warns():
    def call(model):
        return model.fit(1e200 * X, 1e200 * SCORES[:, 0])

    for module in (theirs, ours):
        _, warned = recorded(partial(call, estimator(module, "regression", solver="lbfgs")))
        assert warned[-1][0] is ConvergenceWarning
        assert "lbfgs failed to converge" in warned[-1][1]


# ---------------------------------------------------------------- scikit-learn's own checks
#: What the machine may lack; and no decision function, as scikit-learn's own has none.
ABSENT = ("pandas is not installed", "SCIPY_ARRAY_API is not set", "does not have a decision_function")


@pytest.mark.filterwarnings("ignore")  # the checks train for a moment
@pytest.mark.parametrize("name", ["MLPClassifier", "MLPRegressor"])
def test_check_estimator(name):
    results = check_estimator(getattr(ours, name)(), on_skip=None, on_fail=None)
    assert len(results) > 50
    for result in results:
        absent = result["status"] == "skipped" and any(text in str(result["exception"]) for text in ABSENT)
        assert absent or result["status"] == "passed", (result["check_name"], result["exception"])


def test_the_rate_stands_where_scikit_learn_keeps_it():
    models = both(
        lambda model: model.fit(X, DATA["multiclass"][1]), "multiclass", solver="sgd", learning_rate="invscaling"
    )
    rates = [model._optimizer.learning_rate for model in models]
    assert rates[1] == pytest.approx(rates[0], rel=1e-12)
    assert rates[1] < SHORT["learning_rate_init"]
    assert not hasattr(ours.MLPClassifier(), "_optimizer")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("kind", "rate", "solver"),
    [("regression", 1e200, "adam"), ("multiclass", 1e300, "sgd"), ("binary", 1e300, "sgd"), ("regression", 1e3, "sgd")],
)
def test_accounts_after_divergence(kind, rate, solver):
    """The epochs go on, with losses that are NaN, until the validation score has not improved, or to the last."""
    params = {"solver": solver, "learning_rate_init": rate, "early_stopping": True, "n_iter_no_change": 3}
    models, warned = [], []
    for module in (theirs, ours):
        model = estimator(module, kind, **params)
        _, caught = recorded(partial(model.fit, X, DATA[kind][1]))
        models.append(model)
        warned.append([text for category, text in caught if category is ConvergenceWarning])
    assert_same(*models)
    assert warned[0] == warned[1]


def test_object_arrays_of_numbers_are_taken():
    table = np.column_stack([X, X[:, 0] > 0]).astype(object)
    models = both(lambda model: model.fit(table, DATA["regression"][1].astype(object)), "regression")
    assert_same(*models)
