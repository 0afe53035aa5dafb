"""Batches from an iterator: the same as batches of an array, fetched ahead, and errors where they belong."""

import gc
import os
import signal
import subprocess
import sys
import threading
import time
import weakref
from concurrent.futures import Future
from functools import partial

import numpy as np
import pytest

from fastnn import MLP, SGD, Adam, EarlyStopping, LevenbergMarquardt, Rprop
from fastnn.settings.schedules import Exponential
from fastnn.training import batches as feeding
from fastnn.training.twins import twin

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(25, 3)), RNG.normal(size=(25, 2))
WEIGHTS = RNG.random(25)
PARTS = [slice(0, 10), slice(10, 20), slice(20, 25)]
SENDS_SIGNALS = pytest.mark.skipif(os.name != "posix", reason="sends itself a signal")


def batches():
    for part in PARTS:
        yield X[part], Y[part]


def weighted():
    return [(X[part], Y[part], WEIGHTS[part]) for part in PARTS]


def net(dtype="float64"):
    return MLP((3, 5, 2), rng=0, dtype=dtype)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("weights", [False, True])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_they_are_the_batches_of_an_array(dtype, weights, dropout, backend):
    one, other = net(dtype), net(dtype)
    settings = {"epochs": 4, "rng": 0, "optimizer": Adam(0.01), "l2": 0.01, "dropout": dropout, "backend": backend}
    settings |= {"validation_data": (X, Y, WEIGHTS), "early_stopping": EarlyStopping(50), "specialize": False}
    expected = one.fit(X, Y, batch_size=10, shuffle=False, sample_weight=WEIGHTS if weights else None, **settings)
    history = other.fit(weighted if weights else batches, **settings)
    tolerance = 1e-12 if dtype == "float64" else 1e-5
    assert other.params.tobytes() == one.params.tobytes()
    np.testing.assert_allclose(history.loss, expected.loss, rtol=tolerance)
    np.testing.assert_allclose(history.validation_loss, expected.validation_loss, rtol=tolerance)
    np.testing.assert_array_equal(history.state.counters, expected.state.counters)


def test_small_weights_count_in_the_loss_as_large_ones_do(backend):
    settings = {"epochs": 2, "optimizer": SGD(0.1), "backend": backend}
    expected = net().fit(weighted, **settings)
    history = net().fit(lambda: [(X, y, weight / 1024) for X, y, weight in weighted()], **settings)
    np.testing.assert_allclose(history.loss, expected.loss, rtol=1e-12)


def test_batches_may_be_asked_for_by_number(backend):
    class Numbered:
        def __getitem__(self, number):
            return X[PARTS[number]], Y[PARTS[number]]

    one, other = net(), net()
    for network, source in ((one, batches), (other, Numbered)):
        network.fit(source, epochs=2, backend=backend)
    assert other.params.tobytes() == one.params.tobytes()


def test_batches_of_labels_train_as_arrays_do(backend):
    one, other = (MLP((3, 4), output_activation="softmax", rng=0) for _ in range(2))
    labels = RNG.integers(4, size=25)
    settings = {"epochs": 2, "loss": "cross_entropy", "backend": backend, "specialize": False}
    one.fit(X, labels, batch_size=10, shuffle=False, **settings)
    other.fit(lambda: ((X[part], labels[part]) for part in PARTS), **settings)
    assert other.params.tobytes() == one.params.tobytes()


def test_batches_may_come_in_the_same_arrays(backend):
    """Each is fetched while the network is trained on the one before, whose arrays it overwrites."""
    one, other = net(), net()
    settings = {"epochs": 3, "optimizer": SGD(0.1), "backend": backend}

    def refilled():
        arrays = np.empty((5, 3)), np.empty((5, 2)), np.empty(5)
        for first in range(0, 25, 5):
            for array, values in zip(arrays, (X, Y, WEIGHTS), strict=True):
                array[:] = values[first : first + 5]
            yield arrays
            time.sleep(0.01)

    def slowly(train, *arguments):
        time.sleep(0.03)
        return train(*arguments)

    one.fit(X, Y, sample_weight=WEIGHTS, batch_size=5, shuffle=False, specialize=False, **settings)
    module = twin(backend, "training")
    trainer = module.trainer
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "trainer", lambda *job, **options: partial(slowly, trainer(*job, **options)))
        other.fit(refilled, **settings)
    assert other.params.tobytes() == one.params.tobytes()


def test_resuming_equals_the_run_that_did_not_stop(backend):
    whole, parts = net(), net()
    settings = {"optimizer": Adam(), "backend": backend}
    expected = whole.fit(batches, epochs=5, rng=1, **settings)
    first = parts.fit(batches, epochs=2, rng=1, **settings)
    second = parts.fit(batches, epochs=3, state=first.state, **settings)
    assert parts.params.tobytes() == whole.params.tobytes()
    np.testing.assert_array_equal(np.concatenate([first.loss, second.loss]), expected.loss)


def test_a_run_resumed_within_an_epoch_skips_what_is_done(backend):
    from fastnn.training import fit as training

    whole, parts = net(), net()
    expected = whole.fit(batches, epochs=2, rng=1, optimizer=Adam(), backend=backend)
    first = training._first_steps
    try:
        training._first_steps = lambda job, backend: 1  # a call a step at first
        history = parts.fit(batches, epochs=2, rng=1, optimizer=Adam(), backend=backend)
    finally:
        training._first_steps = first
    assert parts.params.tobytes() == whole.params.tobytes()
    np.testing.assert_array_equal(history.loss, expected.loss)


def test_one_batch_is_fetched_ahead_on_a_thread(backend):
    fetched = []

    def slow():
        for k, part in enumerate(PARTS * 4):
            fetched.append((k, threading.current_thread() is threading.main_thread()))
            time.sleep(0.02)
            yield X[part], Y[part]

    net().fit(slow, epochs=1, backend=backend)
    assert [k for k, _ in fetched] == list(range(12))
    assert not any(main for _, main in fetched)
    assert not any(thread.name.startswith("fastnn-batches") for thread in threading.enumerate())


def test_a_run_resumed_within_an_epoch_skips_on_that_thread(backend):
    threads = []

    def told():
        for batch in batches():
            threads.append(threading.current_thread())
            yield batch

    one = net()
    state = one.fit(batches, epochs=1, rng=0, backend=backend).state
    state.counters[:] += [0, 2, 2]
    one.fit(told, epochs=1, state=state, backend=backend)
    assert len(threads) == 3
    assert len(set(threads)) == 1
    assert threads[0] is not threading.main_thread()


def test_divergence_goes_back_to_the_last_finite_epoch(backend):
    one = MLP((3, 1), rng=1)
    with pytest.warns(RuntimeWarning, match="training diverged in epoch"):
        history = one.fit(
            lambda: ((X[part], Y[part, 0]) for part in PARTS), epochs=2000, optimizer=SGD(1.5), rng=0, backend=backend
        )
    assert history.stopped == "diverged"
    assert np.isfinite(one.params).all()
    assert history.state.counters[1] == 0


def test_going_back_follows_the_schedule(backend):
    settings = {"epochs": 2000, "optimizer": SGD(Exponential(1.0, 1.001)), "rng": 0, "backend": backend}
    one, other = (MLP((3, 1), rng=1) for _ in range(2))
    with pytest.warns(RuntimeWarning, match="training diverged in epoch"):
        expected = one.fit(X, Y[:, 0], batch_size=10, shuffle=False, specialize=False, **settings)
    with pytest.warns(RuntimeWarning, match="training diverged in epoch"):
        history = other.fit(lambda: ((X[part], Y[part, 0]) for part in PARTS), **settings)
    assert history.epochs == expected.epochs
    assert other.params.tobytes() == one.params.tobytes()


def test_going_back_ends_where_other_batches_come_than_before(backend):
    epochs = []

    def spoilt():
        epochs.append(None)
        assert len(epochs) < 100
        yield X, Y * (1e200 if len(epochs) > 3 else 1)

    one = net()
    with pytest.warns(RuntimeWarning, match="training diverged in epoch 0:"):
        one.fit(spoilt, epochs=300, optimizer=SGD(0.01), rng=0, backend=backend)
    assert one.params.tobytes() == net().params.tobytes()


def test_going_back_begins_near_the_divergence(backend):
    epochs = []

    def spoilt():
        epochs.append(None)
        yield X, Y * (1e200 if len(epochs) > 200 else 1)

    with pytest.warns(RuntimeWarning, match="training diverged in epoch"):
        history = net().fit(spoilt, epochs=300, optimizer=SGD(0.01), rng=0, backend=backend)
    assert 180 <= history.epochs <= 200  # an earlier beginning would meet spoilt batches at once, and go back to none
    assert len(epochs) < 250


@SENDS_SIGNALS
def test_ctrl_c_is_answered_though_batches_come_slower_than_before(backend):
    came = []

    def slower():
        for number in range(200):
            came.append(number)
            if number == 100:
                os.kill(os.getpid(), signal.SIGINT)
            if number >= 100:
                time.sleep(0.05)
            yield X, Y

    history = net().fit(slower, epochs=1, rng=0, backend=backend)
    assert history.stopped == "interrupted"
    assert len(came) < 110


@SENDS_SIGNALS
def test_ctrl_c_ends_what_a_resumed_run_skips(backend):
    came, interrupted_at, pause = [], 50, 0.0

    def batches():
        for number in range(60):
            came.append(number)
            if number == interrupted_at:
                os.kill(os.getpid(), signal.SIGINT)
            time.sleep(pause)
            yield X, Y

    one = net()
    first = one.fit(batches, epochs=1, rng=0, backend=backend)
    came.clear()
    interrupted_at, pause = 3, 0.03
    history = one.fit(batches, epochs=1, state=first.state, backend=backend)
    assert history.stopped == "interrupted"
    assert np.array_equal(history.state.counters, first.state.counters)
    assert len(came) < 30


@SENDS_SIGNALS
def test_a_second_ctrl_c_waits_for_no_batch(backend):
    def stuck():
        os.kill(os.getpid(), signal.SIGINT)
        while not signal.getsignal(signal.SIGINT).__self__.pending:  # or the two would come as one
            time.sleep(0.001)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(1)
        yield X, Y

    start = time.perf_counter()
    with pytest.raises(KeyboardInterrupt):
        net().fit(stuck, epochs=1, rng=0, backend=backend)
    assert time.perf_counter() - start < 0.8


def test_an_error_does_not_keep_what_yields_batches(backend):
    kept = []

    def failing():
        data = X.copy()
        kept.append(weakref.ref(data))
        yield data, Y
        raise OSError("the disk is gone")

    gc.collect()
    gc.disable()
    try:
        with pytest.raises(OSError, match="the disk is gone"):
            net().fit(failing, epochs=1, rng=0, backend=backend)
        assert kept[0]() is None
    finally:
        gc.enable()


@pytest.mark.slow
def test_a_thread_trains_on_once_the_main_thread_has_ended():
    program = """
import threading, time, numpy as np, fastnn
X = np.ones((4, 2))
def late():
    while threading.main_thread().is_alive():
        time.sleep(0.01)
    print(fastnn.MLP((2, 3, 1), rng=0).fit(lambda: [(X, X[:, 0])] * 3, epochs=2).stopped)
threading.Thread(target=late).start()
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout == "finished\n"


class LateThread:
    """Does what was submitted, in order, only when a result is waited for, as a thread may that wakes up late."""

    def __init__(self, name):
        self.waiting = []

    def submit(self, fetch):
        future = Future()
        future.exception = lambda timeout: self.catch_up() or Future.exception(future, timeout)
        self.waiting.append((future, fetch))
        return future

    def catch_up(self):
        for future, fetch in self.waiting:
            future.set_result(fetch())
        self.waiting.clear()

    def close(self, wait):
        self.waiting.clear()


def test_a_batch_fetched_ahead_of_a_divergence_is_not_missing_after_it(backend, monkeypatch):
    settings = {"epochs": 2000, "optimizer": SGD(1.5), "rng": 0, "backend": backend}
    one, other = MLP((3, 1), rng=1), MLP((3, 1), rng=1)
    with pytest.warns(RuntimeWarning, match="training diverged in epoch"):
        expected = one.fit(X, Y[:, 0], batch_size=10, shuffle=False, specialize=False, **settings)
    monkeypatch.setattr(feeding, "OneThread", LateThread)
    with pytest.warns(RuntimeWarning, match="training diverged in epoch"):
        history = other.fit(lambda: ((X[part], Y[part, 0]) for part in PARTS), **settings)
    assert history.epochs == expected.epochs
    assert other.params.tobytes() == one.params.tobytes()


def bad_values():
    yield X, Y
    samples = X.copy()
    samples[3, 1] = np.inf
    yield samples, Y


def failing():
    yield X, Y
    raise OSError("the disk is gone")


def leaving():
    yield X, Y
    raise SystemExit("enough")  # an error that is no `Exception`


BAD = [
    (lambda: [], {}, ValueError, "X must yield at least one batch in every epoch; got none"),
    (lambda: X[0, 0], {}, TypeError, "X must yield batches, as a generator function does; got np.float64"),
    (lambda: [X], {}, TypeError, r"X must yield \(X, y\) or \(X, y, sample_weight\); got an array .* as batch 0"),
    (lambda: [(X, Y), (X, Y[:, :1])], {}, ValueError, "batch 1 of X: y must have shape"),
    (bad_values, {}, ValueError, "batch 1 of X: X must be finite; got inf in row 3, column 1"),
    (lambda: [(X, Y, X[:, 0] * np.nan)], {}, ValueError, "batch 0 of X: sample_weight must be finite; got nan"),
    (failing, {}, OSError, "the disk is gone"),
    (leaving, {}, SystemExit, "enough"),
    (batches(), {}, TypeError, "X must be samples, or what yields their batches whenever it is called; got <generator"),
    (batches, {"y": Y}, ValueError, "y must be None where X yields batches; got an array"),
    (batches, {"batch_size": 3}, ValueError, "batch_size must be None where X yields batches; got 3"),
    (batches, {"validation_fraction": 0.5}, ValueError, "validation_fraction must be None where X yields batches"),
    (batches, {"optimizer": Rprop()}, ValueError, "X must be all samples at once for Rprop; got a callable"),
    (batches, {"optimizer": LevenbergMarquardt()}, ValueError, "X must be all samples at once for LevenbergMarq"),
]


@pytest.mark.parametrize(("X", "settings", "error", "message"), BAD)
def test_what_cannot_be(X, settings, error, message, backend):
    with pytest.raises(error, match=message):
        net().fit(X, epochs=2, backend=backend, **settings)


@pytest.mark.parametrize("last", [(X[:, :2], Y), (X * np.nan, Y), (X, Y, np.zeros(25)), X, None])
def test_a_batch_that_is_refused_leaves_the_parameters(last, backend):
    """Although those before it were trained on."""
    one, epochs = net(), iter([[(X, Y)], [(X, Y), last] if last is not None else []])
    before = one.params.copy()
    with pytest.raises((TypeError, ValueError), match="must"):
        one.fit(lambda: next(epochs), epochs=2, backend=backend)
    assert (one.params == before).all()
