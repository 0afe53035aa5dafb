"""Pictures of what networks predict, beside the true values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike, NDArray

from fastnn.checks import check_finite, check_integer, listed
from fastnn.plots.arguments import check_names, check_net, class_labels, literal, numbers, places, series, vectors
from fastnn.plots.style import RED, STYLES, axes_or_new, styles, tidy

if TYPE_CHECKING:
    from fastnn.models.mlp import MLP


def outputs_against_targets(
    outputs: Mapping[str, ArrayLike], targets: ArrayLike, ax: Axes | None = None, *, names: Sequence[str] | None = None
) -> Axes:
    """Draw the outputs of networks for a few samples beside the targets.

    Parameters
    ----------
    outputs : mapping of str to array_like, shape (n,) or (n, 1)
        A name for the legend, and the output for each sample.
    targets : array_like, shape (n,) or (n, 1)
        The true values.
    ax : Axes, optional
        Where to draw; a new figure by default.
    names : sequence of str, optional
        Labels of the samples; by default their numbers.

    Returns
    -------
    Axes

    Raises
    ------
    TypeError
        If an argument has the wrong type.
    ValueError
        If an array has another shape, or not as many numbers as `targets`; or if there is not a name for each sample.
    """
    (targets,) = vectors(targets=targets)
    lines = series("outputs", outputs, targets, "targets")
    labels = [str(k) for k in range(len(targets))] if names is None else check_names("names", names, len(targets))
    ax = axes_or_new(ax)
    place = np.arange(len(targets))
    ax.hlines(targets, place - 0.36, place + 0.36, color="0.55", linewidth=7, label="target")
    for k, ((name, values), style) in enumerate(zip(lines.items(), styles(len(lines)), strict=True)):
        at = place + 0.24 * (k - (len(lines) - 1) / 2)
        look = {"color": style["color"], "marker": style["marker"], "edgecolor": "white"}
        ax.scatter(at, values, s=70, label=name, zorder=3, **look)
    ax.set_xticks(place, labels)
    ax.set(title="Outputs and targets", xlabel="sample", ylabel="output")
    tidy(ax, grid="y")
    ax.legend(frameon=False, loc="center")
    return ax


def sample_images(
    images: ArrayLike, predicted: ArrayLike, labels: ArrayLike, ax: Axes | None = None, *, columns: int = 12
) -> Axes:
    """Draw images with their predicted classes; wrong ones are framed, with the true class.

    Parameters
    ----------
    images : array_like, shape (n, height, width), or (n, height, width, 3 or 4)
        The images; high values are dark. With a fourth dimension they are colours, as ``Axes.imshow`` takes them.
    predicted, labels : array_like of int, shape (n,) or (n, 1)
        The predicted and the true classes.
    ax : Axes, optional
        Where to draw; a new figure by default.
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
        If an array has another shape, there are not as many images, predicted and true classes, or `columns` is below
        1.
    """
    predicted, true = class_labels(predicted=predicted, labels=labels)
    values, columns = numbers("images", images, "(n, height, width)"), check_integer("columns", columns, 1)
    if values.ndim != 3 and values.shape[3:] not in ((3,), (4,)):  # of colours, whose range depends on their type
        raise ValueError(f"images must have shape (n, height, width); got {values.shape}")
    images = values if values.ndim == 3 else np.asarray(images)
    if len(images) != len(predicted):
        raise ValueError(f"images must be as many as predicted, {len(predicted)}; got {len(images)}")
    ax = axes_or_new(ax)
    for k, (image, guess, label) in enumerate(zip(images, predicted, true, strict=True)):
        row, column = divmod(k, columns)
        left, top = column * 1.15, row * 1.5
        ax.imshow(image, cmap="Greys", extent=(left, left + 1, top + 1, top), interpolation="nearest")
        right = guess == label
        colour, width = ("0.75", 0.8) if right else (RED, 2.5)
        ax.add_patch(Rectangle((left, top), 1, 1, fill=False, edgecolor=colour, linewidth=width))
        caption = literal(guess if right else f"{guess}, is {label}")
        ax.text(left + 0.5, top + 1.2, caption, ha="center", va="center", weight="normal" if right else "bold")
    rows = -(-len(images) // columns)
    ax.set(title="Predicted classes", xlim=(-0.1, min(columns, len(images)) * 1.15), ylim=(rows * 1.5, -0.1), aspect=1)
    ax.axis("off")
    return ax


def predicted_against_true(
    true: ArrayLike, predicted: ArrayLike, ax: Axes | None = None, *, name: str = "target"
) -> Axes:
    """Draw predictions over true values, with the line on which they would be right.

    Parameters
    ----------
    true, predicted : array_like, shape (n,) or (n, 1)
        The true and the predicted values.
    ax : Axes, optional
        Where to draw; a new figure by default.
    name : str
        Name of the quantity.

    Returns
    -------
    Axes
        The title shows the coefficient of determination, which is NaN where all true values are equal, and the root of
        the mean squared error.

    Raises
    ------
    TypeError
        If an argument has the wrong type.
    ValueError
        If an array has another shape, or there are not as many predicted values as true ones.
    """
    true, predicted = vectors(true=true, predicted=predicted)
    ax = axes_or_new(ax)
    ends = [min(true.min(), predicted.min()), max(true.max(), predicted.max())]
    ax.plot(ends, ends, color=STYLES[0]["color"], linewidth=3, zorder=1, label="predicted = true")
    ax.scatter(true, predicted, s=18, color=STYLES[1]["color"], alpha=max(0.15, min(0.8, 200 / len(true))), linewidth=0)
    with np.errstate(over="ignore", invalid="ignore"):  # the title shows what comes of it
        residual = ((predicted - true) ** 2).sum()
        r2 = 1 - residual / ((true - true.mean()) ** 2).sum() if np.ptp(true) > 0 else np.nan
    error = np.sqrt(residual / len(true))
    ax.set(title=f"Predicted and true: r2 {r2:.3f}, typical error {error:.3g}", aspect="equal", adjustable="datalim")
    ax.set(xlabel=f"{name}, true", ylabel=f"{name}, predicted")
    ax.legend(frameon=False, loc="upper left")
    tidy(ax, grid="both")
    return ax


def confusion(
    true: ArrayLike, predicted: ArrayLike, ax: Axes | None = None, *, classes: Sequence[str | int] | None = None
) -> Axes:
    """Draw a confusion matrix: how often each class is predicted as each other one.

    Parameters
    ----------
    true, predicted : array_like, shape (n,) or (n, 1)
        The true and the predicted classes.
    ax : Axes, optional
        Where to draw; a new figure by default.
    classes : sequence, optional
        All classes, in order; by default those that occur.

    Returns
    -------
    Axes

    Raises
    ------
    TypeError
        If an argument has the wrong type.
    ValueError
        If an array has another shape, there is another number of predicted classes than of true ones, one is not among
        `classes`, or these are none, or one of them comes twice.
    """
    true, predicted = class_labels(true=true, predicted=predicted)
    names = _occurring(true, predicted) if classes is None else check_names("classes", classes)
    if len(set(names)) < max(len(names), 1):
        raise ValueError(f"classes must be different names, one at least; got {listed([*map(repr, names)]) or 'none'}")
    rows, columns = places(names, true=true, predicted=predicted)
    counts = np.zeros((len(names), len(names)), int)
    np.add.at(counts, (rows, columns), 1)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    ax = axes_or_new(ax)
    ax.imshow(share, cmap="Blues", vmin=0, vmax=1)
    if len(names) <= 25:
        for (i, j), count in np.ndenumerate(counts):
            if count:
                ax.text(j, i, f"{count}", ha="center", va="center", color="white" if share[i, j] > 0.5 else "0.1")
        long = max(len(str(name)) for name in names) > 3
        ax.set_xticks(
            range(len(names)),
            [literal(name) for name in names],
            rotation=45 if long else 0,
            ha="right" if long else "center",
        )
        ax.set_yticks(range(len(names)), [literal(name) for name in names])
    ax.set(title=f"Classes: {np.mean(rows == columns):.1%} correct", xlabel="predicted", ylabel="true")
    return ax


def _occurring(true: NDArray[Any], predicted: NDArray[Any]) -> list[Any]:
    """The classes that occur, in order; raises TypeError if they have no order."""
    try:
        return np.unique(np.concatenate([true, predicted])).tolist()
    except TypeError:
        message = "true and predicted must hold classes of one kind, numbers or texts; got several"
        raise TypeError(message) from None


def decision_regions(
    net: MLP, X: ArrayLike, y: ArrayLike, ax: Axes | None = None, *, names: Sequence[str] = ("x", "y"), steps: int = 250
) -> Axes:
    """Draw the class that a network with two inputs predicts at every point of the plane, and the samples.

    Parameters
    ----------
    net : MLP
        A network with two inputs, and either a softmax output or one output, with a threshold at 0.5.
    X : array_like, shape (n, 2)
        The samples.
    y : array_like of int, shape (n,) or (n, 1)
        Their classes.
    ax : Axes, optional
        Where to draw; a new figure by default.
    names : sequence of str
        Names of the two inputs.
    steps : int
        Number of grid points along each axis.

    Returns
    -------
    Axes

    Raises
    ------
    TypeError
        If an argument has the wrong type.
    ValueError
        If the network does not have two inputs, `X` has another shape or is not finite, `y` is not a class of the
        network for each sample, there are not two names, or `steps` is below 2.
    """
    if check_net(net).spec.n_in != 2:
        raise ValueError(f"net must have two inputs; it has {net.spec.n_in}")
    X, (y,) = numbers("X", X, "(n, 2)"), class_labels(y=y)
    if X.shape != (len(y), 2):
        raise ValueError(f"X must have shape ({len(y)}, 2), a row for each class in y; got {X.shape}")
    count = max(net.spec.n_out, 2)
    places(list(range(count)), y=y)
    check_finite("X", X)
    names, steps = check_names("names", names, 2), check_integer("steps", steps, 2)
    low, high = X.min(axis=0), X.max(axis=0)
    room = 0.08 * np.where(high > low, high - low, 1)
    low, high = low - room, high + room
    sides = [np.linspace(a, b, steps) for a, b in zip(low, high, strict=True)]
    plane = np.stack(np.meshgrid(*sides), axis=-1).reshape(-1, 2)
    outputs = net.predict(plane)
    classes = outputs.argmax(axis=1) if net.spec.n_out > 1 else (outputs[:, 0] > 0.5).astype(int)
    looks = styles(count)
    light = LinearSegmentedColormap.from_list("light", [look["color"] for look in looks], count)
    regions = classes.reshape(steps, steps)
    extent = (low[0], high[0], low[1], high[1])
    ax = axes_or_new(ax)
    ax.imshow(regions, origin="lower", extent=extent, cmap=light, vmin=0, vmax=count - 1, alpha=0.3, aspect="auto")
    ax.contour(*sides, regions, levels=np.arange(count - 1) + 0.5, colors="0.25", linewidths=1.2)
    for label, look in enumerate(looks):
        of = y == label
        ax.scatter(
            X[of, 0],
            X[of, 1],
            s=26,
            color=look["color"],
            marker=look["marker"],
            edgecolor="white",
            linewidth=0.6,
            label=f"class {label}",
        )
    ax.set(title="Decision regions", xlabel=names[0], ylabel=names[1], xlim=extent[:2], ylim=extent[2:])
    ax.legend(frameon=True, framealpha=0.9)
    return ax
