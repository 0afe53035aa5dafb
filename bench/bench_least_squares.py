"""A surrogate learned to high precision: Levenberg-Marquardt against Adam and against the same method in NumPy.

``pytest bench/bench_least_squares.py -s`` prints the processor time to a mean squared error of 1e-6 from 20 random
starts, on either path, and what Adam takes to 1e-5, at its default rate and with the schedule that served it best.
``-k normal`` shows in which blocks the Jacobian's products are formed best.
"""

from time import process_time

import numpy as np
import pytest

from fastnn import MLP, Adam, LevenbergMarquardt
from fastnn.jobs.job import Job
from fastnn.kernels.peak import peak
from fastnn.kernels.simd.registers import REGISTER_FILE
from fastnn.kernels.tiles import normal_equations
from fastnn.settings.catalogue import LOSSES
from fastnn.settings.schedules import Cosine

STARTS = 20


def surrogate():
    """2,000 noise-free samples of ``sin 2a + bc - exp(-d^2) + e/2`` on [-1, 1]^5, standardised."""
    X = np.random.default_rng(0).uniform(-1, 1, (2000, 5))
    a, b, c, d, e = X.T
    y = np.sin(2 * a) + b * c - np.exp(-(d**2)) + e / 2
    return (X - X.mean(axis=0)) / X.std(axis=0), (y - y.mean()) / y.std()


def seconds_to(goal, seed, **settings):
    """Processor time until the loss of an epoch is below the goal, and the epochs; infinite if it never is."""
    X, y = surrogate()
    net = MLP((5, 20, 20, 1), rng=seed)
    net.copy().fit(X, y, **settings | {"epochs": 1})  # compiles
    start = process_time()
    history = net.fit(X, y, rng=seed, callback=lambda epoch: epoch.loss < goal, **settings)
    return (process_time() - start if history.stopped == "callback" else np.inf), history.epochs


def tell(name, goal, results):
    seconds, epochs = np.transpose(results)
    reached = f"{np.isfinite(seconds).sum()} of {len(seconds)} starts reach {goal:g}"
    median = f"median {np.median(seconds):.3f} s ({np.median(epochs):.0f} epochs)"
    print(f"\n{name}: {reached}; {median}, slowest {seconds.max():.3f} s", end="")
    return np.median(seconds)


def bench_levenberg_marquardt_against_adam():
    numba = [seconds_to(1e-6, seed, optimizer=LevenbergMarquardt(), epochs=100) for seed in range(STARTS)]
    numpy = [
        seconds_to(1e-6, seed, optimizer=LevenbergMarquardt(), epochs=100, backend="numpy")
        for seed in range(STARTS // 4)
    ]
    adam = [seconds_to(1e-5, seed, optimizer=Adam(), batch_size=32, epochs=20_000) for seed in range(STARTS // 4)]
    best = [
        seconds_to(1e-5, seed, optimizer=Adam(Cosine(1e-2, epochs=1500)), batch_size=32, epochs=1500)
        for seed in range(STARTS // 4)
    ]
    ours = tell("Levenberg-Marquardt, Numba", 1e-6, numba)
    theirs = tell("Levenberg-Marquardt, NumPy", 1e-6, numpy)
    slow = tell("Adam at its default rate, batches of 32", 1e-5, adam)
    tell("Adam on half a cosine from 0.01 over 1,500 epochs", 1e-5, best)
    assert all(np.isfinite(seconds) for seconds, _ in numba)
    assert ours < theirs
    assert ours < slow / 5


@pytest.mark.parametrize("rows", [32, 64, 96, 128, 256])
def bench_normal_equations(benchmark, monkeypatch, rows):
    """The products of the Jacobian, in blocks of this many rows: the share of the peak, with half of them counted."""
    X, y = surrogate()
    net = MLP((5, 20, 20, 1), rng=0)
    monkeypatch.setattr(normal_equations, "REGISTER_FILE", REGISTER_FILE._replace(jacobian_rows=rows))
    job = Job(net.spec, net.params, X, y.reshape(-1, 1), LOSSES["mse"], LevenbergMarquardt(), len(X))
    arguments = job, np.ones(len(X)), len(X), lambda: None
    benchmark.pedantic(normal_equations.normal_equations, arguments, rounds=30, warmup_rounds=1)
    if benchmark.enabled:
        rate = len(X) * (net.spec.n_params + 1) ** 2 / benchmark.stats.stats.min
        benchmark.extra_info["share of peak"] = f"{rate / peak('float64'):.0%}"


@pytest.mark.parametrize("backend", ["numpy", "numba"])
def bench_step(benchmark, backend):
    """One step."""
    X, y = surrogate()
    net = MLP((5, 20, 20, 1), rng=0)
    settings = {"optimizer": LevenbergMarquardt(), "backend": backend, "epochs": 1, "progress": False}
    net.fit(X, y, **settings | {"epochs": 3})
    start = net.params.copy()
    benchmark.pedantic(
        lambda: net.fit(X, y, **settings), setup=lambda: net.params.__setitem__(..., start), rounds=10, warmup_rounds=1
    )
