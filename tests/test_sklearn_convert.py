"""Models that cross over to scikit-learn's classes and back, and pipelines in ONNX."""

import numpy as np
import pytest
import sklearn.neural_network as theirs
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn_cases import LABELS, SHORT, X, Y, classifier, regressor, same_weights

from fastnn.sklearn import from_sklearn, register_skl2onnx, to_sklearn

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

MODELS = [
    (theirs.MLPClassifier(**SHORT), LABELS),
    (theirs.MLPClassifier(activation="logistic", **SHORT), np.where(LABELS > 0, "yes", "no")),
    (theirs.MLPClassifier(solver="lbfgs", **SHORT), (Y > 0).astype(int)),
    (theirs.MLPRegressor(activation="tanh", **SHORT), Y),
    (theirs.MLPRegressor(loss="poisson", early_stopping=True, **SHORT), np.abs(Y[:, 0])),
]


@pytest.mark.parametrize(("model", "y"), MODELS, ids=[repr(model) for model, _ in MODELS])
def test_models_cross_over_and_back(model, y):
    model = clone(model).fit(X, y)
    mine = from_sklearn(model)
    back = to_sklearn(mine)
    assert type(back) is type(model)
    assert back.get_params() == model.get_params()
    method = "predict_proba" if hasattr(model, "classes_") else "predict"
    expected = getattr(model, method)(X)
    np.testing.assert_allclose(getattr(mine, method)(X), expected, rtol=1e-12)
    np.testing.assert_array_equal(getattr(back, method)(X), expected)
    np.testing.assert_array_equal(mine.predict(X[:5]).shape, model.predict(X[:5]).shape)
    mine.coefs_[0][:] = 0
    assert model.coefs_[0].any()


def test_a_model_that_crossed_over_can_be_trained_on():
    mine = from_sklearn(theirs.MLPClassifier(**SHORT).fit(X, LABELS))
    before = mine.loss_
    assert mine.partial_fit(X, LABELS).loss_ < before
    to_sklearn(mine).partial_fit(X, LABELS)


def test_a_warm_start_that_does_no_better_goes_back_to_what_crossed_over():
    mine = classifier(early_stopping=True, warm_start=True, max_iter=2).fit(X, LABELS)
    mine.best_validation_score_ = 2.0
    same_weights(to_sklearn(mine).fit(X, LABELS), mine, rtol=0, atol=0)


def test_what_scikit_learn_does_not_have():
    model = regressor(solver="adamw", loss="huber", activation=("tanh", "tanh")).fit(X, Y)
    other = to_sklearn(model)
    np.testing.assert_allclose(other.predict(X), model.predict(X), rtol=1e-12)
    assert (other.solver, other.loss, other.activation) == ("adam", "squared_error", "tanh")
    for activation in ("silu", ("tanh", "relu")):
        with pytest.raises(ValueError, match="model must have one activation in all hidden layers"):
            to_sklearn(regressor(activation=activation).fit(X, Y))
    with pytest.raises(TypeError, match="model must be an MLPClassifier or MLPRegressor of fastnn"):
        to_sklearn(theirs.MLPRegressor())
    with pytest.raises(TypeError, match="model must be an MLPClassifier or MLPRegressor of scikit-learn"):
        from_sklearn(model)


@pytest.mark.parametrize(("attribute", "l"), [("coefs_", 0), ("coefs_", 1), ("intercepts_", 0), ("intercepts_", 1)])
def test_weights_that_fit_no_network_are_refused(attribute, l):
    model = from_sklearn(theirs.MLPRegressor(hidden_layer_sizes=(4,), max_iter=5).fit(X, Y))
    getattr(model, attribute)[l] = getattr(model, attribute)[l][:1]
    with pytest.raises(
        ValueError, match=r"coefs_ and intercepts_ must be those of a network of 4 features; got .*\(1,"
    ):
        model.predict(X)


def test_skl2onnx_converts_pipelines():
    skl2onnx, runtime = pytest.importorskip("skl2onnx"), pytest.importorskip("onnxruntime")
    register_skl2onnx()
    rows = X.astype(np.float32)
    for model, targets in ((regressor(), Y[:, 0]), (classifier(), LABELS)):
        pipeline = make_pipeline(StandardScaler(), model).fit(rows, targets)
        written = skl2onnx.to_onnx(pipeline, rows[:1]).SerializeToString()
        predicted = runtime.InferenceSession(written, providers=["CPUExecutionProvider"]).run(None, {"X": rows})[0]
        np.testing.assert_allclose(predicted.ravel(), pipeline.predict(rows), rtol=1e-5, atol=1e-5)
    model = regressor().fit(rows, Y[:, :2])
    written = skl2onnx.to_onnx(model, rows[:1]).SerializeToString()
    predicted = runtime.InferenceSession(written, providers=["CPUExecutionProvider"]).run(None, {"X": rows})[0]
    np.testing.assert_allclose(predicted, model.predict(rows), rtol=1e-5, atol=1e-5)


def test_what_skl2onnx_would_write_as_another_model_is_refused():
    skl2onnx = pytest.importorskip("skl2onnx")
    register_skl2onnx()
    rows, sign = X.astype(np.float32), Y[:, 0] > 0
    for model, targets, sentence in (
        (regressor(activation="silu"), Y[:, 0], "model must have one activation in all hidden layers"),
        (regressor(loss="poisson"), abs(Y[:, 0]), "a loss whose outputs skl2onnx has; got 'poisson'"),
        (classifier(), np.where(sign, 2**40, 0), f"integers of 32 bits, as skl2onnx writes them; got 0 to {2**40}"),
        (classifier(), np.zeros(len(rows), int), "two classes or more, or three labels, .*; got 1 class"),
        (classifier(), np.column_stack([sign, ~sign]).astype(int), "three labels, .*; got 2 labels"),
    ):
        with pytest.raises(ValueError, match=sentence):
            skl2onnx.to_onnx(model.fit(rows, targets), rows[:1])
    with pytest.raises(NotFittedError):
        skl2onnx.to_onnx(regressor(), rows[:1])
