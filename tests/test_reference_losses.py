"""The NumPy losses: against values worked out by hand, PyTorch, a complex step, and at the extremes."""

import numpy as np
import pytest
import torch_autograd
from reference_cases import targets

from fastnn.reference import losses
from fastnn.settings import catalogue

ROWS = catalogue.LOSSES
DTYPES = ["float32", "float64"]


def test_every_row_has_its_functions():
    assert list(losses.FUNCTIONS) == list(losses.DERIVATIVES) == list(ROWS)
    for name in ROWS:
        assert losses.FUNCTIONS[name] is getattr(losses, name)
        assert losses.DERIVATIVES[name] is getattr(losses, f"{name}_derivative")


E, LOG2, LOG3 = np.e, np.log(2), np.log(3)
LOG1, LOG4 = np.log(1 - 1e-6), np.log(4 - 1e-6)  # of what makes variances of 1 and 4

# name: o or z, y, loss of each row, derivative
BY_HAND = {
    "sse": ([[1, 2], [0, 3]], [[0, 4], [0, 3]], [5, 0], [[2, -4], [0, 0]]),
    "mse": ([[1, 2], [0, 3]], [[0, 4], [0, 3]], [2.5, 0], [[1, -2], [0, 0]]),
    "mae": ([[1, 2], [0, 3]], [[0, 4], [0, 3]], [1.5, 0], [[0.5, -0.5], [0, 0]]),
    "huber": ([[0.5, 3], [1, -4]], [[0, 0], [0, 0]], [(0.125 + 2.5) / 2, (0.5 + 3.5) / 2], [[0.25, 0.5], [0.5, -0.5]]),
    "pinball": ([[1, 2], [0, 3]], [[0, 4], [0, 3]], [0.75, 0], [[0.25, -0.25], [0, 0]]),
    "ascending_pinball": (
        [[1, np.log(E - 1)], [0, np.log(E**3 - 1)]],
        [[0, 4], [0, 3]],
        [0.75, 0],
        [[0, -0.25 * (1 - 1 / E)], [0, 0]],
    ),
    "expectile": ([[1, 2], [0, 3]], [[0, 4], [0, 3]], [1.25, 0], [[0.5, -1], [0, 0]]),
    "gaussian_nll": (
        [[1, 2, LOG1, LOG4], [0, 0, LOG1, LOG1]],
        [[0, 6], [0, 0]],
        [LOG2 / 2 + 1.25, 0],
        [[0.5, -0.5, 0, -0.75 + 0.75e-6 / 4], [0, 0, 0.25 - 0.25e-6, 0.25 - 0.25e-6]],
    ),
    "poisson": (
        [[0, 1], [LOG2, 0]],
        [[1, 2], [3, 0]],
        [(1 + E - 2) / 2, (3 - 3 * LOG2) / 2],
        [[0, E / 2 - 1], [-0.5, 0.5]],
    ),
    "cross_entropy": (
        [[0, LOG3], [7, 7]],
        [[1, 0], [0.5, 1]],
        [2 * LOG2, 1.5 * LOG2],
        [[-0.75, 0.75], [0.25, -0.25]],
    ),
    "binary_cross_entropy": ([[0, LOG3]], [[1, 0]], [1.5 * LOG2], [[-0.25, 0.375]]),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ROWS)
def test_by_hand(name, dtype):
    source, y, value, derivative = (np.array(numbers, dtype) for numbers in BY_HAND[name])
    results = losses.FUNCTIONS[name](source, y), losses.DERIVATIVES[name](source, y)
    for result, expected in zip(results, (value, derivative), strict=True):
        assert result.dtype == dtype
        np.testing.assert_allclose(result, expected, rtol=4 * np.finfo(dtype).eps, atol=np.finfo(dtype).eps)


def test_huber_turns_at_delta():
    o, y = np.array([[1.0, 3.0, -8.0]]), np.zeros((1, 3))
    np.testing.assert_allclose(losses.huber(o, y, delta=2.0), (0.5 + 4 + 14) / 3)
    np.testing.assert_allclose(losses.huber_derivative(o, y, delta=2.0), [[1 / 3, 2 / 3, -2 / 3]])


@pytest.mark.parametrize("dtype", DTYPES)
def test_each_output_has_a_quantile_of_its_own(dtype):
    o, y, q = np.array([[1, 0, 2]], dtype), np.array([[0, 2, 2]], dtype), np.array([0.25, 0.75, 0.1], dtype)
    np.testing.assert_allclose(losses.pinball(o, y, q), [(0.75 + 1.5) / 3], rtol=1e-6)
    np.testing.assert_allclose(losses.pinball_derivative(o, y, q), [[0.25, -0.25, 0]], rtol=1e-6)
    np.testing.assert_allclose(losses.expectile(o, y, q), [(0.75 + 3) / 3], rtol=1e-6)
    np.testing.assert_allclose(losses.expectile_derivative(o, y, q), [[0.5, -1, 0]], rtol=1e-6)


@pytest.mark.parametrize("name", [name for name in ROWS if ROWS[name].labels])
def test_labels_are_columns_of_ones(name):
    rng = np.random.default_rng(0)
    z, labels = rng.normal(size=(20, 4)), rng.integers(0, 4, 20)
    for function in (losses.FUNCTIONS[name], losses.DERIVATIVES[name]):
        np.testing.assert_allclose(function(z, labels), function(z, np.eye(4)[labels]), rtol=1e-14, atol=1e-16)


@pytest.mark.parametrize("name", [name for name in ROWS if not ROWS[name].kink])
def test_derivative_is_that_of_a_complex_step(name):
    rng = np.random.default_rng(1)
    source, y = rng.normal(size=(8, 4)), targets(name, 8, 4, rng)
    step = np.empty((8, 4))
    for j in range(4):
        step[:, j] = losses.FUNCTIONS[name](source + 1e-100j * np.eye(4)[j], y).imag / 1e-100
    np.testing.assert_allclose(losses.DERIVATIVES[name](source, y), step, rtol=1e-12, atol=1e-14)


# name: z, y, loss of each row, derivative
EXTREMES = {
    "poisson": ([[-1e4]], [[0]], [0], [[0]]),
    "cross_entropy": ([[1e4, -1e4], [1e4, -1e4]], [[1, 0], [0, 1]], [0, 2e4], [[0, 0], [1, -1]]),
    "binary_cross_entropy": (
        [[1e4], [1e4], [-1e4], [-1e4]],
        [[1], [0], [1], [0]],
        [0, 1e4, 1e4, 0],
        [[0], [1], [-1], [0]],
    ),
    "ascending_pinball": ([[0, 1e4], [0, -1e4]], [[0, 0], [1, 1]], [2500, 0.5], [[0.25, 0.25], [-0.5, 0]]),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", [name for name in ROWS if ROWS[name].logits_of])
def test_certainty_does_not_overflow(name, dtype):
    z, y, value, derivative = (np.array(numbers, dtype) for numbers in EXTREMES[name])
    np.testing.assert_array_equal(losses.FUNCTIONS[name](z, y), value)
    np.testing.assert_array_equal(losses.DERIVATIVES[name](z, y), derivative)


def test_a_small_binary_cross_entropy_keeps_its_digits():
    np.testing.assert_allclose(
        losses.binary_cross_entropy(np.array([[40.0]]), np.array([[1.0]])), np.exp(-40), rtol=1e-14
    )


@pytest.mark.parametrize("name", ROWS)
def test_nan_in_nan_out(name):
    o, y = np.full((1, ROWS[name].outputs_per_target), np.nan), np.zeros((1, 1))
    assert np.isnan(losses.FUNCTIONS[name](o, y)).all()
    assert np.isnan(losses.DERIVATIVES[name](o, y)).all()


@pytest.mark.parametrize("name", ROWS)
def test_agrees_with_torch(name):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(2)
    source, y = 2 * rng.normal(size=(30, 4)), targets(name, 30, 4, rng)
    source[0, : y.shape[1]] = y[0]  # no residual
    source_torch = torch.tensor(source, requires_grad=True)
    value = torch_autograd.row_loss(name)(source_torch, torch.tensor(y))
    value.sum().backward()
    np.testing.assert_allclose(losses.FUNCTIONS[name](source, y), value.detach().numpy(), rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(losses.DERIVATIVES[name](source, y), source_torch.grad.numpy(), rtol=1e-12, atol=1e-15)
