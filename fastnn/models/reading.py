"""Read files from anywhere: what they claim is checked before anything is allocated or believed.

Only plain arrays of numbers and one short text are read, never objects; memory stays below twice the file's size.
"""

from __future__ import annotations

import errno
import os
import stat
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import IO, Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from fastnn.checks import describe
from fastnn.checks.extras import require
from fastnn.jobs.aligned import aligned_empty

#: Largest number of bytes in an archive's directory, in a network's header, and in the header of a table's model.
LONGEST_DIRECTORY, LONGEST_HEADER, LONGEST_TABLE = 2**17, 2**18, 2**22

#: Bytes that are read at once.
CHUNK = 2**16

#: What is done with a `.safetensors` file that is not fastnn's.
STATE_HINT = "`fastnn convert` with --activations reads a state_dict"

Made = TypeVar("Made")

#: Kinds of numbers: signed and unsigned integers, floats; and texts.
_KINDS = "iufU"


def path_of(path: Any, argument: str = "path") -> Path:
    """The path of a file that a user names; a leading ``~`` is the home folder.

    Raises
    ------
    TypeError
        If it is not a path.
    ValueError
        If no file can have this name: it is empty, has a null character, or one that the system's names cannot have.
    """
    try:
        name = os.path.expanduser(os.fsdecode(path))
        if name == "":
            raise ValueError(f"{argument} must be the name of a file; got {path!r}")
        if b"\0" not in os.fsencode(name):
            return Path(name)
    except TypeError as error:
        raise TypeError(f"{argument} must be a str or a path; got {describe(path)}") from error
    except UnicodeError:
        pass
    raise ValueError(f"{argument} must have only characters that a file's name can have; got {path!a}")


def require_file(path: Path) -> int:
    """The size of a file, in bytes.

    Raises
    ------
    OSError
        If there is no such file.
    ValueError
        If it is something else, such as a device, which might never end.
    """
    status = os.stat(path)
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(status.st_mode):
        raise ValueError(f"path must be a file; got {str(path)!r}, a device or a pipe")
    return status.st_size


@contextmanager
def refusing(path: Path, what: str) -> Iterator[None]:
    """A context in which any error about what a file holds, of whatever type, becomes a `ValueError` with one sentence.

    The system's, that the file cannot be read, stays an `OSError`.
    """
    try:
        yield
    except ImportError:
        raise
    except KeyError as error:
        raise ValueError(f"{what}; got {str(path)!r}: it has no {error!s:.100}") from error
    except Exception as error:
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):  # as for a place before the file
            raise
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ValueError(f"{what}; got {str(path)!r}: {reason}") from error


# ---------------------------------------------------------------- .npz
class Claim(NamedTuple):
    """What a file claims about an array."""

    shape: tuple[int, ...]
    dtype: np.dtype

    def __str__(self) -> str:
        return f"an array of shape {self.shape} and dtype {self.dtype}"


class _Sipped:
    """A file that is read in small amounts, as a directory may claim any length."""

    def __init__(self, file: IO[bytes]):
        self._file, self.seek, self.tell, self.seekable = file, file.seek, file.tell, file.seekable

    def read(self, count: int = -1) -> bytes:
        most = LONGEST_DIRECTORY
        if count > most or len(data := self._file.read(most + 1 if count < 0 else count)) > most:
            raise ValueError("its directory is too long")
        return data


class Archive:
    """The arrays of an uncompressed ``.npz`` file, as NumPy's ``savez`` writes it.

    Parameters
    ----------
    file : binary file
        The file, open for reading.

    Attributes
    ----------
    claims : dict of str to Claim
        What the file claims about each array, for which it is long enough.

    Raises
    ------
    ValueError, zipfile.BadZipFile and others
        If it is not such a file.
    """

    def __init__(self, file: IO[bytes]):
        self._size = os.fstat(file.fileno()).st_size
        self._zip = zipfile.ZipFile(_Sipped(file))
        self.claims: dict[str, Claim] = {}
        for info in self._zip.infolist():
            name = info.filename.removesuffix(".npy")
            if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size > self._size:
                raise ValueError(f"its {name} is compressed")
            if info.file_size > self._size or name in self.claims:
                raise ValueError(f"its {name} is too long or occurs twice")
            with self._zip.open(info) as member:
                self.claims[name] = self._claim(name, member, info.file_size)

    @staticmethod
    def _claim(name: str, member: IO[bytes], size: int) -> Claim:
        """Read an array's header."""
        if np.lib.format.read_magic(member) != (1, 0):
            raise ValueError(f"its {name} is of a later format")
        shape, by_columns, dtype = np.lib.format.read_array_header_1_0(member)
        if dtype.kind not in _KINDS or dtype.hasobject or (by_columns and len(shape) > 1):
            raise ValueError(f"its {name} is not an array of numbers in C order, but of {dtype}")
        if min(shape, default=1) < 0 or member.tell() + prod(shape) * dtype.itemsize != size:
            raise ValueError(f"its {name} claims shape {shape}, but has {size} bytes")
        return Claim(shape, dtype)

    def read(self, name: str) -> NDArray[Any]:
        """Read an array, aligned to a cache line."""
        claim = self.claims[name]
        array = aligned_empty(prod(claim.shape), claim.dtype)
        start, place = 0, memoryview(array.view(np.uint8))  # type: ignore[arg-type] # which is a buffer
        with self._open(name) as member:
            while start < len(place):
                data = member.read(min(CHUNK, len(place) - start))
                if not data:
                    raise EOFError(f"its {name} ends too early")
                place[start : start + len(data)] = data
                start += len(data)
            member.read(1)  # compares the checksum
        return array.reshape(claim.shape)

    def _open(self, name: str) -> IO[bytes]:
        """Open an array at its numbers."""
        info = self._zip.getinfo(f"{name}.npy")
        member = self._zip.open(info)
        self._claim(name, member, info.file_size)
        return member

    def text(self, name: str) -> str:
        """Read a short text."""
        claim = self.claims[name]
        if claim.dtype.kind != "U" or claim.shape or claim.dtype.itemsize > 4 * LONGEST_HEADER:
            raise ValueError(f"its {name} is {claim}")
        return str(self.read(name))


# ---------------------------------------------------------------- .safetensors
def read_steady(path: Path, read: Callable[[Path], Made]) -> Made:
    """What `read` makes of a file, which it opens more than once; anew if another took the file's place meanwhile."""
    while True:
        before = _identity(path)
        try:
            made = read(path)
        except Exception:
            if _identity(path) == before:
                raise
        else:
            if _identity(path) == before:
                return made


def _identity(path: Path) -> tuple[int, ...]:
    status = os.stat(path)
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


@contextmanager
def open_safetensors(path: Path) -> Iterator[Any]:
    """Open a file with the library ``safetensors``; it has one array, or up to three with a domain and members."""
    safetensors = require("safetensors", "io")
    size = require_file(path)
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > min(size - 8, LONGEST_TABLE):
            raise ValueError(f"its header claims {length} bytes")
        header = file.read(length)
    if header.count(b'"data_offsets"') not in (1, 2, 3) or header.replace(rb"\"", b"").count(b'"') > 64:
        raise ValueError(f"it must hold one to three arrays, and little else; {STATE_HINT}")
    with safetensors.safe_open(path, framework="numpy") as file:
        yield file
