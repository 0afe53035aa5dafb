"""Checks of losses: a name or one of the user's own, that it goes with the network, and the numbers it takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn.checks.own import check_own_loss
from fastnn.checks.values import check_in_float32, check_name, check_number, describe, is_sequence
from fastnn.settings import catalogue, own
from fastnn.settings.spec import NetworkSpec


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
        needs = f", which needs output_activation={row.logits_of!r}" if row.logits_of else ""
        fitting = [name for name, other in catalogue.LOSSES.items() if other.goes_with(spec.output_activation)]
        raise ValueError(
            f"loss must go with the network's output activation {spec.output_activation!r}, "
            f"as {', '.join(fitting)} would; got {loss!r}{needs}"
        )
    if not row.fits(spec.n_out):
        raise ValueError(
            f"loss must suit the number of outputs: {loss!r} takes {row.outputs_per_target} for each "
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
        If any parameter, of this loss or another, is not a number in its interval, or has another length; or if the
        quantiles of ascending outputs descend.
    """
    checked: NDArray | float = 1.0
    for parameter in catalogue.PARAMETERS:
        value = given.get(parameter.name, parameter.default)
        if type(value) is float and value == parameter.default:  # as most are, and a call of `fit` is to be short
            pass
        elif is_sequence(value):
            value = _check_for_each_target(parameter, value, loss, spec)
        else:
            value = check_number(parameter.name, value, parameter.interval)
            if spec.dtype == "float32" and parameter is loss.parameter:
                check_in_float32(parameter.name, value, parameter.interval)
        if parameter is loss.parameter:
            checked = value
    return checked


def _check_for_each_target(
    parameter: catalogue.Parameter, values: Sequence[Any], loss: catalogue.Loss, spec: NetworkSpec
) -> NDArray:
    n_targets = loss.n_targets(spec.n_out)
    if len(values) != n_targets:
        each = "output" if n_targets == spec.n_out else "target"
        several = f"one number or {n_targets}, one for each {each}" if n_targets > 1 else f"one number, for one {each}"
        raise ValueError(f"{parameter.name} must be {several}; got {len(values)}")
    given = [check_number(parameter.name, value, parameter.interval) for value in values]
    if spec.dtype == "float32" and parameter is loss.parameter:
        check_in_float32(parameter.name, given, parameter.interval)
    numbers = np.array(given, spec.dtype)
    if parameter is loss.parameter and loss.logits_of == "ascending" and np.any(np.diff(numbers) < 0):
        raise ValueError(f"{parameter.name} must be in ascending order for {loss.name!r}; got {list(values)}")
    return numbers
