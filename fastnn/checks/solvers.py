"""Checks of what a solver is asked for: it needs a loss without noise."""

from __future__ import annotations

from math import inf

from fastnn.checks.memory import check_memory, physical_memory
from fastnn.checks.values import counted
from fastnn.jobs.job import Job
from fastnn.settings.own import plain_name
from fastnn.settings.solvers import LBFGS, LevenbergMarquardt, is_bayesian
from fastnn.settings.spec import NetworkSpec

#: Bytes that the matrices of Levenberg-Marquardt may take: with more, a step takes minutes.
MOST_BYTES = 16 * 2**30


def refuse_with_solver(job: Job) -> None:
    """Refuse what a job's solver does not do.

    Raises
    ------
    ValueError
        If the job asks for it, or the solver would take more memory than it may.
    """
    solver, name = job.optimizer, type(job.optimizer).__name__
    if isinstance(solver, LevenbergMarquardt):
        if not job.loss.squared:
            raise ValueError(
                "loss must be a sum of squares, sse, mse or a fastnn.LeastSquares, for LevenbergMarquardt; "
                f"got {plain_name(job.loss.name)!r}"
            )
        _refuse_large_matrices(job.spec, 4 if is_bayesian(solver) else 2)
    if isinstance(solver, LBFGS):
        # A step and a gradient each, and what SciPy keeps of their products: 11 m**2 numbers.
        check_memory("memory of LBFGS", solver.memory, 8 * (2 * job.spec.n_params + 11 * solver.memory))
    if job.max_grad_norm < inf:
        raise ValueError(
            f"max_grad_norm must be None for {name}, which chooses the length of its steps; got {job.max_grad_norm}"
        )
    if job.dropout or job.input_noise:
        raise ValueError(
            f"dropout and input_noise must be 0 for {name}, which needs a loss without noise; "
            f"got {max(job.dropout, default=0.0)} and {job.input_noise}"
        )
    if is_bayesian(solver):
        if job.l2 > 0:
            raise ValueError(
                f"l2 must be 0 for LevenbergMarquardt with regularisation='bayesian', which finds it; got {job.l2}"
            )
        if job.slopes is not None:
            along = counted(len(job.slopes.directions), "direction")
            raise ValueError(
                f"dydx must be None with regularisation='bayesian', which takes values alone; got slopes along {along}"
            )


def _refuse_large_matrices(spec: NetworkSpec, matrices: int) -> None:
    """Refuse a network whose matrices in Levenberg-Marquardt would not fit into memory.

    These are the curvature and its factor, in float64 too if the network is float32; with a Bayesian penalty also an
    inverse and its squares.
    """
    columns = spec.n_params + 1
    needed = columns**2 * (matrices * 8 + (4 if spec.dtype == "float32" else 0))
    if needed > (most := min(MOST_BYTES, physical_memory())):
        raise ValueError(
            f"optimizer must be another, such as LBFGS(), for a network of {spec.n_params:,} parameters; "
            f"LevenbergMarquardt would take {needed / 2**30:.1f} GiB, and may take {most / 2**30:.1f}"
        )
