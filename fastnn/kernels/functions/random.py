"""Counter-based random numbers: SplitMix64 (Steele, Lea and Flood, 2014), read at any place of its sequence."""

from __future__ import annotations

import numpy as np

from fastnn.kernels.jit.compiling import inlined

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MULTIPLIER_1 = np.uint64(0xBF58476D1CE4E5B9)
_MULTIPLIER_2 = np.uint64(0x94D049BB133111EB)
_27, _30, _31, _32, _1 = np.uint64(27), np.uint64(30), np.uint64(31), np.uint64(32), np.uint64(1)


@inlined
def mix(x):
    """SplitMix64's finaliser: a bijection of 64 bits."""
    x = (x ^ (x >> _30)) * _MULTIPLIER_1
    x = (x ^ (x >> _27)) * _MULTIPLIER_2
    return x ^ (x >> _31)


@inlined
def subkey(key, counter):
    """Key of one of the streams that a stream branches into."""
    return mix(key + _GOLDEN * (np.uint64(counter) + _1))


@inlined
def member_key(seed, member):
    """What the keys of all epochs of a member branch from, each by `subkey`."""
    return subkey(mix(np.uint64(seed) + _GOLDEN), member)


@inlined
def key(seed, member, epoch):
    """Key of the stream of numbers that member `member` draws in epoch `epoch`."""
    return subkey(member_key(seed, member), epoch)


@inlined
def bits(key, i):
    """The i-th number of a stream: 32 random bits."""
    return mix(key + _GOLDEN * (np.uint64(i) + _1)) >> _32


@inlined
def permute(seed, member, epoch, order, n):
    """Fill `order` with the permutation of ``range(n)`` of this stream (Fisher and Yates)."""
    k = key(seed, member, epoch)
    for i in range(n):
        order[i] = i
    for i in range(n - 1, 0, -1):
        j = np.intp((bits(k, i) * np.uint64(i + 1)) >> _32)
        row = order[i]
        order[i] = order[j]
        order[j] = row
