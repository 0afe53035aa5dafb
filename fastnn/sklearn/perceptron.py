"""What the estimators share: scikit-learn's perceptron as one of our networks, with our forward pass and jobs."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import _fit_context, is_classifier
from sklearn.neural_network._multilayer_perceptron import BaseMultilayerPerceptron
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.validation import validate_data

from fastnn.checks import check_loss_parameter, check_target_range, counted
from fastnn.checks.data import largest_sum
from fastnn.jobs.job import Job
from fastnn.settings.own import Activation, Loss
from fastnn.settings.spec import NetworkSpec
from fastnn.sklearn.conventions import (
    HIDDEN_ACTIVATIONS,
    STOCHASTIC_SOLVERS,
    activations_of,
    joined,
    loss_and_convention,
    loss_numbers,
    output_of,
    spec_of,
)
from fastnn.sklearn.data import Data, converted, outputs
from fastnn.sklearn.epochs import StochasticState


class Perceptron(BaseMultilayerPerceptron):
    """The part of an estimator that is not scikit-learn's own; `fitting.fit_estimator` trains it.

    scikit-learn's class stands behind this one: parameters, checks of what is passed in, and what is made of the
    outputs are its own. Weights stand in one flat vector, of which ``coefs_`` and ``intercepts_`` are views while
    the network is trained.
    """

    t_: int
    loss_curve_: list[float]
    validation_scores_: list[float] | None
    best_validation_score_: Any
    best_loss_: Any
    _no_improvement_count: int
    _learned_loss: str | Loss
    _learned_min_variance: Any
    _stochastic_state: StochasticState

    _parameter_constraints: ClassVar[dict] = {
        **BaseMultilayerPerceptron._parameter_constraints,
        "activation": [StrOptions(set(HIDDEN_ACTIVATIONS)), Activation, tuple, list],
        "solver": [StrOptions({"lbfgs", *STOCHASTIC_SOLVERS})],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "decay": [Interval(Real, 0, 1, closed="left")],
        "n_restarts": [Interval(Integral, 1, None, closed="left")],
        "callbacks": ["array-like", callable, None],
        "dtype": [StrOptions({"float32", "float64"}), Options(type, {np.float32, np.float64}), None],
        "threads": [Interval(Integral, 1, None, closed="left")],
    }

    @classmethod
    @cache
    def _get_param_names(cls) -> list[str]:
        """Kept, as scikit-learn inspects the constructor's signature each time."""
        return super()._get_param_names()

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: Any = None, validation_data: Any = None) -> Self:
        """Fit the network to samples and targets.

        Parameters
        ----------
        X : {array-like, sparse matrix}, shape (n, n_features)
            The samples.
        y : array-like, shape (n,), (n, n_labels) or (n, n_outputs)
            Class labels, an indicator matrix of several labels, or the targets of a regressor.
        sample_weight : array-like, shape (n,), optional
            Weight of each sample.
        validation_data : tuple (X, y) or (X, y, sample_weight), optional
            Samples to score each epoch on, ``validation_scores_``; with ``early_stopping``, instead of a part of X.
            L-BFGS ignores it.

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        TypeError, ValueError
            If a parameter of the estimator or an array is invalid, or training diverges.

        Warns
        -----
        ConvergenceWarning
            If the loss still improves in the last epoch.
        """
        return self._fit(X, y, sample_weight=sample_weight, validation_data=validation_data)

    def _check_solver(self) -> bool:
        """What scikit-learn asks before it offers ``partial_fit``."""
        if self.solver not in STOCHASTIC_SOLVERS:
            raise AttributeError(
                f"partial_fit is only available for stochastic optimizers. {self.solver} is not stochastic."
            )
        return True

    @property
    def _optimizer(self) -> StochasticState:
        """Where scikit-learn's estimators keep their ``learning_rate``."""
        return self._stochastic_state

    def _output_activation(self) -> str:
        """scikit-learn's name of it."""
        if not is_classifier(self):
            return output_of(self.loss)
        return "softmax" if self._label_binarizer.y_type_ == "multiclass" else "logistic"

    def _network(self, dtype: np.dtype) -> tuple[NetworkSpec, NDArray]:
        """The network that `coefs_` and `intercepts_` are, and a copy of them in one vector."""
        sizes = [self.n_features_in_, *map(np.size, self.intercepts_)]
        shapes = [np.shape(W) for W in self.coefs_], [np.shape(b) for b in self.intercepts_]
        if shapes != (list(pairwise(sizes)), [(n,) for n in sizes[1:]]):
            raise ValueError(
                f"coefs_ and intercepts_ must be those of a network of {counted(sizes[0], 'feature')}; "
                f"got the shapes {shapes[0]} and {shapes[1]}"
            )
        spec = spec_of(sizes, activations_of(self.activation, len(sizes) - 2), self.out_activation_, dtype)
        return spec, joined(self.coefs_, self.intercepts_, dtype)

    def _forward_pass_fast(self, X: Any, check_input: bool = True) -> NDArray:
        """The network's outputs, (n, n_out)."""
        if check_input:
            X = validate_data(self, X, accept_sparse=["csr", "csc"], reset=False)
        dtype = min(np.result_type(X.dtype, self.coefs_[0].dtype), np.dtype(np.float64))  # of long doubles, too
        return outputs(*self._network(dtype), X)

    def _targets(self, y: NDArray) -> NDArray:
        """Validated targets with a column for each that the loss takes."""
        return y.reshape(len(y), -1)

    def _outputs_per_target(self) -> int:
        return 1

    def _weigh_classes(self, y: NDArray, sample_weight: NDArray | None, incremental: bool) -> NDArray | None:
        """The sample weights, times those of classes where the estimator has them."""
        return sample_weight

    def _checked(self, data: Data, spec: NetworkSpec) -> Data:
        """Data as the loss and the kernels can train on them; raises TypeError or ValueError if they cannot."""
        X, y, weight = data
        loss, _ = loss_and_convention(self.loss, spec)
        if isinstance(loss, Loss):
            check_target_range(y, loss)
        check_loss_parameter(loss, spec, **loss_numbers(self))
        return Data(X, y, None if weight is None else _weight_of(weight, spec))

    def _job(self, data: Data, dtype: np.dtype, **settings: Any) -> Job:
        """A training run of the network; `coefs_` and `intercepts_` become views of its parameters."""
        X, y, weight = data
        spec, params = self._network(dtype)
        self.coefs_, self.intercepts_ = spec.weights(params), spec.biases(params)
        loss, convention = loss_and_convention(self.loss, spec)
        parameter = check_loss_parameter(loss, spec, **loss_numbers(self))
        return Job(
            spec,
            params,
            X,
            y,
            loss,
            sample_weight=weight,
            l2=float(self.alpha),
            loss_parameter=parameter,
            convention=convention,
            **settings,
        )


def _weight_of(given: NDArray, spec: NetworkSpec) -> NDArray:
    """The weights of the samples that are trained on; those below the smallest normal number count for nothing."""
    dtype = np.dtype(spec.dtype)
    weight = converted("sample_weight", given, dtype)
    if not (abs(weight) >= np.finfo(dtype).smallest_normal).any():
        raise ValueError(
            f"sample_weight must be above 0 in {dtype} for some of the samples that are trained on; "
            f"got at most {given.max():g}"
        )
    with np.errstate(over="ignore"):
        total, most = weight.sum(dtype=np.float64), largest_sum(dtype, spec.n_out)
    if not abs(total) <= most:
        raise ValueError(f"sample_weight must have a sum of at most {most:.3g}; got {total:.3g}")
    return weight
