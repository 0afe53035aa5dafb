"""The comparison's pictures, each on one matplotlib Axes (extra ``plot``), legible in grey."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fastnn.comparison.results import bar, of
from fastnn.comparison.workloads import FAMILIES
from fastnn.extras import require

require("matplotlib", extra="plot")

from matplotlib.axes import Axes  # noqa: E402
from matplotlib.ticker import FuncFormatter  # noqa: E402

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


def times_by_size(record: dict[str, Any], family: str, ax: Axes) -> Axes:
    """Draw the time of a step over the width or the batch, a line for each peer, on logarithmic axes.

    Parameters
    ----------
    record : dict
        What `fastnn.comparison.running.compare` returned.
    family : {"width", "batch"}
        What grows to the right.
    ax : Axes
        Where to draw.
    """
    lines: dict[str, tuple[list[int], list[float], dict[str, Any]]] = {}
    for size, workload in FAMILIES[family].items():
        for r in _in_order(of(record, workload.name)):
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
    return _tidy(ax, "both")


def speed_ups(record: dict[str, Any], ax: Axes) -> Axes:
    """Draw how many times faster than plain NumPy each peer is on each named workload."""
    names = named(record)
    titles = {r["title"]: r for r in _in_order(record["results"]) if r["workload"] in names and "minimum" in r}
    height = 0.8 / max(len(titles), 1)
    for k, (title, look) in enumerate(titles.items()):
        colour, _, _, hatch = _look(look)
        places, ratios = [], []
        for place, name in enumerate(names):
            results = of(record, name)
            found = [r for r in results if r["title"] == title and "minimum" in r]
            slowest = bar(results)
            if found and slowest:
                places.append(place + (k - (len(titles) - 1) / 2) * height)
                ratios.append(slowest / found[0]["minimum"])
        bars = ax.barh(places, [r - 1 for r in ratios], height * 0.92, left=1, label=title, color=colour, hatch=hatch)
        for patch in bars:
            patch.set_edgecolor("white")
        for y, ratio in zip(places, ratios, strict=True):
            right = ratio >= 1
            at: Any = {
                "xytext": (3 if right else -3, 0),
                "textcoords": "offset points",
                "ha": "left" if right else "right",
            }
            ax.annotate(f"{ratio:.0f}" if ratio >= 10 else f"{ratio:.2g}", (ratio, y), va="center", fontsize=8, **at)
    ax.set_xscale("log")
    ax.axvline(1, color="0.2", linewidth=1)
    low, high = ax.get_xlim()
    ax.set_xlim(low / 1.4, high * 1.4)
    ax.set_yticks(range(len(names)), names)
    ax.invert_yaxis()
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    ax.set(title="Speed-up over plain NumPy", xlabel="times as fast (NumPy = 1; higher is better)")
    ax.legend(frameon=False, fontsize=9, loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=4)
    return _tidy(ax, "x")


def roofline(record: dict[str, Any], ax: Axes) -> Axes:
    """Draw which share of the cores' peak each peer reaches, over the arithmetic in a step."""
    workloads = {w["name"]: w for w in record["workloads"]}
    points: dict[str, tuple[list[float], list[float], dict[str, Any]]] = {}
    for r in _in_order(record["results"]):
        w = workloads[r["workload"]]
        peak = record["peak"].get(w["dtype"])
        if "minimum" in r and peak:
            x, y, _ = points.setdefault(r["title"], ([], [], r))
            x.append(w["flops"])
            y.append(100 * w["flops"] / r["minimum"] / (peak * r["threads"]))
    for title, (x, y, r) in points.items():
        colour, marker, _, _ = _look(r)
        ax.scatter(x, y, s=52, label=title, color=colour, marker=marker, edgecolor="white", linewidth=0.5, zorder=3)
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.axhline(100, color="0.15", linewidth=2)
    rates = ", ".join(f"{rate / 1e9:.0f} GFLOP/s in {d}" for d, rate in record["peak"].items() if d.startswith("float"))
    ax.text(0.02, 110, f"peak of a core: {rates}", transform=ax.get_yaxis_transform(), fontsize=9, va="bottom")
    ax.set_ylim(top=250)
    ax.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g} %"))
    ax.set(
        title="How much of the processor's peak is used",
        xlabel="floating-point operations in a step's matrix products",
        ylabel="share of the measured peak (higher is better)",
    )
    ax.legend(frameon=False, fontsize=9, loc="lower right")
    return _tidy(ax, "both")


def named(record: dict[str, Any]) -> list[str]:
    """The workloads measured that are not points of a curve."""
    curves = {w.name for family in FAMILIES.values() for w in family.values()}
    return [w["name"] for w in record["workloads"] if w["name"] not in curves]


def _in_order(results: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The peers in the order of `LOOKS`, so that every picture and its legend have the same."""
    peers = list(LOOKS)
    return sorted(results, key=lambda r: (peers.index(r["peer"]), r["threads"]))


def _look(result: dict[str, Any]) -> tuple[str, str, str, str]:
    return LOOKS[result["peer"]] if result["threads"] == 1 else ON_THREADS


def _tidy(ax: Axes, grid: Any) -> Axes:
    ax.grid(alpha=0.3, axis=grid)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
    return ax
