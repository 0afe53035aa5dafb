"""PyTorch's activations and losses, and a network of them with its gradient by autograd: a witness for both twins.

All skip the test where PyTorch is missing.
"""

import pytest


def activation(name):
    """PyTorch's function by the catalogue's name."""
    torch = pytest.importorskip("torch")
    F = torch.nn.functional
    theirs = {
        "identity": lambda z: z * 1,
        "gelu_tanh": lambda z: F.gelu(z, approximate="tanh"),
        "softmax": lambda z: torch.softmax(z, -1),
        "exp": torch.exp,
        "sin": torch.sin,
        "ascending": lambda z: torch.cumsum(torch.cat([z[..., :1], F.softplus(z[..., 1:])], -1), -1),
    }
    return theirs.get(name) or getattr(F, name)


def row_loss(name):
    """PyTorch's loss of each row by the catalogue's name: of what the row says, logits or outputs."""
    torch = pytest.importorskip("torch")
    F = torch.nn.functional
    return {
        "sse": lambda o, y: F.mse_loss(o, y, reduction="none").sum(1),
        "mse": lambda o, y: F.mse_loss(o, y, reduction="none").mean(1),
        "mae": lambda o, y: F.l1_loss(o, y, reduction="none").mean(1),
        "huber": lambda o, y: F.huber_loss(o, y, reduction="none").mean(1),
        "pinball": lambda o, y: F.l1_loss(o, y, reduction="none").mean(1) / 2,
        "ascending_pinball": lambda z, y: F.l1_loss(activation("ascending")(z), y, reduction="none").mean(1) / 2,
        "expectile": lambda o, y: F.mse_loss(o, y, reduction="none").mean(1) / 2,
        "gaussian_nll": lambda o, y: F.gaussian_nll_loss(
            *(o[:, : y.shape[1]], y, torch.exp(o[:, y.shape[1] :]) + 1e-6), reduction="none", eps=0
        ).mean(1),
        "poisson": lambda z, y: F.poisson_nll_loss(z, y, reduction="none").mean(1),
        "cross_entropy": lambda z, y: F.cross_entropy(z, y, reduction="none"),
        "binary_cross_entropy": lambda z, y: F.binary_cross_entropy_with_logits(z, y, reduction="none").mean(1),
    }[name]


def loss_and_grad(spec, params, X, y, loss, *, sample_weight, l2):
    """As `fastnn.reference.loss_and_grad`, of a network with biases."""
    torch = pytest.importorskip("torch")
    theirs = torch.tensor(params, requires_grad=True)
    h, penalty = torch.tensor(X), 0
    for layer in spec.layers:
        W = theirs[layer.weights : layer.biases].reshape(layer.n_in, layer.n_out)
        z = h @ W + theirs[layer.biases : layer.biases + layer.n_out]
        h = activation(layer.activation.name)(z)
        penalty = penalty + l2 / 2 * (W**2).sum()
    weight = torch.tensor(sample_weight / sample_weight.sum() if loss.mean else sample_weight)
    source = h if loss.logits_of is None else z
    value = (weight * row_loss(loss.name)(source, torch.tensor(y))).sum() + penalty
    value.backward()
    return value.item(), theirs.grad.numpy()
