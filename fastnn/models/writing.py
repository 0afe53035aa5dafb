"""Write files: each appears whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from fastnn.models.reading import require_file


def write_whole(path: Path, data: bytes) -> None:
    """Write a file, which appears whole or not at all; an existing one keeps its permissions and symbolic links.

    Raises
    ------
    OSError
        If it cannot be written.
    ValueError
        If the path exists and is not a file.
    """
    write_together({path: data})


def write_together(contents: Mapping[Path, bytes]) -> None:
    """Write files as `write_whole` does, none of them if the content of one cannot be written."""
    drafts: dict[Path, Path] = {}
    try:
        for path, data in contents.items():
            target = Path(os.path.realpath(path))
            drafts[target] = _draft_of(target)
            _write_draft(drafts[target], data, _mode_of(target, path), path)
        for target, draft in drafts.items():
            with errors_naming(target):
                os.replace(draft, target)
    finally:
        for draft in drafts.values():
            _remove(draft)


def write_first(path: Path, data: bytes) -> None:
    """Write a file, which appears whole, unless there is one: of several that do so at once, only the first does.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    draft = _draft_of(path)
    try:
        _write_draft(draft, data, None, path)
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        except OSError:  # a file system without links
            with errors_naming(path):
                os.replace(draft, path)
    finally:
        _remove(draft)


@contextmanager
def errors_naming(path: Path) -> Iterator[None]:
    """A context whose errors of the system name this path: of a full disk they would name none, or that of a draft."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error


def _draft_of(target: Path) -> Path:
    return target.with_name(f".fastnn-{secrets.token_hex(8)}")


def _remove(draft: Path) -> None:
    """Remove a draft, unless it has its place or never had one, as in what is no folder: the error says so already."""
    with suppress(OSError):
        draft.unlink()


def _mode_of(target: Path, path: Path) -> int | None:
    """The permissions of a file that will be replaced, which must be writable."""
    if not target.exists():
        return None
    require_file(path)
    if not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
    return stat.S_IMODE(target.stat().st_mode)


def _write_draft(draft: Path, data: bytes, mode: int | None, path: Path) -> None:
    """Write what `path` will be."""
    with errors_naming(path), open(draft, "xb") as file:
        if mode is not None:
            os.chmod(draft, mode)
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
