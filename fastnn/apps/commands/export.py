"""``fastnn export``."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from fastnn.apps.commands.files import check_output_file, known_as
from fastnn.apps.commands.terminal import Terminal
from fastnn.kernels.jit.signals import InterruptsHeld
from fastnn.models.writing import write_whole

if TYPE_CHECKING:
    from fastnn import MLP, Ensemble, TableModel

SUMMARY = "write a saved network for other languages and runtimes"
EXAMPLES = """\
examples:
  fastnn export model.safetensors --to c
  fastnn export model.safetensors --to fortran --output src/surrogate.f90
"""

_SUFFIXES = {"c": ".c", "fortran": ".f90", "onnx": ".onnx", "numpy": ".py"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``fastnn export``."""
    parser.add_argument("model", metavar="MODEL", help="a .safetensors or .npz file")
    parser.add_argument("--to", required=True, choices=tuple(_SUFFIXES), help="what to write")
    parser.add_argument(
        "--output", metavar="FILE", help="default: the model's name with another ending, in this folder"
    )
    parser.add_argument(
        "--best", action="store_true", help="only the best network of a table model, not mean and spread"
    )
    parser.add_argument("--derivatives", action="store_true", help="add products with the Jacobian (C only)")


def run(args: argparse.Namespace, terminal: Terminal) -> None:
    """Write the network and, if it was trained on a table, beside it what its inputs and outputs mean."""
    from fastnn.checks.extras import require_all
    from fastnn.tabular.model import TableModel
    from fastnn.tabular.saved import is_table_model

    require_all(
        ({"safetensors": "io"} if args.model.endswith(".safetensors") else {})
        | ({"onnx": "onnx"} if args.to == "onnx" else {})
    )
    table = None
    if is_table_model(args.model):
        with known_as("MODEL"):
            table = TableModel.load(args.model)
    name = Path(args.model).with_suffix(_SUFFIXES[args.to]).name if args.output is None else args.output
    check_output_file(name)
    output = Path(name)
    description = output.with_suffix(".json")
    check_output_file(None if table is None else description)
    net = _network(args, table)
    if args.derivatives and args.to != "c":
        raise ValueError(f"--derivatives goes with --to c; got --to {args.to}")
    with InterruptsHeld():
        with known_as("--output"):
            _write(net, args, output)
        terminal.say(f"{net!r}\nWritten: {output}")
    if table is not None:
        inputs = [words for column in table.columns for words in column.meanings]
        about = {
            "network": {"inputs": inputs, "outputs": table.target.meanings},
            "inputs": [asdict(column) for column in table.columns],
            "output": asdict(table.target),
        }
        with InterruptsHeld():
            write_whole(description, json.dumps({"format": "fastnn.table", **about}, indent=2).encode())
            terminal.say(f"What its inputs and outputs mean: {description}")


def _write(net: MLP | Ensemble, args: argparse.Namespace, output: Path) -> None:
    if args.to == "c":
        net.to_c(output, derivatives=args.derivatives)
    elif args.to == "fortran":
        net.to_fortran(output)
    elif args.to == "onnx":
        net.to_onnx(output)
    elif output.suffix != ".py":
        raise ValueError(f"--output must end in .py; got {str(output)!r}")
    else:
        write_whole(output, net.to_numpy_source().encode())


def _network(args: argparse.Namespace, table: TableModel | None) -> MLP | Ensemble:
    """What is written: of a table's networks all, for their mean and spread, or with ``--best`` one."""
    if table is not None:
        return table.net if args.best or len(table.networks) == 1 else table.networks
    if args.best:
        raise ValueError(f"--best goes with a model that `fastnn train` made; {args.model} is a plain network")
    import fastnn

    with known_as("MODEL"):
        return fastnn.load(args.model)
