"""What PyInstaller has to know of this package to freeze a program that uses it; it finds it by an entry point."""

from __future__ import annotations

from pathlib import Path


def hook_dirs() -> list[str]:
    """The folder of the hook."""
    return [str(Path(__file__).parent)]
