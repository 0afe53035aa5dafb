"""The ensemble that predicts numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import MultiOutputMixin, RegressorMixin, _fit_context
from sklearn.utils import column_or_1d
from sklearn.utils.validation import validate_data

from fastnn.checks import check_quantiles
from fastnn.checks.arrays import as_floats
from fastnn.models.ensemble import mean_of, quantiles_of, std_of
from fastnn.models.normal_outputs import variance_of_mixture
from fastnn.settings.own import Activation, Loss
from fastnn.sklearn.attributes import store_arguments, unchanged_on_error
from fastnn.sklearn.conventions import catalogue_loss, output_of
from fastnn.sklearn.ensembles.base import EnsembleBase
from fastnn.sklearn.targets import Targets


class MLPEnsembleRegressor(Targets, MultiOutputMixin, RegressorMixin, EnsembleBase):
    """The mean and spread of many small networks, trained together by `fastnn.fit_many`.

    Parameters
    ----------
    n_estimators : int, default=50
        Number of members.
    hidden_layer_sizes : array-like of int or int, default=(32,)
        Width of each hidden layer.
    activation : str, fastnn.Activation, or one for each hidden layer, default="tanh"
        As in `MLPRegressor`.
    solver : {"adam", "adamw", "rmsprop", "rprop", "sgd"}, default="adam"
        The update rule; Rprop uses full batches.
    alpha : float, default=0.0001
        Strength of the penalty, as in `MLPRegressor`.
    batch_size : int or "auto", default="auto"
        Number of samples in a batch; "auto" means 200, or all if there are fewer.
    learning_rate_init : float, default=0.01
        The learning rate.
    max_iter : int, default=200
        Number of epochs.
    bootstrap : bool, default=False
        Whether every member has its own bootstrap of the samples; otherwise members differ only by their seed.
    early_stopping : bool, default=False
        Whether each member stops by its loss on a validation set, and keeps its best weights.
    validation_fraction, n_iter_no_change, tol : float, default=0.1; int, default=10; float, default=1e-4
        Fraction of the data in the validation set; number of epochs without an improvement by `tol` after which a
        member's training ends; a squared error then has no factor of 1/2, as `MLPRegressor`'s has.
    random_state : int, RandomState or None
        Source of the validation set, the bootstraps and the members' seed.
    threads : int, default=1
        Number of threads that share the members; the results are the same bit for bit.
    loss : str or fastnn.Loss, default="squared_error"
        As in `MLPRegressor`, averaged over the targets.
    delta, quantiles, min_variance : float or array-like, default=1.0, 0.5 and 1e-6
        As in `MLPRegressor`.

    Attributes
    ----------
    ensemble_ : fastnn.models.ensemble.Ensemble
        The members that did not diverge.
    n_iter_ : ndarray of int, shape (members,)
        Number of epochs of each member.
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
        **EnsembleBase._parameter_constraints,
        **Targets._loss_constraints,
    }

    def __init__(
        self,
        n_estimators: int = 50,
        hidden_layer_sizes: ArrayLike = (32,),
        activation: str | Activation | Sequence[str | Activation] = "tanh",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate_init: float = 0.01,
        max_iter: int = 200,
        bootstrap: bool = False,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        tol: float = 1e-4,
        random_state: int | np.random.RandomState | None = None,
        threads: int = 1,
        loss: str | Loss = "squared_error",
        delta: ArrayLike = 1.0,
        quantiles: ArrayLike = 0.5,
        min_variance: ArrayLike = 1e-6,
    ) -> None:
        store_arguments(self, locals())

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
            X, y = validate_data(self, X, y, multi_output=True, y_numeric=True, dtype=(np.float64, np.float32))
            if y.ndim == 2 and y.shape[1] == 1:
                y = column_or_1d(y, warn=True)
            y = self._targets(as_floats("y", y, np.dtype(np.float64), str(y.shape)))
            self._flat = y.shape[1] == 1
            output, n_out = output_of(self.loss), self._outputs_per_target() * y.shape[1]
            self._train(X, y, sample_weight, n_out, output, catalogue_loss(self.loss, output))
            self._learned_loss, self._learned_min_variance = self.loss, self.min_variance
        return self

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """Predict the targets of samples, by the mean of the members' predictions.

        Parameters
        ----------
        X : array-like, shape (n, n_features)
            The samples.
        return_std : bool, default=False
            Also return a standard deviation: that of the members' predictions, or with ``loss="gaussian_nll"`` that of
            a target, as if all members were equally likely to be right. Its variance is then the mean of theirs plus
            the variance of their means (Lakshminarayanan et al., 2017).

        Returns
        -------
        ndarray, shape (n,) or (n, n_targets), or two of them
            With several quantiles of one target a column for each.

        Raises
        ------
        NotFittedError
            If `fit` was not called before; it is a `ValueError`.
        TypeError, ValueError
            If `X` is invalid.
        """
        outputs = self._outputs(X)
        means = self._means(outputs)
        mean = self._shaped(mean_of(means))
        if not return_std:
            return mean
        if self._learned() == "gaussian_nll":
            std = np.sqrt(variance_of_mixture(means, self._variances(outputs))).astype(mean.dtype)
        else:
            std = std_of(means)
        return mean, self._shaped(std)

    def predict_quantiles(self, X: Any, quantiles: ArrayLike) -> NDArray:
        """Compute quantiles of the members' predictions.

        Parameters
        ----------
        X : array-like, shape (n, n_features)
            The samples.
        quantiles : float or array-like, shape (...)
            Their levels, in [0, 1].

        Returns
        -------
        ndarray, shape (..., n) or (..., n, n_targets)

        Raises
        ------
        TypeError, ValueError
            As in `predict`, or if `quantiles` holds anything but numbers in [0, 1].
        """
        quantiles = check_quantiles("quantiles", quantiles)
        return self._shaped(quantiles_of(self._means(self._outputs(X)), quantiles))

    def _shaped(self, values: NDArray) -> NDArray:
        return values[..., 0] if self._flat else values
