"""The regressor: scikit-learn's parameters and attributes, and some of fastnn's."""

from __future__ import annotations

from numbers import Real
from typing import Any, ClassVar

import sklearn.neural_network as theirs
from sklearn.base import _fit_context
from sklearn.utils._param_validation import Interval, StrOptions

from fastnn.sklearn.conventions import REGRESSION_LOSSES, STOCHASTIC_SOLVERS, keep
from fastnn.sklearn.fitting import fit_estimator
from fastnn.sklearn.perceptron import Perceptron


class MLPRegressor(Perceptron, theirs.MLPRegressor):
    """A regressor: scikit-learn's `sklearn.neural_network.MLPRegressor`, trained by fastnn.

    Parameters
    ----------
    loss : {"squared_error", "poisson", "absolute_error", "huber"}, default="squared_error"
        Half the squared error, half the Poisson deviance of an exponential output, the absolute error or Huber's;
        summed over the outputs.
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

    Attributes
    ----------
    coefs_, intercepts_, loss_, loss_curve_, best_loss_, validation_scores_, best_validation_score_, n_iter_, t_
        As in `MLPClassifier`; the score is R2.
    n_layers_, n_outputs_, out_activation_, n_features_in_, feature_names_in_
        As in `MLPClassifier`.

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
        "loss": [StrOptions(set(REGRESSION_LOSSES))],
        "solver": [StrOptions({"lbfgs", "levenberg-marquardt", *STOCHASTIC_SOLVERS})],
        "delta": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(
        self,
        loss="squared_error",
        hidden_layer_sizes=(100,),
        activation="relu",
        *,
        solver="adam",
        alpha=0.0001,
        batch_size="auto",
        learning_rate="constant",
        learning_rate_init=0.001,
        power_t=0.5,
        max_iter=200,
        shuffle=True,
        random_state=None,
        tol=1e-4,
        verbose=False,
        warm_start=False,
        momentum=0.9,
        nesterovs_momentum=True,
        early_stopping=False,
        validation_fraction=0.1,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
        n_iter_no_change=10,
        max_fun=15000,
        weight_decay=0.01,
        decay=0.99,
        n_restarts=1,
        callbacks=None,
        dtype=None,
        threads=1,
        delta=1.0,
    ):
        keep(self, locals())

    _fit = fit_estimator  # which scikit-learn's ``partial_fit`` calls too

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: Any = None, validation_data: Any = None) -> MLPRegressor:
        """Fit the network to samples and targets.

        Parameters
        ----------
        X : {array-like, sparse matrix}, shape (n, n_features)
            The samples.
        y : array-like, shape (n,) or (n, n_outputs)
            The targets.
        sample_weight : array-like, shape (n,), optional
            Weight of each sample.
        validation_data : tuple (X, y) or (X, y, sample_weight), optional
            Samples to score each epoch on, ``validation_scores_``; with ``early_stopping``, instead of a part of X.
            L-BFGS ignores it, and so does Levenberg-Marquardt without early stopping.

        Returns
        -------
        self
            The fitted estimator.
        """
        if self.solver == "levenberg-marquardt" and self.loss != "squared_error":
            raise ValueError(f"loss must be 'squared_error' with solver='levenberg-marquardt'; got {self.loss!r}")
        return self._fit(X, y, sample_weight=sample_weight, validation_data=validation_data)
