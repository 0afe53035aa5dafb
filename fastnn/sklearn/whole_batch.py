"""The solvers that look at all the data in every step: L-BFGS, and Levenberg-Marquardt for squared errors."""

from __future__ import annotations

import warnings

import numpy as np
import scipy.optimize
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network._multilayer_perceptron import BaseMultilayerPerceptron
from sklearn.utils.fixes import _get_additional_lbfgs_options_dict
from sklearn.utils.optimize import _check_optimize_result

from fastnn.models.mlp import MLP
from fastnn.settings.early_stopping import EarlyStopping
from fastnn.settings.optimizers import SGD
from fastnn.settings.solvers import LevenbergMarquardt
from fastnn.sklearn.run import Data, Objective
from fastnn.training.blas import blas_threads
from fastnn.training.history import Epoch


class WholeBatchTraining(BaseMultilayerPerceptron):
    """The part of an estimator that hands all the data to a solver."""

    t_: int
    loss_curve_: list[float]

    def _fit_by_lbfgs(self, data: Data) -> None:
        """SciPy's L-BFGS on the loss over all the data, in float64 as scikit-learn's."""
        dtype = np.dtype(self.dtype or np.float64)
        X, y, weight = data
        y = y if y.ndim == 1 else y.astype(dtype, copy=False)
        job = self._job(
            (X.astype(dtype, copy=False), y, weight), dtype, optimizer=SGD(0.0), batch_size=len(X), shuffle=False
        )
        shown = 1 if self.verbose is True or self.verbose >= 1 else -1
        with blas_threads():
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

    def _fit_by_levenberg_marquardt(self, data: Data, validation: Data | None) -> None:
        """`MLP.fit` on the sum of squared errors, which is the estimator's loss times twice the weight of the data."""
        X, y, weight = data
        spec, params = self._network(X.dtype)
        *hidden, output = spec.activations
        net = MLP(spec.sizes, activation=hidden, output_activation=output, dtype=spec.dtype)
        net.params[:] = params
        self.coefs_, self.intercepts_, self.n_iter_ = net.weights, net.biases, 0
        scale = 2.0 * (len(X) if weight is None else float(weight.sum()))

        def tell(epoch: Epoch) -> bool:
            self.n_iter_, self.loss_ = self.n_iter_ + 1, epoch.loss / scale
            if self.verbose:
                print(f"Iteration {self.n_iter_}, loss = {self.loss_:.8f}")
            return self._call_back()

        stopping = None
        if self.n_iter_no_change < np.inf:
            least = self.tol if self.early_stopping else scale * self.tol
            stopping = EarlyStopping(
                int(self.n_iter_no_change),
                float(least),
                monitor="metric" if self.early_stopping else "loss",
                restore_best=bool(self.early_stopping),
            )
        history = net.fit(
            X,
            y,
            epochs=int(self.max_iter),
            loss="sse",
            optimizer=LevenbergMarquardt(),
            sample_weight=weight,
            l2=2.0 * float(self.alpha),
            validation_data=validation if self.early_stopping else None,
            early_stopping=stopping,
            callback=tell if self.verbose or self.callbacks is not None else None,
            progress=False,
            threads=int(self.threads),
        )
        self.n_iter_, self.t_ = history.epochs, self.t_ + len(X) * history.epochs
        self.loss_curve_ += (history.loss / scale).tolist()
        if not history.epochs:  # no step was taken
            self.loss_ = net.loss_and_grad(X, y, "sse", sample_weight=weight, l2=2.0 * float(self.alpha))[0] / scale
            self.loss_curve_.append(self.loss_)
        self.loss_ = self.loss_curve_[-1]
        if history.validation_metric is not None:
            self.validation_scores_ += history.validation_metric.tolist()
            self.best_validation_score_ = max(self.validation_scores_, default=-np.inf)
        else:
            self.best_loss_ = min(self.loss_curve_)
        if history.stopped == "interrupted":
            warnings.warn("Training interrupted by user.", stacklevel=2)
        if history.stopped == "finished":
            warnings.warn(
                f"Levenberg-Marquardt: Maximum iterations ({self.max_iter}) "
                "reached and the optimization hasn't converged yet.",
                ConvergenceWarning,
                stacklevel=2,
            )
