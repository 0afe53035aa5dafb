"""Checks of how a network is trained, up to the whole `Job`."""

from __future__ import annotations

import secrets
from dataclasses import replace
from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn.checks.arrays import (
    check_finite,
    check_inputs,
    check_sample_weight,
    check_some_present,
    check_targets,
)
from fastnn.checks.memory import check_memory, physical_memory
from fastnn.checks.monitor import check_schedule
from fastnn.checks.networks import check_rng
from fastnn.checks.own import check_own_loss
from fastnn.checks.slopes import check_slopes
from fastnn.checks.trainable import check_same_frozen, check_trainable
from fastnn.checks.values import (
    ABOVE_0,
    AT_LEAST_0,
    check_flag,
    check_integer,
    check_name,
    check_number,
    check_optional_flag,
    describe,
    is_sequence,
    nearest,
)
from fastnn.jobs.job import Job, State
from fastnn.settings import catalogue, optimizers, own, solvers
from fastnn.settings.intervals import ANY, UNIT, intervals_of
from fastnn.settings.optimizers import Optimizer
from fastnn.settings.schedules import Schedule
from fastnn.settings.solvers import Solver
from fastnn.settings.spec import NetworkSpec

_SOLVERS = {"LevenbergMarquardt": solvers.LevenbergMarquardt, "LBFGS": solvers.LBFGS}
_OPTIMIZERS = {name: getattr(optimizers, name) for name in catalogue.OPTIMIZERS} | _SOLVERS
_KNOWN = frozenset(_OPTIMIZERS.values())

#: That the matrices of Levenberg-Marquardt may take: with more a step takes minutes.
MOST_BYTES = 16 * 2**30


def check_optimizer(optimizer: Any) -> Optimizer | Solver:
    """An update rule whose settings are floats and bools within their bounds.

    Raises
    ------
    TypeError
        If it is none of fastnn's optimizers, or a setting has the wrong type.
    ValueError
        If a setting is out of its bounds.
    """
    if type(optimizer) not in _KNOWN:
        hint = nearest(optimizer, _OPTIMIZERS) if isinstance(optimizer, str) else ""
        hint = "; call it: its settings have defaults" if any(optimizer is kind for kind in _KNOWN) else hint
        names = ", ".join(f"fastnn.{name}" for name in _OPTIMIZERS)
        raise TypeError(f"optimizer must be an instance of {names}; got {describe(optimizer)}{hint}")
    converted: dict[str, Any] = {}
    intervals = intervals_of(optimizer)
    for name, value in vars(optimizer).items():
        interval, kind = intervals.get(name, ANY), type(getattr(type(optimizer), name))
        if type(value) is float is kind and value in interval:
            continue
        argument = f"{name} of {type(optimizer).__name__}"
        if name == "learning_rate" and isinstance(value, Schedule):
            checked: Any = check_schedule(value)
        elif kind is bool:
            checked = check_flag(argument, value)
        elif kind is type(None):
            names = type(optimizer).__dataclass_fields__[name].metadata["names"]
            checked = value if value is None else check_name(argument, value, names)
        elif kind is int:
            checked = check_integer(argument, value, int(interval.low))
        else:
            checked = check_number(argument, value, interval)
        if checked is not value:
            converted[name] = checked
    optimizer = replace(optimizer, **converted) if converted else optimizer
    if isinstance(optimizer, optimizers.SGD) and optimizer.nesterov and optimizer.momentum == 0:
        raise ValueError("momentum of SGD must be above 0 with nesterov=True; got 0.0")
    row = catalogue.OPTIMIZERS.get(type(optimizer).__name__)
    if row is not None and row.keeps_step_sizes and isinstance(optimizer.learning_rate, Schedule):
        raise TypeError(
            f"learning_rate of {row.name} must be a number, its first step size; got {optimizer.learning_rate}"
        )
    if isinstance(optimizer, optimizers.Rprop) and optimizer.step_min > optimizer.step_max:
        raise ValueError(f"step_min of Rprop must be at most step_max, {optimizer.step_max}; got {optimizer.step_min}")
    return optimizer


def check_loss(loss: Any, spec: NetworkSpec, targets: Any = "complete") -> catalogue.Loss:
    """The row of a loss that suits the network's output.

    Raises
    ------
    TypeError
        If it is neither a string nor a `fastnn.Loss`, or one whose functions cannot be compiled.
    ValueError
        If it is unknown, has a wrong gradient, or does not suit the output activation or the number of outputs.
    """
    row = check_loss_row(loss)
    if not row.goes_with(spec.output_activation):
        fitting = [name for name, other in catalogue.LOSSES.items() if other.goes_with(spec.output_activation)]
        raise ValueError(
            f"loss must go with the network's output activation {spec.output_activation!r}, "
            f"as {', '.join(fitting)} would; got {loss!r}"
        )
    if not row.fits(spec.n_out):
        raise ValueError(
            f"loss must suit the number of outputs, of which {loss!r} takes {row.outputs_per_target} for each "
            f"target; got a network of {spec.n_out}"
        )
    if check_name("targets", targets, ("complete", "masked")) == "complete":
        return row
    if not row.may_be_masked:
        raise ValueError(f"targets must be 'complete' for {loss}, which needs every sample's class; got {targets!r}")
    return row.where_present()


def check_loss_row(loss: Any) -> catalogue.Loss:
    """The row of a loss given by name, or a user's own loss; raises as `check_loss`."""
    if callable(loss):
        raise TypeError(f"loss must be a name, or a fastnn.Loss made of two functions; got {describe(loss)}")
    if not isinstance(loss, own.Loss):
        return catalogue.LOSSES[check_name("loss", loss, catalogue.LOSSES)]
    check_own_loss(loss)
    return loss


def check_loss_parameter(loss: catalogue.Loss, spec: NetworkSpec, **given: Any) -> NDArray | float:
    """A loss's parameter, `catalogue.Loss.parameter`: one number, or shape (n_targets,), one for each target.

    Raises
    ------
    TypeError, ValueError
        If any parameter, of this loss or another, is not a number in its interval, or has another length.
    """
    checked: dict[str, NDArray | float] = {}
    n_targets = loss.n_targets(spec.n_out)
    each = "output" if n_targets == spec.n_out else "target"
    for parameter in catalogue.PARAMETERS:
        name, value = parameter.name, given.get(parameter.name, parameter.default)
        if not is_sequence(value):
            checked[name] = check_number(name, value, parameter.interval)
            continue
        if len(value) != n_targets:
            raise ValueError(f"{name} must be one number or {n_targets}, one for each {each}; got {len(value)}")
        checked[name] = np.array([check_number(name, number, parameter.interval) for number in value], spec.dtype)
    return 1.0 if loss.parameter is None else checked[loss.parameter.name]


def check_l2(l2: Any) -> float:
    """The factor of the squared weights in the loss: a finite number of at least 0."""
    return check_number("l2", l2, AT_LEAST_0)


def check_max_grad_norm(max_grad_norm: Any) -> float:
    """The largest 2-norm of a gradient: a number above 0, or infinity for None."""
    return inf if max_grad_norm is None else check_number("max_grad_norm", max_grad_norm, ABOVE_0)


def check_batch_size(batch_size: Any, rows: int, optimizer: Optimizer | Solver) -> int:
    """The number of rows in a batch, at most `rows`; all of them for None.

    Raises
    ------
    TypeError, ValueError
        If it is not an integer above 0, or less than `rows` for an optimizer that needs full batches.
    """
    size = rows if batch_size is None else min(check_integer("batch_size", batch_size, 1), rows)
    name = type(optimizer).__name__
    if size < rows and (isinstance(optimizer, Solver) or catalogue.OPTIMIZERS[name].whole_batch):
        raise ValueError(f"batch_size must be None, or at least the {rows} rows of X, for {name}; got {size}")
    return size


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
        raise ValueError(f"dropout must be one number, or {hidden}, one for each hidden layer; got {len(given)}")
    rates = tuple(check_number("dropout", rate, UNIT) for rate in given)
    return rates if any(rates) else ()


def _refuse_with_batches(optimizer: Optimizer | Solver, **arguments: Any) -> None:
    name = type(optimizer).__name__
    if isinstance(optimizer, Solver) or catalogue.OPTIMIZERS[name].whole_batch:
        raise ValueError(f"X must be all samples at once for {name}; got a callable that yields batches")
    for argument, value in arguments.items():
        if value is not None:
            raise ValueError(f"{argument} must be None where X yields batches; got {describe(value)}")


def _refuse_large_matrices(spec: NetworkSpec, matrices: int) -> None:
    """Refuse a network whose matrices in Levenberg-Marquardt would not fit into memory.

    These are the curvature and its factor, in float64 too if the network is float32; with a Bayesian penalty also the
    curvature of the data and an inverse.
    """
    columns = spec.n_params + 1
    needed = columns**2 * (matrices * 8 + (4 if spec.dtype == "float32" else 0))
    if needed > (most := min(MOST_BYTES, physical_memory())):
        raise ValueError(
            f"optimizer must be another, such as LBFGS(), for a network of {spec.n_params:,} parameters; "
            f"LevenbergMarquardt would take {needed / 2**30:.1f} GiB, and may take {most / 2**30:.1f}"
        )


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
    row = check_loss(loss, spec, targets)
    optimizer = check_optimizer(optimizer)
    batches = X if callable(X) else None
    if batches is not None:
        _refuse_with_batches(optimizer, y=y, batch_size=batch_size, sample_weight=sample_weight, dydx=dydx)
        X, n_targets = np.zeros((1, spec.n_in)), row.n_targets(spec.n_out)
        y = np.zeros(1) if row.labels else np.zeros((1, n_targets))  # both stand for what will come
    X = check_inputs(X, spec, least=1)
    rows = len(X)
    y = check_targets(y, spec, row, rows)
    weights = check_sample_weight(sample_weight, spec, rows)
    check_some_present(row, y, weights)
    batch_size, name = check_batch_size(batch_size, rows, optimizer), type(optimizer).__name__
    check_finite("params", params)
    if name == "LevenbergMarquardt" and not row.squared:
        raise ValueError(
            f"loss must be a sum of squares, sse, mse or a fastnn.LeastSquares, for LevenbergMarquardt; got {loss!r}"
        )
    if name == "LevenbergMarquardt":
        _refuse_large_matrices(spec, 4 if solvers.is_bayesian(optimizer) else 2)
    if isinstance(optimizer, solvers.LBFGS):
        check_memory("memory of LBFGS", optimizer.memory, 2 * 8 * spec.n_params)  # a step and a gradient each
    if name in _SOLVERS and max_grad_norm is not None:
        raise ValueError(f"max_grad_norm must be None for {name}, which chooses the length of its steps")
    l2 = check_l2(l2)
    if l2 > 0 and solvers.is_bayesian(optimizer):
        raise ValueError(f"l2 must be 0 for LevenbergMarquardt with regularisation='bayesian', its own; got {l2}")
    rates, input_noise = check_dropout(dropout, spec), check_number("input_noise", input_noise, AT_LEAST_0)
    if name in _SOLVERS and (rates or input_noise):
        raise ValueError(f"dropout and input_noise must be 0 for {name}, which needs a loss without noise")
    slopes = check_slopes(dydx, dydx_weight, directions, spec, row, rows)
    if slopes is not None and (name == "LBFGS" or rates or input_noise):
        raise ValueError("dydx must be None with dropout, input_noise or LBFGS, which take values alone")
    if slopes is not None and solvers.is_bayesian(optimizer):
        raise ValueError("dydx must be None with regularisation='bayesian', which takes values alone")
    parts = check_trainable(trainable, spec)
    if parts is not None and name in _SOLVERS:
        raise ValueError(f"trainable must be None for {name}, which updates all parameters")
    return Job(
        spec=spec,
        params=params,
        X=X,
        y=y,
        loss=row,
        trainable=parts,
        batches=batches,
        optimizer=optimizer,
        batch_size=batch_size,
        sample_weight=weights,
        loss_parameter=check_loss_parameter(row, spec, delta=delta, quantiles=quantiles, min_variance=min_variance),
        shuffle=check_flag("shuffle", shuffle),
        l2=l2,
        dropout=rates,
        input_noise=input_noise,
        slopes=slopes,
        max_grad_norm=check_max_grad_norm(max_grad_norm),
    )


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
    if specialize and backend == "numba" and not job.is_plain:
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
        # without a seed either way draws from the system's entropy; this one takes a tenth of the time
        seed = secrets.randbits(63) if rng is None else int(check_rng(rng).integers(2**63))
        return State.fresh(job.spec, job.optimizer, seed)
    if not isinstance(state, State):
        raise TypeError(f"state must be the state of a history, history.state; got {describe(state)}")
    if isinstance(job.optimizer, solvers.LBFGS):
        raise ValueError("state must be None for LBFGS, whose memory of past gradients it does not hold")
    if rng is not None:
        raise ValueError(f"rng must be None where state resumes a run, whose seed it holds; got {describe(rng)}")
    name, n_params, dtype = type(job.optimizer).__name__, job.spec.n_params, job.spec.dtype
    if state.optimizer != name or state.slots.shape[1] != n_params or state.slots.dtype != dtype:
        raise ValueError(
            f"state must be that of a run of {name} on {n_params} parameters of {dtype}; "
            f"got one of {state.optimizer} on {state.slots.shape[1]} of {state.slots.dtype}"
        )
    check_same_frozen(state, job)
    return state.copy()


def check_place(state: State, job: Job) -> None:
    """Refuse a state that is further into an epoch than the job's epochs are long.

    Raises
    ------
    ValueError
        If it has done at least as many batches of its present epoch as an epoch of the job has.
    """
    if state.counters[1] >= job.n_batches:
        raise ValueError(
            f"state must be that of a run with {job.n_batches} batches an epoch; "
            f"got one that has done {state.counters[1]} of its current epoch"
        )
