"""Progress bars, shown only on a terminal and only for long waits (extra ``cli``)."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from math import nan
from time import perf_counter
from types import TracebackType
from typing import Any, ClassVar, Self

from fastnn.checks.extras import require

PATIENCE = 2.0  # seconds after which a wait is long


def is_terminal(stream: Any) -> bool:
    """Whether someone sees what is written to a stream; it is None in a program without a console."""
    return stream is not None and not getattr(stream, "closed", False) and stream.isatty()


class ProgressBar:
    """Progress of a run, on standard error. Each kind of bar says what it counts and which numbers it shows as well.

    Parameters
    ----------
    show : bool or None
        True shows the bar at once, False never, and None after two seconds if standard error is a terminal and rich is
        installed.
    total : int
        How many there are of what is counted.

    Attributes
    ----------
    counts : str
        What is counted.
    unknown : dict of str to float
        The numbers that are shown as well, with their values before the first is known.
    """

    counts: ClassVar[str]
    unknown: ClassVar[dict[str, float]]

    def __init__(self, show: bool | None, total: int):
        self._show = show
        self._total = total
        self._start = perf_counter()
        self._bar: Any = None

    def __enter__(self) -> Self:
        if self._show:
            self._open()
        return self

    def _columns(self, rich: Any) -> list[Any]:
        """What stands to the right of the bar; `rich` is the module of its columns."""
        raise NotImplementedError(f"{type(self).__name__} does not say which numbers it shows")

    def _move(self, done: int, **numbers: float) -> None:
        """Show how many are done and these numbers, if anything is to be shown by now."""
        if self._show is None and perf_counter() - self._start > PATIENCE:
            self._show = is_terminal(sys.stderr)
            if self._show:
                try:
                    self._open()
                except ImportError:
                    self._show = False
        if self._bar is not None:
            self._bar.update(0, completed=done, **numbers)

    def _open(self) -> None:
        console_of = require("rich.console", "cli").Console
        rich = require("rich.progress", "cli")
        console = console_of(stderr=True)
        if console.is_jupyter and find_spec("ipywidgets") is None:  # without it rich warns instead, ten times a second
            console = console_of(stderr=True, force_jupyter=False, force_terminal=True)
        counted = rich.TextColumn(self.counts), rich.MofNCompleteColumn(), rich.BarColumn()
        self._bar = rich.Progress(*counted, *self._columns(rich), console=console, transient=True)
        self._bar.add_task("", total=self._total, **self.unknown)
        self._bar.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()


class EpochsBar(ProgressBar):
    """Progress of one network: epoch, loss, validation loss, learning rate and time left.

    Parameters
    ----------
    show, total
        As in `ProgressBar`.
    validates : bool
        Whether there is a validation loss to show.
    """

    counts = "epoch"
    unknown: ClassVar[dict[str, float]] = {"loss": nan, "validation": nan, "rate": nan}

    def __init__(self, show: bool | None, total: int, *, validates: bool):
        super().__init__(show, total)
        self._validates = validates

    def update(self, done: int, loss: float, validation: float, rate: float) -> None:
        """Show the number of epochs done, and the losses and learning rate of the last one."""
        self._move(done, loss=loss, validation=validation, rate=rate)

    def _columns(self, rich: Any) -> list[Any]:
        validation = [rich.TextColumn("validation {task.fields[validation]:.4g}")] if self._validates else []
        return [
            rich.TextColumn("loss {task.fields[loss]:.4g}"),
            *validation,
            rich.TextColumn("rate {task.fields[rate]:.3g}"),
            rich.TimeElapsedColumn(),
            rich.TextColumn("left"),
            rich.TimeRemainingColumn(),
        ]


class MembersBar(ProgressBar):
    """Progress of many networks: the number of finished members, how many finish in a second, and the time left."""

    counts = "member"
    unknown: ClassVar[dict[str, float]] = {"a_second": 0.0}
    _found: int | None = None  # members that an earlier run has finished

    def report(self, done: int) -> None:
        """Show the number of finished members, the first time those that need no training."""
        if self._found is None:
            self._found = done
        self._move(done, a_second=(done - self._found) / max(1e-9, perf_counter() - self._start))

    def _columns(self, rich: Any) -> list[Any]:
        return [
            rich.TextColumn("{task.fields[a_second]:.4g} a second"),
            rich.TimeElapsedColumn(),
            rich.TimeRemainingColumn(),
        ]
