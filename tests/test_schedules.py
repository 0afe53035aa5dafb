"""Schedules against their formulas, hand-computed values and PyTorch's, and on either twin."""

import numpy as np
import pytest

import fastnn
from fastnn import MLP, SGD, Adam, Rprop
from fastnn.settings import schedules
from fastnn.settings.schedules import (
    Constant,
    Cosine,
    Exponential,
    InverseScaling,
    OneCycle,
    ReduceOnPlateau,
    Schedule,
    Step,
)

EXPECTED = [
    (Constant(0.5), [0.5, 0.5, 0.5, 0.5]),
    (Step(0.8, every=2, factor=0.5), [0.8, 0.8, 0.4, 0.4, 0.2]),
    (Exponential(0.8, factor=0.5), [0.8, 0.4, 0.2]),
    (InverseScaling(0.8, power=1.0), [0.8, 0.4, 0.8 / 3]),
    (InverseScaling(0.8, power=0.5, scale=3.0), [0.8, 0.4, 0.8 / np.sqrt(7)]),
    (Cosine(0.8, epochs=4), [0.8, 0.4 + 0.4 / np.sqrt(2), 0.4, 0.4 - 0.4 / np.sqrt(2), 0.0, 0.0]),
    (Cosine(0.9, epochs=4, warm_up=2, final=0.5), [0.3, 0.6, 0.9, 0.675, 0.45, 0.45]),
    (OneCycle(1.0, epochs=5, warm_up=0.5, start=0.2, final=0.0), [0.2, 0.6, 1.0, 0.5, 0.0, 0.0]),
    (OneCycle(1.0, epochs=3, warm_up=0.0), [1.0, 0.500002, 4e-6]),
    (ReduceOnPlateau(0.1), [0.1, 0.1]),
]


@pytest.mark.parametrize(("schedule", "expected"), EXPECTED, ids=lambda value: type(value).__name__)
def test_rates_by_hand(schedule, expected):
    np.testing.assert_allclose(schedule.rates(0, len(expected)), expected, rtol=1e-14, atol=1e-16)
    np.testing.assert_array_equal(schedule.rates(2, 3), schedule.rates(0, 5)[2:])


def test_every_schedule_is_tested():
    assert {type(schedule).__name__ for schedule, _ in EXPECTED} == set(schedules.NAMES)


def test_shapes_are_those_of_pytorch():
    torch = pytest.importorskip("torch")

    def rates(make, epochs):
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
        scheduler, found = make(optimizer), []
        for epoch in range(epochs):
            found.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            if epoch + 1 < epochs:
                scheduler.step()
        return found

    lr = torch.optim.lr_scheduler
    for ours, make in [
        (Step(0.1, every=3, factor=0.3), lambda o: lr.StepLR(o, 3, 0.3)),
        (Exponential(0.1, factor=0.9), lambda o: lr.ExponentialLR(o, 0.9)),
        (Cosine(0.1, epochs=19, final=0.1), lambda o: lr.CosineAnnealingLR(o, 19, 0.01)),
        # theirs turns at pct_start * total_steps - 1
        (OneCycle(0.1, epochs=20, warm_up=5 / 19), lambda o: lr.OneCycleLR(o, 0.1, total_steps=20, pct_start=0.3)),
    ]:
        np.testing.assert_allclose(ours.rates(0, 20), rates(make, 20), rtol=1e-12)


X = np.random.default_rng(0).normal(size=(20, 3))
Y = np.tanh(X[:, :2])


@pytest.mark.parametrize("schedule", [schedule for schedule, _ in EXPECTED], ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_schedule_is_a_rate_for_each_epoch(schedule, dtype, backend):
    settings = {"batch_size": 8, "backend": backend, "shuffle": False}
    scheduled, stepped = MLP((3, 8, 2), rng=0, dtype=dtype), MLP((3, 8, 2), rng=0, dtype=dtype)
    history = scheduled.fit(X, Y, epochs=6, optimizer=SGD(schedule), **settings)
    for rate in schedule.rates(0, 6):
        stepped.fit(X, Y, epochs=1, optimizer=SGD(rate), **settings)
    assert scheduled.params.tobytes() == stepped.params.tobytes()
    np.testing.assert_array_equal(history.learning_rate, schedule.rates(0, 6))


@pytest.mark.parametrize("schedule", [schedule for schedule, _ in EXPECTED], ids=lambda value: type(value).__name__)
def test_a_schedule_goes_on_where_a_run_is_resumed(schedule, backend):
    settings = {"batch_size": 8, "backend": backend, "optimizer": Adam(schedule)}
    whole, parts = MLP((3, 8, 2), rng=0), MLP((3, 8, 2), rng=0)
    whole.fit(X, Y, epochs=7, rng=1, **settings)
    state = parts.fit(X, Y, epochs=3, rng=1, **settings).state
    parts.fit(X, Y, epochs=4, state=state, **settings)
    assert whole.params.tobytes() == parts.params.tobytes()


BAD = [
    (Step(0.1, every=0), ValueError, "every of Step must be an integer of at least 1; got 0"),
    (Step(0.1, every=2.0), TypeError, "every of Step must be an integer of at least 1; got 2.0"),
    (Step(-0.1, every=1), ValueError, "learning_rate of Step must be a finite number of at least 0; got -0.1"),
    (Exponential(0.1, factor=0), ValueError, "factor of Exponential must be a finite number above 0; got 0"),
    (Cosine(0.1, epochs=5, warm_up=5), ValueError, "warm_up of Cosine must be less than its epochs, 5; got 5"),
    (OneCycle(0.1, epochs=1), ValueError, "epochs of OneCycle must be an integer of at least 2; got 1"),
    (OneCycle(0.1, epochs=9, warm_up=1), ValueError, r"warm_up of OneCycle must be a number in \[0, 1\); got 1"),
    (ReduceOnPlateau(0.1, factor=1.0), ValueError, r"factor of ReduceOnPlateau must be a number in \(0, 1\)"),
    (ReduceOnPlateau(0.1, patience=0), ValueError, "patience of ReduceOnPlateau must be an integer of at least 1"),
    (
        ReduceOnPlateau(0.1, min_rate=0.2),
        ValueError,
        "min_rate of ReduceOnPlateau must be at most its learning_rate, 0.1",
    ),
]


@pytest.mark.parametrize(("schedule", "error", "message"), BAD)
def test_bad_settings_are_refused(schedule, error, message):
    with pytest.raises(error, match=message):
        MLP((3, 2)).fit(X, Y, epochs=1, optimizer=SGD(schedule))


@pytest.mark.parametrize(
    "schedule", [Cosine(10.0, 5, final=1e308), OneCycle(10.0, 5, 1e-320, final=1e308), Exponential(10.0, 1e308)]
)
def test_a_rate_that_overflows_is_told_by_the_divergence(schedule):
    assert schedule.rates(0, 9)[-1] == np.inf
    with pytest.warns(RuntimeWarning, match="^training diverged in epoch"):
        MLP((3, 2)).fit(X, Y, epochs=9, optimizer=SGD(schedule))


def test_a_schedule_of_ones_own_is_refused():
    with pytest.raises(TypeError, match=r"an instance of fastnn\.schedules\.Constant, .*; got .*Schedule"):
        MLP((3, 2)).fit(X, Y, epochs=1, optimizer=SGD(Schedule(0.1)))
    assert fastnn.schedules.Constant is Constant


def test_rprop_takes_a_number():
    with pytest.raises(TypeError, match="learning_rate of Rprop must be a number"):
        MLP((3, 2)).fit(X, Y, epochs=1, optimizer=Rprop(Constant(0.1)))


def test_schedules_are_at_hand():
    assert fastnn.settings.schedules.Cosine is Cosine
