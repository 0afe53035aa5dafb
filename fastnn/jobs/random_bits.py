"""What 32 random bits mean in dropout and in noise, for both twins."""

from __future__ import annotations

RANGE = 2.0**32  # how many values they can take


def threshold(rate: float) -> int:
    """The number that they are below with probability `rate`."""
    return min(round(rate * RANGE), 2**32 - 1)
