"""Time of one call of a network from inside a caller's compiled loop, and from Python: ``pytest bench/bench_embed.py``.

The network is 8-64-64-1 in float32, a small one, or a wide one. The timer divides by the number of calls in the loop;
compiling happens before the timing.
"""

import numpy as np
import pytest
from calls import CALLS, clock_per, per_call
from numba import njit

import fastnn

NET = fastnn.MLP((8, 64, 64, 1), dtype="float32", rng=0)
SMALL = fastnn.MLP((3, 8, 2), dtype="float32", rng=0)


@njit
def outputs(net, x, out, jac, calls):
    for _ in range(calls):
        net.forward(x, out)
        x[0] = out[0]


@njit
def with_jacobian(net, x, out, jac, calls):
    for _ in range(calls):
        net.jacobian(x, out, jac)
        x[0] = jac[0, 0]


@njit
def gradients(net, x, out, jac, calls):
    for _ in range(calls):
        net.vjp(x, out, jac[0])
        x[0] = jac[0, 0]


@pytest.mark.benchmark(group="one sample in a compiled loop", timer=per_call)
@pytest.mark.parametrize("loop", [outputs, gradients, with_jacobian], ids=["forward", "vjp", "jacobian"])
@pytest.mark.parametrize("net", [NET, SMALL], ids=["8-64-64-1", "3-8-2"])
def bench_loop(benchmark, net, loop):
    n_in, *_, n_out = net.spec.sizes

    def start():
        return (net, np.zeros(n_in, "f"), np.ones(n_out, "f"), np.empty((n_out, n_in), "f"), CALLS), {}

    benchmark.pedantic(loop, setup=start, rounds=30, warmup_rounds=1)


@pytest.mark.benchmark(group="wide layers, one sample", timer=per_call)
@pytest.mark.parametrize(("width", "layers"), [(256, 5), (512, 6), (1024, 3)])
def bench_wide(benchmark, width, layers):
    """Weights that come from beyond the first-level cache."""
    net = fastnn.MLP((25, *[width] * layers, 198), activation="silu", dtype="float32", rng=0)

    def start():
        return (net, np.zeros(25, "f"), np.ones(198, "f"), np.empty((1, 25), "f"), CALLS), {}

    benchmark.pedantic(outputs, setup=start, rounds=5, warmup_rounds=1)


@njit
def outputs_of_rows(net, x, out, calls):
    for _ in range(calls):
        net.forward(x, out)
        x[0, 0] = 1e-3 * out[0, 0]


@pytest.mark.benchmark(group="three layers of 1,000 in float64, a compiled loop", timer=clock_per(10))
@pytest.mark.parametrize("rows", [1, 2])
def bench_large(benchmark, rows):
    """Weights that outgrow the second-level cache."""
    net, x, out = fastnn.MLP((1000,) * 4, activation="relu", rng=0), np.ones((rows, 1000)), np.empty((rows, 1000))
    benchmark.pedantic(outputs_of_rows, (net, x, out, 10), rounds=30, warmup_rounds=1)


@pytest.mark.benchmark(group="one sample alone through three equal layers, a compiled loop", timer=per_call)
@pytest.mark.parametrize("width", [128, 256, 512, 1024])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def bench_alone(benchmark, dtype, width):
    """Layers of 64 kB to 8 MB."""
    net = fastnn.MLP((16, width, width, width, 4), activation="relu", dtype=dtype, rng=0)
    arguments = net, np.zeros(16, dtype), np.ones(4, dtype), np.empty((1, 16), dtype), CALLS
    benchmark.pedantic(outputs, arguments, rounds=5, warmup_rounds=1)


@pytest.mark.benchmark(group="a batch through three equal layers, a compiled loop")
@pytest.mark.parametrize("rows", [2, 8, 32, 1_000])
@pytest.mark.parametrize(
    ("dtype", "width"),
    [("float32", 128), ("float32", 256), ("float32", 512), ("float64", 128), ("float64", 512), ("float64", 1024)],
)
def bench_batch(benchmark, dtype, width, rows):
    """Layers of 64 kB to 8 MB."""
    net = fastnn.MLP((16, width, width, width, 4), activation="relu", dtype=dtype, rng=0)
    x, out = np.ones((rows, 16), dtype), np.empty((rows, 4), dtype)
    benchmark.pedantic(outputs_of_rows, (net, x, out, 1), rounds=20, warmup_rounds=1)


@njit
def distances(net, x, calls):
    for _ in range(calls):
        x[0] = 1e-3 * net.distance(x)


@pytest.mark.benchmark(group="distance of 25 inputs in a compiled loop", timer=per_call)
def bench_distance(benchmark):
    net = fastnn.MLP((25, 8, 1), rng=0).with_domain(np.random.default_rng(0).normal(size=(200, 25)))
    benchmark.pedantic(distances, setup=lambda: ((net, np.zeros(25), CALLS), {}), rounds=30, warmup_rounds=1)


@pytest.mark.benchmark(group="8-64-64-1, predict from Python")
@pytest.mark.parametrize("backend", ["numpy", "numba"])
@pytest.mark.parametrize("rows", [1, 10_000])
def bench_predict(benchmark, backend, rows):
    X = np.random.default_rng(0).normal(size=(rows, 8)).astype("f")
    NET.predict(X, backend=backend)
    assert benchmark(NET.predict, X, backend=backend).shape == (rows, 1)
