"""Levenberg-Marquardt with MacKay's evidence: against NumPy alone, and against a run without any penalty."""

import numpy as np
import pytest

from fastnn import MLP, LevenbergMarquardt
from fastnn.jobs.monitor import MonitorState
from fastnn.training import fit as training
from fastnn.training import least_squares
from fastnn.training.evidence import effective_params, first
from fastnn.training.interrupts import Interrupts
from fastnn.training.twins import twin

RNG = np.random.default_rng(0)
X = RNG.uniform(-3, 3, (40, 1))
Y = np.sin(2 * X) + 0.2 * RNG.normal(size=(40, 1))
NEW = np.linspace(-3, 3, 300)[:, None]
BAYESIAN = LevenbergMarquardt(regularisation="bayesian")


def fitted(X=X, y=Y, dtype="float64", **settings):
    net = MLP((1, 5, 1), rng=0, dtype=dtype)
    return net, net.fit(X, y, **{"optimizer": BAYESIAN, "epochs": 300} | settings)


@pytest.fixture(scope="module")
def run():
    return fitted(loss="sse")


def derivatives(net, X):
    """The outputs' derivatives with respect to parameters, each a central difference; shape (n, n_params)."""
    columns = []
    for k in range(net.spec.n_params):
        ahead, behind = net.copy(), net.copy()
        ahead.params[k] += 1e-5
        behind.params[k] -= 1e-5
        columns.append((ahead.predict(X, backend="numpy") - behind.predict(X, backend="numpy"))[:, 0] / 2e-5)
    return np.stack(columns, axis=1)


def test_against_a_direct_computation(run):
    net, history = run
    assert history.stopped == "converged"
    alpha, beta, gamma = history.evidence
    J, e, w = derivatives(net, X), (net.predict(X) - Y)[:, 0], net.params
    H = beta * J.T @ J + alpha * np.eye(len(w))
    assert gamma == pytest.approx(len(w) - alpha * np.trace(np.linalg.inv(H)), rel=1e-3)
    assert alpha == pytest.approx(gamma / (w @ w), rel=1e-3)
    assert beta == pytest.approx((40 - gamma) / (e @ e), rel=1e-3)
    np.testing.assert_allclose(beta * J.T @ e + alpha * w, 0, atol=1e-3 * beta)
    assert 8 < gamma < net.spec.n_params


@pytest.mark.parametrize("loss", ["mse", "sse"])
def test_the_targets_of_every_output_count(loss):
    y = np.c_[Y, np.cos(X) + 0.2 * RNG.normal(size=(40, 1))]
    net = MLP((1, 5, 2), rng=0)
    before, _ = net.loss_and_grad(X, y, loss)
    history = net.fit(X, y, optimizer=BAYESIAN, epochs=300, loss=loss)
    alpha, beta, gamma = history.evidence
    assert history.stopped == "converged"
    assert beta == pytest.approx((80 - gamma) / ((net.predict(X) - y) ** 2).sum(), rel=1e-3)
    assert alpha == pytest.approx(gamma / (net.params @ net.params), rel=1e-3)
    assert history.loss[0] == pytest.approx(before, rel=1e-12)  # without the penalty
    assert history.loss[-1] == pytest.approx(net.loss_and_grad(X, y, loss)[0], rel=1e-3)


def test_the_noise_is_found_and_the_error_is_less_than_without(run):
    net, history = run
    assert history.evidence.beta**-0.5 == pytest.approx(0.2, rel=0.25)
    plain = MLP((1, 5, 1), rng=0)
    without = plain.fit(X, Y, optimizer=LevenbergMarquardt(), epochs=300)
    assert without.evidence is None
    ours, theirs = (np.sqrt(np.mean((one.predict(NEW) - np.sin(2 * NEW)) ** 2)) for one in (net, plain))
    assert ours < 0.12 < 0.2 < theirs


def test_the_losses_scale_does_not_matter(run):
    net, history = run
    for other, also in (fitted(loss="mse"), fitted(loss="sse", sample_weight=np.ones(40))):
        np.testing.assert_allclose(also.evidence, history.evidence, rtol=1e-3)
        np.testing.assert_allclose(other.predict(NEW), net.predict(NEW), atol=1e-2)


def test_a_weight_of_two_is_a_sample_twice():
    weight = np.where(np.arange(40) < 10, 2.0, 1.0)
    one, weighted = fitted(sample_weight=weight)
    other, repeated = fitted(np.r_[X, X[:10]], np.r_[Y, Y[:10]])
    np.testing.assert_allclose(weighted.evidence, repeated.evidence, rtol=1e-3)
    np.testing.assert_allclose(one.predict(NEW), other.predict(NEW), atol=1e-2)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_both_twins_take_the_same_steps(dtype):
    runs = [fitted(epochs=8, dtype=dtype, backend=backend) for backend in ("numpy", "numba")]
    tolerance = 1e-7 if dtype == "float64" else 2e-2
    (one, history), (other, same) = runs
    np.testing.assert_allclose(history.loss, same.loss, rtol=tolerance)
    np.testing.assert_allclose(history.evidence, same.evidence, rtol=tolerance)
    np.testing.assert_allclose(one.params, other.params, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("n", [1, 7, 33, 64, 65, 200])
def test_the_trace_of_the_inverse(n, backend):
    equations = twin(backend, "normal_equations")
    A = RNG.normal(size=(2 * n, n))
    factor = equations.cholesky(np.triu(A.T @ A), 0.1, lambda: None)
    expected = np.trace(np.linalg.inv(A.T @ A + 0.1 * np.eye(n)))
    assert equations.trace_of_inverse(factor, n, lambda: None) == pytest.approx(expected, rel=1e-10)


def test_resuming_equals_the_run_that_did_not_stop(backend):
    whole, expected = fitted(epochs=9, backend=backend)
    parts, half = fitted(epochs=4, backend=backend)
    rest = parts.fit(X, Y, epochs=5, optimizer=BAYESIAN, state=half.state, backend=backend)
    assert parts.params.tobytes() == whole.params.tobytes()
    assert rest.evidence == expected.evidence


@pytest.mark.parametrize(
    "y", [0 * Y, Y * 0 + 3.0, RNG.normal(size=(40, 1)), np.sin(X)], ids=["0", "3", "noise", "exact"]
)
def test_targets_without_noise_and_without_anything_else_end(y, backend):
    net, history = fitted(y=y, backend=backend)
    assert history.stopped in ("converged", "finished")
    assert np.isfinite(net.params).all()
    assert 0 <= history.evidence.effective_params <= net.spec.n_params


def test_inputs_and_targets_of_zeros_end(backend):
    net = MLP((1, 2, 1), bias=False, rng=0)
    history = net.fit(np.zeros((9, 1)), np.zeros((9, 1)), epochs=9, optimizer=BAYESIAN, backend=backend)
    assert history.stopped == "converged"
    assert np.isfinite(history.evidence).all()


@pytest.mark.parametrize("ridge", [1e-40, 1e-25, 1e-18])
def test_what_rounding_drowns_is_not_determined(ridge, backend):
    J = RNG.normal(size=(20, 42)) * np.geomspace(1, 1e-2, 20)[:, None]
    found = effective_params(np.triu(J.T @ J), ridge, twin(backend, "normal_equations"), lambda: None)
    assert found == pytest.approx(20, abs=0.5)
    assert effective_params(np.zeros((3, 3)), 0.0, twin(backend, "normal_equations"), lambda: None) < 1e-9


def test_more_undetermined_than_there_are_is_none_determined():
    class Rounded:  # an inverse that rounding has left too large
        cholesky = staticmethod(lambda matrix, ridge, answer: matrix)
        trace_of_inverse = staticmethod(lambda factor, n, answer: n * (1 + 1e-9))

    assert effective_params(np.zeros((3, 3)), 1.0, Rounded, lambda: None) == 0


def test_it_begins_with_the_parameters_as_drawn():
    assert first(10, 5.0, np.full(4, 2.0)) == (0.25, 2.0, 4)
    loss, _ = MLP((1, 5, 1), rng=0).loss_and_grad(X, Y)
    assert fitted(epochs=1)[1].loss[0] == pytest.approx(loss, rel=1e-12)  # that of the data, without a penalty


def test_it_leaves_parameters_of_zero(backend):
    samples = RNG.normal(size=(40, 2))
    found = []
    for start in (0.0, 1.0):
        net = MLP((2, 1))
        net.params[:] = start
        history = net.fit(samples, samples @ [2, -1] + 1, epochs=50, optimizer=BAYESIAN, backend=backend)
        assert history.stopped == "converged"
        found.append(net.params)
    np.testing.assert_allclose(found[0], found[1], rtol=1e-6)


def test_where_no_step_leads_down_the_damping_begins_anew_with_the_next_penalty(monkeypatch):
    search, dampings = least_squares._search, []

    def fails_at_first(problem, monitor_state, here):
        dampings.append(monitor_state[MonitorState.DAMPING])
        if len(dampings) > 1:
            return search(problem, monitor_state, here)
        monitor_state[MonitorState.DAMPING] = 1e300
        return None

    monkeypatch.setattr(least_squares, "_search", fails_at_first)
    assert fitted(epochs=2)[1].epochs == 2
    assert dampings == [0, 0]


def test_what_is_refused():
    for settings, message in (
        ({"l2": 0.1}, "l2 must be 0 for LevenbergMarquardt with regularisation='bayesian', which finds it; got 0.1"),
        ({"loss": "mae"}, "loss must be a sum of squares, sse, mse or a fastnn.LeastSquares, .*; got 'mae'"),
        (
            {"optimizer": LevenbergMarquardt(regularisation="bayes")},
            "regularisation of .* must be one of bayesian; got",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            fitted(**settings)
    with pytest.raises(TypeError, match="regularisation of LevenbergMarquardt must be one of bayesian; got True"):
        fitted(optimizer=LevenbergMarquardt(regularisation=True))
    net = MLP((100, 200, 100))
    with pytest.raises(ValueError, match=r"LevenbergMarquardt would take \d+\.\d GiB"):
        net.fit(np.zeros((3, 100)), np.zeros((3, 100)), epochs=1, optimizer=BAYESIAN)


class Later(Interrupts):
    """Ctrl-C, pressed after this many looks at it within steps."""

    looks = 1

    def __enter__(self):
        self.left = Later.looks
        return self

    def answer(self):
        self.left -= 1
        self._came = self.left < 0
        super().answer()


@pytest.mark.parametrize("rule", [BAYESIAN, LevenbergMarquardt()], ids=["bayesian", "plain"])
def test_a_run_interrupted_in_the_midst_of_steps_is_resumed_to_the_same_bits(rule, backend, monkeypatch):
    settings = {"optimizer": rule, "backend": backend}
    whole, expected = fitted(epochs=12, **settings)
    parts, done, state = MLP((1, 5, 1), rng=0), 0, None
    monkeypatch.setattr(training, "Interrupts", Later)
    for looks in range(1, 100):
        monkeypatch.setattr(Later, "looks", looks)
        history = parts.fit(X, Y, epochs=12 - done, state=state, **settings)
        done, state = done + history.epochs, history.state
        if history.stopped != "interrupted":
            break
    assert history.stopped == expected.stopped == "finished"
    assert looks > 5
    assert parts.params.tobytes() == whole.params.tobytes()
    assert state.monitor_state.tobytes() == expected.state.monitor_state.tobytes()
