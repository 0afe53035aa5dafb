"""Clocks for benches that time a loop, and the number of calls in most of these loops."""

from time import perf_counter

CALLS = 2_000


def clock_per(count):
    """A clock that runs `count` times slower: the time of a loop of so many rounds reads as that of one."""
    return lambda: perf_counter() / count


per_call = clock_per(CALLS)
