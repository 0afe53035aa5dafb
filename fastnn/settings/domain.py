"""How a domain lies in memory: what a network keeps of the samples that it knows, see `fastnn.models.domain`."""

from __future__ import annotations

#: What a network does with a sample outside the box of those that it knows.
OUTSIDE = ("ignore", "clip", "raise", "nan")

#: Of a network with a domain: its covariance is a matrix of this width.
MOST_INPUTS = 4096

#: Numbers of a cache line, and a multiple of every register's.
LINE = 8


def stride_of(n_in: int) -> int:
    """Numbers from one row of the whitening matrix to the next."""
    return -(-n_in // LINE) * LINE


def size_of(n_in: int) -> int:
    """Numbers in all: two ends, a mean and a row of the matrix for each input."""
    return n_in * (3 + stride_of(n_in))
