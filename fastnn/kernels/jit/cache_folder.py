"""Where compiled kernels are kept: in the user's folder for caches, or in ``NUMBA_CACHE_DIR``.

There each installation of the package has a folder, and in it each version of the kernels. An installation has one
version at a time: older ones are removed when new ones come.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

from numba import config

from fastnn.kernels.jit.digest import code_digest

#: Names of the folders of installations, of entries, and of entries that are still being written.
INSTALLATION, ENTRY, DRAFT = "fastnn-", ".nbc", ".tmp"

#: The folders of all versions: by these names alone, for in NUMBA_CACHE_DIR there may be folders of the user's.
VERSIONS = f"{INSTALLATION}{'[0-9a-f]' * 12}/{'[0-9a-f]' * 16}"

#: Seconds after which a draft is one that a killed process left.
DRAFT_SECONDS = 60


def root() -> Path | None:
    """The folder that holds all compiled kernels; None if the user has no place for such files."""
    if config.CACHE_DIR:
        return _fixed(config.CACHE_DIR)
    from platformdirs import user_cache_path

    place = user_cache_path("fastnn", appauthor=False)
    return place if place.is_absolute() else None  # without a home it begins with ~


@cache
def _fixed(folder: str) -> Path:
    """A folder that stays where it is when the process goes to another one."""
    return Path(folder).absolute()


@cache
def _installation() -> str:
    """Name of the folder of this installation: of the package's place and Python's.

    A frozen program is one file, which may unpack both to another place in each process.
    """
    places = (sys.executable,) if getattr(sys, "frozen", False) else (str(Path(__file__).parents[2]), sys.prefix)
    return INSTALLATION + hashlib.sha256(repr(places).encode()).hexdigest()[:12]


def current() -> Path | None:
    """The folder of the kernels of this version and installation, which may not exist yet."""
    top = root()
    return None if top is None else top / _installation() / code_digest()


def versions() -> list[Path]:
    """The folders of all versions and installations that there are, this one's among them."""
    top = root()
    return [] if top is None else sorted(path for path in top.glob(VERSIONS) if os.path.isdir(path))


def entries(version: Path) -> list[Path]:
    """The compiled kernels of a version."""
    return list(version.glob(f"*{ENTRY}"))


def bytes_in(*versions: Path) -> int:
    """Bytes of all compiled kernels of these versions, and of drafts of such."""
    total = 0
    for version in versions:
        for path in (*version.glob(f"*{ENTRY}"), *version.glob(f"*{DRAFT}")):
            with suppress(OSError):  # another process may have removed it
                total += path.stat().st_size
    return total


def prune(others: bool = False) -> None:
    """Remove the entries of other versions of this installation, and drafts that killed processes left.

    Parameters
    ----------
    others : bool
        Whether to remove those of other installations too.
    """
    mine = current()
    if mine is None:
        return
    for version in versions():
        if version != mine and (others or version.parent == mine.parent):
            shutil.rmtree(version, ignore_errors=True)
            _remove_if_empty(version.parent)
    for draft in _abandoned(mine):
        with suppress(OSError):
            draft.unlink()


def _abandoned(version: Path) -> Iterator[Path]:
    oldest = time.time() - DRAFT_SECONDS
    for draft in version.glob(f"*{DRAFT}"):
        with suppress(OSError):
            if draft.stat().st_mtime < oldest:
                yield draft


def clear() -> None:
    """Remove all compiled kernels, of any version and installation.

    Raises
    ------
    OSError
        If some cannot be removed.
    """
    for version in versions():
        shutil.rmtree(version)
        _remove_if_empty(version.parent)


def _remove_if_empty(installation: Path) -> None:
    with suppress(OSError):  # others may lie there
        installation.rmdir()
