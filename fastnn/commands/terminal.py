"""What the subcommands say to the person who runs them."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager


class Terminal:
    """Standard output for results, and on standard error, if that is a terminal, signs of work in progress.

    Parameters
    ----------
    quiet : bool
        Say nothing at all.
    """

    def __init__(self, quiet: bool = False) -> None:
        self.quiet = quiet

    def say(self, text: str = "") -> None:
        """Print a line or several."""
        if not self.quiet:
            print(text)

    def table(self, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Print aligned columns: the first to the left, the others, which are numbers, to the right."""
        columns = list(zip(header, *rows, strict=True))
        widths = [max(map(len, column)) for column in columns]
        for first, *others in zip(*columns, strict=True):
            cells = [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
            self.say("  " + "   ".join([first.ljust(widths[0]), *cells]))

    @contextmanager
    def working(self, what: str) -> Iterator[None]:
        """Show that something is under way, with the extra ``cli`` and on a terminal; elsewhere stay silent."""
        if self.quiet or not sys.stderr.isatty():
            yield
            return
        try:
            from rich.console import Console
        except ImportError:
            yield
            return
        with Console(stderr=True).status(what):
            yield
