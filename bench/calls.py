"""What one of many costs: clocks for loops, the number of calls in most of these, and a column of the table."""

from time import perf_counter

CALLS = 2_000


def clock_per(count):
    """A clock that runs `count` times slower: the time of a loop of that many rounds reads as that of one."""
    return lambda: perf_counter() / count


per_call = clock_per(CALLS)


def tell_each(benchmark, unit, count):
    """Add to the table the nanoseconds that each of `count` things took."""
    if benchmark.enabled:
        benchmark.extra_info[f"ns a {unit}"] = float(f"{benchmark.stats.stats.min * 1e9 / count:.4g}")
