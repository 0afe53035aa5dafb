"""Squares of residuals of the user's own: Levenberg-Marquardt against hand and SciPy, other optimizers, refusals."""

import math
import pickle

import numpy as np
import pytest
from test_least_squares import job_of, silent

from fastnn import LBFGS, MLP, Adam, LeastSquares, LevenbergMarquardt, Loss
from fastnn.reference.normal_equations import parameter_jacobian
from fastnn.training.interrupts import NoInterrupts
from fastnn.training.least_squares import _Problem
from fastnn.training.twins import twin
from fastnn.training.verdict import rounding_loss


def difference(o, y):
    return o - y


def one(o, y):
    return 1.0


def log_ratio(o, y):
    return math.log(o / y)


def slope_of_log_ratio(o, y):
    return 1 / o


def bounded(o, y):
    return math.tanh(o - y)


def slope_of_bounded(o, y):
    return 1 - math.tanh(o - y) ** 2


ABOVE_0 = {"outputs": (0, math.inf), "targets": (0, math.inf)}
DIFFERENCE = LeastSquares(difference, one)
LOG_RATIO = LeastSquares(log_ratio, slope_of_log_ratio, **ABOVE_0)
BOUNDED = LeastSquares(bounded, slope_of_bounded, name="bounded")
RNG = np.random.default_rng(0)
X = RNG.normal(size=(37, 3))
Y = np.exp(np.c_[np.sin(X[:, 0]) * X[:, 1], np.cos(X[:, 2])])
WEIGHT = RNG.uniform(0.5, 2, 37)


@pytest.mark.parametrize("dtype", ["float64", pytest.param("float32", marks=pytest.mark.slow)])
def test_normal_equations_by_hand(dtype, backend):
    net, y = MLP((3, 4, 2), output_activation="exp", rng=1, dtype=dtype), Y.copy()
    y[::5, 0] = np.nan
    job, scale = job_of(net, X, y, loss=LOG_RATIO, targets="masked"), RNG.random(37).astype(dtype)
    outputs, jacobian = parameter_jacobian(net.spec, net.params, job.X)
    rows = np.concatenate([jacobian / outputs[:, :, None], np.log(outputs / job.y)[:, :, None]], axis=2)
    rows = (np.where(np.isnan(job.y)[:, :, None], 0, rows) * scale[:, None, None]).reshape(-1, rows.shape[2])
    expected = np.triu(rows.T.astype(np.float64) @ rows)
    found = np.triu(twin(backend, "normal_equations").normal_equations(job, scale, 16, silent))
    tolerance = (1e-13 if dtype == "float64" else 1e-5) * abs(expected).max()
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)


def test_logarithms_of_an_exponential_output_are_a_linear_regression(backend):
    net = MLP((3, 2), output_activation="exp", rng=0)
    settings = {"sample_weight": WEIGHT, "optimizer": LevenbergMarquardt(), "backend": backend}
    history = net.fit(X, Y, loss=LOG_RATIO, epochs=60, **settings)
    design, root = np.c_[X, np.ones(37)], np.sqrt(WEIGHT)[:, None]
    expected = np.linalg.lstsq(root * design, root * np.log(Y))[0]
    np.testing.assert_allclose(np.vstack([net.weights[0], net.biases[0]]), expected, atol=1e-6)
    assert history.stopped == "converged"


def test_the_minimum_is_that_of_scipy(backend):
    optimize = pytest.importorskip("scipy.optimize")
    net = MLP((3, 1), rng=0)
    y = X @ [1.0, -0.5, 0.3] + 0.1 * RNG.normal(size=37) + np.where(np.arange(37) % 9 == 0, 8, 0)  # four outliers
    expected = optimize.least_squares(lambda p: np.tanh(X @ p[:3] + p[3] - y), net.params, xtol=1e-14, gtol=1e-14)
    history = net.fit(X, y, loss=BOUNDED, optimizer=LevenbergMarquardt(), epochs=60, backend=backend)
    np.testing.assert_allclose(net.params, expected.x, atol=1e-5)
    assert net.loss_and_grad(X, y, loss=BOUNDED)[0] == pytest.approx((expected.fun**2).mean(), rel=1e-9)
    assert history.stopped == "converged"


def test_what_says_the_same_as_mse_takes_the_same_steps():
    nets = [MLP((3, 6, 2), rng=0) for _ in range(2)]
    for net, loss in zip(nets, (DIFFERENCE, "mse"), strict=True):
        net.fit(X, Y, loss=loss, optimizer=LevenbergMarquardt(), epochs=6, sample_weight=WEIGHT, l2=1e-3)
    np.testing.assert_allclose(nets[0].params, nets[1].params, rtol=1e-9)


def test_how_the_residuals_bend_along_a_step():
    net, step = MLP((3, 4, 2), rng=1), 0.01 * RNG.normal(size=26)
    job = job_of(net, X, Y, loss=BOUNDED, sample_weight=WEIGHT)
    problem = _Problem(job, "numpy", NoInterrupts())
    outputs, jacobian = parameter_jacobian(net.spec, net.params, X)
    scale = np.sqrt(WEIGHT / WEIGHT.sum() / 2)[:, None]
    jacobian *= (scale * (1 - np.tanh(outputs - Y) ** 2))[:, :, None]
    ahead, here, behind = (problem.residuals(net.params + k * step) for k in (0.1, 0, -0.1))
    np.testing.assert_allclose(here, scale * np.tanh(outputs - Y), rtol=1e-13)
    second = (ahead - 2 * here + behind) / 0.01
    bend = problem.bend(step, problem.present())
    np.testing.assert_allclose(bend, np.einsum("rkp,rk->p", jacobian, second), rtol=1e-10, atol=1e-16)


def test_other_optimizers_descend_the_square():
    def value(o, y):
        return math.tanh(o - y) ** 2

    def gradient(o, y):
        return 2 * math.tanh(o - y) * (1 - math.tanh(o - y) ** 2)

    nets = [MLP((3, 4, 2), rng=0) for _ in range(2)]
    for net, loss in zip(nets, (BOUNDED, Loss(value, gradient)), strict=True):
        net.fit(X, Y, loss=loss, optimizer=Adam(0.01), epochs=4, batch_size=8, rng=1, specialize=False)
    np.testing.assert_allclose(nets[0].params, nets[1].params, rtol=1e-12)


def test_a_loss_that_is_not_defined_everywhere_is_not_at_its_minimum_for_that():
    net = MLP((3, 4, 2), output_activation="exp", rng=0)
    assert 0 < rounding_loss(job_of(net, X, Y, loss=LOG_RATIO)) < 1e-20
    assert net.fit(X, Y, loss=LOG_RATIO, optimizer=LBFGS(), epochs=5, backend="numpy").epochs == 5


def test_pickled_ones_are_equal():
    for loss in (LOG_RATIO, LOG_RATIO.where_present()):
        again = pickle.loads(pickle.dumps(loss))
        assert again == loss
        assert (repr(again), again.squared, again.outputs) == (repr(loss), True, (0, math.inf))


def test_refused_in_one_sentence():
    net = MLP((3, 4, 2), rng=0)
    before = net.params.copy()
    other = Loss(lambda o, y: (o - y) ** 2, lambda o, y: 2 * (o - y), name="other")
    with pytest.raises(ValueError, match=r"a sum of squares, sse, mse or a fastnn\.LeastSquares, for Levenberg"):
        net.fit(X, Y, loss=other, optimizer=LevenbergMarquardt(), epochs=1)
    wrong = LeastSquares(difference, lambda o, y: 2.0, name="wrong")
    with pytest.raises(ValueError, match="derivative of the loss 'wrong' must be the derivative of residual; at o = "):
        net.fit(X, Y, loss=wrong, optimizer=LevenbergMarquardt(), epochs=1)
    with pytest.raises(TypeError, match="residual must be a function of Python's, compiled by Numba or not; got 1"):
        LeastSquares(1, one)
    with pytest.raises(ValueError, match="y must"):
        net.fit(X, -Y, loss=LOG_RATIO, optimizer=LevenbergMarquardt(), epochs=1)
    np.testing.assert_array_equal(net.params, before)
