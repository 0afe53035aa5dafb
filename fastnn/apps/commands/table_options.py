"""The options of the commands that take a table: how it is read, what is learned from it, and how."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastnn.tabular.reading_settings import Reading
    from fastnn.tabular.training import TableSettings

#: An option of several values, which may be given several times: argparse would forget all but the last.
SEVERAL: dict[str, Any] = {"nargs": "+", "action": "extend", "default": []}


def add_reading_arguments(parser: argparse.ArgumentParser) -> None:
    """How a file is to be read, where that cannot be guessed."""
    group = parser.add_argument_group("reading the file", "what is not given is guessed; one line says how")
    group.add_argument("--separator", metavar="CHAR", help="character between columns; 'tab' for a tab")
    group.add_argument("--decimal", metavar="CHAR", help="decimal point or comma")
    group.add_argument("--thousands", metavar="CHAR", help="character between groups of three digits")
    group.add_argument("--encoding", metavar="NAME", help="encoding of the text, such as utf-8, cp1252, shift-jis")
    group.add_argument("--missing", metavar="TEXT", **SEVERAL, help="texts, numbers or dates that mean a missing value")
    group.add_argument("--comment", metavar="CHAR", help="character that begins a comment")
    group.add_argument("--no-header", action="store_true", help="name the columns column_1, column_2, ...")
    group.add_argument("--sheet", metavar="NAME", help="sheet of an Excel file (default: the first)")


def add_table_arguments(parser: argparse.ArgumentParser) -> None:
    """What every command that learns from a table takes."""
    parser.add_argument("data", metavar="FILE", help="CSV (.gz, .zst), Excel, Parquet or Arrow; - for standard input")
    parser.add_argument("--target", required=True, metavar="COLUMN", help="the column to predict")
    parser.add_argument(
        "--task", choices=("regression", "classification"), help="default: decided by the target's values"
    )
    parser.add_argument("--use", **SEVERAL, metavar="COLUMN", help="columns to learn from in any case, unless constant")
    parser.add_argument("--leave-out", **SEVERAL, metavar="COLUMN", help="columns not to learn from")
    parser.add_argument("--epochs", type=int, default=300, help="largest number of epochs (default: %(default)s)")
    parser.add_argument(
        "--patience", type=int, default=20, help="epochs without improvement before stopping (default: %(default)s)"
    )
    parser.add_argument(
        "--batch-size", type=int, help="rows in a batch (default: 32; 256 with 20,000 training rows or more)"
    )
    parser.add_argument(
        "--l2", type=float, default=0.0, help="penalty on the weights, divided by the rows (default: 0)"
    )
    parser.add_argument(
        "--loss",
        metavar="NAME",
        help="how a number is learned: mse (default), mae, huber, gaussian_nll (a mean and its standard deviation), "
        "pinball or ascending_pinball (quantiles), expectile",
    )
    parser.add_argument(
        "--quantiles",
        **SEVERAL,
        type=float,
        metavar="Q",
        help="for the last three (default: 0.05 0.5 0.95)",
    )
    parser.add_argument("--class-weight", choices=("balanced",), help="give every class the same total weight")
    parser.add_argument("--seed", type=int, default=0, help="seed of the split and the initial weights (default: 0)")
    parser.add_argument(
        "--threads", type=int, default=1, help="threads that share the work; results are the same (default: 1)"
    )
    add_reading_arguments(parser)


def reading_of(args: argparse.Namespace) -> Reading:
    """The options of `add_reading_arguments`, checked.

    Raises
    ------
    ValueError
        If one is not a single character.
    """
    from fastnn.tabular.reading_settings import Reading

    separator = "\t" if args.separator in ("tab", "\\t") else args.separator
    for name in ("decimal", "thousands", "comment"):
        value = getattr(args, name)
        if value is not None and len(value) != 1:
            raise ValueError(f"--{name} must be one character; got {value!r}")
        if value is not None and value.isalnum():
            raise ValueError(f"--{name} must be neither a letter nor a digit; got {value!r}")
    if separator is not None and (len(separator) != 1 or separator in '"\r\n'):
        raise ValueError(f"--separator must be one character, but no quote, or tab; got {args.separator!r}")
    if args.comment is not None and (args.comment in '"\r\n' or not args.comment.isascii()):
        raise ValueError(f"--comment must be in ASCII, but no quote; got {args.comment!r}")
    if args.comment is not None and args.comment == separator:
        raise ValueError(f"--comment and --separator must differ; both are {separator!r}")
    if args.decimal is not None and args.decimal == args.thousands:
        raise ValueError(f"--decimal and --thousands must differ; both are {args.decimal!r}")
    return Reading(
        separator,
        args.decimal,
        args.thousands,
        args.encoding,
        args.missing,
        args.comment,
        not args.no_header,
        args.sheet,
    )


def settings_of(args: argparse.Namespace, hidden: tuple[int, ...], activation: str, rate: float) -> TableSettings:
    """The settings that a command line asks for, checked."""
    from fastnn.checks import AT_LEAST_0, check_integer, check_name, check_number
    from fastnn.settings.catalogue import ACTIVATIONS
    from fastnn.tabular.target import Target
    from fastnn.tabular.training import TableSettings

    Target("").learned_by(args.loss, args.quantiles)  # refuses what no number can be learned by, before any is read
    return TableSettings(
        hidden=hidden,
        activation=check_name("--activation", activation, [row.name for row in ACTIVATIONS.values() if row.hidden]),
        epochs=check_integer("--epochs", args.epochs, 1),
        learning_rate=check_number("--rate", rate, AT_LEAST_0),
        seed=check_integer("--seed", args.seed, 0),
        repeats=check_integer("--repeats", args.repeats, 1),
        threads=check_integer("--threads", args.threads, 1),
        l2=check_number("--l2", args.l2, AT_LEAST_0),
        batch_size=None if args.batch_size is None else check_integer("--batch-size", args.batch_size, 1),
        patience=check_integer("--patience", args.patience, 1),
        class_weight=args.class_weight,
        loss=args.loss,
        quantiles=tuple(args.quantiles),
    )


def layers(text: str) -> tuple[int, ...]:
    """Widths of hidden layers, as in ``32,32``; none in an empty text.

    Raises
    ------
    ValueError
        If they are not positive integers.
    """
    if not text.strip():
        return ()
    try:
        widths = tuple(int(width) for width in text.split(","))
    except ValueError:
        widths = (0,)
    if min(widths) < 1:
        raise ValueError(f"--hidden must be positive integers, as in 32,32, or nothing; got {text!r}")
    return widths
