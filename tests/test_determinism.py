"""The same seed gives the same bits: in another process, in pieces, shared by threads, wherever the data lie."""

import hashlib
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from fastnn import MLP, SGD, Adam, EarlyStopping, RMSprop
from fastnn.kernels import dispatch
from fastnn.kernels.tiles import prepare as prepared

DTYPES = ["float64", "float32"]
TINY = ((3, 4, 1), 4, 4)  # whose samples lie in lanes
SHAPES = [((3, 9, 1), 4, 4), ((7, 33, 17, 5), 100, 32), ((40, 128, 3), 600, 300), ((65, 9), 513, 513)]
FEW_ROWS = (3, 700, 800), 8, 8  # some threads get none, of a layer that outgrows the cache
SETTINGS = {"optimizer": Adam(), "l2": 0.01, "max_grad_norm": 0.5, "progress": False}

every_dtype = pytest.mark.parametrize("dtype", DTYPES)
every_shape = pytest.mark.parametrize(("sizes", "n", "batch_size"), SHAPES, ids=repr)
each_dtype_of_tiny_too = pytest.mark.parametrize(
    ("sizes", "n", "batch_size", "dtype"),
    [
        pytest.param(*TINY, "float32", marks=pytest.mark.slow),
        (*TINY, "float64"),
        *((*shape, dtype) for shape in SHAPES for dtype in DTYPES),
    ],
    ids=repr,
)


def data(sizes, n, dtype, seed=1):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, sizes[0])).astype(dtype), rng.normal(size=(n, sizes[-1])).astype(dtype)


def trained(sizes, n, batch_size, dtype, *, epochs=5, **settings):
    """Parameters, losses, slots after a run: their bytes."""
    net = MLP(sizes, activation="tanh", dtype=dtype, rng=0)
    X, y = data(sizes, n, dtype)
    weight = np.random.default_rng(2).random(n).astype(dtype)
    history = net.fit(X, y, epochs=epochs, batch_size=batch_size, sample_weight=weight, rng=3, **(SETTINGS | settings))
    return net.params.tobytes(), history.loss.tobytes(), history.state.slots.tobytes()


@each_dtype_of_tiny_too
def test_runs_repeat(sizes, n, batch_size, dtype):
    assert trained(sizes, n, batch_size, dtype) == trained(sizes, n, batch_size, dtype)
    assert trained(sizes, n, batch_size, dtype) != trained(sizes, n, batch_size, dtype, epochs=6)


@each_dtype_of_tiny_too
def test_pieces_make_the_whole(sizes, n, batch_size, dtype, shared):
    X, y = data(sizes, n, dtype)
    whole, pieces = (MLP(sizes, activation="tanh", dtype=dtype, rng=0) for _ in range(2))
    expected = whole.fit(X, y, epochs=7, batch_size=batch_size, rng=4, **SETTINGS)
    history = pieces.fit(X, y, epochs=1, batch_size=batch_size, rng=4, **SETTINGS)
    for epochs, threads in ((2, 1), (1, 2), (3, 1)):
        history = pieces.fit(
            X, y, epochs=epochs, batch_size=batch_size, state=history.state, threads=threads, **SETTINGS
        )
    assert pieces.params.tobytes() == whole.params.tobytes()
    assert history.state.slots.tobytes() == expected.state.slots.tobytes()
    np.testing.assert_array_equal(history.loss, expected.loss[4:])


@every_dtype
@pytest.mark.parametrize(("sizes", "n", "batch_size"), [*SHAPES, FEW_ROWS], ids=repr)
@pytest.mark.parametrize("threads", [2, 3])
def test_threads_change_no_bit(sizes, n, batch_size, dtype, threads, shared):
    expected = trained(sizes, n, batch_size, dtype, epochs=3)
    assert trained(sizes, n, batch_size, dtype, epochs=3, threads=threads) == expected


@every_dtype
@pytest.mark.parametrize(
    "settings",
    [
        {"shuffle": False},
        {"optimizer": RMSprop()},
        {"optimizer": SGD(0.1, 0.9)},
        {"dropout": 0.3, "input_noise": 0.1},
    ],
)
def test_threads_whatever_the_settings(settings, dtype, shared):
    run = (128, 256, 2), 280, 270, dtype
    assert trained(*run, epochs=2, threads=2, **settings) == trained(*run, epochs=2, **settings)


@every_dtype
@pytest.mark.parametrize(("sizes", "n", "batch_size"), [*SHAPES, ((300, 130, 3), 40, 20)], ids=repr)
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("optimizer", [SGD(), SGD(momentum=0.9), Adam()], ids=lambda optimizer: repr(optimizer)[:10])
def test_updates_by_parts(sizes, n, batch_size, optimizer, dtype, threads, shared, monkeypatch):
    """As those of large layers, which are updated as soon as their gradient is known."""
    settings = {"optimizer": optimizer, "l2": 0.0, "max_grad_norm": None}
    expected = trained(sizes, n, batch_size, dtype, **settings)
    taken = []
    monkeypatch.setattr(dispatch, "PARAMS_BY_PARTS", 0)
    run = prepared.run
    monkeypatch.setattr(
        prepared, "run", lambda record, *rest: taken.append(record["by_parts"][0]) or run(record, *rest)
    )
    assert trained(sizes, n, batch_size, dtype, threads=threads, **settings) == expected
    assert set(taken) == {batch_size <= dispatch.BLOCK_ROWS}


@pytest.mark.parametrize("change", [{"l2": 0.01}, {"max_grad_norm": 0.5}, {"dydx": np.ones((40, 3, 7))}], ids=list)
def test_what_takes_the_whole_gradient_is_not_updated_by_parts(change, monkeypatch):
    run = (7, 33, 3), 40, 20, "float64"
    settings = {"l2": 0.0, "max_grad_norm": None} | change
    expected = trained(*run, **settings)
    assert expected != trained(*run, l2=0.0, max_grad_norm=None)
    monkeypatch.setattr(dispatch, "PARAMS_BY_PARTS", 0)
    assert trained(*run, **settings) == expected


@every_dtype
@pytest.mark.parametrize("validated", [True, False])
def test_threads_that_watch_the_run(validated, dtype, shared):
    """Validation and the best parameters see the steps of all threads."""
    sizes, n = (40, 300, 200, 3), 64
    X, y = data(sizes, n, dtype)
    settings = {"early_stopping": EarlyStopping(patience=3), "optimizer": SGD(0.02, 0.9), "progress": False}
    settings["validation_data"] = data(sizes, 50, dtype, seed=5) if validated else None
    runs = []
    for threads in (1, 2, 2, 2):
        net = MLP(sizes, dtype=dtype, rng=0)
        history = net.fit(X, y, epochs=6, batch_size=32, rng=3, threads=threads, **settings)
        runs.append(
            (net.params.tobytes(), history.loss.tobytes(), history.validation_loss.tobytes() if validated else b"")
        )
    assert runs[1:] == runs[:1] * 3


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_with_labels(threads, shared):
    X, labels = np.random.default_rng(0).normal(size=(300, 5)), np.arange(300) % 11
    nets = [MLP((5, 30, 11), output_activation="softmax", rng=0) for _ in range(2)]
    for net, count in zip(nets, (1, threads), strict=True):
        net.fit(X, labels, loss="cross_entropy", epochs=3, batch_size=70, rng=1, threads=count, progress=False)
    assert nets[0].params.tobytes() == nets[1].params.tobytes()


def test_threads_are_not_used_where_they_do_not_pay(monkeypatch):
    started = []
    monkeypatch.setattr(prepared, "Thread", lambda **options: started.append(options))
    trained((3, 4, 1), 4, 4, "float64", threads=2)
    assert started == []


def test_more_threads_than_processors_share_no_step(monkeypatch):
    monkeypatch.setattr(dispatch, "_processors", lambda: 2)
    monkeypatch.setattr(dispatch, "WORTH_SHARING", 0)
    started = []

    class Counted(prepared.Thread):
        def __init__(self, **options):
            started.append(options)
            super().__init__(**options)

    monkeypatch.setattr(prepared, "Thread", Counted)
    assert trained((7, 9, 2), 50, 50, "float64", threads=64) == trained((7, 9, 2), 50, 50, "float64")
    assert len(started) == 1


def test_threads_that_lack_one_of_them_end(shared, one_thread):
    """As where a signal's handler raises, or the system gives no more threads."""
    started = one_thread(prepared)
    net = MLP((7, 9, 2), rng=0)
    before, (X, y) = net.params.copy(), data((7, 9, 2), 50, "float64")
    with pytest.raises(RuntimeError, match="thread"):
        net.fit(X, y, epochs=2, batch_size=50, threads=3)
    started[0].join(timeout=60)
    assert not started[0].is_alive()
    np.testing.assert_array_equal(net.params, before)


def test_two_fits_at_once_each_with_two_threads(shared):
    runs = [((7, 33, 5), 100, 32, "float64"), ((40, 12, 3), 300, 300, "float32")] * 2
    expected = [trained(*run) for run in runs]
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda run: trained(*run, threads=2), runs))
    assert results == expected


@pytest.mark.parametrize("n", [1, 40])
def test_one_network_predicts_in_many_threads_at_once(n):
    net = MLP((30, 65, 65, 9), rng=0)
    samples = np.random.default_rng(0).normal(size=(400, n, 30))
    expected = [net.predict(X).tobytes() for X in samples]
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda X: net.predict(X).tobytes(), samples))
    assert results == expected


@every_dtype
@pytest.mark.parametrize("offset", range(1, 9))
def test_where_the_data_lie_does_not_matter(offset, dtype):
    """Loads need no alignment beyond that of a number."""

    def moved(array):
        room = np.empty(array.size + offset, dtype)
        room[offset:] = array.reshape(-1)
        return room[offset:].reshape(array.shape)

    sizes, n = (7, 33, 5), 50
    X, y = data(sizes, n, dtype)
    nets = [MLP(sizes, dtype=dtype, rng=0) for _ in range(2)]
    for net, place in zip(nets, (np.array, moved), strict=True):
        net.fit(place(X), place(y), epochs=2, batch_size=20, rng=0, progress=False)
    assert nets[0].params.tobytes() == nets[1].params.tobytes()
    assert nets[0].predict(X).tobytes() == nets[1].predict(moved(X)).tobytes()


@every_dtype
@pytest.mark.parametrize("threads", [1, 2])
def test_denormal_numbers_are_what_they_were_after_training(threads, dtype, shared):
    half = np.finfo(dtype).tiny / 2
    trained((3, 9, 1), 40, 4, dtype, threads=threads)
    assert half > 0
    assert np.array([half])[0] * 2 == np.finfo(dtype).tiny


FIRST_CALLS = """
import threading
import numpy as np
import fastnn

X = np.random.default_rng(0).normal(size=(40, 3))
y = X[:, 0] * X[:, 1]

def fit():
    net = fastnn.MLP((3, 8, 1), rng=0)
    net.fit(X, y, epochs=3, batch_size=8, rng=0)
    return net.params

def call():
    return fastnn.MLP((3, 8, 1), rng=0)(X[0])

def jacobian():
    jac = np.empty((1, 3))
    fastnn.MLP((3, 8, 1), rng=0).jacobian(X[0], np.empty(1), jac)
    return jac

def members():
    return fastnn.fit_many(fastnn.MLP((3, 4, 1)).spec, X, y, members=5, epochs=3, rng=0, threads=2).params

def inside():
    from numba import njit
    net, out = fastnn.MLP((3, 8, 1), rng=0), np.empty(1)
    njit(lambda net, x, out: net.forward(x, out))(net, X[0], out)
    return out

def state():
    fastnn.TrainState(fastnn.MLP((3, 8, 1)).spec)
    return np.empty(0)

calls, results, ready = [fit, call, jacobian, members, inside, state] * 2, {}, threading.Barrier(12)

def run(i):
    ready.wait()
    results[i] = calls[i]().tobytes()

threads = [threading.Thread(target=run, args=(i,)) for i in range(12)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert [results.get(i) for i in range(12)] == [call().tobytes() for call in calls]
"""


@pytest.mark.slow
def test_the_first_calls_of_a_process_come_from_several_threads_at_once():
    """Numba imports, is told of types and compiles, each in one thread at a time."""
    command = [sys.executable, "-W", "ignore", "-c", FIRST_CALLS]
    process = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert process.returncode == 0, process.stderr[-3000:]


@pytest.mark.slow
def test_another_process_gives_the_same_bits():
    code = "import test_determinism as t; print(t.digest_of_runs())"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    output = subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True)
    assert output.stdout.strip() == digest_of_runs()


def digest_of_runs():
    """Of every shape and dtype."""
    hasher = hashlib.sha256()
    for shape in (TINY, *SHAPES):
        for dtype in DTYPES:
            for part in trained(*shape, dtype):
                hasher.update(part)
    return hasher.hexdigest()
