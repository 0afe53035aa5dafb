"""Compiling ahead of the first use: every piece of the kernels once, for both dtypes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from fastnn.kernels.jit.turned_off import compiler_is_off, refuse
from fastnn.models.mlp import MLP
from fastnn.settings import catalogue, optimizers

#: Name of the piece, its number from 1 on, and the number of pieces.
Report = Callable[[str, int, int], None]


def warmup(report: Report | None = None) -> None:
    """Compile all kernels that networks share, or load them from the disk where an earlier process left them.

    Parameters
    ----------
    report : callable, optional
        Called with ``(name, number, total)`` before each piece.
    """
    if compiler_is_off():
        refuse("fastnn.warmup")
    pieces = list(_pieces())
    for number, (name, compile_piece) in enumerate(pieces, start=1):
        if report is not None:
            report(name, number, len(pieces))
        compile_piece()


def _pieces() -> Iterator[tuple[str, Callable[[], None]]]:
    """What there is in the catalogue: a training of one step for each row and dtype."""
    for dtype in ("float64", "float32"):
        for activation in catalogue.ACTIVATIONS.values():
            if activation.hidden:
                yield f"{activation.name}, {dtype}", _training(dtype, activation=activation.name)
        for loss in catalogue.LOSSES.values():
            output = loss.logits_of or "identity"
            yield f"{loss.name}, {dtype}", _training(dtype, loss=loss.name, output_activation=output)
        for name in catalogue.OPTIMIZERS:
            yield f"{name}, {dtype}", _training(dtype, optimizer=getattr(optimizers, name)())


def _training(
    dtype: str,
    activation: str = "tanh",
    output_activation: str = "identity",
    loss: str = "mse",
    optimizer: optimizers.Optimizer | None = None,
) -> Callable[[], None]:
    """What trains a small network for one step, and uses it."""

    def train() -> None:
        net = MLP((2, 3, 2), activation=activation, output_activation=output_activation, dtype=dtype, rng=0)
        X = np.eye(2, dtype=dtype)
        rule = optimizer or optimizers.SGD()
        y = X[:, : catalogue.LOSSES[loss].n_targets(2)]
        net.fit(X, y, epochs=1, loss=loss, optimizer=rule, progress=False, specialize=False)
        net.predict(X)

    return train
