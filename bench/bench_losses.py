"""What a step costs with each loss, beside mse on the same network: ``pytest bench/bench_losses.py -s``."""

from time import perf_counter

import numpy as np
import pytest

import fastnn
from fastnn.settings import catalogue

LOSSES = [row for row in catalogue.LOSSES.values() if row.logits_of is None and row.name != "mse"]

#: Sizes and rows of a batch, and whether samples, networks or tiles are in the vectors.
ROWS = [
    ((8, 64, 64, 2), 256, "tiles"),
    ((8, 32, 32, 2), 32, "tiles"),
    ((3, 4, 2), 4, "samples"),
    ((8, 16, 2), 32, "members"),
]


class Steps:
    """A run of many steps, whose cost is the least of all that it took."""

    def __init__(self, loss, sizes, rows, way):
        rng, self.way, self.best = np.random.default_rng(0), way, np.inf
        self.net = fastnn.MLP(sizes, rng=0)
        y = rng.random((rows, loss.n_targets(sizes[-1])))
        self.settings = {"X": rng.random((rows, sizes[0])), "y": y, "loss": loss.name, "optimizer": fastnn.SGD(1e-3)}
        self.epochs = max(3, int(1e6 / (rows * self.net.spec.n_params)))  # a millisecond or two
        self.run()  # compiles

    def run(self):
        start = perf_counter()
        if self.way == "members":
            fastnn.fit_many(self.net.spec, members=16, epochs=self.epochs, rng=0, **self.settings)
        else:
            self.net.copy().fit(epochs=self.epochs, specialize=self.way == "samples", progress=False, **self.settings)
        self.best = min(self.best, (perf_counter() - start) / self.epochs)


@pytest.mark.parametrize("row", LOSSES, ids=lambda row: row.name)
@pytest.mark.parametrize(("sizes", "rows", "way"), ROWS, ids=[f"{s}, {n}, {way}" for s, n, way in ROWS])
def bench_losses(sizes, rows, way, row):
    theirs, ours = (Steps(loss, sizes, rows, way) for loss in (catalogue.LOSSES["mse"], row))
    for _ in range(400):  # in turns, so that both meet the same machine
        theirs.run()
        ours.run()
    print(
        f"\n{'-'.join(map(str, sizes))}, {rows} rows, {way} in vectors: {row.name} {ours.best * 1e6:.3g} us a step, "
        f"mse {theirs.best * 1e6:.3g}, ratio {ours.best / theirs.best:.2f}"
    )
