"""Keep the linear algebra of NumPy and SciPy to the number of threads that a run was given.

Left alone, their BLAS takes every core, waits for cores that others use, and rounds differently for each number of
threads.
"""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager
from functools import lru_cache
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray


@lru_cache
def _controller(has_scipy: bool) -> Any:
    """The controller of the loaded BLAS libraries, of which SciPy has its own."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def blas_threads(threads: int = 1) -> AbstractContextManager[Any]:
    """A context in which BLAS has this number of threads.

    The limit is the process's: if several Python threads ask for one, that of the first holds.
    """
    return _controller("scipy.linalg" in sys.modules).limit(limits=threads, user_api="blas")


def norm(vector: NDArray[np.float64]) -> float:
    """The 2-norm of a vector, without BLAS, so that its bits depend on no number of threads."""
    return sqrt((vector * vector).sum())
