"""Pictures of networks: nodes and edges, and weights as images."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from numpy.typing import NDArray

from fastnn.checks import check_integer, describe
from fastnn.plots.arguments import check_names, check_net
from fastnn.plots.style import DARK_TO_LIGHT, NEGATIVE_TO_POSITIVE, axes_or_new

if TYPE_CHECKING:
    from fastnn.models.mlp import MLP


def network_diagram(
    net: MLP,
    ax: Axes | None = None,
    *,
    input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
    max_units: int = 12,
) -> Axes:
    """Draw a network as nodes and edges, whose colour and width show the weights; negative weights are dashed.

    Parameters
    ----------
    net : MLP
        The network.
    ax : Axes, optional
        Where to draw; a new figure by default.
    input_names, output_names : sequence of str, optional
        Labels of all input units, and of all output units.
    max_units : int
        Wider layers show only their first units, and how many there are.

    Returns
    -------
    Axes

    Raises
    ------
    TypeError
        If an argument has the wrong type.
    ValueError
        If there is another number of names than of units, or `max_units` is below 1.
    """
    check_net(net)
    max_units = check_integer("max_units", max_units, 1)
    labels = [
        [] if names is None else check_names(argument, names, count)
        for argument, names, count in (
            ("input_names", input_names, net.spec.n_in),
            ("output_names", output_names, net.spec.n_out),
        )
    ]
    ax = axes_or_new(ax)
    shown = [min(size, max_units) for size in net.spec.sizes]
    places = [_column(x, count) for x, count in enumerate(shown)]
    limit = max(float(np.abs(weights).max()) for weights in net.weights) or 1.0
    _edges(ax, net.weights, places, limit)
    for place in places:
        ax.scatter(place[:, 0], place[:, 1], s=330, color="white", edgecolor="0.15", linewidth=1.4, zorder=3)
    for names, place, side in zip(labels, (places[0], places[-1]), (-1, 1), strict=True):
        for name, (x, y) in zip(names, place, strict=False):
            at: Any = {"xytext": (13 * side, 0), "textcoords": "offset points"}  # beside the circle, whatever the scale
            ax.annotate(name, (x, y), ha="right" if side < 0 else "left", va="center", **at)
    captions = ["input", *net.spec.activations]
    floor = min(place[-1, 1] for place in places)
    for x, (caption, size) in enumerate(zip(captions, net.spec.sizes, strict=True)):
        of = f"first {shown[x]} of {size}" if size > shown[x] else f"{size}"
        ax.text(x, floor - 0.55, f"{caption}\n{of}", ha="center", va="top", color="0.25")
    ax.set(title="Learned weights", xlim=(-0.6, len(places) - 0.4), ylim=(floor - 1.5, -floor + 0.5))
    ax.axis("off")
    return ax


def weight_images(
    net: MLP, ax: Axes | None = None, *, shape: tuple[int, int], units: int = 24, columns: int = 8
) -> Axes:
    """Draw the weights of the first hidden units as images on a common scale: negative is dark, positive light.

    Parameters
    ----------
    net : MLP
        A network whose inputs are pixels.
    ax : Axes, optional
        Where to draw; a new figure by default.
    shape : tuple of int
        Height and width of an image; their product is the number of inputs.
    units : int
        Largest number of units to show: those with the largest weights, in descending order.
    columns : int
        Number of images in a row.

    Returns
    -------
    Axes

    Raises
    ------
    TypeError
        If an argument has the wrong type.
    ValueError
        If the shape does not fit the network, or `units` or `columns` is below 1.
    """
    pixels = check_net(net).spec.n_in
    if not isinstance(shape, (tuple, list)) or len(shape) != 2:
        raise TypeError(f"shape must be a tuple of height and width; got {describe(shape)}")
    height, width = (check_integer("shape", side, 1) for side in shape)
    if height * width != pixels:
        raise ValueError(f"shape must have {pixels} pixels, as many as the network has inputs; got {shape}")
    units, columns = check_integer("units", units, 1), check_integer("columns", columns, 1)
    ax = axes_or_new(ax)
    weights = np.asarray(net.weights[0], dtype=float)
    shown = np.argsort(-np.linalg.norm(weights, axis=0), kind="stable")[:units]
    limit = float(np.abs(weights[:, shown]).max()) or 1.0
    scale = Normalize(-limit, limit)
    for k, unit in enumerate(shown):
        row, column = divmod(k, columns)
        left, top = column * 1.12, row * 1.12
        image = weights[:, unit].reshape(height, width)
        ax.imshow(image, cmap=DARK_TO_LIGHT, norm=scale, extent=(left, left + 1, top + 1, top))
    rows = -(-len(shown) // columns)
    of = f"{len(shown)} of {weights.shape[1]} units" if len(shown) < weights.shape[1] else "all units"
    ax.set(title=f"Weights into the first layer, {of}", aspect=height / width)
    ax.set(xlim=(-0.06, min(columns, len(shown)) * 1.12), ylim=(rows * 1.12, -0.06))
    ax.axis("off")
    ax.figure.colorbar(ScalarMappable(scale, DARK_TO_LIGHT), ax=ax, label="weight", shrink=0.8, pad=0.02)
    return ax


def _column(x: int, count: int) -> NDArray[Any]:
    """Places, shape (count, 2), of a layer's units, centred on the axis."""
    return np.column_stack([np.full(count, float(x)), (count - 1) / 2 - np.arange(count)])


def _edges(ax: Axes, weights: Sequence[NDArray[Any]], places: Sequence[NDArray[Any]], limit: float) -> None:
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
