"""NumPy's and SciPy's linear algebra on so many threads as a run was given.

Their BLAS would take every core, wait for those that others use, and round otherwise for each number of threads.
"""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager
from functools import lru_cache
from typing import Any


@lru_cache
def _controller(has_scipy: bool) -> Any:
    """What sets the threads of the BLAS libraries that are loaded: SciPy brings one of its own."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def blas_threads(threads: int = 1) -> AbstractContextManager[Any]:
    """A context in which BLAS has so many threads.

    The limit holds for the process: while several threads of Python ask for one, that of the first holds.
    """
    return _controller("scipy.linalg" in sys.modules).limit(limits=threads, user_api="blas")
