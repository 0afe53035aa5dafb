"""A tiny network with samples in lanes: what trains, against the reference."""

from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_allclose

from fastnn import MLP, SGD, Adam, EarlyStopping, LevenbergMarquardt, fit_many
from fastnn.jobs.job import Job, State, Status
from fastnn.kernels import dispatch
from fastnn.kernels import train as kernels_train
from fastnn.kernels.tiles import prepare
from fastnn.kernels.train import trainer
from fastnn.reference import training as reference
from fastnn.settings.catalogue import LOSSES
from fastnn.settings.schedules import ReduceOnPlateau

in_lanes = partial(trainer, specialize=True)
RNG = np.random.default_rng(0)
X, Y, WEIGHTS = RNG.normal(size=(11, 3)), RNG.normal(size=(11, 2)), RNG.random(11) + 0.1
SPEC = MLP((3, 4, 2)).spec
START = RNG.normal(size=SPEC.n_params)
RICH = {
    "optimizer": Adam(0.05),
    "loss": LOSSES["huber"],
    "sample_weight": WEIGHTS,
    "l2": 0.1,
    "max_grad_norm": 0.3,
    "loss_parameter": 0.5,
    "batch_size": 4,
}
PLAIN = {"optimizer": SGD(0.1), "loss": LOSSES["mse"], "batch_size": 11}


def job(settings, **changes):
    return Job(**({"spec": SPEC, "params": START.copy(), "X": X.copy(), "y": Y} | settings | changes))


def run(trainer, job, calls=((6, 10**9),), seed=3):
    """Parameters, slots and losses after calls of at most this many epochs and steps each; and the last status."""
    state, losses, status = State.fresh(job.spec, job.optimizer, seed), np.full(6, np.nan), None
    train = trainer(job, state)
    for epochs, steps in calls:
        done = int(state.counters[0])
        epochs = min(epochs, len(losses) - done)
        rates = job.optimizer.rates(done, epochs)
        status = train(state, rates, losses[done : done + epochs], steps)
    return job.params, state, losses, status


@pytest.mark.parametrize("settings", [RICH, PLAIN], ids=["rich", "plain"])
def test_training_agrees_with_the_reference(settings):
    assert job(settings).may_use_lanes
    assert dispatch.samples_in_lanes(SPEC, settings["batch_size"])
    params, state, losses, status = run(in_lanes, job(settings))
    expected, expected_state, expected_losses, _ = run(reference.trainer, job(settings))
    assert status == Status.DONE
    np.testing.assert_allclose(params, expected, rtol=1e-11)
    np.testing.assert_allclose(losses, expected_losses, rtol=1e-11)
    assert np.array_equal(state.counters, expected_state.counters)
    if settings is RICH:
        np.testing.assert_allclose(state.slots, expected_state.slots, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("settings", [RICH, PLAIN], ids=["rich", "plain"])
def test_stopping_in_between_changes_no_bit(settings):
    params, state, *_ = run(in_lanes, job(settings))
    calls = ((6, 1), (6, 0), (6, 3), (1, 10**9), (6, 10**9))
    again, state_2, _, status = run(in_lanes, job(settings), calls)
    assert again.tobytes() == params.tobytes()
    assert state_2.slots.tobytes() == state.slots.tobytes()
    assert status == Status.DONE


@pytest.mark.parametrize("name", ["X", "y", "sample_weight"])
def test_bad_data_and_divergence_are_told(name):
    bad = job(RICH, y=Y.copy(), sample_weight=WEIGHTS.copy())
    getattr(bad, name)[7] = np.nan
    params, state, _, status = run(in_lanes, bad)
    assert status == Status.BAD_DATA
    assert np.isfinite(params).all()
    assert state.counters[0] == 0
    wild = job(PLAIN, optimizer=SGD(1e200))
    assert run(in_lanes, wild)[3] == Status.DIVERGED


LABELS = (X[:, 0] > 0).astype(np.intp)
WATCHED = {
    "validation": {"validation_data": (X[:5] + 0.5, Y[:5])},
    "early stopping": {"early_stopping": EarlyStopping(2, 5e-3), "validation_fraction": 0.3},
    "plateau": {"optimizer": Adam(ReduceOnPlateau(0.2, 0.5, 1, 1e-2, 1, 1e-3))},
    "a metric of classes": {
        "early_stopping": EarlyStopping(3, 1e-3, "metric"),
        "validation_fraction": 0.3,
        "loss": "cross_entropy",
    },
}
SOME = ("early stopping", "a metric of classes")  # of which whole batches take a kernel each


@pytest.mark.parametrize(
    ("watched", "batch_size"),
    [*((name, 4) for name in WATCHED), *(pytest.param(name, None, marks=pytest.mark.slow) for name in SOME)],
)
def test_what_is_watched_is_what_the_reference_sees(watched, batch_size):
    settings = WATCHED[watched]
    labelled = settings.get("loss") == "cross_entropy"
    net = MLP((3, 4, 2), output_activation="softmax" if labelled else "identity", rng=0)
    other, y = net.copy(), LABELS if labelled else Y
    settings = {"epochs": 12, "batch_size": batch_size, "rng": 0, "optimizer": Adam(0.05)} | settings
    one = net.fit(X, y, specialize=True, **settings)
    two = other.fit(X, y, backend="numpy", **settings)
    assert_allclose(net.params, other.params, rtol=1e-10)
    assert one.stopped == two.stopped
    assert one.best_epoch == two.best_epoch
    for name in ("loss", "learning_rate", "validation_loss", "validation_metric"):
        value, expected = getattr(one, name), getattr(two, name)
        assert (value is None) == (expected is None)
        if value is not None:
            assert_allclose(value, expected, rtol=1e-10)


def test_looking_changes_no_bit():
    plain, watched = MLP((3, 4, 2), rng=0), MLP((3, 4, 2), rng=0)
    settings = {"epochs": 5, "batch_size": 4, "rng": 0, "specialize": True}
    plain.fit(X, Y, **settings)
    watched.fit(X, Y, validation_data=(X, Y), callback=lambda epoch: None, **settings)
    assert plain.params.tobytes() == watched.params.tobytes()


def test_a_validation_set_needs_no_steps_of_tiles(monkeypatch):
    """They would be compiled for nothing."""
    for part in ("backward_address", "_optimizer_address"):
        monkeypatch.setattr(prepare, part, lambda *args: pytest.fail("part of a step was asked for"))
    X = np.random.default_rng(0).normal(size=(13, 2))
    history = MLP((2, 3, 1), rng=0).fit(X, X[:, :1], epochs=2, batch_size=7, l2=0.1, validation_data=(X, X[:, :1]))
    assert np.isfinite(history.validation_loss).all()


def test_large_networks_and_batches_are_not_served_by_default():
    assert dispatch.samples_in_lanes(SPEC, 11)
    assert not dispatch.samples_in_lanes(MLP((3, 40, 2)).spec, 11)
    assert not dispatch.samples_in_lanes(SPEC, 1000)


@pytest.mark.parametrize("specialize", [True, False, None])
def test_either_path_is_the_networks(specialize):
    net = MLP.tutorial()
    X = np.array([[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1.0]])
    y = np.array([[0.0], [1], [1], [0]])
    other = net.copy()
    net.fit(X, y, loss="sse", optimizer=SGD(1.0), epochs=50, specialize=specialize)
    other.fit(X, y, loss="sse", optimizer=SGD(1.0), epochs=50, backend="numpy")
    assert_allclose(net.params, other.params, rtol=0, atol=1e-12)


BATCHES = [(np.eye(2), np.eye(2)[:, :1])]


@pytest.mark.parametrize(
    "settings",
    [
        {"dropout": 0.5},
        {"input_noise": 0.1},
        {"trainable": np.arange(13) < 5},
        {"dydx": np.zeros((2, 1, 2))},
        {"X": lambda: BATCHES, "y": None},
        {"optimizer": LevenbergMarquardt()},
    ],
    ids=["dropout", "noise", "trainable", "slopes", "batches", "solver"],
)
def test_what_the_specialised_path_does_not_do_is_refused(settings):
    net, data = MLP((2, 3, 1)), {"X": np.eye(2), "y": np.eye(2)[:, :1]}
    with pytest.raises(ValueError, match="specialize must not be True with dydx, trainable, dropout, input_noise"):
        net.fit(**data | settings, epochs=2, specialize=True)


def test_members_trained_alone_take_no_kernel_of_their_own(monkeypatch):
    monkeypatch.setattr(kernels_train, "PreparedForLanes", None)
    many = fit_many(SPEC, X, Y, members=2, epochs=2, specialize=False)
    assert np.isfinite(many.params).all()


def test_a_network_whose_kernel_outgrows_the_stack_is_refused():
    net = MLP((3, 6000, 1), rng=0)
    before = net.params.copy()
    with pytest.raises(ValueError, match=r"specialize must not be True .* 1 MiB .*; got one of 30,001 parameters"):
        net.fit(X, Y[:, 0], epochs=1, specialize=True)
    assert np.array_equal(net.params, before)
    net.fit(X, Y[:, 0], epochs=1, specialize=False)
