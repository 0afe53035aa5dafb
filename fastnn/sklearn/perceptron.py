"""What the estimators share: scikit-learn's perceptron with its training and its forward pass replaced."""

from __future__ import annotations

from functools import cache
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import is_classifier
from sklearn.neural_network._multilayer_perceptron import BaseMultilayerPerceptron
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.validation import _check_sample_weight, validate_data

from fastnn.jobs.job import Job
from fastnn.settings.spec import NetworkSpec
from fastnn.sklearn.conventions import (
    HIDDEN_ACTIVATIONS,
    STOCHASTIC_SOLVERS,
    activations_of,
    first_weights,
    joined,
    loss_of,
    spec_of,
)
from fastnn.sklearn.restarts import Restarts
from fastnn.sklearn.run import NON_FINITE, Data, outputs
from fastnn.sklearn.splitting import Splitting
from fastnn.sklearn.stochastic import StochasticTraining
from fastnn.sklearn.whole_batch import WholeBatchTraining


class Perceptron(Splitting, StochasticTraining, WholeBatchTraining, Restarts):
    """The part of an estimator that is not scikit-learn's own.

    scikit-learn's class stands behind this one: parameters, checks of what is passed in, and what is made of the
    outputs are its own. Weights stand in one flat vector, of which ``coefs_`` and ``intercepts_`` are views while
    the network is trained.
    """

    _parameter_constraints: ClassVar[dict] = {
        **BaseMultilayerPerceptron._parameter_constraints,
        "activation": [StrOptions(set(HIDDEN_ACTIVATIONS)), tuple, list],
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
        return super()._get_param_names()

    def _check_solver(self) -> bool:
        if self.solver not in STOCHASTIC_SOLVERS:
            raise AttributeError(
                f"partial_fit is only available for stochastic optimizers. {self.solver} is not stochastic."
            )
        return True

    # ---------------------------------------------------------------- the network
    def _begin(self, coefs: list[NDArray], intercepts: list[NDArray]) -> None:
        """Take these first weights, and set what is known before training."""
        self.coefs_, self.intercepts_ = coefs, intercepts
        self.n_iter_ = self.t_ = 0
        if self.solver != "lbfgs":
            self.loss_curve_ = []
            self._no_improvement_count = 0
            self.validation_scores_ = [] if self.early_stopping else None
            self.best_validation_score_ = -np.inf if self.early_stopping else None
            self.best_loss_ = None if self.early_stopping else np.inf

    def _output_activation(self) -> str:
        """scikit-learn's name of it."""
        if not is_classifier(self):
            return "exp" if self.loss == "poisson" else "identity"
        return "softmax" if self._label_binarizer.y_type_ == "multiclass" else "logistic"

    def _network(self, dtype: np.dtype) -> tuple[NetworkSpec, NDArray]:
        """The network that `coefs_` and `intercepts_` are, and a copy of them in one vector."""
        sizes = [len(self.coefs_[0]), *(len(b) for b in self.intercepts_)]
        spec = spec_of(sizes, activations_of(self.activation, len(sizes) - 2), self.out_activation_, dtype)
        return spec, joined(self.coefs_, self.intercepts_, dtype)

    def _forward_pass_fast(self, X: Any, check_input: bool = True) -> NDArray:
        """The network's outputs, (n, n_out)."""
        if check_input:
            X = validate_data(self, X, accept_sparse=["csr", "csc"], reset=False)
        return outputs(*self._network(np.result_type(X.dtype, self.coefs_[0].dtype)), X)

    # ---------------------------------------------------------------- training
    def _fit(
        self, X: Any, y: Any, sample_weight: Any = None, incremental: bool = False, validation_data: Any = None
    ) -> Perceptron:
        hidden = self.hidden_layer_sizes
        hidden = list(hidden) if hasattr(hidden, "__iter__") else [hidden]
        if np.any(np.array(hidden) <= 0):
            raise ValueError(f"hidden_layer_sizes must be > 0, got {hidden}.")
        first_pass = not hasattr(self, "coefs_") or (not self.warm_start and not incremental)
        X, y = self._validate_input(X, y, incremental, reset=first_pass)
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, X)
            if not sample_weight.sum() > 0:
                raise ValueError(f"sample_weight must have a sum above 0; got {sample_weight.sum()}")
        sample_weight = self._weigh_classes(y, sample_weight, incremental)
        y = y.reshape(-1, 1) if y.ndim == 1 else y
        self.n_outputs_ = y.shape[1]
        self._random_state = check_random_state(self.random_state)
        if self.early_stopping and incremental:
            raise ValueError("partial_fit does not support early_stopping=True")

        dtype = np.dtype(X.dtype if self.dtype is None else self.dtype)
        sizes = [X.shape[1], *hidden, self.n_outputs_]
        starts: list[Any] = []
        if first_pass:
            self.n_layers_, self.out_activation_ = len(sizes), self._output_activation()
            activations = activations_of(self.activation, len(hidden))
            count = 1 if incremental else int(self.n_restarts)
            starts = [first_weights(sizes, activations, self._random_state, dtype) for _ in range(count)]
        # after the weights, as scikit-learn draws them
        data, validation = self._split(X, y, sample_weight, dtype, validation_data)
        if len(starts) > 1 and self._goes_together(data, validation):
            self._fit_together(starts, data)
        else:
            self._fit_in_turn(starts, data, validation, incremental)
        return self

    def _fit_in_turn(self, starts: list[Any], data: Data, validation: Data | None, incremental: bool) -> None:
        """Train from each start, and keep the best; without any, train on from the weights there are."""
        best: tuple[float, dict[str, Any]] | None = None
        for start in starts or [None]:
            if start is not None:
                self._begin(*start)
            match self.solver:
                case "lbfgs":
                    self._fit_by_lbfgs(data)
                case "levenberg-marquardt":
                    self._fit_by_levenberg_marquardt(data, validation)
                case _:
                    self._fit_stochastically(data, validation, incremental)
            if not all(np.isfinite(part).all() for part in (*self.coefs_, *self.intercepts_)):
                raise ValueError(NON_FINITE)
            if best is None or self._merit() > best[0]:
                best = self._merit(), dict(vars(self))
        assert best is not None
        self.__dict__.update(best[1])

    def _weigh_classes(self, y: NDArray, sample_weight: NDArray | None, incremental: bool) -> NDArray | None:
        """The sample weights, times those of classes where the estimator has them."""
        return sample_weight

    def _merit(self) -> float:
        """What the best of several starts has most of."""
        score = getattr(self, "best_validation_score_", None)
        return -self.loss_ if score is None else score

    def _job(self, data: Data, dtype: np.dtype, **settings: Any) -> Job:
        """A training run of the network; `coefs_` and `intercepts_` become views of its parameters."""
        X, y, weight = data
        spec, params = self._network(dtype)
        self.coefs_, self.intercepts_ = spec.weights(params), spec.biases(params)
        loss, convention = loss_of(self.loss, spec)
        weight = None if weight is None else np.ascontiguousarray(weight, dtype)
        delta = float(getattr(self, "delta", 1.0))
        return Job(
            spec,
            params,
            X,
            y,
            loss,
            sample_weight=weight,
            l2=float(self.alpha),
            loss_parameter=delta,
            convention=convention,
            **settings,
        )
