"""``fastnn bench``."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastnn.apps.commands.files import check_distinct, check_output_file
from fastnn.apps.commands.terminal import Terminal
from fastnn.models.writing import write_whole

if TYPE_CHECKING:
    from fastnn.apps.comparison.workloads import Workload

SUMMARY = "compare a training step of fastnn with NumPy, scikit-learn, PyTorch and JAX on this machine"
EXAMPLES = """\
examples:
  fastnn bench
  fastnn bench tutorial digits --html report.html
  fastnn bench width batch --peers plain_numpy,jax,fastnn
  fastnn bench --layers 8,32,32,1 --batch 32 --optimizer adam --dtype float32
  fastnn bench regression --json new.json --compare old.json
  fastnn bench tutorial --peers plain_numpy,fastnn --python jax-0.6=other/bin/python

workloads:
  tutorial      3-4-1, float64, four samples       wide    784-128-10, batch 128, momentum
  regression    8-32-32-1, batch 32                deep    784-512-512-10, batch 256, Adam
  digits        64-100-10, batch 32, Adam          width, batch    a series of sizes, for the curves
  many-tutorials, many-regressions: 1,024 small networks at once; time of a step of one of them
"""
DEFAULT = (
    "tutorial", "regression", "digits", "wide", "deep", "many-tutorials", "many-regressions", "width", "batch"
)  # fmt: skip

#: The defaults of a workload of one's own.
OWN = {"batch": 32, "optimizer": "sgd", "activation": "tanh", "loss": "mse", "dtype": "float32"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``fastnn bench``."""
    parser.add_argument("workloads", nargs="*", metavar="WORKLOAD", help="names from the list below (default: all)")
    own = parser.add_argument_group("a workload of your own")
    own.add_argument("--layers", metavar="N,N,...", help="its layer sizes")
    own.add_argument("--batch", type=int, help="rows of a batch (default: %(default)s)")
    own.add_argument("--optimizer", help="sgd, momentum or adam (default: %(default)s)")
    own.add_argument("--activation", help="sigmoid, tanh or relu (default: %(default)s)")
    own.add_argument("--loss", help="mse, sse or cross_entropy (default: %(default)s)")
    own.add_argument("--dtype", help="float32 or float64 (default: %(default)s)")
    own.set_defaults(**OWN)
    parser.add_argument("--peers", metavar="NAME,...", help="reference, plain_numpy, sklearn, torch, jax, fastnn")
    parser.add_argument(
        "--python", action="append", default=[], metavar="PEER[-LABEL]=PATH",
        help="also measure a peer of another environment, run by its interpreter; may be repeated",
    )  # fmt: skip
    cores = min(os.cpu_count() or 1, 4)
    parser.add_argument(
        "--threads", type=int, default=cores, help="measure fastnn on this many threads, too (default: %(default)s)"
    )
    parser.add_argument("--seconds", type=float, default=1.0, help="how long to run each peer (default: %(default)s)")
    parser.add_argument("--core", type=int, help="the first core to run on (default: the first available)")
    parser.add_argument("--json", metavar="FILE", help="write all measurements")
    parser.add_argument("--html", metavar="FILE", help="write a report with pictures, as one file")
    parser.add_argument("--compare", metavar="FILE", help="show what changed since an earlier --json")


def run(args: argparse.Namespace, terminal: Terminal) -> None:
    """Measure, show each workload's table as it is ready, and write the files asked for."""
    from fastnn.apps.commands.workload_tables import WorkloadTables
    from fastnn.apps.comparison import elsewhere, machine, results, running
    from fastnn.apps.comparison.peers import PEERS
    from fastnn.checks import ABOVE_0, check_integer, check_name, check_number

    old = results.read(args.compare) if args.compare is not None else None
    for path in (args.json, args.html):
        check_output_file(path)
    check_distinct(json=args.json, html=args.html)
    if args.html:
        from fastnn.apps.comparison import report  # needs matplotlib: better known before the measuring than after
    available = machine.available_cores()
    if args.core is not None and available is not None and args.core not in available:
        raise ValueError(f"--core must be one of {', '.join(map(str, available))}; got {args.core}")
    check_number("--seconds", args.seconds, ABOVE_0)
    threads = min(check_integer("--threads", args.threads, 1), len(available or range(args.threads)))
    names = args.peers.split(",") if args.peers is not None else list(PEERS)
    entrants, absent = running.present_and_absent([check_name("--peers", name, PEERS) for name in names], threads)
    todo = _workloads(args)
    entrants += elsewhere.entrants(args.python)

    for warning in machine.warnings():
        terminal.say(f"Warning: {warning}.")
    for title, reason in absent.items():
        terminal.say(f"{title} is left out: {reason}.")
    with WorkloadTables(terminal, todo, len(entrants)) as display:
        record = running.compare(
            todo,
            entrants,
            absent,
            seconds=args.seconds,
            core=args.core,
            before=display.before,
            after=display.after,
        )
    if args.json:
        write_whole(Path(args.json), json.dumps(record, indent=1).encode())
        terminal.say(f"\nNumbers: {args.json}")
    if args.html:
        write_whole(Path(args.html), report.html(record, old).encode())
        terminal.say(f"\nReport: {args.html}")
    if old is not None:
        _tell_changes(old, record, args.compare, terminal)
    if not any("minimum" in result for result in record["results"]):
        raise ValueError("nothing was measured: every peer was left out")


def _tell_changes(old: dict[str, Any], record: dict[str, Any], path: str, terminal: Terminal) -> None:
    """Print what changed since the measurements in a file."""
    from fastnn.apps.comparison import results

    changed = results.changes(old, record)
    if not changed:
        terminal.say(f"\nNothing measured here is in {path}.")
        return
    terminal.say(f"\nSince {results.day(old['date'])}:\n")
    terminal.table(results.CHANGED, [change.cells for change in changed])


def _workloads(args: argparse.Namespace) -> list[Workload]:
    from fastnn.apps.comparison import workloads

    if args.layers is None:
        for name, default in OWN.items():
            if getattr(args, name) != default:
                raise ValueError(f"--{name} must go with --layers, as it is of a workload of your own")
        return workloads.named(args.workloads or DEFAULT)
    try:
        layers = [int(size) for size in args.layers.split(",")]
    except ValueError:
        layers = []
    if len(layers) < 2 or min(layers) < 1:
        raise ValueError(f"--layers must be two or more positive integers, as in 8,32,32,1; got {args.layers!r}")
    own = workloads.given(layers, args.batch, args.optimizer, args.dtype, args.activation, args.loss)
    return [*workloads.named(args.workloads), own]
