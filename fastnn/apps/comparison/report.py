"""The comparison as one self-contained HTML file: tables, pictures as SVG, and how to read them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from html import escape
from io import StringIO
from typing import Any

from fastnn.apps.comparison import pictures
from fastnn.apps.comparison.peers import PEERS
from fastnn.apps.comparison.results import (
    CHANGED,
    HEADER,
    Change,
    changes,
    day,
    doubts,
    duration,
    excuses,
    results_on,
    rows,
)
from fastnn.apps.comparison.workloads import FAMILIES

STYLE = """
:root { color-scheme: light dark; --text: #1c2430; --page: #fff; --quiet: #586474; --line: #dde2e8; --ours: #eaf1f9;
        --caution: #fff3d6; }
@media (prefers-color-scheme: dark) {
  :root { --text: #dfe4ea; --page: #14181d; --quiet: #9aa7b5; --line: #333c46; --ours: #1d3049; --caution: #463713; }
}
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: var(--text);
       background: var(--page); overflow-wrap: break-word; }
h1 { margin-bottom: 0; } h2 { margin-top: 2.5rem; } .where { color: var(--quiet); margin-top: .3rem; }
figure { margin: 1rem 0; overflow-x: auto; } figure svg { width: 100%; height: auto; min-width: 40rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .93rem; white-space: nowrap; }
th, td { padding: .25rem .8rem; text-align: right; border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { text-align: left; } th { color: var(--quiet); font-weight: 600; }
tr.fastnn td { background: var(--ours); font-weight: 600; }
.warning { background: var(--caution); border-left: 5px solid #e0a020; padding: .5rem 1rem; }
.excuse { color: var(--quiet); font-size: .93rem; }
"""

READING = """
<p>One step is forward, backward and update on one batch. Every peer starts from the same weights, sees the same
batches in the same order and computes the same update; before it is timed, its weights after some steps must agree
with a float64 reference ("error" is the 2-norm of the difference, divided by that of the update). Each measurement runs
in a process of its own, limited to its cores and threads.</p>
<ul>
<li><b>minimum</b> and <b>median</b> are times of a step over all timed runs. Trust the minimum, unless the median
lies far above it: then the machine was busy.</li>
<li><b>speed-up</b> is relative to plain NumPy (to the slowest, if NumPy was not measured), by minima. Ratios travel
to a similar machine, microseconds to none.</li>
<li><b>of peak</b>: the operations of the step's matrix products, divided by those that the cores could do in that
time, measured on registers alone right after each peer. Activations, loss and update take time and do not count, so
100% cannot be reached: if more comes out, the machine was busy, and the table says so.</li>
<li><b>import</b> and <b>compile + first run</b> are paid once in every process. fastnn keeps its compiled kernels on
the disk; below the table stands how long the first run takes without them.</li>
</ul>
"""


def html(record: dict[str, Any], old: dict[str, Any] | None = None) -> str:
    """Write the report.

    Parameters
    ----------
    record : dict
        What `fastnn.apps.comparison.running.compare` returned.
    old : dict, optional
        An earlier one, to show what changed.

    Returns
    -------
    str
        A whole HTML document.
    """
    machine = record["machine"]
    where = f"{machine['processor']}, {machine['cores']} cores; {machine['system']}; {day(record['date'])}"
    single = pictures.single_workloads(record)
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>What a training step costs</title><style>{STYLE}</style></head><body>",
        f'<h1>What a training step costs</h1><p class="where">{escape(where)}</p>',
        *(f'<p class="warning">{escape(warning[0].upper() + warning[1:])}.</p>' for warning in record["warnings"]),
    ]
    if single:
        parts.append(_figure(pictures.speed_ups, record, size=(10, 1.8 + 1.1 * len(single))))
    for family in FAMILIES:
        if any(results_on(record, w.name) for w in FAMILIES[family].values()):
            parts.append(_figure(pictures.times_by_size, record, family))
    if any(name.startswith("float") for name in record["peak"]):
        parts.append(_figure(pictures.roofline, record, size=(9, 6)))
    parts.append(f"<h2>How to read it</h2>{READING}")
    parts += [_workload(record, workload) for workload in record["workloads"]]
    if old is not None:
        parts.append(_changes(old["date"], changes(old, record)))
    parts.append(_about(record))
    return "\n".join([*parts, "</body></html>\n"])


def _figure(draw: Callable[..., Any], record: dict[str, Any], *details: str, size: tuple[float, float] = (9, 5)) -> str:
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    title = draw(record, *details, figure.add_subplot()).get_title()
    svg = StringIO()
    with rc_context({"svg.hashsalt": "fastnn"}):
        figure.savefig(svg, format="svg", metadata={"Date": None})
    text = svg.getvalue()
    label = f'<svg role="img" aria-label="{escape(title)}; its numbers stand in the tables below"'
    return f"<figure>{text[text.index('<svg') :].replace('<svg', label, 1)}</figure>"


def _table(header: Sequence[str], cells: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in header)
    body = "".join(
        f"<tr{' class=fastnn' if row[0].startswith('fastnn') and 'reference' not in row[0] else ''}>"
        + "".join(f"<td>{escape(cell)}</td>" for cell in row)
        + "</tr>"
        for row in cells
    )
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _workload(record: dict[str, Any], workload: dict[str, Any]) -> str:
    results = results_on(record, workload["name"])
    notes = [f"{note}." for note in (*excuses(results), *doubts(workload, results, record["peak"]))]
    notes += [
        f"With an empty cache of kernels, fastnn's first run takes {duration(r['compiled_first'])}."
        for r in results
        if r.get("compiled_first")
    ]
    return (
        f"<h2>{escape(workload['name'])}</h2><p>{escape(workload['title'])}; {workload['flops']:,} operations a step,"
        f" {workload['steps']:,} steps a run</p>"
        + _table(HEADER, rows(workload, results, record["peak"]))
        + "".join(f'<p class="excuse">{escape(note)}</p>' for note in notes)
    )


def _changes(date: str, changed: Sequence[Change]) -> str:
    cells = [change.cells for change in changed]
    table = _table(CHANGED, cells) if cells else "<p>Nothing was measured both times.</p>"
    return f"<h2>Since {escape(day(date))}</h2>{table}"


def _about(record: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in record["machine"]["versions"].items())
    kernels = sorted({r["blas"] for r in record["results"] if r["peer"] == "plain_numpy" and r.get("blas")})
    settings = [
        f"on {threads} thread{'s' if threads != '1' else ''} " + ", ".join(f"{k}={v}" for k, v in variables.items())
        for threads, variables in record["environment"].items()
    ]
    lines = [f"<b>{p.title}</b>: {escape(p.how)}" for p in PEERS.values() if p.title not in record["absent"]]
    lines += [
        f"<b>{escape(title)}</b>: {escape(version)}, in another environment"
        for title, version in record.get("elsewhere", {}).items()
    ]
    lines += [f"<b>{escape(title)}</b> is left out: {escape(reason)}" for title, reason in record["absent"].items()]
    return (
        "<h2>What was measured</h2><ul>"
        + "".join(f"<li>{line}</li>" for line in lines)
        + f"</ul><p>Versions: {escape(versions)}.</p>"
        + f"<p>NumPy's BLAS: {escape('; '.join(kernels) or 'not measured')}.</p>"
        + f"<p>Set in the environment: {escape('; '.join(settings))}.</p>"
        + f"<p>At least {record['seconds']:g} s of timed runs for each peer.</p>"
    )
