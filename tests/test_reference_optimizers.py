"""The NumPy update rules: against steps worked out by hand and against PyTorch's optimizers."""

import numpy as np
import pytest

from fastnn.jobs.job import State
from fastnn.reference import clip, optimizers, step
from fastnn.settings import catalogue
from fastnn.settings.optimizers import SGD, Adam, AdamHat, AdamW, RMSprop, Rprop, VelocitySGD
from fastnn.settings.spec import NetworkSpec

# rule, gradients of successive steps, where a parameter that starts at 1 stands after each
BY_HAND = [
    (SGD(0.1), [2, -1], [0.8, 0.9]),
    (SGD(0.1, momentum=0.5), [2, -1, 4], [0.8, 0.8, 0.4]),  # v = 2, 0, 4
    (SGD(0.1, momentum=0.5, nesterov=True), [2, -1, 4], [0.7, 0.8, 0.2]),  # g + v / 2 = 3, -1, 6
    (RMSprop(0.1, decay=0.75, epsilon=1.0), [2, 1, 0], [0.9, 0.85, 0.85]),  # v = 1, 1, 0.75
    (
        Adam(0.1, beta_1=0.5, beta_2=0.75, epsilon=1.0),
        [2, 1],  # m = 1, 1; v = 1, 1
        [1 - 0.2 / 3, 1 - 0.2 / 3 - 0.1 * (4 / 3) / (4 / 7**0.5 + 1)],
    ),
    (
        AdamW(0.1, beta_1=0.5, beta_2=0.75, epsilon=1.0, weight_decay=0.5),
        [2, 1],
        [0.95 - 0.2 / 3, 0.95 * (0.95 - 0.2 / 3) - 0.1 * (4 / 3) / (4 / 7**0.5 + 1)],
    ),
    (Rprop(0.1), [2, 3, -1, -5, 0, 4], [0.9, 0.78, 0.78, 0.84, 0.84, 0.78]),  # sizes 0.1, 0.12, then 0.06
    (Rprop(0.1, step_max=0.11), [2, 3, 4], [0.9, 0.79, 0.68]),
    (Rprop(0.1, step_min=0.08), [2, -3, -4], [0.9, 0.9, 0.98]),
    (VelocitySGD(0.1, momentum=0.5), [2, -1, 4], [0.8, 0.8, 0.4]),  # v = -0.2, 0, -0.4
    (VelocitySGD(0.1, momentum=0.5, nesterov=True), [2, -1, 4], [0.7, 0.8, 0.2]),  # v / 2 - g / 10 = -0.3, 0.1, -0.6
    (
        AdamHat(0.1, beta_1=0.5, beta_2=0.75, epsilon=1.0),
        [2, 1],  # m = 1, 1; v = 1, 1
        [0.95, 0.95 - 0.1 * (7 / 16) ** 0.5 / 0.75 / 2],
    ),
]


def start(rule, dtype="float64", n=1):
    """Parameters of 1 and the state before the first step."""
    spec = NetworkSpec((n, 1), ("identity",), bias=False, dtype=dtype)
    return np.ones(n, dtype), State.fresh(spec, rule, seed=0).slots


def test_every_row_has_its_function():
    assert list(optimizers.FUNCTIONS) == list(catalogue.OPTIMIZERS)
    assert {type(rule).__name__ for rule, _, _ in BY_HAND} == set(catalogue.OPTIMIZERS)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("rule", "gradients", "expected"), BY_HAND, ids=repr)
def test_steps_by_hand(rule, gradients, expected, dtype):
    params, slots = start(rule, dtype)
    for t, (g, where) in enumerate(zip(gradients, expected, strict=True), start=1):
        gradient = np.array([g], dtype)
        step(rule, params, gradient, slots, rule.learning_rate, t)
        np.testing.assert_allclose(params, [where], rtol=8 * np.finfo(dtype).eps)
        np.testing.assert_array_equal(gradient, np.array([g], dtype))


def test_without_momentum_nothing_is_kept():
    params, slots = start(SGD(0.1))
    step(SGD(0.1), params, np.array([2.0]), slots, 0.1, 1)
    np.testing.assert_array_equal(slots, 0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rprop_sees_the_sign_of_tiny_gradients(dtype):
    """The product of two such gradients is zero."""
    params, slots = start(Rprop(0.1), dtype)
    for t in (1, 2):
        step(Rprop(0.1), params, np.array([np.finfo(dtype).tiny]), slots, 0.1, t)
    np.testing.assert_allclose(params, [0.78], rtol=1e-6)


TORCH = [
    (SGD(0.1), "SGD", {}),
    (SGD(0.1, momentum=0.9), "SGD", {"momentum": 0.9}),
    (SGD(0.1, momentum=0.9, nesterov=True), "SGD", {"momentum": 0.9, "nesterov": True}),
    (RMSprop(0.01), "RMSprop", {}),
    (RMSprop(0.01, decay=0.9, epsilon=1e-3), "RMSprop", {"alpha": 0.9, "eps": 1e-3}),
    (Adam(0.01), "Adam", {}),
    (Adam(0.01, beta_1=0.8, beta_2=0.95, epsilon=1e-3), "Adam", {"betas": (0.8, 0.95), "eps": 1e-3}),
    (AdamW(0.01), "AdamW", {}),
    (AdamW(0.01, weight_decay=0.3), "AdamW", {"weight_decay": 0.3}),
    (Rprop(0.01), "Rprop", {}),
    (
        Rprop(0.01, decrease=0.3, increase=2.0, step_min=5e-3, step_max=0.03),
        "Rprop",
        {"etas": (0.3, 2.0), "step_sizes": (5e-3, 0.03)},
    ),
]


@pytest.mark.parametrize(("rule", "name", "settings"), TORCH, ids=repr)
def test_agrees_with_torch(rule, name, settings):
    """Twenty steps whose gradients turn, stay and vanish, and whose learning rate changes."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    params, slots = start(rule, n=50)
    theirs = torch.tensor(params, requires_grad=True)
    optimizer = getattr(torch.optim, name)([theirs], lr=rule.learning_rate, **settings)
    for t in range(1, 21):
        gradient = rng.normal(size=50) * (rng.random(50) > 0.1)
        optimizer.param_groups[0]["lr"] = learning_rate = rule.learning_rate / t
        theirs.grad = torch.tensor(gradient)
        optimizer.step()
        step(rule, params, gradient, slots, learning_rate, t)
        np.testing.assert_allclose(params, theirs.detach().numpy(), rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("rule", [Adam(0.1), AdamW(0.1, weight_decay=0.0)], ids=repr)
def test_bias_corrections_are_not_rounded_to_float32(rule):
    """The first step is the learning rate along the sign of the gradient; 1 - 0.999 in float32 is off by 1.3e-5."""
    params, slots = start(rule, "float32")
    params[:] = 0
    step(rule, params, np.array([3.0], np.float32), slots, 0.1, 1)
    np.testing.assert_allclose(params, [-0.1], rtol=5e-7)


def test_a_velocity_keeps_the_rates_of_its_gradients():
    params, slots = start(VelocitySGD(0.1, momentum=0.5))
    for t, rate in enumerate((0.1, 0.0), start=1):
        step(VelocitySGD(0.1, momentum=0.5), params, np.array([2.0]), slots, rate, t)
    np.testing.assert_allclose(params, [1 - 0.2 - 0.1])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_clip_bounds_the_norm(dtype):
    gradient = np.array([3, 4], dtype)
    clip(gradient, 10.0)
    np.testing.assert_array_equal(gradient, [3, 4])
    clip(gradient, np.inf)
    np.testing.assert_array_equal(gradient, [3, 4])
    clip(gradient, 1.0)
    np.testing.assert_allclose(gradient, np.array([3, 4]) / (5 + 1e-6), rtol=4 * np.finfo(dtype).eps)


def test_clip_agrees_with_torch():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(1)
    for scale in (1e-9, 0.1, 1.0, 1e3):
        gradient = scale * rng.normal(size=20)
        theirs = torch.zeros(20, dtype=torch.float64, requires_grad=True)
        theirs.grad = torch.tensor(gradient)
        torch.nn.utils.clip_grad_norm_([theirs], 0.5)
        clip(gradient, 0.5)
        np.testing.assert_allclose(gradient, theirs.grad.numpy(), rtol=1e-14)
