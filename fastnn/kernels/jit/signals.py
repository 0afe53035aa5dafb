"""Ctrl-C, time-outs and the like, answered when the work at hand is done: Numba's above all.

Numba records what it compiles, and what modules declare to it, in many places. An exception between two of them leaves
a kernel half made, or declared twice, for the rest of the process.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from contextlib import ExitStack
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
