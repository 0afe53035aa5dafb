"""Checks of the choice of trainable parameters."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn.checks.arrays import has_masked
from fastnn.checks.values import check_integer, describe
from fastnn.jobs.job import Job, State
from fastnn.settings.spec import NetworkSpec


def check_trainable(trainable: Any, spec: NetworkSpec) -> NDArray[np.int64] | None:
    """Ranges of the parameters that are updated, shape (k, 2): the start and the end (exclusive) of each.

    Parameters
    ----------
    trainable : sequence of int, or ndarray of bool, shape (n_params,), or None
        Numbers of layers, from 0 or backwards from -1; or a mask of the parameters; or None for all.

    Raises
    ------
    TypeError, ValueError
        If it is anything else, or nothing is left to train.
    """
    if trainable is None:
        return None
    if isinstance(trainable, np.ndarray) and trainable.dtype == np.bool_ and not has_masked(trainable):
        if trainable.shape != (spec.n_params,):
            raise ValueError(f"trainable must have shape ({spec.n_params},), as params have; got {trainable.shape}")
        mask = trainable
    elif isinstance(trainable, (list, tuple, range)) and not any(isinstance(l, (bool, np.bool_)) for l in trainable):
        layers = [check_integer("every layer of trainable", layer, -spec.n_layers) for layer in trainable]
        if any(layer >= spec.n_layers for layer in layers):
            raise ValueError(
                f"trainable must be layers from 0 to {spec.n_layers - 1}, or from -1 backwards; got {max(layers)}"
            )
        mask = np.zeros(spec.n_params, bool)
        for views in filter(None, (spec.weights(mask), spec.biases(mask))):
            for layer in layers:
                views[layer][...] = True
    else:
        raise TypeError(
            "trainable must be a list of layers, or an array of bool, one for each parameter; "
            f"got {describe(trainable)}"
        )
    if not mask.any():
        raise ValueError("trainable must leave something to train; got nothing")
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.view(np.int8), [0]])))
    return edges.reshape(-1, 2).astype(np.int64)


def check_same_frozen(state: State, job: Job) -> None:
    """Refuse a state whose best or last parameters would change those that `job.trainable` leaves out.

    Raises
    ------
    ValueError
        If those parameters differ.
    """
    if job.trainable is None:
        return
    frozen = job.frozen
    for params in (state.best, state.last):
        if params is not None and params.size and params[frozen].tobytes() != job.params[frozen].tobytes():
            raise ValueError("state must hold the network's own values for all that trainable leaves out; got others")
