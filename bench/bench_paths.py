"""Where a kernel compiled for one tiny network beats the one that all share: ``pytest bench/bench_paths.py -s``.

It measures the rule `fastnn.kernels.dispatch.samples_in_lanes`, which bounds the parameters and the vectors of a batch.
Compiling takes a few seconds a row, once per machine.
"""

from time import perf_counter

import numpy as np
import pytest

import fastnn
from fastnn.kernels import dispatch

#: Sizes, rows of a batch, dtype: on both sides of the rule's bounds.
ROWS = [
    ((2, 2, 1), 4, "float64"),
    ((3, 4, 1), 4, "float64"),
    ((3, 4, 1), 16, "float64"),
    ((3, 4, 1), 64, "float64"),
    ((3, 4, 1), 128, "float64"),
    ((3, 4, 1), 1024, "float64"),
    ((2, 8, 1), 8, "float64"),
    ((2, 8, 1), 32, "float64"),
    ((3, 5, 3), 16, "float64"),
    ((4, 8, 1), 16, "float64"),
    ((2, 16, 1), 16, "float64"),
    ((3, 4, 1), 32, "float32"),
    ((3, 4, 1), 1024, "float32"),
    ((2, 8, 1), 64, "float32"),
    ((2, 8, 1), 1024, "float32"),
    ((2, 16, 1), 64, "float32"),
    ((4, 16, 1), 32, "float32"),
]


def seconds_a_step(sizes, rows, dtype, specialize):
    """The least time of a step in a long run."""
    rng, steps = np.random.default_rng(0), 2000
    net = fastnn.MLP(sizes, dtype=dtype, rng=0)
    X, y = rng.random((rows, sizes[0])).astype(dtype), rng.random((rows, sizes[-1])).astype(dtype)

    def clock(epochs):
        start = perf_counter()
        net.fit(X, y, optimizer=fastnn.SGD(1e-3), epochs=epochs, specialize=specialize, progress=False)
        return perf_counter() - start

    clock(1)  # compiles
    return (min(clock(2 * steps) for _ in range(15)) - min(clock(steps) for _ in range(15))) / steps


@pytest.mark.parametrize(("sizes", "rows", "dtype"), ROWS, ids=[f"{s}, {n}, {d}" for s, n, d in ROWS])
def bench_paths(sizes, rows, dtype):
    shared, own = (seconds_a_step(sizes, rows, dtype, specialize) for specialize in (False, True))
    spec = fastnn.MLP(sizes, dtype=dtype).spec
    chosen = dispatch.samples_in_lanes(spec, rows)
    print(
        f"\n{'-'.join(map(str, sizes))}, {spec.n_params} parameters, {rows} rows, {dtype}: shared kernel "
        f"{shared * 1e9:.0f} ns a step, its own {own * 1e9:.0f} ns, ratio {shared / own:.2f}"
        f"{', chosen' if chosen else ''}"
    )
