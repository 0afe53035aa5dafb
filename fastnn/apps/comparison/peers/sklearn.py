"""scikit-learn's own estimators, by ``partial_fit``."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray
from sklearn.neural_network import MLPClassifier, MLPRegressor

from fastnn.apps.comparison.workloads import MOMENTUM, NotComparable, Workload


class Training:
    """A pass is one ``partial_fit``; what is not learned from the first call is set beneath its public API."""

    def __init__(self, workload: Workload, threads: int):
        if not workload.bias or workload.loss == "sse":
            raise NotComparable("it has no networks without biases, nor a squared loss of a sigmoid output")
        if workload.loss == "cross_entropy" and workload.sizes[-1] == 2:
            raise NotComparable("it gives two classes one output")
        warnings.filterwarnings("ignore", module="sklearn")
        self.workload = workload
        classify = workload.loss == "cross_entropy"
        self.X, y = workload.data()
        self.y = y if classify or y.shape[1] > 1 else y[:, 0]
        rate, epsilon = workload.learning_rate, 1e-8
        if not classify:  # its squared loss is half ours, summed over the outputs; Adam takes no notice but in epsilon
            scale = 2 / workload.sizes[-1]
            rate, epsilon = (rate, epsilon / scale) if workload.optimizer == "adam" else (rate * scale, epsilon)
        self.estimator = (MLPClassifier if classify else MLPRegressor)(
            hidden_layer_sizes=workload.sizes[1:-1],
            activation="logistic" if workload.activation == "sigmoid" else workload.activation,
            solver="adam" if workload.optimizer == "adam" else "sgd",
            alpha=0.0,
            batch_size=workload.batch_size,
            learning_rate_init=rate,
            momentum=MOMENTUM if workload.optimizer == "momentum" else 0.0,
            nesterovs_momentum=False,
            epsilon=epsilon * (1 - 0.999**5) ** 0.5,  # it is added before the bias correction: about the same, at first
            shuffle=False,
            random_state=0,
        )
        first = slice(workload.batch_size)
        arguments = {"classes": np.arange(workload.sizes[-1])} if classify else {}
        self.estimator.partial_fit(self.X[first], self.y[first], **arguments)
        self.net = workload.network()

    def reset(self) -> None:
        e = self.estimator
        pairs = zip([*e.coefs_, *e.intercepts_], [*self.net.weights, *self.net.biases], strict=True)
        for array, start in pairs:
            array[:] = start
        optimizer = e._optimizer
        for name in ("ms", "vs", "velocities"):
            for array in getattr(optimizer, name, ()):
                array[:] = 0
        if hasattr(optimizer, "t"):
            optimizer.t = 0

    def run(self, steps: int) -> None:
        rows = self.workload.batch_size * min(steps, self.workload.batches)
        for _ in range(max(1, steps // self.workload.batches)):
            self.estimator.partial_fit(self.X[:rows], self.y[:rows])

    def params(self) -> NDArray:
        e = self.estimator
        return np.concatenate([a.ravel() for layer in zip(e.coefs_, e.intercepts_, strict=True) for a in layer])
