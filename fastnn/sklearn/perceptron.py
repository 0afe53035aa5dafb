"""What the estimators share: scikit-learn's perceptron with its training and its forward pass replaced."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import scipy.optimize
import scipy.sparse
from numpy.typing import NDArray
from sklearn.base import is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network._multilayer_perceptron import BaseMultilayerPerceptron
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.fixes import _get_additional_lbfgs_options_dict
from sklearn.utils.optimize import _check_optimize_result
from sklearn.utils.validation import _check_sample_weight, validate_data

from fastnn.backends import twin
from fastnn.job import Job, State
from fastnn.optimizers import SGD
from fastnn.sklearn.conventions import (
    HIDDEN_ACTIVATIONS,
    STOCHASTIC_SOLVERS,
    accuracy,
    activations_of,
    first_weights,
    loss_of,
    r2,
    rule_of,
    spec_of,
)
from fastnn.sklearn.run import NON_FINITE, Epochs, Objective, Solver
from fastnn.spec import NetworkSpec

_SPARSE_ROWS = 1024  # of a sparse matrix, made dense at a time for prediction

#: Samples, their targets as the kernels take them, and their weights.
Data = tuple[NDArray, NDArray, NDArray | None]


class Perceptron(BaseMultilayerPerceptron):
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

    def _check_solver(self) -> bool:
        if self.solver not in STOCHASTIC_SOLVERS:
            raise AttributeError(
                f"partial_fit is only available for stochastic optimizers. {self.solver} is not stochastic."
            )
        return True

    # ---------------------------------------------------------------- the network
    def _initialize(self, y: NDArray, sizes: list[int], dtype: np.dtype) -> None:
        """Draw the first weights, and set what is known before training."""
        self.n_iter_ = self.t_ = 0
        self.n_layers_, self.n_outputs_ = len(sizes), y.shape[1]
        if not is_classifier(self):
            self.out_activation_ = "exp" if self.loss == "poisson" else "identity"
        else:
            self.out_activation_ = "softmax" if self._label_binarizer.y_type_ == "multiclass" else "logistic"
        activations = activations_of(self.activation, len(sizes) - 2)
        self.coefs_, self.intercepts_ = first_weights(sizes, activations, self._random_state, dtype)
        if self.solver in STOCHASTIC_SOLVERS:
            self.loss_curve_: list[float] = []
            self._no_improvement_count = 0
            self.validation_scores_: list[float] | None = [] if self.early_stopping else None
            self.best_validation_score_ = -np.inf if self.early_stopping else None
            self.best_loss_ = None if self.early_stopping else np.inf

    def _network(self, dtype: np.dtype) -> tuple[NetworkSpec, NDArray]:
        """The network that `coefs_` and `intercepts_` are, and a copy of them in one vector."""
        sizes = [len(self.coefs_[0]), *(len(b) for b in self.intercepts_)]
        spec = spec_of(sizes, activations_of(self.activation, len(sizes) - 2), self.out_activation_, dtype)
        pairs = zip(self.coefs_, self.intercepts_, strict=True)
        return spec, np.concatenate([part.ravel() for pair in pairs for part in pair], dtype=dtype, casting="same_kind")

    def _forward_pass_fast(self, X: Any, check_input: bool = True) -> NDArray:
        """The network's outputs, (n, n_out)."""
        if check_input:
            X = validate_data(self, X, accept_sparse=["csr", "csc"], reset=False)
        dtype = np.result_type(X.dtype, self.coefs_[0].dtype)
        spec, params = self._network(dtype)
        predict = twin("numba", "network").predict
        if scipy.sparse.issparse(X):
            X = X.tocsr()
            starts = range(0, X.shape[0], _SPARSE_ROWS)
            return np.concatenate([predict(spec, params, _dense(X[i : i + _SPARSE_ROWS], dtype)) for i in starts])
        return predict(spec, params, _dense(X, dtype))

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
        sample_weight = self._weigh_classes(y, sample_weight, incremental)
        y = y.reshape(-1, 1) if y.ndim == 1 else y
        self.n_outputs_ = y.shape[1]
        self._random_state = check_random_state(self.random_state)
        if self.early_stopping and incremental:
            raise ValueError("partial_fit does not support early_stopping=True")

        dtype = np.dtype(X.dtype if self.dtype is None else self.dtype)
        sizes = [X.shape[1], *hidden, self.n_outputs_]
        stochastic = self.solver in STOCHASTIC_SOLVERS
        data = validation = None
        best: dict[str, Any] = {}
        for _ in range(self.n_restarts if first_pass and not incremental else 1):
            if first_pass:
                self._initialize(y, sizes, dtype)
            if data is None:  # after the first draw of weights, as scikit-learn has it
                data, validation = self._split(X, y, sample_weight, dtype, validation_data)
            if stochastic:
                self._fit_stochastically(data, validation, incremental)
            else:
                self._fit_by_lbfgs(data)
            if not all(np.isfinite(part).all() for part in (*self.coefs_, *self.intercepts_)):
                raise ValueError(NON_FINITE)
            if not best or self._merit() > best["_merit"]:
                best = vars(self) | {"_merit": self._merit()}
        del best["_merit"]
        vars(self).update(best)
        return self

    def _weigh_classes(self, y: NDArray, sample_weight: NDArray | None, incremental: bool) -> NDArray | None:
        """The sample weights, times those of classes where the estimator has them."""
        return sample_weight

    def _merit(self) -> float:
        """What the best of several starts has most of."""
        score = getattr(self, "best_validation_score_", None)
        return -self.loss_ if score is None else score

    def _split(
        self, X: Any, y: NDArray, weight: NDArray | None, dtype: np.dtype, validation_data: Any
    ) -> tuple[Data, Data | None]:
        """The data as the kernels take them, for training and for validation."""
        if validation_data is not None and self.solver in STOCHASTIC_SOLVERS:
            X_val, y_val, *rest = validation_data
            X_val, y_val = self._validate_input(X_val, y_val, True, reset=False)
            weight_val = _check_sample_weight(rest[0], X_val) if rest else None
            y_val = y_val.reshape(len(y_val), -1)
        elif self.early_stopping and self.solver in STOCHASTIC_SOLVERS:
            stratify = y if is_classifier(self) and self.n_outputs_ == 1 else None
            arrays = (X, y) if weight is None else (X, y, weight)
            parts = train_test_split(
                *arrays, random_state=self._random_state, test_size=self.validation_fraction, stratify=stratify
            )
            X, X_val, y, y_val = parts[:4]
            weight, weight_val = parts[4:] or (None, None)
            if X_val.shape[0] < 2:
                raise ValueError(
                    "The validation set is too small. Increase 'validation_fraction' or the size of your dataset."
                )
        else:
            return (_dense(X, dtype), self._targets(y, dtype), weight), None
        return (
            (_dense(X, dtype), self._targets(y, dtype), weight),
            (_dense(X_val, dtype), self._targets(y_val, dtype), weight_val),
        )

    def _targets(self, y: NDArray, dtype: np.dtype) -> NDArray:
        """Labels of classes, (n,), or targets, (n, n_out)."""
        return y.argmax(axis=1) if self.out_activation_ == "softmax" else np.ascontiguousarray(y, dtype)

    def _job(self, data: Data, dtype: np.dtype, **settings: Any) -> Job:
        """A training run of the network; `coefs_` and `intercepts_` become views of its parameters."""
        X, y, weight = data
        spec, params = self._network(dtype)
        self.coefs_, self.intercepts_ = spec.weights(params), spec.biases(params)
        loss, accounts = loss_of(self.loss, spec)
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
            delta=delta,
            accounts=accounts,
            **settings,
        )

    def _fit_by_lbfgs(self, data: Data) -> None:
        """SciPy's L-BFGS on the loss over all the data, in float64 as scikit-learn's."""
        dtype = np.dtype(self.dtype or np.float64)
        X, y, weight = data
        y = y if y.ndim == 1 else y.astype(dtype, copy=False)
        job = self._job(
            (X.astype(dtype, copy=False), y, weight), dtype, optimizer=SGD(0.0), batch_size=len(X), shuffle=False
        )
        shown = 1 if self.verbose is True or self.verbose >= 1 else -1
        result = scipy.optimize.minimize(
            Objective(job),
            job.params.astype(np.float64),
            method="L-BFGS-B",
            jac=True,
            options={
                "maxfun": self.max_fun,
                "maxiter": self.max_iter,
                "gtol": self.tol,
                **_get_additional_lbfgs_options_dict("iprint", shown),
            },
        )
        self.n_iter_ = _check_optimize_result("lbfgs", result, self.max_iter)
        self.loss_ = result.fun
        job.params[:] = result.x

    def _fit_stochastically(self, data: Data, validation: Data | None, incremental: bool) -> None:
        """Epochs of batches until the loss, or the validation score, no longer improves."""
        n, dtype = len(data[0]), data[0].dtype
        rule = rule_of(self)
        job = self._job(data, dtype, optimizer=rule, batch_size=self._batch_size(n), shuffle=self.shuffle)
        if not incremental or not hasattr(self, "_solver"):
            self._solver = Solver(rule, State.fresh(job.spec, rule, 0), float(self.learning_rate_init))
        best = job.params.copy()
        watched = self.verbose or validation is not None or self.callbacks is not None
        # No stop can come sooner than the counter of bad epochs allows: so many run in one call.
        patience = self.n_iter_no_change + 1
        epochs = Epochs(job, self._solver, self._random_state, 1 if watched or incremental else patience, self.threads)
        self.n_iter_ = 0
        try:
            while self.n_iter_ < self.max_iter:
                ahead = min(patience - self._no_improvement_count, epochs.most, self.max_iter - self.n_iter_)
                losses = epochs(self._rates(max(1, int(ahead)), n))
                if losses is None:
                    if self.early_stopping:
                        break
                    raise ValueError(NON_FINITE)
                for loss in losses:
                    self._end_epoch(loss, n)
                    better = validation is not None and self._validate(job, validation, best)
                    self._count_improvement(better)
                if self._no_improvement_count >= patience:
                    if self._stops():
                        break
                    self._no_improvement_count = 0
                if incremental or self._call_back():
                    break
                if self.n_iter_ == self.max_iter:
                    warnings.warn(
                        f"Stochastic Optimizer: Maximum iterations ({self.max_iter}) "
                        "reached and the optimization hasn't converged yet.",
                        ConvergenceWarning,
                        stacklevel=2,
                    )
        except KeyboardInterrupt:
            warnings.warn("Training interrupted by user.", stacklevel=2)
        if self.early_stopping:
            job.params[:] = best

    def _batch_size(self, n: int) -> int:
        if self.solver == "rprop":
            return n
        if self.batch_size == "auto":
            return min(200, n)
        if self.batch_size > n:
            warnings.warn(
                "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped", stacklevel=2
            )
        return int(min(self.batch_size, n))

    def _rates(self, epochs: int, n: int) -> NDArray[np.float64]:
        """The learning rates of the epochs ahead; the solver keeps that of the next one after them."""
        if self.solver != "sgd" or self.learning_rate != "invscaling":
            return np.full(epochs, self._solver.learning_rate)
        seen = self.t_ + n * np.arange(1, epochs + 1) + 1.0
        later = float(self.learning_rate_init) / seen**self.power_t
        rates = np.array([self._solver.learning_rate, *later])
        self._solver.learning_rate = float(rates[-1])
        return rates[:-1]

    def _end_epoch(self, loss: float, n: int) -> None:
        self.n_iter_ += 1
        self.t_ += n
        self.loss_ = loss
        self.loss_curve_.append(loss)
        if self.verbose:
            print(f"Iteration {self.n_iter_}, loss = {loss:.8f}")

    def _validate(self, job: Job, validation: Data, best: NDArray) -> bool:
        """Score the network on the validation set: whether it improved; the best parameters are kept in `best`."""
        X, y, weight = validation
        output = twin("numba", "network").predict(job.spec, job.params, X)
        score = (accuracy if is_classifier(self) else r2)(output, y, weight)
        if self.validation_scores_ is None:
            self.validation_scores_ = []
        self.validation_scores_.append(score)
        if self.verbose:
            print(f"Validation score: {score:f}")
        last = -np.inf if self.best_validation_score_ is None else self.best_validation_score_
        if score > last:
            self.best_validation_score_ = score
            best[:] = job.params
        return not score < last + self.tol

    def _count_improvement(self, improved: bool) -> None:
        """Count the epochs since the score, or the loss, last improved by the tolerance."""
        if not self.early_stopping:
            improved = not self.loss_ > self.best_loss_ - self.tol
            self.best_loss_ = min(self.best_loss_, self.loss_)
        self._no_improvement_count = 0 if improved else self._no_improvement_count + 1

    def _stops(self) -> bool:
        """Whether training is over that no longer improves; an adaptive rate is reduced instead."""
        subject = "Validation score" if self.early_stopping else "Training loss"
        epochs = f"for {self.n_iter_no_change} consecutive epochs."
        message = f"{subject} did not improve more than tol={self.tol:f} {epochs}"
        if self.solver != "sgd" or self.learning_rate != "adaptive":
            stop, consequence = True, "Stopping."
        elif self._solver.learning_rate <= 1e-6:
            stop, consequence = True, "Learning rate too small. Stopping."
        else:
            self._solver.learning_rate /= 5.0
            stop, consequence = False, f"Setting learning rate to {self._solver.learning_rate:f}"
        if self.verbose:
            print(message, consequence)
        return stop

    def _call_back(self) -> bool:
        """Call what is called after every epoch; whether one of them asks to stop."""
        callbacks: list[Callable] = [self.callbacks] if callable(self.callbacks) else list(self.callbacks or ())
        return sum(bool(callback(self)) for callback in callbacks) > 0  # all of them are called


def _dense(X: Any, dtype: np.dtype) -> NDArray:
    """Samples as the kernels take them: dense and in C order."""
    return np.ascontiguousarray(X.toarray() if scipy.sparse.issparse(X) else X, dtype)
