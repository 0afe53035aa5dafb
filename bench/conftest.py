"""One core, one thread, and a word of warning where the environment would spoil the comparison."""

import os
import sys

import pytest

# Before anything imports NumPy: its BLAS looks at these once.
CORES = os.sched_getaffinity(0) if hasattr(os, "sched_setaffinity") else set()
CORE = min(CORES, default=None)
if CORE is not None:
    os.sched_setaffinity(0, {CORE})
LATE = "numpy" in sys.modules
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[name] = "1"

#: Presets that have NumPy's BLAS run kernels of another machine than this one, so that any comparison flatters fastnn.
CRIPPLING = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "MKL_DEBUG_CPU_TYPE")

_MINIMA = pytest.StashKey[dict]()


def pytest_collection_modifyitems(config, items):
    """Under ``--benchmark-disable`` what times by itself is left out: it takes minutes, for nothing."""
    if config.getoption("benchmark_disable"):
        for item in items:
            if "benchmark" not in item.fixturenames:
                item.add_marker(pytest.mark.skip(reason="times by itself"))


@pytest.fixture(scope="session")
def minima(request):
    """Where benchmarks leave their times: ``{workload: {path: seconds}}``."""
    return request.config.stash.setdefault(_MINIMA, {})


@pytest.fixture
def every_core():
    """All cores, for what shares its work among threads; how many there are."""
    if not CORES:
        yield os.cpu_count()
        return
    os.sched_setaffinity(0, CORES)
    yield len(CORES)
    os.sched_setaffinity(0, {CORE})


def complaints():
    """What is wrong with the environment, a sentence each."""
    found = [f"{name}={os.environ[name]} is set and slows NumPy down" for name in CRIPPLING if name in os.environ]
    if CORE is None:
        found.append("this system cannot pin a process to a core")
    if LATE:
        found.append("NumPy was imported before its threads could be limited to one")
    return found


def pytest_report_header(config):
    """Which machine is measured, as far as NumPy knows it."""
    import numba
    import numpy

    lines = [f"numpy {numpy.__version__} ({blas()}), numba {numba.__version__}, pinned to core {CORE}"]
    return lines + [f"WARNING: {complaint}" for complaint in complaints()]


def blas():
    """NumPy's BLAS, and which of its kernels it chose."""
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        return "threadpoolctl, which knows the BLAS, is not installed"
    pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
    return ", ".join(f"{pool['internal_api']} for {pool.get('architecture', '?')}" for pool in pools) or "unknown BLAS"


def pytest_terminal_summary(terminalreporter, config):
    """The ratios in one table, in Markdown."""
    minima = config.stash.get(_MINIMA, {})
    columns = {"by hand": "NumPy by hand", "numpy": "readable twin", "plain": "plain loops", "numba": "tuned kernels"}
    measured = {workload: times for workload, times in minima.items() if {"by hand", "numba"} <= set(times)}
    if not measured:
        return
    terminalreporter.section("microseconds of one iteration, minimum")
    terminalreporter.write_line(
        f"| network | {' | '.join(columns.values())} | by hand / tuned |\n|---|{'---:|' * (len(columns) + 1)}"
    )
    for workload, times in measured.items():
        cells = [f"{times[name] * 1e6:.4g}" if name in times else "" for name in columns]
        terminalreporter.write_line(f"| {workload} | {' | '.join(cells)} | {times['by hand'] / times['numba']:.3g} |")
    for complaint in complaints():
        terminalreporter.write_line(f"WARNING: {complaint}")
