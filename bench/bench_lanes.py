"""Members in lanes: where they stop paying, and what an order of their own costs them.

``pytest bench/bench_lanes.py`` puts a step in lanes beside one of the kernels that train a single network: the rule in
`fastnn.kernels.dispatch` is read from it.
"""

import numpy as np
import pytest
from calls import tell_each

from fastnn import MLP, Adam, fit_many

MEMBERS = 32
NETWORKS = [(8, 32, 1), (8, 32, 32, 1), (30, 64, 2), (16, 64, 32, 1), (8, 64, 64, 1), (16, 100, 50, 2)]

every_dtype = pytest.mark.parametrize("dtype", ["float64", "float32"])


def name(sizes):
    return "-".join(map(str, sizes))


def time_members(benchmark, sizes, dtype, n, unit, **settings):
    """Passes over `n` samples; what a member takes for a row or a step of them, as `unit` says."""
    rng, spec = np.random.default_rng(0), MLP(sizes, dtype=dtype).spec
    X, y = rng.normal(size=(n, sizes[0])), rng.normal(size=(n, sizes[-1]))
    epochs = max(1, int(2e8 / (6 * spec.n_params * n * MEMBERS))) if benchmark.enabled else 1
    options = {"members": MEMBERS, "epochs": epochs, "optimizer": Adam(), "rng": 0, "progress": False} | settings
    benchmark.pedantic(fit_many, (spec, X, y), options, rounds=5, warmup_rounds=1)
    tell_each(benchmark, unit, MEMBERS * epochs * (n if unit == "row" else n // settings["batch_size"]))


@every_dtype
@pytest.mark.parametrize("batch_size", [8, 32, 256])
@pytest.mark.parametrize("sizes", NETWORKS, ids=name)
@pytest.mark.parametrize("path", ["lanes", "alone"])
def bench_paths(benchmark, path, sizes, batch_size, dtype):
    n_params = MLP(sizes).spec.n_params
    benchmark.group = f"{name(sizes)}, {n_params} parameters, batches of {batch_size}, {dtype}"
    time_members(benchmark, sizes, dtype, 4 * batch_size, "step", batch_size=batch_size, specialize=path == "lanes")


BATCHES = {"whole": {}, "shared": {"batch_size": 32, "shuffle": False}, "own": {"batch_size": 32}}


@every_dtype
@pytest.mark.parametrize("sizes", [(3, 4, 1), (2, 16, 1), (10, 16, 1)], ids=name)
@pytest.mark.parametrize("batches", BATCHES)
def bench_batches(benchmark, batches, sizes, dtype):
    """Whole batches and mini-batches that all share, and mini-batches of which each member has its own."""
    benchmark.group = f"batches, {name(sizes)}, {dtype}"
    time_members(benchmark, sizes, dtype, 512, "row", specialize=True, **BATCHES[batches])
