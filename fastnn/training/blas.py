"""Keep the linear algebra of NumPy and SciPy to the number of threads that a run was given.

Left alone, their BLAS takes every core, waits for cores that others use, and rounds differently for each number of
threads.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from math import sqrt
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray


@lru_cache
def _controller(has_scipy: bool) -> Any:
    """The controller of the loaded BLAS libraries, of which SciPy has its own."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


#: The limits that hold now, and what guards them.
_limits: list[Any] = []
_lock = Lock()


@contextmanager
def blas_threads(threads: int = 1) -> Iterator[None]:
    """A context in which BLAS has this number of threads.

    The limit is the process's: if several Python threads ask for one, that of the first holds. They are taken back in
    reverse order, whichever thread ends first, so that what was before them comes back with the last.
    """
    with _lock:
        limit = _controller("scipy.linalg" in sys.modules).limit(limits=threads, user_api="blas")
        _limits.append(limit.__enter__())
    try:
        yield
    finally:
        with _lock:
            _limits.pop().__exit__(None, None, None)


def norm(vector: NDArray[np.float64]) -> float:
    """The 2-norm of a vector, without BLAS, so that its bits depend on no number of threads."""
    return sqrt((vector * vector).sum())
