"""fastnn, by its public face."""

from __future__ import annotations

from numpy.typing import NDArray

from fastnn.comparison.workloads import Workload
from fastnn.many import fit_many


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
        w = self.workload
        passes = max(1, steps // w.batches)
        rows = w.batch_size * min(steps, w.batches)
        self.net.fit(
            self.X[:rows],
            self.y[:rows],
            loss=w.loss,
            optimizer=w.rule,
            epochs=passes,
            batch_size=w.batch_size,
            shuffle=False,
            progress=False,
            backend=self.backend,
            threads=self.threads,
        )

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
        w = self.workload
        passes = max(1, steps // w.batches)
        rows = w.batch_size * min(steps, w.batches)
        self.learned = fit_many(
            self.spec,
            self.X[:rows],
            self.y[:rows],
            params=self.learned,
            loss=w.loss,
            optimizer=w.rule,
            epochs=passes,
            batch_size=w.batch_size,
            shuffle=False,
            progress=False,
            threads=self.threads,
        ).params

    def params(self) -> NDArray:
        return self.learned
