"""fastnn, by its public API."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from fastnn.apps.comparison.workloads import Workload
from fastnn.ensembles.fit_many import fit_many


def _how(workload: Workload, steps: int, threads: int) -> tuple[int, dict[str, Any]]:
    """The number of rows, and the settings, of a call that makes this many steps."""
    return workload.batch_size * min(steps, workload.batches), {
        "loss": workload.loss,
        "optimizer": workload.rule,
        "epochs": max(1, steps // workload.batches),
        "batch_size": workload.batch_size,
        "shuffle": False,
        "progress": False,
        "threads": threads,
    }


class Training:
    """`MLP.fit`, on the compiled path."""

    backend = "numba"

    def __init__(self, workload: Workload, threads: int):
        self.workload, self.threads = workload, threads
        self.X, self.y = workload.data()
        self.net = workload.network()
        self.start = self.net.params.copy()

    def reset(self) -> None:
        self.net.params = self.start

    def run(self, steps: int) -> None:
        rows, settings = _how(self.workload, steps, self.threads)
        self.net.fit(self.X[:rows], self.y[:rows], backend=self.backend, **settings)

    def params(self) -> NDArray:
        return self.net.params


class Many:
    """`fit_many`, on the compiled path."""

    def __init__(self, workload: Workload, threads: int):
        self.workload, self.threads = workload, threads
        self.X, self.y = workload.data()
        self.spec, self.start = workload.network().spec, workload.start()

    def reset(self) -> None:
        self.learned = self.start

    def run(self, steps: int) -> None:
        rows, settings = _how(self.workload, steps, self.threads)
        self.learned = fit_many(self.spec, self.X[:rows], self.y[:rows], params=self.learned, **settings).params

    def params(self) -> NDArray:
        return self.learned
