"""Compare settings on a table: many networks of each, ranked on their validation rows, judged on rows held out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn.ensembles.sweep import sweep
from fastnn.ensembles.sweep_result import Sweep
from fastnn.settings import catalogue
from fastnn.tabular.preparing import PreparedTable
from fastnn.tabular.scoring import first_score
from fastnn.tabular.training import (
    TableSettings,
    initializer_of,
    learned_by,
    row_weights,
    shared_options,
)


@dataclass(frozen=True)
class Compared:
    """The result of one setting.

    Attributes
    ----------
    settings : TableSettings
        The setting.
    loss, loss_spread : float
        Mean and standard deviation of its networks' losses on their validation rows; NaN if all diverged.
    scores : ndarray, shape (networks,)
        Score of each network on the rows held out; NaN if it diverged.
    """

    settings: TableSettings
    loss: float
    loss_spread: float
    scores: NDArray[np.float64]


def compare(
    table: PreparedTable, grid: Iterable[TableSettings], folds: int | None = None, progress: bool | None = None
) -> list[Compared]:
    """Train the networks of every setting, in as few calls as possible.

    Parameters
    ----------
    table : PreparedTable
        The table.
    grid : iterable of TableSettings
        The settings; all have the same epochs, seed, repeats, threads, loss and quantiles.
    folds : int, optional
        Number of parts of the rows to train on, each of which is the validation set in turn.
    progress : bool, optional
        As in `fit_many`.

    Returns
    -------
    list of Compared
        The lowest validation loss first; after Ctrl-C only the networks that were finished.

    Raises
    ------
    KeyboardInterrupt
        After Ctrl-C, if no network was finished.
    """
    grid = list(grid)
    table = learned_by(table, grid[0])
    shared, common = grid[0], shared_options(table, grid[0])
    rows: list[NDArray] = [table.train.X, table.outputs]
    validation = None
    if shared.class_weight is not None:
        rows.append(row_weights(table, shared))
    if folds is None:
        watched = table.fold == 0
        rows, validation = [part[~watched] for part in rows], tuple(part[watched] for part in rows)
    X, y, *weights = rows
    common["output_activation"] = catalogue.LOSSES[table.target.loss].default_output
    result = sweep(
        X,
        y,
        [_setting(settings) for settings in grid],
        seeds=range(shared.seed, shared.seed + shared.repeats),
        folds=folds,
        validation_data=validation,
        sample_weight=weights[0] if weights else None,
        l2=shared.l2 / len(X),
        threads=shared.threads,
        progress=progress,
        dtype="float32",
        warn=False,  # said below
        **common,
    )
    if not result.records:
        raise KeyboardInterrupt
    return [_compared(row, grid[row["setting"]], result, table) for row in result.summary() if row["runs"]]


def _compared(row: dict[str, Any], settings: TableSettings, result: Sweep, table: PreparedTable) -> Compared:
    """The result of a setting, from its row of the sweep's summary."""
    runs = [k for k, record in enumerate(result.records) if record["setting"] == row["setting"]]
    scores = [first_score(result.networks[k], result.records[k]["stopped"], table) for k in runs]
    return Compared(settings, row["validation_loss_mean"], row["validation_loss_std"], np.array(scores))


def _setting(settings: TableSettings) -> dict[str, Any]:
    """The entries of a setting for `fastnn.sweep`, except those that all settings share."""
    return {
        "hidden": settings.hidden,
        "activation": settings.activation,
        "init": initializer_of(settings.activation),
        "learning_rate": settings.learning_rate,
    }
