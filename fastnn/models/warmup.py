"""Compile every kernel that networks share, for both dtypes, ahead of its first use."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from fastnn.checks import describe
from fastnn.kernels.jit.turned_off import compiler_is_off, refuse
from fastnn.models.mlp import MLP
from fastnn.settings import catalogue, optimizers
from fastnn.settings.solvers import LevenbergMarquardt, Solver

#: Takes the name of a part, its number from 1, and the number of parts.
Report = Callable[[str, int, int], None]


def warmup(report: Report | None = None) -> None:
    """Compile all kernels that networks share, or load them from disk if an earlier process has compiled them.

    Parameters
    ----------
    report : callable, optional
        Called with ``(name, number, total)`` before each part.

    Raises
    ------
    TypeError
        If `report` cannot be called.
    RuntimeError
        If Numba's compiler is turned off.
    """
    if report is not None and not callable(report):
        raise TypeError(f"report must be callable, or None; got {describe(report)}")
    if compiler_is_off():
        refuse("fastnn.warmup")
    pieces = list(_pieces())
    for number, (name, compile_piece) in enumerate(pieces, start=1):
        if report is not None:
            report(name, number, len(pieces))
        compile_piece()


def _pieces() -> Iterator[tuple[str, Callable[[], None]]]:
    """An epoch of training for each row of the catalogue, for wide layers, and with all the options of `fit`."""
    from fastnn.kernels.dispatch import MANY_ROWS  # which imports Numba
    from fastnn.kernels.simd.registers import REGISTER_FILE

    few = REGISTER_FILE.few_far_rows
    for dtype in ("float64", "float32"):
        for activation in catalogue.ACTIVATIONS.values():
            if activation.hidden:
                yield f"{activation.name}, {dtype}", _training(dtype, activation=activation.name)
        for loss in catalogue.LOSSES.values():
            output = loss.default_output
            yield f"{loss.name}, {dtype}", _training(dtype, loss=loss.name, output_activation=output)
            if loss.labels:
                yield f"labels, {dtype}", _training(dtype, loss=loss.name, output_activation=output, labels=True)
        for name in catalogue.OPTIMIZERS:
            yield f"{name}, {dtype}", _training(dtype, optimizer=getattr(optimizers, name)())
        solver = LevenbergMarquardt(regularisation="bayesian")  # which does all that the plain one does
        yield f"LevenbergMarquardt, {dtype}", _training(dtype, optimizer=solver)
        yield f"wide layers, {dtype}", _training(dtype, layer_sizes=_WIDE, n=MANY_ROWS)
        yield f"large weights, {dtype}", _training(dtype, layer_sizes=_LARGE, n=few + 1)
        yield f"options, {dtype}", _training(dtype, **_OPTIONS)


#: Layers large enough for every kind of matrix product in either dtype, samples of a critical stride, which are copied,
#: and a single output, which has its own product.
_WIDE = (256, 128, 1)

#: Weights that outgrow the second-level cache in either dtype: the fewest samples read them row by row, a few more
#: fetch them ahead.
_LARGE = (1, 1024, 512)

#: What a training step does only if asked.
_OPTIONS: dict[str, Any] = {
    "batch_size": 1,
    "sample_weight": [1.0, 2.0],
    "l2": 0.1,
    "max_grad_norm": 1.0,
    "dropout": 0.5,
    "input_noise": 0.1,
    "validation_data": ([[0.0, 1.0]], [[1.0, 0.0]]),
}


def _training(
    dtype: str,
    layer_sizes: tuple[int, ...] = (2, 3, 2),
    n: int = 2,
    activation: str = "tanh",
    output_activation: str = "identity",
    loss: str = "mse",
    labels: bool = False,
    optimizer: optimizers.Optimizer | Solver | None = None,
    **options: Any,
) -> Callable[[], None]:
    """A function that trains a network for one epoch on `n` samples, and predicts with it."""

    def train() -> None:
        net = MLP(layer_sizes, activation=activation, output_activation=output_activation, dtype=dtype, rng=0)
        X = np.eye(n, layer_sizes[0], dtype=dtype)
        n_targets = catalogue.LOSSES[loss].n_targets(layer_sizes[-1])
        y = np.arange(n) % n_targets if labels else np.eye(n, n_targets, dtype=dtype)
        rule = optimizer or optimizers.SGD()
        net.fit(X, y, epochs=1, loss=loss, optimizer=rule, rng=0, progress=False, specialize=False, **options)
        net.predict(X)
        net.predict(X[:1])

    return train
