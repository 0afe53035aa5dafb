"""The files that the commands read and write: what cannot be written is refused before the work."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from fastnn.models.writing import write_whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def check_output_file(path: str | Path | None) -> None:
    """Refuse a file that cannot be written or replaced, or whose folder is missing or takes no files; None is no file.

    Raises
    ------
    ValueError
        If it is such a file, or has no name.
    """
    if path is None:
        return
    if path == "":
        raise ValueError("a file to write must have a name; got ''")
    folder = Path(path).absolute().parent
    if not folder.is_dir():
        raise ValueError(f"the folder of {path} does not exist")
    if not os.access(folder, os.W_OK):
        raise ValueError(f"the folder of {path} cannot be written to")
    if Path(path).is_dir():
        raise ValueError(f"{path} is a folder")
    if not os.path.exists(path):
        return
    if not os.path.isfile(path):
        raise ValueError(f"{path} is a device or a pipe, not a file")
    if not os.access(path, os.W_OK):
        raise ValueError(f"{path} cannot be written to")


def check_distinct(**paths: str | None) -> None:
    """Refuse one file under two names of the command line: the second to be written would overwrite the first.

    Raises
    ------
    ValueError
        If two of the paths that are given are of one file.
    """
    taken: dict[str | tuple[int, int], str] = {}
    for name, path in paths.items():
        if path is not None and (other := taken.setdefault(_identity(path), name)) != name:
            both = f"{_as_typed(other)} and {_as_typed(name)}"
            raise ValueError(f"{both} must name two files; got {paths[other]} for both")


def _identity(path: str) -> str | tuple[int, int]:
    """What all names of a file share; where a file system takes capitals for small letters there are many."""
    try:
        status = os.stat(path)
    except OSError:  # there is none yet
        return os.path.realpath(path)
    return status.st_dev, status.st_ino


def _as_typed(name: str) -> str:
    """An option, or an argument by its place, which is written in capitals."""
    return name if name.isupper() else f"--{name}"


@contextmanager
def known_as(option: str) -> Iterator[None]:
    """A context in which a refused ``path``, as the package's functions call it, is told by the command's own name."""
    try:
        yield
    except ValueError as error:
        name, _, rest = str(error).partition(" ")
        if name != "path":
            raise
        raise ValueError(f"{option} {rest}") from None


def save_figure(figure: Figure, path: str | Path) -> None:
    """Draw a figure into a file, which appears whole or not at all."""
    drawn = BytesIO()
    figure.savefig(drawn, format=Path(path).suffix[1:] or "png", dpi=110)
    write_whole(Path(path), drawn.getvalue())
