"""Where the commands write: better refused before the work than after it."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from fastnn.models.files import write_whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def check_folder(path: str | Path | None) -> None:
    """Refuse a file to be written whose folder does not exist; None, for no file, is right.

    Raises
    ------
    ValueError
        If there is no such folder.
    """
    if path is not None and not Path(path).absolute().parent.is_dir():
        raise ValueError(f"the folder of {path} does not exist")


def save_figure(figure: Figure, path: str | Path) -> None:
    """Draw a figure into a file, which appears whole or not at all."""
    drawn = BytesIO()
    figure.savefig(drawn, format=Path(path).suffix[1:] or "png", dpi=110)
    write_whole(Path(path), drawn.getvalue())
