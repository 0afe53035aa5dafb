"""Checks of how a network is trained, up to the whole `Job`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn.checks.arrays import check_apart, check_finite
from fastnn.checks.data import (
    check_inputs,
    check_sample_weight,
    check_some_present,
    check_targets,
    copied_labels,
    without_marks,
)
from fastnn.checks.losses import check_loss, check_loss_parameter
from fastnn.checks.networks import draw_seed
from fastnn.checks.optimizers import check_optimizer
from fastnn.checks.settings import check_in_dtype
from fastnn.checks.slopes import check_slopes
from fastnn.checks.solvers import refuse_with_solver
from fastnn.checks.trainable import check_same_frozen, check_trainable
from fastnn.checks.values import (
    ABOVE_0,
    AT_LEAST_0,
    check_flag,
    check_integer,
    check_number,
    check_optional_flag,
    counted,
    describe,
    is_sequence,
)
from fastnn.jobs.job import Job, State
from fastnn.settings import catalogue, solvers
from fastnn.settings.intervals import UNIT
from fastnn.settings.optimizers import Optimizer
from fastnn.settings.solvers import Solver
from fastnn.settings.spec import NetworkSpec


def check_l2(l2: Any) -> float:
    """The factor of the squared weights in the loss: a finite number of at least 0."""
    return check_number("l2", l2, AT_LEAST_0)


def check_max_grad_norm(max_grad_norm: Any) -> float:
    """The largest 2-norm of a gradient: a number above 0, or infinity for None."""
    return inf if max_grad_norm is None else check_number("max_grad_norm", max_grad_norm, ABOVE_0)


def check_no_views(params: NDArray, **data: NDArray | None) -> None:
    """Refuse data that share their memory with the parameters; raises ValueError if some do."""
    for name, array in data.items():
        if array is not None:
            check_apart(**{name: array}, params=params)


def check_writable(params: NDArray) -> None:
    """Refuse parameters that are read-only; raises ValueError if they are."""
    if not params.flags.writeable:
        raise ValueError("params must be writable to be trained; got a read-only array")


def check_batch_size(batch_size: Any, rows: int, optimizer: Optimizer | Solver) -> int:
    """The number of rows in a batch, at most `rows`; all of them for None.

    Raises
    ------
    TypeError, ValueError
        If it is not an integer above 0, or less than `rows` for an optimizer that needs full batches.
    """
    size = rows if batch_size is None else min(check_integer("batch_size", batch_size, 1), rows)
    if size < rows and _takes_whole_batches(optimizer):
        name = type(optimizer).__name__
        raise ValueError(f"batch_size must be None, or at least the {rows} rows of X, for {name}; got {size}")
    return size


def _takes_whole_batches(optimizer: Optimizer | Solver) -> bool:
    """Whether an optimizer needs the gradient over all the data in every step."""
    return isinstance(optimizer, Solver) or catalogue.OPTIMIZERS[type(optimizer).__name__].whole_batch


def check_shuffle(shuffle: Any, batch_size: int, rows: int) -> bool:
    """Whether the rows are visited in random orders; not in a batch of all rows, where only rounding would show it.

    Raises
    ------
    TypeError
        If it is not a flag.
    """
    return check_flag("shuffle", shuffle) and batch_size < rows


def check_dropout(dropout: Any, spec: NetworkSpec) -> tuple[float, ...]:
    """The dropout rate of each hidden layer, from one for all or one for each; empty if all are 0.

    Raises
    ------
    TypeError, ValueError
        If it is neither a number in [0, 1) nor one for each hidden layer.
    """
    if type(dropout) is float and dropout == 0.0:
        return ()
    hidden = spec.n_layers - 1
    given = list(dropout) if is_sequence(dropout) else [dropout] * hidden
    if len(given) != hidden:
        raise ValueError(
            f"dropout must be one number, or one for each of {counted(hidden, 'hidden layer')}; got {len(given)}"
        )
    rates = tuple(check_number("dropout", rate, UNIT) for rate in given)
    return rates if any(rates) else ()


def _refuse_with_batches(optimizer: Optimizer | Solver, **arguments: Any) -> None:
    if _takes_whole_batches(optimizer):
        name = type(optimizer).__name__
        raise ValueError(f"X must be all samples at once for {name}; got a callable that yields batches")
    for argument, value in arguments.items():
        if value is not None:
            raise ValueError(f"{argument} must be None where X yields batches; got {describe(value)}")


def check_job(
    spec: NetworkSpec,
    params: NDArray,
    X: Any,
    y: Any,
    *,
    loss: Any,
    delta: Any,
    quantiles: Any = 0.5,
    min_variance: Any = 1e-6,
    targets: Any = "complete",
    optimizer: Any,
    batch_size: Any,
    shuffle: Any,
    sample_weight: Any,
    l2: Any,
    max_grad_norm: Any,
    dropout: Any = 0.0,
    input_noise: Any = 0.0,
    dydx: Any = None,
    dydx_weight: Any = 1.0,
    directions: Any = None,
    trainable: Any = None,
) -> Job:
    """A training run of a network, whose `spec` and `params` are trusted; the rest is as in `MLP.fit`.

    Raises
    ------
    TypeError
        If an argument has the wrong type.
    ValueError
        If an argument is invalid, or does not fit the others.
    """
    loss = check_loss(loss, spec, targets)
    optimizer = check_optimizer(optimizer)
    if isinstance(X, Iterator):  # which one epoch would use up
        raise TypeError(f"X must be samples, or what yields their batches whenever it is called; got {describe(X)}")
    batches = X if callable(X) else None
    if batches is not None:
        _refuse_with_batches(optimizer, y=y, batch_size=batch_size, sample_weight=sample_weight, dydx=dydx)
        X, n_targets = np.zeros((1, spec.n_in)), loss.n_targets(spec.n_out)
        y = np.zeros(1) if loss.labels else np.zeros((1, n_targets))  # both stand for what will come
    X = check_inputs(X, spec, least=1)
    rows = len(X)
    y = copied_labels(check_targets(y, spec, loss, rows))
    weights = check_sample_weight(sample_weight, spec, rows)
    check_some_present(loss, y, weights)
    batch_size = check_batch_size(batch_size, rows, optimizer)
    check_finite("params", params)
    check_writable(params)
    check_no_views(params, X=X, y=y, sample_weight=weights)
    X, y = without_marks(X, weights), without_marks(y, weights)
    rates, input_noise = check_dropout(dropout, spec), check_number("input_noise", input_noise, AT_LEAST_0)
    l2, max_grad_norm = check_l2(l2), check_max_grad_norm(max_grad_norm)
    check_in_dtype(spec, optimizer, input_noise=input_noise, l2=l2)
    slopes = check_slopes(dydx, dydx_weight, directions, spec, loss, rows)
    if slopes is not None:
        if rates or input_noise:
            raise ValueError(
                f"dydx must be None with dropout or input_noise, which take values alone; got {describe(dydx)}"
            )
        check_no_views(params, dydx=slopes.values, directions=slopes.directions)
        slopes = replace(slopes, values=without_marks(slopes.values, weights))
    job = Job(
        spec=spec,
        params=params,
        X=X,
        y=y,
        loss=loss,
        trainable=check_trainable(trainable, spec),
        batches=batches,
        optimizer=optimizer,
        batch_size=batch_size,
        sample_weight=weights,
        loss_parameter=check_loss_parameter(loss, spec, delta=delta, quantiles=quantiles, min_variance=min_variance),
        shuffle=check_shuffle(shuffle, batch_size, rows),
        l2=l2,
        dropout=rates,
        input_noise=input_noise,
        slopes=slopes,
        max_grad_norm=max_grad_norm,
    )
    if isinstance(optimizer, Solver):
        refuse_with_solver(job)
    return job


def check_specialize(specialize: Any, job: Job, backend: str) -> bool | None:
    """Whether to compile a kernel for a job's network; None leaves the choice open.

    Raises
    ------
    TypeError
        If it is neither None nor a flag.
    ValueError
        If it is True for a job that such kernels cannot do; the NumPy twin, which compiles nothing, ignores it.
    """
    specialize = check_optional_flag("specialize", specialize)
    if specialize and backend == "numba" and not job.may_use_lanes:
        raise ValueError(
            "specialize must not be True with dydx, trainable, dropout, input_noise, batches from a callable or "
            "a solver, which the specialised path does not support"
        )
    return specialize


def check_state(state: Any, rng: Any, job: Job) -> State:
    """The state a run starts from: a copy of the one given, or a fresh one with a seed drawn from `rng`.

    Raises
    ------
    TypeError
        If it is not a `State`.
    ValueError
        If it belongs to another network or optimizer, is given with an `rng`, or would change frozen parameters.
    """
    if state is None:
        return State.fresh(job.spec, job.optimizer, draw_seed(rng))
    if not isinstance(state, State):
        raise TypeError(f"state must be the state of a history, history.state; got {describe(state)}")
    if isinstance(job.optimizer, solvers.LBFGS):
        raise ValueError(
            "state must be None for LBFGS, whose memory of past gradients it does not hold; "
            f"got that of a run of {state.optimizer}"
        )
    if rng is not None:
        raise ValueError(f"rng must be None where state resumes a run, whose seed it holds; got {describe(rng)}")
    name, n_params, dtype = type(job.optimizer).__name__, job.spec.n_params, job.spec.dtype
    slots = np.atleast_2d(state.slots)
    if state.optimizer != name or slots.shape[1:] != (n_params,) or slots.dtype != dtype:
        raise ValueError(
            f"state must be that of a run of {name} on {n_params} parameters of {dtype}; "
            f"got one of {state.optimizer} on {slots.shape[-1]} of {slots.dtype}"
        )
    _check_fields(state, State.fresh(job.spec, job.optimizer, 0))
    check_same_frozen(state, job)
    return state.copy()


def _check_fields(state: State, fresh: State) -> None:
    """Refuse a state that no run has left: its fields must be like those of a fresh one of the same run.

    Raises
    ------
    ValueError
        If one has another type, dtype or shape, or the seed or a counter is out of its range.
    """
    like = {name: array for name, array in vars(fresh).items() if isinstance(array, np.ndarray)}
    like_params = np.empty(fresh.slots.shape[1], fresh.slots.dtype)
    like["best"] = like_params if np.size(state.best) else fresh.best
    if state.last is not None:
        like["last"] = like_params
    for name, array in like.items():
        given = getattr(state, name)
        dtype = array.dtype if array.size else getattr(given, "dtype", None)
        if not isinstance(given, np.ndarray) or given.dtype != dtype or given.shape != array.shape:
            expected = f"{name} of state must be an array of shape {array.shape} and dtype {array.dtype}"
            raise ValueError(f"{expected}; got {describe(given)}")
    check_integer("seed of state", state.seed, 0)
    if state.counters.min() < 0:
        raise ValueError(f"counters of state must be at least 0; got {state.counters.min()}")


def check_batches_done(state: State, job: Job) -> None:
    """Refuse a state that has done as many batches of its epoch as the job's epochs have, or more.

    Raises
    ------
    ValueError
        If it has done at least as many batches of its present epoch as an epoch of the job has.
    """
    if state.batches_done >= job.n_batches:
        raise ValueError(
            f"state must be that of a run with {job.n_batches} batches an epoch; "
            f"got one that has done {state.batches_done} of its current epoch"
        )
