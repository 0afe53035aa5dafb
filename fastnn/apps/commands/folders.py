"""Where the commands write: better refused before the work than after it."""

from __future__ import annotations

from pathlib import Path


def check_folder(path: str | Path | None) -> None:
    """Refuse a file to be written whose folder does not exist; None, for no file, is right.

    Raises
    ------
    ValueError
        If there is no such folder.
    """
    if path is not None and not Path(path).absolute().parent.is_dir():
        raise ValueError(f"there is no folder for {path}")
