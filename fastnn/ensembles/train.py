"""Train all members of a job, in lanes or one by one."""

from __future__ import annotations

from contextlib import nullcontext
from threading import Event

import numpy as np

from fastnn.ensembles.initial_weights import initialize_members
from fastnn.ensembles.one_by_one import one_by_one
from fastnn.ensembles.threads import Report, share, silent
from fastnn.jobs.members import MembersJob, MembersOutcome
from fastnn.kernels.jit.importing import importing_numba
from fastnn.settings.initializers import INITIALIZERS
from fastnn.settings.solvers import Solver
from fastnn.training.blas import blas_threads


def train_members(
    job: MembersJob, threads: int = 1, report: Report = silent, outcome: MembersOutcome | None = None
) -> MembersOutcome:
    """Train all members of a job.

    Parameters
    ----------
    job : MembersJob
        The members and their data.
    threads : int
        Number of threads that share the members; the result does not depend on it, bit for bit.
    report : callable
        Called now and then, by this thread, with the number of finished members; an exception in it ends the training.
    outcome : MembersOutcome, optional
        A blank outcome to write to.

    Returns
    -------
    MembersOutcome
    """
    first = job.params
    if first is None:
        first = initialize_members(job.spec, INITIALIZERS[job.init], job.seeds, job.streams)
    outcome = MembersOutcome.blank(job) if outcome is None else outcome
    if job.features is not None:
        first = first.copy()
        first[job.unseen_weights()] = 0
    outcome.params[:] = first
    halt = Event()
    if job.specialize:
        with importing_numba():
            from fastnn.ensembles.in_lanes import in_lanes, rewind

        new_worker = in_lanes(job, outcome)
    else:
        new_worker = one_by_one(job, outcome, halt)
    # Each member limits BLAS for itself; within this limit none changes it while another computes.
    limited_blas = blas_threads() if isinstance(job.optimizer, Solver) else nullcontext()
    try:
        with limited_blas:
            share(new_worker, min(threads, len(job)), outcome, report, halt)
        if job.specialize:
            rewind(job, first, outcome, report)
    except BaseException:  # Ctrl-C: a member that diverged is not finished until `rewind` has found what it keeps
        outcome.records.status[~np.isfinite(outcome.params).all(axis=1)] = 0
        raise
    finally:
        outcome.records.end_histories()
    return outcome
