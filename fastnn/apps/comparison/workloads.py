"""What is compared: networks, their synthetic data and how they are trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn.apps.tutorial_samples import TUTORIAL_X, TUTORIAL_Y
from fastnn.checks import check_integer, check_name, check_spec
from fastnn.models.mlp import MLP
from fastnn.settings import optimizers
from fastnn.settings.catalogue import LOSSES

MOMENTUM = 0.9
#: What every peer has, by the names a user says; the hidden activations, the dtypes and the losses likewise.
OPTIMIZERS = ("sgd", "momentum", "adam")
ACTIVATIONS = ("sigmoid", "tanh", "relu")
DTYPES = ("float32", "float64")
#: The output activation that goes with each loss here.
OUTPUTS = {"sse": "sigmoid", "mse": "identity", "cross_entropy": "softmax"}


@dataclass(frozen=True)
class Workload:
    """A network and its training; step i takes batch ``i % batches``, in the order of the rows.

    Attributes
    ----------
    name : str
        What a user says.
    sizes : tuple of int
        Layer sizes.
    activation : str
        Of the hidden layers, one of `ACTIVATIONS`.
    loss : str
        A key of `OUTPUTS`, which names the output activation.
    optimizer : str
        One of `OPTIMIZERS`; momentum is 0.9, Adam's other settings are the usual ones.
    learning_rate : float
        Factor of the step.
    batch_size, batches : int
        Rows of a batch, and batches in a pass over the data.
    passes : int
        Passes in one timed run.
    dtype : str
        ``"float32"`` or ``"float64"``.
    bias : bool
        Whether the layers have biases.
    members : int
        Networks trained on the same data, each from its own weights; a step is then one of one network.
    """

    name: str
    sizes: tuple[int, ...]
    activation: str = "tanh"
    loss: str = "mse"
    optimizer: str = "sgd"
    learning_rate: float = 0.05
    batch_size: int = 32
    batches: int = 32
    passes: int = 1
    dtype: str = "float32"
    bias: bool = True
    members: int = 1

    @property
    def steps(self) -> int:
        """Training steps of a network in one timed run."""
        return self.batches * self.passes

    @property
    def checked_steps(self) -> int:
        """Steps after which a peer must agree with the reference; fewer with Adam, which amplifies rounding."""
        return self.steps if self.batches == 1 else min(self.batches, 10 if self.optimizer == "adam" else 20)

    @property
    def tolerance(self) -> float:
        """Largest relative error of the update, by 2-norms, after the checked steps."""
        if self.optimizer == "adam":
            # A unit within rounding of relu's kink is on for one and off for another; Adam makes whole steps of it.
            return 5e-2 if self.activation == "relu" else 5e-3
        return 1e-6 if self.dtype == "float64" else 1e-3

    @property
    def flops(self) -> int:
        """Floating-point operations of a step's matrix products: forward, and both gradients, the input's left out."""
        products = sum(n * m for n, m in zip(self.sizes, self.sizes[1:], strict=False))
        return self.batch_size * (6 * products - 2 * self.sizes[0] * self.sizes[1])

    @property
    def title(self) -> str:
        """The workload in a few words."""
        sizes = "-".join(map(str, self.sizes))
        rule = {"sgd": "gradient descent", "momentum": "momentum", "adam": "Adam"}[self.optimizer]
        many = f"{self.members:,} networks, each " if self.members > 1 else ""
        return f"{many}{sizes} {self.activation}, {self.loss}, batch {self.batch_size}, {rule}, {self.dtype}"

    @property
    def rule(self) -> optimizers.Optimizer:
        """The update rule as fastnn has it."""
        if self.optimizer == "adam":
            return optimizers.Adam(self.learning_rate)
        return optimizers.SGD(self.learning_rate, momentum=MOMENTUM if self.optimizer == "momentum" else 0.0)

    def data(self) -> tuple[NDArray, NDArray]:
        """Samples, shape (n, n_in), and targets, shape (n, n_out), or labels, shape (n,): the same in every process."""
        if self.name in TUTORIALS:
            return TUTORIAL_X.copy(), TUTORIAL_Y.copy()
        rng = np.random.default_rng(5)
        X = rng.random((self.batch_size * self.batches, self.sizes[0]), dtype=np.float32) * 2 - 1
        X = X.astype(self.dtype, copy=False)
        if LOSSES[self.loss].labels:
            return X, (X[:, :64] @ rng.standard_normal((min(self.sizes[0], 64), self.sizes[-1]))).argmax(axis=1)
        wave = np.sin(3 * X[:, :8].sum(axis=1, keepdims=True) + np.arange(self.sizes[-1]))
        return X, ((1 + wave) / 2).astype(self.dtype)

    def network(self, number: int = 0) -> MLP:
        """A network at its start: weights uniform in [0, 1) for the tutorial, else Glorot's, and biases of zero."""
        return MLP(
            self.sizes,
            activation=self.activation,
            output_activation=OUTPUTS[self.loss],
            bias=self.bias,
            dtype=self.dtype,
            init="unit_uniform" if self.name in TUTORIALS else "glorot_uniform",
            rng=8 + number,
        )

    def start(self) -> NDArray:
        """Initial parameters, shape (n_params,), or (members, n_params) where there are many."""
        first = np.stack([self.network(number).params for number in range(self.members)])
        return first if self.members > 1 else first[0]


#: What is trained on the tutorial's four samples.
TUTORIALS = ("tutorial", "many-tutorials")
#: The workloads that have names of their own.
NAMED: dict[str, Workload] = {
    w.name: w
    for w in (
        Workload("tutorial", (3, 4, 1), "sigmoid", "sse", "sgd", 1.0, 4, 1, 1500, "float64", bias=False),
        Workload("regression", (8, 32, 32, 1), passes=32),
        Workload("digits", (64, 100, 10), "relu", "cross_entropy", "adam", 1e-3, 32, 56, 2),
        Workload("wide", (784, 128, 10), "relu", "cross_entropy", "momentum", 0.05, 128, 240),
        Workload("deep", (784, 512, 512, 10), "relu", "cross_entropy", "adam", 1e-3, 256, 60),
        Workload(
            "many-tutorials", (3, 4, 1), "sigmoid", "sse", "sgd", 1.0, 4, 1, 200, "float64", bias=False, members=1024
        ),
        Workload("many-regressions", (2, 16, 1), learning_rate=0.1, batch_size=64, batches=1, passes=50, members=1024),
    )
}


def sized(name: str, sizes: Sequence[int], batch_size: int, **settings: Any) -> Workload:
    """A workload of any sizes, whose timed run is some 50 ms of arithmetic, and a few hundred steps at most."""
    one = Workload(name, tuple(sizes), batch_size=batch_size, **settings)
    batches = int(np.clip(20_000_000 // (batch_size * sizes[0]), 2, 32))
    passes = int(np.clip(2e9 // (one.flops * batches), 1, 16))
    return Workload(name, tuple(sizes), batch_size=batch_size, batches=batches, passes=passes, **settings)


#: Rows of workloads that differ in one number, for the curves.
FAMILIES: dict[str, dict[int, Workload]] = {
    "width": {n: sized(f"width-{n}", (16, n, n, 1), 32) for n in (4, 16, 64, 256, 1024)},
    "batch": {n: sized(f"batch-{n}", (16, 64, 64, 1), n) for n in (1, 8, 64, 512, 4096)},
}
#: Names of the workloads that are points of a curve.
CURVES = frozenset(w.name for family in FAMILIES.values() for w in family.values())


def named(names: Sequence[str]) -> list[Workload]:
    """The workloads of these names; a family's name stands for all its workloads, ``width-64`` for one.

    Raises
    ------
    ValueError
        If there is none of a name.
    """
    every = {**NAMED, **{w.name: w for family in FAMILIES.values() for w in family.values()}}
    chosen: dict[str, Workload] = {}
    for name in names:
        if name in FAMILIES:
            chosen.update((w.name, w) for w in FAMILIES[name].values())
        else:
            chosen[name] = every[check_name("WORKLOAD", name, list(NAMED | FAMILIES | every))]
    return list(chosen.values())


def given(
    layers: Sequence[int], batch_size: int, optimizer: str, dtype: str, activation: str = "tanh", loss: str = "mse"
) -> Workload:
    """A workload from what a user gives, by the names of the command's options.

    Raises
    ------
    ValueError
        If a setting is not what it must be.
    """
    check_name("--optimizer", optimizer, OPTIMIZERS)
    check_name("--activation", activation, ACTIVATIONS)
    check_name("--loss", loss, OUTPUTS)
    check_name("--dtype", dtype, DTYPES)
    check_integer("--batch", batch_size, 1)
    check_spec(layers, [activation] * (len(layers) - 2), OUTPUTS[loss], True, dtype)
    if loss == "cross_entropy" and layers[-1] == 1:
        raise ValueError("--loss cross_entropy needs an output for each class, two or more; got --layers that end in 1")
    learning_rate = 1e-3 if optimizer == "adam" else 0.01
    settings: Mapping[str, Any] = {
        "activation": activation, "loss": loss, "optimizer": optimizer, "learning_rate": learning_rate, "dtype": dtype
    }  # fmt: skip
    return sized("given", layers, batch_size, **settings)


class NotComparable(ValueError):
    """A library cannot compute a workload; the message says why."""
