"""Ctrl-C from outside: a process in the middle of its training is interrupted, and the run resumed to the same bits."""

import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import warnings
from textwrap import dedent
from types import SimpleNamespace

import numba
import numpy as np
import pytest
from numba.core.event import RecordingListener, install_listener

import fastnn
from fastnn.checks import check_job
from fastnn.embed import from_python
from fastnn.ensembles import one_by_one
from fastnn.ensembles import threads as member_threads
from fastnn.kernels.jit import compiling
from fastnn.kernels.jit.compiling import kernel
from fastnn.kernels.jit.signals import InterruptsHeld
from fastnn.kernels.tiles import predict as predicting
from fastnn.training import fit as fit_module
from fastnn.training.interrupts import Interrupts
from fastnn.training.progress import MembersBar

pytestmark = pytest.mark.skipif(os.name != "posix", reason="sends signals")

#: What each run trains: a wide network whose epoch takes several calls, and a tiny one with very many epochs.
COMMON = """
    import pickle, sys, time
    import numpy as np
    import fastnn

    rng = np.random.default_rng(0)
    settings = {"optimizer": fastnn.Adam(1e-4), "progress": False}
    if sys.argv[1] == "wide":
        net = fastnn.MLP((256, 512, 512, 8), rng=0, dtype="float32")
        X, y = rng.normal(size=(10_000, 256)).astype("f4"), rng.normal(size=(10_000, 8)).astype("f4")
        settings |= {"batch_size": 32, "epochs": 1000}
    else:
        net = fastnn.MLP((3, 4, 1), rng=0)
        X, y = rng.normal(size=(10, 3)), rng.normal(size=(10, 1))
        settings |= {"batch_size": 4, "epochs": 3_000_000, "validation_data": (X, y)}
        settings |= {"early_stopping": fastnn.EarlyStopping(10**9)}
"""

INTERRUPTED = """
    net.copy().fit(X[:64], y[:64], **settings | {"epochs": 1})  # compiles
    print("ready", flush=True)
    begin = time.perf_counter()
    history = net.fit(X, y, rng=1, **settings)
    print(history.stopped, time.time(), flush=True)
    pickle.dump((net.params, history.state, len(history.loss)), open(sys.argv[2], "wb"))
"""


def script(*parts):
    return "".join(dedent(part) for part in parts)


@pytest.mark.parametrize("kind", ["validation", "slopes"])
def test_a_run_of_few_steps_that_take_long_is_interrupted(kind):
    rng = np.random.default_rng(0)
    net = fastnn.MLP((200, 64, 1), rng=0)
    X, y = rng.normal(size=(8, 200)), np.ones(8)
    if kind == "validation":
        slow = {"validation_data": (np.tile(X, (5000, 1)), np.ones(40_000))}
    else:
        slow = {"dydx": rng.normal(size=(8, 1, 200))}
    net.copy().fit(X, y, epochs=1, **slow)  # compiles
    timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    history = net.fit(X, y, epochs=1000, progress=False, rng=0, **slow)
    timer.join()
    assert history.stopped == "interrupted"
    assert history.seconds < 1.0


def test_without_the_compiler_each_step_answers(monkeypatch):
    net = fastnn.MLP((3, 64, 1), rng=0)
    settings = {"loss": "mse", "optimizer": fastnn.Adam(), "batch_size": None, "shuffle": False, "l2": 0.0}
    settings |= {"delta": 1.0, "max_grad_norm": None, "sample_weight": None}
    job = check_job(net.spec, net.params, np.ones((4, 3)), np.ones(4), **settings)
    assert fit_module._first_steps(job, "plain") > 1
    monkeypatch.setattr(numba.config, "DISABLE_JIT", 1)
    assert fit_module._first_steps(job, "plain") == 1


@pytest.mark.parametrize("kind", [pytest.param("wide", marks=pytest.mark.slow), "tiny"])
def test_a_process_is_interrupted_and_its_run_resumed(kind, tmp_path, interrupt):
    path = tmp_path / "state.pickle"
    stopped, seconds = interrupt(script(COMMON, INTERRUPTED), [kind, path], 0.4)
    assert stopped == "interrupted"
    assert seconds < 1.0  # a tenth of a second, on a machine that others use too

    params, state, epochs = pickle.loads(path.read_bytes())
    assert state.counters[0] == epochs
    assert state.counters[2] > 0
    if kind == "wide":
        assert state.counters[2] == epochs * 313 + state.counters[1]  # steps: in the middle of some epoch
    else:
        assert 100 < epochs < 3_000_000
    _assert_resumes(kind, params, state)


def _assert_resumes(kind, params, state):
    """Some steps on, the resumed run equals the undisturbed one."""
    scope = {}
    sys.argv[1:], kept = [kind], sys.argv[1:]
    try:
        exec(script(COMMON), scope)
    finally:
        sys.argv[1:] = kept
    X, y, settings = scope["X"], scope["y"], scope["settings"]
    epochs = int(state.counters[0])
    whole, resumed = scope["net"], scope["net"].copy()
    resumed.params = params
    first = whole.fit(X, y, rng=1, **settings | {"epochs": epochs + 1})
    second = resumed.fit(X, y, state=state, **settings | {"epochs": 1})
    assert resumed.params.tobytes() == whole.params.tobytes()
    assert np.array_equal(second.loss, first.loss[-1:])
    assert second.state.monitor_state.tobytes() == first.state.monitor_state.tobytes()


# ---------------------------------------------------------------- while kernels compile
PESTERED = """
    import os, random, signal, sys, threading, time, warnings
    import numpy as np
    import fastnn

    X = np.random.default_rng(0).normal(size=(40, 5))
    Y = X[:, :3].copy()

    def work():
        net = fastnn.MLP((5, 7, 3), rng=0)
        history = net.fit(X, Y, epochs=5, specialize=False, progress=False, batch_size=8, rng=0)
        many = fastnn.fit_many(net.spec, X, Y, members=3, epochs=5, rng=0, specialize=False, progress=False)
        if history.stopped == "interrupted" or len(many) < 3:
            raise KeyboardInterrupt
        return net.params.tobytes() + many.params.tobytes() + net.predict(X).tobytes()

    def pester():
        pause = random.Random(int(sys.argv[1])).uniform
        while not done:
            time.sleep(pause(0, 0.5))
            os.kill(os.getpid(), signal.SIGINT)

    warnings.simplefilter("ignore")
    done, result, interrupted = False, None, 0
    threading.Thread(target=pester, daemon=True).start()
    while result is None:
        try:
            result = work()
        except KeyboardInterrupt:
            interrupted += 1
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    assert work() == result
    print(interrupted, result.hex())
"""


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_what_is_interrupted_while_it_compiles_is_whole_afterwards(seed, tmp_path):
    """Ctrl-C again and again, from the import of Numba to the last kernel: each process comes to the same bits."""
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    outputs, interrupted = set(), []
    for _ in range(2):  # with an empty cache, and with what the first has left in it, which may be too soon done
        command = [sys.executable, "-c", script(PESTERED), str(seed)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        count, output = done.stdout.split()
        interrupted.append(int(count))
        outputs.add(output)
    assert len(outputs) == 1
    assert interrupted[0] > 0


def test_what_is_held_is_answered_at_the_end():
    ran = []
    with pytest.raises(KeyboardInterrupt), InterruptsHeld():  # noqa: PT012 - what comes after the signal is run
        signal.raise_signal(signal.SIGINT)
        ran.append("on")
    assert ran == ["on"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_whoever_answers_interrupts_does_so_at_the_end():
    asked = []
    previous = signal.signal(signal.SIGINT, lambda number, frame: asked.append(number))
    try:
        with InterruptsHeld():
            signal.raise_signal(signal.SIGINT)
            assert asked == []
        assert asked == [signal.SIGINT]
    finally:
        signal.signal(signal.SIGINT, previous)


def test_time_outs_and_requests_to_end_are_answered_at_the_end_each_of_them():
    asked = []

    def answer(number, frame):
        asked.append(number)
        raise TimeoutError

    numbers = {signal.SIGALRM, signal.SIGTERM}
    previous = {number: signal.signal(number, answer) for number in numbers}
    try:
        with pytest.raises(TimeoutError), InterruptsHeld():  # noqa: PT012 - what comes after the signals is run
            for number in numbers:
                signal.raise_signal(number)
            assert asked == []
        assert set(asked) == numbers
        assert all(signal.getsignal(number) is answer for number in numbers)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def test_a_kernel_is_complete_before_an_interrupt_is_answered(monkeypatch):
    monkeypatch.setattr(compiling, "CACHE", None)  # it shall be compiled each time

    @kernel
    def successor(i):
        return i + 1

    def interrupt(event):
        if event.is_start:
            signal.raise_signal(signal.SIGINT)

    with install_listener("numba:compile", RecordingListener()) as listener:
        monkeypatch.setattr(listener, "notify", interrupt)
        with pytest.raises(KeyboardInterrupt):
            successor(1)
    assert len(successor.overloads) == 1
    assert successor(1) == 2


def test_a_helper_in_the_midst_of_a_long_run_ends_with_the_main_thread():
    X = np.random.default_rng(0).normal(size=(40, 5))
    spec = fastnn.MLP((5, 7, 3)).spec
    settings = {"batch_size": 8, "threads": 2, "specialize": False, "progress": False}
    fastnn.fit_many(spec, X, X[:, :3], members=1, epochs=1, **settings)  # compiles
    timer, begin = threading.Timer(0.3, signal.raise_signal, [signal.SIGINT]), time.perf_counter()
    timer.start()
    with pytest.warns(RuntimeWarning, match="interrupted: 0 of 4 members are finished"):
        fastnn.fit_many(spec, X, X[:, :3], members=4, epochs=10_000_000, **settings)
    assert time.perf_counter() - begin < 5  # a whole run takes half a minute


def test_helpers_end_where_another_cannot_begin(one_thread):
    started = one_thread(member_threads)
    with pytest.raises(RuntimeError, match="can't start"):
        member_threads.share(lambda: lambda: not time.sleep(0.001), 3, None, member_threads.silent)
    assert not started[0].is_alive()


def shared(step, helps=None, report=lambda done: None):
    """Let this thread call `step` until it is false, and a helper, if it `helps`, the same with that."""
    nothing = SimpleNamespace(records=SimpleNamespace(n_ended=0))
    main = threading.current_thread()
    member_threads.share(
        lambda: step if threading.current_thread() is main else helps, 1 + (helps is not None), nothing, report
    )


def test_threads_that_share_work_end_together():
    begun, calls, seen = threading.Event(), [], []

    def long():
        begun.set()
        calls.append(time.sleep(0.01))
        return len(calls) < 300

    def interrupted(done):
        begun.wait()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        shared(lambda: len(calls) < 300, long, report=interrupted)
    begun.clear()
    count = len(calls)
    time.sleep(0.05)
    assert len(calls) == count < 100

    def fails():
        begun.set()
        raise MemoryError("a helper has no memory")

    with pytest.raises(MemoryError, match="a helper has no memory"):
        shared(lambda: begun.wait() and time.sleep(0.05), fails)
    shared(iter([True, True, False]).__next__, report=seen.append)
    assert len(seen) == 3
    shared(lambda: False, lambda: time.sleep(0.3), report=seen.append)  # while a helper works on
    assert len(seen) > 5


@pytest.mark.parametrize("report", [1, 2], ids=["before that is sought", "meanwhile"])
def test_members_that_diverged_are_finished_when_it_is_known_what_they_keep(report, monkeypatch):
    X, rates, whole = np.random.default_rng(0).normal(size=(40, 5)), np.where(np.arange(9) % 3, 0.01, 1e3), []

    def interrupt(bar, done):
        whole.append(done == 9)
        if sum(whole) == report:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(MembersBar, "report", interrupt)
    settings = {"members": 9, "epochs": 200, "optimizer": fastnn.SGD(rates), "rng": 0, "specialize": True}
    with pytest.warns(RuntimeWarning, match="interrupted: 6 of 9 members are finished"):
        many = fastnn.fit_many(fastnn.MLP((5, 7, 3)).spec, X, X[:, :3], **settings)
    assert many.records.member.tolist() == [1, 2, 4, 5, 7, 8]
    assert np.isfinite(many.params).all()


def test_members_leave_the_filters_of_warnings_alone(monkeypatch):
    """They are the process's, not a thread's: two threads that change them put back each other's."""
    fit, before, seen = one_by_one.fit, warnings.filters, []
    monkeypatch.setattr(one_by_one, "fit", lambda *args, **kw: seen.append(warnings.filters) or fit(*args, **kw))
    X = np.random.default_rng(0).normal(size=(40, 5))
    settings = {"epochs": 1, "batch_size": 8}
    fastnn.fit_many(fastnn.MLP((5, 7, 3)).spec, X, X[:, :3], members=2, specialize=False, **settings)
    fastnn.sweep(X, X[:, :3], [{"hidden": (7,)}], **settings)
    assert len(seen) == 3
    assert all(filters is before for filters in seen)


def test_predicting_many_rows_is_several_calls_of_the_same_bits(monkeypatch):
    net, X = fastnn.MLP((3, 4, 1), rng=0), np.random.default_rng(0).normal(size=(1000, 3))
    whole, calls = net.predict(X), []
    monkeypatch.setattr(predicting, "PRODUCTS_A_CALL", 300 * net.spec.n_params)
    kernel = predicting._predict
    monkeypatch.setattr(predicting, "_predict", lambda *args: calls.append(len(args[5])) or kernel(*args))
    assert net.predict(X).tobytes() == whole.tobytes()
    assert calls == [256, 256, 256, 232]
    monkeypatch.setattr(predicting, "_predict", lambda *args: signal.raise_signal(signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        net.predict(X)


def test_members_are_predicted_by_few_calls_to_the_bits_of_each_alone(monkeypatch):
    spec, rng = fastnn.MLP((3, 4, 2), dtype="float32").spec, np.random.default_rng(0)
    X = rng.normal(size=(7, 3)).astype("float32")
    members = fastnn.Ensemble(spec, rng.normal(size=(5, spec.n_params)).astype("float32"))
    calls, kernel = [], predicting._predict
    monkeypatch.setattr(predicting, "_predict", lambda *args: calls.append(args[-1]) or kernel(*args))
    for products, expected in ((10**9, [5]), (3 * 7 * spec.n_params, [3, 2]), (1, [1] * 5)):
        monkeypatch.setattr(predicting, "PRODUCTS_A_CALL", products)
        calls.clear()
        outputs = members.predict(X)
        assert calls == expected
        for member, output in zip(members, outputs, strict=True):
            np.testing.assert_array_equal(member.predict(X), output)
    assert members[:0].predict(X).shape == (0, 7, 2)
    assert members.predict(X[:0]).shape == (5, 0, 2)


def test_derivatives_of_many_rows_are_several_calls_of_the_same_bits(monkeypatch):
    net, rng = fastnn.MLP((3, 5, 2), rng=0), np.random.default_rng(0)
    X, V = rng.normal(size=(11, 3)), rng.normal(size=(11, 2))

    def derivatives():
        out, jac, grad = np.empty((11, 2)), np.empty((11, 2, 3)), np.zeros(net.spec.n_params)
        net.jacobian(X, out, jac)
        net.vjp_params(X, V, grad)
        return out.tobytes() + jac.tobytes() + grad.tobytes()

    whole = derivatives()
    monkeypatch.setattr(from_python, "PRODUCTS_A_CALL", 9 * net.spec.n_params)
    assert derivatives() == whole
    monkeypatch.setattr(from_python, "_jacobian", lambda *args: signal.raise_signal(signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        derivatives()


def test_whoever_reads_the_records_is_not_warned():
    X = np.random.default_rng(0).normal(size=(40, 5))
    settings = {"members": 2, "epochs": 9, "batch_size": 8, "specialize": False, "optimizer": fastnn.SGD(1e9)}
    spec = fastnn.MLP((5, 7, 3)).spec
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        many = fastnn.fit_many(spec, X, X[:, :3], warn=False, **settings)
    assert (many.stopped == "diverged").all()
    with pytest.warns(RuntimeWarning, match="training diverged for 2 of 2 members"):
        fastnn.fit_many(spec, X, X[:, :3], **settings)


def test_an_interpreter_beside_the_main_one_is_told_apart(monkeypatch):
    def refuses(number, handler):
        raise ValueError("signal only works in main thread of the main interpreter")

    monkeypatch.setattr(signal, "signal", refuses)
    for context in (Interrupts(), InterruptsHeld()):
        with pytest.raises(RuntimeError, match="fastnn must run in the process's main interpreter"), context:
            pass
