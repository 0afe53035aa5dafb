"""How a domain lies in memory: what a network keeps of the samples that it knows, see `fastnn.models.domain`."""

from __future__ import annotations

#: Of a network with a domain: its covariance is a matrix of this width.
MOST_INPUTS = 4096

_LINE = 8  # numbers of a cache line, and a multiple of every register's


def stride_of(n_in: int) -> int:
    """Numbers from one row of the whitening matrix to the next."""
    return -(-n_in // _LINE) * _LINE


def size_of(n_in: int) -> int:
    """Numbers in all: two ends, a mean and a row of the matrix for each input."""
    return n_in * (3 + stride_of(n_in))
