"""Pictures of uncertainty, and of whether it is right."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from fastnn.checks import check_integer
from fastnn.plots.arguments import class_labels, numbers, places, series, vectors
from fastnn.plots.style import RED, STYLES, axes_or_new, styles, tidy

#: Groups of equally many samples, each of which is drawn as its median error.
_GROUPS = 10


def intervals(
    x: ArrayLike,
    low: ArrayLike,
    middle: ArrayLike,
    high: ArrayLike,
    ax: Axes | None = None,
    *,
    targets: ArrayLike | None = None,
    name: str = "x",
) -> Axes:
    """Draw intervals over one input, and the share of targets that lie in them.

    Parameters
    ----------
    x : array_like, shape (n,)
        The input, in any order.
    low, middle, high : array_like, shape (n,) or (n, 1)
        The result of `fastnn.Intervals.predict`.
    ax : Axes, optional
        Where to draw; a new figure by default.
    targets : array_like, shape (n,), optional
        The true values; those that are NaN, or whose interval is, are neither drawn nor counted.
    name : str
        Name of the input.

    Returns
    -------
    Axes

    Raises
    ------
    TypeError
        If an argument has the wrong type.
    ValueError
        If the arrays are empty, or not vectors or columns of one length.
    """
    x, low, middle, high = vectors(x=x, low=low, middle=middle, high=high)
    y = None if targets is None else vectors(x=x, targets=targets)[1]
    ax = axes_or_new(ax)
    order = np.argsort(x)
    ax.fill_between(
        x[order], low[order], high[order], color=STYLES[0]["color"], alpha=0.4, linewidth=0, label="interval"
    )
    ax.plot(x[order], middle[order], color=STYLES[1]["color"], linewidth=2, label="prediction")
    title = "Intervals"
    if y is not None:
        inside, outside = (low <= y) & (y <= high), (y < low) | (high < y)  # neither, where one is NaN
        ax.scatter(x[inside], y[inside], s=14, color="0.3", linewidth=0, label="target inside")
        ax.scatter(x[outside], y[outside], s=34, color=RED, marker="x", label="target outside")
        known = inside | outside
        if known.any():
            title += f": {inside[known].mean():.1%} of {known.sum():,} targets inside"
    ax.set(title=title, xlabel=name, ylabel="output")
    ax.legend(frameon=True, framealpha=0.9, edgecolor="none")
    tidy(ax, grid="both")
    return ax


def reliability(labels: ArrayLike, probabilities: ArrayLike, ax: Axes | None = None, *, bins: int = 10) -> Axes:
    """Draw a reliability diagram: how often predicted classes are right, over their predicted probability.

    Parameters
    ----------
    labels : array_like of int, shape (n,)
        The true classes.
    probabilities : array_like, shape (n, n_classes), or (n,) or (n, 1) for the second of two
        The outputs of a network with a softmax or a sigmoid.
    ax : Axes, optional
        Where to draw; a new figure by default.
    bins : int
        Number of bins of equal width between 0 and 1; those without samples are not drawn.

    Returns
    -------
    Axes
        The title shows the expected calibration error: the mean distance from the diagonal over the samples (M. Naeini,
        G. Cooper, M. Hauskrecht, "Obtaining well calibrated probabilities using Bayesian binning", 2015).

    Raises
    ------
    TypeError, ValueError
        If `bins` is not an integer of at least 1, there are no labels, one is not the number of a class from 0, or the
        probabilities lack a row for each label or do not lie between 0 and 1.
    """
    (labels,), given = class_labels(labels=labels), numbers("probabilities", probabilities, "(n, n_classes)")
    bins = check_integer("bins", bins, 1)
    if given.ndim not in (1, 2):
        raise ValueError(f"probabilities must have shape (n,) or (n, n_classes); got {given.shape}")
    if given.ndim == 1 or given.shape[1] == 1:
        given = np.stack([1 - given.ravel(), given.ravel()], axis=1)
    if len(given) != len(labels):
        raise ValueError(f"probabilities must have a row for each of the {len(labels)} labels; got {len(given)}")
    if not ((given >= 0) & (given <= 1 + 1e-6)).all():  # rounding apart
        raise ValueError(f"probabilities must lie between 0 and 1; got {given.min():g} to {given.max():g}")
    (true,) = places(list(range(given.shape[1])), labels=labels)
    confidence, right = given.max(axis=1), given.argmax(axis=1) == true
    part = np.minimum((confidence * bins).astype(int), bins - 1)
    count = np.bincount(part, minlength=bins)
    seen = count > 0
    mean, share = (np.bincount(part, values, bins)[seen] / count[seen] for values in (confidence, right.astype(float)))
    error = float(np.sum(count[seen] * abs(mean - share)) / len(labels))
    ax = axes_or_new(ax)
    ax.plot([0, 1], [0, 1], color=STYLES[0]["color"], linewidth=3, zorder=1, label="as often as promised")
    ax.plot(mean, share, color=STYLES[1]["color"], linewidth=1.6, linestyle="--", zorder=2)
    sizes = 20 + 280 * count[seen] / count.max()
    ax.scatter(mean, share, s=sizes, color=STYLES[1]["color"], edgecolor="white", zorder=3, label="area: samples")
    ax.set(title=f"Reliability: calibration error {error:.3f}", xlim=(0, 1.03), ylim=(0, 1.03), aspect="equal")
    ax.set(xlabel="probability of the class predicted", ylabel="share that is right")
    ax.legend(frameon=False, loc="upper left")
    tidy(ax, grid="both")
    return ax


def coverage(levels: ArrayLike, found: Mapping[str, ArrayLike], ax: Axes | None = None) -> Axes:
    """Draw the coverage of intervals, the share of targets that lie in them, over their nominal coverage.

    Parameters
    ----------
    levels : array_like, shape (m,)
        The nominal coverages, between 0 and 1.
    found : mapping of str to array_like, shape (m,)
        A name for the legend, and the coverage found at each level.
    ax : Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    Axes

    Raises
    ------
    TypeError
        If an argument has the wrong type.
    ValueError
        If there are no levels, another number of coverages than of levels, or one that is not between 0 and 1.
    """
    (levels,) = vectors(levels=levels)
    lines = series("found", found, levels, "levels")
    for name, shares in {"levels": levels, **{f"{name} of found": shares for name, shares in lines.items()}}.items():
        if (shares < 0).any() or (shares > 1).any():
            raise ValueError(f"{name} must lie between 0 and 1; got {shares.min():g} to {shares.max():g}")
    ax = axes_or_new(ax)
    ax.plot([0, 1], [0, 1], color="0.6", linewidth=6, alpha=0.5, label="as asked for")
    for (name, shares), style in zip(lines.items(), styles(len(lines)), strict=True):
        ax.plot(levels, shares, label=name, **style)
    ax.set(title="Coverage", xlabel="asked for", ylabel="found", aspect="equal")
    ends = np.concatenate([levels, *lines.values()])
    room = 0.03
    ax.set(xlim=(max(0, ends.min() - room), min(1, ends.max() + room) + 0.005))
    ax.set(ylim=ax.get_xlim())
    ax.legend(frameon=False, loc="upper left")
    tidy(ax, grid="both")
    return ax


def error_over_distance(distances: ArrayLike, errors: ArrayLike, ax: Axes | None = None) -> Axes:
    """Draw errors over the distance of samples from the training data, on logarithmic axes.

    Parameters
    ----------
    distances : array_like, shape (n,)
        The result of `fastnn.MLP.distance`.
    errors : array_like, shape (n,)
        Outputs minus targets, of either sign; zeros cannot be drawn on a logarithmic axis.
    ax : Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    Axes
        It also shows the median of each tenth of the samples.

    Raises
    ------
    TypeError
        If an argument has the wrong type.
    ValueError
        If the arrays are empty, or not vectors or columns of one length; or if no sample can be drawn, as each has an
        error or a distance that is 0 or not finite.
    """
    distances, errors = vectors(distances=distances, errors=errors)
    errors = abs(errors)
    if not (np.isfinite(errors * distances) & (errors * distances > 0)).any():
        raise ValueError("errors and distances must have a sample where both are finite and not 0; got none")
    ax = axes_or_new(ax)
    ax.scatter(distances, errors, s=16, color=STYLES[1]["color"], alpha=0.4, linewidth=0, label="sample")
    groups = np.array_split(np.argsort(distances), min(_GROUPS, len(distances)))
    medians = [(np.median(distances[group]), np.median(errors[group])) for group in groups]
    ax.plot(*np.transpose(medians), label="median of a tenth", **styles(1)[0])
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set(title="Error over distance", xlabel="distance from what is known, in standard deviations", ylabel="error")
    ax.legend(frameon=True, framealpha=0.9, edgecolor="none")
    tidy(ax, grid="both")
    return ax
