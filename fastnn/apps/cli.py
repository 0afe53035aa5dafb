"""The ``fastnn`` command: each subcommand is a module of `fastnn.apps.commands`."""

from __future__ import annotations

import _thread
import argparse
import importlib
import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from fastnn import __version__
from fastnn.apps.commands import COMMANDS
from fastnn.apps.commands.terminal import Terminal, plain

EXAMPLES = """\
examples:
  fastnn demo
  fastnn train data.csv --target price
  fastnn train --help
"""
EXIT_CODES = """\
exit codes:
  0    done
  1    failed; one line on standard error says why
  2    the command line was not understood
  130  interrupted"""


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    parser = argparse.ArgumentParser(
        prog="fastnn",
        description="Small feedforward networks, compiled by Numba.",
        epilog=f"{EXAMPLES}\n{EXIT_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"fastnn {__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name in COMMANDS:
        module = importlib.import_module(f"fastnn.apps.commands.{name}")
        subparser = subparsers.add_parser(
            name,
            help=module.SUMMARY,
            description=module.SUMMARY[0].upper() + module.SUMMARY[1:] + ".",
            epilog=f"{module.EXAMPLES}\n{EXIT_CODES}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        subparser.add_argument(
            "-q", "--quiet", action="store_true", help="print only errors, and results that go to standard output"
        )
        module.add_arguments(subparser)
        subparser.set_defaults(run=module.run, parser=subparser)
    return parser


@contextmanager
def _no_ctrl_c_lost() -> Iterator[None]:
    """Where Python ignores errors, in callbacks of its imports for instance, Ctrl-C comes again a little later."""
    before = sys.unraisablehook

    def hook(ignored: sys.UnraisableHookArgs) -> None:
        if issubclass(ignored.exc_type, KeyboardInterrupt):
            threading.Timer(0.05, _thread.interrupt_main).start()
        else:
            before(ignored)

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = before


@_no_ctrl_c_lost()
def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments; those of the process by default.

    Returns
    -------
    int
        The exit code.
    """
    for stream in ("stdout", "stderr"):
        if getattr(sys, stream) is None:  # whoever started the process closed it
            setattr(sys, stream, open(os.devnull, "w"))  # noqa: SIM115 - for the rest of the process
    logging.getLogger("fastexcel").setLevel(logging.ERROR)  # that a column is empty is told in our own words
    name = "fastnn"

    def warn(message: Warning | str, *where: object) -> None:
        print(f"{name}: warning: {message}", file=sys.stderr)

    try:
        args, unknown = build_parser().parse_known_args(argv)
        if unknown:
            args.parser.error(f"unrecognized arguments: {' '.join(unknown)}")
        name = f"fastnn {args.command}"
        with warnings.catch_warnings():
            warnings.showwarning = warn  # type: ignore[assignment] # which needs two of its arguments
            args.run(args, Terminal(quiet=args.quiet))
        sys.stdout.flush()
    except KeyboardInterrupt:
        print(f"{name}: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader, `head` say, has left: nothing more may be written, not even at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (ImportError, OSError, RuntimeError, ValueError) as error:
        print(f"{name}: {plain(' '.join(str(error).splitlines()))}", file=sys.stderr)
        return 1
    except MemoryError as error:  # one of Python's own says nothing
        print(f"{name}: {str(error) or 'the memory is full'}", file=sys.stderr)
        return 1
    finally:
        in_main = threading.current_thread() is threading.main_thread()
        if argv is None and in_main:  # all is said, and the process about to end: Ctrl-C has nothing left to do
            signal.signal(signal.SIGINT, signal.SIG_IGN)
    return 0


if __name__ == "__main__":
    sys.exit(main())
