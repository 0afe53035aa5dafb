"""The NumPy activations: against textbook formulas in long double, PyTorch, a complex step, and at the extremes."""

import numpy as np
import pytest
import torch_autograd

from fastnn.reference import activations, curvatures
from fastnn.settings import catalogue

DTYPES = ["float32", "float64"]
ROWS = catalogue.ACTIVATIONS
ELEMENTWISE = [name for name, row in ROWS.items() if row.elementwise]
INF = np.inf
SELU_SCALE, SELU_ALPHA = 1.0507009873554804934193349852946, 1.6732632423543772848170429916717
SELU_FLOOR = SELU_SCALE * SELU_ALPHA


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def gelu_tanh(z):
    return z * sigmoid(np.sqrt(8 / np.longdouble(np.pi)) * (z + 0.044715 * z**3))


def gelu_tanh_derivative(z):
    u = np.sqrt(2 / np.longdouble(np.pi)) * (z + 0.044715 * z**3)
    u_prime = np.sqrt(2 / np.longdouble(np.pi)) * (1 + 0.134145 * z**2)
    return (1 + np.tanh(u)) / 2 + z * (1 - np.tanh(u) ** 2) * u_prime / 2


# name: function, derivative
TEXTBOOK = {
    "identity": (lambda z: z, lambda z: z**0),
    "sigmoid": (sigmoid, lambda z: sigmoid(z) * sigmoid(-z)),
    "tanh": (np.tanh, lambda z: 1 / np.cosh(z) ** 2),
    "relu": (lambda z: z * (z > 0), lambda z: 1.0 * (z > 0)),
    "leaky_relu": (lambda z: np.where(z > 0, z, 0.01 * z), lambda z: np.where(z > 0, 1, 0.01)),
    "elu": (lambda z: np.where(z > 0, z, np.expm1(z)), lambda z: np.where(z > 0, 1, np.exp(z))),
    "selu": (
        lambda z: SELU_SCALE * np.where(z > 0, z, SELU_ALPHA * np.expm1(z)),
        lambda z: SELU_SCALE * np.where(z > 0, 1, SELU_ALPHA * np.exp(z)),
    ),
    "silu": (lambda z: z * sigmoid(z), lambda z: sigmoid(z) + z * sigmoid(z) * sigmoid(-z)),
    "softplus": (lambda z: np.log1p(np.exp(z)), sigmoid),
    "gelu_tanh": (gelu_tanh, gelu_tanh_derivative),
    "exp": (np.exp, np.exp),
    "sin": (np.sin, np.cos),
}

# name: the function at -inf and inf, the derivative at -inf and inf
LIMITS = {
    "identity": (-INF, INF, 1, 1),
    "sigmoid": (0, 1, 0, 0),
    "tanh": (-1, 1, 0, 0),
    "relu": (0, INF, 0, 1),
    "leaky_relu": (-INF, INF, 0.01, 1),
    "elu": (-1, INF, 0, 1),
    "selu": (-SELU_FLOOR, INF, 0, SELU_SCALE),
    "silu": (0, INF, 0, 1),
    "softplus": (0, INF, 0, 1),
    "gelu_tanh": (0, INF, 0, 1),
    "exp": (0, INF, 0, INF),
    "sin": (np.nan, np.nan, np.nan, np.nan),
}


def both(name, z):
    """The function's values and its derivative's, from z and h, or from h alone where the catalogue says so."""
    h = activations.FUNCTIONS[name](z)
    return h, activations.DERIVATIVES[name](z if ROWS[name].needs_input else None, h)


def test_every_row_has_its_functions():
    assert list(activations.FUNCTIONS) == list(ROWS)
    assert list(activations.DERIVATIVES) == ELEMENTWISE
    for name in ROWS:
        assert activations.FUNCTIONS[name] is getattr(activations, name)
    for name in ELEMENTWISE:
        assert activations.DERIVATIVES[name] is getattr(activations, f"{name}_derivative")
    for order, table, suffix in ((2, curvatures.SECOND, "second"), (3, curvatures.THIRD, "third")):
        assert list(table) == [name for name in ELEMENTWISE if ROWS[name].derivatives >= order]
        assert [name for name in ROWS if hasattr(curvatures, f"{name}_{suffix}_derivative")] == list(table)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_errors_are_a_few_roundings(name, dtype):
    """Errors: the function's against max(|f|, |z| eps), the derivative's, which may rest on h, against max(|f'|, 1)."""
    eps = float(np.finfo(dtype).eps)
    z = np.random.default_rng(0).uniform(-80, 80, 20_001).astype(dtype)
    z[:8001] /= 1000
    h, slope = both(name, z)
    assert h.dtype == slope.dtype == dtype
    exact = z.astype(np.longdouble)
    with np.errstate(over="ignore"):
        f, f_prime = (textbook(exact) for textbook in TEXTBOOK[name])
    # exp(2 u) multiplies the rounding of u by 2 u, which is 36 where the result drops to |z| eps
    allowed = 60 if name == "gelu_tanh" else 4
    assert (np.abs(h - f) / np.maximum(np.maximum(np.abs(f), np.abs(exact) * eps), 1e-300)).max() < allowed * eps
    assert (np.abs(slope - f_prime) / np.maximum(np.abs(f_prime), 1)).max() < 6 * eps


@pytest.mark.parametrize("name", [name for name in ELEMENTWISE if ROWS[name].analytic])
def test_derivative_is_that_of_a_complex_step(name):
    z = np.linspace(-6, 6, 601)
    step = activations.FUNCTIONS[name](z + 1e-100j).imag / 1e-100
    np.testing.assert_allclose(both(name, z)[1], step, rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_infinity_gives_the_limit_and_nan_gives_nan(name, dtype):
    h, slope = both(name, np.array([-INF, INF, np.nan], dtype))
    at_minus, at_plus, slope_at_minus, slope_at_plus = LIMITS[name]
    np.testing.assert_array_equal(h, np.array([at_minus, at_plus, np.nan], dtype))
    expected_slope = [slope_at_minus, slope_at_plus, 1 if name == "identity" else np.nan]
    np.testing.assert_array_equal(slope, np.array(expected_slope, dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", [name for name in ELEMENTWISE if name not in ("exp", "sin")])  # sin has no limit
def test_nothing_overflows(name, dtype):
    """Huge finite values give the limits, without a warning (which would be an error here)."""
    z = np.array([-1, 1], dtype) * (np.finfo(dtype).max / 2)
    h, slope = both(name, z)
    np.testing.assert_array_equal(slope, np.array(LIMITS[name][2:], dtype))
    for value, limit in zip(h, LIMITS[name][:2], strict=True):
        assert np.isfinite(value)
        assert np.abs(value) > 1e30 if np.isinf(limit) else value == z.dtype.type(limit)


@pytest.mark.parametrize("dtype", DTYPES)
def test_softmax_by_hand(dtype):
    z = np.array([[0, 0, 0, 0], [1e4, -1e4, 1e4, 0], [0, np.log(2), np.log(3), -200]], dtype)
    p = activations.softmax(z)
    assert p.dtype == dtype
    np.testing.assert_allclose(p, [[0.25] * 4, [0.5, 0, 0.5, 0], [1 / 6, 2 / 6, 3 / 6, 0]], rtol=1e-6, atol=1e-80)
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-6)
    assert np.isnan(activations.softmax(np.array([[np.nan, 0]], dtype))).all()


def test_ascending_by_hand():
    z = np.array([-3.0, 0.0, np.log(np.e - 1), -700.0, 700.0])
    expected = [-3, np.log(2) - 3, np.log(2) - 2, np.log(2) - 2, np.log(2) + 698]
    np.testing.assert_allclose(activations.ascending(z), expected, rtol=1e-14)


@pytest.mark.parametrize("name", ROWS)
def test_agrees_with_torch(name):
    """Values, and derivatives by autograd; kinks included."""
    torch = pytest.importorskip("torch")
    z = np.linspace(-5, 5, 101)[np.newaxis]
    assert 0 in z
    z_torch = torch.tensor(z, requires_grad=True)
    h_torch = torch_autograd.activation(name)(z_torch)
    np.testing.assert_allclose(activations.FUNCTIONS[name](z), h_torch.detach().numpy(), rtol=1e-12, atol=1e-15)
    if name in activations.DERIVATIVES:
        h_torch.sum().backward()
        np.testing.assert_allclose(both(name, z)[1], z_torch.grad.numpy(), rtol=1e-12, atol=1e-14)
