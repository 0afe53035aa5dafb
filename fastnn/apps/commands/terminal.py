"""What the subcommands say to the person who runs them."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from fastnn.checks.extras import require
from fastnn.training.progress import is_terminal

_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")


def plain(text: str) -> str:
    """The text, its control characters but line ends spelled out: a name in a file must not command the terminal."""
    return _CONTROL.sub(lambda match: repr(match[0])[1:-1], text)


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
        """Print a line or several, with escapes for the characters that standard output cannot encode."""
        if not self.quiet:
            encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
            print(plain(text).encode(encoding, "backslashreplace").decode(encoding))

    def table(self, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Print aligned columns: the first to the left, the others, which are numbers, to the right."""
        lines = [[plain(cell).replace("\n", "\\n") for cell in row] for row in (header, *rows)]
        columns = list(zip(*lines, strict=True))
        widths = [max(map(len, column)) for column in columns]
        for first, *others in zip(*columns, strict=True):
            cells = [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
            self.say(("  " + "   ".join([first.ljust(widths[0]), *cells])).rstrip())

    @contextmanager
    def working(self, what: str) -> Iterator[Callable[[str], None]]:
        """Show that something is under way, with the extra ``cli`` and on a terminal; elsewhere stay silent.

        What it yields changes the words.
        """
        console = None if self.quiet or not is_terminal(sys.stderr) else _rich_console()
        if console is None:
            yield lambda words: None
            return
        literal = require("rich.text", extra="cli").Text  # a name in brackets is no markup
        with console.status(literal(plain(what))) as status:
            yield lambda words: status.update(literal(plain(words)))


def _rich_console() -> Any:
    try:
        return require("rich.console", extra="cli").Console(stderr=True)
    except ImportError:
        return None
