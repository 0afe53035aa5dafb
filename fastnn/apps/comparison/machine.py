"""Where the measurements were made: processor, versions, threads, BLAS, and what would spoil the comparison."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_info

from fastnn import __version__

#: Environment variables that cripple a peer, and how.
CRIPPLING = {
    "OPENBLAS_CORETYPE": "NumPy's BLAS then runs the kernels of another processor",
    "OPENBLAS_L2_SIZE": "NumPy's BLAS then blocks its products for another cache",
    "MKL_DEBUG_CPU_TYPE": "MKL then runs the kernels of another processor",
    "MKL_CBWR": "MKL then runs slower kernels, whose results are reproducible",
    "ATEN_CPU_CAPABILITY": "PyTorch then runs kernels for older instruction sets",
    "DNNL_MAX_CPU_ISA": "oneDNN, inside PyTorch, then runs kernels for older instruction sets",
    "XLA_FLAGS": "JAX's compiler then works differently from its default",
    "NUMBA_DISABLE_JIT": "fastnn's kernels then cannot run",
    "NUMBA_OPT": "Numba then optimises less or more than by default",
    "NUMBA_CPU_NAME": "Numba then compiles for another processor",
    "NUMBA_CPU_FEATURES": "Numba then compiles for another processor",
    "NUMBA_BOUNDSCHECK": "Numba then checks every index",
    "JAX_DISABLE_JIT": "JAX then compiles nothing",
    "PYTHONDONTWRITEBYTECODE": "Python then compiles the sources at every start, so that imports take longer",
    "NPY_DISABLE_CPU_FEATURES": "NumPy then runs kernels for older instruction sets",
}
#: Which libraries' versions are recorded.
DISTRIBUTIONS = ("numpy", "numba", "llvmlite", "scikit-learn", "torch", "jax", "jaxlib")
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


def warnings() -> list[str]:
    """A sentence for each thing that would make the comparison unfair."""
    found = [f"{name}={os.environ[name]} is set: {effect}" for name, effect in CRIPPLING.items() if name in os.environ]
    cores = available_cores()
    if cores is None:
        found.append("this system cannot pin a process to a core, so the times vary more")
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    if load > 0.5 * (os.cpu_count() or 1):
        found.append(f"the machine is busy with something else (load {load:.1f}), so the times vary more")
    return found


def available_cores() -> list[int] | None:
    """The cores this process may use; None where a system does not tell."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None


def describe() -> dict[str, Any]:
    """The machine and the versions, as JSON can hold them."""
    versions = {"fastnn": __version__, "python": platform.python_version()}
    for name in DISTRIBUTIONS:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}, {platform.machine()}",
        "versions": versions,
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def blas() -> str:
    """The BLAS libraries that this process has loaded, each with the kernel it chose and its threads."""
    return ", ".join(
        f"{pool['internal_api']} {pool['version'] or ''} for {pool.get('architecture', 'an unknown processor')}"
        f" on {pool['num_threads']} thread{'s' if pool['num_threads'] > 1 else ''}"
        for pool in threadpool_info()
        if pool["user_api"] == "blas"
    )


def environment_of(threads: int) -> dict[str, str]:
    """The variables in the environment of a measured process, which hold every library to this many threads."""
    variables = {**dict.fromkeys(THREAD_VARIABLES, str(threads)), "JAX_PLATFORMS": "cpu"}
    if threads == 1:
        variables["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_cpu_multi_thread_eigen=false".strip()
    return variables
