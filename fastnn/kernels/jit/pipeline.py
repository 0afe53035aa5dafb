"""Numba's options for kernels and their pieces: compilers of this folder's, or Numba's own.

Those of this folder are made for what Numba was when they were tested. Where a later one is no longer so, Numba's own
take their place, and more time.
"""

from __future__ import annotations

import warnings
from typing import Any

import numba

#: Versions of Numba that the compilers were tested with: from the first on, and before the second.
TESTED = (0, 61), (0, 69)


def _are_tested() -> bool:
    """Whether Numba is of a version that the compilers were tested with."""
    return TESTED[0] <= tuple(map(int, numba.__version__.split(".")[:2])) < TESTED[1]


def _of_this_folder() -> dict[str, dict[str, Any]]:
    """Options that name the compilers of this folder.

    Raises
    ------
    Exception
        Of whichever kind, if Numba is not as they take it to be.
    """
    from fastnn.kernels.jit import compilers

    alone = {"error_model": "numpy", "no_cfunc_wrapper": True}  # no entry for C
    callee = alone | {"no_cpython_wrapper": True}  # nor one for Python
    options = {
        "kernel": alone | {"nogil": True, "pipeline_class": compilers.KernelCompiler},
        "callee": callee | {"pipeline_class": compilers.KernelCompiler},
        "outlined": callee | {"pipeline_class": compilers.PieceCompiler},
        "inlined": callee | {"pipeline_class": compilers.PieceCompiler, "forceinline": True},
        "embedded": callee | {"pipeline_class": compilers.EmbeddedCompiler, "forceinline": True},
    }
    if not _are_tested():
        _try(options)
    return options


def _try(options: dict[str, dict[str, Any]]) -> None:
    """Compile a kernel of a piece, and see that it computes."""
    piece = numba.njit(**options["inlined"])(_twice)
    kernel = numba.njit(**options["kernel"])(lambda x: piece(x) + 1)
    if kernel(3) != 7:
        raise ArithmeticError("2 x 3 + 1 is 7")


def _twice(x: int) -> int:
    return 2 * x


def _of_numba() -> dict[str, dict[str, Any]]:
    """Options that anybody may give to Numba."""
    plain: dict[str, Any] = {"error_model": "numpy"}
    return dict.fromkeys(("callee", "outlined", "inlined", "embedded"), plain) | {"kernel": plain | {"nogil": True}}


def _chosen() -> tuple[bool, dict[str, dict[str, Any]]]:
    try:
        return True, _of_this_folder()
    except Exception as error:  # whatever a changed Numba may raise
        warnings.warn(
            f"fastnn does not know the inside of Numba {numba.__version__} ({type(error).__name__}: {error}): "
            "kernels are compiled as Numba compiles other functions, which takes longer; results are the same",
            RuntimeWarning,
            stacklevel=1,
        )
        return False, _of_numba()


#: Whether the compilers of this folder are those that compile.
OWN, _OPTIONS = _chosen()

#: Options for a kernel, which Python calls, and some kernels by its address.
KERNEL = _OPTIONS["kernel"]

#: Options for what kernels call by its address.
CALLEE = _OPTIONS["callee"]

#: Options for a piece that stays a function of its own.
OUTLINED = _OPTIONS["outlined"]

#: Options for a piece that is compiled into whatever calls it, an overload for instance.
INLINED = _OPTIONS["inlined"]

#: Options for a piece that is compiled into functions of the user's.
EMBEDDED = _OPTIONS["embedded"]
