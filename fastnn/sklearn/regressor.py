"""The regressor: scikit-learn's parameters and attributes, and some of fastnn's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
import sklearn.neural_network as theirs
from numpy.typing import ArrayLike, DTypeLike, NDArray
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import check_is_fitted

from fastnn.settings.own import Activation, Loss
from fastnn.sklearn.attributes import store_arguments
from fastnn.sklearn.conventions import STOCHASTIC_SOLVERS
from fastnn.sklearn.fitting import fit_estimator
from fastnn.sklearn.perceptron import Perceptron
from fastnn.sklearn.targets import Targets


class MLPRegressor(Targets, Perceptron, theirs.MLPRegressor):
    """A regressor: scikit-learn's `sklearn.neural_network.MLPRegressor`, trained by fastnn.

    Parameters
    ----------
    loss : str or fastnn.Loss, default="squared_error"
        "squared_error", half of it; "poisson", half the deviance of an exponential output; "absolute_error"; "huber";
        "pinball", "ascending_pinball" or "expectile" for quantiles, quantiles that cannot cross, or expectiles;
        "gaussian_nll" for a mean and a variance. Summed over the outputs, of which ``loss_`` shows the mean for squared
        errors, as scikit-learn's does.
    solver : {"adam", "sgd", "lbfgs", "adamw", "rmsprop", "rprop", "levenberg-marquardt"}, default="adam"
        As in `MLPClassifier`, and Levenberg-Marquardt, which takes whole batches and is for squared errors of small
        networks; its losses are summed over the outputs.
    hidden_layer_sizes, activation, alpha, batch_size, max_iter, shuffle, random_state, tol, verbose, warm_start
        As in `MLPClassifier`.
    learning_rate, learning_rate_init, power_t, momentum, nesterovs_momentum, beta_1, beta_2, epsilon
        As in `MLPClassifier`.
    early_stopping, validation_fraction, n_iter_no_change, max_fun, weight_decay, decay
        As in `MLPClassifier`.
    n_restarts, callbacks, dtype, threads
        As in `MLPClassifier`.
    delta : float, default=1.0
        Where Huber's loss turns from a parabola into a line.
    quantiles : float or array-like, default=0.5
        The levels of the quantiles or expectiles, inside (0, 1): several for one target, or one for each target.
    min_variance : float or array-like, default=1e-6
        What "gaussian_nll" adds to the variance, so that it cannot collapse; one for all targets or for each.

    Attributes
    ----------
    coefs_, intercepts_, loss_, loss_curve_, best_loss_, validation_scores_, best_validation_score_, n_iter_, t_
        As in `MLPClassifier`; the score is R2.
    n_layers_, n_outputs_, out_activation_, n_features_in_, feature_names_in_
        As in `MLPClassifier`; "gaussian_nll" has two outputs for each target, the means before the log-variances.

    Notes
    -----
    Those on `MLPClassifier` apply.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from fastnn.sklearn import MLPRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> MLPRegressor(solver="lbfgs", max_iter=50, random_state=0).fit(X, y).score(X, y) > 0.5
    True
    """

    _parameter_constraints: ClassVar[dict] = {
        **Perceptron._parameter_constraints,
        **Targets._loss_constraints,
        "solver": [StrOptions({"lbfgs", "levenberg-marquardt", *STOCHASTIC_SOLVERS})],
    }

    def __init__(
        self,
        loss: str | Loss = "squared_error",
        hidden_layer_sizes: ArrayLike = (100,),
        activation: str | Activation | Sequence[str | Activation] = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: int | np.random.RandomState | None = None,
        tol: float = 1e-4,
        verbose: bool = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: int = 10,
        max_fun: int = 15000,
        weight_decay: float = 0.01,
        decay: float = 0.99,
        n_restarts: int = 1,
        callbacks: Callable[[Any], object] | Sequence[Callable[[Any], object]] | None = None,
        dtype: DTypeLike | None = None,
        threads: int = 1,
        delta: ArrayLike = 1.0,
        quantiles: ArrayLike = 0.5,
        min_variance: ArrayLike = 1e-6,
    ) -> None:
        store_arguments(self, locals())

    _fit = fit_estimator  # which scikit-learn's ``partial_fit`` calls too

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """Predict the targets of samples.

        Parameters
        ----------
        X : {array-like, sparse matrix}, shape (n, n_features)
            The samples.
        return_std : bool, default=False
            Also return the standard deviation of the noise, which loss="gaussian_nll" learns.

        Returns
        -------
        ndarray, shape (n,) or (n, n_targets), or two of them
            With several quantiles of one target a column for each.

        Raises
        ------
        NotFittedError
            If `fit` was not called before; it is a `ValueError`.
        TypeError, ValueError
            If `X` is invalid, or if `return_std` is True and the loss is another.
        """
        check_is_fitted(self)
        if return_std and self._learned() != "gaussian_nll":
            raise ValueError(
                f"return_std must be False unless loss is 'gaussian_nll'; got True with loss={self._learned()!r}"
            )
        outputs = self._forward_pass_fast(X)
        mean = _flat(self._means(outputs))
        return (mean, _flat(np.sqrt(self._variances(outputs)).astype(mean.dtype))) if return_std else mean


def _flat(columns: NDArray) -> NDArray:
    """A single column as a vector."""
    return columns[:, 0] if columns.shape[1] == 1 else columns
