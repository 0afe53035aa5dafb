"""Ctrl-C while a network trains: it is noted, so that the loop ends where it can be resumed."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType

from fastnn.kernels.jit.signals import take_over

SECONDS_A_CALL = 0.1  # between two calls of a kernel Ctrl-C is answered and progress shown
UNBOUNDED = 2**62  # steps of a call that goes on after Ctrl-C


class Interrupted(Exception):
    """Raised in the middle of a step, which is discarded, after Ctrl-C."""


class Interrupts:
    """A context in which Ctrl-C sets `pending` instead of raising; a second Ctrl-C raises `KeyboardInterrupt`.

    Within another such context what the outer one has noted is pending, too. It changes nothing in a program that
    handles Ctrl-C itself, or in threads other than the main one, which Ctrl-C does not reach.

    Parameters
    ----------
    halt : threading.Event, optional
        An event that counts as Ctrl-C, for threads that help the main one.
    """

    def __init__(self, halt: threading.Event | None = None) -> None:
        self._came = self._installed = False
        self._halt = halt
        self._outer: Interrupts | None = None

    @property
    def pending(self) -> bool:
        """Whether the run is to end."""
        if self._halt is not None and self._halt.is_set():
            return True
        return self._came or (self._outer is not None and self._outer.pending)

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            handler = signal.getsignal(signal.SIGINT)
            outer = getattr(handler, "__self__", None)
            if isinstance(outer, Interrupts):
                self._outer = outer
            elif handler is signal.default_int_handler:
                take_over(self._note)
                self._installed = True
        return self

    def answer(self) -> None:
        """Raise `Interrupted` if Ctrl-C was pressed."""
        if self.pending:
            raise Interrupted

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self._came:
            signal.default_int_handler(number, frame)
        self._came = True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._installed:
            signal.signal(signal.SIGINT, signal.default_int_handler)


class NoInterrupts(Interrupts):
    """The same interface for a run that Ctrl-C does not interrupt."""

    def __enter__(self) -> Interrupts:
        return self
