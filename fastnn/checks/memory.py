"""Refuse, before it is allocated, whatever would take more memory than the machine has."""

from __future__ import annotations

import os
from functools import cache
from math import inf
from typing import Any

from fastnn.checks.values import check_integer

#: What a run keeps of each epoch: its loss and its learning rate.
BYTES_AN_EPOCH = 16


@cache
def physical_memory() -> float:
    """The machine's memory in bytes; infinity if it is not known."""
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, OSError, ValueError):
        return inf


def check_memory(argument: str, count: int, bytes_each: int) -> None:
    """Refuse `count` things of `bytes_each` that do not fit into the machine's memory.

    Raises
    ------
    ValueError
        If they do not; the message names the largest possible number, if it is not 0.
    """
    if count * bytes_each > (most := physical_memory()):
        if bytes_each > most:
            raise ValueError(
                f"{argument} must fit into the memory of {most / 2**30:.1f} GiB; one alone takes "
                f"{bytes_each / 2**30:,.1f} GiB"
            )
        raise ValueError(
            f"{argument} must be at most {int(most // bytes_each):,}, as more do not fit into the memory of "
            f"{most / 2**30:.1f} GiB; got {count:,}"
        )


def check_epochs(epochs: Any, bytes_an_epoch: int = BYTES_AN_EPOCH) -> int:
    """The number of epochs: an integer of at least 1, for each of which this many bytes fit into memory.

    Raises
    ------
    TypeError, ValueError
        If it is anything else.
    """
    epochs = check_integer("epochs", epochs, 1)
    check_memory("epochs", epochs, bytes_an_epoch)
    return epochs
