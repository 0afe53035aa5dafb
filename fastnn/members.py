"""Training members in one process: a chunk of them in, what became of them out. Executors call this."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from threading import Thread
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn import catalogue, training
from fastnn.initializers import INITIALIZERS
from fastnn.job import Job, State
from fastnn.optimizers import SGD, Optimizer
from fastnn.records import DIVERGED, EARLY, FINISHED, Records
from fastnn.schedules import ReduceOnPlateau, Schedule
from fastnn.spec import NetworkSpec
from fastnn.streams import initialize_members
from fastnn.watch import EarlyStopping, Memory, Watch

SECONDS_A_CALL = 0.1  # between two calls of a kernel Ctrl-C is answered and progress shown


@dataclass(frozen=True)
class MembersJob:
    """Members to be trained, validated; arrays whose first axis counts members have a length of K, or of 1 for all.

    Attributes
    ----------
    spec, loss, delta, batch_size, max_grad_norm
        As in `fastnn.job.Job`.
    X, y, weights : ndarray, shapes (1 or K, n, n_in), (1 or K, n, n_out), (0, 1 or K, n)
        The data.
    X_val, y_val, weights_val : ndarray
        The validation set, of one block for all, without rows where there is none; weights as above.
    optimizer : Optimizer
        Settings that all share.
    rates, momenta, l2 : ndarray, shape (K,)
        Those that differ.
    schedule : ndarray, shape (1 or epochs,)
        What the rates are multiplied by in each epoch.
    seeds, streams : ndarray of int64, shape (K,)
        The seed of each member's random numbers, and which stream of it is the member's.
    init : str
        How parameters are drawn where there are none.
    params : ndarray, shape (K, n_params), or None
        First parameters.
    epochs : int
        Passes over the samples.
    shuffle : bool
        Whether each member visits the samples in an order of its own, in batches.
    stopping : EarlyStopping or None
        When a member stops.
    history : bool
        Whether the losses of every epoch are kept.
    specialize : bool
        Whether the networks are trained in lanes, by a kernel compiled for them; else one after another.
    """

    spec: NetworkSpec
    loss: catalogue.Loss
    delta: float
    batch_size: int
    max_grad_norm: float
    X: NDArray
    y: NDArray
    weights: NDArray
    X_val: NDArray
    y_val: NDArray
    weights_val: NDArray
    optimizer: Optimizer
    rates: NDArray[np.float64]
    momenta: NDArray[np.float64]
    l2: NDArray[np.float64]
    schedule: NDArray[np.float64]
    seeds: NDArray[np.int64]
    streams: NDArray[np.int64]
    init: str
    params: NDArray | None
    epochs: int
    shuffle: bool
    stopping: EarlyStopping | None
    history: bool
    specialize: bool

    def __len__(self) -> int:
        return len(self.streams)

    def part(self, index: Any) -> MembersJob:
        """The job of some members."""

        def blocks(array: NDArray) -> NDArray:
            return array[index] if len(array) > 1 else array

        return replace(
            self,
            X=blocks(self.X),
            y=blocks(self.y),
            weights=blocks(self.weights),
            weights_val=blocks(self.weights_val),
            rates=self.rates[index],
            momenta=self.momenta[index],
            l2=self.l2[index],
            seeds=self.seeds[index],
            streams=self.streams[index],
            params=None if self.params is None else self.params[index],
        )


@dataclass(frozen=True)
class Outcome:
    """What became of members.

    Attributes
    ----------
    params : ndarray, shape (K, n_params)
        What they know.
    records : Records
        How their training went.
    """

    params: NDArray
    records: Records

    @classmethod
    def blank(cls, job: MembersJob) -> Outcome:
        """Before anything has become of them."""
        kept = job.epochs if job.history else 0
        params = np.empty((len(job), job.spec.n_params), job.spec.dtype)
        return cls(params, Records.blank(job.streams, kept, job.X_val.shape[1] > 0))

    def part(self, members: slice) -> Outcome:
        """Some of them, in the same memory."""
        return Outcome(self.params[members], self.records[members])

    def put(self, index: Any, other: Outcome) -> None:
        """Write down what became of some of them."""
        self.params[index] = other.params
        self.records.put(index, other.records)


Tell = Callable[[int], None]


def _silent(done: int) -> None:
    pass


def train_members(job: MembersJob, threads: int = 1, tell: Tell = _silent, outcome: Outcome | None = None) -> Outcome:
    """Train all members of a job.

    Parameters
    ----------
    job : MembersJob
        Who is trained on what.
    threads : int
        How many threads share the members; the bits do not depend on it.
    tell : callable
        Called now and then, by this thread, with the number of members done; what it raises ends the training.
    outcome : Outcome, optional
        A blank one to write to.

    Returns
    -------
    Outcome
    """
    first = job.params
    if first is None:
        first = initialize_members(job.spec, INITIALIZERS[job.init], job.seeds, job.streams)
    outcome = Outcome.blank(job) if outcome is None else outcome
    outcome.params[:] = first
    work = _lanes(job, outcome, np.empty(0, np.int64)) if job.specialize else _serial(job, outcome)
    try:
        _share(work, min(threads, len(job)), outcome, tell)
        if job.specialize:
            _rewind(job, first, outcome)
    except BaseException:  # Ctrl-C: who diverged is not finished before its last finite parameters are found
        outcome.records.status[~np.isfinite(outcome.params).all(axis=1)] = 0
        raise
    return outcome


def _share(work: Callable[[], Callable[[], bool]], threads: int, outcome: Outcome, tell: Tell) -> None:
    """Let threads, this one among them, work until nothing is left: each calls what `work()` returns until it is false.

    What one of them raises ends the work of all.
    """
    failures: list[BaseException] = []
    stop = False

    def help_out() -> None:
        try:
            step = work()
            while not stop and step():
                pass
        except BaseException as error:
            failures.append(error)

    def show() -> None:
        if failures:
            raise failures[0]
        tell(int(outcome.records.ended.sum()))

    helpers = [Thread(target=help_out, name=f"fastnn-member-{i}") for i in range(1, threads)]
    for helper in helpers:
        helper.start()
    try:
        step = work()
        while step():
            show()
        for helper in helpers:
            while helper.is_alive():
                helper.join(SECONDS_A_CALL)
                show()
    finally:
        stop = True
        for helper in helpers:
            helper.join()
    show()


def _lanes(job: MembersJob, outcome: Outcome, limits: NDArray[np.int64]) -> Callable[[], Callable[[], bool]]:
    """Members in lanes: each thread has a block of its own, and takes members from one queue."""
    from fastnn.kernels import members
    from fastnn.kernels.optimizers import rule_of

    rule, settings = rule_of(job.optimizer)
    n = job.X.shape[1]
    own_order = job.shuffle and job.batch_size < n
    packed = own_order or len(job.X) > 1 or len(job.y) > 1
    plan, compiled = members.new_step(
        job.spec,
        job.loss,
        rule,
        job.batch_size,
        packed=packed,
        penalised=bool(job.l2.any()),
        clipped=bool(np.isfinite(job.max_grad_norm)),
        validates=job.X_val.shape[1] > 0,
    )
    stopping = job.stopping
    parameters = members.Settings(
        rates=job.rates,
        momenta=job.momenta,
        l2=job.l2,
        seeds=job.seeds,
        limits=limits,
        schedule=job.schedule,
        epochs=job.epochs,
        settings=np.array(settings, np.float64),
        delta=float(job.delta),
        outputs=1.0 if job.loss.name in ("sse", "cross_entropy") else float(job.spec.n_out),
        mean=job.loss.mean,
        max_grad_norm=float(job.max_grad_norm),
        batch_size=job.batch_size,
        own_order=own_order,
        patience=stopping.patience if stopping is not None else 0,
        min_improvement=float(stopping.min_improvement) if stopping is not None else 0.0,
        restore_best=stopping is not None and stopping.restore_best,
    )
    rows = members.table(job.X, job.y) if packed else np.empty((0, n, 0), job.X.dtype)
    data = members.Data(job.X, job.y, job.weights, rows)
    validation = members.Data(job.X_val, job.y_val, job.weights_val, np.empty((0, n, 0), job.X.dtype))
    results = members.Results(outcome.params, **vars(outcome.records))
    queue = np.zeros(1, np.int64)

    def work() -> Callable[[], bool]:
        block = members.new_block(plan, n, job.batch_size, job.X_val.shape[1], own_order)
        ticks = _first_ticks(job, plan.lanes)

        def step() -> bool:
            nonlocal ticks
            clock = perf_counter()
            more = members.run(compiled, data, validation, parameters, results, block, queue, ticks)
            seconds = perf_counter() - clock
            if seconds < 10 * SECONDS_A_CALL:  # the first call may have compiled the kernel
                ticks = max(1, int(min(ticks * 8, ticks * SECONDS_A_CALL / seconds)))
            return more

        return step

    return work


def _first_ticks(job: MembersJob, lanes: int) -> int:
    """Epochs of a block that take a tenth of a second at most, before anything is measured."""
    operations = lanes * (job.X.shape[1] + job.X_val.shape[1]) * (6 * job.spec.n_params + 50 * sum(job.spec.sizes[1:]))
    return max(1, int(SECONDS_A_CALL / 2 / (20e-6 + operations / 20e9)))


def _rewind(job: MembersJob, first: NDArray, outcome: Outcome) -> None:
    """Bring members that diverged back to their last finite parameters: train them anew, and stop sooner."""
    lost = np.flatnonzero(outcome.records.ended & ~np.isfinite(outcome.params).all(axis=1))
    while len(lost):
        limits = np.maximum(outcome.records.steps[lost] - 1, 0)
        part = replace(job.part(lost), params=first[lost])
        again = Outcome.blank(part)
        again.params[:] = first[lost]
        _share(_lanes(part, again, limits), 1, again, _silent)
        again.records.status[:] = DIVERGED
        again.records.loss[:] = np.nan
        outcome.put(lost, again)
        lost = lost[~np.isfinite(again.params).all(axis=1)]


def _serial(job: MembersJob, outcome: Outcome) -> Callable[[], Callable[[], bool]]:
    """Members one after another, each by the kernels that train a single network."""
    queue = iter(range(len(job)))

    def step() -> bool:
        k = next(queue, None)  # one bytecode in C: two threads never draw the same
        if k is not None:
            _train_alone(job, k, outcome)
        return k is not None

    return lambda: step


def _train_alone(job: MembersJob, k: int, outcome: Outcome) -> None:
    def block(array: NDArray) -> NDArray:
        return array[k if len(array) > 1 else 0]

    optimizer = job.optimizer
    if not isinstance(optimizer.learning_rate, Schedule):
        optimizer = replace(optimizer, learning_rate=float(job.rates[k]))
    if isinstance(optimizer, SGD):
        optimizer = replace(optimizer, momentum=float(job.momenta[k]))
    rate, watch = optimizer.learning_rate, None
    plateau = rate if isinstance(rate, ReduceOnPlateau) else None
    validates = job.X_val.shape[1] > 0
    if validates:
        weights = block(job.weights_val) if len(job.weights_val) else None
        watch = Watch(block(job.X_val), block(job.y_val), weights, job.stopping, plateau)
    elif job.stopping is not None or plateau is not None:
        watch = Watch(stopping=job.stopping, plateau=plateau)
    single = Job(
        spec=job.spec,
        params=outcome.params[k],
        X=block(job.X),
        y=block(job.y),
        loss=job.loss,
        optimizer=optimizer,
        batch_size=job.batch_size,
        sample_weight=block(job.weights) if len(job.weights) else None,
        delta=job.delta,
        shuffle=job.shuffle,
        l2=float(job.l2[k]),
        max_grad_norm=job.max_grad_norm,
        watch=watch,
        member=int(job.streams[k]),
    )
    state = State.fresh(job.spec, optimizer, int(job.seeds[k]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the status tells of a member that diverged
        run = training.fit(single, state, job.epochs, progress=False)
    if run.stopped == "interrupted":
        raise KeyboardInterrupt
    records = outcome.records
    records.epochs[k], records.steps[k] = run.epochs, run.state.counters[2]
    records.loss[k] = run.loss[-1] if run.stopped != "diverged" else np.nan
    if job.stopping is not None:
        records.best[k] = run.state.memory[Memory.BEST]
    if job.history:
        records.history[k, : run.epochs] = run.loss
        if validates:
            records.validation[k, : run.epochs] = run.validation_loss
    records.status[k] = {"finished": FINISHED, "early": EARLY, "diverged": DIVERGED}[run.stopped]
