"""The compiled update rules: against steps worked out by hand, and against the NumPy ones on any gradients."""

import numpy as np
import pytest
from reference_cases import about
from test_reference_optimizers import BY_HAND, TORCH

from fastnn.jobs.job import Job, State, Status
from fastnn.kernels.train import trainer
from fastnn.reference import step
from fastnn.settings import catalogue
from fastnn.settings.optimizers import Adam, AdamW, RMSprop
from fastnn.settings.spec import NetworkSpec

DTYPES = ["float64", "float32"]
RULES = [rule for rule, _, _ in TORCH]


def follow(rule, params, gradients):
    """Parameters and slots after one step for each row of `gradients`, and those steps' rate.

    Far above its target, the mean absolute error of a linear network of one output has the sample as its gradient.
    """
    spec = NetworkSpec((gradients.shape[1], 1), ("identity",), bias=False, dtype=params.dtype.name)
    n = len(gradients)
    y = np.full((n, 1), -1e30, params.dtype)
    job = Job(spec, params.copy(), gradients, y, catalogue.LOSSES["mae"], rule, batch_size=1, shuffle=False)
    state = State.fresh(spec, rule, seed=0)
    train = trainer(job, state, specialize=False)
    assert train(state, np.array([rule.learning_rate]), np.empty(1), n) is Status.DONE
    return job.params, state.slots


def follow_by_numpy(rule, params, gradients):
    params, spec = params.copy(), NetworkSpec((params.size, 1), ("identity",), bias=False, dtype=params.dtype.name)
    slots = State.fresh(spec, rule, seed=0).slots
    for t, gradient in enumerate(gradients, start=1):
        step(rule, params, gradient, slots, rule.learning_rate, t)
    return params, slots


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("rule", "gradients", "expected"), BY_HAND, ids=repr)
def test_steps_by_hand(rule, gradients, expected, dtype):
    for t in range(1, len(gradients) + 1):
        params, _ = follow(rule, np.ones(1, dtype), np.array(gradients[:t], dtype)[:, np.newaxis])
        np.testing.assert_allclose(params, expected[t - 1], rtol=8 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_gradients_that_turn_stay_and_vanish(rule, dtype):
    for n_params in (1, 7, 8, 15, 16, 17, 33, 70):
        rng = np.random.default_rng(n_params)
        gradients = rng.normal(size=(20, n_params)) * (rng.random((20, n_params)) > 0.1)
        gradients *= 10.0 ** rng.integers(-3, 3, n_params)
        params, gradients = rng.normal(size=n_params).astype(dtype), gradients.astype(dtype)
        ours, slots = follow(rule, params, gradients)
        expected, expected_slots = follow_by_numpy(rule, params, gradients)
        tolerance, scale = 100 * np.finfo(dtype).eps, np.abs(gradients).max(axis=0)
        with about(n_params):
            np.testing.assert_allclose(ours, expected, rtol=tolerance, atol=tolerance * np.abs(params).max())
            assert (np.abs(slots - expected_slots) <= tolerance * (np.abs(expected_slots) + scale)).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rule", [Adam(), AdamW(), RMSprop()], ids=repr)
def test_a_second_moment_that_overflows_stops_its_parameter_alone(rule, dtype):
    gradients = np.ones((1, 40), dtype)
    gradients[0, 7] = np.sqrt(np.finfo(dtype).max) * 1e3
    with np.errstate(over="ignore"):
        expected, _ = follow_by_numpy(rule, np.ones(40, dtype), gradients)
    ours, _ = follow(rule, np.ones(40, dtype), gradients)
    np.testing.assert_allclose(ours, expected, rtol=8 * np.finfo(dtype).eps)


@pytest.mark.parametrize("rule", [Adam(0.1), AdamW(0.1, weight_decay=0.0)], ids=repr)
def test_bias_corrections_are_not_rounded_to_float32(rule):
    """The first step is the learning rate along the sign of the gradient; 1 - 0.999 in float32 is off by 1.3e-5."""
    params, _ = follow(rule, np.zeros(1, np.float32), np.array([[3.0]], np.float32))
    np.testing.assert_allclose(params, [-0.1], rtol=5e-7)
