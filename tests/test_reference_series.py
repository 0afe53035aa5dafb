"""Values, slopes and curvatures in the reference, and their derivatives: against complex steps and PyTorch."""

from itertools import pairwise

import numpy as np
import pytest

from fastnn import MLP
from fastnn.reference import activations, curvatures, network, series
from fastnn.settings.catalogue import ACTIVATIONS

SMOOTH = [name for name in curvatures.SECOND if ACTIVATIONS[name].analytic]
KINKED = [name for name in curvatures.SECOND if not ACTIVATIONS[name].analytic]


@pytest.mark.parametrize("name", SMOOTH)
def test_curvatures_are_those_of_a_complex_step(name):
    z = np.linspace(-6, 6, 601)
    h, moved = activations.FUNCTIONS[name](z), activations.FUNCTIONS[name](z + 1e-100j)
    second = activations.DERIVATIVES[name](z + 1e-100j, moved).imag / 1e-100
    np.testing.assert_allclose(curvatures.SECOND[name](z, h), second, rtol=1e-10, atol=1e-13)
    if name in curvatures.THIRD:
        third = curvatures.SECOND[name](z + 1e-100j, moved).imag / 1e-100
        np.testing.assert_allclose(curvatures.THIRD[name](z, h), third, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("name", KINKED)
def test_curvatures_away_from_kinks_are_differences(name):
    z, step = np.concatenate([np.linspace(-5, -0.1, 50), np.linspace(0.1, 5, 50)]), 1e-5

    def at(table, shift):
        return table[name](z + shift, activations.FUNCTIONS[name](z + shift))

    tables = [activations.DERIVATIVES, curvatures.SECOND, curvatures.THIRD][: ACTIVATIONS[name].derivatives]
    for below, table in pairwise(tables):
        difference = (at(below, step) - at(below, -step)) / (2 * step)
        np.testing.assert_allclose(at(table, 0.0), difference, atol=1e-9)


CASES = {
    "smooth": ((3, 5, 4, 7, 3, 5, 4, 2), ["sigmoid", "tanh", "silu", "softplus", "gelu_tanh", "sin"], "exp"),
    "softmax": ((4, 6, 3), ["tanh"], "softmax"),
    "ascending": ((4, 6, 3), ["tanh"], "ascending"),
    "kinked": ((3, 5, 4, 7, 1), ["elu", "selu", "leaky_relu"], "identity"),
}


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_against_torchs_double_backward(case, bias):
    torch = pytest.importorskip("torch")
    F = torch.nn.functional
    sizes, hidden, output = case
    net, rng = MLP(sizes, activation=hidden, output_activation=output, bias=bias, rng=0), np.random.default_rng(1)
    spec, n = net.spec, 3
    X, T = rng.normal(size=(2, n, spec.n_in))
    V = list(rng.normal(size=(3, n, spec.n_out)))
    functions = {name: getattr(F, name, None) for name in ACTIVATIONS} | {
        "identity": lambda z: z,
        "gelu_tanh": lambda z: F.gelu(z, approximate="tanh"),
        "softmax": lambda z: F.softmax(z, dim=1),
        "exp": torch.exp,
        "sin": torch.sin,
        "ascending": lambda z: torch.cumsum(torch.cat([z[:, :1], F.softplus(z[:, 1:])], 1), 1),
    }
    params, x = torch.tensor(net.params, requires_grad=True), torch.tensor(X, requires_grad=True)
    s = torch.zeros((), dtype=torch.float64, requires_grad=True)
    h = x + s * torch.tensor(T)
    for layer in spec.layers:
        h = h @ params[layer.weights : layer.weights + layer.n_in * layer.n_out].reshape(layer.n_in, layer.n_out)
        h = functions[layer.activation.name](h + params[layer.biases : layer.biases + layer.n_out] if bias else h)
    theirs = [h]
    for _ in range(2):  # a derivative by s of a product with w, and that by w
        w = torch.zeros_like(h, requires_grad=True)
        (slope,) = torch.autograd.grad((theirs[-1] * w).sum(), s, create_graph=True)
        theirs.append(torch.autograd.grad(slope, w, create_graph=True)[0])
    ours = series.taylor(spec, net.params, X, T)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b.detach().numpy(), rtol=1e-9, atol=1e-12)

    for count in (1, 2, 3):
        total = sum((u * torch.tensor(v)).sum() for u, v in zip(theirs[:count], V, strict=False))
        by_params, by_x = torch.autograd.grad(total, [params, x], retain_graph=True)
        gradient = np.zeros_like(net.params)
        back = series.vjp(spec, net.params, X, T, V[:count], gradient)
        np.testing.assert_allclose(gradient, by_params.numpy(), rtol=1e-8, atol=1e-10)
        np.testing.assert_allclose(back[0], by_x.numpy(), rtol=1e-8, atol=1e-10)


def test_one_term_is_backpropagation():
    net, rng = MLP((3, 5, 2), rng=0), np.random.default_rng(1)
    X, y = rng.normal(size=(4, 3)), rng.normal(size=(4, 2))
    gradient = np.zeros_like(net.params)
    back = series.vjp(net.spec, net.params, X, X, [2 * (net.predict(X) - y)], gradient)
    np.testing.assert_allclose(gradient, net.loss_and_grad(X, y, "sse", backend="numpy")[1], rtol=1e-12)
    jacobian = network.jacobian(net.spec, net.params, X[0])
    np.testing.assert_allclose(back[0][0], 2 * (net.predict(X) - y)[0] @ jacobian, rtol=1e-12)
