"""Train thousands of networks in one call."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from concurrent.futures import Executor
from functools import cache
from os import PathLike
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastnn import checks
from fastnn.ensembles.checkpoint import keep_seed
from fastnn.ensembles.chunks import train_in_chunks
from fastnn.jobs.members import MembersJob
from fastnn.jobs.monitor import ValidationData
from fastnn.kernels.jit.importing import importing_numba
from fastnn.kernels.jit.turned_off import compiler_is_off, warn_of_stand_in
from fastnn.models.ensemble import Ensemble
from fastnn.settings.early_stopping import EarlyStopping
from fastnn.settings.optimizers import Adam, Optimizer
from fastnn.settings.own import Loss
from fastnn.settings.solvers import Solver
from fastnn.settings.spec import NetworkSpec
from fastnn.training.verdict import REMEDY

#: Fewer members than this are trained sooner one after another than a kernel for them is compiled.
WORTH_COMPILING = 32


def fit_many(
    spec: NetworkSpec,
    X: ArrayLike,
    y: ArrayLike,
    *,
    epochs: int,
    members: ArrayLike | None = None,
    params: ArrayLike | None = None,
    loss: str | Loss = "mse",
    optimizer: Optimizer | Solver = Adam(),  # noqa: B008 - frozen
    batch_size: int | None = None,
    shuffle: bool = True,
    sample_weight: ArrayLike | None = None,
    l2: ArrayLike = 0.0,
    max_grad_norm: float | None = None,
    delta: float | Sequence[float] = 1.0,
    quantiles: float | Sequence[float] = 0.5,
    min_variance: float | Sequence[float] = 1e-6,
    targets: str = "complete",
    features: ArrayLike | None = None,
    dydx: ArrayLike | None = None,
    dydx_weight: float = 1.0,
    directions: ArrayLike | None = None,
    validation_data: ValidationData | None = None,
    early_stopping: EarlyStopping | None = None,
    init: str = "glorot_uniform",
    rng: Any = None,
    seeds: ArrayLike | None = None,
    history: bool = False,
    threads: int = 1,
    specialize: bool | None = None,
    progress: bool | None = None,
    executor: Executor | None = None,
    chunk: int | None = None,
    checkpoint: str | PathLike[str] | None = None,
    warn: bool = True,
) -> Ensemble:
    """Train many networks of one kind, each from its own initial weights and with its own settings.

    Small networks are trained in the lanes of SIMD vectors, by a kernel compiled for them; larger ones are trained one
    after another. A member's result does not depend on the other members, chunks, threads or executors, bit for bit.

    Parameters
    ----------
    spec : NetworkSpec
        The description of every member, such as another network's ``spec``.
    X : array_like, shape (n, n_in) or (K, n, n_in)
        The samples, for all K members or for each.
    y : array_like, shape (n, n_out) or (n,), or (K, n, n_out) or (K, n)
        The targets, for all members or for each; class labels if the loss takes them. With ``targets="masked"``, NaN in
        a member's own targets keeps it from learning that output: a mask of outputs.
    epochs : int
        Number of passes over the samples.
    members : int or array_like of int, shape (K,)
        How many members, or which: member k does not depend on the others, so that ``members=[k]`` with the same `rng`
        gives member k of the whole ensemble again.
    params : array_like, shape (K, n_params), optional
        The initial parameters, which are copied; by default drawn by `init`.
    loss : str or Loss
        As in `MLP.fit`.
    optimizer : Optimizer or Solver
        As in `MLP.fit`; its learning rate or momentum may be an array of shape (K,), with a value for each member. With
        a solver members are trained one after another.
    batch_size : int, optional
        Number of samples in a batch; by default all.
    shuffle : bool
        Whether each epoch of a member visits the samples in a new random order. A batch of all samples is not shuffled.
    sample_weight : array_like, shape (n,) or (K, n), optional
        Weight of each sample, for all members or for each, so that folds and bootstraps need no copies of the data.
    l2 : float or array_like, shape (K,)
        As in `MLP.fit`, for all members or for each.
    max_grad_norm, delta, quantiles, min_variance, targets
        As in `MLP.fit`.
    features : array_like of bool, shape (K, n_in), optional
        Which features each member uses. Its weights for the others are set to 0 and stay 0.
    dydx, dydx_weight, directions
        As in `MLP.fit`, the same for all members, which then share X and are trained one after another.
    validation_data : tuple (X, y) or (X, y, sample_weight), optional
        Samples on which the loss is computed after every epoch; the weights may have shape (n,) or (K, n).
    early_stopping : EarlyStopping, optional
        When to stop a member, whose lane then goes to the next one waiting.
    init : str
        How initial parameters are drawn: a name in `fastnn.initializers.INITIALIZERS`.
    rng : anything `numpy.random.default_rng` takes
        Source of the initial parameters and the shuffles, together with the member's number.
    seeds : array_like of int, shape (K,), optional
        A seed for each member, such as an `Ensemble.seed`, instead of `rng`, from which a seed is drawn; each member is
        then member 0 of its seed.
    history : bool
        Whether to keep the losses of every epoch.
    threads : int
        Number of threads in this process; workers of an executor use one each.
    specialize : bool, optional
        Whether to compile a kernel for just these networks. By default for small ones, unless a metric, `dydx`, a
        solver or `fastnn.schedules.ReduceOnPlateau` is asked for, with which True is refused. Without it members are
        trained one after another, and results differ by rounding.
    progress : bool, optional
        Whether to show the number of finished members, the rate and the time left; by default as in `MLP.fit`.
    executor : concurrent.futures.Executor, optional
        Where chunks of members are trained: a `concurrent.futures.ProcessPoolExecutor`, dask's
        ``client.get_executor()``, ``mpi4py.futures.MPIPoolExecutor()`` or any other.
    chunk : int, optional
        Number of members in a chunk; by default chosen to bound the memory.
    checkpoint : path_like, optional
        A directory in which finished chunks are kept; a later call with the same data and settings trains only what is
        missing. Without `rng` and `seeds`, it keeps the seed as well.
    warn : bool
        Whether to warn of what the records also tell: members that diverged or stalled, and a run that was interrupted.

    Returns
    -------
    Ensemble
        After Ctrl-C only the members that were finished, with a warning.

    Raises
    ------
    TypeError
        If an argument has the wrong type.
    ValueError
        If an argument is invalid, does not fit the others, or holds NaN or infinity; or if the checkpoint belongs to
        another run.
    ImportError
        If rich is not installed for ``progress=True``.
    OSError
        If a checkpoint cannot be written or read.

    Warns
    -----
    RuntimeWarning
        If members diverge, which then keep the parameters after their last finite epoch; if a solver stalls away from a
        minimum; or if the run is interrupted.

    Examples
    --------
    >>> net = fastnn.MLP((10, 16, 1))
    >>> rng, n = np.random.default_rng(0), len(X)
    >>> counts = rng.multinomial(n, np.full(n, 1 / n), size=500)
    >>> many = fastnn.fit_many(net.spec, X, y, members=500, sample_weight=counts, epochs=200, rng=0)
    """
    job = checks.check_members_job(
        spec, X, y, epochs=epochs, members=members, params=params, loss=loss, optimizer=optimizer,
        batch_size=batch_size, shuffle=shuffle, sample_weight=sample_weight, l2=l2, max_grad_norm=max_grad_norm,
        delta=delta, quantiles=quantiles, min_variance=min_variance, targets=targets, features=features,
        dydx=dydx, dydx_weight=dydx_weight, directions=directions,
        validation_data=validation_data, early_stopping=early_stopping, init=init, rng=rng, seeds=seeds,
        history=history, specialize=specialize,
    )  # fmt: skip
    job.specialize, warn = _goes_in_lanes(job), checks.check_flag("warn", warn)
    if checkpoint is not None and rng is None and seeds is None:
        keep_seed(checkpoint, job)
    outcome, interrupted = train_in_chunks(
        job,
        chunk=None if chunk is None else checks.check_integer("chunk", chunk, 1),
        threads=checks.check_integer("threads", threads, 1),
        progress=checks.check_optional_flag("progress", progress),
        executor=executor,
        checkpoint=checkpoint,
    )
    seed = None if seeds is not None else int(job.seeds[0])
    many = Ensemble(spec, outcome.params, outcome.records, seed)
    done = outcome.records.n_ended
    if interrupted and warn:
        warnings.warn(f"interrupted: {done} of {len(job)} members are finished", RuntimeWarning, stacklevel=2)
    if done < len(job):
        many = many[outcome.records.ended]
    diverged = np.count_nonzero(many.records.diverged)
    if diverged and warn:
        warnings.warn(
            f"training diverged for {diverged} of {len(many)} members: their loss or parameters are no longer finite; "
            "they keep the parameters after their last finite epoch",
            RuntimeWarning,
            stacklevel=2,
        )
    stalled = np.count_nonzero(many.stopped == "stalled")
    if stalled and warn:
        warnings.warn(
            f"training stalled for {stalled} of {len(many)} members, away from a minimum; {REMEDY}",
            RuntimeWarning,
            stacklevel=2,
        )
    return many


def _goes_in_lanes(job: MembersJob) -> bool:
    """Whether members are trained in lanes: as the user says, or by default where it is faster."""
    if compiler_is_off():  # each member alone, by plain loops
        warn_of_stand_in(stacklevel=3)
        return False
    if job.specialize is None:
        return job.may_use_lanes and _dispatch().members_in_lanes(job.spec)
    return job.specialize


@cache
def _dispatch() -> ModuleType:
    """`fastnn.kernels.dispatch`, which imports Numba."""
    with importing_numba():
        from fastnn.kernels import dispatch
    return dispatch
