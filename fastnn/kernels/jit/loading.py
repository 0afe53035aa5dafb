"""What Numba loads before it compiles a kernel: its own modules once, SciPy only for linear algebra."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from typing import Any


@cache
def put_off_scipy() -> None:
    """Have Numba load SciPy when it compiles linear algebra, rather than before it compiles anything."""
    from numba.np import linalg

    try:
        if find_spec("scipy") is None:
            return
    except ImportError:  # from whatever keeps it from being imported
        return
    load = linalg.ensure_blas
    linalg.ensure_blas = lambda: None  # all that this module asks is whether SciPy is there
    try:
        import numba.np.arraymath  # noqa: F401
    finally:
        linalg.ensure_blas = load


@contextmanager
def all_loaded(typing_context: Any, target_context: Any) -> Iterator[None]:
    """Have these contexts of Numba's import all of its modules now, and meanwhile look for new declarations alone.

    By themselves they go through the imports again for each piece, and for each operation that is new to them.
    """
    if "load_additional_registries" in vars(target_context):  # by what compiles the caller of this piece
        yield
        return

    def look_for_new() -> None:
        """Take in what an intrinsic compiles to, which Numba adds to one of these registries, not always the same."""
        for registry in tuple(target_context._registries):
            target_context.install_registry(registry)

    typing_context.load_additional_registries()
    target_context.load_additional_registries()
    typing_context.load_additional_registries = lambda: None
    target_context.load_additional_registries = look_for_new
    try:
        yield
    finally:
        del typing_context.load_additional_registries, target_context.load_additional_registries
