"""``fastnn cache``."""

from __future__ import annotations

import argparse

from fastnn.apps.commands.terminal import Terminal

SUMMARY = "show where compiled kernels are kept and how many there are, or remove them"
EXAMPLES = """\
examples:
  fastnn cache
  fastnn cache --prune
  fastnn cache --clear

NUMBA_CACHE_DIR names another place. Kernels that are removed are compiled again when they are next used.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``fastnn cache``."""
    remove = parser.add_mutually_exclusive_group()
    remove.add_argument("--prune", action="store_true", help="remove the kernels of other versions and installations")
    remove.add_argument("--clear", action="store_true", help="remove all kernels")


def run(args: argparse.Namespace, terminal: Terminal) -> None:
    """Remove what is to be removed, and print a line for each version that is left."""
    from fastnn.kernels.jit import cache_folder

    root = cache_folder.root()
    if root is None:
        terminal.say("Compiled kernels are not kept: there is no home folder, and NUMBA_CACHE_DIR is not set.")
        return
    before = cache_folder.bytes_in(*cache_folder.versions())
    if args.clear:
        cache_folder.clear()
    elif args.prune:
        cache_folder.prune(others=True)
    versions = cache_folder.versions()
    terminal.say(f"Compiled kernels: {root}")
    if args.clear or args.prune:
        terminal.say(f"{_megabytes(before - cache_folder.bytes_in(*versions))} MB removed.")
    if not versions:
        terminal.say("There are none.")
        return
    rows = [
        [
            f"{version.parent.name}/{version.name}",
            f"{len(cache_folder.entries(version)):,}",
            _megabytes(cache_folder.bytes_in(version)),
            "yes" if version == cache_folder.current() else "",
        ]
        for version in versions
    ]
    terminal.say()
    terminal.table(["installation/version", "kernels", "MB", "this one"], rows)


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f}"
