"""Compare settings: every combination, seed and fold is a member of one of a few calls of `fit_many`."""

from __future__ import annotations

import importlib
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastnn import checks
from fastnn.ensembles.fit_many import fit_many
from fastnn.models.ensemble import Ensemble
from fastnn.models.reading import path_of
from fastnn.settings import catalogue
from fastnn.settings.optimizers import Adam, Optimizer
from fastnn.settings.spec import NetworkSpec
from fastnn.training.interrupts import Interrupts
from fastnn.training.twins import twin

#: Fewer members than this are trained one after another, as compiling a kernel for them would take longer.
WORTH_COMPILING = 32

#: Bytes that are kept of each run, at least.
_BYTES_A_RUN = 1000

_NETWORK = {"hidden": (16,), "activation": "tanh", "output_activation": "identity", "bias": True, "dtype": "float64"}
_EACH = ("learning_rate", "momentum", "l2")  # in which members of one call may differ
_CALL = ("loss", "epochs", "batch_size", "max_grad_norm", "delta", "quantiles", "min_variance", "targets", "init",
         "early_stopping")  # fmt: skip


@dataclass(frozen=True)
class Sweep:
    """The result of a sweep.

    Attributes
    ----------
    records : list of dict
        One for each setting, seed and fold: the setting's entries, ``setting`` (its number), ``seed``, ``fold``,
        ``loss``, ``validation_loss``, ``epochs`` and ``stopped``.
    settings : list of dict
        The settings, by number.
    networks : list of MLP
        The network of each record.
    fold_of : ndarray of int, shape (n,), or None
        The fold in which each sample was held out.
    """

    records: list[dict[str, Any]]
    settings: list[dict[str, Any]]
    networks: list[Any]
    fold_of: NDArray[np.intp] | None = None

    def members(self, setting: int) -> tuple[Ensemble, NDArray[np.float64]]:
        """The networks of a setting, and the samples that each was trained on, as `fastnn.intervals` takes them.

        Parameters
        ----------
        setting : int
            Number of the setting.

        Returns
        -------
        many : Ensemble
            Its K networks.
        sample_weight : ndarray of float64, shape (K, n)
            1 where a network was trained on a sample, 0 where the sample was held out.

        Raises
        ------
        ValueError
            If the sweep had no folds, or no run of this setting was finished.
        """
        if self.fold_of is None:
            raise ValueError("members must come from a sweep with folds, which hold samples out; this one had none")
        runs = [k for k, record in enumerate(self.records) if record["setting"] == setting]
        if not runs:
            raise ValueError(f"setting must be the number of a setting with finished runs; got {setting!r}")
        params = np.array([self.networks[k].params for k in runs])
        folds = np.array([self.records[k]["fold"] for k in runs])
        return Ensemble(self.networks[runs[0]].spec, params), (self.fold_of != folds[:, None]).astype(np.float64)

    def summary(self) -> list[dict[str, Any]]:
        """One record for each setting, best first: mean and standard deviation of the losses over seeds and folds.

        Settings are ranked by the validation loss, or without one by the loss. Runs that diverged are counted, but left
        out of the means.
        """
        rows = []
        for i, setting in enumerate(self.settings):
            runs = [record for record in self.records if record["setting"] == i]
            sound = [record for record in runs if record["stopped"] != "diverged"]
            row = {"setting": i, **setting, "runs": len(runs), "diverged": len(runs) - len(sound)}
            for name in ("loss", "validation_loss"):
                values = np.array([record[name] for record in sound])
                row[f"{name}_mean"] = float(values.mean()) if len(values) else np.nan
                row[f"{name}_std"] = float(values.std()) if len(values) else np.nan
            rows.append(row)
        name = "loss_mean" if all(np.isnan(row["validation_loss_mean"]) for row in rows) else "validation_loss_mean"
        return sorted(rows, key=lambda row: (np.isnan(row[name]), row[name]))

    def frame(self) -> Any:
        """The records as a data frame of pandas, or of polars if pandas is not installed.

        Raises
        ------
        ImportError
            If neither is installed.
        """
        for name in ("pandas", "polars"):
            try:
                return importlib.import_module(name).DataFrame(self.records)
            except ImportError:
                continue
        raise ImportError("frame() needs pandas or polars, and neither is installed; records holds the same")


def sweep(
    X: ArrayLike,
    y: ArrayLike,
    settings: Mapping[str, Sequence[Any]] | Iterable[Mapping[str, Any]],
    *,
    seeds: int | Sequence[int] = 1,
    folds: int | None = None,
    validation_data: Any = None,
    sample_weight: ArrayLike | None = None,
    threads: int = 1,
    progress: bool | None = None,
    executor: Any = None,
    checkpoint: Any = None,
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
        ``delta``, ``quantiles``, ``min_variance``, ``targets``, ``init`` and ``early_stopping``.
    seeds : int or sequence of int
        How many seeds (0, 1, 2 ...), or which.
    folds : int, optional
        Number of parts of the samples, each of which is held out in turn as validation set.
    validation_data : tuple (X, y), optional
        One validation set for all, instead of folds.
    sample_weight : array_like, shape (n,), optional
        Weight of each sample.
    threads, progress, executor, checkpoint, warn
        As in `fit_many`; a checkpoint holds a directory for each call of it.
    **common
        Entries that all settings share.

    Returns
    -------
    Sweep
        It includes runs that diverged. After Ctrl-C it holds the runs that were finished.

    Raises
    ------
    TypeError, ValueError
        If an entry is unknown or invalid.

    Warns
    -----
    RuntimeWarning
        If the sweep is interrupted.

    Examples
    --------
    >>> result = fastnn.sweep(X, y, {"hidden": [(8,), (16,)], "l2": [0, 1e-3]}, seeds=5, folds=4, epochs=200)
    >>> result.summary()[0]
    """
    for argument, value, dimensions in (("X", X, (2,)), ("y", y, (1, 2))):
        if not hasattr(value, "__len__") or np.asarray(value, object).ndim not in dimensions:
            raise ValueError(f"{argument} must be an array with a row for each sample; got {checks.describe(value)}")
    rows = _settings(settings)
    numbers = _seeds(seeds)
    folder = None if checkpoint is None else path_of(checkpoint, "checkpoint")
    if folds is not None:
        if validation_data is not None:
            raise ValueError("validation_data must be None if folds are given")
        if checks.check_integer("folds", folds, 2) > np.shape(X)[0]:
            raise ValueError(f"folds must be at most the number of samples, {np.shape(X)[0]}; got {folds}")
    groups = defaultdict(list)
    for i, setting in enumerate(rows):
        spec, call, each = _split(common | setting, X, y)
        for seed, fold in product(numbers, range(folds or 1)):
            groups[spec, tuple(call.items())].append((i, seed, fold, each))

    found: dict[tuple[int, int, int], tuple[dict[str, Any], Any]] = {}
    spec, rows_of_X = next(iter(groups))[0], np.shape(X)[0]
    given = checks.check_sample_weight(sample_weight, spec, rows_of_X)
    weights = np.ones(rows_of_X) if given is None else given
    held = None if folds is None else np.random.default_rng(0).permutation(len(weights)) % folds
    interrupted = True
    with suppress(KeyboardInterrupt):  # what is finished is returned
        for number, ((spec, shared), runs) in enumerate(groups.items()):
            options = dict(shared)
            own = {name: np.array([run[3][name] for run in runs]) for name in runs[0][3]}
            optimizer = options.pop("optimizer")
            changes: dict[str, Any] = {name: own[name] for name in ("learning_rate", "momentum") if name in own}
            validation, training_weights = validation_data, sample_weight
            if held is not None:
                outside = np.array([held == run[2] for run in runs])
                validation, training_weights = (X, y, outside * weights), ~outside * weights
            many = fit_many(
                spec,
                X,
                y,
                members=len(runs),
                seeds=[run[1] for run in runs],
                optimizer=replace(optimizer, **changes),
                l2=own["l2"],
                sample_weight=training_weights,
                validation_data=validation,
                specialize=None if len(runs) >= WORTH_COMPILING else False,
                threads=threads,
                progress=progress,
                executor=executor,
                checkpoint=None if folder is None else folder / f"group-{number:04d}",
                warn=False,  # the records say it
                **options,
            )
            with Interrupts() as interrupts:  # what is finished is written down first
                _write_down(many, runs, rows, validation, options, folds is not None, found)
            if interrupts.pending or len(many) < len(runs):
                raise KeyboardInterrupt
        interrupted = False
    if interrupted and warn:
        total = sum(map(len, groups.values()))
        warnings.warn(f"interrupted: {len(found)} of {total} runs are finished", RuntimeWarning, stacklevel=2)
    order = sorted(found, key=lambda run: (run[0], list(numbers).index(run[1]), run[2]))
    return Sweep([found[run][0] for run in order], rows, [found[run][1] for run in order], held)


def _write_down(
    many: Ensemble,
    runs: list[tuple[int, int, int, dict[str, float]]],
    rows: list[dict[str, Any]],
    validation: Any,
    options: Mapping[str, Any],
    folded: bool,
    found: dict[tuple[int, int, int], tuple[dict[str, Any], Any]],
) -> None:
    """Add the records and networks of finished runs to `found`."""
    losses = _validation_losses(many, validation, options)
    for k, (i, seed, fold, _) in enumerate(runs[position] for position in many.positions):
        record = {
            "setting": i,
            **rows[i],
            "seed": seed,
            "fold": fold if folded else None,
            "loss": float(many.loss[k]),
            "validation_loss": float(losses[k]),
            "epochs": int(many.records.epochs[k]),
            "stopped": str(many.stopped[k]),
        }
        found[i, seed, fold] = record, many[k]


def _seeds(seeds: Any) -> Sequence[int]:
    """The seeds, from their number or as given."""
    if isinstance(seeds, range) or checks.is_sequence(seeds):
        if len(seeds) == 0:
            raise ValueError("seeds must be at least one; got none")
        numbers = [checks.check_integer("every one of seeds", seed, 0) for seed in seeds]
        twice = [seed for seed, count in Counter(numbers).items() if count > 1]
        if twice:
            raise ValueError(f"seeds must differ from each other; got {twice[0]} more than once")
        return numbers
    count = checks.check_integer("seeds", seeds, 1)
    checks.check_memory("seeds", count, _BYTES_A_RUN)
    return range(count)


def _settings(settings: Any) -> list[dict[str, Any]]:
    """The settings, one by one."""
    if isinstance(settings, Mapping):
        for name, values in settings.items():
            if not _is_sequence(values):
                raise TypeError(f"{name} of settings must be a sequence of values; got {checks.describe(values)}")
        rows = [dict(zip(settings, values, strict=True)) for values in product(*settings.values())]
    else:
        listed = list(settings) if _is_sequence(settings) else [settings]
        if not all(isinstance(setting, Mapping) for setting in listed):
            raise TypeError(f"settings must be a grid, or the settings one by one; got {checks.describe(settings)}")
        rows = [dict(setting) for setting in listed]
    if not rows:
        raise ValueError("settings must be a grid, or at least one setting; got none")
    return rows


def _is_sequence(value: Any) -> bool:
    """Whether a value is a sequence of values: neither a text nor an array without dimensions."""
    return isinstance(value, Iterable) and not isinstance(value, (str, bytes)) and getattr(value, "ndim", 1) > 0


def _is_hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


def _split(setting: dict[str, Any], X: Any, y: Any) -> tuple[NetworkSpec, dict[str, Any], dict[str, float]]:
    """A setting's spec, the arguments of its call of `fit_many`, and those in which members of the call differ."""
    known = (*_NETWORK, *_CALL, *_EACH, "optimizer")
    for name in setting:
        checks.check_name("an entry of settings", name, known)
    network = _NETWORK | {name: setting[name] for name in _NETWORK if name in setting}
    call = {name: setting[name] for name in _CALL if name in setting}
    if "epochs" not in call:
        raise TypeError("epochs must be given, for all settings or in each; got none")
    for name, value in setting.items():
        if name not in _NETWORK and not _is_hashable(value):  # what shares a call is found by its entries
            raise TypeError(f"{name} of settings must be one value, or a tuple; got {checks.describe(value)}")
    outputs = _outputs(y, call.get("loss", "mse"), call.get("quantiles", 0.5))
    hidden: Any = network.pop("hidden")
    widths = hidden if _is_sequence(hidden) else (checks.check_integer("hidden", hidden, 1),)
    spec = checks.check_spec((np.shape(X)[1], *widths, outputs), **network)
    optimizer = setting.get("optimizer", Adam())
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"optimizer must be an update rule, such as fastnn.Adam(); got {checks.describe(optimizer)}")
    each = {"l2": checks.check_l2(setting.get("l2", 0.0))}
    for name in ("learning_rate", "momentum"):
        if name in setting and not hasattr(optimizer, name):
            raise ValueError(f"{name} must be left out of settings for {type(optimizer).__name__}, which has none")
        value = setting.get(name, getattr(optimizer, name, None))
        if isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool):
            each[name] = float(value)
            value = 0.5 if name == "momentum" and value else 0.0  # the same for all that share a call
            optimizer = replace(optimizer, **{name: value})
        elif name in setting:
            optimizer = replace(optimizer, **{name: value})  # type: ignore[arg-type]
    return spec, {"optimizer": optimizer, **call}, each


def _outputs(y: Any, loss: str | catalogue.Loss, quantiles: float | Sequence[float]) -> int:
    """The number of outputs that a network needs for the targets."""
    y, row = np.asarray(y), checks.check_loss_row(loss)
    if y.ndim == 1 and row.labels:
        return checks.count_classes(y)
    n_targets = y.shape[1] if y.ndim == 2 else 1
    return np.size(quantiles) if row.one_target and n_targets == 1 else row.outputs_per_target * n_targets


def _validation_losses(many: Ensemble, validation: Any, options: Mapping[str, Any]) -> NDArray[np.float64]:
    """Each member's loss on its validation set; NaN if it has none."""
    if validation is None:
        return np.full(len(many), np.nan)
    row = checks.check_loss(options.get("loss", "mse"), many.spec, options.get("targets", "complete"))
    X = checks.check_inputs(validation[0], many.spec)
    y = checks.check_targets(validation[1], many.spec, row, len(X))
    named = {name: options[name] for name in (row.name for row in catalogue.PARAMETERS) if name in options}
    given = validation[2] if len(validation) == 3 else None
    losses, parameter = np.empty(len(many)), checks.check_loss_parameter(row, many.spec, **named)
    for k, params in enumerate(many.params):
        own = given if given is None or np.ndim(given) == 1 else given[many.positions[k]]
        weights = checks.check_sample_weight(own, many.spec, len(X))
        network = twin("numpy", "network")
        with np.errstate(all="ignore"):  # a network that diverged may overflow
            losses[k] = network.loss_and_grad(
                many.spec, params, X, y, row, sample_weight=weights, loss_parameter=parameter
            )[0]
    return losses
