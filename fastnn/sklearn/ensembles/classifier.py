"""The ensemble that predicts classes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import validate_data

from fastnn.models.ensemble import mean_of, std_of
from fastnn.sklearn.attributes import unchanged_on_error
from fastnn.sklearn.ensembles.base import EnsembleBase


class MLPEnsembleClassifier(ClassifierMixin, EnsembleBase):
    """The mean of the probabilities from many small networks, trained together by `fastnn.fit_many`.

    Parameters
    ----------
    n_estimators, hidden_layer_sizes, activation, solver, alpha, batch_size, learning_rate_init, max_iter, bootstrap
        As in `MLPEnsembleRegressor`.
    early_stopping, validation_fraction, n_iter_no_change, tol, random_state, threads
        As in `MLPEnsembleRegressor`.

    Attributes
    ----------
    classes_ : ndarray, shape (n_classes,)
        The class labels.
    ensemble_, n_iter_, n_features_in_, feature_names_in_
        As in `MLPEnsembleRegressor`.

    Examples
    --------
    >>> from fastnn.sklearn import MLPEnsembleClassifier
    >>> model = MLPEnsembleClassifier(bootstrap=True, random_state=0).fit(X, y)
    >>> probability, spread = model.predict_proba(X, return_std=True)
    """

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> MLPEnsembleClassifier:
        """Train the members.

        Parameters
        ----------
        X : array-like, shape (n, n_features)
            The samples.
        y : array-like, shape (n,)
            Class labels.
        sample_weight : array-like, shape (n,), optional
            Weight of each sample.

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        TypeError, ValueError
            If a parameter of the estimator or an array is invalid, or every member diverges.

        Warns
        -----
        RuntimeWarning
            If members diverge, which are then left out.
        """
        with unchanged_on_error(self):
            X, y = validate_data(self, X, y, dtype=(np.float64, np.float32))
            check_classification_targets(y)
            self.classes_, labels = np.unique(y, return_inverse=True)
            self._train(X, labels.astype(np.intp), sample_weight, len(self.classes_), "softmax", "cross_entropy")
        return self

    def predict_proba(self, X: Any, return_std: bool = False) -> Any:
        """Predict the probabilities of the classes.

        Parameters
        ----------
        X : array-like, shape (n, n_features)
            The samples.
        return_std : bool, default=False
            Also return the standard deviation of the members' probabilities.

        Returns
        -------
        ndarray, shape (n, n_classes), or two of them
            The mean of the members' probabilities.

        Raises
        ------
        NotFittedError
            If `fit` was not called before; it is a `ValueError`.
        TypeError, ValueError
            If `X` is invalid.
        """
        outputs = self._outputs(X)
        return (mean_of(outputs), std_of(outputs)) if return_std else mean_of(outputs)

    def predict(self, X: Any) -> NDArray:
        """Predict the most probable class of each sample.

        Parameters
        ----------
        X : array-like, shape (n, n_features)
            The samples.

        Returns
        -------
        ndarray, shape (n,)

        Raises
        ------
        TypeError, ValueError
            As in `predict_proba`.
        """
        best = self.predict_proba(X).argmax(axis=1)
        return self.classes_[best]
