"""Compiled kernels on disk, as Numba's dispatchers look for them there.

Numba's own cache does not notice an edit in another source file, nor a changed setting, so that a stale kernel could
run; two processes that fill it at once can mix up their entries; and it fails where it cannot write. Here every entry
is a file named by its key and sealed with a digest of the kernels' code and of its own bytes: one whose seal does not
match, as in a damaged file, is compiled anew and replaced. Where nothing can be read or written, nothing is kept.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import uuid
import warnings
from collections.abc import Callable
from functools import cache
from glob import escape
from typing import Any

from numba.core.caching import NullCache
from numba.core.compiler import CompileResult
from numba.core.runtime import rtsys
from numba.core.serialize import dumps

from fastnn.kernels.jit import cache_folder
from fastnn.kernels.jit.digest import digest

_SEAL_BYTES = 32

#: Whether this process has given up writing.
_gave_up = False


def _seal(data: bytes) -> bytes:
    """What precedes an entry on disk: only these kernels write it, and only before these very bytes."""
    return hashlib.sha256(digest().encode() + data).digest()


class KernelCache(NullCache):
    """What a dispatcher asks for a compiled kernel before it compiles one, and hands it to afterwards."""

    def __init__(self, function: Callable):
        self._name = f"{function.__module__.rpartition('.')[2]}.{function.__qualname__.rpartition('.')[2]}"
        self._function = f"{function.__module__}.{function.__qualname__}", function.__code__.co_code

    @property
    def cache_path(self) -> str:
        """The folder of the entries, for Numba's ``stats``."""
        return str(cache_folder.current())

    def _file(self, signature: Any, codegen: Any) -> str:
        """The name of an entry's file."""
        key = self._function, signature, codegen.magic_tuple(), digest()
        return f"{self._name}-{hashlib.sha256(repr(key).encode()).hexdigest()[:24]}{cache_folder.ENTRY}"

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The kernel compiled for a signature, or None."""
        folder = cache_folder.current()
        if folder is None:
            return None
        try:
            entry = (folder / self._file(sig, target_context.codegen())).read_bytes()
        except OSError:
            return None
        seal, data = entry[:_SEAL_BYTES], entry[_SEAL_BYTES:]
        return _unpacked(data, target_context) if seal == _seal(data) else None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep a compiled kernel, if there is a place for it."""
        if _gave_up or data.library.has_dynamic_globals:
            return
        name, entry = self._file(sig, data.codegen), _packed(data)
        _write(name, _seal(entry) + entry)

    def flush(self) -> None:
        """Forget the function's entries."""
        folder = cache_folder.current()
        for path in folder.glob(f"{escape(self._name)}-*{cache_folder.ENTRY}") if folder is not None else ():
            path.unlink(missing_ok=True)


def _packed(compiled: CompileResult) -> bytes:
    """A compiled kernel as bytes."""
    return dumps(compiled._reduce())


def _unpacked(data: bytes, target_context: Any) -> CompileResult:
    """A compiled kernel from its bytes; to run it, Numba's runtime is enough."""
    rtsys.initialize(target_context)
    return CompileResult._rebuild(target_context, *pickle.loads(data))


def check(kernel: Any) -> None:
    """Check that a compiled function of one whole number computes the same after it has been turned into bytes.

    Raises
    ------
    Exception
        Of whichever kind, if Numba's internals have changed.
    """
    (compiled,) = kernel.overloads.values()
    again = _unpacked(_packed(compiled), kernel.targetctx)
    if again.entry_point(3) != kernel(3):
        raise ArithmeticError("what was kept computes something else")


def _write(name: str, data: bytes) -> None:
    """Write an entry, which appears whole or not at all; warn once if that cannot be done."""
    global _gave_up
    folder = cache_folder.current()
    if folder is None:
        _gave_up = True
        _warn("there is no home folder")
        return
    draft = folder / f"{name}.{uuid.uuid4().hex[:16]}{cache_folder.DRAFT}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _prune_once()
        try:
            draft.write_bytes(data)
            os.replace(draft, folder / name)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        if os.name == "nt" and isinstance(error, PermissionError) and (folder / name).exists():
            return  # another process reads the entry that is there
        _gave_up = True
        _warn(f"{folder} cannot be written to ({error.strerror})")


#: Once in a process that writes entries, those of earlier versions go.
_prune_once = cache(cache_folder.prune)


def _warn(reason: str) -> None:
    warnings.warn(
        f"compiled kernels cannot be kept for the next process: {reason}; "
        "set NUMBA_CACHE_DIR to a folder that can be written to",
        RuntimeWarning,
        stacklevel=1,
    )
