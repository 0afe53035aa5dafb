"""Figures, each drawn on one matplotlib Axes and returned as it (extra ``plot``).

Series differ by lightness and by line style as well as by hue, so that every figure can be read in
grey and by colour-blind readers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastnn.extras import require

require("matplotlib", extra="plot")

from matplotlib import colormaps  # noqa: E402
from matplotlib.axes import Axes  # noqa: E402
from matplotlib.cm import ScalarMappable  # noqa: E402
from matplotlib.colors import Normalize  # noqa: E402
from matplotlib.patches import Rectangle  # noqa: E402

if TYPE_CHECKING:
    from fastnn.model import MLP

#: Style of the first, second ... series: a broad light line first, so that a dark one on top of it leaves both visible.
STYLES = (
    {"color": "#f0a63c", "linewidth": 4.5, "linestyle": "-", "marker": "s"},
    {"color": "#123a66", "linewidth": 1.6, "linestyle": "--", "marker": "o"},
    {"color": "#3c9d8f", "linewidth": 2.2, "linestyle": "-.", "marker": "^"},
    {"color": "#8c4a9c", "linewidth": 1.6, "linestyle": ":", "marker": "v"},
)
NEGATIVE_TO_POSITIVE = "RdBu_r"


def loss_curves(losses: Mapping[str, ArrayLike], ax: Axes | None = None, *, unit: str = "epoch") -> Axes:
    """Draw the loss over the epochs of one or more runs, on a logarithmic axis.

    Parameters
    ----------
    losses : mapping of str to array_like, shape (epochs,)
        A name for the legend and the values of ``history.loss``; values that are not above 0 leave a gap.
    ax : Axes, optional
        Where to draw; a new figure by default.
    unit : str
        What the horizontal axis counts.

    Returns
    -------
    Axes
    """
    ax = _axes(ax)
    for (name, values), style in zip(losses.items(), _styles(len(losses)), strict=True):
        values = np.asarray(values, dtype=float)
        values = np.where(values > 0, values, np.nan)
        ax.plot(np.arange(1, len(values) + 1), values, label=name, **{**style, "marker": None})
    ax.set_yscale("log")
    ax.set(title=f"Loss, {unit} by {unit}", xlabel=unit, ylabel="loss")
    _tidy(ax, grid="both")
    if len(losses) > 1:
        ax.legend(frameon=False)
    return ax


def network_diagram(
    net: MLP,
    ax: Axes | None = None,
    *,
    input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
    max_units: int = 12,
) -> Axes:
    """Draw a network as nodes and edges: an edge's colour and width tell its weight, a dashed one is negative.

    Parameters
    ----------
    net : MLP
        The network.
    ax : Axes, optional
        Where to draw; a new figure by default.
    input_names, output_names : sequence of str, optional
        What to write beside the units of the first and of the last layer.
    max_units : int
        Layers wider than this show their first units alone, and say how many there are.

    Returns
    -------
    Axes
    """
    ax = _axes(ax)
    shown = [min(size, max_units) for size in net.spec.sizes]
    places = [_column(x, count) for x, count in enumerate(shown)]
    limit = max(float(np.abs(weights).max()) for weights in net.weights) or 1.0
    _edges(ax, net.weights, places, limit)
    for place in places:
        ax.scatter(place[:, 0], place[:, 1], s=330, color="white", edgecolor="0.15", linewidth=1.4, zorder=3)
    for names, place, side in ((input_names, places[0], -1), (output_names, places[-1], 1)):
        for name, (x, y) in zip(names or (), place, strict=False):
            ax.text(x + 0.14 * side, y, name, ha="right" if side < 0 else "left", va="center")
    captions = ["input", *net.spec.activations]
    floor = min(place[-1, 1] for place in places)
    for x, (caption, size) in enumerate(zip(captions, net.spec.sizes, strict=True)):
        of = f"first {shown[x]} of {size}" if size > shown[x] else f"{size}"
        ax.text(x, floor - 0.55, f"{caption}\n{of}", ha="center", va="top", color="0.25")
    ax.set(title="Learned weights", xlim=(-0.6, len(places) - 0.4), ylim=(floor - 1.5, -floor + 0.5))
    ax.axis("off")
    return ax


def outputs_against_targets(
    outputs: Mapping[str, ArrayLike], targets: ArrayLike, ax: Axes | None = None, *, names: Sequence[str] | None = None
) -> Axes:
    """Draw what networks answer for a few samples beside what they should.

    Parameters
    ----------
    outputs : mapping of str to array_like, shape (n,)
        A name for the legend and one output for each sample.
    targets : array_like, shape (n,)
        The true values.
    ax : Axes, optional
        Where to draw; a new figure by default.
    names : sequence of str, optional
        What to write under each sample; its number by default.

    Returns
    -------
    Axes
    """
    ax = _axes(ax)
    targets = np.asarray(targets, dtype=float)
    place = np.arange(len(targets))
    ax.hlines(targets, place - 0.36, place + 0.36, color="0.55", linewidth=7, label="target")
    for k, ((name, values), style) in enumerate(zip(outputs.items(), _styles(len(outputs)), strict=True)):
        at = place + 0.24 * (k - (len(outputs) - 1) / 2)
        look = {"color": style["color"], "marker": style["marker"], "edgecolor": "white"}
        ax.scatter(at, np.asarray(values, dtype=float), s=70, label=name, zorder=3, **look)
    ax.set_xticks(place, names or [str(k) for k in place])
    ax.set(title="Outputs and targets", xlabel="sample", ylabel="output")
    _tidy(ax, grid="y")
    ax.legend(frameon=False, loc="center")
    return ax


def sample_images(
    images: ArrayLike, predicted: ArrayLike, labels: ArrayLike, ax: Axes | None = None, *, columns: int = 12
) -> Axes:
    """Draw images with the class predicted for each; a wrong one is framed and its true class told.

    Parameters
    ----------
    images : array_like, shape (n, height, width)
        Dark where the value is high.
    predicted, labels : array_like of int, shape (n,)
        The predicted and the true classes.
    ax : Axes, optional
        Where to draw; a new figure by default.
    columns : int
        Images in a row.

    Returns
    -------
    Axes
    """
    ax = _axes(ax)
    images, predicted, labels = np.asarray(images), np.asarray(predicted), np.asarray(labels)
    for k, (image, guess, label) in enumerate(zip(images, predicted, labels, strict=True)):
        row, column = divmod(k, columns)
        left, top = column * 1.15, row * 1.5
        ax.imshow(image, cmap="Greys", extent=(left, left + 1, top + 1, top), interpolation="nearest")
        right = guess == label
        colour, width = ("0.75", 0.8) if right else ("#c03000", 2.5)
        ax.add_patch(Rectangle((left, top), 1, 1, fill=False, edgecolor=colour, linewidth=width))
        caption = f"{guess}" if right else f"{guess}, is {label}"
        ax.text(left + 0.5, top + 1.2, caption, ha="center", va="center", weight="normal" if right else "bold")
    rows = -(-len(images) // columns)
    ax.set(title="Predicted classes", xlim=(-0.1, min(columns, len(images)) * 1.15), ylim=(rows * 1.5, -0.1), aspect=1)
    ax.axis("off")
    return ax


def time_per_iteration(seconds: Mapping[str, float], ax: Axes | None = None) -> Axes:
    """Draw how long one iteration takes, on a logarithmic axis, and how many times faster than the slowest it is.

    Parameters
    ----------
    seconds : mapping of str to float
        A name for the bar and its time in seconds.
    ax : Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    Axes
    """
    ax = _axes(ax)
    slowest, fastest = max(seconds.values()), min(seconds.values())
    for k, ((name, time), style) in enumerate(zip(seconds.items(), _styles(len(seconds)), strict=True)):
        ax.plot([time * 1e6, slowest * 1e6], [k, k], color="0.75", linewidth=2, zorder=1)
        ax.scatter(time * 1e6, k, s=160, color=style["color"], marker=style["marker"], zorder=2)
        faster = "" if time == slowest else f", {slowest / time:.3g}x faster"
        ax.annotate(f"{name}: {time * 1e6:.3g} µs{faster}", (time * 1e6, k), (0, 12), textcoords="offset points")
    ax.set_xscale("log")
    ax.set(title="Time an iteration", xlabel="microseconds")
    ax.set(xlim=(fastest * 1e6 / 3, slowest * 1e6 * 30), ylim=(len(seconds) - 0.5, -0.8), yticks=[])
    _tidy(ax, grid="x")
    return ax


def _axes(ax: Axes | None) -> Axes:
    """The Axes asked for, or that of a new figure."""
    if ax is not None:
        return ax
    from matplotlib import pyplot  # chooses a backend: only where a figure is wanted

    return pyplot.subplots()[1]


def _styles(count: int) -> list[dict[str, Any]]:
    """One style for each series, the same ones again after the last."""
    return [STYLES[k % len(STYLES)] for k in range(count)]


def _tidy(ax: Axes, grid: Literal["x", "y", "both"]) -> None:
    """A faint grid behind what is drawn, and no more frame than the two axes."""
    ax.grid(alpha=0.3, axis=grid)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)


def _column(x: int, count: int) -> NDArray:
    """Places, shape (count, 2), of a layer's units, centred on the axis."""
    return np.column_stack([np.full(count, float(x)), (count - 1) / 2 - np.arange(count)])


def _edges(ax: Axes, weights: Sequence[NDArray], places: Sequence[NDArray], limit: float) -> None:
    """Draw every weight between the units shown, with the scale of their colours."""
    scale = ScalarMappable(Normalize(-limit, limit), colormaps[NEGATIVE_TO_POSITIVE])
    for layer, (below, above) in zip(weights, pairwise(places), strict=True):
        colours = scale.to_rgba(layer)
        for i, j in np.ndindex(len(below), len(above)):
            weight = float(layer[i, j])
            ax.plot(
                *zip(below[i], above[j], strict=True),
                color=colours[i, j],
                linewidth=0.4 + 4 * abs(weight) / limit,
                linestyle="-" if weight >= 0 else (0, (2.5, 1)),
                zorder=1,
            )
    ax.figure.colorbar(scale, ax=ax, label="weight (dashed: negative)", shrink=0.7, pad=0.02)
