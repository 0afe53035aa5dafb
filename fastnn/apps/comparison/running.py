"""The comparison: every peer on every workload, one after another, each in a fresh process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn.apps.comparison import machine
from fastnn.apps.comparison.peers import PEERS, Peer
from fastnn.apps.comparison.workloads import CURVES, Workload
from fastnn.models.mlp import MLP

FORMAT = "fastnn.apps.comparison"
TIMEOUT = 600.0  # seconds after which a process is given up


@dataclass(frozen=True)
class Entrant:
    """A peer on a number of threads.

    Attributes
    ----------
    peer : Peer
        Who.
    threads : int
        On how many.
    python : str
        The interpreter that runs it; empty for this one.
    label : str
        What tells a peer of another environment from the one in this.
    version : str
        The library and its version in another environment.
    """

    peer: Peer
    threads: int = 1
    python: str = ""
    label: str = ""
    version: str = ""

    @property
    def title(self) -> str:
        """What tables and pictures call it."""
        name = f"{self.peer.title} {self.label}" if self.label else self.peer.title
        return name if self.threads == 1 else f"{name}, {self.threads} threads"


def present_and_absent(names: Iterable[str], threads: int) -> tuple[list[Entrant], dict[str, str]]:
    """Who takes part on one thread, and fastnn once more on `threads`; and who does not, with the reason."""
    chosen = [PEERS[name] for name in names]
    absent = {
        p.title: f"{p.distribution} is not installed (pip install {p.distribution})" for p in chosen if not p.installed
    }
    present = [Entrant(p) for p in chosen if p.installed]
    if threads > 1 and any(e.peer.name == "fastnn" for e in present):
        present.append(Entrant(PEERS["fastnn"], threads))
    return present, absent


def compare(
    workloads: Sequence[Workload],
    entrants: Sequence[Entrant],
    absent: dict[str, str],
    *,
    seconds: float = 1.0,
    core: int | None = None,
    before: Callable[[Workload, Entrant], None] = lambda workload, entrant: None,
    after: Callable[[dict[str, Any]], None] = lambda result: None,
) -> dict[str, Any]:
    """Measure every workload with every entrant.

    Parameters
    ----------
    workloads : sequence of Workload
        What is computed.
    entrants : sequence of Entrant
        Who computes it.
    absent : dict
        Who does not, and why; written down.
    seconds : float
        Of timed runs, for each peer on each workload.
    core : int, optional
        The first of the cores to run on; the first that this process may use by default.
    before, after : callable
        Told what is measured next, and each result.

    Returns
    -------
    dict
        All that was measured and where, as JSON can hold it.
    """
    record: dict[str, Any] = {
        "format": FORMAT,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine.describe(),
        "warnings": machine.warnings(),
        "environment": {str(n): machine.environment_of(n) for n in sorted({entrant.threads for entrant in entrants})},
        "absent": absent,
        "elsewhere": {entrant.title: entrant.version for entrant in entrants if entrant.python},
        "seconds": seconds,
        "peak": json_from([sys.executable, "-m", "fastnn.kernels.peak"], 1),
        "workloads": [
            {
                **asdict(w),
                "sizes": list(w.sizes),
                "title": w.title,
                "flops": w.flops,
                "steps": w.steps,
                "tolerance": w.tolerance,
            }
            for w in workloads
        ],
        "results": [],
    }
    with tempfile.TemporaryDirectory(prefix="fastnn-bench-") as folder:
        for workload in workloads:
            reference = Path(folder) / "reference.npy"
            np.save(reference, _reference(workload))
            for entrant in entrants:
                before(workload, entrant)
                result = _measure(workload, entrant, str(reference), seconds, core, folder)
                record["results"].append(result)
                after(result)
    return record


def _reference(workload: Workload) -> NDArray:
    """The float64 parameters after the checked steps, by the reference twin, one network after another."""
    X, y = workload.data()
    start = workload.start().astype(np.float64)
    spec = replace(workload.network().spec, dtype="float64")
    rows = workload.batch_size * min(workload.checked_steps, workload.batches)
    for params in start.reshape(workload.members, -1):
        net = MLP.from_params(spec, params)
        net.fit(
            X[:rows].astype(np.float64),
            y[:rows] if y.ndim == 1 else y[:rows].astype(np.float64),
            loss=workload.loss,
            optimizer=workload.rule,
            epochs=max(1, workload.checked_steps // workload.batches),
            batch_size=workload.batch_size,
            shuffle=False,
            progress=False,
            backend="numpy",
        )
        params[:] = net.params
    return start


def _measure(
    workload: Workload, entrant: Entrant, reference: str, seconds: float, core: int | None, folder: str
) -> dict[str, Any]:
    """One peer on one workload."""
    request = {
        "peer": entrant.peer.name,
        "imports": entrant.peer.imports,
        "workload": asdict(workload),
        "threads": entrant.threads,
        "cores": _cores(core, entrant.threads),
        "reference": reference,
        "seconds": seconds,
    }
    result = {
        "workload": workload.name, "peer": entrant.peer.name, "threads": entrant.threads, "title": entrant.title,
        "elsewhere": bool(entrant.python),
    }  # fmt: skip
    if entrant == Entrant(PEERS["fastnn"]) and workload.name not in CURVES:
        with tempfile.TemporaryDirectory(dir=folder) as empty:
            cold = _child({**request, "reference": None}, entrant, {"NUMBA_CACHE_DIR": empty})
        result["compiled_first"] = cold.get("first")
    return result | _child(request, entrant, {})


def _cores(core: int | None, threads: int) -> list[int] | None:
    """So many cores from `core` on, of those this process may use."""
    available = machine.available_cores()
    if available is None:
        return None
    first = available.index(core) if core is not None else 0
    return (available[first:] + available[:first])[:threads]


def _child(request: dict[str, Any], entrant: Entrant, extra: dict[str, str]) -> dict[str, Any]:
    script = str(Path(__file__).with_name("measure.py"))
    return json_from([entrant.python or sys.executable, "-P", script, json.dumps(request)], entrant.threads, extra)


def json_from(command: list[str], threads: int, extra: dict[str, str] | None = None) -> dict[str, Any]:
    """The JSON that a process ends its output with, or why there is none.

    Parameters
    ----------
    command : list of str
        An interpreter and its arguments. This one finds this fastnn wherever it lies; another has its own, for the
        folder that holds this one may hold this environment's libraries, too.
    threads : int
        To which every library is held.
    extra : dict, optional
        More of its environment.
    """
    environment = {**os.environ, **machine.environment_of(threads), **(extra or {})}
    if command[0] == sys.executable:
        path = [str(Path(__file__).parents[3]), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment["PYTHONPATH"] = os.pathsep.join(path)
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="backslashreplace", env=environment, timeout=TIMEOUT
        )
    except subprocess.TimeoutExpired:
        return {"excuse": f"it did not finish within {TIMEOUT:.0f} seconds"}
    if done.returncode != 0:
        return {"excuse": (done.stderr.strip().splitlines() or [f"it ended with exit code {done.returncode}"])[-1]}
    try:
        return json.loads(done.stdout.strip().splitlines()[-1])
    except (IndexError, ValueError):  # an interpreter that is none, say
        return {"excuse": f"it ended its output by {done.stdout[-60:]!r}"}
