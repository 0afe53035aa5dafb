"""The end of an epoch: the validation set is evaluated; early stopping and the plateau schedule decide."""

from __future__ import annotations

from collections.abc import Callable
from math import inf

import numpy as np
from numpy.typing import NDArray

from fastnn.jobs.job import Job, State
from fastnn.jobs.monitor import MonitorState
from fastnn.reference.network import evaluate


def end_epoch(
    job: Job,
    state: State,
    loss: float,
    learning_rates: NDArray[np.float64],
    i: int,
    evaluate: Callable[[Job], tuple[float, float]] = evaluate,
) -> bool:
    """Evaluate, stop or reduce the learning rate after an epoch.

    Parameters
    ----------
    job, state
        As in `fastnn.reference.training.train`, before the epoch is counted as done.
    loss : float
        The epoch's loss.
    learning_rates : ndarray of float64, shape (n_epochs,)
        Receives the next epoch's rate, if a plateau schedule decides it.
    i : int
        Index of this epoch in `learning_rates`.
    evaluate : callable
        Computes the loss and the metric on the validation set.

    Returns
    -------
    bool
        Whether early stopping ends the run.
    """
    monitor, kept, epoch = job.monitor, state.monitor_state, state.epochs_done
    assert monitor is not None
    value, metric = loss, -inf
    if monitor.validates:
        value, metric = evaluate(job)
        monitor.loss[epoch - monitor.first], monitor.metric[epoch - monitor.first] = value, metric

    stop = False
    if monitor.stopping is not None:
        monitored = value if monitor.stopping.monitor == "loss" else -metric
        improved = monitored < kept[MonitorState.BEST] - monitor.stopping.min_improvement
        kept[MonitorState.WAITED] = 0 if improved else kept[MonitorState.WAITED] + 1
        stop = kept[MonitorState.WAITED] >= monitor.stopping.patience
        if monitored < kept[MonitorState.BEST]:
            kept[MonitorState.BEST], kept[MonitorState.BEST_EPOCH] = monitored, epoch
            if monitor.stopping.restore_best:
                state.best[:] = job.params

    if monitor.plateau is not None:
        improved = value < kept[MonitorState.PLATEAU_BEST] - monitor.plateau.min_improvement
        counted = kept[MonitorState.COOLDOWN] == 0
        kept[MonitorState.PLATEAU_WAITED] = 0 if improved else kept[MonitorState.PLATEAU_WAITED] + counted
        kept[MonitorState.COOLDOWN] -= not counted
        if value < kept[MonitorState.PLATEAU_BEST]:
            kept[MonitorState.PLATEAU_BEST] = value
        if kept[MonitorState.PLATEAU_WAITED] >= monitor.plateau.patience:
            kept[MonitorState.PLATEAU_WAITED], kept[MonitorState.COOLDOWN] = 0, monitor.plateau.cooldown
            kept[MonitorState.RATE] = max(kept[MonitorState.RATE] * monitor.plateau.factor, monitor.plateau.min_rate)
        if i + 1 < len(learning_rates):
            learning_rates[i + 1] = kept[MonitorState.RATE]
    return bool(stop)
