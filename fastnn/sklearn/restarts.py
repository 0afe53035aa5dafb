"""Several starts of one network, trained together by `fastnn.fit_many`, of which the best is kept."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray
from sklearn.neural_network._multilayer_perceptron import BaseMultilayerPerceptron

from fastnn.ensembles.fit_many import fit_many
from fastnn.settings.early_stopping import EarlyStopping
from fastnn.sklearn.conventions import joined, poisson_constant, rule_of
from fastnn.sklearn.run import NON_FINITE, Data

#: Of each loss on one output, fastnn's name; the squared error comes with weights that halve its mean.
_LOSSES = {
    "log_loss": "binary_cross_entropy",
    "squared_error": "sse",
    "absolute_error": "mae",
    "huber": "huber",
    "poisson": "poisson",
}


class Restarts(BaseMultilayerPerceptron):
    """The part of an estimator that trains several starts at once."""

    def _goes_together(self, data: Data, validation: Data | None) -> bool:
        """Whether `fit_many` does what training one start after another would: whole batches, watched by their loss.

        Only there are scikit-learn's and fastnn's penalties the same, and the order of the rows does not count.
        """
        plain_rate = self.solver != "sgd" or self.learning_rate == "constant"
        watched = validation is not None or self.verbose or self.callbacks is not None
        return (
            self.solver not in ("lbfgs", "levenberg-marquardt")
            and plain_rate
            and not watched
            and not scipy.sparse.issparse(data[0])
            and self._batch_size(len(data[1])) == len(data[1])
            and (self.n_outputs_ == 1 or self.out_activation_ == "softmax")
            and self.tol > 0  # what is no improvement by 0 is one to scikit-learn
        )

    def _fit_together(self, starts: list[tuple[list[NDArray], list[NDArray]]], data: Data) -> None:
        """Train every start, first weights and biases, and keep the one whose last loss is least."""
        X, y, weight = data
        self._begin(*starts[0])
        spec, _ = self._network(X.dtype)
        n = len(X)
        shares = np.ones(n) if weight is None else weight.astype(np.float64)
        settings: dict[str, Any] = {} if weight is None else {"sample_weight": shares.astype(X.dtype)}
        if self.loss == "squared_error":
            settings["sample_weight"] = (shares / (2 * shares.sum())).astype(X.dtype)
        if self.n_iter_no_change < np.inf:
            patience = int(self.n_iter_no_change) + 1
            settings["early_stopping"] = EarlyStopping(patience, float(self.tol), restore_best=False)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "training diverged", RuntimeWarning)
            ensemble = fit_many(
                spec,
                X,
                y,
                params=np.stack([joined(*start, X.dtype) for start in starts]),
                epochs=int(self.max_iter),
                loss="cross_entropy" if self.out_activation_ == "softmax" else _LOSSES[self.loss],
                optimizer=rule_of(self),
                l2=float(self.alpha) / float(shares.sum()),
                delta=float(getattr(self, "delta", 1.0)),
                rng=0,  # nothing is drawn from it
                history=True,
                threads=int(self.threads),
                progress=False,
                **settings,
            )
        if not len(ensemble):
            raise KeyboardInterrupt
        if (ensemble.stopped == "diverged").any():
            raise ValueError(NON_FINITE)
        best = int(ensemble.loss.argmin())
        params = ensemble.params[best].copy()
        self.coefs_, self.intercepts_ = spec.weights(params), spec.biases(params)
        self.__dict__.pop("_solver", None)  # a further partial_fit begins its own
        losses = ensemble.records.history[best, : ensemble.records.epochs[best]]
        if self.loss == "poisson":
            losses = losses + np.average(poisson_constant(y), weights=weight)
        self._end_epochs(losses.tolist(), n)
        self._count_improvements(losses.tolist(), False)
        if ensemble.stopped[best] == "finished":
            self._warn_of_the_end()
