"""The comparison's pictures, each on one matplotlib Axes (extra ``plot``), legible in grey."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from fastnn.apps.comparison.results import baseline_of, numpy_of, results_on, share
from fastnn.apps.comparison.workloads import CURVES, FAMILIES
from fastnn.checks.extras import require

require("matplotlib", extra="plot")

from matplotlib.axes import Axes  # noqa: E402 - after require()
from matplotlib.ticker import FuncFormatter  # noqa: E402 - after require()
from matplotlib.transforms import offset_copy  # noqa: E402 - after require()

from fastnn.plots.style import tidy  # noqa: E402 - after require()

#: Colour, marker, line and hatching of each peer: they differ in lightness and in shape as well as in hue.
LOOKS = {
    "reference": ("#b9b9b9", "D", ":", ".."),
    "plain_numpy": ("#8a8a8a", "s", "-", ""),
    "sklearn": ("#f0a63c", "^", "--", "//"),
    "torch": ("#d1573f", "v", "-.", "\\\\"),
    "jax": ("#3c9d8f", "P", "--", "xx"),
    "fastnn": ("#123a66", "o", "-", ""),
}
ON_THREADS = ("#5b8fc7", "*", ":", "||")
ELSEWHERE = ("X", "-.", "++")  # a peer of another environment, in its colour


def times_by_size(record: dict[str, Any], family: str, ax: Axes) -> Axes:
    """Draw the time of a step over the width or the batch, a line for each peer, on logarithmic axes.

    Parameters
    ----------
    record : dict
        What `fastnn.apps.comparison.running.compare` returned.
    family : {"width", "batch"}
        What grows to the right.
    ax : Axes
        Where to draw.
    """
    lines: dict[str, tuple[list[int], list[float], dict[str, Any]]] = {}
    for size, workload in FAMILIES[family].items():
        for r in _in_order(results_on(record, workload.name)):
            if "minimum" in r:
                sizes, times, _ = lines.setdefault(r["title"], ([], [], r))
                sizes.append(size)
                times.append(r["minimum"] * 1e6)
    for title, (sizes, times, r) in lines.items():
        colour, marker, line, _ = _look(r)
        width = 2.4 if r["peer"] == "fastnn" else 1.6
        ax.plot(sizes, times, label=title, color=colour, marker=marker, linestyle=line, linewidth=width, markersize=7)
    sizes = list(FAMILIES[family])
    example = FAMILIES[family][sizes[0]]
    what = {
        "width": ("16-n-n-1, batch 32", "n, width of the hidden layers"),
        "batch": (f"{'-'.join(map(str, example.sizes))}", "rows of a batch"),
    }
    title, label = what[family]
    ax.set_xscale("log", base=2)
    ax.set_yscale("log")
    ax.set_xticks(sizes, [str(size) for size in sizes])
    ax.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
    ax.set(title=f"Time of a training step, {title}", xlabel=label, ylabel="microseconds (lower is better)")
    ax.legend(frameon=False, fontsize=9)
    tidy(ax, "both")
    return ax


def speed_ups(record: dict[str, Any], ax: Axes) -> Axes:
    """Draw how many times faster than plain NumPy each other peer is on each named workload.

    Where NumPy was not measured, the slowest stands in for it.
    """
    names, labelled, height = single_workloads(record), set(), 0.13
    low, high = 1.0, 1.0
    for place, name in enumerate(names):
        results = results_on(record, name)
        baseline = baseline_of(results)
        if baseline is None:
            continue
        others = [r for r in _in_order(results) if "minimum" in r and r["title"] != baseline["title"]]
        for k, r in enumerate(others):
            ratio, y = baseline["minimum"] / r["minimum"], place + (k - (len(others) - 1) / 2) * height
            colour, _, _, hatch = _look(r)
            label = None if r["title"] in labelled else r["title"]
            labelled.add(r["title"])
            ax.barh(y, ratio - 1, height * 0.92, left=1, color=colour, hatch=hatch, edgecolor="white", label=label)
            side = 1 if ratio >= 1 else -1
            at: Any = {"xytext": (3 * side, 0), "textcoords": "offset points", "ha": "left" if side > 0 else "right"}
            ax.annotate(f"{ratio:.0f}" if ratio >= 10 else f"{ratio:.2g}", (ratio, y), va="center", fontsize=8, **at)
            low, high = min(low, ratio), max(high, ratio)
    over = "plain NumPy" if all(numpy_of(results_on(record, name)) for name in names) else "the slowest"
    ax.set_xscale("log")
    ax.axvline(1, color="0.2", linewidth=1)
    ax.set_xlim(low / 2, high * 2)  # room for the numbers
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    ax.set(title=f"Speed-up over {over}", xlabel=f"times as fast ({over} = 1; higher is better)")
    _legend_below(ax, [r["title"] for r in _in_order(record["results"])])
    tidy(ax, "x")
    return ax


def roofline(record: dict[str, Any], ax: Axes) -> Axes:
    """Draw which share of the cores' peak each peer reaches, over the arithmetic in a step."""
    workloads = {w["name"]: w for w in record["workloads"]}
    points: dict[str, tuple[list[float], list[float], dict[str, Any]]] = {}
    for r in _in_order(record["results"]):
        w = workloads[r["workload"]]
        used = share(w, r, record["peak"]) if "minimum" in r else None
        if used is not None and used <= 1:  # more is no measurement
            x, y, _ = points.setdefault(r["title"], ([], [], r))
            x.append(w["flops"])
            y.append(100 * used)
    for title, (x, y, r) in points.items():
        colour, marker, _, _ = _look(r)
        ax.scatter(
            x,
            y,
            s=110 if marker == "*" else 52,
            label=title,
            color=colour,
            marker=marker,
            edgecolor="white",
            linewidth=0.5,
            zorder=3,
        )
    ax.set_xscale("log")
    ax.set_yscale("log")
    single = single_workloads(record)
    for flops in {workloads[name]["flops"] for name in single}:
        names = ", ".join(name for name in single if workloads[name]["flops"] == flops)
        ax.axvline(flops, color="0.85", linewidth=1, zorder=0)
        at: Any = {"xytext": (0, 3), "textcoords": "offset points", "rotation": 25, "fontsize": 8, "color": "0.3"}
        ax.annotate(names, (flops, 1), xycoords=ax.get_xaxis_transform(), ha="left", va="bottom", **at)
    ax.axhline(100, color="0.15", linewidth=2)
    rates = ", ".join(f"{rate / 1e9:.0f} GFLOP/s in {d}" for d, rate in record["peak"].items() if d.startswith("float"))
    ax.text(0.02, 110, f"peak of a core: {rates}", transform=ax.get_yaxis_transform(), fontsize=9, va="bottom")
    ax.set_ylim(top=250)
    ax.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}%"))
    ax.set(
        xlabel="floating-point operations in a step's matrix products",
        ylabel="share of the measured peak (higher is better)",
    )
    ax.set_title("How much of the processor's peak is used", pad=48)  # above the names of the workloads
    _legend_below(ax, list(points))
    tidy(ax, "both")
    return ax


def single_workloads(record: dict[str, Any]) -> list[str]:
    """Names of the workloads measured that are not points of a curve."""
    return [w["name"] for w in record["workloads"] if w["name"] not in CURVES]


def _in_order(results: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The peers in the order of `LOOKS`, so that every picture and its legend have the same."""
    peers = list(LOOKS)
    return sorted(results, key=lambda r: (peers.index(r["peer"]), r["threads"], r["title"]))


def _legend_below(ax: Axes, titles: Sequence[str]) -> None:
    """The legend, in the order of the titles, below the axis and its label."""
    known = dict(zip(*reversed(ax.get_legend_handles_labels()), strict=True))
    shown = [title for title in dict.fromkeys(titles) if title in known]
    below: Any = offset_copy(ax.transAxes, ax.get_figure(root=True), y=-38, units="points")
    ax.legend(
        [known[title] for title in shown],
        shown,
        frameon=False,
        fontsize=9,
        loc="upper center",
        bbox_to_anchor=(0.5, 0),
        bbox_transform=below,
        ncols=4,
    )


def _look(result: dict[str, Any]) -> tuple[str, str, str, str]:
    if result.get("elsewhere"):
        return LOOKS[result["peer"]][0], *ELSEWHERE
    return LOOKS[result["peer"]] if result["threads"] == 1 else ON_THREADS
