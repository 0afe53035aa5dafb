"""Members in chunks, trained here one after another, or several at a time by an executor's workers."""

from __future__ import annotations

import os
from concurrent.futures import Executor
from contextlib import suppress
from functools import partial

from fastnn.checks import describe
from fastnn.ensembles.checkpoint import Checkpoint
from fastnn.ensembles.executor import run_on_executor
from fastnn.ensembles.train import train_members
from fastnn.jobs.members import MembersJob, MembersOutcome
from fastnn.training.interrupts import Interrupts
from fastnn.training.progress import MembersBar

#: Bytes that a chunk may take, and the most members of one.
CHUNK_BYTES, MOST_MEMBERS = 64 * 2**20, 2**14


def train_in_chunks(
    job: MembersJob,
    *,
    chunk: int | None,
    threads: int,
    progress: bool | None,
    executor: Executor | None,
    checkpoint: str | os.PathLike[str] | None,
) -> tuple[MembersOutcome, bool]:
    """Train all members of a job, chunk by chunk; the arguments are `fastnn.ensembles.fit_many.fit_many`'s.

    Returns
    -------
    outcome : MembersOutcome
        A member with status 0 was not finished when the run was interrupted.
    interrupted : bool
        Whether Ctrl-C was pressed.
    """
    if executor is not None and (isinstance(executor, type) or not hasattr(executor, "submit")):
        raise TypeError(f"executor must be a concurrent.futures.Executor; got {describe(executor)}")
    size = chunk or _chunk_size(job)
    parts = [slice(start, min(start + size, len(job))) for start in range(0, len(job), size)]
    outcome = MembersOutcome.blank(job)
    store = Checkpoint(checkpoint, job, size) if checkpoint is not None else None
    with MembersBar(progress, len(job)) as bar:
        waiting = []
        for i, part in enumerate(parts):
            if store is None or not store.load(i, outcome.part(part), job.streams[part]):
                waiting.append((i, part))
        bar.report(outcome.records.n_ended)
        with suppress(KeyboardInterrupt), Interrupts() as interrupts:

            def report(before: int, more: int = 0) -> None:
                bar.report(before + more)
                if interrupts.pending:
                    raise KeyboardInterrupt

            if executor is not None:
                run_on_executor(job, waiting, outcome, store, executor, report)
                return outcome, interrupts.pending
            done = outcome.records.n_ended
            for i, part in waiting:
                trained = train_members(job.part(part), threads, partial(report, done), outcome.part(part))
                done += part.stop - part.start
                if store is not None:
                    store.save(i, trained)
            return outcome, interrupts.pending
    return outcome, True


def _chunk_size(job: MembersJob) -> int:
    """The number of members whose chunk takes at most `CHUNK_BYTES`, which depends on the job's shapes alone."""
    numbers = 3 * job.spec.n_params  # the first, the last, and a copy on its way from a worker
    numbers += 6 + (2 * job.epochs if job.history else 0)  # records and histories
    for array in (job.X, job.y, job.weights, job.weights_val):
        numbers += array[0].size if len(array) > 1 else 0
    return max(1, min(MOST_MEMBERS, CHUNK_BYTES // (8 * numbers)))
