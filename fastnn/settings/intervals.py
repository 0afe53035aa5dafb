"""The numbers that a setting may take, as its dataclass says beside its default."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from functools import cached_property
from math import inf, nextafter
from sys import float_info
from typing import Any


@dataclass(frozen=True)
class Interval:
    """The numbers a setting may take, and what an error calls them; an infinite end never belongs to it."""

    low: float
    high: float = inf
    open_low: bool = False

    @cached_property
    def least(self) -> float:
        """The least number that belongs to it; above 0 it is a normal one, as kernels take smaller ones for 0."""
        if self.open_low and self.low == 0:
            return float_info.min
        return nextafter(self.low, inf) if self.open_low else self.low

    def __contains__(self, number: float) -> bool:
        return self.least <= number < self.high

    def __str__(self) -> str:
        if self.high < inf:
            return f"a number in {'(' if self.open_low else '['}{self.low:g}, {self.high:g})"
        return f"a finite number {'above' if self.open_low else 'of at least'} {self.low:g}"


AT_LEAST_0 = Interval(0)
ABOVE_0 = Interval(0, open_low=True)
AT_LEAST_1 = Interval(1)
AT_LEAST_2 = Interval(2)
UNIT = Interval(0, 1)
INSIDE_UNIT = Interval(0, 1, open_low=True)


def within(interval: Interval, default: float) -> Any:
    """A field of a dataclass of settings: its default, and the numbers it may take."""
    return field(default=default, metadata={"interval": interval})


def one_of(*names: str, default: str | None = None) -> Any:
    """Such a field whose value is one of some names; or None, where the field's type has that."""
    return field(default=default, metadata={"names": names})


def intervals_of(settings: type) -> dict[str, Interval]:
    """The interval of each of a dataclass's settings that is a number."""
    numbers = [row for row in fields(settings) if type(row.default) in (int, float)]
    return {row.name: row.metadata["interval"] for row in numbers}
