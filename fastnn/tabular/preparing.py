"""Prepare a table for networks: what is predicted, from which columns, and which rows are held out."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastnn.checks import listed
from fastnn.checks.values import nearest
from fastnn.models.scaling import standardize
from fastnn.tabular.encoding import PARTS, Column, encode, many_means
from fastnn.tabular.kinds import ColumnProfile, excluded, judge_columns, nearly_constant, profile_of
from fastnn.tabular.numerals import Numerals
from fastnn.tabular.reading import Table
from fastnn.tabular.target import Target, infer_target

HELD_OUT = 0.2  # of the rows
FOLDS = 8  # parts of the others, of which each network stops by one and learns from the rest


class Rows(NamedTuple):
    """Samples, shape (n, n_in), and targets, shape (n,), standardised or the numbers of classes."""

    X: NDArray[np.float32]
    y: NDArray


@dataclass(frozen=True)
class PreparedTable:
    """A table, encoded.

    Attributes
    ----------
    target : Target
        The column to predict.
    why : str
        Why it is taken for numbers or for classes, if that is not obvious.
    columns : tuple of Column
        The columns to predict it from.
    profiles : tuple of ColumnProfile
        What was found out about every column but the target.
    numerals : Numerals
        How numbers are written in the file.
    dropped : int
        Number of rows without a target.
    train, held_out : Rows
        The rows to train on and the rows held out.
    fold : ndarray of int, shape (n,)
        The part that each row to train on belongs to.
    """

    target: Target
    why: str
    columns: tuple[Column, ...]
    profiles: tuple[ColumnProfile, ...]
    numerals: Numerals
    dropped: int
    train: Rows
    held_out: Rows
    fold: NDArray[np.intp]

    @property
    def n_in(self) -> int:
        """Number of inputs of a network."""
        return self.train.X.shape[1]

    @property
    def n_out(self) -> int:
        """Number of outputs of a network."""
        return self.target.n_out

    @property
    def left_out(self) -> dict[str, str]:
        """Columns that are not used, and why."""
        return {column.name: column.left_out for column in self.profiles if column.left_out}

    @property
    def outputs(self) -> NDArray[np.float32]:
        """The targets of a network, shape (n, 1) or (n, classes), for the rows to train on."""
        y = self.train.y
        return y[:, None].astype(np.float32) if self.target.classes is None else np.eye(self.n_out, dtype=np.float32)[y]

    def true(self) -> NDArray:
        """The targets of the rows held out, as they are in the table."""
        y = self.held_out.y
        return y * self.target.scale + self.target.mean if self.target.classes is None else self.target.names[y]


def prepare(
    table: Table | Any,
    target: str,
    task: str | None,
    seed: int,
    use: Collection[str] = (),
    leave_out: Collection[str] = (),
) -> PreparedTable:
    """Encode a table, and hold rows out.

    Parameters
    ----------
    table : Table or polars.DataFrame
        The table.
    target : str
        Name of the column to predict.
    task : {"regression", "classification"} or None
        If None, the target decides.
    seed : int
        Seed of the split.
    use, leave_out : collection of str
        Columns to use in any case, and columns not to use.

    Raises
    ------
    ValueError
        If the table has no such column, too few rows, or no columns to learn from.
    """
    if not isinstance(table, Table):
        table = Table(table)
    frame, numerals = table.frame, table.numerals
    _check_names(frame.columns, target, use, leave_out)
    goal, y, why = infer_target(frame[target], task, numerals) if frame.height else (Target(target), np.empty(0), "")
    rows = np.flatnonzero(~np.isnan(y))
    if len(rows) < 10:
        raise ValueError(f"at least 10 rows with a {target!r} are needed; the table has {len(rows)}")
    if nearly_constant(y[rows]):
        raise ValueError(f"column {target!r} is constant: there is nothing to learn")
    others = frame.drop(target)
    profiles = [excluded(series) if series.name in leave_out else profile_of(series, numerals) for series in others]
    profiles = judge_columns(profiles, goal, y, use)
    labels = y[rows].astype(np.intp) if goal.classes is not None else np.zeros(len(rows), np.intp)
    fold = split(labels, seed)
    if goal.classes is None:
        mean, scale = _mean_and_scale(y[rows[fold >= 0]])
        goal = replace(goal, mean=mean, scale=scale)
        y = ((y - goal.mean) / goal.scale).astype(np.float32)
    columns, profiles, X = _inputs(profiles, rows, fold, y, goal, seed)
    Y: NDArray = y[rows] if goal.classes is None else labels
    train, held_out = (Rows(X[part], Y[part]) for part in (fold >= 0, fold < 0))
    return PreparedTable(
        target=goal,
        why=why,
        columns=tuple(columns),
        profiles=tuple(profiles),
        numerals=numerals,
        dropped=frame.height - len(rows),
        train=train,
        held_out=held_out,
        fold=fold[fold >= 0],
    )


def _check_names(columns: list[str], target: str, use: Collection[str], leave_out: Collection[str]) -> None:
    """Refuse names that are none of the columns', or that are asked for in two ways; raises ValueError."""
    for name in (target, *use, *leave_out):
        if name not in columns:
            raise ValueError(f"the table has no column {name!r}; it has {listed(columns, 20)}{nearest(name, columns)}")
    both = [name for name in use if name in leave_out]
    if both:
        raise ValueError(f"column {both[0]!r} cannot be both used and left out")
    if target in (*use, *leave_out):
        raise ValueError(f"column {target!r} is the target, and can be neither used nor left out")


def _inputs(
    profiles: list[ColumnProfile], rows: NDArray[np.intp], fold: NDArray[np.intp], y: NDArray, target: Target, seed: int
) -> tuple[list[Column], list[ColumnProfile], NDArray[np.float32]]:
    """How the columns become inputs, what is known of them in the end, and the inputs of these rows.

    Raises
    ------
    ValueError
        If no column can be used.
    """
    columns, judged, values, crossed = [], [], [], []
    for one in profiles:
        column, means = (None, None) if one.left_out else _fit_column(one, rows[fold >= 0], y, target, seed)
        if column is not None:
            columns.append(column)
            values.append(one.values[rows])
            crossed.append(means)
        judged.append(one if column or one.left_out else replace(one, left_out="constant in the training rows"))
    if not columns:
        reasons = listed([f"{one.name}: {one.left_out}" for one in judged], 20)
        others = f"the table's other columns cannot be used ({reasons})" if reasons else "the table has no others"
        raise ValueError(f"a network needs columns to predict {target.name!r} from; {others}")
    X, _ = encode(columns, values)
    start = 0
    for column, means in zip(columns, crossed, strict=True):
        if means is not None:
            X[fold >= 0, start : start + means.shape[1]] = means
        start += column.width
    return columns, judged, X


def _fit_column(
    profile: ColumnProfile, rows: NDArray[np.intp], y: NDArray, target: Target, seed: int
) -> tuple[Column | None, NDArray[np.float64] | None]:
    """How a column becomes inputs, judged by the rows to train on; None if it is constant there.

    Also returns the inputs of those rows themselves if they differ, as for many categories: see `many_means`.
    """
    values = profile.values[rows]
    if isinstance(values, np.ndarray):
        present = values[~np.isnan(values)]
        missing = len(present) < len(values)
        if not len(present) or (not missing and not np.ptp(present)):
            return None, None
        mean, scale = _mean_and_scale(present)
        return Column(profile.name, None, mean, scale, missing, profile.kind, (), profile.form, profile.strays), None
    texts = values.drop_nulls()
    levels = sorted(texts.unique().to_list())
    missing = len(texts) < len(values)
    if len(levels) + missing < 2:
        return None, None
    if profile.kind == "category" or len(texts) < PARTS:
        return Column(profile.name, tuple(levels), missing=missing), None
    there = values.is_not_null().to_numpy()
    classes = None if target.classes is None else len(target.classes)
    means, known = many_means(texts, levels, y[rows][there], classes, seed)
    crossed = np.tile(means[-1], (len(rows), 1))
    crossed[there] = known
    return Column(profile.name, tuple(levels), missing=missing, kind="many", means=means), crossed


def _mean_and_scale(values: NDArray[np.float64]) -> tuple[float, float]:
    """How numbers are standardised; see `fastnn.standardize`."""
    mean, scale = standardize(values[:, np.newaxis])
    return float(mean[0]), float(scale[0])


def split(groups: NDArray, seed: int) -> NDArray[np.intp]:
    """Mark the rows to hold out by -1, and number the parts of the others; each group is shared out evenly.

    Raises
    ------
    ValueError
        If no row is left to hold out or to train on.
    """
    rng = np.random.default_rng(seed)
    fold, dealt = np.empty(len(groups), np.intp), 0
    for group in np.unique(groups):
        rows = rng.permutation(np.flatnonzero(groups == group))
        n_held = int(HELD_OUT * len(rows) + rng.random())
        fold[rows[:n_held]] = -1
        fold[rows[n_held:]] = (dealt + np.arange(len(rows) - n_held)) % FOLDS
        dealt += len(rows) - n_held
    if not (fold < 0).any() or len(np.unique(fold[fold >= 0])) < 2:
        raise ValueError(f"{len(groups)} rows are too few to hold some out of each class")
    return fold
