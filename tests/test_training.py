"""`fit` on either twin: history, resuming, divergence, bad data, determinism, and calls sized by time."""

import os
import pickle
import signal
import sys
import warnings
from functools import partial
from threading import Timer
from time import perf_counter

import numpy as np
import pytest

import fastnn
from fastnn import MLP, SGD, Adam, AdamHat, AdamW, RMSprop, Rprop, VelocitySGD
from fastnn.jobs.job import State, Status
from fastnn.reference import random
from fastnn.training import fit as training
from fastnn.training.twins import twin

OPTIMIZERS = [
    SGD(0.05, 0.5, nesterov=True),
    RMSprop(),
    Adam(),
    AdamW(),
    Rprop(),
    VelocitySGD(0.05, 0.5),
    VelocitySGD(0.05, 0.5, nesterov=True),
    AdamHat(),
]
RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(25, 3)), RNG.normal(size=(25, 2))
WEIGHTS = RNG.random(25)


def net(dtype="float64"):
    return MLP((3, 7, 2), rng=0, dtype=dtype)


def quiet(seconds):
    """Whether a clock that did not run backwards was read."""
    return 0 <= seconds < 60


def before_calls(monkeypatch, backend, call):
    """Have `call` stand before each call of what a twin trains by."""
    module = twin(backend, "training")
    trainer = module.trainer
    monkeypatch.setattr(module, "trainer", lambda *job, **options: partial(call, trainer(*job, **options)))


class Recorder:
    """Stands before what a twin trains by and writes down its calls; it may end them sooner."""

    def __init__(self, monkeypatch, backend, most=None):
        self.most, self.steps = most, []
        before_calls(monkeypatch, backend, self.call)

    def call(self, train, state, learning_rates, losses, max_steps):
        before = int(state.counters[2])
        allowed = max_steps if self.most is None else min(max_steps, next(self.most))
        status = train(state, learning_rates, losses, allowed)
        self.steps.append(int(state.counters[2]) - before)
        assert self.steps[-1] <= allowed
        return status


def endless(*sizes):
    """The sizes, over and over."""
    while True:
        yield from sizes


# ---------------------------------------------------------------- history
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_history_of_whole_batches_is_the_loss_before_each_update(dtype, backend):
    one, expected = net(dtype), []
    history = net(dtype).fit(X, Y, epochs=4, optimizer=SGD(0.1), sample_weight=WEIGHTS, l2=0.1, backend=backend)
    for _ in range(4):
        loss, gradient = one.loss_and_grad(X, Y, sample_weight=WEIGHTS, l2=0.1, backend="numpy")
        expected.append(loss)
        one.params -= 0.1 * gradient
    np.testing.assert_allclose(history.loss, expected, rtol=1e-12 if dtype == "float64" else 1e-5)
    assert history.loss.dtype == np.float64
    assert np.array_equal(history.learning_rate, [0.1] * 4)
    assert history.epochs == 4
    assert history.stopped == "finished"
    assert quiet(history.seconds)


def test_history_of_batches_is_their_mean_weighted_by_their_sample_weights(backend):
    history = net().fit(
        X, Y, epochs=1, batch_size=10, optimizer=SGD(0.0), shuffle=False, sample_weight=WEIGHTS, backend=backend
    )
    parts = [slice(0, 10), slice(10, 20), slice(20, 25)]
    losses = [net().loss_and_grad(X[part], Y[part], sample_weight=WEIGHTS[part], backend="numpy")[0] for part in parts]
    expected = np.average(losses, weights=[WEIGHTS[part].sum() for part in parts])
    assert history.loss[0] == pytest.approx(expected, rel=1e-13)


def test_repr_tells_how_the_run_went():
    history = net().fit(X, Y, epochs=3, backend="numpy")
    first, last = f"{history.loss[0]:.4g}", f"{history.loss[-1]:.4g}"
    assert repr(history).startswith("<History: 3 epochs of 1 step in ")
    assert repr(history).endswith(f" s, loss {first} -> {last}, finished>")


# ---------------------------------------------------------------- resuming and determinism
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda optimizer: type(optimizer).__name__)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_resuming_equals_the_run_that_did_not_stop(optimizer, dtype, backend):
    batch_size = None if isinstance(optimizer, Rprop) else 7
    settings = {"optimizer": optimizer, "batch_size": batch_size, "max_grad_norm": 1.0, "backend": backend}
    whole, parts = net(dtype), net(dtype)
    expected = whole.fit(X, Y, epochs=10, rng=3, **settings)
    first = parts.fit(X, Y, epochs=4, rng=3, **settings)
    kept = pickle.loads(pickle.dumps(first.state))
    second = parts.fit(X, Y, epochs=6, state=first.state, **settings)
    assert parts.params.tobytes() == whole.params.tobytes()
    assert np.array_equal(np.concatenate([first.loss, second.loss]), expected.loss)
    assert second.state.slots.tobytes() == expected.state.slots.tobytes()
    assert np.array_equal(first.state.counters, kept.counters)  # the state given is read, not changed
    assert first.state.slots.tobytes() == kept.slots.tobytes()


def test_a_copy_of_a_state_is_independent():
    state = State("Adam", 3, *(np.full(2, float(i)) for i in range(6)))
    again = vars(state.copy())
    for name, value in vars(state).items():
        assert np.array_equal(again[name], value)
        assert not np.shares_memory(again[name], value)


def test_the_same_seed_gives_the_same_bits_and_another_seed_another_order(backend):
    def run(rng):
        one = net()
        return one.fit(X, Y, epochs=2, batch_size=4, rng=rng, backend=backend).state.seed, one.params.tobytes()

    assert run(7) == run(7) == run(np.random.default_rng(7))
    assert run(7)[1] != run(8)[1]
    assert run(None) != run(None)


@pytest.mark.parametrize("settings", [{}, {"validation_fraction": 0.5, "batch_size": 20}])  # of 12 that are left
def test_a_batch_of_all_samples_is_not_shuffled(settings, backend):
    runs = [MLP((3, 4, 2), rng=0) for _ in range(4)]
    for net, shuffle, size in zip(runs, [True, False] * 2, [None, None, 3, 3], strict=True):
        options = settings if size is None else settings | {"batch_size": size}
        net.fit(X, Y, epochs=3, shuffle=shuffle, rng=1, backend=backend, specialize=False, **options)
    whole, in_order, batches, batches_in_order = (net.params for net in runs)
    assert (whole == in_order).all()
    assert (batches != batches_in_order).any()


def test_the_seed_is_drawn_from_the_generator():
    state = net().fit(X, Y, epochs=1, rng=7, backend="numpy").state
    assert state.seed == np.random.default_rng(7).integers(2**63)


OTHER_RUNS = [
    ({"optimizer": RMSprop()}, r"state must be that of a run of RMSprop on 44 parameters of float64; got one of SGD"),
    ({"net": MLP((3, 8, 2))}, r"state must be that of a run of SGD on 50 parameters.*; got one of SGD on 44"),
    ({"net": net("float32")}, r"state must be .* on 44 parameters of float32; got one of SGD on 44 of float64"),
    ({"rng": 3}, r"rng must be None where state resumes a run.*; got 3"),
]


@pytest.mark.parametrize(("change", "message"), OTHER_RUNS)
def test_the_state_of_another_run_is_refused(change, message):
    settings = {"net": net(), "optimizer": SGD(), "state": net().fit(X, Y, epochs=1, optimizer=SGD()).state} | change
    with pytest.raises(ValueError, match=message):
        settings.pop("net").fit(X, Y, epochs=1, **settings)


def test_a_resumed_run_counts_its_epochs_on(backend, monkeypatch):
    monkeypatch.setattr(training, "FIRST_ROOM", 2)
    settings = {"optimizer": SGD(fastnn.schedules.Exponential(0.1, 0.9)), "backend": backend}
    seen, one = [], net()
    state = one.fit(X, Y, epochs=3, **settings).state
    history = one.fit(X, Y, epochs=7, state=state, callback=seen.append, **settings)
    assert [epoch.number for epoch in seen] == list(range(3, 10))
    np.testing.assert_allclose(history.learning_rate, 0.1 * 0.9 ** np.arange(3, 10), rtol=1e-15)
    assert [epoch.learning_rate for epoch in seen] == history.learning_rate.tolist()


def test_the_state_of_more_batches_is_refused():
    state = net().fit(X, Y, epochs=1, batch_size=5).state
    for done in (2, 3):  # with as many done as there are, an epoch would be over
        state.counters[1] = done
        expected = f"state must be that of a run with 2 batches an epoch; got one that has done {done}"
        with pytest.raises(ValueError, match=expected):
            net().fit(X, Y, epochs=1, batch_size=20, state=state)


# ---------------------------------------------------------------- calls sized by time
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda optimizer: type(optimizer).__name__)
def test_the_length_of_the_calls_does_not_change_a_bit(optimizer, backend, monkeypatch):
    batch_size = None if isinstance(optimizer, Rprop) else 7
    settings = {"epochs": 9, "batch_size": batch_size, "rng": 1, "optimizer": optimizer, "backend": backend}
    whole, parts = net(), net()
    expected = whole.fit(X, Y, **settings)
    recorder = Recorder(monkeypatch, backend, endless(1, 3, 2, 9))
    history = parts.fit(X, Y, **settings)
    assert len(recorder.steps) >= 3
    assert parts.params.tobytes() == whole.params.tobytes()
    assert np.array_equal(history.loss, expected.loss)
    assert np.array_equal(history.state.counters, expected.state.counters)


@pytest.mark.parametrize("specialize", [True, False])
def test_an_epochs_order_is_drawn_once_in_compiled_code_however_many_calls_it_takes(specialize, monkeypatch):
    settings = {"epochs": 3, "batch_size": 4, "rng": 1, "specialize": specialize}
    whole, parts = net(), net()
    whole.fit(X, Y, **settings)

    def one_step(train, state, learning_rates, losses, max_steps):
        fields, draws = train.__self__.fields, state.batches_done in (0, 6)  # which the last batch's call does ahead
        fields.seed = state.seed if draws else state.seed + 1  # of which another order would be drawn
        return train(state, learning_rates, losses, 1)

    before_calls(monkeypatch, "numba", one_step)
    parts.fit(X, Y, **settings)
    assert parts.params.tobytes() == whole.params.tobytes()


@pytest.mark.parametrize("backend", ["numpy", "plain"])
def test_an_epochs_order_is_drawn_once_in_python_however_many_calls_it_takes(backend, monkeypatch):
    drawn = []
    draw = random.permutation
    monkeypatch.setattr(random, "permutation", lambda key, n: drawn.append(key) or draw(key, n))
    recorder = Recorder(monkeypatch, backend, endless(1))
    net().fit(X, Y, epochs=3, batch_size=4, rng=1, backend=backend)
    assert len(recorder.steps) > len(drawn) == 3


@pytest.mark.parametrize(("sizes", "rows"), [((3, 4, 1), 4), ((64, 100, 10), 200)])
def test_a_short_run_is_one_call_or_two_and_a_long_run_comes_back_often(sizes, rows, backend, monkeypatch):
    samples, targets = np.ones((rows, sizes[0])), np.ones((rows, sizes[-1]))
    settings = {"optimizer": SGD(1e-3), "batch_size": 4, "shuffle": False, "backend": backend, "progress": False}
    one = MLP(sizes, rng=0)
    one.fit(samples, targets, epochs=1, **settings)  # compiles
    recorder = Recorder(monkeypatch, backend)
    start = perf_counter()
    one.fit(samples, targets, epochs=2, **settings)
    epoch = (perf_counter() - start) / 2
    assert len(recorder.steps) <= 2

    recorder.steps.clear()
    seconds = one.fit(samples, targets, epochs=int(1 + 1.0 / epoch), **settings).seconds
    assert seconds / 0.2 / 3 < len(recorder.steps) < 40 + seconds / 0.02  # 0.1 s each, on a machine that others use too


# ---------------------------------------------------------------- divergence
def diverging(dtype="float64"):
    """A linear network whose error about doubles in every step."""
    # In either path: one dtype takes the specialised one.
    specialize = dtype == "float64"
    return MLP((3, 1), rng=1, dtype=dtype), {"epochs": 2000, "optimizer": SGD(1.5), "rng": 0, "specialize": specialize}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("batch_size", [None, 4])
def test_divergence_ends_the_run_and_keeps_the_last_finite_parameters(dtype, batch_size, backend):
    one, settings = diverging(dtype)
    with pytest.warns(RuntimeWarning, match=r"training diverged in epoch \d+: ") as caught:
        history = one.fit(X, Y[:, 0], **settings, batch_size=batch_size, backend=backend)
    assert caught[0].filename == __file__
    assert history.stopped == "diverged"
    assert 0 < history.epochs < 2000
    assert np.isfinite(history.loss[:-1]).all()  # the last mean may overflow, though no loss in it does
    assert len(history.learning_rate) == history.epochs == history.state.counters[0]
    assert np.isfinite(one.params).all()
    assert history.state.counters[1] == 0  # at the end of an epoch
    assert f"diverged in epoch {history.epochs}" in repr(history)
    assert f"epoch {history.epochs}:" in str(caught[0].message)

    with pytest.warns(RuntimeWarning, match="training diverged in epoch 0"):  # they are the last: it goes no further
        again = one.fit(
            X, Y[:, 0], **settings | {"rng": None}, batch_size=batch_size, state=history.state, backend=backend
        )
    assert again.epochs == 0
    assert again.state.counters[2] == history.state.counters[2]

    further, settings = diverging(dtype)
    settings["epochs"] = history.epochs + 1
    with pytest.warns(RuntimeWarning, match=f"training diverged in epoch {history.epochs}:"):
        further.fit(X, Y[:, 0], **settings, batch_size=batch_size, backend=backend)
    assert further.params.tobytes() == one.params.tobytes()


def overshooting():
    """A target near the end of the floats, overshot by momentum: the parameter overflows while the loss is finite."""
    one = MLP((1, 1), bias=False, rng=0)
    return (
        one,
        ([[1.0]], [1.7e308]),
        {"epochs": 50, "loss": "mae", "optimizer": SGD(1e306, momentum=0.99), "specialize": False},
    )


@pytest.mark.parametrize("calls_a_copy", [1, 3, 10**9])
def test_the_last_finite_parameters_do_not_depend_on_the_calls(calls_a_copy, backend, monkeypatch):
    expected, data, settings = overshooting()
    with pytest.warns(RuntimeWarning):
        history = expected.fit(*data, **settings, backend=backend)
    assert 15 < history.epochs < 25
    assert 1.7e308 < expected.params[0] < np.inf

    Recorder(monkeypatch, backend, endless(1, 5, 2))
    monkeypatch.setattr(training, "CALLS_A_COPY", calls_a_copy)
    one, data, settings = overshooting()
    with pytest.warns(RuntimeWarning):
        other = one.fit(*data, **settings, backend=backend)
    assert one.params.tobytes() == expected.params.tobytes()
    assert other.state.slots.tobytes() == history.state.slots.tobytes()
    assert np.array_equal(other.state.counters, history.state.counters)
    assert np.array_equal(other.loss, history.loss)


@pytest.mark.parametrize("specialize", [True, False])
def test_a_run_whose_optimizer_keeps_infinity_has_diverged(specialize, backend):
    """Of Adam's mean of squared gradients, though the parameters are finite: it would hold them where they are."""
    one = MLP((1, 1), bias=False)
    one.params = [1e-160]
    with pytest.warns(RuntimeWarning, match="training diverged in epoch 0"):
        one.fit([[1e160]], [2.0], epochs=3, optimizer=Adam(), specialize=specialize, backend=backend)
    assert one.params == [1e-160]


@pytest.mark.parametrize("batch_size", [3, 4, 5])  # not all of which diverge in the first batch of an epoch
def test_the_last_finite_parameters_are_those_of_a_whole_epoch(batch_size, backend, monkeypatch):
    """Although a call may end, and its parameters be looked at, after any step."""
    (expected, settings), (one, _) = diverging(), diverging()
    settings |= {"batch_size": batch_size, "backend": backend}
    with pytest.warns(RuntimeWarning):
        history = expected.fit(X, Y[:, 0], **settings)
    Recorder(monkeypatch, backend, endless(1))
    monkeypatch.setattr(training, "CALLS_A_COPY", 1)
    with pytest.warns(RuntimeWarning):
        other = one.fit(X, Y[:, 0], **settings)
    assert np.array_equal(other.state.counters, history.state.counters)
    assert one.params.tobytes() == expected.params.tobytes()


def test_what_is_monitored_goes_back_with_the_parameters(backend):
    """Those of the best epoch, here the first, do not take the place of the last finite ones."""
    (expected, settings), (one, _) = diverging(), diverging()
    rule = SGD(fastnn.schedules.ReduceOnPlateau(1.5, patience=10**6))
    with pytest.warns(RuntimeWarning):
        history = expected.fit(X, Y[:, 0], **settings, backend=backend)
    settings |= {"optimizer": rule, "early_stopping": fastnn.EarlyStopping(10**6)}
    with pytest.warns(RuntimeWarning):
        other = one.fit(X, Y[:, 0], **settings, backend=backend)
    assert other.epochs == history.epochs
    assert one.params.tobytes() == expected.params.tobytes()
    assert other.learning_rate.tolist() == [1.5] * history.epochs
    assert (other.best_epoch, other.state.best.size) == (0, one.params.size)


@pytest.mark.parametrize("callback", [None, lambda epoch: None], ids=["in one call", "a call an epoch"])
@pytest.mark.parametrize("steps", [1, 2, 7, 8, 50])
def test_parameters_that_overflow_while_the_loss_stays_finite_are_found(steps, callback, monkeypatch):
    """A twin whose steps add 1, and whose parameters turn infinite at some step without anyone noticing."""

    def call(train, state, learning_rates, losses, max_steps):
        for done in range(min(max_steps, len(losses))):
            losses[done] = 1.0
            state.counters[[0, 2]] += 1
            one.params += 1
            if state.counters[2] >= steps:
                one.params[0] = np.inf
        return Status.DONE if max_steps >= len(losses) else Status.PAUSED

    before_calls(monkeypatch, "numpy", call)
    monkeypatch.setattr(training, "CALLS_A_COPY", 1)
    one = MLP((1, 1), init="unit_uniform", rng=0)
    expected = one.params + (steps - 1)
    with pytest.warns(RuntimeWarning, match=f"diverged in epoch {steps - 1}:"):
        history = one.fit([[1.0]], [1.0], epochs=50, backend="numpy", callback=callback)
    np.testing.assert_allclose(one.params, expected)
    assert history.epochs == history.state.counters[2] == steps - 1


def test_a_good_run_warns_of_nothing(backend):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert net().fit(X, Y, epochs=3, backend=backend).stopped == "finished"


# ---------------------------------------------------------------- bad data
@pytest.mark.parametrize("row", [0, 24])
def test_bad_data_late_in_a_run_of_several_calls_restore_the_parameters(row, backend, monkeypatch):
    Recorder(monkeypatch, backend, endless(1))
    samples = X.copy()
    samples[row, 1] = np.nan
    one = net()
    before = one.params.copy()
    with pytest.raises(ValueError, match=f"X must be finite; got nan in row {row}, column 1"):
        one.fit(samples, Y, epochs=3, batch_size=1, rng=0, backend=backend)
    assert one.params.tobytes() == before.tobytes()


def test_data_that_change_meanwhile_are_told_apart(monkeypatch):
    before_calls(monkeypatch, "numpy", lambda *arguments: Status.BAD_DATA)
    with pytest.raises(RuntimeError, match="changed while the network was trained on them"):
        net().fit(X, Y, epochs=1, backend="numpy")


# ---------------------------------------------------------------- Ctrl-C, threads and progress
@pytest.mark.skipif(os.name != "posix", reason="sends itself a signal")
def test_ctrl_c_is_answered_within_a_call(backend):
    one = net()
    settings = {"optimizer": SGD(1e-3), "batch_size": 5, "backend": backend, "progress": False}
    one.fit(X, Y, epochs=1, **settings)  # compiles
    sent = []

    def interrupt():
        sent.append(perf_counter())
        os.kill(os.getpid(), signal.SIGINT)

    timer = Timer(0.5, interrupt)
    timer.start()
    history = one.fit(X, Y, epochs=3_000_000, **settings)
    assert perf_counter() - sent[0] < 1.0  # a tenth of a second, on a machine that others use too
    assert history.stopped == "interrupted"
    assert repr(history).endswith(", interrupted>")
    assert np.isfinite(one.params).all()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.skipif(os.name != "posix", reason="sends itself a signal")
def test_ctrl_c_at_the_very_end_is_not_lost(backend, monkeypatch):
    one, ended = net(), net()
    ended.fit(X, Y, epochs=1, backend=backend)

    def call(train, *arguments):
        status = train(*arguments)
        os.kill(os.getpid(), signal.SIGINT)
        return status

    before_calls(monkeypatch, backend, call)
    with pytest.raises(KeyboardInterrupt):
        net().fit(X, Y, epochs=1, backend=backend)
    with pytest.raises(KeyboardInterrupt):  # the callback makes it a run that Ctrl-C may end
        one.fit(X, Y, epochs=1, backend=backend, callback=lambda epoch: None)
    assert one.params.tobytes() == ended.params.tobytes()


@pytest.mark.skipif(os.name != "posix", reason="sends itself a signal")
def test_ctrl_c_leaves_the_parameters_of_the_last_epoch(backend):
    """Not those of the best one, which is the first here."""
    (expected, settings), (one, _) = diverging(), diverging()
    expected.fit(X, Y[:, 0], **settings | {"epochs": 6}, backend=backend)

    def callback(epoch):
        if epoch.number == 5:
            os.kill(os.getpid(), signal.SIGINT)

    settings |= {"epochs": 8, "early_stopping": fastnn.EarlyStopping(10**6), "callback": callback}
    history = one.fit(X, Y[:, 0], **settings, backend=backend)
    assert (history.stopped, history.epochs, history.best_epoch) == ("interrupted", 6, 0)
    assert one.params.tobytes() == expected.params.tobytes()


@pytest.mark.skipif(os.name != "posix", reason="sends itself a signal")
def test_a_second_ctrl_c_is_raised(backend):
    def callback(epoch):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        net().fit(X, Y, epochs=3, callback=callback, backend=backend)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.skipif(os.name != "posix", reason="sends itself a signal")
def test_a_program_that_handles_ctrl_c_itself_is_left_alone(backend):
    seen = []
    before = signal.signal(signal.SIGINT, lambda number, frame: seen.append(number))
    try:
        history = net().fit(X, Y, epochs=3, callback=lambda epoch: os.kill(os.getpid(), signal.SIGINT), backend=backend)
    finally:
        signal.signal(signal.SIGINT, before)
    assert (history.stopped, len(seen)) == ("finished", 3)


@pytest.mark.parametrize("settings", [{"threads": 2}, {"specialize": False}, {"specialize": None}, {"progress": False}])
def test_settings_of_either_twin(settings, backend):
    plain, other = net(), net()
    plain.fit(X, Y, epochs=2, batch_size=4, rng=0, backend=backend)
    other.fit(X, Y, epochs=2, batch_size=4, rng=0, backend=backend, **settings)
    np.testing.assert_allclose(other.params, plain.params, rtol=1e-12)


class Terminal:
    """Standard error as a terminal, or as a pipe."""

    def __init__(self, monkeypatch, terminal):
        self.text = ""
        self.terminal = terminal
        monkeypatch.setattr(sys, "stderr", self)
        monkeypatch.setenv("TERM", "xterm")

    def isatty(self):
        return self.terminal

    def write(self, text):
        self.text += text

    def flush(self):
        pass


@pytest.mark.parametrize(
    ("progress", "terminal", "patience", "shown"),
    [
        (None, True, 0.0, True),
        (None, True, 3600.0, False),
        (None, False, 0.0, False),
        (True, True, 3600.0, True),
        (False, True, 0.0, False),
    ],
)
def test_the_bar_shows_where_someone_waits(progress, terminal, patience, shown, monkeypatch):
    Recorder(monkeypatch, "numpy", endless(1))
    monkeypatch.setattr(fastnn.training.progress, "PATIENCE", patience)
    monkeypatch.delenv("NO_COLOR", raising=False)
    screen = Terminal(monkeypatch, terminal)
    net().fit(X, Y, epochs=4, progress=progress, backend="numpy")
    assert ("epoch" in screen.text) == shown
    assert bool(screen.text) == shown


def test_the_bar_in_a_notebook_without_widgets(monkeypatch):
    """There rich warned that it lacks ipywidgets, ten times a second."""
    Recorder(monkeypatch, "numpy", endless(1))
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    screen = Terminal(monkeypatch, False)
    net().fit(X, Y, epochs=4, progress=True, backend="numpy")
    assert "epoch" in screen.text


def test_a_long_run_without_a_console(monkeypatch):
    """Standard error is None in a program for windows alone, and in what PyInstaller makes of one."""
    Recorder(monkeypatch, "numpy", endless(1))
    monkeypatch.setattr(fastnn.training.progress, "PATIENCE", 0.0)
    monkeypatch.setattr(sys, "stderr", None)
    assert net().fit(X, Y, epochs=4, backend="numpy").epochs == 4


@pytest.mark.parametrize("progress", [None, True])
def test_without_rich_a_bar_asked_for_names_the_extra(progress, monkeypatch):
    Recorder(monkeypatch, "numpy", endless(1))
    monkeypatch.setattr(fastnn.training.progress, "PATIENCE", 0.0)
    monkeypatch.setitem(sys.modules, "rich.console", None)
    screen = Terminal(monkeypatch, True)
    if progress:
        with pytest.raises(ImportError, match=r"fastnn-jit\[cli\]"):
            net().fit(X, Y, epochs=2, progress=progress, backend="numpy")
    else:
        net().fit(X, Y, epochs=2, progress=progress, backend="numpy")
    assert screen.text == ""
