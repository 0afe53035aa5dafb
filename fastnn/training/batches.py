"""Training on batches from an iterator, for data that do not fit in memory; a thread fetches one batch ahead."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from functools import partial
from queue import SimpleQueue
from threading import Thread
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn.checks import check_batch, describe
from fastnn.jobs.job import Job, State, Status, Train
from fastnn.jobs.missing import counted_weights
from fastnn.training.interrupts import SECONDS_A_CALL, UNBOUNDED, Interrupted, Interrupts

Batch = tuple[NDArray, NDArray, NDArray | None]
Task = tuple["Future[Batch | None]", Callable[[], Batch | None]]


class OneThread:
    """A thread that does one task after another; unlike an executor's, it still does once the main thread has ended."""

    def __init__(self, name: str):
        self._tasks: SimpleQueue[Task | None] = SimpleQueue()
        self._thread = Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, do: Callable[[], Batch | None]) -> Future[Batch | None]:
        """What `do()` will return, or raise."""
        future: Future[Batch | None] = Future()
        self._tasks.put((future, do))
        return future

    def close(self, wait: bool) -> None:
        """End the thread after its present task, and perhaps wait for that."""
        self._tasks.put(None)
        if wait:
            self._thread.join()

    def _run(self) -> None:
        while (task := self._tasks.get()) is not None:
            future, do = task
            try:
                future.set_result(do())
            except BaseException as error:  # for the caller to raise
                future.set_exception(error)
            del task, future, do  # or the frame, which an error's traceback holds, would hold the error


class Feed:
    """The batches of a job, taken one by one; a context that ends the thread which fetches them.

    Parameters
    ----------
    job : Job
        Whose `batches` yields, anew in every epoch, ``(X, y)`` or ``(X, y, sample_weight)``.
    trainer : callable
        The twin's: from the job of one batch and its state it makes what runs it.
    end_epoch : callable
        What is done when an epoch ends.
    interrupts : Interrupts
        Ends a call while a batch is waited for, or between two.
    """

    def __init__(
        self,
        job: Job,
        trainer: Callable[[Job, State], Train],
        end_epoch: Callable[..., bool],
        interrupts: Interrupts,
    ):
        self._job, self._trainer, self._end_epoch, self._interrupts = job, trainer, end_epoch, interrupts
        self._before = job.params.copy()
        self._thread = OneThread("fastnn-batches")
        self._place: tuple[int, int] | None = None  # epoch and number of the batch that is fetched
        self._fetched: Future[Batch | None] | None = None
        self._iterator: Iterator[Any] = iter(())
        self._is_closed = False

    def train(
        self, state: State, learning_rates: NDArray[np.float64], losses: NDArray[np.float64], max_steps: int
    ) -> Status:
        """Run the job from where its state stands: the contract of `fastnn.reference.training.train`.

        A batch that is refused leaves the parameters as they were before the run.
        """
        try:
            return self._train(state, learning_rates, losses, max_steps)
        except (TypeError, ValueError):
            self._job.params[:] = self._before
            raise

    def _train(
        self, state: State, learning_rates: NDArray[np.float64], losses: NDArray[np.float64], max_steps: int
    ) -> Status:
        job, first_step = self._job, state.steps_done
        for i in range(len(losses)):
            while True:
                if state.steps_done - first_step == max_steps:
                    return Status.PAUSED
                try:
                    batch = self._next(state.epochs_done, state.batches_done, max_steps < UNBOUNDED)
                except Interrupted:
                    return Status.PAUSED
                if batch is None:
                    break
                status = self._step(state, batch, learning_rates[i : i + 1])
                if status is not Status.DONE:
                    return status
            if state.batches_done == 0:
                raise ValueError("X must yield at least one batch in every epoch; got none")
            losses[i] = state.sums[0] / (state.sums[1] or 1.0)
            stop = job.monitor is not None and self._end_epoch(job, state, losses[i], learning_rates, i)
            state.counters[:2] = state.epochs_done + 1, 0
            state.sums[:] = 0
            if stop:
                return Status.STOPPED
        return Status.DONE

    def __enter__(self) -> Feed:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the thread after the batch that it fetches; after a second Ctrl-C not even that is waited for."""
        self._is_closed = True
        self._thread.close(wait=kind is not KeyboardInterrupt)

    def _next(self, epoch: int, number: int, answers: bool) -> Batch | None:
        """A batch of an epoch, None after the last; the one after it is then fetched.

        Raises `Interrupted` after Ctrl-C if this is to be answered.
        """
        if self._place != (epoch, number) or self._fetched is None:
            assert self._job.batches is not None
            batches = self._job.batches()
            holds_some = hasattr(batches, "__iter__") or hasattr(batches, "__getitem__")
            if not holds_some or getattr(batches, "ndim", 1) == 0:
                raise TypeError(
                    f"X must yield batches, as a generator function does; got {describe(batches)} of its call"
                )
            self._iterator = iter(batches)
            self._place = (epoch, number)
            self._fetched = self._thread.submit(partial(self._fetch, self._iterator, number, skipped=number))
        while True:
            if answers:
                self._interrupts.answer()
            with suppress(TimeoutError):  # of this wait; an error that the batch ended in is returned, not raised
                self._fetched.exception(SECONDS_A_CALL)
                break
        try:
            batch = self._fetched.result()
        finally:
            self._fetched = None  # or an error would hold itself, by its traceback
        self._place = (epoch, number + 1)
        if batch is not None:
            self._fetched = self._thread.submit(partial(self._fetch, self._iterator, number + 1))
        return batch

    def _fetch(self, iterator: Iterator[Any], number: int, skipped: int = 0) -> Batch | None:
        """The next batch of an iterator, or None after the last, once this many batches have been skipped."""
        missing = object()
        for _ in range(skipped):  # in this thread: what yields them may be bound to one, as a database's cursor is
            if self._is_closed:
                return None
            next(iterator, None)
        batch = next(iterator, missing)
        if batch is missing:
            return None
        X, y, weight = check_batch(batch, number, self._job.spec, self._job.loss)
        # Copies: whatever yields batches may refill the same arrays while the network is trained on these.
        return X.copy(), y.copy(), None if weight is None else weight.copy()

    def _step(self, state: State, batch: Batch, learning_rate: NDArray[np.float64]) -> Status:
        """Take one step of the optimizer on a batch."""
        X, y, weight = batch
        one = replace(
            self._job, X=X, y=y, sample_weight=weight, batch_size=len(X), shuffle=False, monitor=None, batches=None
        )
        counters, loss = np.array([state.epochs_done, 0, state.steps_done], np.int64), np.empty(1)
        place = State(state.optimizer, state.seed, state.slots, counters, np.zeros(2))
        status = self._trainer(one, place)(place, learning_rate, loss, 1)
        if status is Status.BAD_DATA:
            self._job.X, self._job.y, self._job.sample_weight = batch  # so that the error can name the fault
        if status is Status.DONE:
            counted = counted_weights(self._job.loss, y, weight)
            batch_weight = len(X) if counted is None else counted.sum(dtype=np.float64)
            state.sums += loss[0] * batch_weight, batch_weight
            state.counters[1:] += 1
        return status
