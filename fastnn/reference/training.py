"""The training loop: epochs of batches, each one step of the optimizer."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn.jobs.job import Job, State, Status, Train
from fastnn.jobs.missing import counted_weights
from fastnn.reference import random
from fastnn.reference.end_epoch import end_epoch
from fastnn.reference.network import loss_and_grad
from fastnn.reference.noise import noisy
from fastnn.reference.optimizers import clip, step
from fastnn.reference.slopes import add_slopes


@np.errstate(over="ignore", under="ignore", invalid="ignore")  # the status says that a run diverged
def train(
    job: Job,
    state: State,
    learning_rates: NDArray[np.float64],
    losses: NDArray[np.float64],
    max_steps: int,
    *,
    loss_and_grad: Callable[..., tuple[float, NDArray]] = loss_and_grad,
    permutation: Callable[[int, int], NDArray[np.intp]] = random.permutation,
) -> Status:
    """Continue a training job from its state.

    Parameters
    ----------
    job : Job
        The job, whose parameters are updated in place.
    state : State
        The progress of the run, updated in place, so that another call continues from there bit for bit.
    learning_rates : ndarray of float64, shape (n_epochs,)
        The learning rate of each epoch, starting with the present one; rewritten if a plateau reduces it.
    losses : ndarray of float64, shape (n_epochs,)
        Receives the loss of every epoch that ends: the mean of its batches' losses, each before its update, weighted by
        the sums of their sample weights.
    max_steps : int
        Largest number of steps in this call.
    loss_and_grad : callable
        Computes the loss of a batch and its gradient.
    permutation : callable
        `random.permutation`, which may remember its last result.

    Returns
    -------
    Status
        How the call ended. For a batch that is `BAD_DATA` or has `DIVERGED` no step is taken.
    """
    n, gradient = len(job.X), np.empty_like(job.params)
    first_epoch, first_step = state.epochs_done, state.steps_done
    for i in range(len(learning_rates)):
        epoch = first_epoch + i
        order = _order(job, state, epoch, permutation) if job.shuffle else None
        for batch in range(state.batches_done, job.n_batches):
            if state.steps_done - first_step == max_steps:
                return Status.PAUSED
            rows = slice(batch * job.batch_size, (batch + 1) * job.batch_size)
            status = _train_batch(
                job, state, rows if order is None else order[rows], float(learning_rates[i]), gradient, loss_and_grad
            )
            if status is not Status.DONE:
                return status
        losses[i] = state.sums[0] / (state.sums[1] or n)
        stop = job.monitor is not None and end_epoch(job, state, losses[i], learning_rates, i)
        state.counters[:2] = epoch + 1, 0
        state.sums[:] = 0
        if stop:
            return Status.STOPPED
    return Status.DONE


def trainer(job: Job, state: State, **options: Any) -> Train:
    """Make the function that continues a job from its state, as often as it is called.

    Here it is `train` with these options; a twin that must prepare a job before it runs does so only once.
    """
    return partial(train, job, permutation=lru_cache(maxsize=1)(random.permutation), **options)


def _order(job: Job, state: State, epoch: int, permutation: Callable[[int, int], NDArray[np.intp]]) -> NDArray[np.intp]:
    """The order in which an epoch visits the rows."""
    if job.orders is not None:
        return job.orders[epoch % len(job.orders)]
    return permutation(random.key(state.seed, job.member, epoch), len(job.X))


def _train_batch(
    job: Job,
    state: State,
    rows: slice | NDArray[np.intp],
    learning_rate: float,
    gradient: NDArray,
    loss_and_grad: Callable[..., tuple[float, NDArray]],
) -> Status:
    """Take one step of the optimizer on some rows of the data; `gradient` is scratch."""
    X, y = job.X[rows], job.y[rows]
    weight = None if job.sample_weight is None else job.sample_weight[rows]
    to_check = (X, weight) if job.loss.masked else (X, y, weight)
    if not all(np.isfinite(data).all() for data in to_check if data is not None):
        return Status.BAD_DATA

    counted = counted_weights(job.loss, y, weight)
    batch_weight = len(X) if counted is None else float(counted.sum())
    X, factors = noisy(job, state.seed, state.steps_done, X)
    loss = _batch_loss(job, X, y, weight, gradient, loss_and_grad, factors=factors)
    loss += _slopes_loss(job, rows, weight, batch_weight, gradient)
    if not math.isfinite(loss):
        return Status.DIVERGED

    if job.max_grad_norm < math.inf:
        if job.trainable is not None:
            gradient[job.frozen] = 0
        clip(gradient, job.max_grad_norm)
    state.counters[1:] += 1
    for begin, end in [(0, len(gradient))] if job.trainable is None else job.trainable:
        part, t = slice(begin, end), state.steps_done
        step(job.update_rule, job.params[part], gradient[part], state.slots[:, part], learning_rate, t)
    share = batch_weight if job.convention is None else len(X)
    state.sums += loss * share, share
    return Status.DONE


def objective(
    job: Job, gradient: NDArray, *, loss_and_grad: Callable[..., tuple[float, NDArray]] = loss_and_grad
) -> Callable[[], float]:
    """Make the function that computes the loss of all a job's data, as one batch, and its gradient.

    Parameters
    ----------
    job : Job
        The job, whose parameters are read at each call; how it would train them, and which, does not matter.
    gradient : ndarray, shape (n_params,)
        Receives the gradient.
    loss_and_grad : callable
        Computes the loss of a batch and its gradient.

    Returns
    -------
    callable
        It takes no arguments and returns the loss.
    """
    total, every = float(job.weights.sum()), slice(None)

    def evaluate() -> float:
        loss = _batch_loss(job, job.X, job.y, job.sample_weight, gradient, loss_and_grad)
        return loss + _slopes_loss(job, every, job.sample_weight, total, gradient)

    return evaluate


def _slopes_loss(
    job: Job, rows: slice | NDArray[np.intp], weight: NDArray | None, batch_weight: float, gradient: NDArray
) -> float:
    """The slopes' part of the loss of a batch, if there are slopes; its derivative is added to the gradient."""
    if job.slopes is None:
        return 0.0
    slopes = job.slopes.rows(rows)
    weights = np.ones(len(slopes.values), job.params.dtype) if weight is None else weight
    return add_slopes(job.spec, job.params, job.X[rows], slopes, weights / (batch_weight or 1.0), gradient)


def _batch_loss(
    job: Job,
    X: NDArray,
    y: NDArray,
    weight: NDArray | None,
    gradient: NDArray,
    loss_and_grad: Callable[..., tuple[float, NDArray]],
    **options: Any,
) -> float:
    """The loss of a batch, as the job counts it, and the gradient, in place."""
    options |= {"sample_weight": weight, "loss_parameter": job.loss_parameter, "out": gradient}
    l2 = job.l2 if job.convention is None else 0.0
    loss, _ = loss_and_grad(job.spec, job.params, X, y, job.loss, l2=l2, **options)
    if job.convention is None:
        return loss
    return _recount(job, loss, gradient, len(X) if weight is None else float(weight.sum()))


def _recount(job: Job, loss: float, gradient: NDArray, batch_weight: float) -> float:
    """The loss of a batch without its penalty, and the gradient, in place, as `Job.convention` would have them."""
    assert job.convention is not None
    factor = job.loss.divisor(job.spec.n_out) / job.convention.divisor
    gradient *= factor
    loss *= factor * job.convention.reported
    if job.l2 == 0 or batch_weight == 0:
        return loss
    l2, weights = job.l2 / batch_weight, np.where(job.spec.weight_mask(), job.params, 0)
    gradient += l2 * weights
    return loss + l2 / 2 * float(weights @ weights)
