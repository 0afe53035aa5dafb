"""What a step costs with each loss, beside mse on the same network: ``pytest bench/bench_losses.py -s``."""

from time import perf_counter

import numpy as np
import pytest

import fastnn
from fastnn.settings import catalogue

LOSSES = [row for row in catalogue.LOSSES.values() if row.logits_of in (None, "ascending") and row.name != "mse"]

#: Sizes and rows of a batch, and whether samples, networks or tiles are in the vectors.
ROWS = [
    ((8, 64, 64, 2), 256, "tiles"),
    ((8, 32, 32, 2), 32, "tiles"),
    ((3, 4, 2), 4, "samples"),
    ((8, 16, 2), 32, "members"),
]


class Steps:
    """Runs of a millisecond or so, of two lengths, whose least times differ by that of the steps alone."""

    def __init__(self, loss, sizes, rows, way):
        rng, self.way, self.best = np.random.default_rng(0), way, [np.inf, np.inf]
        self.net = fastnn.MLP(sizes, output_activation=loss.logits_of or "identity", rng=0)
        y = rng.random((rows, loss.n_targets(sizes[-1])))
        self.settings = {"X": rng.random((rows, sizes[0])), "y": y, "loss": loss.name, "optimizer": fastnn.SGD(1e-3)}
        self.epochs = max(4, 300_000 // (rows * self.net.spec.n_params))
        self.run()  # compiles
        self.best = [np.inf, np.inf]

    def run(self):
        for k in range(2):
            start, epochs = perf_counter(), self.epochs * (1 + 2 * k)
            if self.way == "members":
                fastnn.fit_many(self.net.spec, members=16, epochs=epochs, rng=0, **self.settings)
            else:
                net, own = self.net.copy(), self.way == "samples"
                net.fit(epochs=epochs, specialize=own, progress=False, **self.settings)
            self.best[k] = min(self.best[k], perf_counter() - start)

    @property
    def seconds(self):
        return (self.best[1] - self.best[0]) / (2 * self.epochs)


@pytest.mark.parametrize("row", LOSSES, ids=lambda row: row.name)
@pytest.mark.parametrize(("sizes", "rows", "way"), ROWS, ids=[f"{s}, {n}, {way}" for s, n, way in ROWS])
def bench_losses(sizes, rows, way, row):
    theirs, ours = (Steps(loss, sizes, rows, way) for loss in (catalogue.LOSSES["mse"], row))
    for _ in range(300):  # in turns, so that both meet the same machine
        theirs.run()
        ours.run()
    print(
        f"\n{'-'.join(map(str, sizes))}, {rows} rows, {way} in vectors: {row.name} {ours.seconds * 1e6:.3g} us a step, "
        f"mse {theirs.seconds * 1e6:.3g}, ratio {ours.seconds / theirs.seconds:.2f}"
    )
