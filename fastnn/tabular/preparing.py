"""A table as networks take it: what is predicted, from which columns, and which rows are held out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn.tabular.encoding import Column, encode, kind_of, learn_columns, numbers
from fastnn.tabular.model import Target

FEW = 20  # whole numbers of so few values are classes
HELD_OUT, VALIDATION = 0.2, 0.15  # of the rows; of those that are left

#: Samples, shape (n, n_in), and targets, shape (n,).
Rows = tuple[NDArray[np.float32], NDArray]


@dataclass(frozen=True)
class Prepared:
    """A table, encoded.

    Attributes
    ----------
    target : Target
        What is predicted.
    columns : tuple of Column
        From what.
    left_out : dict of str to str
        Columns that cannot be used, and why.
    dropped : int
        Rows without a target.
    train, validation, held : tuple (X, y)
        Rows to train on, to stop by and to judge by; y is standardised, or the numbers of classes.
    """

    target: Target
    columns: tuple[Column, ...]
    left_out: dict[str, str]
    dropped: int
    train: Rows
    validation: Rows
    held: Rows

    @property
    def n_in(self) -> int:
        """Inputs of a network."""
        return self.train[0].shape[1]

    @property
    def n_out(self) -> int:
        """Outputs of a network: one, or one a class."""
        return 1 if self.target.classes is None else len(self.target.classes)

    @property
    def rows(self) -> dict[str, int]:
        """How many rows there are of each part."""
        parts = {"trained on": self.train, "validated on": self.validation, "held out": self.held}
        return {name: len(y) for name, (_, y) in parts.items()}

    def true(self) -> NDArray:
        """The targets of the rows held out, as the table has them."""
        y = self.held[1]
        return y * self.target.scale + self.target.mean if self.target.classes is None else self.target.names[y]


def prepare(frame: Any, target: str, task: str | None, seed: int) -> Prepared:
    """Encode a table, and hold rows out.

    Parameters
    ----------
    frame : polars.DataFrame
        The table.
    target : str
        Name of the column to predict.
    task : {"regression", "classification"} or None
        None tells by the target.
    seed : int
        Of the split.

    Raises
    ------
    ValueError
        If the table has no such column, too few rows, or nothing to learn from.
    """
    if target not in frame.columns:
        raise ValueError(f"the table has no column {target!r}; it has {', '.join(frame.columns[:20])}")
    rows = frame.height
    frame = frame.drop_nulls(target)
    if frame.height < 10:
        raise ValueError(f"at least 10 rows with a {target!r} are needed; the table has {frame.height}")
    if kind_of(frame[target]) is None:
        raise ValueError(f"column {target!r} must hold numbers or classes; it holds {frame[target].dtype.base_type()}")
    classify = task == "classification" or (task is None and _are_classes(frame[target]))
    y: NDArray
    if classify:
        goal, y = _classes(frame[target])
        parts = split(y, seed)
    else:
        values = numbers(frame[target])
        parts = split(np.zeros(len(values)), seed)
        goal = Target(target, None, float(values[parts[0]].mean()), float(values[parts[0]].std()))
        if not goal.scale:
            raise ValueError(f"column {target!r} is constant: there is nothing to learn")
        y = ((values - goal.mean) / goal.scale).astype(np.float32)
    inputs = frame.drop(target)
    columns, left_out = learn_columns(inputs[parts[0]])
    if not columns:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in left_out.items())
        raise ValueError(f"no column beside {target!r} can be learned from ({reasons})")
    X, _ = encode(columns, inputs)
    train, validation, held = ((X[part], y[part]) for part in parts)
    return Prepared(goal, columns, left_out, rows - frame.height, train, validation, held)


def _are_classes(series: Any) -> bool:
    kind = str(series.dtype)
    if not series.dtype.is_numeric():
        return True
    return kind.startswith(("Int", "UInt")) and series.n_unique() <= FEW and series.n_unique() * 5 <= len(series)


def _classes(series: Any) -> tuple[Target, NDArray[np.intp]]:
    """The classes of a target, and the number of each row's."""
    names, labels = np.unique(series.cast(str).to_numpy().astype(str), return_inverse=True)
    if not 2 <= len(names) <= 1000:
        raise ValueError(f"column {series.name!r} has {len(names)} classes; there must be 2 to 1000")
    return Target(series.name, tuple(map(str, names))), labels.astype(np.intp)


def split(groups: NDArray, seed: int) -> list[NDArray[np.intp]]:
    """Rows to train on, to validate on and to hold out: of each group in the same proportions, as far as that goes.

    Raises
    ------
    ValueError
        If a part is left without rows.
    """
    rng = np.random.default_rng(seed)
    parts: list[list[NDArray[np.intp]]] = [[], [], []]
    for group in np.unique(groups):
        rows = rng.permutation(np.flatnonzero(groups == group))
        n_held = int(HELD_OUT * len(rows) + rng.random())
        n_valid = int(VALIDATION * (len(rows) - n_held) + rng.random())
        for part, piece in zip(parts, np.split(rows, [len(rows) - n_held - n_valid, len(rows) - n_held]), strict=True):
            part.append(piece)
    train, valid, held = (np.sort(np.concatenate(part)) for part in parts)
    if not (len(train) and len(valid) and len(held)):
        raise ValueError(f"{len(groups)} rows are too few to hold some out of each class")
    return [train, valid, held]
