"""The NumPy network: its gradient against differences, a complex step and autograd; weights, l2, Jacobian."""

from functools import partial

import numpy as np
import pytest
import torch_autograd
from reference_cases import (
    GOING_TOGETHER,
    HIDDEN,
    OUTPUTS,
    about,
    central_differences,
    complex_step,
    draw,
    error,
    is_analytic,
)

from fastnn import MLP, SGD, Ensemble, standardize
from fastnn.reference import jacobian, loss_and_grad, predict
from fastnn.settings import catalogue
from fastnn.settings.spec import NetworkSpec

SIZES = (2, 4, 3, 2)
WEIGHT = np.array([0.5, 1.0, 0.0, 2.0, 0.25, 3.0])
L2 = 0.1


def network_of(hidden, output, sizes=SIZES, bias=True, dtype="float64"):
    return NetworkSpec(sizes, (hidden,) * (len(sizes) - 2) + (output,), bias, dtype)


def outputs_at(spec, params, x):
    return predict(spec, params, x[np.newaxis])[0]


def loss_of(spec, X, y, loss, **settings):
    """The loss as a function of the parameters."""
    return lambda params: loss_and_grad(spec, params, X, y, catalogue.LOSSES[loss], **settings)[0]


@pytest.mark.parametrize("hidden", HIDDEN)
def test_gradient_is_that_of_differences(hidden):
    """Of a complex step, which is exact, or of central ones where a function is no analytic one; in all directions."""
    for output, loss in GOING_TOGETHER:
        spec, settings = network_of(hidden, output), {"sample_weight": WEIGHT, "l2": L2}
        row, (params, X, y) = catalogue.LOSSES[loss], draw(spec, loss, len(WEIGHT))
        _, gradient = loss_and_grad(spec, params, X, y, row, **settings)
        smooth = is_analytic(hidden, output) and not row.kink
        derivative, tolerance = (complex_step, 1e-13) if smooth else (central_differences, 1e-7)
        # Each is a mixture of all parameters: a gradient that is wrong in one of them is wrong in every one.
        directions = np.random.default_rng(0).normal(size=(6, spec.n_params))
        expected = derivative(loss_of(spec, X, y, loss, **settings), params, directions)
        with about(output, loss):
            assert error(directions @ gradient, expected) < tolerance


@pytest.mark.parametrize("hidden", HIDDEN)
def test_gradient_is_that_of_torch(hidden):
    for output, loss in GOING_TOGETHER:
        spec, settings = network_of(hidden, output), {"sample_weight": WEIGHT, "l2": L2}
        row, (params, X, y) = catalogue.LOSSES[loss], draw(spec, loss, len(WEIGHT), seed=2)
        their_value, their_gradient = torch_autograd.loss_and_grad(spec, params, X, y, row, **settings)
        value, gradient = loss_and_grad(spec, params, X, y, row, **settings)
        with about(output, loss):
            assert value == pytest.approx(their_value, rel=1e-12)
            assert error(gradient, their_gradient) < 1e-10


@pytest.mark.parametrize("hidden", HIDDEN)
def test_float32_stays_float32(hidden):
    for output, loss in GOING_TOGETHER:
        double, single = (network_of(hidden, output, dtype=dtype) for dtype in ("float64", "float32"))
        row, arrays = catalogue.LOSSES[loss], (*draw(double, loss, len(WEIGHT), seed=3), WEIGHT)
        value, gradient = loss_and_grad(double, *arrays[:3], row, sample_weight=WEIGHT, l2=L2)
        params, X, y, weight = (array.astype(np.float32) for array in arrays)
        value_single, gradient_single = loss_and_grad(single, params, X, y, row, sample_weight=weight, l2=L2)
        with about(output, loss):
            assert predict(single, params, X).dtype == np.float32
            assert gradient_single.dtype == np.float32
            assert value_single == pytest.approx(value, rel=1e-5)
            assert error(gradient_single, gradient) < 1e-5


@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("sizes", [(1, 1), (4, 1), (1, 1, 1), (3, 1, 2), (1, 4, 1), (2, 1, 3, 1, 2)])
def test_gradient_of_narrow_networks_and_short_batches(sizes, bias, n):
    spec = network_of("tanh", "sigmoid", sizes, bias)
    params, X, y = draw(spec, "mse", n, seed=4)
    _, gradient = loss_and_grad(spec, params, X, y, catalogue.LOSSES["mse"])
    assert error(gradient, complex_step(loss_of(spec, X, y, "mse"), params)) < 1e-13


def test_predict_by_hand():
    spec = NetworkSpec((2, 2, 1), ("relu", "identity"))
    params = np.array(
        [1.0, 2, 3, 4, 0.5, -20, 5, 6, 7]
    )  # W0 = [[1, 2], [3, 4]], b0 = [0.5, -20], W1 = [[5], [6]], b1 = [7]
    np.testing.assert_array_equal(predict(spec, params, np.array([[1.0, 1], [-1, 0]])), [[4.5 * 5 + 7], [7]])


@pytest.mark.parametrize("loss", catalogue.LOSSES)
class TestBatch:
    """How the rows' losses make the batch's."""

    @pytest.fixture
    def case(self, loss):
        spec = network_of("tanh", catalogue.LOSSES[loss].logits_of or "identity")
        params, X, y = draw(spec, loss, 4, seed=5)
        return lambda rows=slice(None), **settings: loss_and_grad(
            spec, params, X[rows], y[rows], catalogue.LOSSES[loss], **settings
        )

    def test_is_a_mean_or_a_sum_of_the_rows(self, loss, case):
        rows = [case([i]) for i in range(4)]
        combine = np.mean if catalogue.LOSSES[loss].mean else np.sum
        value, gradient = case()
        assert type(value) is float
        assert value == pytest.approx(combine([row_value for row_value, _ in rows]), rel=1e-14)
        assert error(gradient, combine([row_gradient for _, row_gradient in rows], axis=0)) < 1e-13

    def test_whole_weights_repeat_rows(self, loss, case):
        value, gradient = case(sample_weight=np.array([2.0, 0, 1, 3]))
        repeated_value, repeated_gradient = case([0, 0, 2, 3, 3, 3])
        assert value == pytest.approx(repeated_value, rel=1e-14)
        assert error(gradient, repeated_gradient) < 1e-13

    def test_scale_of_the_weights(self, loss, case):
        weight = np.array([2.0, 0.5, 1, 3])
        (value, gradient), (scaled_value, scaled_gradient) = case(sample_weight=weight), case(sample_weight=10 * weight)
        factor = 1 if catalogue.LOSSES[loss].mean else 10
        assert scaled_value == pytest.approx(factor * value, rel=1e-14)
        assert error(scaled_gradient, factor * gradient) < 1e-13

    def test_without_any_weight_nothing_is_contributed(self, loss, case):
        value, gradient = case(sample_weight=np.zeros(4))
        assert value == 0
        np.testing.assert_array_equal(gradient, 0)


@pytest.mark.parametrize("bias", [True, False])
def test_l2_acts_on_weights_alone(bias):
    spec, mse = network_of("tanh", "identity", bias=bias), catalogue.LOSSES["mse"]
    params, X, y = draw(spec, "mse", 4, seed=6)
    value, gradient = loss_and_grad(spec, params, X, y, mse)
    penalised_value, penalised_gradient = loss_and_grad(spec, params, X, y, mse, l2=0.3)
    weights = params * spec.weight_mask()
    assert penalised_value - value == pytest.approx(0.15 * np.sum(weights**2), rel=1e-13)
    np.testing.assert_allclose(penalised_gradient - gradient, 0.3 * weights, rtol=1e-12, atol=1e-15)
    np.testing.assert_array_equal(penalised_gradient[~spec.weight_mask()], gradient[~spec.weight_mask()])


def test_delta_reaches_huber():
    spec, huber = network_of("tanh", "identity"), catalogue.LOSSES["huber"]
    params, X, y = draw(spec, "huber", 4, seed=7)
    r = predict(spec, params, X) - y
    assert np.abs(r).max() < 10
    value, _ = loss_and_grad(spec, params, X, y, huber, loss_parameter=10.0)
    assert value == pytest.approx(np.mean(r**2 / 2), rel=1e-14)
    small_value, gradient = loss_and_grad(spec, params, X, y, huber, loss_parameter=0.01)
    assert small_value < value / 10
    settings = {"loss_parameter": 0.01}
    assert error(gradient, central_differences(loss_of(spec, X, y, "huber", **settings), params)) < 1e-7


def test_labels_give_the_gradient_of_their_columns():
    spec, row = network_of("tanh", "softmax"), catalogue.LOSSES["cross_entropy"]
    params, X, _ = draw(spec, "cross_entropy", 6, seed=8)
    labels = np.array([0, 1, 1, 0, 1, 0])
    value, gradient = loss_and_grad(spec, params, X, labels, row, sample_weight=WEIGHT)
    column_value, column_gradient = loss_and_grad(spec, params, X, np.eye(2)[labels], row, sample_weight=WEIGHT)
    assert value == pytest.approx(column_value, rel=1e-14)
    assert error(gradient, column_gradient) < 1e-14


def test_gradient_is_written_where_asked_and_nothing_else_changes():
    spec, mse = network_of("tanh", "identity"), catalogue.LOSSES["mse"]
    params, X, y = draw(spec, "mse", 4, seed=9)
    before = [array.copy() for array in (params, X, y, WEIGHT[:4])]
    out = np.full(spec.n_params, np.nan)
    _, gradient = loss_and_grad(spec, params, X, y, mse, sample_weight=WEIGHT[:4], l2=L2, out=out)
    assert gradient is out
    assert np.isfinite(out).all()
    for array, copy in zip((params, X, y, WEIGHT[:4]), before, strict=True):
        np.testing.assert_array_equal(array, copy)


@pytest.mark.parametrize("hidden", HIDDEN)
def test_jacobian_is_that_of_steps(hidden):
    for output in OUTPUTS:
        spec = network_of(hidden, output, (4, 5, 3, 2))
        loss = next(name for name, row in catalogue.LOSSES.items() if row.goes_with(output))
        params, (x,), _ = draw(spec, loss, 1, seed=10)
        jac = jacobian(spec, params, x)
        single = NetworkSpec(spec.sizes, spec.activations, dtype="float32")
        derivative, tolerance = (complex_step, 1e-13) if is_analytic(hidden, output) else (central_differences, 1e-8)
        expected = derivative(partial(outputs_at, spec, params), x)
        with about(output):
            assert jac.shape == (2, 4)
            assert error(jac, expected) < tolerance
            assert jacobian(single, params.astype(np.float32), x.astype(np.float32)).dtype == np.float32


@pytest.mark.parametrize("sizes", [(1, 1), (3, 1), (1, 3), (2, 1, 2)])
def test_jacobian_of_narrow_networks(sizes):
    spec = network_of("tanh", "softplus", sizes, bias=False)
    rng = np.random.default_rng(11)
    params, x = rng.normal(size=spec.n_params), rng.normal(size=spec.n_in)
    expected = complex_step(partial(outputs_at, spec, params), x)
    assert error(jacobian(spec, params, x), expected) < 1e-13


@np.errstate(all="raise")
def test_underflow_is_no_error():
    """Where a caller wants NumPy's other errors, or all: compiled code raises none."""
    X, labels = np.random.default_rng(0).normal(size=(6, 3)) * 1e4, np.arange(6) % 3
    net = MLP((3, 4, 3), activation="sigmoid", output_activation="softmax", rng=0)
    net.params[:] *= 10
    settings = {"loss": "cross_entropy", "backend": "numpy"}
    net.predict(X, backend="numpy")
    net.loss_and_grad(X, labels, **settings)
    net.fit(X, labels, epochs=2, optimizer=SGD(1e-300, momentum=0.9), **settings)
    ensemble = Ensemble(net.spec, net.params * [[1.0], [2.0], [3.0]])
    ensemble.std(X), ensemble.quantile(X, 0.3)
    single = MLP((3, 2, 1), dtype="float32")
    single.predict(X * 1e-50)
    single.with_domain(X).distance(X * 1e-50)
    standardize(X * 1e-170)
