"""Solvers end: always, soon after Ctrl-C, and "converged" is said where it is true."""

import os
import threading
import warnings

import numpy as np
import pytest

from fastnn import LBFGS, MLP, LevenbergMarquardt, Loss
from fastnn.checks import check_job
from fastnn.jobs.job import Job
from fastnn.settings import catalogue
from fastnn.training.fit import _why_stalled
from fastnn.training.verdict import reach, rounding_loss, why_stalled

pytest.importorskip("scipy")
RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 2))
Y = np.sin(X[:, :1]) + 0.1 * RNG.normal(size=(60, 1))
SOLVERS = [LevenbergMarquardt(), LBFGS()]


def fitted(net, X, y, **settings):
    """A run's history, and what it warned of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        history = net.fit(X, y, **{"loss": "sse", "epochs": 300} | settings)
    return history, " ".join(str(warning.message) for warning in caught)


def saturated():
    return MLP((2, 1), output_activation="sigmoid", init="unit_uniform", rng=0)


STUCK = {
    "X in the thousands": (saturated, 1000 * abs(X), np.zeros((60, 1))),
    "zero inputs, no biases": (lambda: MLP((2, 4, 1), bias=False, rng=0), 0 * X, Y),
    "dead units": (lambda: MLP((2, 4, 1), activation="relu", bias=False, init="unit_uniform", rng=0), -abs(X), Y),
    "saturated hidden units": (lambda: MLP((2, 3, 1), init="unit_uniform", rng=0), 1e4 * abs(X) + 1e4, Y),
}


@pytest.mark.parametrize("solver", SOLVERS, ids=lambda solver: type(solver).__name__)
@pytest.mark.parametrize("name", ["X", "y", "sample_weight"])
def test_infinity_is_refused_without_a_warning(solver, name, backend):
    data = {"X": X.copy(), "y": Y.copy(), "sample_weight": np.ones(60)}
    data[name].flat[0] = np.inf  # an infinite sample saturates units, which leave the loss finite
    net = MLP((2, 3, 1), rng=0)
    before = net.params.copy()
    with pytest.raises(ValueError, match=f"{name} must be finite; got inf in row 0"):
        net.fit(**data, epochs=9, optimizer=solver, backend=backend)
    assert np.array_equal(net.params, before)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("case", STUCK)
@pytest.mark.parametrize("solver", SOLVERS, ids=lambda solver: type(solver).__name__)
def test_a_stuck_start_is_told_apart(solver, case, dtype, backend):
    make, samples, y = STUCK[case]
    first = make()
    net = MLP(first.spec.sizes, activation=first.spec.activations[:-1],
              output_activation=first.spec.activations[-1], bias=first.spec.bias, dtype=dtype)  # fmt: skip
    net.params = first.params
    history, message = fitted(net, samples, y, optimizer=solver, backend=backend)
    assert history.stopped == "stalled"
    assert "fastnn.standardize" in message
    assert repr(history).endswith(f"stalled in epoch {history.epochs}>")


@pytest.mark.parametrize("solver", SOLVERS, ids=lambda solver: type(solver).__name__)
def test_the_layer_that_changes_nothing_is_named(solver):
    net = MLP((2, 3, 3, 1), rng=0)
    net.biases[0][:] = 100
    _, message = fitted(net, X, Y, optimizer=solver)
    assert "no parameter of layer 0 changes an output" in message  # as `trainable` and `net.weights` count them


def job_of(net, X, y, **settings):
    plain = {"loss": "sse", "delta": 1.0, "optimizer": LevenbergMarquardt(), "batch_size": None, "shuffle": False}
    plain |= {"sample_weight": None, "l2": 0.0, "max_grad_norm": None}
    return check_job(net.spec, net.params, X, y, **plain | settings)


def test_what_counts_and_that_alone_is_judged():
    net = MLP((1, 3, 1), activation="relu", rng=0)
    net.weights[0][:], net.biases[0][:] = 1.0, 0.7
    few, many = np.array([[-1.0], [-2.0], [-0.5]]), np.r_[np.full(1000, -1.0), np.full(1000, 1.0)][:, None]
    dead, alive = "no parameter of layer 0", None
    for X, settings, expected in (
        (few[:2], {}, dead),
        (few, {}, alive),
        (few, {"sample_weight": [1, 1, 0]}, dead),
        (few[:2], {"y": [1, np.nan], "targets": "masked"}, dead),
        (few[:2], {"l2": 0.1}, alive),  # which may hold a layer at zero
        (many, {}, alive),
        (many[::-1], {}, alive),
    ):
        why = why_stalled(job_of(net, X, **{"y": np.linspace(1, 2, len(X))} | settings))
        assert why is expected or (why and why.startswith(expected))


def test_rows_without_a_target_and_values_that_are_undefined_are_no_rounding():
    settings = {"loss": "mse", "targets": "masked"}
    y = np.where(np.arange(60) % 3 == 0, Y[:, 0], np.nan)
    expected = rounding_loss(job_of(MLP((2, 1), rng=0), X[::3], y[::3], **settings))
    assert rounding_loss(job_of(MLP((2, 1), rng=0), X, y, **settings)) == pytest.approx(expected, rel=1e-12, abs=0)
    of_counts = {"outputs": (0, np.inf), "targets": (0, np.inf)}
    counts = Loss(lambda o, y: o - y * np.log(o), lambda o, y: 1 - y / o, **of_counts)  # not defined at 0
    job = job_of(MLP((2, 1), output_activation="softplus", rng=0), X[:2], [0.0, 2.0], loss=counts, optimizer=LBFGS())
    with np.errstate(all="ignore"):
        assert 0 <= rounding_loss(job) < 1e-10


@pytest.mark.parametrize("solver", SOLVERS, ids=lambda solver: type(solver).__name__)
def test_a_minimum_with_less_than_half_of_the_loss_out_of_reach(solver):
    inputs = np.array([[0.0], [1.0], [1.0]])  # the output for the first is 0, whatever the weight
    for out_of_reach, stopped in ((1.3, "converged"), (1.5, "stalled")):  # its square beside the others', 1 and 1
        y = np.array([out_of_reach, 0, 2])
        history, _ = fitted(MLP((1, 1), bias=False, rng=0), inputs, y, optimizer=solver)
        assert history.stopped == stopped
        uncounted = {"X": np.r_[inputs, 0 * inputs], "y": np.r_[y, 9 * y], "sample_weight": [1, 1, 1, 0, 0, 0]}
        history, _ = fitted(MLP((1, 1), bias=False, rng=0), **uncounted, optimizer=solver)
        assert history.stopped == stopped


CONVERGING = {
    "one sample": (MLP((2, 3, 1), rng=0), X[:1], Y[:1], {}),
    "duplicate columns": (MLP((4, 1), rng=0), np.c_[X, X], Y, {}),
    "zero weights": (MLP((2, 1), rng=0), X, Y, {"sample_weight": np.arange(60) % 3 == 0}),
    "constant targets": (MLP((2, 3, 1), rng=0), X, np.full((60, 1), 3.0), {}),
    "several outputs": (MLP((2, 3), rng=0), X, np.c_[Y, X[:, :1], X[:, 1:] ** 2], {}),
    "zero inputs": (MLP((2, 1), rng=0), 0 * X, Y, {}),
    "l2": (MLP((2, 1), rng=0), X, Y, {"l2": 3.0}),
    "zero targets of a network without biases": (MLP((2, 1), bias=False, rng=0), X, 0 * Y, {}),
}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("case", CONVERGING)
@pytest.mark.parametrize("solver", SOLVERS, ids=lambda solver: type(solver).__name__)
def test_a_minimum_is_one(solver, case, dtype, backend):
    net, samples, y, settings = CONVERGING[case]
    if dtype == "float32":
        net = MLP(net.spec.sizes, bias=net.spec.bias, dtype=dtype, rng=0)
    net = net.copy()
    history, message = fitted(net, samples, y, optimizer=solver, backend=backend, **settings)
    assert (history.stopped, message) == ("converged", "")
    exact = MLP(net.spec.sizes, bias=net.spec.bias)
    exact.params = net.params
    _, gradient = exact.loss_and_grad(samples, y, "sse", **settings)
    assert abs(gradient).max() <= (1e-4 if dtype == "float64" else 1e-2) * (y**2).sum() + 1e-15


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_who_is_stuck_in_float32_is_told_of_float64(dtype):
    net = MLP((2, 3, 1), dtype=dtype, rng=0)
    samples, y = X.astype(dtype), Y.astype(dtype)
    job = Job(net.spec, net.params, samples, y, catalogue.LOSSES["mse"], LevenbergMarquardt(), len(X))
    assert _why_stalled(job, "stalled").endswith("use float64") == (dtype == "float32")


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_zeros_fitted_to_rounding_are_a_minimum(dtype, backend):
    for seed in range(6):
        net = MLP((2, 3, 1), dtype=dtype, rng=seed)
        history, message = fitted(net, X, 0 * Y, optimizer=LevenbergMarquardt(), backend=backend)
        assert history.stopped in ("converged", "finished")  # as long as rounding errors can still be lowered
        assert message == ""
        assert abs(net.predict(X)).max() < 1000 * np.finfo(dtype).eps


@pytest.mark.parametrize("size", [1e-10, 1e-5, 1.0, 1e5, 1e10])
@pytest.mark.parametrize("shift", [0.0, 100.0])
@pytest.mark.parametrize("loss", ["sse", "mse"])
@pytest.mark.parametrize("solver", SOLVERS, ids=lambda solver: type(solver).__name__)
def test_convergence_is_relative_to_the_scale_of_the_problem(solver, loss, shift, size):
    """Where a run says that it converged, it is at least square regression, whatever the unit of the targets."""
    net, y = MLP((2, 1), rng=0), size * (Y + shift)
    history, message = fitted(net, X, y, loss=loss, optimizer=solver)
    design = np.c_[X, np.ones(60)]
    residual = y - design @ np.linalg.lstsq(design, y)[0]
    least = (residual**2).sum() / (60 if loss == "mse" else 1)
    assert net.loss_and_grad(X, y, loss)[0] == pytest.approx(least, rel=1e-6)
    assert (history.stopped, message) == ("converged", "")


@pytest.mark.parametrize(("size", "l2"), [(1e-10, 0.0), (1.0, 0.0), (1e10, 0.0), (1.0, 0.1)])
@pytest.mark.parametrize("solver", SOLVERS, ids=lambda solver: type(solver).__name__)
def test_what_converged_explains_the_targets(solver, l2, size):
    net = MLP((2, 8, 1), rng=0)
    history, _ = fitted(net, X, size * Y, loss="mse", optimizer=solver, epochs=2000, l2=l2)
    explained = 1 - ((net.predict(X) - size * Y) ** 2).mean() / (size**2 * Y.var())
    assert history.stopped != "converged" or explained > (0.8 if l2 == 0 else 0.1)


@pytest.mark.parametrize("power", [100, 154, 160, 300])
@pytest.mark.parametrize("solver", SOLVERS, ids=lambda solver: type(solver).__name__)
def test_curvature_that_overflows(solver, power, backend):
    history, message = fitted(MLP((2, 1), rng=0), 10.0**power * X, Y, optimizer=solver, backend=backend)
    assert history.stopped in ("stalled", "diverged", "converged")
    if history.stopped == "stalled":
        assert "fastnn.standardize" in message


@pytest.mark.parametrize("damping", [1e-300, 1e13, 1e300])
def test_any_damping_ends(damping, backend):
    history, _ = fitted(MLP((2, 1), rng=0), X, Y, optimizer=LevenbergMarquardt(damping=damping), backend=backend)
    assert history.stopped in ("converged", "stalled", "finished")


def test_reach_bounds_the_jacobian():
    from fastnn.reference.normal_equations import parameter_jacobian

    for bias in (False, True):
        net = MLP((2, 3, 2), bias=bias, rng=0)
        bound = reach(net.spec, net.params, X)
        _, jacobian = parameter_jacobian(net.spec, net.params, X)
        for l, layer in enumerate(net.spec.layers):
            part = slice(layer.weights, layer.weights + layer.n_in * layer.n_out)
            assert (abs(jacobian[:, :, part]).max(axis=2) <= bound[l] * (1 + 1e-12)).all()
    net = MLP((2, 1, 2), bias=False, rng=0)  # one way from each weight to an output
    bound, (_, jacobian) = reach(net.spec, net.params, X), parameter_jacobian(net.spec, net.params, X)
    np.testing.assert_allclose(bound[0], abs(jacobian[:, :, :2]).max(axis=2))
    np.testing.assert_allclose(bound[1], abs(jacobian[:, :, 2:]).max(axis=2))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_matrices_without_a_place_are_refused(dtype):
    net = MLP((784, 128, 10), dtype=dtype)
    message = r"parameters; LevenbergMarquardt would take 1\d\d\.\d GiB, and may take \d+\.\d$"
    with pytest.raises(ValueError, match=f"of 101,770 {message}") as caught:
        net.fit(np.zeros((5, 784)), np.zeros((5, 10)), epochs=1, optimizer=LevenbergMarquardt())
    assert "\n" not in str(caught.value)


def test_an_estimator_whose_solver_takes_no_step():
    sklearn = pytest.importorskip("fastnn.sklearn")
    model = sklearn.MLPRegressor(
        hidden_layer_sizes=(3,), solver="levenberg-marquardt", activation="relu", max_iter=5, random_state=0, alpha=0.0
    )
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        model.fit(np.zeros((10, 2)), np.zeros(10))
    assert np.isfinite(model.loss_)
    assert len(model.loss_curve_) >= 1


# ---------------------------------------------------------------- Ctrl-C
SLOW = """
import sys, time, numpy as np, fastnn
net = fastnn.MLP((200, 14, 1), rng=0)
rng = np.random.default_rng(0)
X, y = rng.normal(size=(60_000, 200)), rng.normal(size=(60_000, 1))
rule = fastnn.LevenbergMarquardt() if sys.argv[1] == "LevenbergMarquardt" else fastnn.LBFGS()
net.copy().fit(X[:300], y[:300], epochs=1, optimizer=rule)
print("ready", flush=True)
history = net.fit(X, y, epochs=10**6, optimizer=rule)
print(history.stopped, time.time(), flush=True)
"""


@pytest.mark.skipif(os.name != "posix", reason="sends signals")
@pytest.mark.slow
@pytest.mark.parametrize("rule", ["LevenbergMarquardt", "LBFGS"])
def test_ctrl_c_in_the_midst_of_a_step(rule, interrupt):
    stopped, seconds = interrupt(SLOW, [rule], 0.7)
    assert stopped == "interrupted"
    assert seconds < 1.5  # a tenth of a second, on a machine that others use too


def test_no_thread_is_left():
    assert not any(thread.name == "fastnn-lbfgs" for thread in threading.enumerate())
