"""The settings of a sweep, as arguments of `fit_many`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np

from fastnn import checks
from fastnn.settings import catalogue
from fastnn.settings.optimizers import Adam, Optimizer
from fastnn.settings.solvers import Solver
from fastnn.settings.spec import NetworkSpec

#: Bytes that are kept of each run, at least.
_BYTES_A_RUN = 1000

_NETWORK = {"hidden": (16,), "activation": "tanh", "output_activation": "identity", "bias": True, "dtype": "float64"}
_EACH = ("learning_rate", "momentum", "l2")  # in which members of one call may differ
_CALL = ("loss", "epochs", "batch_size", "max_grad_norm", "delta", "quantiles", "min_variance", "targets", "init",
         "early_stopping")  # fmt: skip


def settings_of(settings: Any) -> list[dict[str, Any]]:
    """The settings, one by one."""
    if isinstance(settings, Mapping):
        for name, values in settings.items():
            if not checks.is_iterable(values):
                raise TypeError(f"{name} of settings must be a sequence of values; got {checks.describe(values)}")
        rows = [dict(zip(settings, values, strict=True)) for values in product(*settings.values())]
    else:
        listed = list(settings) if checks.is_iterable(settings) else [settings]
        if not all(isinstance(setting, Mapping) for setting in listed):
            raise TypeError(f"settings must be a grid, or the settings one by one; got {checks.describe(settings)}")
        rows = [dict(setting) for setting in listed]
    if not rows:
        raise ValueError("settings must be a grid, or at least one setting; got none")
    return rows


def seeds_of(seeds: Any) -> Sequence[int]:
    """The seeds, from their number or as given."""
    if isinstance(seeds, range) or checks.is_sequence(seeds):
        if isinstance(seeds, range) and seeds:  # which may be longer than any list, and than `len` can say
            checks.check_memory("seeds", abs(seeds[-1] - seeds[0]) // abs(seeds.step) + 1, _BYTES_A_RUN)
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


def arguments_of(setting: dict[str, Any], X: Any, y: Any) -> tuple[NetworkSpec, dict[str, Any], dict[str, float]]:
    """A setting's spec, the arguments of its call of `fit_many`, and those in which members of the call differ.

    Raises
    ------
    TypeError, ValueError
        If an entry is unknown or invalid.
    """
    known = (*_NETWORK, *_CALL, *_EACH, "optimizer")
    for name in setting:
        if name == "rng":  # as everything else takes it
            got = checks.describe(setting[name])
            raise ValueError(f"rng must be left out of a sweep, which takes seeds; got {got}")
        checks.check_name("an entry of settings", name, known)
    network = _NETWORK | {name: setting[name] for name in _NETWORK if name in setting}
    call = {name: setting[name] for name in _CALL if name in setting}
    if "epochs" not in call:
        raise TypeError("epochs must be given, for all settings or in each; got none")
    for name, value in setting.items():
        # What shares a call is found by its entries; and the first setting would use an iterator up.
        if isinstance(value, Iterator) or (name not in _NETWORK and not _is_hashable(value)):
            raise TypeError(f"{name} of settings must be one value, or a tuple; got {checks.describe(value)}")
    checks.check_epochs(call["epochs"])  # before anything is trained
    if call.get("batch_size") is not None:
        checks.check_integer("batch_size", call["batch_size"], 1)
    outputs = _outputs(y, call.get("loss", "mse"), call.get("quantiles", 0.5))
    hidden: Any = network.pop("hidden")
    if checks.is_iterable(hidden):
        widths = [checks.check_integer("every one of hidden", width, 1) for width in hidden]
    else:
        widths = [checks.check_integer("hidden", hidden, 1)]
    spec = checks.check_spec((np.shape(X)[1], *widths, outputs), **network)
    optimizer = setting.get("optimizer", Adam())
    if not isinstance(optimizer, (Optimizer, Solver)):
        raise TypeError(f"optimizer must be one of fastnn's, such as fastnn.Adam(); got {checks.describe(optimizer)}")
    each = {"l2": checks.check_l2(setting.get("l2", 0.0))}
    for name in ("learning_rate", "momentum"):
        if name in setting and not hasattr(optimizer, name):
            raise ValueError(
                f"{name} must be left out of settings for {type(optimizer).__name__}, which has none; "
                f"got {checks.describe(setting[name])}"
            )
        value = setting.get(name, getattr(optimizer, name, None))
        if isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool):
            each[name] = checks.check_number(name, value, checks.AT_LEAST_0)
            value = 0.5 if name == "momentum" and value else 0.0  # the same for all that share a call
            optimizer = replace(optimizer, **{name: value})  # type: ignore[arg-type] # which it has
        elif name in setting:
            optimizer = replace(optimizer, **{name: value})  # type: ignore[arg-type] # checked later
    return spec, {"optimizer": optimizer, **call}, each


def _is_hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


def _outputs(y: Any, loss: str | catalogue.Loss, quantiles: float | Sequence[float]) -> int:
    """The number of outputs that a network needs for the targets."""
    y, row = np.asarray(y), checks.check_loss_row(loss)
    if y.ndim == 1 and row.labels:
        return checks.count_classes(y)
    n_targets = y.shape[1] if y.ndim == 2 else 1
    return np.size(quantiles) if row.one_target and n_targets == 1 else row.outputs_per_target * n_targets
