"""Pictures of training: its losses, its time, and how members differ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, NullLocator
from numpy.typing import ArrayLike, NDArray

from fastnn.checks import ABOVE_0, check_name, check_number
from fastnn.plots.arguments import check_mapping, number, numbers
from fastnn.plots.style import DARK_BLUE, axes_or_new, styles, tidy


def loss_curves(losses: Mapping[str, ArrayLike], ax: Axes | None = None, *, unit: str = "epoch") -> Axes:
    """Draw the loss over the epochs of one or more runs, on a logarithmic axis.

    Parameters
    ----------
    losses : mapping of str to array_like, shape (epochs,)
        A name for the legend, and the values of ``history.loss``; values that are not above 0 leave a gap.
    ax : Axes, optional
        Where to draw; a new figure by default.
    unit : str
        Unit of the horizontal axis.

    Returns
    -------
    Axes

    Raises
    ------
    TypeError
        If an argument has the wrong type, or a loss is not a real number.
    ValueError
        If the values of `losses` are not vectors, or some are masked.
    """
    drawn = {}
    for name, values in check_mapping("losses", losses).items():
        drawn[name] = numbers(f"{name} of losses", values, "(epochs,)")
        if drawn[name].ndim != 1:
            raise ValueError(f"{name} of losses must have shape (epochs,); got {drawn[name].shape}")
    ax = axes_or_new(ax)
    for (name, values), style in zip(drawn.items(), styles(len(drawn)), strict=True):
        values = np.where(values > 0, values, np.nan)
        ax.plot(np.arange(1, len(values) + 1), values, label=name, **{**style, "marker": None})
    ax.set_yscale("log")
    ax.set(title=f"Loss, {unit} by {unit}", xlabel=unit, ylabel="loss")
    low, high = ax.get_ylim()
    if high < 20 * low:  # too short for powers of ten
        ax.yaxis.set_major_locator(MaxNLocator(6))
        ax.yaxis.set_minor_locator(NullLocator())
        ax.yaxis.set_major_formatter("{x:g}")
    tidy(ax, grid="both")
    if len(drawn) > 1:
        ax.legend(frameon=False)
    return ax


def time_per_iteration(seconds: Mapping[str, float], ax: Axes | None = None, *, bar: str | None = None) -> Axes:
    """Draw the time of an iteration, on a logarithmic axis, and how many times faster than a reference it is.

    Parameters
    ----------
    seconds : mapping of str to float
        Names and their times in seconds.
    ax : Axes, optional
        Where to draw; a new figure by default.
    bar : str, optional
        Name of the reference; by default the slowest.

    Returns
    -------
    Axes

    Raises
    ------
    TypeError
        If an argument has the wrong type.
    ValueError
        If there is no time, one is not above 0, or `bar` is not one of their names.
    """
    if not check_mapping("seconds", seconds):
        raise ValueError("seconds must have at least one time; got none")
    seconds = {str(name): check_number(f"{name} of seconds", time, ABOVE_0) for name, time in seconds.items()}
    if bar is not None:
        check_name("bar", bar, seconds)
    slowest, fastest = max(seconds.values()), min(seconds.values())
    compared = seconds[bar] if bar is not None else slowest
    ax = axes_or_new(ax)
    for k, ((name, time), style) in enumerate(zip(seconds.items(), styles(len(seconds)), strict=True)):
        ax.plot([time * 1e6, compared * 1e6], [k, k], color="0.75", linewidth=2, zorder=1)
        ax.scatter(time * 1e6, k, s=160, color=style["color"], marker=style["marker"], zorder=2)
        times = f"{compared / time:.3g}x faster" if time < compared else f"{time / compared:.3g}x slower"
        faster = "" if time == compared else f", {times}"
        ax.annotate(f"{name}: {time * 1e6:.3g} µs{faster}", (time * 1e6, k), (0, 12), textcoords="offset points")
    ax.set_xscale("log")
    ax.set(title="Time per iteration", xlabel="microseconds")
    ax.set(xlim=(fastest * 1e6 / 3, slowest * 1e6 * 300), ylim=(len(seconds) - 0.5, -0.8), yticks=[])
    tidy(ax, grid="x")
    return ax


def spread(
    values: ArrayLike, ax: Axes | None = None, *, unit: str = "loss", marked: Mapping[str, float] | None = None
) -> Axes:
    """Draw how a number varies over an ensemble: a histogram, each member, the median and the range from 5 to 95%.

    Parameters
    ----------
    values : array_like, shape (K,)
        A number for each member, such as `fastnn.Ensemble.loss`; those that are not finite are counted in the title.
    ax : Axes, optional
        Where to draw; a new figure by default.
    unit : str
        Name of the numbers.
    marked : mapping of str to float, optional
        Names and values of numbers to compare with.

    Returns
    -------
    Axes

    Raises
    ------
    TypeError
        If an argument has the wrong type, or a value is not a real number.
    ValueError
        If `values` is a ragged list, or some of it is masked.
    """
    values = numbers("values", values).ravel()
    marked = check_mapping("marked", {} if marked is None else marked)
    lines = {name: number(f"{name} of marked", value) for name, value in marked.items()}
    ax = axes_or_new(ax)
    finite = values[np.isfinite(values)]
    if finite.size:
        ax.hist(finite, bins=_bins(finite), range=_range(finite), color="#b7cfe6", edgecolor="white")
        ax.plot(
            finite, np.full(len(finite), 0.02), "|", color=DARK_BLUE, markersize=9, transform=ax.get_xaxis_transform()
        )
        low, middle, high = np.quantile(finite, [0.05, 0.5, 0.95])
        ax.axvspan(low, high, color=DARK_BLUE, alpha=0.12, linewidth=0, label=f"5 to 95%: {low:.3g} to {high:.3g}")
        ax.axvline(middle, color=DARK_BLUE, linewidth=2.2, label=f"median: {middle:.3g}")
    for (name, value), style in zip(lines.items(), styles(len(lines)), strict=True):
        ax.axvline(value, color=style["color"], linestyle="--", linewidth=2.2, label=f"{name}: {value:.3g}")
    lost = len(values) - len(finite)
    title = f"Spread over {len(values):,} networks" + (f", {lost:,} of them not finite" if lost else "")
    ax.set(title=title, xlabel=unit, ylabel="networks")
    ax.set_ylim(top=ax.get_ylim()[1] * 1.35)  # room for the legend
    ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    if finite.size or lines:
        ax.legend(frameon=True, framealpha=0.9, edgecolor="none", loc="upper left")
    tidy(ax, grid="y")
    return ax


def _bins(values: NDArray[Any]) -> int:
    """Bins of a histogram by Freedman's and Diaconis' rule, or Sturges' if that has more; never without number.

    Most members may agree to rounding where others do not.
    """
    n = len(values)
    if n <= 20:
        return 10
    low, first, third, high = map(float, np.quantile(values, [0, 0.25, 0.75, 1]))
    width = 2 * (third - first) / np.cbrt(n)
    return int(min(max((high - low) / width if width > 0 else 0, np.log2(n) + 1), 2 * np.sqrt(n)))


def _range(values: NDArray[Any]) -> tuple[float, float] | None:
    """The ends of a histogram; None for its own choice, which fails for numbers that differ by rounding alone."""
    low, high = float(values.min()), float(values.max())
    if high - low > 1e-12 * max(abs(low), abs(high)):
        return None
    room = max(0.5, 1e-3 * abs(low))
    return low - room, high + room
