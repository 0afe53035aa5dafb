"""A fingerprint of the code that kernels are compiled from: what was compiled from other code is not theirs."""

from __future__ import annotations

import hashlib
import importlib.resources
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import llvmlite
import numba
from numba import config

#: Rooms of the package that compiled code is made from: what is compiled, and what it takes numbers from.
ROOMS = ("settings", "jobs", "kernels", "embed")


@cache
def code_digest() -> str:
    """A fingerprint of the code of the kernels, and of Numba, LLVM and Python."""
    versions = numba.__version__, llvmlite.__version__, sys.implementation.cache_tag
    hasher = hashlib.sha256(repr(versions).encode())
    for code in _codes():
        hasher.update(code)
    return hasher.hexdigest()[:16]


@cache
def digest() -> str:
    """The same, and of the settings that Numba compiles by."""
    vectorized = config.LOOP_VECTORIZE, config.SLP_VECTORIZE
    settings = config.BOUNDSCHECK, config.OPT, config.DEBUGINFO_DEFAULT, vectorized
    return hashlib.sha256(repr((code_digest(), settings)).encode()).hexdigest()[:16]


def sources() -> list[Path]:
    """The source files that kernels are compiled from; none where the package comes without them."""
    package = Path(__file__).parents[2]
    return [path for room in ROOMS for path in sorted((package / room).rglob("*.py"))]


def _codes() -> Iterator[bytes]:
    """The sources; in their place bytecode, or what the package is an archive in."""
    files = [path.read_bytes() for path in sources()] or list(_packed_codes())
    if files:
        yield from files
    else:  # frozen
        stat = Path(sys.executable).stat()
        yield repr((stat.st_size, stat.st_mtime_ns)).encode()


def _packed_codes() -> Iterator[bytes]:
    """The files of a package that has no sources in folders: modules of bytecode, or in a zip."""
    package = importlib.resources.files("fastnn")
    if package.is_dir():
        for room in ROOMS:
            yield from _walk(package / room)


def _walk(folder: Any) -> Iterator[bytes]:
    if not folder.is_dir():
        return
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir():
            yield from _walk(entry)
        elif entry.name.endswith((".py", ".pyc")):
            yield entry.read_bytes()
