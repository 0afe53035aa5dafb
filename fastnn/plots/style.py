"""How all figures look: series differ by lightness and by line style as well as by hue."""

from __future__ import annotations

from typing import Any, Literal

from matplotlib.axes import Axes

from fastnn.checks import describe

DARK_BLUE = "#123a66"
RED = "#c03000"  # of what is wrong

#: Style of the first, second ... series: a broad light line first, so that a dark one on top of it leaves both visible.
STYLES = (
    {"color": "#f0a63c", "linewidth": 4.5, "linestyle": "-", "marker": "s"},
    {"color": DARK_BLUE, "linewidth": 1.6, "linestyle": "--", "marker": "o"},
    {"color": "#3c9d8f", "linewidth": 2.2, "linestyle": "-.", "marker": "^"},
    {"color": "#8c4a9c", "linewidth": 1.6, "linestyle": ":", "marker": "v"},
)
NEGATIVE_TO_POSITIVE = "RdBu_r"
#: For images, where no line style shows a sign: it can be read in grey.
DARK_TO_LIGHT = "cividis"


def axes_or_new(ax: Axes | None) -> Axes:
    """The Axes asked for, or that of a new figure.

    Raises
    ------
    TypeError
        If it is something else, a figure or an array of Axes say, or was removed from its figure.
    """
    if ax is not None:
        if not isinstance(ax, Axes) or ax.figure is None:
            raise TypeError(f"ax must be an Axes in a figure; got {describe(ax)}")
        return ax
    from matplotlib import pyplot  # chooses a backend: only where a figure is wanted

    return pyplot.subplots()[1]


def styles(count: int) -> list[dict[str, Any]]:
    """One style for each series, the same ones again after the last."""
    return [STYLES[k % len(STYLES)] for k in range(count)]


def tidy(ax: Axes, grid: Literal["x", "y", "both"]) -> None:
    """A faint grid behind what is drawn, and no more frame than the two axes."""
    ax.grid(alpha=0.3, axis=grid)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
