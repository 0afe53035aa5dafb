"""Ctrl-C, time-outs and the like while Numba works: answered when the work at hand is done.

Numba records what it compiles, and what modules declare to it, in many places. An exception between two of them leaves
a kernel half made, or declared twice, for the rest of the process. This file imports no Numba, so that the import of
Numba can be protected, too.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType

#: Signals whose handlers often raise: Ctrl-C, a time-out, and the request to end. Windows lacks some.
_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGALRM", "SIGTERM") if hasattr(signal, name)]


def take_over(handler: Callable[[int, FrameType | None], None], number: int = signal.SIGINT) -> None:
    """Let a signal call a handler; raises RuntimeError in any but the main interpreter."""
    try:
        signal.signal(number, handler)
    except ValueError as error:
        raise RuntimeError(
            "fastnn must run in the process's main interpreter, as Numba does not work in others; this is another one"
        ) from error


class InterruptsHeld:
    """A context in which these signals are only noted; the handlers that were there before are called at the end.

    Signals do not reach threads other than the main one.
    """

    def __init__(self) -> None:
        self._handlers: dict[int, Callable[[int, FrameType | None], object]] = {}
        self._came: dict[int, FrameType | None] = {}

    def __enter__(self) -> None:
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                handler = signal.getsignal(number)
                if callable(handler):
                    take_over(self._note, number)
                    self._handlers[number] = handler

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._came[number] = frame

    def __exit__(self, *error: object) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        with ExitStack() as answers:  # all of them, even if one raises
            for number, frame in self._came.items():
                answers.callback(self._handlers[number], number, frame)


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
