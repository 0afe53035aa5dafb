"""The first import of what declares itself to Numba: by one thread at a time, and whole.

This file imports no Numba, so that the import of Numba can be protected, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from fastnn.kernels.jit.signals import InterruptsHeld


@contextmanager
def importing_numba() -> Iterator[None]:
    """A context for the first import of what declares types and functions to Numba: its lock, without Ctrl-C.

    While a thread compiles, another must declare nothing; and modules that import each other are not to be begun by two
    threads at different ends.
    """
    with InterruptsHeld():
        import numba  # noqa: F401 - first, and whole: a thread that imports a part of it would not wait for another
        from numba.core.compiler_lock import global_compiler_lock
        from numba.core.registry import cpu_target

        _ = cpu_target.target_context  # made now, as whoever makes it takes the lock after one of its own
        with global_compiler_lock:
            yield
