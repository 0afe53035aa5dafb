"""Chunks of members on the workers of an executor."""

from __future__ import annotations

import os
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait

from fastnn.ensembles.checkpoint import Checkpoint
from fastnn.ensembles.threads import Report
from fastnn.ensembles.train import train_members
from fastnn.jobs.members import MembersJob, MembersOutcome
from fastnn.training.interrupts import SECONDS_A_CALL


def run_on_executor(
    job: MembersJob,
    waiting: list[tuple[int, slice]],
    outcome: MembersOutcome,
    store: Checkpoint | None,
    executor: Executor,
    report: Report,
) -> None:
    """Train chunks on an executor's workers; the outcome, the checkpoint and the report follow as they finish.

    A few more chunks are submitted than are likely to run at once, so that no worker waits and memory stays bounded.

    Raises
    ------
    Exception
        The first failure of a worker or of the executor, after the results of the others have been collected.
    """
    queue = iter(waiting)
    running: dict[Future[MembersOutcome], tuple[int, slice]] = {}
    failure: BaseException | None = None
    try:
        while True:
            while failure is None and len(running) < 2 * (os.cpu_count() or 1) + 2:
                following = next(queue, None)
                if following is None:
                    break
                try:
                    running[executor.submit(train_members, job.part(following[1]))] = following
                except Exception as error:  # a broken pool takes nothing more
                    failure = error
            if not running:
                break
            # None is done, if none is for so long that it is time for a report.
            for future in wait(running, timeout=SECONDS_A_CALL, return_when=FIRST_COMPLETED).done:
                i, part = running.pop(future)
                try:
                    trained = future.result()
                except Exception as error:  # a lost worker: what others have finished is still collected
                    failure = failure or error
                    continue
                outcome.put(part, trained)
                if store is not None:
                    store.save(i, trained)
            report(outcome.records.n_ended)
    finally:
        for future in running:
            future.cancel()
    if failure is not None:
        raise failure
