"""NumPy's and SciPy's linear algebra on so many threads as a run was given.

Their BLAS would take every core, wait for those that others use, and round otherwise for each number of threads.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from threading import Lock
from typing import Any

_lock = Lock()
_runs = 0  # that are under way, on any thread of Python: the limit holds for the process
_limits: list[Any] = []


@lru_cache
def _controller(has_scipy: bool) -> Any:
    """What sets the threads of the BLAS libraries that are loaded: SciPy brings one of its own."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


@contextmanager
def blas_threads(threads: int = 1) -> Iterator[None]:
    """A context in which BLAS has so many threads; of several that overlap the first decides, the last one ends it."""
    global _runs
    with _lock:
        if _runs == 0:
            _limits.append(_controller("scipy.linalg" in sys.modules).limit(limits=threads, user_api="blas"))
        _runs += 1
    try:
        yield
    finally:
        with _lock:
            _runs -= 1
            if _runs == 0:
                _limits.pop().restore_original_limits()
