"""The threads of BLAS: limited while a run goes on; the bits do not depend on them."""

import os
import subprocess
import sys
import threading

import numpy as np
import pytest

import fastnn
from fastnn import LBFGS, MLP, SGD, LevenbergMarquardt
from fastnn.training.blas import blas_threads

threadpoolctl = pytest.importorskip("threadpoolctl")


def threads():
    return {library["num_threads"] for library in threadpoolctl.threadpool_info() if library["user_api"] == "blas"}


@pytest.fixture(autouse=True)
def two_threads():
    limits = threadpoolctl.threadpool_limits(2, user_api="blas")  # within `with` no other thread could set any
    yield
    assert threads() == {2}  # as it was
    with limits:
        pass  # and then what was before


@pytest.mark.parametrize("rule", [LevenbergMarquardt(), LBFGS(), SGD()], ids=lambda rule: type(rule).__name__)
def test_a_run_in_numpy_or_scipy_has_the_threads_it_was_given(rule):
    seen = []
    X, y = np.random.default_rng(0).normal(size=(20, 3)), np.zeros(20)
    MLP((3, 2, 1), rng=0).fit(
        X, y, epochs=2, optimizer=rule, callback=lambda epoch: seen.append(threads()) or False, backend="numpy"
    )
    assert seen
    assert all(number == {1} for number in seen)


@pytest.mark.parametrize(
    ("function", "act"),
    [
        ("cholesky", lambda net, X, y: net.with_domain(X).distance(X)),
        ("eigh", lambda net, X, y: fastnn.laplace(net, X, y).predict(X)),
    ],
    ids=["domain", "laplace"],
)
def test_what_is_measured_once_has_one(function, act, monkeypatch):
    """With as many as there are cores, a machine that others use takes a hundred times as long."""
    seen, compute = [], getattr(np.linalg, function)
    monkeypatch.setattr(np.linalg, function, lambda matrix: seen.append(threads()) or compute(matrix))
    X = np.random.default_rng(0).normal(size=(20, 3))
    act(MLP((3, 2, 1), rng=0), X, X[:, :1])
    assert seen == [{1}]


def test_runs_on_several_threads_give_back_what_was():
    def run():
        for _ in range(50):
            with blas_threads():
                pass

    helpers = [threading.Thread(target=run) for _ in range(4)]
    for helper in helpers:
        helper.start()
    run()
    for helper in helpers:
        helper.join()
    assert threads() == {2}


def test_a_run_that_ends_before_one_that_began_later_leaves_it_its_limit():
    began, may_end = threading.Event(), threading.Event()

    def run():
        with blas_threads():
            began.set()
            may_end.wait()

    helper = threading.Thread(target=run)
    with blas_threads():
        helper.start()
        began.wait()
    try:
        assert threads() == {1}
    finally:
        may_end.set()
        helper.join()
    assert threads() == {2}


BITS = """
import sys, hashlib, numpy as np, fastnn
rng = np.random.default_rng(0)
X = rng.normal(size=(12_000, 3))
y = np.sin(X[:, :1]) + X[:, 1:2]
digest = hashlib.sha256()
for rule in (fastnn.LevenbergMarquardt(), fastnn.LBFGS(), fastnn.Adam()):
    net = fastnn.MLP((3, 12, 12, 1), rng=0)
    history = net.fit(X, y, epochs=3, optimizer=rule, validation_data=(X, y), rng=0)
    for array in (net.params, history.loss, history.validation_metric):
        digest.update(array.tobytes())
print(digest.hexdigest())
"""


@pytest.mark.slow
def test_the_bits_do_not_depend_on_the_threads_of_blas():
    pytest.importorskip("scipy")
    bits = set()
    for number in ("1", "2"):
        environment = os.environ | {"OPENBLAS_NUM_THREADS": number, "OMP_NUM_THREADS": number}
        command = [sys.executable, "-c", BITS]
        bits.add(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)
    assert len(bits) == 1


FORK = """
import os, sys, numpy as np, fastnn
X, y = np.random.default_rng(0).normal(size=(4000, 64)), np.zeros((4000, 1))
def run():
    net = fastnn.MLP((64, 64, 1), rng=0, dtype="float32")
    net.fit(X, y, epochs=2, batch_size=500, threads=2, rng=0)
    net.fit(X[:200], y[:200], epochs=1, optimizer=fastnn.LBFGS())
    return net.params.sum()
before = run()
child = os.fork()
if child == 0:
    os._exit(0 if run() == before else 1)
print(os.waitpid(child, 0)[1])
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_a_process_may_fork_after_it_trained():
    command = [sys.executable, "-W", "ignore", "-c", FORK]
    assert subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout == "0\n"


def test_several_threads_of_python_at_once():
    X, y = np.random.default_rng(0).normal(size=(300, 3)), np.zeros(300)
    results = [None] * 6

    def run(i):
        net = MLP((3, 8, 1), rng=0)
        net.fit(X, y + 1, epochs=3, optimizer=(LevenbergMarquardt(), LBFGS(), SGD())[i % 3], rng=0, threads=1 + i % 2)
        results[i] = net.params.tobytes()

    helpers = [threading.Thread(target=run, args=(i,)) for i in range(6)]
    for helper in helpers:
        helper.start()
    for helper in helpers:
        helper.join()
    assert results[:3] == results[3:]
