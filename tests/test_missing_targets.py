"""Targets that are missing: they take no part, on any path, and never by accident."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
from numba import njit

import fastnn
from fastnn.settings import catalogue

RNG = np.random.default_rng(0)
N = 21
X, COMPLETE = RNG.uniform(-1, 1, (N, 2)), RNG.uniform(0.1, 0.9, (N, 3))
Y = np.where(RNG.random((N, 3)) < 0.4, np.nan, COMPLETE)
Y[3], Y[5] = np.nan, COMPLETE[5]  # a whole row, and none of one
WEIGHT = RNG.integers(1, 4, N) / 2
LOSSES = [name for name, row in catalogue.LOSSES.items() if row.may_be_masked]


def network(loss, n_targets=3, dtype="float64"):
    row = catalogue.LOSSES[loss]
    output = row.logits_of or "identity"
    return fastnn.MLP((2, 5, row.outputs_per_target * n_targets), output_activation=output, dtype=dtype, rng=0)


def one_by_one(net, loss, weight):
    """Loss and gradient from each present target alone: the weighted sum over them, or their weighted mean."""
    row, value, gradient, total = catalogue.LOSSES[loss], 0.0, np.zeros_like(net.params), 0.0
    for i, j in zip(*np.nonzero(~np.isnan(Y)), strict=True):
        weights = net.weights[-1], net.biases[-1]
        columns = np.arange(j, net.spec.n_out, 3)
        alone = network(loss, 1)
        alone.params = np.concatenate(
            [net.weights[0].ravel(), net.biases[0], weights[0][:, columns].ravel(), weights[1][columns]]
        )
        its_value, its_gradient = alone.loss_and_grad(X[i : i + 1], Y[i : i + 1, j : j + 1], loss, backend="numpy")
        value, total = value + weight[i] * its_value, total + weight[i]
        n_first = net.weights[0].size + len(net.biases[0])
        gradient[:n_first] += weight[i] * its_gradient[:n_first]
        by_weights, by_biases = net.spec.weights(gradient)[-1], net.spec.biases(gradient)[-1]
        their_weights, their_biases = alone.spec.weights(its_gradient)[-1], alone.spec.biases(its_gradient)[-1]
        by_weights[:, columns] += weight[i] * their_weights
        by_biases[columns] += weight[i] * their_biases
    divisor = total if row.mean else 1.0
    return value / divisor, gradient / divisor


@pytest.mark.parametrize("loss", [loss for loss in LOSSES if catalogue.LOSSES[loss].elementwise])
def test_what_is_present_counts_and_nothing_else(loss):
    net = network(loss)
    value, gradient = one_by_one(net, loss, WEIGHT)
    for backend in ("numpy", "plain", "numba"):
        found = net.loss_and_grad(X, Y, loss, targets="masked", sample_weight=WEIGHT, backend=backend)
        assert found[0] == pytest.approx(value, rel=1e-12)
        np.testing.assert_allclose(found[1], gradient, atol=1e-13)
        whole = net.loss_and_grad(X, COMPLETE, loss, targets="masked", backend=backend)
        known = net.loss_and_grad(X, COMPLETE, loss, backend=backend)
        assert whole[0] == pytest.approx(known[0], rel=1e-14)
        np.testing.assert_allclose(whole[1], known[1], atol=1e-15)


SLOW = [("sse", "float32"), ("gaussian_nll", "float64")]


@pytest.mark.parametrize(
    ("loss", "dtype"), [("mse", "float64"), *[pytest.param(*case, marks=pytest.mark.slow) for case in SLOW]]
)
def test_every_path_trains_alike(loss, dtype):
    tolerance = 1e-10 if dtype == "float64" else 1e-4
    settings = {"loss": loss, "targets": "masked", "epochs": 3, "optimizer": fastnn.SGD(0.05), "batch_size": 8}
    validation = {"validation_data": (X[:9], Y[:9], WEIGHT[:9])}
    start, trained, watched = network(loss, dtype=dtype), [], []
    for run in ({"backend": "numpy"}, {"specialize": False}, {"specialize": True}):
        net = start.copy()
        history = net.fit(X, Y, sample_weight=WEIGHT, rng=1, progress=False, **validation, **settings, **run)
        trained.append(net.params)
        watched.append(np.r_[history.loss, history.validation_loss, history.validation_metric])
    one, own = start.params[None], np.stack([Y, Y[::-1]])
    for specialize in (False, True):
        more = validation | settings | {"rng": 1, "history": True, "specialize": specialize}
        many = fastnn.fit_many(start.spec, X, Y, params=one, sample_weight=WEIGHT, **more)
        weighted = np.stack([WEIGHT, WEIGHT[::-1]])
        other = fastnn.fit_many(start.spec, X, own, params=np.repeat(one, 2, 0), sample_weight=weighted, **more)
        trained += [many.params[0], other.params[0]]
        watched.append(np.r_[many.records.history[0], many.records.validation[0], watched[0][6:]])
    assert np.abs(trained[0] - start.params).max() > 1e-3
    for params in trained[1:]:
        np.testing.assert_allclose(params, trained[0], rtol=tolerance, atol=tolerance)
    for numbers in watched[1:]:
        np.testing.assert_allclose(numbers, watched[0], rtol=tolerance, atol=tolerance)


def test_a_row_without_targets_is_as_if_it_were_not_there(backend):
    nets, kept = [network("mse") for _ in range(2)], [i for i in range(N) if i != 3]
    settings = {
        "targets": "masked",
        "epochs": 3,
        "optimizer": fastnn.SGD(0.1),
        "l2": 0.1,
        "backend": backend,
        "specialize": False,
    }
    histories = [net.fit(X[rows], Y[rows], **settings) for net, rows in zip(nets, (slice(None), kept), strict=True)]
    np.testing.assert_allclose(nets[0].params, nets[1].params, rtol=1e-12)
    np.testing.assert_allclose(histories[0].loss, histories[1].loss, rtol=1e-12)


def test_an_output_without_targets_learns_nothing_and_does_not_harm(backend):
    net, y = network("mse"), COMPLETE.copy()
    y[:, 1] = np.nan
    before = net.biases[-1].copy()
    history = net.fit(X, y, targets="masked", epochs=3, validation_data=(X, y), backend=backend, specialize=False)
    after = net.biases[-1]
    assert after[1] == before[1]
    assert (after[[0, 2]] != before[[0, 2]]).all()
    outputs, known = net.predict(X)[:, [0, 2]], COMPLETE[:, [0, 2]]
    assert history.validation_loss[-1] == pytest.approx(((outputs - known) ** 2).mean(), rel=1e-12)
    spread = ((known - known.mean(0)) ** 2).sum(0)
    r2 = 1 - (((outputs - known) ** 2).sum(0) / spread).mean()
    assert history.validation_metric[-1] == pytest.approx(r2, rel=1e-10)


@pytest.mark.parametrize("rule", [fastnn.LBFGS(), fastnn.LevenbergMarquardt()], ids=repr)
def test_solvers_find_what_each_output_finds_by_itself(rule, backend):
    net = fastnn.MLP((2, 3), rng=0)
    history = net.fit(X, Y, targets="masked", optimizer=rule, sample_weight=WEIGHT, epochs=300, backend=backend)
    assert history.stopped == "converged"
    for j in range(3):
        here = ~np.isnan(Y[:, j])
        design, root = np.c_[X, np.ones(N)][here], np.sqrt(WEIGHT[here])
        expected = np.linalg.lstsq(root[:, None] * design, root * Y[here, j], rcond=None)[0]
        np.testing.assert_allclose(np.r_[net.weights[0][:, j], net.biases[0][j]], expected, atol=1e-5)


def test_a_bent_network_by_levenberg_and_marquardt():
    losses = []
    for backend in ("numpy", "numba"):
        net = network("mse")
        history = net.fit(X, Y, targets="masked", optimizer=fastnn.LevenbergMarquardt(), epochs=10, backend=backend)
        assert history.loss[0] == pytest.approx(network("mse").loss_and_grad(X, Y, targets="masked")[0], rel=1e-10)
        losses.append(history.loss)
    assert losses[0][-1] < losses[0][0] / 2
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-6)


def test_compiled_code_masks_what_the_state_says():
    net, other = network("mse"), network("mse")
    settings = {"optimizer": fastnn.SGD(0.1), "targets": "masked"}
    state = fastnn.TrainState(net.spec, max_batch=N, **settings)

    @njit
    def train(net, X, Y, state):
        return net.train_step(X, Y, state)

    before = net.params.copy()
    assert train(net, X[3], Y[3], state) == 0.0  # nothing there
    np.testing.assert_array_equal(net.params, before)
    loss = train(net, X, Y, state)
    history = other.fit(X, Y, epochs=1, shuffle=False, specialize=False, **settings)
    assert loss == history.loss[0]
    np.testing.assert_array_equal(net.params, other.params)
    strict = fastnn.TrainState(net.spec, max_batch=N, optimizer=fastnn.SGD(0.1))
    assert np.isnan(train(net, X, Y, strict))
    np.testing.assert_array_equal(net.params, other.params)


def test_a_held_out_part_batches_of_a_callable_and_a_sweep():
    net, settings = network("mse"), {"targets": "masked", "epochs": 2, "optimizer": fastnn.SGD(0.1)}
    watched = {"validation_fraction": 0.3, "early_stopping": fastnn.EarlyStopping(5)}
    history = net.fit(X, Y, rng=0, specialize=False, **watched, **settings)
    assert np.isfinite([history.loss, history.validation_loss, history.validation_metric]).all()
    nets = [network("mse") for _ in range(2)]
    batches = [(X[:11], Y[:11], WEIGHT[:11]), (X[11:], Y[11:], WEIGHT[11:])]
    one = nets[0].fit(lambda: iter(batches), **settings)
    other = nets[1].fit(X, Y, sample_weight=WEIGHT, batch_size=11, shuffle=False, specialize=False, **settings)
    np.testing.assert_array_equal(nets[0].params, nets[1].params)
    np.testing.assert_allclose(one.loss, other.loss, rtol=1e-14)
    found = fastnn.sweep(X, Y, [{"hidden": (5,)}], folds=2, **settings)
    assert all(np.isfinite([record["loss"], record["validation_loss"]]).all() for record in found.records)


@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_without_the_name_nothing_may_be_missing(backend):
    net = network("mse")
    with pytest.raises(ValueError, match="y must be finite; got nan"):
        net.fit(X, Y, epochs=1, backend=backend, specialize=False)
    with pytest.raises(ValueError, match="y must be finite; got nan"):
        fastnn.fit_many(net.spec, X, Y, members=2, epochs=1, specialize=False)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"targets": "all"}, "targets must be one of complete, masked; got 'all'"),
        ({"y": np.where(np.isnan(Y), np.inf, Y)}, "y must be finite, or NaN where it is missing; got inf in row "),
        ({"y": np.full((N, 3), np.nan)}, "y must hold a target that is not NaN, of a sample whose weight is above 0"),
        ({"sample_weight": np.full(N, np.nan)}, "sample_weight must be finite; got nan in row 0"),
        ({"sample_weight": np.eye(N)[3]}, "y must hold a target that is not NaN, of a sample whose weight is above 0"),
        ({"validation_data": (X, np.full((N, 3), np.nan))}, "validation_data: y must hold a target that is not NaN"),
        ({"dydx": np.zeros((N, 3, 2))}, "dydx must be None with targets='masked'"),
    ],
)  # fmt: skip
def test_what_is_refused(changes, message):
    settings = {"X": X, "y": Y, "targets": "masked", "epochs": 1} | changes
    with pytest.raises(ValueError, match=message):
        network("mse").fit(**settings)
    if not changes.keys() & {"validation_data", "dydx"}:
        del settings["epochs"]
        with pytest.raises(ValueError, match=message):
            network("mse").loss_and_grad(**settings)


def test_each_member_must_have_a_target():
    y = np.stack([Y, Y * np.nan, Y])
    with pytest.raises(ValueError, match="y must hold a target that is not NaN, of a sample whose weight is above 0"):
        fastnn.fit_many(network("mse").spec, X, y, members=3, targets="masked", epochs=1, specialize=False)


@pytest.mark.parametrize("loss", [name for name in catalogue.LOSSES if name not in LOSSES])
def test_classes_cannot_be_masked(loss):
    output = catalogue.LOSSES[loss].logits_of
    with pytest.raises(ValueError, match=f"targets must be 'complete' for {loss}"):
        fastnn.MLP((2, 3), output_activation=output).fit(X, Y, loss=loss, targets="masked", epochs=1)


def test_infinity_is_no_missing_target_of_compiled_code():
    net = network("mse")
    state = fastnn.TrainState(net.spec, targets="masked")
    before = net.params.copy()
    assert not np.isfinite(net.train_step(X[0], np.array([np.inf, 0, 0]), state))
    np.testing.assert_array_equal(net.params, before)


def test_a_masked_loss_is_the_same_row_else():
    row = catalogue.LOSSES["huber"]
    assert replace(row.where_present(), masked=False, code=row.code) == row
    assert catalogue.loss_of(row.where_present().code) == row.where_present()


def halves(o, y):
    return (o - y) * (o - y) / 2


def slope_of_halves(o, y):
    return o - y


def test_losses_of_ones_own_are_masked_too():
    net, loss = network("mse"), fastnn.Loss(halves, slope_of_halves)
    value, gradient = net.loss_and_grad(X, Y, "mse", targets="masked", backend="numpy")
    for backend in ("numpy", "numba"):
        found = net.loss_and_grad(X, Y, loss, targets="masked", backend=backend)
        assert found[0] == pytest.approx(value / 2, rel=1e-12)
        np.testing.assert_allclose(found[1], gradient / 2, atol=1e-14)
    again = pickle.loads(pickle.dumps(loss.where_present()))
    assert again.masked
    assert again == loss.where_present() != loss
