"""L-BFGS through SciPy: where it leads, what the history tells, and that it ends where it is told to."""

import sys
import threading
import warnings
from types import SimpleNamespace

import numpy as np
import pytest

from fastnn import LBFGS, MLP, EarlyStopping

pytest.importorskip("scipy")
RNG = np.random.default_rng(0)
X = RNG.normal(size=(37, 3))
Y = np.c_[np.sin(X[:, 0]) * X[:, 1], np.cos(X[:, 2])]
WEIGHTS = RNG.random(37)


@pytest.fixture(autouse=True)
def no_thread_is_left():
    yield
    assert not any(thread.name == "fastnn-lbfgs" for thread in threading.enumerate())


def test_a_linear_network_finds_the_ridge_regression(backend):
    net = MLP((3, 2), rng=0)
    history = net.fit(X, Y, l2=0.3, sample_weight=WEIGHTS, optimizer=LBFGS(), epochs=200, backend=backend)
    design = np.c_[X, np.ones(37)]
    share = WEIGHTS / (2 * WEIGHTS.sum())
    prior = np.diag([0.15] * 3 + [0])
    expected = np.linalg.solve(design.T @ (share[:, None] * design) + prior, design.T @ (share[:, None] * Y))
    np.testing.assert_allclose(net.weights[0], expected[:3], atol=1e-5)
    assert history.stopped == "converged"


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("loss", ["mse", "mae", "huber", "expectile"])
def test_scipy_takes_the_same_steps(loss, dtype, backend):
    from scipy.optimize import minimize

    net = MLP((3, 6, 2), rng=0, dtype=dtype)
    other = net.copy()
    of_loss = {"loss": loss, "delta": 0.3, "quantiles": [0.2, 0.9], "sample_weight": WEIGHTS, "l2": 0.01}
    of_validation = X[:9] + 1, Y[:9], WEIGHTS[9:18]
    history = net.fit(
        X, Y, **of_loss, validation_data=of_validation, optimizer=LBFGS(memory=2), epochs=6, backend=backend
    )

    def evaluate(x):
        other.params = x
        value, gradient = other.loss_and_grad(X, Y, **of_loss, backend=backend)
        return value, gradient.astype(float)

    start = other.params.astype(float)
    options = {"maxiter": 6, "maxcor": 2, "ftol": 1e-12, "gtol": 1e-8}
    result = minimize(evaluate, start, jac=True, method="L-BFGS-B", options=options)
    np.testing.assert_array_equal(net.params, result.x.astype(dtype))
    assert history.loss[0] == evaluate(start)[0]
    alone = of_loss | {"sample_weight": of_validation[2], "l2": 0.0}
    seen, _ = net.loss_and_grad(*of_validation[:2], **alone, backend=backend)
    assert history.validation_loss[-1] == pytest.approx(seen, rel=1e-12 if dtype == "float64" else 1e-6)
    assert (np.diff(history.loss) < 0).all()
    assert history.stopped == "finished"


def test_it_is_told_when_to_end(backend):
    net, seen = MLP((3, 20, 2), rng=0), []
    history = net.fit(
        X, Y, optimizer=LBFGS(), epochs=50, callback=lambda epoch: seen.append(epoch) or len(seen) == 3, backend=backend
    )
    assert (history.epochs, history.stopped) == (3, "callback")
    other = MLP((3, 20, 2), rng=0)
    other.fit(X, Y, optimizer=LBFGS(), epochs=3, backend=backend)
    assert other.params.tobytes() == net.params.tobytes()
    history = net.fit(
        X[:20],
        Y[:20],
        optimizer=LBFGS(),
        epochs=500,
        validation_data=(X[20:], Y[20:]),
        early_stopping=EarlyStopping(5),
        backend=backend,
    )
    assert history.stopped == "early"
    assert net.loss_and_grad(X[20:], Y[20:])[0] == pytest.approx(history.validation_loss.min(), rel=1e-12)


def test_bad_data_and_divergence(backend):
    samples, net = X.copy(), MLP((3, 6, 2), rng=0)
    samples[5, 1] = np.nan
    with pytest.raises(ValueError, match="X must be finite; got nan in row 5, column 1"):
        net.fit(samples, Y, epochs=2, optimizer=LBFGS(), backend=backend)
    net.params *= 1e300
    with pytest.warns(RuntimeWarning, match="diverged in epoch 0"):
        assert net.fit(X, Y, epochs=2, optimizer=LBFGS(), backend=backend).epochs == 0


def test_what_cannot_be(monkeypatch):
    state = MLP((3, 2)).fit(X, Y, epochs=1, optimizer=LBFGS()).state
    with pytest.raises(ValueError, match="state must be None for LBFGS"):
        MLP((3, 2)).fit(X, Y, epochs=1, optimizer=LBFGS(), state=state)
    with pytest.raises(ValueError, match="memory of LBFGS must be an integer of at least 1; got 0"):
        MLP((3, 2)).fit(X, Y, epochs=1, optimizer=LBFGS(memory=0))
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    with pytest.raises(ImportError, match=r"fastnn-jit\[scipy\]"):
        MLP((3, 2)).fit(X, Y, epochs=1, optimizer=LBFGS())


def test_a_tolerance_below_rounding_is_that_of_rounding(backend):
    runs = []
    for tolerance in (0.0, 1e-12, float(np.finfo("float32").eps)):
        rule, net = LBFGS(loss_tolerance=tolerance, gradient_tolerance=0.0), MLP((3, 2), dtype="float32", rng=0)
        runs.append(net.fit(X, Y, l2=0.3, optimizer=rule, epochs=200, backend=backend).epochs)
    assert runs[0] == runs[1] == runs[2] < 100


@pytest.mark.parametrize("steps", [0, 1])
def test_a_step_that_overflows_in_float32_is_not_taken(steps, monkeypatch):
    def minimize(function, start, callback, **settings):
        loss, _ = function(start)
        for x in ([], [start + 1])[steps] + [start + 1e39]:
            loss /= 2
            callback(SimpleNamespace(x=x, fun=loss))

    monkeypatch.setattr("scipy.optimize.minimize", minimize)
    net = MLP((3, 2), dtype="float32", rng=0)
    expected = net.params + np.float32(steps)
    with pytest.warns(RuntimeWarning, match="training diverged in epoch"):
        history = net.fit(X, Y, optimizer=LBFGS(), epochs=9)
    assert (history.stopped, history.epochs) == ("diverged", steps)
    np.testing.assert_array_equal(net.params, expected)


@pytest.mark.parametrize("scale", [1e-8, 1e-10, 1e-14])
def test_tiny_inputs_are_no_reason_to_have_converged(scale):
    net = MLP((3, 4, 2), rng=0)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "training stalled", RuntimeWarning)
        history = net.fit(X * scale, Y, optimizer=LBFGS(), epochs=100, backend="numpy")
    assert history.stopped in ("finished", "stalled")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("scale", "shift", "bias"),
    [
        ((1e-4, 1, 1e4), 0, True),
        ((1e-4, 1, 1e4), 0, False),
        ((0, 100, 100), (1e-5, 0, 0), False),  # a constant is no mean of a network without biases
        (1, (2000, 0, 10), True),
        (1, 1e5, True),
        (1e6, 0, True),
    ],
)
@pytest.mark.filterwarnings("ignore:training stalled:RuntimeWarning")
def test_what_has_converged_is_the_minimum_whatever_the_units_of_the_inputs(scale, shift, bias, dtype, backend):
    samples = (X * scale + shift).astype(dtype)
    targets = (X @ [1, 2, 3] + 0.1 * Y[:, 0]).astype(dtype)
    design = np.c_[samples, np.ones((37, int(bias)))].astype(np.float64)
    error = design @ np.linalg.lstsq(design, targets, rcond=None)[0] - targets
    net = MLP((3, 1), dtype=dtype, bias=bias, rng=0)
    history = net.fit(samples, targets, optimizer=LBFGS(), epochs=500, backend=backend)
    if history.stopped == "converged":
        assert history.loss[-1] < 1.001 * (error**2).mean()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_constant_input_is_no_reason_to_have_stalled(dtype, backend):
    samples = np.c_[X, np.full(37, 0.1)]  # whose mean differs from it by rounding
    history = MLP((4, 2), dtype=dtype, rng=0).fit(samples, Y, optimizer=LBFGS(), epochs=500, backend=backend)
    assert history.stopped == "converged"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_loss_that_is_zero_at_its_minimum_by_chance_has_converged(backend, dtype):
    for seed in range(8):
        noise = np.random.default_rng(seed).normal(size=100)
        y = 1 + np.exp(-0.5) * (noise - noise.mean()) / noise.std()  # whose log-likelihood is 0
        net = MLP((1, 2), dtype=dtype, rng=0)
        history = net.fit(
            np.zeros((100, 1)),
            y,
            loss="gaussian_nll",
            optimizer=LBFGS(),
            epochs=100,
            backend=backend,
            min_variance=1e-30,
        )
        assert abs(history.loss[-1]) < 1e-5
        assert history.stopped == "converged"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("loss", "output", "n_out"), [("binary_cross_entropy", "sigmoid", 1), ("cross_entropy", "softmax", 2)]
)
def test_classes_that_are_certain_are_a_minimum(loss, output, n_out, dtype, backend):
    samples = np.random.default_rng(0).normal(size=(200, 2))
    labels = (samples.sum(axis=1) > 0).astype(int)  # a line divides them, so that there is no least loss
    for seed in range(4):
        net = MLP((2, 8, n_out), output_activation=output, dtype=dtype, rng=seed)
        history = net.fit(samples, labels, loss=loss, optimizer=LBFGS(), epochs=1000, backend=backend)
        assert history.stopped == "converged"
        assert history.loss[-1] < 1e-4
