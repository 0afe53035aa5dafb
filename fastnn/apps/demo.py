"""What ``fastnn demo`` shows: the tutorial's network in four ways, and real digits learned by the tuned kernels.

This module trains and measures; `fastnn.apps.commands.demo` prints the results and `figure` draws them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import fastnn
from fastnn.apps import handwritten_digits
from fastnn.apps.tutorial import train_in_loops, train_in_numpy
from fastnn.apps.tutorial_samples import TUTORIAL_X, TUTORIAL_Y
from fastnn.checks.extras import require

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ITERATIONS = 1500
#: What all times are compared with, and the best of ours.
BAR, TUNED = "tutorial's NumPy", "tuned kernels"


@dataclass(frozen=True)
class Run:
    """The tutorial's network after training in one way.

    Attributes
    ----------
    net : fastnn.MLP
        As trained.
    loss : ndarray, shape (ITERATIONS,)
        Sum of squared errors before each update.
    outputs : ndarray, shape (4,)
        What it answers for the four samples.
    first_seconds : float
        Of the first training in this process, which compiles, or loads from the cache, what is missing.
    best_seconds : float
        Of the quickest of several later trainings.
    """

    net: fastnn.MLP
    loss: NDArray
    outputs: NDArray
    first_seconds: float
    best_seconds: float

    @property
    def seconds_per_iteration(self) -> float:
        """Those of the quickest training."""
        return self.best_seconds / ITERATIONS


def tutorial(rng: Any = 1, repeats: int = 15) -> dict[str, Run]:
    """Train the tutorial's network in four ways from the same weights, and time them.

    Parameters
    ----------
    rng : anything `numpy.random.default_rng` takes
        Where the initial weights come from.
    repeats : int
        Timed trainings in each way after the first.

    Returns
    -------
    dict of str to Run
        By the names of the four ways, the tutorial's own first.
    """
    start = fastnn.MLP.tutorial(rng)
    return {
        BAR: _train_by_hand(start, train_in_numpy, repeats),
        "readable twin": _train(start, "numpy", repeats),
        "plain loops": _train_by_hand(start, train_in_loops, repeats),
        TUNED: _train(start, "numba", repeats),
    }


def _train_by_hand(start: fastnn.MLP, train: Callable[..., None], repeats: int) -> Run:
    seconds = []
    for _ in range(repeats + 1):
        net = start.copy()
        begin = perf_counter()
        train(TUTORIAL_X, TUTORIAL_Y, *net.weights, ITERATIONS)
        seconds.append(perf_counter() - begin)
    step, loss = start.copy(), np.empty(ITERATIONS)
    for k in range(ITERATIONS):  # once more, untimed: the tutorial's own code keeps no losses
        loss[k] = ((step.predict(TUTORIAL_X, backend="numpy") - TUTORIAL_Y) ** 2).sum()
        train(TUTORIAL_X, TUTORIAL_Y, *step.weights, 1)
    return Run(net, loss, net.predict(TUTORIAL_X, backend="numpy")[:, 0], seconds[0], min(seconds[1:]))


def _train(start: fastnn.MLP, backend: str, repeats: int) -> Run:
    settings: dict[str, Any] = {"loss": "sse", "optimizer": fastnn.SGD(learning_rate=1.0), "shuffle": False}
    seconds = []
    for _ in range(repeats + 1):
        net = start.copy()
        begin = perf_counter()
        history = net.fit(TUTORIAL_X, TUTORIAL_Y, epochs=ITERATIONS, **settings, progress=False, backend=backend)
        seconds.append(perf_counter() - begin)
    return Run(net, history.loss, net.predict(TUTORIAL_X, backend=backend)[:, 0], seconds[0], min(seconds[1:]))


def difference(runs: dict[str, Run]) -> float:
    """Largest difference of any run's weights from those of the first, after training."""
    first, *others = (run.net.params for run in runs.values())
    return float(max(np.abs(params - first).max() for params in others))


@dataclass(frozen=True)
class Digits:
    """A network that learned handwritten digits.

    Attributes
    ----------
    net : fastnn.MLP
        As trained.
    images : ndarray, shape (n, 8, 8)
        The held-out images.
    labels, predicted : ndarray of int, shape (n,)
        Their true and their predicted classes.
    n_train : int
        Images learned from.
    epochs : int
        Passes over them.
    train_seconds : float
        How long the training took.
    compile_seconds : float
        How long it took before to compile, or to load from the cache, what the training runs.
    """

    net: fastnn.MLP
    images: NDArray
    labels: NDArray
    predicted: NDArray
    n_train: int
    epochs: int
    train_seconds: float
    compile_seconds: float

    @property
    def accuracy(self) -> float:
        """Share of the held-out images classified correctly."""
        return float(np.mean(self.predicted == self.labels))


def digits(rng: int = 1, epochs: int = 30) -> Digits:
    """Train a 64-100-10 network on four fifths of the handwritten digits; the other fifth is held out.

    Parameters
    ----------
    rng : int
        Seed of the split, the initial weights and the shuffles.
    epochs : int
        Passes over the training images.

    Returns
    -------
    Digits
    """
    images, labels = handwritten_digits.load()
    order = np.random.default_rng(rng).permutation(len(labels))
    train, test = np.split(order, [len(order) * 4 // 5])
    X, y = (images.reshape(-1, 64) / 16).astype(np.float32), labels.astype(int)
    net = fastnn.MLP((64, 100, 10), activation="relu", output_activation="softmax", dtype="float32", rng=rng)
    settings: dict[str, Any] = {"loss": "cross_entropy", "optimizer": fastnn.Adam(), "batch_size": 32, "rng": rng}

    def timed_fit(net: fastnn.MLP, rows: NDArray, epochs: int) -> float:
        begin = perf_counter()
        net.fit(X[rows], y[rows], epochs=epochs, **settings, progress=False)
        return perf_counter() - begin

    compiling = timed_fit(net.copy(), train[:32], 1)
    seconds = timed_fit(net, train, epochs)
    predicted = net.predict(X[test]).argmax(axis=1)
    return Digits(net, images[test], y[test], predicted, len(train), epochs, seconds, compiling)


def figure(runs: dict[str, Run], learned: Digits) -> Figure:
    """Draw the whole demo as one figure.

    Parameters
    ----------
    runs : dict of str to Run
        What `tutorial` returned.
    learned : Digits
        What `digits` returned.

    Returns
    -------
    Figure
        Not tied to a window; ``savefig`` writes it.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    from fastnn import plots

    canvas = require("matplotlib.figure", extra="plot").Figure(figsize=(14, 8.2), layout="constrained")
    canvas.get_layout_engine().set(w_pad=0.12, h_pad=0.12)
    grid = canvas.add_gridspec(2, 3, height_ratios=[1.35, 1])
    plots.loss_curves({name: run.loss for name, run in runs.items()}, canvas.add_subplot(grid[0, 0]), unit="iteration")
    plots.network_diagram(
        runs[TUNED].net, canvas.add_subplot(grid[0, 1]), input_names=("a", "b", "1"), output_names=("a xor b",)
    )
    outputs = plots.outputs_against_targets(
        {name: run.outputs for name, run in runs.items()},
        TUTORIAL_Y[:, 0],
        canvas.add_subplot(grid[0, 2]),
        names=[f"{a:.0f}, {b:.0f}" for a, b, _ in TUTORIAL_X],
    )
    outputs.set_xlabel("inputs a, b")
    seconds = {name: run.seconds_per_iteration for name, run in runs.items()}
    plots.time_per_iteration(seconds, canvas.add_subplot(grid[1, 2]), bar=BAR)
    shown = slice(36)
    images = plots.sample_images(
        learned.images[shown], learned.predicted[shown], learned.labels[shown], canvas.add_subplot(grid[1, :2])
    )
    images.set_title(f"Held-out digits and their predicted classes: {learned.accuracy:.1%} correct")
    canvas.suptitle("fastnn: a 3-4-1 network learns xor in four ways, a 64-100-10 network reads digits", fontsize=15)
    return canvas
