"""Time of a training iteration by NumPy code for just this network, and on each backend: ``pytest bench/bench_fit.py``.

One call of ``fit`` runs many iterations; the timer divides by their number, so the tables show one
iteration, with its share of the call. Compiling happens before the timing.
"""

from dataclasses import dataclass

import numpy as np
import pytest
from calls import clock_per

import fastnn
from fastnn.apps.comparison import workloads
from fastnn.apps.comparison.peers.plain_numpy import Training

ROUNDS = 50


@dataclass(frozen=True)
class Workload:
    """A network and how it is trained, on synthetic data: the time does not depend on their values."""

    name: str
    sizes: tuple[int, ...]
    settings: dict
    loss: str
    optimizer: object
    batch_size: int
    batches: int
    epochs: int

    @property
    def iterations(self):
        """Updates in one call of ``fit``."""
        return self.batches * self.epochs

    def data(self):
        """Samples and targets."""
        rng = np.random.default_rng(0)
        rows, dtype = self.batch_size * self.batches, self.settings["dtype"]
        X = rng.random((rows, self.sizes[0])).astype(dtype)
        if self.loss == "cross_entropy":
            return X, rng.integers(self.sizes[-1], size=rows)
        return X, rng.random((rows, self.sizes[-1])).astype(dtype)


TUTORIAL = {"activation": "sigmoid", "output_activation": "sigmoid", "bias": False, "dtype": "float64"}
REGRESSOR = {"activation": "tanh", "dtype": "float32"}
CLASSIFIER = {"activation": "relu", "output_activation": "softmax", "dtype": "float32"}

WORKLOADS = (
    Workload("3-4-1, the tutorial's", (3, 4, 1), TUTORIAL, "sse", fastnn.SGD(1.0), 4, 1, 1500),
    Workload("8-32-32-1, batch 32", (8, 32, 32, 1), REGRESSOR, "mse", fastnn.SGD(0.05), 32, 32, 16),
    Workload("64-100-10, batch 32, Adam", (64, 100, 10), CLASSIFIER, "cross_entropy", fastnn.Adam(), 32, 56, 5),
    Workload(
        "784-128-10, batch 128, momentum",
        (784, 128, 10),
        CLASSIFIER,
        "cross_entropy",
        fastnn.SGD(0.05, momentum=0.9),
        128,
        60,
        1,
    ),
)


every_workload = pytest.mark.parametrize(
    "workload",
    [
        pytest.param(w, id=w.name, marks=pytest.mark.benchmark(group=w.name, timer=clock_per(w.iterations)))
        for w in WORKLOADS
    ],
)


def keep(benchmark, minima, workload, name):
    if benchmark.stats is not None:  # there is none with --benchmark-disable
        seconds = benchmark.stats.stats.min
        benchmark.extra_info["us per iteration"] = seconds * 1e6
        minima.setdefault(workload.name, {})[name] = seconds


@every_workload
def bench_by_hand(benchmark, minima, workload):
    """NumPy as someone writes it who wants just this network: what the speed-ups refer to."""
    training = Training(next(w for w in workloads.NAMED.values() if w.sizes == workload.sizes and w.members == 1), 1)
    benchmark.pedantic(training.run, args=(workload.iterations,), setup=training.reset, rounds=ROUNDS, warmup_rounds=1)
    assert np.isfinite(training.params()).all()
    keep(benchmark, minima, workload, "by hand")


@every_workload
@pytest.mark.parametrize("backend", ["numpy", "plain", "numba"])
def bench_fit(benchmark, minima, workload, backend):
    if backend == "plain" and workload.sizes[0] > 100:
        pytest.skip("plain loops take minutes")
    X, y = workload.data()
    net = fastnn.MLP(workload.sizes, rng=0, **workload.settings)
    start = net.params.copy()

    def fit():
        return net.fit(
            X,
            y,
            loss=workload.loss,
            optimizer=workload.optimizer,
            epochs=workload.epochs,
            batch_size=workload.batch_size,
            shuffle=False,
            progress=False,
            backend=backend,
        )

    def reset():
        net.params[:] = start

    history = benchmark.pedantic(fit, setup=reset, rounds=5 if backend == "plain" else ROUNDS, warmup_rounds=1)
    assert np.isfinite(history.loss).all()
    keep(benchmark, minima, workload, backend)
