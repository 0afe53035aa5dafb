"""What the times of one call inside a loop share."""

from time import perf_counter

CALLS = 2_000


def per_call():
    """A clock of which `CALLS` ticks are a second: the time of a loop of so many calls, read as that of one."""
    return perf_counter() / CALLS
