"""The loss of a network and its gradient by PyTorch's autograd, an independent witness for both twins."""

import pytest

from fastnn.settings import catalogue


def loss_and_grad(spec, params, X, y, loss, *, sample_weight, l2):
    """As `fastnn.reference.loss_and_grad`, of a network with biases; skips the test where PyTorch is missing."""
    torch = pytest.importorskip("torch")
    F = torch.nn.functional
    activation = {name: getattr(F, name, None) for name in catalogue.ACTIVATIONS}
    activation["identity"] = activation["softmax"] = lambda z: z  # the loss takes the logits
    activation["ascending"] = lambda z: torch.cumsum(torch.cat([z[:, :1], F.softplus(z[:, 1:])], 1), 1)
    activation["gelu_tanh"] = lambda z: F.gelu(z, approximate="tanh")
    activation["exp"] = torch.exp
    activation["sin"] = torch.sin
    row_loss = {
        "sse": lambda o, y: F.mse_loss(o, y, reduction="none").sum(1),
        "mse": lambda o, y: F.mse_loss(o, y, reduction="none").mean(1),
        "mae": lambda o, y: F.l1_loss(o, y, reduction="none").mean(1),
        "huber": lambda o, y: F.huber_loss(o, y, reduction="none").mean(1),
        "pinball": lambda o, y: F.l1_loss(o, y, reduction="none").mean(1) / 2,
        "ascending_pinball": lambda o, y: F.l1_loss(o, y, reduction="none").mean(1) / 2,
        "expectile": lambda o, y: F.mse_loss(o, y, reduction="none").mean(1) / 2,
        "gaussian_nll": lambda o, y: F.gaussian_nll_loss(
            *(o[:, : y.shape[1]], y, torch.exp(o[:, y.shape[1] :]) + 1e-6), reduction="none", eps=0
        ).mean(1),
        "poisson": lambda o, y: F.poisson_nll_loss(o, y, log_input=False, reduction="none", eps=0).mean(1),
        "cross_entropy": lambda z, y: F.cross_entropy(z, y, reduction="none"),
        "binary_cross_entropy": lambda o, y: F.binary_cross_entropy(o, y, reduction="none").mean(1),
    }[loss.name]

    theirs = torch.tensor(params, requires_grad=True)
    h, penalty = torch.tensor(X), 0
    for layer in spec.layers:
        W = theirs[layer.weights : layer.biases].reshape(layer.n_in, layer.n_out)
        h = activation[layer.activation.name](h @ W + theirs[layer.biases : layer.biases + layer.n_out])
        penalty = penalty + l2 / 2 * (W**2).sum()
    weight = torch.tensor(sample_weight / sample_weight.sum() if loss.mean else sample_weight)
    value = (weight * row_loss(h, torch.tensor(y))).sum() + penalty
    value.backward()
    return value.item(), theirs.grad.numpy()
