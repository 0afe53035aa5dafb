"""Ctrl-C while Numba works: answered when the work at hand is done.

Numba records what it compiles, and what modules declare to it, in many places. An exception between two of them leaves
a kernel half made, or declared twice, for the rest of the process. This file imports no Numba, so that the import of
Numba can be protected, too.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


def take_over(handler: Callable[[int, FrameType | None], None]) -> None:
    """Let Ctrl-C call a handler; raises RuntimeError in any but the main interpreter."""
    try:
        signal.signal(signal.SIGINT, handler)
    except ValueError as error:
        raise RuntimeError(
            "fastnn must run in the process's main interpreter, as Numba does not work in others; this is another one"
        ) from error


class InterruptsHeld:
    """A context in which Ctrl-C is only noted; the handler that was there before is called at the end.

    Ctrl-C does not reach threads other than the main one.
    """

    def __init__(self) -> None:
        self._frame: FrameType | None = None
        self._came = self._installed = False

    def __enter__(self) -> None:
        if threading.current_thread() is threading.main_thread():
            self._handler = signal.getsignal(signal.SIGINT)
            if callable(self._handler):
                take_over(self._note)
                self._installed = True

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._came, self._frame = True, frame

    def __exit__(self, *error: object) -> None:
        if self._installed:
            signal.signal(signal.SIGINT, self._handler)
            if self._came and callable(self._handler):
                self._handler(signal.SIGINT, self._frame)


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
