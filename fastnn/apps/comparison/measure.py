"""One peer on one workload, in a process of its own: ``python -P measure.py REQUEST``.

The request and the answer are JSON; the answer is the last line of standard output. The file is run by its path, and
imports nothing but Python's own before the peer's library, whose import is timed, too.
"""

from __future__ import annotations

import importlib
import json
import os
import statistics
import sys
from time import perf_counter
from typing import Any

LEAST_RUNS, MOST_RUNS = 5, 2000


def measure(request: dict[str, Any]) -> dict[str, Any]:
    """Check a peer, and time it.

    Parameters
    ----------
    request : dict
        ``peer``, and the modules it ``imports``; ``workload`` (the fields of a `Workload`); ``threads``; ``cores``,
        those to run on, or None; ``reference``, a file with the parameters to agree with, or None to leave after the
        first run; ``seconds`` of timed runs.

    Returns
    -------
    dict
        ``import``, ``build`` and ``first``: seconds to import the library, to build what is trained, and of the first
        run, which compiles; ``error``: the relative error of the update; ``minimum``, ``median``: seconds a step;
        ``runs``: timed runs; ``blas``: the BLAS in use; ``peak``: operations a second that a core could do just then.
        ``excuse`` instead of the times, if the peer is left out.
    """
    if request["cores"] is not None:
        os.sched_setaffinity(0, request["cores"])
    clock = perf_counter()
    for name in request["imports"]:
        importlib.import_module(name)
    answer: dict[str, Any] = {"import": perf_counter() - clock}

    import numpy as np

    from fastnn.apps.comparison import machine
    from fastnn.apps.comparison.peers import PEERS
    from fastnn.apps.comparison.workloads import NotComparable, Workload

    peer = PEERS[request["peer"]]
    workload = Workload(**{**request["workload"], "sizes": tuple(request["workload"]["sizes"])})
    importlib.import_module(f"fastnn.apps.comparison.peers.{peer.name}")
    clock = perf_counter()
    try:
        training = peer.training(workload, request["threads"])
    except NotComparable as reason:
        return {"excuse": str(reason)}
    training.reset()
    answer["build"] = perf_counter() - clock
    clock = perf_counter()
    training.run(workload.checked_steps)
    answer["first"] = perf_counter() - clock
    if request["reference"] is None:
        return answer

    reference, start = np.load(request["reference"]), workload.start().astype(float)
    answer["error"] = float(np.linalg.norm(training.params() - reference) / np.linalg.norm(reference - start))
    if not np.isfinite(answer["error"]):
        answer["excuse"] = "its parameters are not finite after some steps"
        return answer
    if not answer["error"] <= workload.tolerance:
        answer["excuse"] = f"its update differs from the reference's by {answer['error']:.1e}, more than rounding"
        return answer

    times = _times(training, workload.steps, request["seconds"])
    count = workload.steps * workload.members
    answer["minimum"], answer["median"] = min(times) / count, statistics.median(times) / count
    answer["runs"], answer["blas"] = len(times), machine.blas()
    from fastnn.kernels.peak import peak

    answer["peak"] = peak(workload.dtype, runs=20, repeats=100_000)  # now, for a core's clock is not always the same
    return answer


def _times(training: Any, steps: int, seconds: float) -> list[float]:
    """How long each run of these steps takes, for about this many seconds, after one run to warm up."""
    training.reset()
    training.run(steps)
    times: list[float] = []
    end = perf_counter() + seconds
    while len(times) < LEAST_RUNS or (perf_counter() < end and len(times) < MOST_RUNS):
        training.reset()
        clock = perf_counter()
        training.run(steps)
        times.append(perf_counter() - clock)
    return times


if __name__ == "__main__":
    print("\n" + json.dumps(measure(json.loads(sys.argv[1]))))
