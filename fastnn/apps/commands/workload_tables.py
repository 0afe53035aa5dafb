"""What ``fastnn bench`` shows while it measures: a table for each workload."""

from __future__ import annotations

import sys
from typing import Any

from fastnn.apps.commands.terminal import Terminal
from fastnn.apps.comparison import results
from fastnn.apps.comparison.workloads import Workload
from fastnn.training.progress import is_terminal

#: Characters in a line that a growing table needs to show all of its numbers.
_WIDTH = 80


class WorkloadTables:
    """A table for each workload: growing on a terminal of some width with rich, else printed when it is complete."""

    def __init__(self, terminal: Terminal, workloads: list[Workload], entrants: int) -> None:
        self.terminal, self.workloads = terminal, {w.name: w for w in workloads}
        self.entrants, self.total, self.done = entrants, entrants * len(workloads), 0
        self.results: list[dict[str, Any]] = []
        self.live: Any = None

    def __enter__(self) -> WorkloadTables:
        if not self.terminal.quiet and is_terminal(sys.stdout):
            try:
                from rich.live import Live

                live = Live(refresh_per_second=4)
                if live.console.width >= _WIDTH:
                    self.live = live
                    live.start()
            except ImportError:
                pass
        return self

    def __exit__(self, *error: object) -> None:
        self._finish()

    def before(self, workload: Workload, entrant: Any) -> None:
        """Open the workload's table, and name what is measured next."""
        if self.live is not None:
            if not self.live.is_started:
                self.live.start()
            self.live.update(self._table(workload, f"{entrant.title} ... ({self.done + 1} of {self.total})"))

    def after(self, result: dict[str, Any]) -> None:
        """Add a result; print the table after its last."""
        self.done += 1
        self.results.append(result)
        workload = self.workloads[result["workload"]]
        if self.live is not None:
            self.live.update(self._table(workload, None))
        if len(self.results) < self.entrants:
            return
        if self.live is None:
            self.terminal.say(f"\n{workload.name}: {workload.title}\n")
            self.terminal.table(results.HEADER[:4], [row[:4] for row in self._rows(workload)])
        self._finish()
        shape = {"flops": workload.flops, "dtype": workload.dtype}
        for note in (*results.excuses(self.results), *results.doubts(shape, self.results, {})):
            self.terminal.say(f"  {note}.")
        self.results = []

    def _finish(self) -> None:
        if self.live is not None and self.live.is_started:
            self.live.stop()
            from rich.live import Live

            self.live = Live(refresh_per_second=4)

    def _rows(self, workload: Workload) -> list[list[str]]:
        return results.rows({"flops": workload.flops, "dtype": workload.dtype}, self.results, {})

    def _table(self, workload: Workload, now: str | None) -> Any:
        from rich.markup import escape
        from rich.table import Table

        caption = None if now is None else escape(now)
        table = Table(title=f"{workload.name}: {workload.title}", caption=caption, title_justify="left")
        for k, name in enumerate((*results.HEADER[:4], *results.HEADER[5:])):
            table.add_column(name, justify="right" if k else "left")
        for row in self._rows(workload):
            table.add_row(*map(escape, (*row[:4], *row[5:])))
        return table
