"""Epochs on rows in scikit-learn's order, each a shuffle of the last one's, many of them in one compiled call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from fastnn.jobs.job import Job, State, Status
from fastnn.settings.optimizers import Optimizer
from fastnn.sklearn.conventions import poisson_constant
from fastnn.sklearn.data import dense
from fastnn.training.twins import twin

_ORDERS = 2**20  # the most numbers of rows that are drawn ahead
_OPERATIONS = 5e8  # in a call: a tenth of a second or so, as Python answers Ctrl-C between two calls


@dataclass
class StochasticState:
    """How far a stochastic solver has come: all that another ``partial_fit`` goes on from."""

    rule: Optimizer
    optimizer_state: State
    learning_rate: float
    schedule: str
    power: float

    def suits(self, job: Job) -> bool:
        """Whether it is one of the job's update rule, on as many parameters of the same type."""
        state, spec = self.optimizer_state, job.spec
        mine = state.optimizer, state.slots.shape[1], state.slots.dtype
        return mine == (type(job.optimizer).__name__, spec.n_params, np.dtype(spec.dtype))

    def writable(self) -> StochasticState:
        """Itself, or a copy where an array is read-only, as joblib maps those of an estimator to another process."""
        arrays = [value for value in vars(self.optimizer_state).values() if isinstance(value, np.ndarray)]
        if all(array.flags.writeable for array in arrays):
            return self
        return replace(self, optimizer_state=self.optimizer_state.copy())


class Epochs:
    """A job's epochs, in the orders that scikit-learn shuffles rows to: each order is a shuffle of the last.

    Parameters
    ----------
    job : Job
        With `shuffle`, its orders are drawn here.
    state : StochasticState
        Where the run stands.
    rng : numpy.random.RandomState
        What shuffles.
    most : float
        The most epochs that are asked for at once.
    threads : int
        How many may share a step.
    """

    def __init__(self, job: Job, state: StochasticState, rng: np.random.RandomState, most: float, threads: int):
        n = len(job.y)
        self.job, self.state, self.rng, self.threads = job, state, rng, threads
        self.most = int(min(most, 64, max(1, _ORDERS // n)))
        self.order = np.arange(n)
        if job.shuffle:
            job.orders = np.empty((self.most, n), np.int64)
        self.max_steps = max(1, int(_OPERATIONS / (6 * job.spec.n_params * job.batch_size)))
        self.run_dense = None if scipy.sparse.issparse(job.X) else self._runner(job)
        self.constant = poisson_constant(job.y) if job.loss.name == "poisson" else None

    def __call__(self, rates: NDArray[np.float64]) -> list[float] | None:
        """Train an epoch for each rate; their losses, or None if one is not finite."""
        job = self.job
        first, losses = self.state.optimizer_state.epochs_done, np.empty(len(rates))
        if job.orders is not None:
            twin("numba", "shuffle").shuffle(self.rng, self.order, job.orders, first, len(rates))
        if (self.run_dense or self._run_on_sparse)(rates, losses) != Status.DONE:
            return None
        if self.constant is not None:
            losses += [self._mean_constant(first + i) for i in range(len(rates))]
        return losses.tolist()

    def _runner(self, job: Job) -> Callable[[NDArray[np.float64], NDArray[np.float64]], Status]:
        """What runs whole epochs of a job, given their rates and room for their losses, in calls not too long."""
        state, max_steps = self.state.optimizer_state, self.max_steps  # not `self`, which would hold the data by itself
        train = twin("numba", "training").trainer(job, state, threads=self.threads)

        def run(rates: NDArray[np.float64], losses: NDArray[np.float64]) -> Status:
            first, status = state.epochs_done, Status.PAUSED
            while status == Status.PAUSED:
                done = state.epochs_done - first
                status = train(state, rates[done:], losses[done:], max_steps)
            return status

        return run

    def _run_on_sparse(self, rates: NDArray[np.float64], losses: NDArray[np.float64]) -> Status:
        """The same on sparse samples, of which one batch at a time is made dense."""
        job, n, state, loss = self.job, len(self.job.y), self.state.optimizer_state, np.empty(1)
        for i in range(len(rates)):
            epoch = state.epochs_done
            order, total = np.arange(n) if job.orders is None else job.orders[epoch % self.most], 0.0
            for start in range(0, n, job.batch_size):
                rows = order[start : start + job.batch_size]
                weight = None if job.sample_weight is None else job.sample_weight[rows]
                X, y = dense(job.X[rows], np.dtype(job.spec.dtype)), job.y[rows]
                batch = replace(job, X=X, y=y, sample_weight=weight, batch_size=len(rows), shuffle=False, orders=None)
                if self._runner(batch)(rates[i : i + 1], loss) != Status.DONE:
                    return Status.DIVERGED
                total += loss[0] * len(rows)
            losses[i] = total / n
            state.counters[0] = epoch + 1
        return Status.DONE

    def _mean_constant(self, epoch: int) -> float:
        """The mean over an epoch's batches of what their Poisson losses lack."""
        job, values = self.job, self.constant
        assert values is not None
        if job.sample_weight is None:
            return float(values.mean())
        order = np.arange(len(values)) if job.orders is None else job.orders[epoch % self.most]
        starts = np.arange(0, len(values), job.batch_size)
        weights = job.sample_weight[order].astype(np.float64)
        totals = np.add.reduceat(weights, starts)
        means = np.add.reduceat(weights * values[order], starts) / np.where(totals > 0, totals, 1)
        return float(np.average(means, weights=np.diff(starts, append=len(values))))
