"""Room for Numba to unroll deep networks: it recurses once for each layer, some forty of Python's calls deep."""

from __future__ import annotations

import sys
from threading import Lock

#: Python's limit while a kernel is compiled: enough for some ninety layers, and little enough for a stack of 2 MiB.
LIMIT = 4000

_lock = Lock()
_inside = 0
_before = LIMIT


class RoomToRecurse:
    """A context in which Python may recurse as deeply as `LIMIT` says; the limit is that of all threads."""

    def __enter__(self) -> None:
        global _inside, _before
        with _lock:
            if _inside == 0:
                _before = sys.getrecursionlimit()
                sys.setrecursionlimit(max(_before, LIMIT))
            _inside += 1

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        global _inside
        with _lock:
            _inside -= 1
            if _inside == 0:
                sys.setrecursionlimit(_before)
        if kind is RecursionError:
            raise RecursionError(
                "a network must have fewer layers for code of its own, as Numba unrolls them; got one too deep, which "
                "fit, predict and fit_many(specialize=False) take"
            ) from None
