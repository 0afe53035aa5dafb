"""How kernels are compiled and kept on disk.

Numba's own cache does not see an edit in another source file, so that a stale kernel could run, and two
processes that fill it at once can mix up their entries. Here every entry is a file named by its key and
sealed with a digest of all kernel sources and of its own bytes: one whose seal is another, because a source was
edited or the file is damaged, is compiled anew and replaced.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import uuid
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import llvmlite
import numba
from numba import njit, types
from numba.core import config
from numba.core.caching import FunctionCache
from numba.core.runtime import rtsys
from numba.core.serialize import dumps

from fastnn.kernels.jit.pipeline import CALLEE, INLINED, KERNEL, OUTLINED


def sources() -> list[Path]:
    """The files that compiled code is made from: what is compiled, and what it takes numbers from."""
    package = Path(__file__).parents[2]
    folders = [package / name for name in ("settings", "jobs", "kernels", "embed")]
    return [path for folder in folders for path in sorted(folder.rglob("*.py"))]


@cache
def digest() -> str:
    """A fingerprint of all that compiled kernels are made from: their sources, Numba, and its settings."""
    hasher = hashlib.sha256(repr((numba.__version__, llvmlite.__version__, config.BOUNDSCHECK, config.OPT)).encode())
    for source in sources():
        hasher.update(source.read_bytes())
    return hasher.hexdigest()[:16]


_SEAL_BYTES = 32


def _seal(data: bytes) -> bytes:
    """What stands before an entry on disk: only these kernels write it, and only before these very bytes."""
    return hashlib.sha256(digest().encode() + data).digest()


class _SealedFiles:
    """One file an entry, named by its key; what Numba calls an index and its data file in one."""

    def __init__(self, folder: str, prefix: str):
        self._folder, self._prefix = Path(folder), prefix

    def _path(self, key: Any) -> Path:
        name = hashlib.sha256(repr(key).encode()).hexdigest()[:24]
        return self._folder / f"{self._prefix}.{name}.nbc"

    def load(self, key: Any) -> Any:
        try:
            entry = self._path(key).read_bytes()
        except OSError:
            return None
        seal, data = entry[:_SEAL_BYTES], entry[_SEAL_BYTES:]
        return pickle.loads(data) if seal == _seal(data) else None

    def save(self, key: Any, data: Any) -> None:
        path = self._path(key)
        draft = path.with_suffix(f".{uuid.uuid4().hex[:16]}.tmp")
        try:
            entry = dumps(data)
            draft.write_bytes(_seal(entry) + entry)
            os.replace(draft, path)
        finally:
            draft.unlink(missing_ok=True)

    def flush(self) -> None:
        for path in self._folder.glob(f"{self._prefix}.*.nbc"):
            path.unlink(missing_ok=True)


class _KernelCache(FunctionCache):
    """Numba's function cache over `_SealedFiles`."""

    def __init__(self, py_func: Callable):
        super().__init__(py_func)
        self._cache_file = _SealedFiles(self._cache_path, self._impl.filename_base)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """As Numba's, which first loads all it knows of types and functions; machine code needs the runtime alone."""
        rtsys.initialize(target_context)
        with self._guard_against_spurious_io_errors():
            return self._load_overload(sig, target_context)


def _piece(options: dict[str, Any]) -> Callable:
    """A decorator ``@piece`` or ``@piece(literals=("name", ...))`` for functions that kernels are made of.

    Numba compiles a function anew for each whole number written in a call of it. Here that is so only for the
    arguments named in `literals`.
    """

    def piece(function: Callable | None = None, *, literals: tuple[str, ...] = ()) -> Any:
        if function is None:
            return partial(piece, literals=literals)
        dispatcher = njit(**options)(function)
        names = function.__code__.co_varnames
        get_call_template = dispatcher.get_call_template

        def get_plain_call_template(args: Any, kws: Any) -> Any:
            plain = [arg if name in literals else types.unliteral(arg) for name, arg in zip(names, args, strict=False)]
            return get_call_template(tuple(plain), kws)

        dispatcher.get_call_template = get_plain_call_template
        return dispatcher

    return piece


#: A piece of a kernel: compiled into whatever calls it.
inlined = _piece(INLINED)

#: A piece of a kernel that stays a function of its own.
outlined = _piece(OUTLINED)


def _cached(dispatcher: numba.core.dispatcher.Dispatcher) -> numba.core.dispatcher.Dispatcher:
    dispatcher._cache = _KernelCache(dispatcher.py_func)
    return dispatcher


def kernel(function: Callable) -> numba.core.dispatcher.Dispatcher:
    """Decorate an entry point: called from Python, runs without the GIL, cached on disk."""
    return _cached(njit(**KERNEL)(function))


def callee(function: Callable) -> numba.core.dispatcher.Dispatcher:
    """Decorate a function that kernels call by its address (`address_of`): cached on disk."""
    return _cached(njit(**CALLEE)(function))


@cache
def address_of(function: numba.core.dispatcher.Dispatcher, *argument_types: types.Type) -> int:
    """Address of a `callee` compiled for these argument types, for `fastnn.kernels.simd.calls`."""
    function.compile(argument_types)
    compiled = function.overloads[argument_types]
    address = compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name)
    if address == 0:  # a call of it would end the process
        raise LookupError(f"{function.py_func.__name__} is compiled without an entry for calls by its address")
    return address
