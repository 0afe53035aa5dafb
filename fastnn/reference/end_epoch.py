"""What happens when an epoch ends: the validation set is evaluated, early stopping and the plateau decide."""

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
    """Do what is due after an epoch.

    Parameters
    ----------
    job, state
        As in `fastnn.reference.training.train`, before the epoch is counted as done.
    loss : float
        The epoch's loss.
    learning_rates : ndarray of float64, shape (n_epochs,)
        Receives the next epoch's rate, where the plateau rules it.
    i : int
        Place of this epoch in `learning_rates`.
    evaluate : callable
        Loss and metric on the validation set.

    Returns
    -------
    bool
        Whether early stopping ends the run.
    """
    watch, memory, epoch = job.watch, state.memory, int(state.counters[0])
    value, metric = loss, -inf
    if watch.validates:
        value, metric = evaluate(job)
        watch.loss[epoch - watch.first], watch.metric[epoch - watch.first] = value, metric

    stop = False
    if watch.stopping is not None:
        watched = value if watch.stopping.monitor == "loss" else -metric
        improved = watched < memory[MonitorState.BEST] - watch.stopping.min_improvement
        memory[MonitorState.WAITED] = 0 if improved else memory[MonitorState.WAITED] + 1
        stop = memory[MonitorState.WAITED] >= watch.stopping.patience
        if watched < memory[MonitorState.BEST]:
            memory[MonitorState.BEST], memory[MonitorState.BEST_EPOCH] = watched, epoch
            if watch.stopping.restore_best:
                state.best[:] = job.params

    if watch.plateau is not None:
        improved = value < memory[MonitorState.PLATEAU_BEST] - watch.plateau.min_improvement
        counted = memory[MonitorState.COOLDOWN] == 0
        memory[MonitorState.PLATEAU_WAITED] = 0 if improved else memory[MonitorState.PLATEAU_WAITED] + counted
        memory[MonitorState.COOLDOWN] -= not counted
        if value < memory[MonitorState.PLATEAU_BEST]:
            memory[MonitorState.PLATEAU_BEST] = value
        if memory[MonitorState.PLATEAU_WAITED] >= watch.plateau.patience:
            memory[MonitorState.PLATEAU_WAITED], memory[MonitorState.COOLDOWN] = 0, watch.plateau.cooldown
            memory[MonitorState.RATE] = max(memory[MonitorState.RATE] * watch.plateau.factor, watch.plateau.min_rate)
        if i + 1 < len(learning_rates):
            learning_rates[i + 1] = memory[MonitorState.RATE]
    return bool(stop)
