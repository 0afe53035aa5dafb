"""``fastnn warmup``."""

from __future__ import annotations

import argparse
from time import perf_counter

from fastnn.apps.commands.terminal import Terminal

SUMMARY = "compile the common kernels ahead of their first use"
EXAMPLES = """\
examples:
  fastnn warmup
  fastnn warmup --quiet
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """``fastnn warmup`` has no options of its own."""


def run(args: argparse.Namespace, terminal: Terminal) -> None:
    """Compile, and tell what is being compiled."""
    from fastnn.models.warmup import warmup

    begin = perf_counter()
    pieces = 0
    with terminal.working("compiling") as update:

        def report(name: str, number: int, total: int) -> None:
            nonlocal pieces
            pieces = total
            update(f"compiling {name} ({number} of {total})")

        warmup(report)
    terminal.say(f"{pieces} groups of kernels ready in {perf_counter() - begin:.1f} s.")
