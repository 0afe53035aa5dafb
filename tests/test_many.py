"""`fit_many`: the same networks as `MLP.fit` makes, the same bits whoever else is trained; and the ensemble."""

import subprocess
import sys
import textwrap
import tracemalloc

import numpy as np
import pytest

from fastnn import (
    LBFGS,
    MLP,
    SGD,
    Adam,
    AdamHat,
    AdamW,
    EarlyStopping,
    LevenbergMarquardt,
    RMSprop,
    Rprop,
    VelocitySGD,
    fit_many,
    load,
)
from fastnn.jobs.job import Job, State
from fastnn.jobs.monitor import Monitor
from fastnn.jobs.records import DIVERGED, FINISHED, Records
from fastnn.models.ensemble import Ensemble, mean_of, quantiles_of, std_of
from fastnn.reference import training as reference
from fastnn.settings import schedules
from fastnn.settings.catalogue import ACTIVATIONS, LOSSES, OPTIMIZERS

RNG = np.random.default_rng(0)
N = 7
X, Y = RNG.normal(size=(N, 3)), RNG.uniform(0.1, 0.9, size=(N, 2))
WEIGHTS = RNG.random(N) + 0.1
SPEC = MLP((3, 5, 2)).spec
OUTPUTS = {name: row.logits_of or "identity" for name, row in LOSSES.items()}


def params(spec, k, seed=0):
    return np.random.default_rng(seed).normal(scale=0.5, size=(k, spec.n_params)).astype(spec.dtype)


def alone(spec, start, k, *, seed=0, epochs, optimizer, loss="mse", y=Y, weights=None, batch_size=N, **more):
    """Member k, by the reference."""
    job = Job(
        spec, start.copy(), X.astype(spec.dtype), y.astype(spec.dtype), LOSSES[loss], optimizer, batch_size,
        sample_weight=weights, member=k, **more,
    )  # fmt: skip
    losses = np.empty(epochs)
    rates = optimizer.rates(0, epochs)
    reference.train(job, State.fresh(spec, optimizer, seed), rates, losses, 10**9)
    return job.params, losses


def close(actual, expected, dtype="float64"):
    scale = np.linalg.norm(expected) or 1.0
    assert np.linalg.norm(actual - expected) <= (1e-11 if dtype == "float64" else 2e-4) * scale


# ---------------------------------------------------------------- the same networks as one by one
HIDDEN = [name for name, row in ACTIVATIONS.items() if row.hidden]
RULES = [
    SGD(0.1),
    SGD(0.1, 0.5),
    SGD(0.1, 0.5, nesterov=True),
    RMSprop(),
    Adam(),
    AdamW(),
    Rprop(),
    VelocitySGD(0.1, 0.5),
    VelocitySGD(0.1, 0.5, nesterov=True),
    AdamHat(),
]
ALL = HIDDEN, [*LOSSES], RULES
CASES = [tuple(each[i % len(each)] for each in ALL) for i in range(max(map(len, ALL)))]


def test_the_cases_leave_nothing_out():
    hidden, losses, rules = zip(*CASES, strict=True)
    assert set(hidden) == {name for name, row in ACTIVATIONS.items() if row.hidden}
    assert set(losses) == set(LOSSES)
    assert {type(rule).__name__ for rule in rules} == set(OPTIMIZERS)


@pytest.mark.parametrize(("hidden", "loss", "optimizer"), CASES, ids=lambda value: str(value)[:12])
def test_members_agree_with_the_reference(hidden, loss, optimizer):
    spec = MLP((3, 4, 2), activation=hidden, output_activation=OUTPUTS[loss]).spec
    y = np.eye(2)[RNG.integers(2, size=N)] if loss == "cross_entropy" else Y[:, : LOSSES[loss].n_targets(2)]
    size = N if OPTIMIZERS[type(optimizer).__name__].whole_batch else 4
    start = params(spec, 3)
    settings = {"loss": loss, "epochs": 3, "optimizer": optimizer, "batch_size": size}
    many = fit_many(spec, X, y, params=start, history=True, rng=2, **settings)
    for k in range(3):
        expected, losses = alone(spec, start[k], k, seed=many.seed, y=y, **settings)
        close(many.params[k], expected)
        close(many.records.history[k], losses)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_members_have_their_own_rates_penalties_weights_and_order(dtype):
    spec = MLP((3, 5, 2), dtype=dtype).spec
    k, start = 20, params(spec, 20)
    rates, momenta, l2 = np.linspace(0.01, 0.2, k), np.linspace(0, 0.9, k), np.linspace(0, 0.1, k)
    weights = RNG.integers(0, 3, size=(k, N)).astype(float)
    weights[:, 0] += 1
    many = fit_many(
        spec, X, Y, params=start, epochs=4, optimizer=SGD(rates, momenta), l2=l2, sample_weight=weights, batch_size=3,
        max_grad_norm=0.5, rng=1,
    )  # fmt: skip
    for i in range(k):
        expected, losses = alone(
            spec, start[i], i, seed=many.seed, epochs=4, optimizer=SGD(rates[i], momenta[i]), batch_size=3,
            weights=weights[i].astype(dtype), l2=l2[i], max_grad_norm=0.5,
        )  # fmt: skip
        close(many.params[i], expected, dtype)
        close(many.loss[i], losses[-1], dtype)


def test_members_have_their_own_data_and_a_schedule():
    start, rate = params(SPEC, 3), schedules.Exponential(0.2, factor=0.5)
    own_x, own_y = np.stack([X, X[::-1], X + 0.1]), np.stack([Y, Y[::-1], Y])
    many = fit_many(SPEC, own_x, own_y, params=start, epochs=4, optimizer=SGD(rate))
    expected, _ = alone(SPEC, start[0], 0, epochs=4, optimizer=SGD(rate))
    close(many.params[0], expected)
    one = fit_many(SPEC, own_x[2], own_y[2], params=start[2:], epochs=4, optimizer=SGD(rate))
    close(many.params[2], one.params[0])


OWN = 1 + np.arange(3.0)[:, np.newaxis, np.newaxis]
PLATEAU = SGD(schedules.ReduceOnPlateau(0.5, 0.5, patience=1, min_improvement=0.1))
APART = {
    "X": {"X": X * OWN},
    "y": {"y": Y * OWN},
    "momenta": {"optimizer": SGD(0.1, [0.0, 0.5, 0.9])},
    "momenta of velocities": {"optimizer": VelocitySGD(0.1, [0.0, 0.5, 0.9])},
    "weights of the validation set": {"validation_data": (X + 0.2, Y, np.random.default_rng(1).random((3, N)))},
    "a plateau": {"optimizer": PLATEAU},
    "a plateau of the validation set": {"optimizer": PLATEAU, "validation_data": (X + 0.2, 1 - Y)},
}


@pytest.mark.parametrize(
    ("name", "specialize"),
    [(name, flag) for name in APART for flag in (True, False) if not (flag and "plateau" in name)],
)
def test_each_member_is_what_fit_makes_of_what_is_its_own(name, specialize):
    settings = {"X": X, "y": Y, "optimizer": SGD(0.1), "epochs": 8} | APART[name]
    start = params(SPEC, 3)
    many = fit_many(SPEC, params=start, specialize=specialize, history=True, **settings)
    for k in range(3):
        own = settings | {key: settings[key][k] for key in ("X", "y") if settings[key].ndim == 3}
        if "momenta" in name:
            own["optimizer"] = type(own["optimizer"])(0.1, [0.0, 0.5, 0.9][k])
        if "weights" in name:
            *data, weights = settings["validation_data"]
            own["validation_data"] = (*data, weights[k])
        net = MLP.from_params(SPEC, start[k])
        run = net.fit(specialize=False, **own)
        close(many.params[k], net.params)
        close(many.records.history[k], run.loss)
        if "validation_data" in own:
            close(many.records.validation[k], run.validation_loss)
        assert ("plateau" not in name) or run.learning_rate[-1] < 0.5


@pytest.mark.parametrize("k", [3, N])
def test_a_row_of_targets_for_each_member_is_told_from_targets_of_all(k):
    settings = {"epochs": 2, "optimizer": SGD(0.1), "specialize": False}
    own, spec = RNG.uniform(size=(k, N)), MLP((3, 5, 1)).spec
    rows, blocks = (fit_many(spec, X, y, params=params(spec, k), **settings) for y in (own, own[..., np.newaxis]))
    assert rows.params.tobytes() == blocks.params.tobytes()
    classes, spec = RNG.integers(2, size=(k, N)), MLP((3, 5, 2), output_activation="softmax").spec
    settings["loss"] = "cross_entropy"
    rows, blocks = (fit_many(spec, X, y, params=params(spec, k), **settings) for y in (classes, np.eye(2)[classes]))
    assert rows.params.tobytes() == blocks.params.tobytes()
    square, spec, settings["loss"] = RNG.uniform(size=(N, N)), MLP((3, 5, N)).spec, "mse"
    shared, blocks = (
        fit_many(spec, X, y, params=params(spec, N), **settings) for y in (square, np.stack([square] * N))
    )
    assert shared.params.tobytes() == blocks.params.tobytes()


def test_the_tutorial_is_reproduced():
    net = MLP.tutorial()
    X, y = np.array([[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1.0]]), np.array([[0.0], [1], [1], [0]])
    many = fit_many(net.spec, X, y, params=net.params[None], loss="sse", optimizer=SGD(1.0), epochs=1500)
    net.fit(X, y, loss="sse", optimizer=SGD(1.0), epochs=1500, backend="numpy", shuffle=False)
    np.testing.assert_allclose(many.params[0], net.params, rtol=1e-10)


# ---------------------------------------------------------------- bits
SETTINGS = {"epochs": 6, "optimizer": Adam(0.05), "batch_size": 3, "rng": 5}


@pytest.mark.parametrize("specialize", [True, False])
@pytest.mark.parametrize("change", [{"threads": 2}, {"chunk": 3}, {"chunk": 16, "threads": 3}], ids=str)
def test_bits_depend_on_neither_chunks_nor_threads(change, specialize):
    settings = SETTINGS | {"specialize": specialize, "members": 40 if specialize else 5}
    whole, parts = fit_many(SPEC, X, Y, **settings), fit_many(SPEC, X, Y, **settings, **change)
    assert whole.params.tobytes() == parts.params.tobytes()
    assert np.array_equal(whole.loss, parts.loss)


def test_chunks_hold_what_each_member_has_of_its_own():
    k, own = 5, np.arange(1.0, 6)
    X_own, y_own = X + own[:, np.newaxis, np.newaxis], Y * own[:, np.newaxis, np.newaxis]
    weights, of_validation = np.random.default_rng(1).uniform(1, 2, (2, k, N))
    settings = SETTINGS | {
        "params": params(SPEC, k), "optimizer": SGD(0.01 * own, 0.1 * own), "l2": 0.01 * own, "sample_weight": weights,
        "validation_data": (X, Y, of_validation), "early_stopping": EarlyStopping(patience=2),
        "seeds": range(5), "rng": None, "specialize": False, "history": True,
        "features": np.arange(15).reshape(5, 3) % 2 == 0,
    }  # fmt: skip
    whole, parts = (fit_many(SPEC, X_own, y_own, chunk=chunk, **settings) for chunk in (None, 2))
    assert parts.params.tobytes() == whole.params.tobytes()
    for name, array in vars(whole.records).items():
        np.testing.assert_array_equal(getattr(parts.records, name), array, err_msg=name)


def test_a_member_is_the_same_alone():
    many = fit_many(SPEC, X, Y, members=40, **SETTINGS)
    some = fit_many(SPEC, X, Y, members=[33, 2], **SETTINGS)
    assert some.params.tobytes() == many.params[[33, 2]].tobytes()
    assert np.array_equal(some.records.member, [33, 2])
    again = fit_many(SPEC, X, Y, members=2, seeds=[many.seed] * 2, epochs=6, optimizer=Adam(0.05), batch_size=3)
    assert again.params.tobytes() == many.params[[0, 0]].tobytes()
    assert again.seed is None  # each has its own
    assert len({row.tobytes() for row in many.params}) == 40


@pytest.mark.parametrize("nesterov", [False, True])
def test_a_member_without_momentum_is_the_same_beside_those_that_have_some(nesterov):
    start, settings = params(SPEC, 3), {"epochs": 30, "batch_size": 3, "specialize": True}
    together = fit_many(
        SPEC, X, Y, params=start, seeds=[1, 2, 3], optimizer=SGD(0.05, [0, 0.5, 0.9], nesterov), **settings
    )
    alone = fit_many(SPEC, X, Y, params=start[:1], seeds=[1], optimizer=SGD(0.05), **settings)
    assert together.params[0].tobytes() == alone.params[0].tobytes()


def test_denormal_numbers_are_what_they_were_after_training():
    fit_many(SPEC, X, Y, members=4, **SETTINGS)
    half = np.array([np.finfo(np.float64).tiny / 2])
    assert (half * 2)[0] == np.finfo(np.float64).tiny


def test_a_member_that_waits_for_a_lane_begins_the_schedule_anew():
    settings = SETTINGS | {"optimizer": Adam(schedules.Exponential(0.5, 0.5))}
    many = fit_many(SPEC, X, Y, members=80, **settings)
    some = fit_many(SPEC, X, Y, members=[70, 2], **settings)
    assert some.params.tobytes() == many.params[[70, 2]].tobytes()


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"batch_size": None},
        {"optimizer": SGD(schedules.OneCycle(0.5, 9)), "epochs": 1},  # whose first rate is lower
        {
            "optimizer": SGD(1e-30),
            "batch_size": None,
            "early_stopping": EarlyStopping(5),
        },  # patience ends with the epochs
    ],
    ids=str,
)
def test_lanes_and_one_after_another_agree(change):
    settings = SETTINGS | {"members": 4} | change
    lanes, serial = (fit_many(SPEC, X, Y, specialize=flag, **settings) for flag in (True, False))
    close(lanes.params, serial.params)
    close(lanes.loss, serial.loss)
    assert lanes.records.history.shape == serial.records.history.shape == (4, 0)  # nobody asked for it
    for name in ("member", "status", "epochs", "steps"):
        assert np.array_equal(getattr(lanes.records, name), getattr(serial.records, name)), name


@pytest.mark.parametrize("most", [SPEC.n_params, SPEC.n_params - 1])
def test_what_is_narrow_enough_goes_into_lanes(most, monkeypatch):
    monkeypatch.setattr("fastnn.kernels.dispatch.MEMBER_PARAMS", most)
    chosen, lanes, serial = (
        fit_many(SPEC, X, Y, members=4, specialize=flag, **SETTINGS).params.tobytes() for flag in (None, True, False)
    )
    assert lanes != serial
    assert chosen == (lanes if most == SPEC.n_params else serial)


def test_a_gradient_whose_squares_overflow_is_scaled_down():
    """In the lanes of members, of which others have no such gradient, and in those of samples."""
    spec, own = MLP((3, 5, 2), activation="relu").spec, X * np.array([1e100, 1.0, 1e-9])[:, np.newaxis, np.newaxis]
    start, settings = params(spec, 3), {"epochs": 2, "batch_size": 4, "shuffle": False, "optimizer": SGD(0.1)}
    many = fit_many(spec, own, Y, params=start, max_grad_norm=0.5, **settings)
    for k in range(3):
        for path in ({"backend": "numpy"}, {"specialize": True}, {"specialize": False}):
            net = MLP.from_params(spec, start[k])
            net.fit(own[k], Y, max_grad_norm=0.5, **path, **settings)
            close(many.params[k] - start[k], net.params - start[k])


# ---------------------------------------------------------------- stopping
@pytest.mark.parametrize("validation", [None, (X[:4] + 0.2, Y[:4]), (X[:4] + 0.2, Y[:4], WEIGHTS[:4])])
@pytest.mark.parametrize("restore", [True, False])
def test_each_member_stops_early_by_itself_as_fit_does(validation, restore):
    stopping = EarlyStopping(patience=2, min_improvement=1e-4, restore_best=restore)
    settings = {"epochs": 60, "optimizer": SGD(0.3), "early_stopping": stopping, "validation_data": validation}
    start = params(SPEC, 40)
    many = fit_many(SPEC, X, Y, params=start, history=True, **settings)
    assert len(set(many.records.epochs)) > 3
    for k in range(0, 40, 5):
        net = MLP.from_params(SPEC, start[k])
        run = net.fit(X, Y, shuffle=False, **settings)
        assert many.records.epochs[k] == run.epochs
        assert many.stopped[k] == run.stopped
        close(many.params[k], net.params)
        close(many.records.history[k, : run.epochs], run.loss)
        assert np.isnan(many.records.history[k, run.epochs :]).all()
        if validation is not None:
            close(many.records.validation[k, : run.epochs], run.validation_loss)
            assert many.records.best[k] == pytest.approx(run.validation_loss.min())


@pytest.mark.parametrize("specialize", [True, False])
def test_a_loss_that_stays_the_same_is_no_improvement(specialize):
    settings = {"members": 3, "epochs": 10, "optimizer": SGD(1e-30), "early_stopping": EarlyStopping(3), "rng": 0}
    many = fit_many(SPEC, X, Y, history=True, specialize=specialize, **settings)
    assert many.records.epochs.tolist() == [4] * 3
    assert set(many.stopped) == {"early"}
    assert (many.records.history[:, :4] == many.records.best[:, None]).all()


def test_a_member_of_which_no_epoch_is_best_keeps_its_last_parameters():
    """As where the validation loss overflows; other members, of which one is, take the same lanes before it."""
    spec, samples = MLP((3, 5, 2), activation="leaky_relu", dtype="float32").spec, X * [1, 1, 0]
    start, overflows = params(spec, 80), np.arange(80) % 2 == 1
    first = spec.layers[0].weights
    start[~overflows, first + 2 * 5 : first + 3 * 5] = 0  # these do not see the last feature, nor learn to
    settings = {"epochs": 9, "optimizer": SGD(0.1), "early_stopping": EarlyStopping(patience=3)}
    settings["validation_data"] = [[0.1, 0.2, 1e30]], [[0.5, 0.5]]
    many = fit_many(spec, samples, Y, params=start, specialize=True, **settings)
    assert np.array_equal(np.isinf(many.records.best), overflows)
    for k in range(80):
        one = MLP.from_params(spec, start[k])
        run = one.fit(samples, Y, **settings)
        assert many.records.epochs[k] == run.epochs
        close(many.params[k], one.params, "float32")


@pytest.mark.parametrize("specialize", [True, False])
def test_members_learn_by_the_numbers_of_their_loss(specialize):
    settings = {"loss": "huber", "epochs": 3, "optimizer": SGD(0.1), "specialize": specialize}
    start = params(SPEC, 2)
    many = fit_many(SPEC, X, Y, params=start, delta=[0.2, 0.05], **settings)
    net = MLP.from_params(SPEC, start[1])
    net.fit(X, Y, loss="huber", delta=[0.2, 0.05], epochs=3, optimizer=SGD(0.1), backend="numpy", shuffle=False)
    close(many.params[1], net.params)


@pytest.mark.parametrize(
    "change", [{"early_stopping": EarlyStopping(2, monitor="metric")}, {"optimizer": PLATEAU}], ids=["metric", "rate"]
)
def test_a_metric_or_a_plateau_goes_one_after_another(change):
    settings = {"members": 2, "epochs": 5, "validation_data": (X, Y), "rng": 0} | change
    many, serial = (fit_many(SPEC, X, Y, specialize=flag, **settings) for flag in (None, False))
    assert many.params.tobytes() == serial.params.tobytes()
    with pytest.raises(ValueError, match="specialize must not be True with ReduceOnPlateau"):
        fit_many(SPEC, X, Y, specialize=True, **settings)


def test_members_that_diverge_leave_the_others_alone():
    rates = np.where(np.arange(20) % 4 == 1, 1e150, 0.1)
    start = params(SPEC, 20)
    with pytest.warns(RuntimeWarning, match="training diverged for 5 of 20 members"):
        many = fit_many(SPEC, X, Y, params=start, epochs=8, optimizer=SGD(rates))
    healthy = fit_many(SPEC, X, Y, params=start, epochs=8, optimizer=SGD(0.1))
    assert np.isfinite(many.params).all()
    assert np.array_equal(many.stopped == "diverged", rates > 1)
    assert np.isnan(many.loss[rates > 1]).all()
    assert many.params[rates < 1].tobytes() == healthy.params[rates < 1].tobytes()
    assert not (set(many.best(15).records.member) & set(np.flatnonzero(rates > 1)))
    with pytest.warns(RuntimeWarning, match="training diverged for 5 of 20 members"):
        serial = fit_many(SPEC, X, Y, params=start, epochs=8, optimizer=SGD(rates), specialize=False)
    assert np.array_equal(serial.records.status, many.records.status)
    assert np.array_equal(serial.records.epochs, many.records.epochs)
    assert np.array_equal(np.isnan(serial.loss), rates > 1)


@pytest.mark.parametrize("batch_size", [None, 3])
@pytest.mark.parametrize("stopping", [None, EarlyStopping(patience=50)])
@pytest.mark.filterwarnings("ignore:training diverged")
def test_members_that_diverge_keep_what_they_had_after_their_last_finite_epoch(batch_size, stopping):
    rates, start = np.geomspace(1e150, 0.01, 30), params(SPEC, 30)
    settings = {"epochs": 200, "batch_size": batch_size, "shuffle": False, "early_stopping": stopping}
    many = fit_many(SPEC, X, Y, params=start, optimizer=SGD(rates), history=True, **settings)
    assert len(set(many.records.epochs)) > 5
    for k in range(30):
        one = MLP.from_params(SPEC, start[k])
        run = one.fit(X, Y, optimizer=SGD(rates[k]), specialize=False, **settings)
        assert many.stopped[k] == run.stopped
        assert many.records.epochs[k] == run.epochs
        assert many.records.steps[k] == run.state.counters[2]
        assert np.array_equal(np.isnan(many.records.history[k]), np.arange(200) >= run.epochs)
        assert many.records.best[k] == pytest.approx(np.inf if stopping is None else run.loss.min(initial=np.inf))
        np.testing.assert_allclose(many.params[k], one.params, rtol=1e-6, atol=1e-6 * abs(one.params).max())


@pytest.mark.parametrize(
    "rule", [Adam, *(pytest.param(rule, marks=pytest.mark.slow) for rule in (AdamW, AdamHat, RMSprop))]
)
def test_a_member_whose_optimizer_overflows_diverged(rule):
    """Its parameters stand still from then on, and its loss is finite."""
    spec = MLP((1, 1), bias=False, dtype="float32").spec
    start = np.where(np.arange(40) % 2 == 1, 1e-8, 0.0)[:, None]  # of 0 there is nothing to learn
    settings = {"optimizer": rule(1e-2), "epochs": 50, "early_stopping": EarlyStopping(99, restore_best=False)}
    with pytest.warns(RuntimeWarning, match="training diverged for 20 of 40 members"):
        many = fit_many(spec, [[1e14]], [[0.0]], params=start, specialize=True, **settings)
    one = MLP.from_params(spec, start[1])
    with pytest.warns(RuntimeWarning, match="training diverged in epoch"):
        run = one.fit([[1e14]], [[0.0]], **settings)
    assert np.array_equal(many.records.diverged, start[:, 0] > 0)
    assert np.array_equal(many.records.epochs, np.where(start[:, 0] > 0, run.epochs, 50))
    assert np.array_equal(many.records.steps, many.records.epochs)
    np.testing.assert_allclose(many.records.best[1::2], run.loss.min(initial=np.inf))
    close(many.params[1::2], np.tile(one.params, (20, 1)), "float32")
    assert not many.params[::2].any()


def test_a_member_whose_last_step_overflows_has_not_done_that_epoch():
    start, stopping = params(SPEC, 2), EarlyStopping(9, restore_best=False)
    settings = {"params": start, "epochs": 1, "optimizer": SGD(1e308), "early_stopping": stopping}
    with pytest.warns(RuntimeWarning, match="training diverged for 2 of 2 members"):
        many = fit_many(SPEC, X, 1e4 * Y, specialize=True, **settings)
    assert np.array_equal(many.params, start)
    assert not many.records.epochs.any()
    assert not many.records.steps.any()
    assert np.isinf(many.records.best).all()


@pytest.mark.parametrize("optimizer", [SGD(0.1, 0.9), Adam(0.1)], ids=lambda rule: type(rule).__name__)
def test_who_takes_the_lane_of_a_member_that_diverged_finds_it_empty(optimizer):
    """Whatever batches remain of the epoch in which it diverged."""
    start = params(SPEC, 80)
    start[::3] = 1e200
    settings = {"epochs": 3, "optimizer": optimizer, "batch_size": 2, "rng": 0}
    with pytest.warns(RuntimeWarning, match="diverged"):
        many = fit_many(SPEC, X, Y, params=start, **settings)
    others = np.flatnonzero(np.arange(80) % 3)
    alone = fit_many(SPEC, X, Y, params=start[others], members=others, **settings)
    assert alone.params.tobytes() == many.params[others].tobytes()


# ---------------------------------------------------------------- the ensemble
def test_an_ensemble_is_a_sequence_of_networks():
    many = fit_many(SPEC, X, Y, members=5, epochs=2, rng=0)
    assert len(many) == 5
    assert isinstance(many[3], MLP)
    assert np.array_equal(many[-1].params, many.params[-1])
    assert np.shares_memory(many[1].params, many.params)
    assert isinstance(many[1:3], Ensemble)
    assert np.array_equal(many[1:3].loss, many.loss[1:3])
    assert [net.spec for net in many] == [SPEC] * 5
    assert repr(many[:1]).startswith("<Ensemble of 1 member: <MLP")
    assert repr(many.records) == "<Records: 5 members, 5 finished>"
    for index, message in (
        (5, "one of 5 members; got 5"),
        (-6, "got -6"),
        (None, "got None"),
        ([0, 5], "of 5 members"),
    ):
        with pytest.raises(IndexError, match=f"an index must be .*{message}"):
            many[index]
    outputs = many.predict(X)
    assert outputs.shape == (5, N, 2)
    assert np.array_equal(outputs[2], many[2].predict(X))
    np.testing.assert_allclose(many.mean(X), outputs.mean(0))
    np.testing.assert_allclose(many.std(X), outputs.std(0))
    np.testing.assert_allclose(many.quantile(X, [0.1, 0.5]), np.quantile(outputs, [0.1, 0.5], axis=0))
    assert np.array_equal(many.best(2).loss, np.sort(many.loss)[:2])
    with pytest.raises(ValueError, match="n must be at most the number of members, 5; got 6"):
        many.best(6)
    with pytest.raises(ValueError, match="q must be numbers from 0 to 1"):
        many.quantile(X, 2)
    with pytest.raises(TypeError, match="q must be an array of real numbers of any shape; got 'half'"):
        many.quantile(X, "half")


@pytest.mark.parametrize("size", [1e-25, 1e20])
def test_the_spread_of_outputs_whose_squares_float32_does_not_hold(size):
    nets = [MLP((3, 4, 2), dtype="float32", rng=k) for k in range(4)]
    many, far = (
        Ensemble(
            nets[0].spec, np.stack([net.with_scaling(np.zeros(3), np.ones(3), [0, 0], [y, y]).params for net in nets])
        )
        for y in (1.0, size)
    )
    np.testing.assert_allclose(far.std(X) / np.float32(size), many.std(X), rtol=1e-5)


def test_the_mean_of_outputs_whose_sum_float32_does_not_hold():
    spec = MLP((1, 1), dtype="float32").spec
    huge = Ensemble(spec, np.tile([0.0, 3e38], (3, 1)))
    assert huge.mean([[0.0]]) == huge.quantile([[0.0]], 0.4).astype(np.float32) == np.float32(3e38)
    many = Ensemble(spec, np.tile([0.0, 0.1], (100_000, 1)))
    assert many.mean([[0.0]]) == np.float32(0.1)
    assert Ensemble(spec, [[0.0, 3e38], [0.0, -3e38]]).quantile([[0.0]], 0.5) == 0


def test_an_ensemble_of_none_has_no_mean():
    none = Ensemble(SPEC, np.empty((0, SPEC.n_params)))
    assert none.predict(X).shape == (0, len(X), SPEC.n_out)
    for name, arguments in (("mean", ()), ("std", ()), ("quantile", (0.5,))):
        with pytest.raises(ValueError, match=f"{name} needs an ensemble with members; got one of none"):
            getattr(none, name)(X, *arguments)


def test_an_ensemble_is_saved_and_loaded(tmp_path):
    many = fit_many(SPEC, X, Y, members=5, epochs=2, rng=0, history=True)
    many.save(tmp_path / "many.npz")
    again = load(tmp_path / "many.npz")
    assert (again.spec, again.seed) == (many.spec, many.seed)
    assert again.params.tobytes() == many.params.tobytes()
    for name, array in vars(many.records).items():
        assert np.array_equal(getattr(again.records, name), array), name
    with pytest.raises(ValueError, match=r"path must end in \.npz"):
        many.save(tmp_path / "many.safetensors")


@pytest.mark.parametrize("index", [[3, 1], [0, 1], slice(2, None)])
@pytest.mark.parametrize("recorded", [True, False])
def test_the_positions_of_some_members_are_kept_in_a_file(index, recorded, tmp_path):
    many = fit_many(SPEC, X, Y, members=4, epochs=1, rng=0) if recorded else Ensemble(SPEC, params(SPEC, 4))
    some = many[index]
    some.save(tmp_path / "some.npz")
    again = load(tmp_path / "some.npz")
    assert again.positions.tolist() == some.positions.tolist()
    assert recorded == (again._records is not None)


def test_rates_momenta_and_members_may_be_columns_of_a_table():
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame({"rate": [0.1, 0.2, 0.3], "momentum": [0.0, 0.5, 0.9], "member": [4, 0, 2]})
    settings = {"epochs": 2, "rng": 0, "specialize": False}
    many = fit_many(SPEC, X, Y, members=table["member"], optimizer=SGD(table["rate"], table["momentum"]), **settings)
    rule = SGD([0.1, 0.2, 0.3], [0.0, 0.5, 0.9])
    assert many.params.tobytes() == fit_many(SPEC, X, Y, members=[4, 0, 2], optimizer=rule, **settings).params.tobytes()


def test_params_are_copied():
    start = params(SPEC, 3)
    before = start.copy()
    fit_many(SPEC, X, Y, params=start, epochs=2)
    fit_many(SPEC, X, Y, params=start, epochs=2, features=np.eye(3, dtype=bool), specialize=False)
    assert np.array_equal(start, before)


def test_diverged_members_are_the_worst_however_good_they_were():
    records = Records.blank(np.arange(3), 0, False)
    records.best[:], records.status[:] = [0.1, 0.3, 0.2], [DIVERGED, FINISHED, FINISHED]
    many = Ensemble(SPEC, params(SPEC, 3), records)
    assert many.best(3).positions.tolist() == [2, 1, 0]


def test_a_member_whose_validation_loss_was_never_finite_comes_behind_those_that_have_one():
    records = Records.blank(np.arange(4), 0, False)
    records.best[:], records.loss[:] = [5.0, np.inf, 4.0, 3.0], [5.0, 0.1, 4.0, np.nan]
    records.status[:] = [FINISHED, FINISHED, FINISHED, DIVERGED]
    many = Ensemble(SPEC, params(SPEC, 4), records)
    assert many.best(4).positions.tolist() == [2, 0, 1, 3]


# ---------------------------------------------------------------- solvers
@pytest.mark.parametrize("solver", [LevenbergMarquardt(), LBFGS()], ids=lambda rule: type(rule).__name__)
def test_a_solver_trains_each_member_as_fit_does(solver, tmp_path):
    pytest.importorskip("scipy")
    starts, settings = params(SPEC, 3), {"optimizer": solver, "epochs": 200, "l2": 0.01}
    weights = RNG.integers(1, 3, (3, N))
    many = fit_many(SPEC, X, Y, params=starts, sample_weight=weights, history=True, threads=2, **settings)
    for k, start in enumerate(starts):
        net = MLP.from_params(SPEC, start)
        history = net.fit(X, Y, sample_weight=weights[k], **settings)
        assert many[k].params.tobytes() == net.params.tobytes()
        assert many.stopped[k] == history.stopped
        assert many.records.history[k, : many.records.epochs[k]].tolist() == history.loss.tolist()
    many.save(tmp_path / "many.npz")
    assert load(tmp_path / "many.npz").stopped.tolist() == many.stopped.tolist()
    again = fit_many(SPEC, X, Y, params=many.params, sample_weight=weights, **settings)
    still = again.records.epochs == 0  # at a minimum, whose loss is that of no epoch
    assert still.any() or isinstance(solver, LBFGS)
    for k in np.flatnonzero(still):
        assert again.loss[k] == many[k].loss_and_grad(X, Y, sample_weight=weights[k], l2=0.01)[0]


@pytest.mark.parametrize("monitored", ["loss", "validation", "metric"])
def test_a_solver_that_starts_at_its_minimum_ranks_by_what_early_stopping_monitors(monitored):
    spec, settings = MLP((3, 2)).spec, {"optimizer": LevenbergMarquardt(), "early_stopping": EarlyStopping(9)}
    data = None if monitored == "loss" else (X + 0.1, Y)
    if monitored == "metric":
        settings["early_stopping"] = EarlyStopping(9, monitor="metric")
    there = fit_many(spec, X, Y, params=params(spec, 1), optimizer=LevenbergMarquardt(), epochs=50)
    starts = np.concatenate([params(spec, 1) + 100, there.params])
    many = fit_many(spec, X, Y, params=starts, epochs=1, validation_data=data, **settings)
    assert many.records.epochs.tolist() == [1, 0]
    monitor = Monitor() if data is None else Monitor(*data)
    wanted = many.loss[1] if data is None else many[1].loss_and_grad(*data)[0]
    if monitored == "metric":
        wanted = -monitor.judge(many[1].predict(data[0]), LOSSES["mse"])
    assert many.records.best[1] == wanted
    assert data is not None or many.best(1).positions.tolist() == [1]


def test_members_that_stall_are_told():
    with pytest.warns(RuntimeWarning, match="training stalled for 2 of 2 members, away from a minimum; standardise"):
        many = fit_many(
            MLP((3, 5, 2), bias=False).spec, 0 * X, Y, members=2, optimizer=LevenbergMarquardt(), epochs=9, rng=0
        )
    assert many.stopped.tolist() == ["stalled"] * 2


# ---------------------------------------------------------------- what is refused
REFUSED = [
    ({"members": None}, "members must be the number of networks to train"),
    ({"members": 0}, "members must be an integer of at least 1; got 0"),
    ({"members": [1, -1]}, "members must be a count, or the members' numbers, at least 0"),
    ({"params": np.zeros((2, 3))}, r"params must have shape \(K, 32\)"),
    ({"params": np.where(np.arange(32) == 5, np.inf, np.zeros((4, 32)))}, "params must be finite; got inf in row 0, "),
    ({"optimizer": SGD([0.1, 0.1, np.inf, 0.1])}, "learning_rate of SGD must be a finite number of at least 0; got"),
    ({"l2": [0, 1, np.inf, 0]}, "l2 must be a finite number of at least 0; got inf"),
    ({"params": np.zeros((2, 32))}, "params must have a row for each of the 4 members; got 2"),
    ({"X": np.zeros((3, N, 3))}, "X must have a block for each of the 4 members; got 3"),
    ({"sample_weight": np.zeros((4, N))}, "sample_weight must have a sum above 0; got only zeros for member 0"),
    ({"sample_weight": -np.ones((4, N))}, "sample_weight must be at least 0; got -1"),
    ({"l2": np.ones(3)}, r"l2 must be one number, or one for each of the 4 members; got \(3,\)"),
    ({"l2": [0, 1, -1, 0]}, "l2 must be a finite number of at least 0; got -1"),
    ({"optimizer": SGD(np.array([0.1, 0.2]))}, "learning_rate of SGD must be one number, or one for each of the 4"),
    ({"X": np.full((N, 3), np.nan)}, "X must be finite"),
    ({"seeds": [1, 2]}, "seeds must be integers of at least 0, one for each of the 4 members"),
    (
        {"X": np.where(np.arange(4)[:, None, None] == 2, np.nan, X)},
        "X must be finite; got nan in member 2, row 0, column 0",
    ),
    ({"seeds": range(4), "rng": 0}, "rng must be None where each member has its seed"),
    ({"chunk": 0}, "chunk must be an integer of at least 1; got 0"),
    (
        {"validation_data": (np.zeros((4, N, 3)), Y)},
        "validation_data must be one set for all members, .*; got 4 of X and 1 of y",
    ),
    (
        {"validation_data": (X, np.stack([Y] * 4))},
        "validation_data must be one set for all members, .*; got 1 of X and 4 of y",
    ),
    ({"early_stopping": EarlyStopping(0)}, "patience of EarlyStopping must be an integer of at least 1"),
    (
        {
            "early_stopping": EarlyStopping(monitor="metric"),
            "validation_data": (X, Y, np.where(np.arange(4)[:, None] == 2, np.arange(N) == 0, np.ones((4, N)))),
        },
        "monitor of EarlyStopping must be 'loss' where the targets of the validation set have no r2",
    ),
]


@pytest.mark.parametrize(("change", "message"), REFUSED, ids=lambda value: str(value)[:30])
def test_bad_arguments_are_refused(change, message):
    settings = {"spec": SPEC, "X": X, "y": Y, "members": 4, "epochs": 1} | change
    with pytest.raises(ValueError, match=message):
        fit_many(**settings)


def test_histories_that_fit_into_no_memory_are_refused():
    spec = MLP((3, 1)).spec
    with pytest.raises(ValueError, match=r"epochs must be at most .*, as more do not fit into the memory of"):
        fit_many(spec, np.ones((4, 3)), np.ones((4, 1)), members=10**6, epochs=10**6, history=True)


def test_a_spec_is_needed():
    with pytest.raises(TypeError, match=r"spec must be a NetworkSpec, such as net.spec; got"):
        fit_many(MLP((3, 5, 2)), X, Y, members=2, epochs=1)


# ---------------------------------------------------------------- memory
MILLION = """
    import resource
    import numpy as np
    from fastnn import MLP, SGD, fit_many

    X, y = np.array([[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1.0]]), np.array([0.0, 1, 1, 0])
    def run(members):
        return fit_many(MLP.tutorial().spec, X, y, members=members, loss="sse", optimizer=SGD(1.0), epochs=10, rng=0)

    run(100)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    many = run(1_000_000)
    results = many.params.nbytes + sum(array.nbytes for array in vars(many.records).values())
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, results // 1024)
"""


@pytest.mark.slow
def test_a_million_members_take_little_more_than_their_results():
    pytest.importorskip("resource")
    output = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(MILLION)], capture_output=True, text=True, check=True
    ).stdout
    grown, results = map(int, output.split())
    assert grown < results + 2**20  # both in KiB


# ---------------------------------------------------------------- some of the features
@pytest.mark.parametrize("dtype", ["float64", pytest.param("float32", marks=pytest.mark.slow)])
def test_members_see_their_own_features(dtype):
    """As if the others were not there, whatever moves weights: a penalty, a bound, an optimizer that decays them."""
    spec, k = MLP((3, 5, 2), dtype=dtype).spec, 20
    features = np.random.default_rng(1).random((k, 3)) < 0.5
    features[~features.any(axis=1), 0] = True
    start, settings = params(spec, k), {"optimizer": AdamW(0.05), "l2": 0.1, "max_grad_norm": 0.2, "batch_size": 3}
    many = fit_many(spec, X, Y, params=start, features=features, epochs=4, rng=1, specialize=True, **settings)
    other = fit_many(spec, X, Y, params=start, features=features, epochs=4, rng=1, specialize=False, **settings)
    close(many.params, other.params, dtype)
    for i in range(k):
        own = start[i].copy()
        spec.weights(own)[0][~features[i]] = 0
        masked = fit_many(
            spec, np.where(features[i], X, 0), Y, params=own[None], members=[i], epochs=4, seeds=None, rng=1,
            specialize=False, **settings,
        )  # fmt: skip
        close(many.params[i], masked.params[0], dtype)
        assert not spec.weights(many.params[i])[0][~features[i]].any()


def test_features_are_refused_in_a_sentence():
    settings = {"members": 2, "epochs": 1}
    with pytest.raises(TypeError, match=r"features must be an array of bool of shape \(2, 3\); got"):
        fit_many(SPEC, X, Y, features=np.ones((2, 3)), **settings)
    with pytest.raises(ValueError, match=r"features must be an array of bool of shape \(2, 3\); got"):
        fit_many(SPEC, X, Y, features=np.ones((3, 3), bool), **settings)
    with pytest.raises(ValueError, match="features must leave each member at least one; got none for member 1"):
        fit_many(SPEC, X, Y, features=[[True] * 3, [False] * 3], **settings)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_many_rows_are_summarised_block_by_block_to_the_same_bits(dtype):
    rng = np.random.default_rng(0)
    net = MLP((2, 5, 3), dtype=dtype, rng=0)
    many, X = Ensemble(net.spec, rng.normal(size=(200, net.params.size)).astype(dtype)), rng.normal(size=(10_001, 2))
    outputs, q = many.predict(X), np.array([[0.1, 0.5]])
    tracemalloc.start()
    mean, std = many.mean(X), many.std(X)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < outputs.size * 8, "neither all outputs at once nor as many squares in double precision"
    assert mean.tobytes() == mean_of(outputs).tobytes()
    assert std.tobytes() == std_of(outputs).tobytes()
    assert many.quantile(X, q).tobytes() == quantiles_of(outputs, q).tobytes()
