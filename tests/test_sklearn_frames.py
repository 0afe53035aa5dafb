"""The estimators on tables of pandas and of polars: feature names, columns as targets, frames out of a transformer."""

import numpy as np
import pytest
from sklearn.base import is_classifier
from sklearn.compose import make_column_transformer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from fastnn.sklearn import MLPClassifier, MLPEnsembleClassifier, MLPEnsembleRegressor, MLPRegressor

RNG = np.random.default_rng(0)
X = RNG.normal(size=(80, 4))
Y = np.sin(X[:, 0]) + X[:, 1]
LABELS = np.where(Y > 0, "high", "low")
NAMES = list("abcd")
#: Too wide for lanes, for which kernels would be compiled.
SHORT = {"hidden_layer_sizes": (80, 50), "max_iter": 5, "random_state": 0}
MODELS = [
    MLPClassifier(**SHORT),
    MLPRegressor(**SHORT),
    MLPEnsembleClassifier(2, **SHORT),
    MLPEnsembleRegressor(2, **SHORT),
]

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(params=["pandas", "polars"])
def library(request):
    return pytest.importorskip(request.param)


def target(model):
    return LABELS if is_classifier(model) else Y


@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
class TestEveryEstimator:
    def test_a_table_is_its_numbers_and_names(self, model, library):
        table = library.DataFrame(dict(zip(NAMES, X.T, strict=True)))
        named = model.fit(table, library.Series(target(model)))
        assert list(named.feature_names_in_) == NAMES
        predicted = named.predict(table)
        np.testing.assert_array_equal(predicted, model.fit(X, target(model)).predict(X))
        assert not hasattr(model, "feature_names_in_")

    def test_other_columns_are_refused(self, model, library):
        table = library.DataFrame(dict(zip(NAMES, X.T, strict=True)))
        model.fit(table, target(model))
        with pytest.raises(ValueError, match="feature names should match"):
            model.predict(table[["b", "a", "c", "d"]])
        with pytest.raises(ValueError, match="feature names should match"):
            model.predict(table[["a", "b", "c"]])
        with pytest.warns(UserWarning, match="does not have valid feature names"):
            model.predict(X)

    def test_frames_out_of_the_steps_before_it(self, model, library):
        table = library.DataFrame(dict(zip(NAMES, X.T, strict=True)))
        pipeline = make_pipeline(StandardScaler(), model).set_output(transform=library.__name__)
        predicted = pipeline.fit(table, target(model)).predict(table)
        assert list(model.feature_names_in_) == NAMES
        expected = make_pipeline(StandardScaler(), model).fit(X, target(model)).predict(X)
        if is_classifier(model):
            np.testing.assert_array_equal(predicted, expected)
        else:  # a table's columns lie otherwise in memory, and means of them round otherwise
            np.testing.assert_allclose(predicted, expected, rtol=1e-9, atol=1e-11)


def test_columns_of_several_kinds(library):
    """Numbers and categories of one table, by a transformer that puts out a table."""
    kinds = RNG.choice(["red", "green"], 80)
    table = library.DataFrame({"kind": kinds, "size": X[:, 0]})
    columns = make_column_transformer(
        (OneHotEncoder(sparse_output=False), ["kind"]), (StandardScaler(), ["size"]), verbose_feature_names_out=False
    ).set_output(transform=library.__name__)
    model = make_pipeline(columns, MLPRegressor(**SHORT)).fit(table, Y)
    assert list(model[-1].feature_names_in_) == ["kind_green", "kind_red", "size"]
    assert model.predict(table).shape == (80,)


def test_several_targets_in_a_table(library):
    table = library.DataFrame(dict(zip(NAMES, X.T, strict=True)))
    both = np.column_stack([Y, -Y])
    model = MLPRegressor(**SHORT).fit(table, library.DataFrame({"up": Y, "down": -Y}))
    np.testing.assert_array_equal(model.predict(table), MLPRegressor(**SHORT).fit(X, both).predict(X))


def test_a_search_over_a_table(library):
    table = library.DataFrame(dict(zip(NAMES, X.T, strict=True)))
    pipeline = make_pipeline(StandardScaler(), MLPClassifier(**SHORT)).set_output(transform=library.__name__)
    search = GridSearchCV(pipeline, {"mlpclassifier__alpha": [1e-4, 1.0]}, cv=2).fit(table, LABELS)
    assert list(search.best_estimator_[-1].feature_names_in_) == NAMES
    assert list(search.feature_names_in_) == NAMES
