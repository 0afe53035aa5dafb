"""Levenberg-Marquardt: its normal equations on either twin, and where its steps lead."""

import numpy as np
import pytest

from fastnn import MLP, Adam, EarlyStopping, LevenbergMarquardt
from fastnn.checks import check_job
from fastnn.kernels.tiles import normal_equations as kernels
from fastnn.reference.normal_equations import parameter_jacobian
from fastnn.settings import catalogue
from fastnn.training.interrupts import Interrupts
from fastnn.training.least_squares import _Problem
from fastnn.training.twins import twin

RNG = np.random.default_rng(0)
X = RNG.normal(size=(37, 3))
Y = np.c_[np.sin(X[:, 0]) * X[:, 1], np.cos(X[:, 2])]
WEIGHTS = np.where(np.arange(37) % 5 == 0, 0.0, RNG.random(37))


def silent():
    """Nobody waits for an answer."""


def job_of(net, X=X, y=Y, **settings):
    return check_job(
        net.spec,
        net.params,
        X,
        y,
        **{
            "loss": "mse",
            "delta": 1.0,
            "optimizer": LevenbergMarquardt(),
            "batch_size": None,
            "shuffle": True,
            "sample_weight": None,
            "l2": 0.0,
            "max_grad_norm": None,
        }
        | settings,
    )


NETS = [{"sizes": (3, 4, 2), "activation": name} for name, row in catalogue.ACTIVATIONS.items() if row.hidden] + [
    {"sizes": (3, 2), "output_activation": "sigmoid"},
    {"sizes": (3, 5, 1), "bias": False},
    {"sizes": (3, 1, 17, 3), "output_activation": "tanh"},
    {"sizes": (3, 9, 8, 2), "output_activation": "silu"},
]


@pytest.mark.parametrize("net", NETS, ids=str)
def test_the_jacobian_against_central_differences(net):
    net = MLP(**net, rng=1)
    _, jacobian = parameter_jacobian(net.spec, net.params, X)
    numeric, h = np.empty_like(jacobian), 1e-5
    for k in range(net.spec.n_params):
        ahead, behind = net.copy(), net.copy()
        ahead.params[k] += h
        behind.params[k] -= h
        numeric[..., k] = (ahead.predict(X, backend="numpy") - behind.predict(X, backend="numpy")) / (2 * h)
    np.testing.assert_allclose(jacobian, numeric, atol=1e-8)


@pytest.mark.parametrize("net", NETS, ids=str)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("block_rows", [1, 16, 37])
def test_normal_equations_of_both_twins_and_by_hand(net, dtype, block_rows):
    net = MLP(**net, rng=1, dtype=dtype)
    job = job_of(net, y=RNG.normal(size=(37, net.spec.n_out)))
    scale = RNG.random(37).astype(dtype)
    outputs, jacobian = parameter_jacobian(net.spec, net.params, X.astype(dtype))
    rows = scale[:, None, None] * np.concatenate([jacobian, (outputs - job.y)[:, :, None]], axis=2)
    rows = rows.reshape(-1, net.spec.n_params + 1).astype(np.float64)
    expected = np.triu(rows.T @ rows)
    for backend in ("numpy", "numba"):
        for _ in range(2):  # the buffers are used again
            found = np.triu(twin(backend, "normal_equations").normal_equations(job, scale, block_rows, silent))
            tolerance = (1e-13 if dtype == "float64" else 1e-5) * abs(expected).max()
            np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)
        job.buffers = ()


@pytest.mark.parametrize("n", [1, 1023, 1024, 1025, 100_000])
def test_sums_over_many_rows_in_float32(backend, n):
    """Summed in float32, those of 100,000 rows were wrong in the fifth digit, and steps led nowhere."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(n, 2)), rng.random((n, 1))
    single, double = MLP((2, 2, 1), rng=1, dtype="float32"), MLP((2, 2, 1))
    double.params[:] = single.params
    found, expected = (
        np.triu(
            twin(backend, "normal_equations").normal_equations(
                job_of(net, X, y), np.ones(n, net.spec.dtype), 64, silent
            )
        )
        for net in (single, double)
    )
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-7 * n)


def test_the_length_of_the_kernels_calls_does_not_change_a_bit(monkeypatch):
    """Between two calls Ctrl-C is answered; large problems take many of them."""
    net, n = MLP((3, 9, 8, 2), rng=1), 200
    A, scale, answers = RNG.normal(size=(2 * n, n)), RNG.random(37), []
    matrix = np.triu(A.T @ A)

    def all_of_them():
        answers.clear()
        sums = kernels.normal_equations(job_of(net), scale, 5, lambda: answers.append("sums"))
        factor = kernels.cholesky(matrix, 0.1, lambda: answers.append("factor"))
        trace = kernels.trace_of_inverse(factor, n, lambda: answers.append("trace"))
        return np.triu(sums).tobytes(), np.triu(factor[:, :n]).tobytes(), trace

    expected = all_of_them()
    assert answers == ["sums", "factor", "trace"]
    monkeypatch.setattr(kernels, "_OPERATIONS", 1.0)
    assert all_of_them() == expected
    assert answers == ["sums"] * 8 + ["factor"] * 7 + ["trace"] * 7


@pytest.mark.parametrize("n", [1, 7, 8, 9, 31, 32, 33, 64, 65, 128, 200])
def test_cholesky_solve(n, backend):
    equations = twin(backend, "normal_equations")
    A = RNG.normal(size=(2 * n, n))
    b, damped = RNG.normal(size=n), A.T @ A + 0.1 * np.eye(n)
    factor = equations.cholesky(np.triu(A.T @ A), 0.1, silent)
    np.testing.assert_allclose(np.triu(factor[:, :n]), np.linalg.cholesky(damped, upper=True), atol=1e-11 * 3 * n)
    x = equations.cholesky_solve(factor, b)
    np.testing.assert_allclose(x, np.linalg.solve(damped, b), rtol=1e-9, atol=1e-9 * abs(x).max())


@pytest.mark.parametrize("n", [1, 40, 100])
@pytest.mark.parametrize("pivot", [-1.0, 0.0, np.nan, np.inf])
def test_what_has_no_cholesky_factor(n, pivot, backend):
    matrix = np.eye(n)
    matrix[-1, -1] = pivot
    assert twin(backend, "normal_equations").cholesky(matrix, 0.0, silent) is None


# ---------------------------------------------------------------- where it leads
@pytest.mark.parametrize(("loss", "l2", "weighted"), [("mse", 0, False), ("mse", 0.3, True), ("sse", 2.0, True)])
def test_a_linear_network_finds_the_ridge_regression(loss, l2, weighted, backend):
    net = MLP((3, 2), rng=0)
    weight = WEIGHTS if weighted else np.ones(37)
    history = net.fit(
        X, Y, loss=loss, l2=l2, sample_weight=weight, optimizer=LevenbergMarquardt(), epochs=60, backend=backend
    )
    design = np.c_[X, np.ones(37)]
    share = weight / (1 if loss == "sse" else 2 * weight.sum())
    prior = np.diag([l2 / 2] * 3 + [0])
    expected = np.linalg.solve(design.T @ (share[:, None] * design) + prior, design.T @ (share[:, None] * Y))
    np.testing.assert_allclose(net.weights[0], expected[:3], atol=1e-6)
    np.testing.assert_allclose(net.biases[0], expected[3], atol=1e-6)
    assert history.stopped == "converged"
    assert history.epochs < 30
    assert repr(history).endswith("converged>")
    assert repr(history.state).startswith(f"<State: LevenbergMarquardt, {history.epochs} epochs done, seed ")


@pytest.mark.parametrize(
    "settings",
    [{}, {"loss": "sse", "sample_weight": WEIGHTS}, {"y": np.where(Y > 0.8, np.nan, Y), "targets": "masked"}],
    ids=list,
)
def test_the_acceleration_is_due_to_the_second_derivatives_of_the_residuals(settings, backend):
    net, step = MLP((3, 4, 2), rng=1), 0.05 * RNG.normal(size=26)
    job = job_of(net, **settings)
    _, jacobian = parameter_jacobian(net.spec, net.params, X)
    ahead, here, behind = (
        MLP.from_params(net.spec, net.params + factor * step).predict(X, backend="numpy") for factor in (0.1, 0, -0.1)
    )
    second, weight = (ahead - 2 * here + behind) / 0.01, job.weights[:, None]
    if settings.get("targets") == "masked":
        weight = weight * ~np.isnan(settings["y"])
    divisor = 1.0 if settings.get("loss") == "sse" else (2 * weight.sum() / weight.shape[1])
    expected = np.einsum("nkp,nk->p", jacobian, weight * second) / divisor
    problem = _Problem(job, backend, Interrupts())
    np.testing.assert_allclose(problem.bend(step, problem.present()), expected, rtol=1e-6, atol=1e-10)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_both_twins_take_the_same_steps(dtype):
    nets = {backend: MLP((3, 6, 2), rng=0, dtype=dtype) for backend in ("numpy", "numba")}
    settings = {"optimizer": LevenbergMarquardt(), "sample_weight": WEIGHTS, "l2": 1e-3, "epochs": 6}
    one, other = (net.fit(X, Y, backend=backend, **settings) for backend, net in nets.items())
    tolerance = 1e-7 if dtype == "float64" else 2e-2
    np.testing.assert_allclose(one.loss, other.loss, rtol=tolerance)
    np.testing.assert_allclose(nets["numpy"].params, nets["numba"].params, rtol=tolerance, atol=tolerance)
    assert one.learning_rate.tolist() == [1.0] * 6


def test_every_step_lowers_the_loss_and_the_history_tells_it_before_the_step(backend):
    net = MLP((3, 8, 2), rng=0)
    settings = {"sample_weight": WEIGHTS, "l2": 1e-3}
    before = net.loss_and_grad(X, Y, **settings)[0]
    history = net.fit(X, Y, optimizer=LevenbergMarquardt(), epochs=20, backend=backend, **settings)
    assert history.loss[0] == pytest.approx(before, rel=1e-12)
    assert (np.diff(history.loss) < 0).all()
    assert net.loss_and_grad(X, Y, **settings)[0] < history.loss[-1]
    assert history.loss[-1] < 0.1 * history.loss[0]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("slopes", [False, True])
def test_it_ends_where_only_roundings_are_left(dtype, slopes):
    factors = np.array([[2.0], [-1.0]])
    for seed in range(8):
        samples = 1e-3 * np.random.default_rng(seed).normal(size=(60, 2))
        dydx = np.broadcast_to(1e3 * factors.T, (60, 1, 2)) if slopes else None
        history = MLP((2, 1), rng=0, dtype=dtype).fit(
            samples, samples @ factors * 1e3 + 3, dydx=dydx, optimizer=LevenbergMarquardt(), epochs=100
        )
        assert history.stopped == "converged"


def test_resuming_equals_the_run_that_did_not_stop(backend):
    whole, parts = MLP((3, 6, 2), rng=0), MLP((3, 6, 2), rng=0)
    settings = {"optimizer": LevenbergMarquardt(), "backend": backend}
    expected = whole.fit(X, Y, epochs=9, **settings)
    first = parts.fit(X, Y, epochs=4, **settings)
    second = parts.fit(X, Y, epochs=5, state=first.state, **settings)
    assert parts.params.tobytes() == whole.params.tobytes()
    assert np.array_equal(np.concatenate([first.loss, second.loss]), expected.loss)


def test_a_small_memory_computes_the_same_in_smaller_blocks(backend, monkeypatch):
    blocks = []
    equations = twin(backend, "normal_equations")
    original = equations.normal_equations
    monkeypatch.setattr(
        equations,
        "normal_equations",
        lambda job, scale, n, *rest: blocks.append(n) or original(job, scale, n, *rest),
    )
    params = []
    for memory in (1, 3 * 8 * 39 * 2, 2**26):
        net = MLP((3, 6, 2), rng=0)
        net.fit(X, Y, epochs=3, optimizer=LevenbergMarquardt(memory=memory), backend=backend)
        params.append(net.params.copy())
    assert blocks == [1] * 3 + [3] * 3 + [37] * 3
    np.testing.assert_allclose(params[0], params[2], rtol=1e-8)
    np.testing.assert_allclose(params[1], params[2], rtol=1e-8)


def test_validation_stops_it_and_the_best_weights_come_back(backend):
    net = MLP((3, 20, 2), rng=0)
    noise = RNG.normal(size=Y.shape)
    other = RNG.normal(size=(50, 3))
    data = other, np.c_[np.sin(other[:, 0]) * other[:, 1], np.cos(other[:, 2])]
    history = net.fit(
        X,
        Y + 0.3 * noise,
        optimizer=LevenbergMarquardt(),
        epochs=100,
        validation_data=data,
        early_stopping=EarlyStopping(4),
        backend=backend,
    )
    assert history.stopped == "early"
    assert history.epochs == history.best_epoch + 5
    loss = net.loss_and_grad(*data)[0]
    assert loss == pytest.approx(history.validation_loss.min(), rel=1e-12)
    assert len(history.validation_metric) == history.epochs


def test_not_a_number(backend):
    samples, net = X.copy(), MLP((3, 6, 2), rng=0)
    samples[5, 1] = np.nan
    before = net.params.copy()
    with pytest.raises(ValueError, match="X must be finite; got nan in row 5, column 1"):
        net.fit(samples, Y, epochs=2, optimizer=LevenbergMarquardt(), backend=backend)
    assert net.params.tobytes() == before.tobytes()


def test_a_run_that_begins_infinite_diverges(backend):
    net = MLP((3, 6, 2), rng=0)
    net.params *= 1e300
    with pytest.warns(RuntimeWarning, match="diverged in epoch 0"):
        history = net.fit(X, Y, epochs=2, optimizer=LevenbergMarquardt(), backend=backend)
    assert history.epochs == 0


BAD = [
    (
        {"loss": "mae"},
        ValueError,
        "loss must be a sum of squares, sse, mse or a fastnn.LeastSquares, for LevenbergMarquardt; got 'mae'",
    ),
    ({"batch_size": 5}, ValueError, "batch_size must be None, or at least the 37 rows of X, for LevenbergMarquardt"),
    ({"max_grad_norm": 1.0}, ValueError, "max_grad_norm must be None for LevenbergMarquardt"),
    (
        {"optimizer": LevenbergMarquardt(damping=0)},
        ValueError,
        "damping of LevenbergMarquardt must be a finite number ab",
    ),
    (
        {"optimizer": LevenbergMarquardt(memory=0)},
        ValueError,
        "memory of LevenbergMarquardt must be an integer of at l",
    ),
    ({"optimizer": LevenbergMarquardt}, TypeError, "call it: its settings have defaults"),
]


@pytest.mark.parametrize(("settings", "error", "message"), BAD)
def test_bad_settings_are_refused(settings, error, message):
    with pytest.raises(error, match=message):
        MLP((3, 2)).fit(X, Y, epochs=1, **{"optimizer": LevenbergMarquardt()} | settings)


def test_the_state_of_another_optimizer_is_refused():
    state = MLP((3, 2)).fit(X, Y, epochs=1, optimizer=Adam()).state
    with pytest.raises(ValueError, match="state must be that of a run of LevenbergMarquardt"):
        MLP((3, 2)).fit(X, Y, epochs=1, optimizer=LevenbergMarquardt(), state=state)


@pytest.mark.parametrize("seed", range(3))
def test_a_surrogate_is_learned_to_one_part_in_a_million(seed):
    """What `bench/bench_least_squares.py` times, from three of its twenty starts."""
    samples = np.random.default_rng(0).uniform(-1, 1, (2000, 5))
    a, b, c, d, e = samples.T
    y = np.sin(2 * a) + b * c - np.exp(-(d**2)) + e / 2
    samples, y = (samples - samples.mean(0)) / samples.std(0), (y - y.mean()) / y.std()
    history = MLP((5, 20, 20, 1), rng=seed).fit(
        samples, y, optimizer=LevenbergMarquardt(), epochs=40, callback=lambda epoch: epoch.loss < 1e-6
    )
    assert history.stopped == "callback"
