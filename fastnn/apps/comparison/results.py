"""Reading what was measured: a table for each workload, and what changed between two measurements."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from fastnn.apps.comparison.running import FORMAT
from fastnn.models.reading import require_file

#: Columns of a table of results, and of one of changes.
HEADER = ("peer", "minimum", "median", "speed-up", "of peak", "import", "compile + first run", "error")
CHANGED = ("speed-up over NumPy; NumPy's time", "then", "now", "change")
IMPOSSIBLE = "above 100%!"
NOTABLE = 0.05  # a change smaller than this is noise


def baseline_of(results: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """The result that the speed-ups refer to: plain NumPy's, or the slowest peer's if NumPy was not measured."""
    measured = (r for r in results if "minimum" in r and r["threads"] == 1)
    return numpy_of(results) or max(measured, key=lambda r: r["minimum"], default=None)


def rows(workload: dict[str, Any], results: Sequence[dict[str, Any]], peak: dict[str, float]) -> list[list[str]]:
    """The cells under `HEADER`, a row for each peer that was measured."""
    baseline = baseline_of(results)
    table = []
    for r in results:
        if "minimum" not in r:
            continue
        used = share(workload, r, peak)
        table.append(
            [
                r["title"],
                duration(r["minimum"]),
                duration(r["median"]),
                f"{baseline['minimum'] / r['minimum']:.3g}x" if baseline else "",
                "" if used is None else f"{100 * used:.2g}%" if used <= 1 else IMPOSSIBLE,
                duration(r["import"]),
                duration(r["build"] + r["first"]),
                f"{r['error']:.0e}",
            ]
        )
    return table


def share(workload: dict[str, Any], result: dict[str, Any], peak: dict[str, float]) -> float | None:
    """Which part of the cores' peak, measured right after it or at the start, a peer uses; None if it is not known."""
    top = result.get("peak") or peak.get(workload["dtype"])
    return workload["flops"] / result["minimum"] / (top * result["threads"]) if top else None


def doubts(workload: dict[str, Any], results: Sequence[dict[str, Any]], peak: dict[str, float]) -> list[str]:
    """What cannot be true of what was measured."""
    return [
        f"{r['title']} cannot be above the peak: the machine was busy, and its figures are not to be trusted"
        for r in results
        if "minimum" in r and (share(workload, r, peak) or 0) > 1
    ]


def excuses(results: Sequence[dict[str, Any]]) -> list[str]:
    """Who was left out, and why."""
    return [f"{r['title']} is left out: {r['excuse']}" for r in results if "excuse" in r]


def results_on(record: dict[str, Any], workload: str) -> list[dict[str, Any]]:
    """The results on one workload."""
    return [r for r in record["results"] if r["workload"] == workload]


def duration(seconds: float) -> str:
    """A time with its unit, in three digits."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"


def day(date: str) -> str:
    """A date and time of ISO 8601, to the minute."""
    return f"{datetime.fromisoformat(date):%Y-%m-%d %H:%M} UTC"


@dataclass(frozen=True)
class Change:
    """One peer on one workload, then and now: its speed-up over NumPy, or, of NumPy and without it, seconds a step."""

    workload: str
    title: str
    before: float
    now: float
    of_times: bool = False

    @property
    def ratio(self) -> float:
        """Above 1 where it became quicker."""
        return self.before / self.now if self.of_times else self.now / self.before

    @property
    def cells(self) -> list[str]:
        """What stands under `CHANGED`."""
        then, now = (duration(x) if self.of_times else f"{x:.3g}x" for x in (self.before, self.now))
        return [f"{self.workload}, {self.title}", then, now, self.verdict]

    @property
    def verdict(self) -> str:
        """In a word."""
        if abs(self.ratio - 1) < NOTABLE:
            return "the same"
        return f"{self.ratio:.3g}x faster" if self.ratio > 1 else f"{1 / self.ratio:.3g}x slower"


def changes(old: dict[str, Any], new: dict[str, Any]) -> list[Change]:
    """What both measured, then and now; a workload that became another one is left out."""
    same = [w["name"] for w in new["workloads"] if w in old["workloads"]]
    before, now = ({(r["workload"], r["title"]): r for r in x["results"] if "minimum" in r} for x in (old, new))
    found = []
    for (workload, title), result in now.items():
        if workload not in same or (workload, title) not in before:
            continue
        times = before[workload, title]["minimum"], result["minimum"]
        numpys = [numpy_of(r for r in measured.values() if r["workload"] == workload) for measured in (before, now)]
        if result["peer"] == "plain_numpy" or None in numpys:
            found.append(Change(workload, title, *times, of_times=True))
        else:
            speed_ups = (numpy["minimum"] / time for numpy, time in zip(numpys, times, strict=True) if numpy)
            found.append(Change(workload, title, *speed_ups))
    return found


def numpy_of(results: Iterable[dict[str, Any]]) -> dict[str, Any] | None:
    """The result of this environment's plain NumPy, if it was measured."""
    found = (r for r in results if r["peer"] == "plain_numpy" and not r.get("elsewhere") and "minimum" in r)
    return next(found, None)


def read(path: str) -> dict[str, Any]:
    """What ``fastnn bench --json`` wrote.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it is not such a file.
    """
    try:
        require_file(Path(path))
        record = json.loads(Path(path).read_bytes())
        if record["format"] != FORMAT:
            raise ValueError(f"its format is {record['format']!r}")
        for result in record["results"]:
            texts, minimum = [result[key] for key in ("workload", "title", "peer")], result.get("minimum", 1.0)
            if not (all(isinstance(text, str) for text in texts) and type(minimum) is float and 0 < minimum < math.inf):
                raise ValueError(f"{texts} and {minimum!r} are no names and seconds")
        names = [w["name"] for w in record["workloads"]]
        if not isinstance(record["workloads"], list) or not all(isinstance(name, str) for name in names):
            raise ValueError(f"{names} are no names of workloads")
        datetime.fromisoformat(record["date"])
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not what `fastnn bench --json` writes: {error!r}") from error
    return record
