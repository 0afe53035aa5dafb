"""Validation, early stopping and ReduceOnPlateau: the same on both twins, resumed to the same bits."""

import time

import numpy as np
import pytest

from fastnn import MLP, SGD, Adam, EarlyStopping, LevenbergMarquardt
from fastnn.checks import check_job, check_monitor
from fastnn.jobs.monitor import Monitor
from fastnn.reference import random
from fastnn.settings import catalogue
from fastnn.settings.schedules import Cosine, ReduceOnPlateau
from fastnn.training import fit as training
from fastnn.training.holding_out import hold_out

RNG = np.random.default_rng(0)
X, X_OTHER = RNG.normal(size=(40, 3)), RNG.normal(size=(300, 3))  # more than a block of the kernels


def problem(loss, dtype="float64", labels=False, n_out=3):
    """A network that goes with a loss, and targets for any X."""
    row = catalogue.LOSSES[loss]
    net = MLP((3, 9, row.outputs_per_target * n_out), output_activation=row.logits_of or "identity", rng=0, dtype=dtype)

    def targets(X):
        raw = np.sin(2 * X) @ np.array([[1.0, -1, 0.5], [0.3, 1, 1], [-1, 0.2, 0.7]])[:, :n_out]
        if loss == "cross_entropy":
            return raw.argmax(1) if labels else np.eye(n_out)[raw.argmax(1)]
        if loss == "binary_cross_entropy":
            return (raw > 0).astype(float)
        return np.exp(raw).round() if loss == "poisson" else raw

    return net, targets


def r2(outputs, y, weight):
    mean = np.average(y, axis=0, weights=weight)
    return np.mean(1 - weight @ (outputs - y) ** 2 / (weight @ (y - mean) ** 2))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("loss", "labels"), [(loss, False) for loss in catalogue.LOSSES] + [("cross_entropy", True)])
def test_validation_loss_and_metric_are_those_of_the_network_after_each_epoch(loss, labels, weighted, dtype, backend):
    net, targets = problem(loss, dtype, labels)
    weight = RNG.random(300) if weighted else np.ones(300)
    y = targets(X_OTHER)
    data = (X_OTHER, y, weight) if weighted else (X_OTHER, y)
    settings = {"loss": loss, "batch_size": 16, "optimizer": Adam(0.01), "backend": backend, "delta": 0.5, "l2": 0.1}
    expected, metrics = [], []
    step, state = net.copy(), None
    for _ in range(3):
        rng = None if state is not None else 4
        state = step.fit(X, targets(X), epochs=1, state=state, rng=rng, **settings).state
        expected.append(
            step.loss_and_grad(
                X_OTHER, y, loss, sample_weight=weight if weighted else None, delta=0.5, backend="numpy"
            )[0]
        )
        outputs = step.predict(X_OTHER, backend="numpy").astype(float)
        if catalogue.LOSSES[loss].metric == "r2":
            metrics.append(r2(outputs[:, :3], y, weight))
        elif loss == "cross_entropy":
            metrics.append(np.average(outputs.argmax(1) == (y if labels else y.argmax(1)), weights=weight))
        else:
            metrics.append(np.average(((outputs > 0.5) == (y > 0.5)).all(1), weights=weight))

    history = net.fit(X, targets(X), epochs=3, rng=4, validation_data=data, **settings)
    tolerance = 1e-12 if dtype == "float64" else 1e-5
    np.testing.assert_allclose(history.validation_loss, expected, rtol=tolerance)
    np.testing.assert_allclose(history.validation_metric, metrics, rtol=10 * tolerance, atol=tolerance)
    assert history.metric == catalogue.LOSSES[loss].metric
    assert net.params.tobytes() == step.params.tobytes()  # looking changes nothing


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(
    ("output", "loss", "right"), [("softmax", "cross_entropy", 0), ("sigmoid", "binary_cross_entropy", 0.0)]
)
def test_the_first_of_equal_outputs_is_the_class_and_one_half_is_no(output, loss, right, dtype, backend):
    net, samples = MLP((3, 3), output_activation=output, dtype=dtype), X[:10]
    net.params = np.zeros(12)
    settings = {"loss": loss, "optimizer": SGD(0.0), "epochs": 1, "backend": backend}
    for answer, metric in ((right, 1.0), (right + 1, 0.0)):
        y = np.full(10, answer) if loss == "cross_entropy" else np.full((10, 3), answer)
        for weights in (None, np.linspace(0.1, 0.7, 10)):
            history = net.copy().fit(samples, y, validation_data=(samples, y, weights), **settings)
            assert history.validation_metric == [metric]


RUNS = [
    {"validation_fraction": 0.3},
    {"validation_fraction": 0.3, "early_stopping": EarlyStopping(3, 1e-3)},
    {"validation_fraction": 0.3, "early_stopping": EarlyStopping(2, 1e-3, "metric")},
    {"early_stopping": EarlyStopping(3, 5e-3, restore_best=False)},
    {"optimizer": SGD(ReduceOnPlateau(0.2, 0.5, 2, 1e-2, 1, 1e-3), 0.9), "validation_fraction": 0.3},
    {"optimizer": Adam(ReduceOnPlateau(0.05, 0.3, 1, 1e-2)), "early_stopping": EarlyStopping(6, 1e-2)},
]


def compare(one, other, tolerance):
    """Two histories that differ by rounding."""
    assert one.epochs == other.epochs
    assert (one.stopped, one.best_epoch) == (other.stopped, other.best_epoch)
    np.testing.assert_allclose(one.loss, other.loss, rtol=tolerance)
    np.testing.assert_allclose(one.learning_rate, other.learning_rate, rtol=1e-15)
    if one.validation_loss is not None:
        np.testing.assert_allclose(one.validation_loss, other.validation_loss, rtol=tolerance)
        np.testing.assert_allclose(one.validation_metric, other.validation_metric, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("run", RUNS, ids=str)
@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
def test_both_twins_decide_the_same(loss, run, dtype):
    net, targets = problem(loss, dtype, labels=True)
    settings = {"epochs": 60, "loss": loss, "batch_size": 9, "rng": 1, "optimizer": Adam(0.03)} | run
    nets = {backend: net.copy() for backend in ("numpy", "numba")}
    one, other = (nets[backend].fit(X, targets(X), backend=backend, **settings) for backend in nets)
    tolerance = 1e-9 if dtype == "float64" else 2e-3
    compare(one, other, tolerance)
    np.testing.assert_allclose(nets["numba"].params, nets["numpy"].params, rtol=tolerance, atol=tolerance)


def test_early_stopping_by_hand(backend):
    net, targets = problem("mse")
    history = net.fit(
        X, targets(X), epochs=500, optimizer=SGD(0.1), early_stopping=EarlyStopping(3, 0.02), backend=backend, rng=0
    )
    loss = history.loss
    waited, best = 0, np.inf
    for epoch, value in enumerate(loss):
        waited = 0 if value < best - 0.02 else waited + 1
        best = min(best, value)
        assert (waited == 3) == (epoch == len(loss) - 1)
    assert history.stopped == "early"
    assert history.best_epoch == int(np.argmin(loss))
    assert "stopped early" in repr(history)


def test_reduce_on_plateau_by_hand(backend):
    net, targets = problem("mse")
    rule = ReduceOnPlateau(0.2, 0.5, patience=2, min_improvement=0.02, cooldown=3, min_rate=0.03)
    history = net.fit(X, targets(X), epochs=60, optimizer=SGD(rule), backend=backend, rng=0)
    rate, best, waited, cooldown, expected = 0.2, np.inf, 0, 0, []
    for value in history.loss:
        expected.append(rate)
        if value < best - 0.02:
            waited = 0
        elif cooldown == 0:
            waited += 1
        cooldown = max(cooldown - 1, 0)
        best = min(best, value)
        if waited == 2:
            rate, waited, cooldown = max(rate * 0.5, 0.03), 0, 3
    np.testing.assert_allclose(history.learning_rate, expected, rtol=1e-15)
    assert {0.2, 0.1, 0.05, 0.03} == set(np.round(history.learning_rate, 12))


def test_a_loss_that_stays_the_same_is_no_improvement(backend):
    """Whatever the rate, so small that no step changes a weight."""
    net, targets = problem("mse")
    settings = {"epochs": 10, "backend": backend}
    history = net.fit(X, targets(X), optimizer=SGD(1e-30), early_stopping=EarlyStopping(3), **settings)
    assert (history.stopped, history.epochs, history.best_epoch) == ("early", 4, 0)
    rule = ReduceOnPlateau(1e-30, 0.5, patience=3, min_improvement=0.0)
    history = net.fit(X, targets(X), optimizer=SGD(rule), **settings)
    np.testing.assert_allclose(history.learning_rate, 1e-30 * np.repeat([1, 0.5, 0.25], [4, 3, 3]))


@pytest.mark.parametrize("restore", [True, False])
def test_the_best_weights_come_back(restore, backend):
    net, targets = problem("mse")
    data = X_OTHER, targets(X_OTHER)
    settings = {"epochs": 200, "optimizer": SGD(0.4, 0.9), "rng": 0, "backend": backend, "validation_data": data}
    history = net.fit(X, targets(X), early_stopping=EarlyStopping(5, restore_best=restore), **settings)
    assert history.stopped == "early"
    assert history.best_epoch < history.epochs - 1
    loss = net.loss_and_grad(*data, backend="numpy")[0]
    kept = history.best_epoch if restore else history.epochs - 1
    assert loss == pytest.approx(history.validation_loss[kept], rel=1e-12)
    assert history.best_epoch == np.argmin(history.validation_loss)


def test_the_best_weights_come_back_where_a_callback_ends_the_run(backend):
    net, targets = problem("mse")
    whole, data = net.copy(), (X_OTHER, targets(X_OTHER))
    settings = {"optimizer": SGD(0.4, 0.9), "backend": backend, "validation_data": data}
    settings["early_stopping"] = EarlyStopping(5)
    expected = whole.fit(X, targets(X), epochs=200, rng=0, **settings)
    last = expected.epochs - 2
    first = net.fit(X, targets(X), epochs=200, rng=0, callback=lambda epoch: epoch.number == last, **settings)
    assert first.stopped == "callback"
    assert first.best_epoch == expected.best_epoch < last
    assert net.params.tobytes() == whole.params.tobytes()
    second = net.fit(X, targets(X), epochs=5, state=first.state, **settings)
    assert second.stopped == "early"
    assert second.state.last.tobytes() == expected.state.last.tobytes()


def test_a_run_that_gave_its_best_weights_goes_on_from_its_last(backend):
    net, targets = problem("mse")
    whole, data = net.copy(), (X_OTHER, targets(X_OTHER))
    settings = {"optimizer": SGD(0.4, 0.9), "backend": backend, "validation_data": data}
    expected = whole.fit(X, targets(X), epochs=14, rng=0, **settings)
    settings["early_stopping"] = EarlyStopping(100)
    first = net.fit(X, targets(X), epochs=9, rng=0, **settings)
    assert (first.stopped, first.best_epoch) == ("finished", np.argmin(first.validation_loss))
    assert first.best_epoch < 8
    best = net.params.copy()
    second = net.fit(X, targets(X), epochs=5, state=first.state, **settings)
    np.testing.assert_array_equal(second.loss, expected.loss[9:])
    assert second.best_epoch == np.argmin(expected.validation_loss)
    assert (second.best_epoch == first.best_epoch) == np.array_equal(net.params, best)


def test_where_a_run_went_on_from_its_last_weights_the_next_one_does_not_go_back_to_them(backend):
    net, targets = problem("mse")
    whole, data = net.copy(), (X_OTHER, targets(X_OTHER))
    settings = {"optimizer": SGD(0.4, 0.9), "backend": backend, "validation_data": data}
    expected = whole.fit(X, targets(X), epochs=14, rng=0, **settings)
    state = net.fit(X, targets(X), epochs=9, rng=0, early_stopping=EarlyStopping(100), **settings).state
    assert state.last is not None
    losses = []
    for epochs in (2, 3):
        history = net.fit(X, targets(X), epochs=epochs, state=state, **settings)
        losses, state = [*losses, *history.loss], history.state
    np.testing.assert_array_equal(losses, expected.loss[9:])
    assert net.params.tobytes() == whole.params.tobytes()


def test_a_run_that_went_on_and_diverged_has_the_last_weights_of_the_run_before(backend):
    net, targets = problem("mse")
    settings = {"optimizer": SGD(0.4, 0.9), "backend": backend, "early_stopping": EarlyStopping(100)}
    settings["validation_data"] = X_OTHER, targets(X_OTHER)
    first = net.fit(X, targets(X), epochs=9, rng=0, **settings)
    assert first.best_epoch < 8
    with pytest.warns(RuntimeWarning, match="training diverged in epoch 0"):
        net.fit(X, 1e200 * targets(X), epochs=5, state=first.state, **settings)
    assert net.params.tobytes() == first.state.last.tobytes()


def test_a_best_epoch_whose_parameters_were_not_kept_is_forgotten(backend):
    net, targets = problem("mse")
    data = X_OTHER, targets(X_OTHER)
    settings = {"optimizer": SGD(0.4, 0.9), "backend": backend, "validation_data": data}
    stop = EarlyStopping(5, restore_best=False)
    first = net.fit(X, targets(X), epochs=200, rng=0, early_stopping=stop, **settings)
    second = net.fit(X, targets(X), epochs=4, state=first.state, early_stopping=EarlyStopping(5), **settings)
    assert first.best_epoch < first.epochs - 1
    assert second.best_epoch == first.epochs + np.argmin(second.validation_loss)
    assert net.loss_and_grad(*data, backend="numpy")[0] == pytest.approx(second.validation_loss.min(), rel=1e-12)


@pytest.mark.parametrize("run", RUNS, ids=str)
@pytest.mark.parametrize("stop_after", [1, 4, 7])
def test_resuming_equals_the_run_that_did_not_stop(run, stop_after, backend):
    whole, targets = problem("mse")
    parts = whole.copy()
    settings = {"batch_size": 9, "optimizer": Adam(0.003), "backend": backend} | run
    expected = whole.fit(X, targets(X), epochs=12, rng=1, **settings)
    first = parts.fit(X, targets(X), epochs=min(stop_after, expected.epochs), rng=1, **settings)
    if first.stopped == "finished" and expected.epochs > stop_after:
        second = parts.fit(X, targets(X), epochs=12 - stop_after, state=first.state, **settings)
        assert np.array_equal(np.concatenate([first.loss, second.loss]), expected.loss)
        assert np.array_equal(np.concatenate([first.learning_rate, second.learning_rate]), expected.learning_rate)
        assert second.best_epoch == expected.best_epoch
        assert second.state.monitor_state.tobytes() == expected.state.monitor_state.tobytes()
    assert parts.params.tobytes() == whole.params.tobytes()


@pytest.mark.parametrize("run", [*RUNS, {}, {"batch_size": 40, "optimizer": LevenbergMarquardt()}], ids=str)
def test_room_for_epochs_is_made_as_they_come(run, backend, monkeypatch):
    whole, targets = problem("mse")
    parts = whole.copy()
    settings = {"epochs": 12, "batch_size": 9, "optimizer": Adam(Cosine(0.01, 9)), "backend": backend, "rng": 1} | run
    expected = whole.fit(X, targets(X), **settings)
    monkeypatch.setattr(training, "FIRST_ROOM", 2)
    history = parts.fit(X, targets(X), **settings)
    assert parts.params.tobytes() == whole.params.tobytes()
    for name in ("loss", "learning_rate", "validation_loss", "validation_metric"):
        expected_values = getattr(expected, name)
        if expected_values is not None:
            assert getattr(history, name).tobytes() == expected_values.tobytes(), name
    assert history.state.monitor_state.tobytes() == expected.state.monitor_state.tobytes()


def test_who_asks_for_very_many_epochs_waits_for_none_of_them():
    net, targets = problem("mse")
    begin = time.perf_counter()
    history = net.fit(X, targets(X), epochs=3 * 10**8, early_stopping=EarlyStopping(1, 10.0), batch_size=9)
    assert history.epochs == 2
    assert time.perf_counter() - begin < 1.5  # 4.8 GB of losses and rates take longer


@pytest.mark.parametrize("run", RUNS, ids=str)
def test_a_callback_at_each_epoch_changes_no_bit(run, backend):
    whole, targets = problem("mse")
    told, parts = [], whole.copy()
    settings = {"epochs": 12, "batch_size": 9, "optimizer": Adam(0.003), "backend": backend, "rng": 1} | run
    expected = whole.fit(X, targets(X), **settings)
    history = parts.fit(X, targets(X), callback=told.append, **settings)
    assert parts.params.tobytes() == whole.params.tobytes()
    assert [epoch.number for epoch in told] == list(range(history.epochs))
    assert [epoch.loss for epoch in told] == list(expected.loss)
    assert [epoch.learning_rate for epoch in told] == list(expected.learning_rate)
    validation = None if expected.validation_loss is None else list(expected.validation_loss)
    assert [epoch.validation_loss for epoch in told] == (validation or [None] * history.epochs)
    assert expected.stopped == history.stopped


def test_a_callback_is_called_once_in_an_epoch_of_many_calls(backend, monkeypatch):
    monkeypatch.setattr(training, "_first_steps", lambda job, backend: 1)
    net, targets = problem("mse")
    told = []
    net.fit(X, targets(X), epochs=3, batch_size=5, callback=lambda epoch: told.append(epoch.number), backend=backend)
    assert told == [0, 1, 2]


def test_a_callback_may_change_the_labels_it_gave_for_validation(backend):
    net, targets = problem("cross_entropy", labels=True)
    labels, seen = targets(X_OTHER), []
    settings = {"loss": "cross_entropy", "epochs": 3, "rng": 0, "backend": backend}
    expected = net.copy().fit(X, targets(X), validation_data=(X_OTHER, labels.copy()), **settings)

    def callback(epoch):
        seen.append(epoch.validation_loss)
        labels[:] = (labels + 1) % 3

    net.fit(X, targets(X), validation_data=(X_OTHER, labels), callback=callback, **settings)
    np.testing.assert_array_equal(seen, expected.validation_loss)


def test_a_callback_may_end_the_run(backend):
    net, targets = problem("mse")
    history = net.fit(X, targets(X), epochs=50, callback=lambda epoch: epoch.number == 4, backend=backend)
    assert (history.epochs, history.stopped) == (5, "callback")
    assert "stopped by the callback" in repr(history)
    with pytest.raises(TypeError, match="what callback returns must be True or False; got 3"):
        net.fit(X, targets(X), epochs=2, callback=lambda epoch: 3, backend=backend)


# ---------------------------------------------------------------- holding out
def test_the_samples_held_out_are_not_trained_on(backend):
    net, targets = problem("mse")
    y = targets(X)
    history = net.copy().fit(X, y, epochs=3, rng=5, validation_fraction=0.25, backend=backend, shuffle=False)
    held = np.array([row for row in range(40) if _is_held_out(net, y, row, backend)])
    assert len(held) == 10
    rest = np.setdiff1d(np.arange(40), held)
    one = net.copy()
    other = one.fit(
        X[rest], y[rest], epochs=3, rng=5, validation_data=(X[held], y[held]), backend=backend, shuffle=False
    )
    np.testing.assert_array_equal(other.loss, history.loss)
    np.testing.assert_array_equal(other.validation_loss, history.validation_loss)


def _is_held_out(net, y, row, backend):
    """Whether a target that is far away leaves the loss of the training samples alone."""
    far = y.copy()
    far[row] += 1000
    return net.copy().fit(X, far, epochs=1, rng=5, validation_fraction=0.25, backend=backend).loss[0] < 1000


def _held_out(net, samples, y, loss, fraction, seed, member=0):
    """The job's two parts: what is trained on, and its monitor."""
    settings = {"optimizer": Adam(), "batch_size": None, "shuffle": True, "sample_weight": None, "l2": 0.0}
    job = check_job(net.spec, net.params, samples, y, loss=loss, delta=1.0, max_grad_norm=None, **settings)
    job.monitor = check_monitor(job, None, fraction, None)
    job.member = member
    split = hold_out(job, seed)
    return split, split.monitor


@pytest.mark.parametrize("labels", [True, False])
def test_classes_are_held_out_in_proportion(labels):
    net, _ = problem("cross_entropy")
    classes = RNG.permutation(np.repeat([0, 1, 2], [20, 40, 60]))
    samples = np.c_[classes, np.zeros((120, 2))]
    seen = {}
    for seed in (1, 2):
        y = classes if labels else np.eye(3)[classes]
        split, monitor = _held_out(net, samples, y, "cross_entropy", 0.25, seed)
        np.testing.assert_array_equal(np.bincount(monitor.X[:, 0].astype(int)), [5, 10, 15])
        assert len(split.X) == split.batch_size == 90
        seen[seed] = monitor.X[:, 0].tobytes(), split.X[:, 0].tobytes()
    assert seen[1] != seen[2]


@pytest.mark.parametrize("certainty", [1.0, 0.6])
@pytest.mark.parametrize("n_out", [1, 2])
def test_yes_and_no_are_held_out_in_proportion(n_out, certainty):
    net, answers = MLP((1, n_out), output_activation="sigmoid", rng=0), np.repeat([0.0, 1.0], [20, 60])
    y = 0.5 + certainty * (np.tile(answers[:, None], n_out) - 0.5)
    of_yes = set()
    for seed in range(9):
        _, monitor = _held_out(net, answers[:, None], y, "binary_cross_entropy", 0.25, seed)
        assert len(monitor.y) == 20
        of_yes.add(np.count_nonzero(monitor.y[:, 0] > 0.5))
    assert (of_yes == {15}) == (n_out == 1)  # answers to several questions make no classes


def test_the_seed_and_the_member_say_which_samples_are_held_out(backend):
    net, targets = problem("mse")
    y, one, seen = targets(X), net.copy(), set()
    history = one.fit(X, y, epochs=2, rng=7, validation_fraction=0.25, shuffle=False, backend=backend)
    split, monitor = _held_out(net, X, y, "mse", 0.25, history.state.seed)
    draws = random.bits(random.key(history.state.seed, 0, random.HELD_OUT_EPOCH), np.arange(40, dtype=np.uint64))
    held = np.isin(np.arange(40), np.argsort(draws)[3::4])
    np.testing.assert_array_equal(monitor.X, X[held])
    np.testing.assert_array_equal(split.X, X[~held])
    assert net.copy().fit(
        X[~held], y[~held], epochs=2, validation_data=(X[held], y[held]), shuffle=False, backend=backend
    ).validation_loss == pytest.approx(history.validation_loss, rel=1e-12)
    for seed, member in ((1, 0), (2, 0), (1, 1)):
        split, _ = _held_out(net, X, y, "mse", 0.25, seed, member=member)
        seen.add(split.X.tobytes())
    assert len(seen) == 3


SIDES = [
    ({"sample_weight": "held"}, "sample_weight must have a sum above 0 on both sides .* for the samples held out"),
    ({"sample_weight": "rest"}, "sample_weight must have a sum above 0 on both sides .* for the samples trained on"),
    ({"y": "held"}, "y must hold a target that is not NaN on both sides .* for the samples held out"),
    ({"y": "rest"}, "y must hold a target that is not NaN on both sides .* for the samples trained on"),
    ({"X": "held"}, "X must be finite; got nan in row 0"),
    ({"X": "rest"}, "X must be finite; got nan in row 0"),
]


@pytest.mark.parametrize(("nothing", "message"), SIDES, ids=str)
def test_either_side_must_have_something(nothing, message, backend):
    """`nothing` says what lacks numbers on which of the sides."""
    ((name, side),) = nothing.items()
    net, targets = problem("mse")
    data = {"X": X.copy(), "y": targets(X), "sample_weight": np.ones(40)}
    history = net.copy().fit(**data, epochs=1, rng=5, validation_fraction=0.25, backend=backend)
    _, monitor = _held_out(net, X, data["y"], "mse", 0.25, history.state.seed)
    rows = np.isin(X[:, 0], monitor.X[:, 0]) == (side == "held")
    data[name][rows] = 0 if name == "sample_weight" else np.nan
    with pytest.raises(ValueError, match=message):
        net.fit(**data, epochs=1, rng=5, validation_fraction=0.25, targets="masked", backend=backend)


def test_a_metric_is_needed_of_what_is_held_out(backend):
    net, targets = problem("mse")
    settings = {"epochs": 1, "rng": 5, "validation_fraction": 0.25, "backend": backend}
    y = targets(X)
    history = net.copy().fit(X, y, **settings)
    _, monitor = _held_out(net, X, y, "mse", 0.25, history.state.seed)
    y[np.isin(X[:, 0], monitor.X[:, 0])] = 1.0
    with pytest.raises(ValueError, match="monitor of EarlyStopping must be 'loss' where the targets"):
        net.fit(X, y, early_stopping=EarlyStopping(monitor="metric"), **settings)


@pytest.mark.parametrize(("n", "fraction", "held"), [(100, 0.29, 29), (100, 0.57, 57), (3, 1 / 3, 1), (10, 0.29, 2)])
def test_a_fraction_counts_as_it_is_written(n, fraction, held):
    """100 times 0.29 is less than 29 in float64."""
    samples = np.arange(float(n))[:, None]
    split, monitor = _held_out(MLP((1, 1), rng=0), samples, samples, "mse", fraction, 0)
    assert (len(split.X), len(monitor.X)) == (n - held, held)


BAD = [
    ({"validation_fraction": 0.5, "validation_data": (X, X)}, ValueError, "validation_fraction must be None where"),
    ({"validation_fraction": 1.0}, ValueError, r"validation_fraction must be a number in \(0, 1\); got 1.0"),
    ({"validation_fraction": 1 - 1e-12}, ValueError, "validation_fraction must leave samples on both sides of 40; got"),
    (
        {"validation_fraction": 0.001},
        ValueError,
        "validation_fraction must leave samples on both sides of 40; got",
    ),
    ({"validation_data": X}, TypeError, r"validation_data must be \(X, y\) or \(X, y, sample_weight\); got an array"),
    ({"validation_data": (X, X[:5])}, ValueError, "validation_data: y must have shape"),
    ({"validation_data": (X * np.nan, X)}, ValueError, "validation_data: X must be finite; got nan in row 0"),
    ({"early_stopping": 5}, TypeError, "early_stopping must be a fastnn.EarlyStopping or None; got 5"),
    ({"early_stopping": EarlyStopping(0)}, ValueError, "patience of EarlyStopping must be an integer of at least 1"),
    (
        {"early_stopping": EarlyStopping(monitor="metric")},
        ValueError,
        "monitor of EarlyStopping must be 'loss' with",
    ),
    (
        {"early_stopping": EarlyStopping(monitor="los")},
        ValueError,
        "monitor of EarlyStopping must be one of loss, metric",
    ),
]


@pytest.mark.parametrize(("settings", "error", "message"), BAD)
def test_bad_settings_are_refused(settings, error, message):
    with pytest.raises(error, match=message):
        MLP((3, 3)).fit(X, X, epochs=1, **settings)


def test_a_long_tiny_run_with_early_stopping_is_few_calls(backend, monkeypatch):
    calls = []
    following = training._Run.next_epochs
    monkeypatch.setattr(training._Run, "next_epochs", lambda *arguments: calls.append(1) or following(*arguments))
    _, targets = problem("mse")
    settings = {
        "validation_fraction": 0.3,
        "early_stopping": EarlyStopping(10**6),
        "backend": backend,
        "specialize": False,
    }
    history = MLP((3, 5, 3), rng=0).fit(
        X, targets(X), epochs=2000 if backend == "numba" else 100, optimizer=SGD(1e-3), **settings
    )
    assert history.stopped == "finished"
    assert len(calls) < 30


@pytest.mark.parametrize("size", [1e-200, 1e-160, 1.2e154, 1e200])
def test_a_target_whose_squared_differences_vanish_or_overflow_does_not_count(size):
    y = np.array([[0.0, 1], [size, 2], [0, 3]])
    assert Monitor(X=y, y=y).shares.tolist() == [0, 0.5]
    assert np.isnan(Monitor(X=y, y=y[:, :1]).shares).all()


def test_a_target_that_varies_in_rows_of_no_weight_alone_has_no_r2():
    y, weight = np.full((10, 1), 0.3), np.ones(10)
    y[3], weight[3] = 5.0, 0.0
    assert np.average(y[:, 0], weights=weight) != 0.3  # by rounding, of which no r2 is made
    assert np.isnan(Monitor(X=y, y=y, sample_weight=weight).shares).all()


def test_errors_whose_squares_float32_does_not_hold_have_their_r2(backend):
    y = np.array([[1e-25], [2e-25], [4e-25]])
    net = MLP((1, 1), dtype="float32", rng=0)
    net.params = [0, 0]
    history = net.fit(y, y, epochs=1, optimizer=SGD(0.0), validation_data=(y, y), backend=backend)
    assert history.validation_metric[0] == pytest.approx(r2(0, y[:, 0], np.ones(3)), rel=1e-6)


def test_a_target_without_r2_leaves_that_of_the_others(backend):
    X, y = np.random.default_rng(0).normal(size=(2, 9, 2))
    r2 = []
    for size in (1.0, 1e200):
        y[0, 0] = size
        net = MLP((2, 2), rng=0)
        r2.append(net.fit(X, X, epochs=1, validation_data=(X, y), backend=backend).validation_metric[0])
    error = ((net.predict(X) - y)[:, 1] ** 2).sum() / ((y - y.mean(axis=0))[:, 1] ** 2).sum()
    assert np.isclose(r2[1], 1 - error, rtol=1e-12)
    assert np.isfinite(r2).all()


def test_a_run_of_no_epoch_has_no_best_epoch():
    net, y = MLP((3, 1), rng=0), np.sin(X[:, 0])
    stopping = EarlyStopping(60, restore_best=False)
    for _ in range(2):
        settings = {"optimizer": LevenbergMarquardt(), "epochs": 60, "early_stopping": stopping}
        history = net.fit(X, y, validation_data=(X, y), **settings)
        assert history.stopped == "converged"
    assert (history.epochs, history.best_epoch) == (0, None)


@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
def test_batches_from_a_callable_are_validated_as_those_of_arrays(loss, monkeypatch):
    net, targets = problem(loss)
    times, spread = [], Monitor.shares.func
    monkeypatch.setattr(Monitor.shares, "func", lambda monitor: times.append(monitor) or spread(monitor))
    batch = X_OTHER, targets(X_OTHER)
    settings = {"loss": loss, "epochs": 5, "validation_data": batch}
    of_arrays = net.copy().fit(*batch, batch_size=len(X_OTHER), specialize=False, **settings)
    times.clear()
    of_callable = net.copy().fit(lambda: [batch], **settings)
    assert of_callable.validation_loss.tolist() == of_arrays.validation_loss.tolist()
    assert of_callable.validation_metric.tolist() == of_arrays.validation_metric.tolist()
    assert len(times) == (loss == "mse")  # not in each epoch
