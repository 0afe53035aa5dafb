"""Words for what came instead of what was expected, for ranges, and for how many there are."""

from __future__ import annotations

import numpy as np

NUMBERS = (int, float, np.integer, np.floating)


def is_number(value: object) -> bool:
    """Whether it is a real number; truth values and spans of time, which are integers to NumPy, are none."""
    return isinstance(value, NUMBERS) and not isinstance(value, (bool, np.timedelta64))


def describe(value: object) -> str:
    """A description of an argument, short enough for a sentence."""
    if isinstance(value, np.ndarray):
        kind = "a masked array" if hasattr(value, "mask") else "an array"
        return f"{kind} of shape {value.shape} and dtype {value.dtype}"
    try:
        text = repr(value)
    except Exception:  # whatever it raises, as of an integer of thousands of digits
        return f"a value that has no repr ({type(value).__name__})"
    if len(text) > 50 or "\n" in text:
        text = f"{text.splitlines()[0][:40]}..."
    return text if isinstance(value, (*NUMBERS, str)) or value is None else f"{text} ({type(value).__name__})"


def counted(number: int, noun: str, plural: str = "") -> str:
    """A number of things, with the noun in the plural unless there is one."""
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"


def bounds(low: float, high: float) -> str:
    """Words for a range of which one end may be infinite."""
    if low == -np.inf:
        return f"at most {high:g}"
    return f"at least {low:g}" if high == np.inf else f"from {low:g} to {high:g}"
