"""What happens when an epoch ends, inside compiled code: validation, early stopping, the plateau.

The training kernel calls `end_epoch` by its address, and is compiled without it.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from fastnn.jobs.aligned import address
from fastnn.jobs.job import Job
from fastnn.jobs.missing import counted_weights
from fastnn.jobs.monitor import MonitorState
from fastnn.kernels.jit.compiling import callee, inlined
from fastnn.kernels.simd import pointer_at
from fastnn.kernels.simd.calls import KNOWN, call, call_float
from fastnn.kernels.simd.threads import meet
from fastnn.kernels.tiles.layers import COLUMNS, N_IN, N_OUT, D, H

#: What a run monitors, a part of its job: addresses of arrays and functions, 0 where there is none, and settings.
MONITOR_RECORD = np.dtype(
    [
        # the validation set
        ("X", np.intp),
        ("y", np.intp),
        ("labels", np.intp),
        ("sample_weight", np.intp),
        ("n_rows", np.intp),  # 0 without one
        ("loss", np.intp),
        ("factor", np.float64),  # of a row's loss, apart from its weight
        ("metric", np.intp),  # a `Metric`
        ("shares", np.intp),  # see `fastnn.jobs.monitor.Monitor.shares`
        # what is written down
        ("first", np.intp),  # number of the run's first epoch
        ("losses", np.intp),
        ("metrics", np.intp),
        ("state", np.intp),  # see `fastnn.jobs.monitor.MonitorState`
        ("best", np.intp),  # the parameters after the best epoch
        # early stopping and ReduceOnPlateau, each with a patience of 0 where there is none
        ("patience", np.intp),
        ("min_improvement", np.float64),
        ("monitors_metric", np.intp),
        ("plateau_patience", np.intp),
        ("plateau_min_improvement", np.float64),
        ("factor_of_rate", np.float64),
        ("cooldown", np.intp),
        ("min_rate", np.float64),
    ]
)


class Metric(IntEnum):
    """How outputs are judged."""

    LARGEST = 0  # accuracy: the largest output is the class
    SIGN = 1  # accuracy: every logit has the right sign
    R2 = 2
    R2_OF_EXP = 3  # of outputs whose logarithm is given
    R2_OF_ASCENDING = 4  # of outputs whose pre-activations are given


_SIGN, _R2, _R2_OF_EXP, _R2_OF_ASCENDING = map(int, list(Metric)[1:])
_BEST, _BEST_EPOCH, _WAITED, _PLATEAU_BEST, _PLATEAU_WAITED, _COOLDOWN, _RATE, *_ = map(int, MonitorState)


@inlined
def _right(metric, o, y, label, n_out):
    """1 if a row of outputs is classified correctly, else 0; `label` is -1 where y tells the class."""
    if metric == _SIGN:
        for j in range(n_out):
            if (o[j] > 0.0) != (y[j] > 0.5):
                return 0.0
        return 1.0
    top, true = 0, max(label, 0)
    for j in range(1, n_out):
        if o[j] > o[top]:
            top = j
        if label < 0 and y[j] > y[true]:
            true = j
    return 1.0 if top == true else 0.0


@inlined
def _unexplained(metric, o, y, shares, n_targets):
    """What the errors of a row of outputs subtract from the coefficient of determination."""
    squares, below = 0.0, np.float64(0.0)
    for j in range(n_targets):
        o_j = np.float64(o[j])
        if metric == _R2_OF_EXP:
            o_j = np.exp(o_j)
        elif metric == _R2_OF_ASCENDING:
            below += o_j if j == 0 else max(o_j, 0.0) + np.log1p(np.exp(-abs(o_j)))
            o_j = below
        r = o_j - np.float64(y[j])
        squares += shares[j] * r * r if y[j] == y[j] else 0.0
    return squares


@inlined
def _evaluate(job, params, work, team):
    """Loss and metric on the validation set; the first thread of a team alone knows them."""
    monitor, layers = job.monitor, pointer_at(job.layers, np.int64)
    last = layers + (job.n_layers - 1) * COLUMNS
    n_in, n_out, output, d, scale = layers[N_IN], last[N_OUT], work + last[H], work + last[D], work + job.scale_place
    weights, shares = pointer_at(monitor.sample_weight, params), pointer_at(monitor.shares, np.float64)
    parameter = pointer_at(job.loss_parameter, params)
    n_targets, loss, unexplained, right, total = job.n_targets, 0.0, 0.0, 0.0, 0.0
    if job.draw_nothing != 0:
        if team.rank == 0:
            call(job.draw_nothing, job, job.block_rows, work)
        meet(team)
    for start in range(0, monitor.n_rows, job.block_rows):
        n = min(job.block_rows, monitor.n_rows - start)
        x, y = pointer_at(monitor.X, params) + start * n_in, pointer_at(monitor.y, params) + start * n_targets
        labels = pointer_at(monitor.labels, np.int64) + start
        call(job.forward, layers, job.n_layers, job.zeros, params, x, n_in, n, work, team)
        meet(team)
        if team.rank == 0:
            for r in range(n):
                weight = np.float64(weights[start + r]) if monitor.sample_weight != 0 else 1.0
                scale[r] = monitor.factor * weight
                o_r, y_r = output + r * n_out, y + r * n_targets
                if monitor.metric >= _R2:
                    unexplained += weight * _unexplained(monitor.metric, o_r, y_r, shares, n_targets)
                else:
                    label = labels[r] if monitor.labels != 0 else -1
                    right += weight * _right(monitor.metric, o_r, y_r, label, n_out)
                    total += weight
            loss += call_float(monitor.loss, KNOWN, output, d, y, labels, scale, n, n_out, parameter)
        meet(team)
    # The weights are summed as those of the right rows are: if all are right, the accuracy is 1, to the last bit.
    return loss, 1.0 - unexplained if monitor.metric >= _R2 else right / total


@callee
def end_epoch(job, params, n_params, epoch, loss, learning_rates, i, n_rates, team):
    """Do what is due after epoch number `epoch`, whose rate stands in place `i`; 1 if early stopping ends the run.

    The contract of `fastnn.reference.end_epoch.end_epoch`; every thread of the team runs this.
    """
    monitor, kept = job.monitor, pointer_at(job.monitor.state, np.float64)
    value, metric = loss, -np.inf
    meet(team)  # each thread has updated its share of the parameters
    if monitor.n_rows > 0:
        value, metric = _evaluate(job, params, pointer_at(job.work, params), team)
    if team.rank == 0:
        if monitor.n_rows > 0:
            pointer_at(monitor.losses, np.float64)[epoch - monitor.first] = value
            pointer_at(monitor.metrics, np.float64)[epoch - monitor.first] = metric
        if monitor.patience > 0:
            monitored = -metric if monitor.monitors_metric != 0 else value
            kept[_WAITED] = 0.0 if monitored < kept[_BEST] - monitor.min_improvement else kept[_WAITED] + 1.0
            if monitored < kept[_BEST]:
                kept[_BEST], kept[_BEST_EPOCH] = monitored, np.float64(epoch)
                if monitor.best != 0:
                    best = pointer_at(monitor.best, params)
                    for j in range(n_params):
                        best[j] = params[j]
        if monitor.plateau_patience > 0:
            counted = kept[_COOLDOWN] == 0.0
            if value < kept[_PLATEAU_BEST] - monitor.plateau_min_improvement:
                kept[_PLATEAU_WAITED] = 0.0
            elif counted:
                kept[_PLATEAU_WAITED] += 1.0
            if not counted:
                kept[_COOLDOWN] -= 1.0
            if value < kept[_PLATEAU_BEST]:
                kept[_PLATEAU_BEST] = value
            if kept[_PLATEAU_WAITED] >= monitor.plateau_patience:
                kept[_PLATEAU_WAITED], kept[_COOLDOWN] = 0.0, np.float64(monitor.cooldown)
                kept[_RATE] = max(kept[_RATE] * monitor.factor_of_rate, monitor.min_rate)
            if i + 1 < n_rates:
                learning_rates[i + 1] = kept[_RATE]
    meet(team)
    return np.intp(monitor.patience > 0 and kept[_WAITED] >= monitor.patience)


# ---------------------------------------------------------------- from Python
def monitor_record(job: Job, loss: int) -> tuple[NDArray, list[NDArray]]:
    """What a job monitors, of the dtype `MONITOR_RECORD`; and arrays to be kept alive with it.

    Where results are written may differ from call to call, and is left out: see `PreparedJob.remember_in`.

    `loss` is the address of the loss on the validation set's targets.
    """
    monitor, record = job.monitor, np.zeros((), MONITOR_RECORD)
    assert monitor is not None
    record["first"] = monitor.first
    if monitor.stopping is not None:
        record["patience"], record["min_improvement"] = monitor.stopping.patience, monitor.stopping.min_improvement
        record["monitors_metric"] = monitor.stopping.monitor == "metric"
    if monitor.plateau is not None:
        record["plateau_patience"], record["cooldown"] = monitor.plateau.patience, monitor.plateau.cooldown
        record["plateau_min_improvement"] = monitor.plateau.min_improvement
        record["factor_of_rate"], record["min_rate"] = monitor.plateau.factor, monitor.plateau.min_rate
    return record, _validation(record, job, loss) if monitor.validates else []


def _validation(record: NDArray, job: Job, loss: int) -> list[NDArray]:
    """Fill in the validation set; the arrays that it names."""
    monitor = job.monitor
    assert monitor is not None
    weights = monitor.sample_weight
    counted = counted_weights(job.loss, monitor.y, weights)
    weight = float(len(monitor.X) if counted is None else counted.sum(dtype=np.float64))
    record["n_rows"], record["loss"] = len(monitor.X), loss
    record["factor"] = 1 / (job.loss.divisor(job.spec.n_out) * (weight if job.loss.mean else 1.0))
    targets = "labels" if monitor.y.ndim == 1 else "y"
    arrays = {"X": monitor.X, targets: monitor.y}
    if weights is not None:
        arrays["sample_weight"] = weights
    if job.loss.metric == "r2":
        metrics = {"exp": Metric.R2_OF_EXP, "ascending": Metric.R2_OF_ASCENDING}
        record["metric"] = metrics.get(job.loss.logits_of or "", Metric.R2)
        arrays["shares"] = monitor.shares
    else:
        record["metric"] = Metric.LARGEST if job.loss.one_class else Metric.SIGN
    for name, array in arrays.items():
        record[name] = address(array)
    return list(arrays.values())
