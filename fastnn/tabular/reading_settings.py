"""What a user may say about a file, so that it need not be guessed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Reading:
    """How to read a file; settings that are None are guessed.

    Attributes
    ----------
    separator, decimal, thousands : str, optional
        The characters between columns, before the fraction, and between groups of three digits; where a file has types,
        the last two are of its texts.
    encoding : str, optional
        The encoding of the text.
    comment : str, optional
        The character before a comment.
    missing : sequence of str, optional
        Texts that mark a missing value, besides an empty field and those in `numerals.MISSING`; where a file has
        numbers or dates, those that they are.
    header : bool
        Whether the first row holds the names of the columns.
    sheet : str, optional
        The sheet of an Excel file; the first by default.
    """

    separator: str | None = None
    decimal: str | None = None
    thousands: str | None = None
    encoding: str | None = None
    missing: Sequence[str] = ()
    comment: str | None = None
    header: bool = True
    sheet: str | None = None
