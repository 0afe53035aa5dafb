"""A progress bar, shown only on a terminal and only for long waits (extra ``cli``)."""

from __future__ import annotations

import sys
from math import nan
from time import perf_counter
from types import TracebackType
from typing import Any

from fastnn.checks.extras import require

PATIENCE = 2.0  # seconds after which a wait is long


def is_terminal(stream: Any) -> bool:
    """Whether someone sees what is written to a stream; it is None in a program without a console."""
    return stream is not None and not getattr(stream, "closed", False) and stream.isatty()


class ProgressBar:
    """Progress of a run, on standard error: epoch, loss, validation loss, learning rate and time left.

    Parameters
    ----------
    show : bool or None
        True shows the bar at once, False never, and None after two seconds if standard error is a terminal and rich is
        installed.
    total : int
        Number of epochs of the run.
    validates : bool
        Whether there is a validation loss to show.
    """

    def __init__(self, show: bool | None, total: int, *, validates: bool = False):
        self._show = show
        self._total = total
        self._validates = validates
        self._start = perf_counter()
        self._bar: Any = None

    def __enter__(self) -> ProgressBar:
        if self._show:
            self._open()
        return self

    def update(self, done: float, loss: float, validation: float = nan, rate: float = nan) -> None:
        """Show the number of epochs done, and the losses and learning rate of the last one."""
        if self._show is None and perf_counter() - self._start > PATIENCE:
            self._show = is_terminal(sys.stderr)
            if self._show:
                try:
                    self._open()
                except ImportError:
                    self._show = False
        if self._bar is not None:
            self._bar.update(0, completed=done, loss=loss, validation=validation, rate=rate)

    def _open(self) -> None:
        console = require("rich.console", "cli").Console(stderr=True)
        rich = require("rich.progress", "cli")
        validation = [rich.TextColumn("validation {task.fields[validation]:.4g}")] if self._validates else []
        self._bar = rich.Progress(
            rich.TextColumn("epoch"),
            rich.MofNCompleteColumn(),
            rich.BarColumn(),
            rich.TextColumn("loss {task.fields[loss]:.4g}"),
            *validation,
            rich.TextColumn("rate {task.fields[rate]:.3g}"),
            rich.TimeElapsedColumn(),
            rich.TextColumn("left"),
            rich.TimeRemainingColumn(),
            console=console,
            transient=True,
        )
        self._bar.add_task("", total=self._total, loss=nan, validation=nan, rate=nan)
        self._bar.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()


class MembersBar(ProgressBar):
    """Progress of many networks: the number of finished members, their rate, and the time left; see `ProgressBar`."""

    def __enter__(self) -> MembersBar:
        super().__enter__()
        return self

    def report(self, before: int, more: int = 0) -> None:
        """Show the number of finished members."""
        done = before + more
        self.update(done, done / max(1e-9, perf_counter() - self._start))

    def _open(self) -> None:
        console = require("rich.console", "cli").Console(stderr=True)
        rich = require("rich.progress", "cli")
        self._bar = rich.Progress(
            rich.TextColumn("member"),
            rich.MofNCompleteColumn(),
            rich.BarColumn(),
            rich.TextColumn("{task.fields[loss]:.4g} a second"),
            rich.TimeElapsedColumn(),
            rich.TimeRemainingColumn(),
            console=console,
            transient=True,
        )
        self._bar.add_task("", total=self._total, loss=0.0)
        self._bar.start()
