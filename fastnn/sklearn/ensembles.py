"""Ensembles as estimators: many networks that differ by their seed, or their bootstrap, trained in one call."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, _fit_context, is_classifier
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from fastnn.many import fit_many
from fastnn.optimizers import SGD, Adam, AdamW, Optimizer, RMSprop, Rprop
from fastnn.sklearn.conventions import HIDDEN_ACTIVATIONS, REGRESSION_LOSSES, activations_of, spec_of
from fastnn.watch import EarlyStopping

_RULES: dict[str, type[Optimizer]] = {"adam": Adam, "adamw": AdamW, "rmsprop": RMSprop, "rprop": Rprop, "sgd": SGD}
_LOSSES = {"squared_error": "mse", "absolute_error": "mae", "huber": "huber", "poisson": "poisson"}


class _Ensemble(BaseEstimator):
    """What the two have in common."""

    _parameter_constraints: ClassVar[dict] = {
        "n_estimators": [Interval(Integral, 1, None, closed="left")],
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "activation": [StrOptions(set(HIDDEN_ACTIVATIONS)), tuple, list],
        "solver": [StrOptions(set(_RULES))],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "bootstrap": ["boolean"],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "random_state": ["random_state"],
        "threads": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        n_estimators=50,
        hidden_layer_sizes=(32,),
        activation="tanh",
        *,
        solver="adam",
        alpha=0.0001,
        batch_size="auto",
        learning_rate_init=0.01,
        max_iter=200,
        bootstrap=False,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=10,
        tol=1e-4,
        random_state=None,
        threads=1,
    ):
        self.n_estimators = n_estimators
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate_init = learning_rate_init
        self.max_iter = max_iter
        self.bootstrap = bootstrap
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.random_state = random_state
        self.threads = threads

    def _train(self, X: NDArray, y: NDArray, sample_weight: Any, n_out: int, output: str, loss: str) -> None:
        """Train the members on validated samples and targets, or labels."""
        weight = np.ones(len(X), X.dtype) if sample_weight is None else _check_sample_weight(sample_weight, X)
        if not weight.sum() > 0 or weight.min() < 0:
            raise ValueError("sample_weight must be at least 0 everywhere, and above it somewhere")
        hidden = np.atleast_1d(np.asarray(self.hidden_layer_sizes, dtype=int)).tolist()
        spec = spec_of((X.shape[1], *hidden, n_out), activations_of(self.activation, len(hidden)), output, X.dtype)
        rng = check_random_state(self.random_state)
        options: dict[str, Any] = {}
        if self.early_stopping:
            X, X_val, y, y_val, weight, weight_val = train_test_split(
                X,
                y,
                weight,
                test_size=self.validation_fraction,
                random_state=rng,
                stratify=y if is_classifier(self) else None,
            )
            options["validation_data"] = X_val, y_val, weight_val
            options["early_stopping"] = EarlyStopping(int(self.n_iter_no_change), float(self.tol))
        n, members = len(X), int(self.n_estimators)
        if self.bootstrap:
            weight = weight * rng.multinomial(n, np.full(n, 1 / n), size=members)
        batch = n if self.solver == "rprop" else min(200 if self.batch_size == "auto" else int(self.batch_size), n)
        # as in the other estimators, a batch's penalty is divided by its weight, here by what that is on average
        l2 = float(self.alpha) * n / (batch * weight.sum(axis=-1))
        ensemble = fit_many(
            spec,
            X,
            y,
            members=members,
            epochs=int(self.max_iter),
            loss=loss,
            optimizer=_RULES[self.solver](float(self.learning_rate_init)),
            batch_size=batch,
            sample_weight=weight.astype(X.dtype, copy=False),
            l2=l2,
            delta=float(getattr(self, "delta", 1.0)),
            rng=int(rng.randint(2**31 - 1)),
            threads=int(self.threads),
            progress=False,
            **options,
        )
        sound = ensemble.stopped != "diverged"
        if not sound.any():
            raise ValueError(
                "every member diverged; the input data may contain large values and need to be preprocessed"
            )
        self.ensemble_ = ensemble[sound]
        self.n_iter_ = self.ensemble_.records.epochs

    def _outputs(self, X: Any) -> NDArray:
        """Every member's outputs, (members, n, n_outputs)."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=(np.float64, np.float32), reset=False)
        return self.ensemble_.predict(X.astype(self.ensemble_.spec.dtype, copy=False))


class MLPEnsembleRegressor(RegressorMixin, _Ensemble):
    """The mean of many small networks, with a spread: trained at once by `fastnn.fit_many`.

    Parameters
    ----------
    n_estimators : int, default=50
        Members.
    hidden_layer_sizes : array-like of int or int, default=(32,)
        Width of each hidden layer.
    activation : str or one for each hidden layer, default="tanh"
        As in `MLPRegressor`.
    solver : {"adam", "adamw", "rmsprop", "rprop", "sgd"}, default="adam"
        fastnn's update rule; Rprop takes whole batches.
    alpha : float, default=0.0001
        Strength of the penalty, as in `MLPRegressor`.
    batch_size : int or "auto", default="auto"
        Rows of a batch; 200, or all, by default.
    learning_rate_init : float, default=0.01
        The learning rate.
    max_iter : int, default=200
        Epochs.
    bootstrap : bool, default=False
        Whether every member has its own bootstrap of the samples; otherwise members differ by seed alone.
    early_stopping : bool, default=False
        Whether each member stops by its loss on a validation set, and keeps its best weights.
    validation_fraction, n_iter_no_change, tol : float, default=0.1; int, default=10; float, default=1e-4
        The validation set's share; the epochs without an improvement by `tol` that end a member's training.
    random_state : int, RandomState or None
        What validation set, bootstraps and the members' seed are drawn from.
    threads : int, default=1
        Threads that share the members; the results are the same to the bit.
    loss : {"squared_error", "absolute_error", "huber", "poisson"}, default="squared_error"
        The mean over the outputs of the error's square or absolute value, of Huber's loss, or of the Poisson deviance.
    delta : float, default=1.0
        Where Huber's loss turns from a parabola into a line.

    Attributes
    ----------
    ensemble_ : fastnn.ensemble.Ensemble
        The members that did not diverge.
    n_iter_ : ndarray of int, shape (members,)
        Epochs of each.
    n_features_in_, feature_names_in_
        As in every estimator.

    Examples
    --------
    >>> from fastnn.sklearn import MLPEnsembleRegressor
    >>> model = MLPEnsembleRegressor(bootstrap=True, random_state=0).fit(X, y)
    >>> mean, std = model.predict(X, return_std=True)
    >>> low, high = model.predict_quantiles(X, [0.05, 0.95])
    """

    _parameter_constraints: ClassVar[dict] = {
        **_Ensemble._parameter_constraints,
        "loss": [StrOptions(set(REGRESSION_LOSSES))],
        "delta": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(
        self,
        n_estimators=50,
        hidden_layer_sizes=(32,),
        activation="tanh",
        *,
        solver="adam",
        alpha=0.0001,
        batch_size="auto",
        learning_rate_init=0.01,
        max_iter=200,
        bootstrap=False,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=10,
        tol=1e-4,
        random_state=None,
        threads=1,
        loss="squared_error",
        delta=1.0,
    ):
        super().__init__(
            n_estimators=n_estimators,
            hidden_layer_sizes=hidden_layer_sizes,
            activation=activation,
            solver=solver,
            alpha=alpha,
            batch_size=batch_size,
            learning_rate_init=learning_rate_init,
            max_iter=max_iter,
            bootstrap=bootstrap,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            n_iter_no_change=n_iter_no_change,
            tol=tol,
            random_state=random_state,
            threads=threads,
        )
        self.loss = loss
        self.delta = delta

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> MLPEnsembleRegressor:
        """Train the members.

        Parameters
        ----------
        X : array-like, shape (n, n_features)
            The samples.
        y : array-like, shape (n,) or (n, n_outputs)
            The targets.
        sample_weight : array-like, shape (n,), optional
            Weight of each sample.

        Returns
        -------
        self
            The fitted estimator.
        """
        X, y = validate_data(self, X, y, multi_output=True, y_numeric=True, dtype=(np.float64, np.float32))
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        self._flat = y.ndim == 1
        y = np.ascontiguousarray(y.reshape(len(y), -1), X.dtype)
        output = "exp" if self.loss == "poisson" else "identity"
        self._train(X, y, sample_weight, y.shape[1], output, _LOSSES[self.loss])
        return self

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """The mean of the members' outputs, (n,) or (n, n_outputs); with `return_std` also their standard deviation."""
        outputs = self._outputs(X)
        mean = self._shaped(outputs.mean(axis=0))
        return (mean, self._shaped(outputs.std(axis=0))) if return_std else mean

    def predict_quantiles(self, X: Any, quantiles: ArrayLike) -> NDArray:
        """Quantiles of the members' outputs, (..., n) or (..., n, n_outputs), for quantiles (...) in [0, 1]."""
        return self._shaped(np.quantile(self._outputs(X), np.asarray(quantiles, dtype=float), axis=0))

    def _shaped(self, values: NDArray) -> NDArray:
        return values[..., 0] if self._flat else values


class MLPEnsembleClassifier(ClassifierMixin, _Ensemble):
    """The mean of the probabilities that many small networks give, trained at once by `fastnn.fit_many`.

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
        """
        X, y = validate_data(self, X, y, dtype=(np.float64, np.float32))
        check_classification_targets(y)
        self.classes_, labels = np.unique(y, return_inverse=True)
        self._train(X, labels.astype(np.intp), sample_weight, len(self.classes_), "softmax", "cross_entropy")
        return self

    def predict_proba(self, X: Any, return_std: bool = False) -> Any:
        """Mean probability of each class, (n, n_classes); with `return_std` also the members' standard deviation."""
        outputs = self._outputs(X)
        mean = outputs.mean(axis=0)
        return (mean, outputs.std(axis=0)) if return_std else mean

    def predict(self, X: Any) -> NDArray:
        """The most probable class of each sample, (n,)."""
        best = self.predict_proba(X).argmax(axis=1)
        return self.classes_[best]
