"""An animation of a network that learns."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from fastnn.checks import check_integer
from fastnn.checks.extras import require
from fastnn.models.reading import path_of
from fastnn.plots.arguments import check_names, check_net, vectors
from fastnn.plots.networks import network_diagram
from fastnn.plots.outputs import outputs_against_targets
from fastnn.plots.style import STYLES, tidy
from fastnn.settings.optimizers import SGD, Optimizer
from fastnn.settings.own import Loss
from fastnn.settings.solvers import LBFGS

if TYPE_CHECKING:
    from matplotlib.animation import FuncAnimation

    from fastnn.models.mlp import MLP


def learning(
    net: MLP,
    X: ArrayLike,
    y: ArrayLike,
    path: str | os.PathLike[str] | None = None,
    *,
    epochs: int = 1500,
    frames: int = 60,
    loss: str | Loss = "sse",
    optimizer: Optimizer = SGD(learning_rate=1.0),  # noqa: B008 - frozen
    input_names: Sequence[str] | None = None,
) -> FuncAnimation:
    """Train a small network with one output, and show its weights, outputs and loss as they change.

    By default it is trained like the tutorial's. Frames are closer together at the beginning.

    Parameters
    ----------
    net : MLP
        The network, which is not modified.
    X : array_like, shape (n, n_in)
        A few samples.
    y : array_like, shape (n,) or (n, 1)
        Their targets.
    path : path_like, optional
        A ``.gif`` file for the animation.
    epochs : int
        Largest number of epochs, each of one full batch.
    frames : int
        Largest number of pictures; the last is where the run ends.
    loss, optimizer
        As in `fastnn.MLP.fit`, except that `fastnn.LBFGS` is refused.
    input_names : sequence of str, optional
        Labels of the inputs.

    Returns
    -------
    FuncAnimation

    Raises
    ------
    TypeError
        If an argument has the wrong type.
    ValueError
        If `y` has another shape, the network does not have one output, there is another number of names than of
        inputs, `epochs` is below 1 or `frames` below 2, `optimizer` is `fastnn.LBFGS`, or `path` has another ending.
    """
    animation = require("matplotlib.animation", extra="plot")
    figure = require("matplotlib.figure", extra="plot").Figure(figsize=(11, 4.4), layout="constrained")
    film_path = None if path is None else path_of(path)
    if film_path is not None and film_path.suffix.lower() != ".gif":
        raise ValueError(f"path must end in .gif; got {path!r}")
    if isinstance(optimizer, LBFGS):
        raise ValueError("optimizer must be one whose runs can be resumed from frame to frame; got LBFGS")
    epochs, frames = check_integer("epochs", epochs, 1), check_integer("frames", frames, 2)
    marks = np.unique(np.geomspace(1, epochs + 1, frames).astype(int) - 1)  # epochs done when a frame is taken
    if check_net(net).spec.n_out != 1:
        raise ValueError(f"net must have one output; it has {net.spec.n_out}")
    if input_names is not None:
        check_names("input_names", input_names, net.spec.n_in)
    (y,) = vectors(y=y)
    losses, steps = _train(net, X, y, marks, loss, optimizer)
    names = [" ".join(f"{value:g}" for value in row) for row in np.asarray(X)]

    def draw(number: int) -> list[Any]:
        done, learned, outputs = steps[number]
        figure.clear()
        left, middle, right = figure.subplots(1, 3, width_ratios=(1.25, 1, 1))
        network_diagram(learned, left, input_names=input_names)
        outputs_against_targets({"output": outputs}, y, middle, names=names)
        middle.set(ylim=(min(0.0, y.min()) - 0.1, max(1.0, y.max()) + 0.1), xlabel="inputs")
        middle.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2)
        left.set_title("Weights")
        right.plot(np.arange(1, len(losses) + 1), losses, color="0.8", linewidth=2)
        if done:
            right.plot(np.arange(1, done + 1), losses[:done], color=STYLES[1]["color"], linewidth=2.4)
            right.plot(done, losses[done - 1], "o", color=STYLES[0]["color"], markersize=9, zorder=3)
        right.set(xscale="log", yscale="log", title=f"After {done:,} iterations", xlabel="iteration", ylabel="loss")
        tidy(right, grid="both")
        return []

    film = animation.FuncAnimation(figure, draw, frames=len(steps), interval=120)
    if film_path is not None:
        film.save(film_path, writer=animation.PillowWriter(fps=8), dpi=72)
    return film


def _train(net: MLP, X: Any, y: Any, marks: Any, loss: str | Loss, optimizer: Optimizer) -> tuple[Any, list[Any]]:
    """The loss of every epoch; and at each mark, until the run ends, the epochs done, the network, and its outputs."""
    net, state = net.copy(), None
    losses: list[Any] = []
    steps = [(0, net.copy(), net.predict(X)[:, 0])]
    for before, after in pairwise(marks):
        history = net.fit(
            X,
            y,
            epochs=int(after - before),
            loss=loss,
            optimizer=optimizer,
            shuffle=False,
            state=state,
            progress=False,
        )
        state = history.state
        losses.append(history.loss)
        steps.append((sum(map(len, losses)), net.copy(), net.predict(X)[:, 0]))
        if history.stopped != "finished":
            break
    return np.concatenate(losses), steps
