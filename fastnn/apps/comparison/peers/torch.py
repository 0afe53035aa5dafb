"""PyTorch: eager modules, autograd, and the fused optimizers."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from fastnn.apps.comparison.workloads import MOMENTUM, NotComparable, Workload

ACTIVATIONS = {"sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "relu": nn.ReLU}
LOSSES = {
    "sse": lambda output, target: ((output - target) ** 2).sum(),
    "mse": functional.mse_loss,
    "cross_entropy": functional.cross_entropy,
}


class Training:
    """The loop that every tutorial shows, with the data already tensors."""

    def __init__(self, workload: Workload, threads: int):
        torch.set_num_threads(threads)
        self.workload = workload
        self.net = workload.network()
        dtype = getattr(torch, workload.dtype)
        modules: list[nn.Module] = []
        for layer in self.net.spec.layers:
            modules.append(nn.Linear(layer.n_in, layer.n_out, bias=workload.bias, dtype=dtype))
            if layer.activation.name in ACTIVATIONS:
                modules.append(ACTIVATIONS[layer.activation.name]())
        self.module = nn.Sequential(*modules)
        self.linear = [module for module in modules if isinstance(module, nn.Linear)]
        X, y = (torch.from_numpy(array) for array in workload.data())
        self.batches = list(zip(X.split(workload.batch_size), y.split(workload.batch_size), strict=True))
        self.optimizer = optimizer(workload, self.module.parameters())

    def reset(self) -> None:
        with torch.no_grad():
            for k, linear in enumerate(self.linear):
                linear.weight.copy_(torch.from_numpy(self.net.weights[k].T))
                if self.net.biases:
                    linear.bias.copy_(torch.from_numpy(self.net.biases[k]))
        self.optimizer.state.clear()

    def run(self, steps: int) -> None:
        module, loss, optimizer, batches = self.module, LOSSES[self.workload.loss], self.optimizer, self.batches
        for t in range(steps):
            x, y = batches[t % len(batches)]
            optimizer.zero_grad(set_to_none=True)
            loss(module(x), y).backward()
            optimizer.step()

    def params(self) -> NDArray:
        arrays: list[NDArray] = []
        for linear in self.linear:
            arrays.append(linear.weight.detach().numpy().T.ravel())
            if linear.bias is not None:
                arrays.append(linear.bias.detach().numpy())
        return np.concatenate(arrays)


class Many:
    """All networks' weights in one tensor a layer, multiplied by ``baddbmm``; autograd, and the fused optimizers."""

    def __init__(self, workload: Workload, threads: int):
        if workload.loss == "cross_entropy":
            raise NotComparable("its code for many networks only has squared losses")
        torch.set_num_threads(threads)
        self.workload, self.spec, self.start = workload, workload.network().spec, workload.start()
        self.learned = np.empty_like(self.start)
        self.weights = [torch.from_numpy(w.copy()).requires_grad_() for w in self.spec.weights(self.start)]
        self.biases = [torch.from_numpy(b.copy()).requires_grad_() for b in self.spec.biases(self.start)]
        self.activations = [getattr(torch, name, None) for name in self.spec.activations]  # "identity" has none
        X, y = (torch.from_numpy(array) for array in workload.data())
        pairs = zip(X.split(workload.batch_size), y.split(workload.batch_size), strict=True)
        self.batches = [(x.expand(workload.members, -1, -1), target) for x, target in pairs]
        self.scale = 1.0 if workload.loss == "sse" else 1 / (workload.batch_size * self.spec.n_out)
        self.optimizer = optimizer(workload, [*self.weights, *self.biases])

    def reset(self) -> None:
        with torch.no_grad():
            for learned, first in zip(self.weights, self.spec.weights(self.start), strict=True):
                learned.copy_(torch.from_numpy(first))
            for learned, first in zip(self.biases, self.spec.biases(self.start), strict=True):
                learned.copy_(torch.from_numpy(first))
        self.optimizer.state.clear()

    def run(self, steps: int) -> None:
        for t in range(steps):
            x, y = self.batches[t % len(self.batches)]
            for k, (weights, activation) in enumerate(zip(self.weights, self.activations, strict=True)):
                z = torch.baddbmm(self.biases[k].unsqueeze(1), x, weights) if self.biases else torch.bmm(x, weights)
                x = z if activation is None else activation(z)
            self.optimizer.zero_grad(set_to_none=True)
            (((x - y) ** 2).sum() * self.scale).backward()
            self.optimizer.step()

    def params(self) -> NDArray:
        with torch.no_grad():
            for array, learned in zip(self.spec.weights(self.learned), self.weights, strict=True):
                array[:] = learned.numpy()
            for array, learned in zip(self.spec.biases(self.learned), self.biases, strict=True):
                array[:] = learned.numpy()
        return self.learned


def optimizer(workload: Workload, params: Iterable[torch.Tensor]) -> torch.optim.Optimizer:
    """PyTorch's own update rule, fused."""
    rate = workload.learning_rate
    if workload.optimizer == "adam":
        return torch.optim.Adam(params, lr=rate, fused=True)
    return torch.optim.SGD(params, lr=rate, momentum=MOMENTUM if workload.optimizer == "momentum" else 0.0, fused=True)
