"""The options of ``njit`` for each kind of kernel and piece: this folder's compilers and cache, or Numba's own.

The compilers and the cache of this folder rely on Numba's internals as they are in the versions that were tested.
Where another version has changed them, Numba's own compiler takes their place, which is slower; where the cache fails,
kernels are not kept.
"""

from __future__ import annotations

import warnings
from typing import Any

import numba

#: Versions of Numba whose internals were tested: from the first on, and before the second.
TESTED = (0, 61), (0, 69)

#: What a piece sets for itself. Otherwise Numba would take these from whichever function calls the piece first, perhaps
#: a user's, and keep them for all others, and on disk for other processes.
ITSELF: dict[str, Any] = {"error_model": "numpy", "fastmath": False, "forceinline": False}


def _is_tested() -> bool:
    """Whether Numba is of one of these versions; with any other, kernels are tried out first."""
    return TESTED[0] <= tuple(map(int, numba.__version__.split(".")[:2])) < TESTED[1]


def _own_options() -> dict[str, dict[str, Any]]:
    """Options that name the compilers of this folder.

    Raises
    ------
    Exception
        Of whichever kind, if Numba's internals have changed.
    """
    from fastnn.kernels.jit import compilers

    alone = ITSELF | {"no_cfunc_wrapper": True}  # no entry for C
    callee = alone | {"no_cpython_wrapper": True}  # nor one for Python
    options = {
        "kernel": alone | {"nogil": True, "pipeline_class": compilers.KernelCompiler},
        "entry": alone | {"nogil": True, "pipeline_class": compilers.EntryCompiler},
        "callee": callee | {"pipeline_class": compilers.KernelCompiler},
        "inlined_callee": callee | {"pipeline_class": compilers.KernelCompiler, "forceinline": True},
        "outlined": callee | {"pipeline_class": compilers.PieceCompiler},
        "inlined": callee | {"pipeline_class": compilers.PieceCompiler, "forceinline": True},
        "embedded": callee | {"pipeline_class": compilers.EmbeddedCompiler, "forceinline": True},
    }
    if not _is_tested():
        _trial(options)
    return options


def _plain_options() -> dict[str, dict[str, Any]]:
    """Numba's public options."""
    called = dict.fromkeys(("kernel", "entry"), ITSELF | {"nogil": True})
    return called | dict.fromkeys(("callee", "inlined_callee", "outlined", "inlined", "embedded"), ITSELF)


def _own_cache(options: dict[str, dict[str, Any]]) -> Any:
    """The class of this folder's cache; raises what it may, as `_own_options` does."""
    from fastnn.kernels.jit import cache

    if not _is_tested():
        cache.check(_trial(options))
    return cache.KernelCache


def _trial(options: dict[str, dict[str, Any]]) -> Any:
    """Compile a kernel of one piece, by the compiler that relies most on Numba's internals, and check its result."""
    piece = numba.njit(**options["embedded"])(_double)
    kernel = numba.njit(**options["kernel"])(lambda x: piece(x) + 1)
    if kernel(3) != 7:
        raise ArithmeticError("twice 3 and 1 is 7")
    return kernel


def _double(x: int) -> int:
    return 2 * x


def _chosen() -> tuple[dict[str, dict[str, Any]], bool, Any]:
    """Options, whether they are this folder's, and the class of the cache, None without one; warns if Numba changed."""
    options, own, cache, changes = _plain_options(), True, None, []
    try:
        options = _own_options()
    except Exception as error:  # whatever a changed Numba may raise
        own = False
        changes.append(f"{type(error).__name__}: {error}; they take longer to compile")
    try:
        cache = _own_cache(options)
    except Exception as error:
        changes.append(f"{type(error).__name__}: {error}; they are not kept for the next process")
    if changes:
        warnings.warn(
            f"fastnn does not know Numba {numba.__version__}'s internals, so that kernels are compiled by its public "
            f"interface alone, with the same results ({'; '.join(changes)})",
            RuntimeWarning,
            stacklevel=1,
        )
    return options, own, cache


_OPTIONS, OWN, CACHE = _chosen()

#: Options for a kernel, which Python calls, and which other kernels may call by its address.
KERNEL = _OPTIONS["kernel"]

#: Options for a kernel that raises errors.
ENTRY = _OPTIONS["entry"]

#: Options for a function that kernels call by its address.
CALLEE = _OPTIONS["callee"]

#: Options for a function that is also compiled into users' functions, which call it by its name.
INLINED_CALLEE = _OPTIONS["inlined_callee"]

#: Options for a piece that stays a function of its own.
OUTLINED = _OPTIONS["outlined"]

#: Options for a piece that is compiled into whatever calls it, an overload for instance.
INLINED = _OPTIONS["inlined"]

#: Options of an ``@overload`` that is chosen by literals, and compiled into whatever calls it.
BY_LITERALS = {"prefer_literal": True, "jit_options": INLINED}

#: Options for a piece that is compiled into users' functions.
EMBEDDED = _OPTIONS["embedded"]
