"""Random numbers from a counter: the same key and counter give the same number, in any order, on any thread.

The generator is SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014), on
integers modulo 2**64. The rows of member m are visited, in epoch e, in the order
``permutation(key(seed, m, e), n)``.
"""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Word = TypeVar("Word", int, NDArray)  # 64 bits, or an array of uint64

GOLDEN = 0x9E3779B97F4A7C15  # 2**64 divided by the golden ratio
MASK = 2**64 - 1  # `& MASK` is modulo 2**64 for a Python int, and nothing new for a uint64

# Epochs that no run reaches, for draws before the first: which samples are held out, and a member's initial weights.
HELD_OUT_EPOCH, INITIAL_EPOCH = 2**63, 2**63 + 1


def mix(x: Word) -> Word:
    """Scramble 64 bits: every bit of the result depends on every bit of `x`.

    Parameters
    ----------
    x : int in [0, 2**64), or ndarray of uint64
        What to scramble.

    Returns
    -------
    int or ndarray of uint64
        A bijection of `x`.
    """
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 & MASK
    x = (x ^ (x >> 27)) * 0x94D049BB133111EB & MASK
    return x ^ (x >> 31)


def key(seed: Word, *counters: int | NDArray) -> Word:
    """The key of one stream of random numbers, one of as many as there are tuples of counters.

    Parameters
    ----------
    seed : int, or ndarray of uint64
        Seed of the run, in [0, 2**63).
    *counters : int, or with an array of seeds ndarray of uint64
        What tells this stream from the others, such as the member and the epoch; each at least 0.

    Returns
    -------
    int or ndarray of uint64
        In [0, 2**64).
    """
    k = mix(seed + GOLDEN & MASK)
    for counter in counters:
        distance: Any = GOLDEN * (counter + 1) & MASK
        k = mix(k + distance & MASK)
    return k


def bits(key: int, i: Word) -> Word:
    """The `i`-th 32 random bits of a stream.

    Parameters
    ----------
    key : int
        The stream's key, in [0, 2**64).
    i : int, or ndarray of uint64
        Place in the stream.

    Returns
    -------
    int or ndarray of uint64
        In [0, 2**32).
    """
    return mix(key + GOLDEN * (i + 1) & MASK) >> 32


def permutation(key: int, n: int) -> NDArray[np.intp]:
    """The numbers 0 .. n - 1 in random order, by Fisher and Yates' shuffle.

    Parameters
    ----------
    key : int
        The stream to draw from, in [0, 2**64).
    n : int
        How many, at most 2**32.

    Returns
    -------
    ndarray of intp, shape (n,)
        The permutation.
    """
    i = np.arange(n, dtype=np.uint64)
    others = (bits(key, i) * (i + 1)) >> 32  # others[i] is uniform in 0 .. i
    swaps = others.tolist()
    order = list(range(n))  # a list, because Python indexes one much faster than an array
    for last in range(n - 1, 0, -1):
        other = swaps[last]
        order[last], order[other] = order[other], order[last]
    return np.array(order, dtype=np.intp)
