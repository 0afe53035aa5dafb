"""Compare settings: every combination, seed and fold is a member of one of a few calls of `fit_many`."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import replace
from inspect import signature
from itertools import product
from os import PathLike
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastnn import checks
from fastnn.checks.data import naming, split_data
from fastnn.ensembles.checkpoint import directory_of
from fastnn.ensembles.fit_many import WORTH_COMPILING, fit_many
from fastnn.ensembles.sweep_result import Sweep
from fastnn.ensembles.sweep_settings import arguments_of, seeds_of, settings_of
from fastnn.jobs.missing import counted_weights
from fastnn.jobs.monitor import ValidationData
from fastnn.models.ensemble import Ensemble
from fastnn.models.mlp import MLP
from fastnn.reference.network import forward, loss_of_outputs
from fastnn.settings import catalogue
from fastnn.settings.spec import NetworkSpec
from fastnn.training.interrupts import Interrupts


class _Run(NamedTuple):
    """A member of a call of `fit_many`: the number of its setting, its seed and fold, and what it has of its own."""

    setting: int
    seed: int
    fold: int
    each: dict[str, float]


#: What all members of a call of `fit_many` share: their spec, and the names, types and values of its arguments. The
#: types tell True from 1, which is equal, but may have to be refused.
_Shared = tuple[NetworkSpec, tuple[tuple[str, type, Any], ...]]

#: What `fit_many` takes for arguments that are left out, by those that are checked.
_LEFT_OUT = {
    name: argument.default
    for name, argument in signature(fit_many).parameters.items()
    if name in signature(checks.check_members_job).parameters and argument.default is not argument.empty
}


def sweep(
    X: ArrayLike,
    y: ArrayLike,
    settings: Mapping[str, Any] | Iterable[Mapping[str, Any]],  # a grid of several types is a dict of objects
    *,
    seeds: int | Sequence[int] = 1,
    folds: ArrayLike | None = None,
    validation_data: ValidationData | None = None,
    sample_weight: ArrayLike | None = None,
    threads: int = 1,
    progress: bool | None = None,
    executor: Executor | None = None,
    checkpoint: str | PathLike[str] | None = None,
    warn: bool = True,
    **common: Any,
) -> Sweep:
    """Train a network for every setting, seed and fold.

    Parameters
    ----------
    X : array_like, shape (n, n_in)
        The samples.
    y : array_like, shape (n, n_out) or (n,)
        The targets.
    settings : mapping of sequences, or iterable of mappings
        A grid, whose combinations are the settings; or the settings themselves. Their entries are ``hidden`` (the
        widths of the hidden layers), ``activation``, ``output_activation``, ``bias`` and ``dtype``; ``optimizer``,
        ``learning_rate`` and ``momentum``; ``l2``, ``loss``, ``epochs``, ``batch_size``, ``max_grad_norm``,
        ``delta``, ``quantiles``, ``min_variance``, ``targets``, ``init`` and ``early_stopping``. All but ``epochs``
        may be left out: ``hidden`` is then (16,), and the others are as in `MLP` and `fit_many`. ``learning_rate`` and
        ``momentum`` take the place of the optimizer's.
    seeds : int or sequence of int
        How many seeds (0, 1, 2 ...), or which.
    folds : int or array_like of int, shape (n,), optional
        Number of parts of the samples, each of which is held out in turn as validation set. Each sample's part is drawn
        at random, in the same way in every sweep; or it is given, counted from 0, so that samples of one source or time
        stay together.
    validation_data : tuple (X, y) or (X, y, sample_weight), optional
        One validation set for all, instead of folds.
    sample_weight : array_like, shape (n,), optional
        Weight of each sample.
    threads, progress, executor, checkpoint, warn
        As in `fit_many`; a checkpoint holds a directory for each call of it.
    **common
        Entries that all settings share, unless they have their own.

    Returns
    -------
    Sweep
        It includes runs that diverged. After Ctrl-C it holds the runs that were finished.

    Raises
    ------
    TypeError, ValueError
        If an entry is unknown, or an argument invalid.
    ImportError, OSError
        As in `fit_many`.

    Warns
    -----
    RuntimeWarning
        If the sweep is interrupted.

    Examples
    --------
    >>> grid = {"hidden": [(8,), (16,)], "l2": [0, 1e-3]}
    >>> result = fastnn.sweep(X, y, grid, seeds=5, folds=4, epochs=200)
    >>> result.summary()[0]
    """
    X, y = _check_samples(X, y)
    rows, numbers, n = settings_of(settings), seeds_of(seeds), len(X)
    folder, warn = None if checkpoint is None else directory_of(checkpoint), checks.check_flag("warn", warn)
    fold_of = None if folds is None else _check_folds(folds, n, validation_data)
    parts = 1 if fold_of is None else int(fold_of.max()) + 1
    if fold_of is None and validation_data is not None:
        _check_one_set(validation_data)
    calls = _grouped([common | row for row in rows], X, y, [*product(numbers, range(parts))])
    found: dict[tuple[int, int, int], tuple[dict[str, Any], MLP]] = {}
    given = checks.check_sample_weight(sample_weight, replace(next(iter(calls))[0], dtype="float64"), n)
    weights = np.ones(n) if given is None else given
    checks.check_finite("sample_weight", weights, ("row",))  # before folds are made of them
    if fold_of is not None:
        _check_each_fold(fold_of, weights, "sample_weight must have a sum above 0 in every fold; got only zeros")
        for spec, arguments in calls:
            _check_targets_of_folds(fold_of, weights, y, spec, {name: value for name, _, value in arguments})
    given_data = {"sample_weight": sample_weight, "validation_data": validation_data}
    all_rows = {"sample_weight": weights, "validation_data": (X, y, weights)}
    for shared, runs in calls.items():  # all of them before any is trained
        data = given_data if fold_of is None else all_rows
        checks.check_members_job(shared[0], X, y, **(_LEFT_OUT | _options(shared, runs) | data))
    interrupted = True
    with suppress(KeyboardInterrupt), Interrupts() as interrupts:  # what is finished is returned
        for number, (shared, runs) in enumerate(calls.items()):
            spec, options = shared[0], _options(shared, runs)
            data = given_data if fold_of is None else _held_out(X, y, weights, fold_of, runs)
            many = fit_many(
                spec,
                X,
                y,
                seeds=[run.seed for run in runs],
                **options,
                **data,
                specialize=None if len(runs) >= WORTH_COMPILING else False,
                threads=threads,
                progress=progress,
                executor=executor,
                checkpoint=None if folder is None else folder / f"group-{number:04d}",
                warn=False,  # the records say it
            )
            losses = _validation_losses(many, data["validation_data"], options)
            found |= _finished(many, runs, rows, losses, folded=fold_of is not None)
            if interrupts.pending or len(many) < len(runs):
                raise KeyboardInterrupt
        interrupted = False
    if interrupted and warn:
        total = sum(map(len, calls.values()))
        warnings.warn(f"interrupted: {len(found)} of {total} runs are finished", RuntimeWarning, stacklevel=2)
    order = [run for run in product(range(len(rows)), numbers, range(parts)) if run in found]
    return Sweep([found[run][0] for run in order], rows, [found[run][1] for run in order], fold_of)


def _grouped(
    settings: list[dict[str, Any]], X: NDArray[Any], y: NDArray[Any], seeds_and_folds: list[tuple[int, int]]
) -> dict[_Shared, list[_Run]]:
    """The runs of all settings, by what those of one call of `fit_many` share."""
    calls: dict[_Shared, list[_Run]] = defaultdict(list)
    for i, setting in enumerate(settings):
        spec, call, each = arguments_of(setting, X, y)
        shared = spec, tuple((name, type(value), value) for name, value in call.items())
        calls[shared] += [_Run(i, seed, fold, each) for seed, fold in seeds_and_folds]
    return calls


def _check_samples(X: Any, y: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    """Samples and targets as arrays with a row for each sample; raises TypeError or ValueError if they are none."""
    X, y = checks.as_numbers("X", X, "(n, n_in)"), checks.as_numbers("y", y, "(n,) or (n, n_targets)")
    for argument, array, dimensions in (("X", X, (2,)), ("y", y, (1, 2))):
        if array.ndim not in dimensions or (array.ndim == 2 and not array.size):
            raise ValueError(f"{argument} must be an array with a row for each sample; got {checks.describe(array)}")
    return X, y


def _check_folds(folds: Any, n: int, validation_data: Any) -> NDArray[np.intp]:
    """The fold of each of n samples; raises TypeError or ValueError if it cannot be, or with a validation set."""
    if validation_data is not None:
        raise ValueError(f"validation_data must be None if folds are given; got {checks.describe(validation_data)}")
    if checks.is_iterable(folds):
        fold_of = checks.as_numbers("folds", folds, "(n,)")
        expected = f"folds must be their number, or each sample's: {n} integers that count from 0 without a gap"
        if fold_of.shape != (n,) or fold_of.dtype.kind not in "iu":
            raise ValueError(f"{expected}; got {checks.describe(folds)}")
        found = np.unique(fold_of)
        if len(found) < 2 or found[0] != 0 or found[-1] != len(found) - 1:
            raise ValueError(f"{expected}; got {checks.listed([str(fold) for fold in found])}")
        return fold_of.astype(np.intp)
    folds = checks.check_integer("folds", folds, 2)
    if folds > n:
        raise ValueError(f"folds must be at most the number of samples, {n}; got {folds}")
    return np.random.default_rng(0).permutation(n) % folds


def _check_one_set(validation_data: Any) -> None:
    """Refuse weights of two dimensions, of which `fit_many` has one a member; raises TypeError or ValueError."""
    weights = split_data(validation_data, "validation_data must be")[2]
    with naming("validation_data"):
        if weights is not None and checks.as_numbers("sample_weight", weights, "(n,)").ndim != 1:
            raise ValueError(
                f"sample_weight must have shape (n,), a weight for each row of X; got {checks.describe(weights)}"
            )


def _check_each_fold(fold_of: NDArray[Any], counted: NDArray[Any], fault: str) -> None:
    """Refuse folds of which one has nothing that counts to validate on; raises ValueError for one."""
    for fold in range(fold_of.max() + 1):
        if not counted[fold_of == fold].any():
            raise ValueError(f"{fault} in fold {fold}")


def _check_targets_of_folds(
    fold_of: NDArray[Any], weights: NDArray[Any], y: ArrayLike, spec: NetworkSpec, options: Mapping[str, Any]
) -> None:
    """Refuse folds of which one has no target, where some may be missing; raises ValueError for one."""
    loss = checks.check_loss(options.get("loss", "mse"), spec, options.get("targets", "complete"))
    if loss.masked:
        counted = counted_weights(loss, checks.check_targets(y, spec, loss, len(weights)), weights)
        fault = "y must hold a target that is not NaN, of a sample whose weight is above 0, in every fold; got none"
        _check_each_fold(fold_of, counted, fault)


def _options(shared: _Shared, runs: list[_Run]) -> dict[str, Any]:
    """The arguments of a call of `fit_many` but for data and seeds: what its runs share, and each one's own."""
    options = {name: value for name, _, value in shared[1]}
    each = {name: np.array([run.each[name] for run in runs]) for name in runs[0].each}
    options |= {"members": len(runs), "l2": each.pop("l2")}
    options["optimizer"] = replace(options["optimizer"], **each)  # one for each
    return options


def _held_out(
    X: ArrayLike, y: ArrayLike, weights: NDArray[Any], fold_of: NDArray[Any], runs: list[_Run]
) -> dict[str, Any]:
    """The weights and the validation set of runs that each hold out a fold."""
    outside = np.array([fold_of == run.fold for run in runs])
    return {"sample_weight": ~outside * weights, "validation_data": (X, y, outside * weights)}


def _finished(
    many: Ensemble, runs: list[_Run], rows: list[dict[str, Any]], losses: NDArray[np.float64], folded: bool
) -> dict[tuple[int, int, int], tuple[dict[str, Any], MLP]]:
    """The record and the network of each finished run, by the number of its setting, its seed and its fold."""
    found, stopped = {}, many.stopped  # which is made anew whenever it is asked for
    for k, run in enumerate(runs[position] for position in many.positions):
        record = {
            "setting": run.setting,
            **rows[run.setting],
            "seed": run.seed,
            "fold": run.fold if folded else None,
            "loss": float(many.loss[k]),
            "validation_loss": float(losses[k]),
            "epochs": int(many.records.epochs[k]),
            "stopped": str(stopped[k]),
        }
        found[run.setting, run.seed, run.fold] = record, many[k]
    return found


def _validation_losses(many: Ensemble, validation: Any, options: Mapping[str, Any]) -> NDArray[np.float64]:
    """Each member's loss on its validation set; NaN if it has none."""
    if validation is None:
        return np.full(len(many), np.nan)
    spec = many.spec
    loss = checks.check_loss(options.get("loss", "mse"), spec, options.get("targets", "complete"))
    X = checks.check_inputs(validation[0], spec)
    y = checks.check_targets(validation[1], spec, loss, len(X))
    named = {row.name: options[row.name] for row in catalogue.PARAMETERS if row.name in options}
    parameter = checks.check_loss_parameter(loss, spec, **named)
    given = validation[2] if len(validation) == 3 else None
    losses = np.empty(len(many))
    for k, params in enumerate(many.params):
        own = given if given is None or np.ndim(given) == 1 else given[many.positions[k]]
        weights = checks.check_sample_weight(own, spec, len(X))
        rows: Any = slice(None)
        if weights is not None:  # of folds most rows have none
            rows = weights > 0
            weights = weights[rows]
        with np.errstate(all="ignore"):  # a network that diverged may overflow
            Z, H = forward(spec, params, X[rows])
            losses[k] = loss_of_outputs(loss, Z[-1], H[-1], y[rows], weights, parameter)
    return losses
