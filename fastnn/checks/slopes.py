"""Checks of the slopes that a network is trained on besides its targets."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn.checks.arrays import check_finite, check_real
from fastnn.checks.values import check_number, describe
from fastnn.jobs.slopes import Slopes
from fastnn.settings import own
from fastnn.settings.catalogue import Loss
from fastnn.settings.intervals import ABOVE_0
from fastnn.settings.spec import NetworkSpec


def check_slopes(dydx: Any, weight: Any, directions: Any, spec: NetworkSpec, loss: Loss, rows: int) -> Slopes | None:
    """The slopes of each sample, from the arguments of `MLP.fit`; None without any.

    Raises
    ------
    TypeError
        If an argument has the wrong type.
    ValueError
        If it has another shape or is not finite, or if directions are given without slopes.
    """
    weight = check_number("dydx_weight", weight, ABOVE_0)
    if dydx is None:
        if directions is not None:
            raise ValueError(f"directions must be None without dydx; got {describe(directions)}")
        return None
    if loss.masked:
        raise ValueError(
            f"dydx must be None with targets='masked', as slopes are averaged over all samples; got {describe(dydx)}"
        )
    lacks = own.lacking(spec.activations, 2)
    if lacks is not None:
        raise ValueError(f"dydx must be None; {lacks}")
    if directions is None:
        along = np.eye(spec.n_in, dtype=spec.dtype)
    else:
        along = check_real("directions", directions, spec, f"(n_directions, {spec.n_in})")
        if along.ndim != 2 or along.shape[1] != spec.n_in or len(along) == 0:
            raise ValueError(f"directions must have shape (n_directions, {spec.n_in}); got {along.shape}")
        check_finite("directions", along)
    shape = (rows, spec.n_out, len(along))
    expected = f"{shape}, or {shape[::2]}" if spec.n_out == 1 else str(shape)
    values = check_real("dydx", dydx, spec, expected)
    if values.shape != shape and not (spec.n_out == 1 and values.shape == shape[::2]):
        raise ValueError(f"dydx must have shape {expected}; got {values.shape}")
    values = values.reshape(shape)
    if np.isinf(values).any():
        row = int(np.argwhere(np.isinf(values))[0, 0])
        raise ValueError(f"dydx must be finite, or NaN where it is missing; got infinity in row {row}")
    if np.isnan(values).all():
        raise ValueError("dydx must hold a number somewhere; got only NaN")
    return Slopes(np.ascontiguousarray(values.swapaxes(1, 2)), along, weight)
