"""PyTorch: eager modules, autograd, and the fused optimizers."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from fastnn.comparison.workloads import MOMENTUM, Workload

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
        rate = workload.learning_rate
        if workload.optimizer == "adam":
            self.optimizer: torch.optim.Optimizer = torch.optim.Adam(self.module.parameters(), lr=rate, fused=True)
        else:
            momentum = MOMENTUM if workload.optimizer == "momentum" else 0.0
            self.optimizer = torch.optim.SGD(self.module.parameters(), lr=rate, momentum=momentum, fused=True)

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
