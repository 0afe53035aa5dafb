"""The two twins on the same networks, data and settings: outputs, loss, gradient and whole runs."""

from functools import partial
from itertools import product

import numpy as np
import pytest
import torch_autograd
from reference_cases import GOING_TOGETHER, HIDDEN, OUTPUTS, about, draw, error, rules, sized, targets

from fastnn.jobs.job import Job, State, Status
from fastnn.kernels import plain
from fastnn.kernels.tiles import predict as kernels
from fastnn.kernels.train import trainer as kernel_trainer
from fastnn.reference import network as reference
from fastnn.reference.training import trainer as reference_trainer
from fastnn.settings import catalogue
from fastnn.settings.optimizers import SGD, Rprop
from fastnn.settings.spec import NetworkSpec

TOLERANCE = {"float64": 1e-12, "float32": 1e-5}
DTYPES = list(TOLERANCE)
WIDTHS = [1, 2, 3, 7, 8, 15, 16, 17, 33, 65]
ROWS = [1, 2, 3, 7, 15, 16, 17, 33, 65, 256, 257, 600]  # a block of the kernels has 256
SMOOTH = ["tanh", "silu", "softplus", "gelu_tanh", "sigmoid"]  # big networks always have a unit near a kink


def single_or_double(dtype, *arrays):
    return [array if array is None or array.dtype == np.intp else array.astype(dtype) for array in arrays]


def spec_of(sizes, hidden, output, *, bias=True, dtype="float64"):
    """A network whose hidden layers take the activations `hidden` in turn."""
    names = tuple(hidden[i % len(hidden)] for i in range(len(sizes) - 2))
    return NetworkSpec(sizes, (*names, output), bias, dtype)


def draw_big(spec, loss, n, seed=0):
    """As `draw`, with weights that keep the units of wide layers out of saturation, and no look at kinks."""
    rng = np.random.default_rng(seed)
    params = rng.normal(size=spec.n_params) / 2
    for W in spec.weights(params):
        W *= 2 / np.sqrt(len(W))
    return single_or_double(spec.dtype, params, rng.normal(size=(n, spec.n_in)), targets(loss, n, spec.n_out, rng))


def assert_same_gradient(spec, params, X, y, loss, **settings):
    row, tolerance = catalogue.LOSSES[loss], TOLERANCE[spec.dtype]
    expected, expected_gradient = reference.loss_and_grad(spec, params, X, y, row, **settings)
    out = np.full(spec.n_params, np.nan, spec.dtype)
    value, gradient = kernels.loss_and_grad(spec, params, X, y, row, out=out, **settings)
    assert gradient is out
    assert value == pytest.approx(expected, rel=tolerance, abs=tolerance)
    assert error(gradient, expected_gradient) < tolerance


def assert_same_outputs(spec, params, X):
    outputs = kernels.predict(spec, params, X)
    assert outputs.shape == (len(X), spec.n_out)
    assert outputs.dtype == spec.dtype
    assert error(outputs, reference.predict(spec, params, X)) < TOLERANCE[spec.dtype]


# ---------------------------------------------------------------- everything that goes together
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("hidden", HIDDEN)
def test_gradients_agree(hidden, dtype):
    for output, loss in GOING_TOGETHER:
        spec = spec_of(sized((5, 9, 7, 3), loss), [hidden], output, dtype=dtype)
        weight = np.random.default_rng(1).integers(0, 3, 19) / 2
        params, X, y, weight = single_or_double(dtype, *draw(spec, loss, 19), weight)
        with about(output, loss):
            assert_same_gradient(spec, params, X, y, loss, sample_weight=weight, l2=0.1)
            assert_same_gradient(spec, params, X, y, loss)


@pytest.mark.parametrize("hidden", HIDDEN)
def test_gradient_is_that_of_torch(hidden):
    settings = {"sample_weight": np.array([0.5, 1.0, 0.0, 2.0, 0.25, 3.0]), "l2": 0.1}
    for output, loss in GOING_TOGETHER:
        spec = spec_of((3, 5, 4, 2), [hidden], output)
        row, (params, X, y) = catalogue.LOSSES[loss], draw(spec, loss, 6, seed=2)
        their_value, their_gradient = torch_autograd.loss_and_grad(spec, params, X, y, row, **settings)
        value, gradient = kernels.loss_and_grad(spec, params, X, y, row, **settings)
        with about(output, loss):
            assert value == pytest.approx(their_value, rel=1e-12)
            assert error(gradient, their_gradient) < 1e-10


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("hidden", HIDDEN)
def test_outputs_agree(hidden, dtype):
    for output in OUTPUTS:
        spec = spec_of((4, 9, 17, 11), [hidden], output, dtype=dtype)
        rng = np.random.default_rng(3)
        params, X = single_or_double(dtype, rng.normal(size=spec.n_params) / 2, rng.normal(size=(23, 4)))
        with about(output):
            assert_same_outputs(spec, params, X)


# ---------------------------------------------------------------- any shape
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("width", WIDTHS)
def test_any_width_and_batch(width, dtype):
    shapes = [((width, 6, 1), True), ((5, width, width + 1, 2), False), ((4, width), True)]
    for n, (sizes, bias) in product(ROWS, shapes):
        spec = spec_of(sizes, SMOOTH, "identity", bias=bias, dtype=dtype)
        params, X, y = draw_big(spec, "mse", n)
        weight = np.arange(1.0, n + 1, dtype=dtype)
        weight[1:-1:3] = 0
        with about(n, sizes):
            assert_same_gradient(spec, params, X, y, "mse", sample_weight=weight, l2=0.01)
            assert_same_outputs(spec, params, X)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("classes", [*WIDTHS, 300])  # the last are more than are turned at once
def test_any_number_of_classes(classes, dtype):
    spec = spec_of((3, classes), [], "softmax", dtype=dtype)
    for n in ROWS:
        params, X, y = draw_big(spec, "cross_entropy", n)
        weight = np.linspace(0, 2, n, dtype=dtype) if n > 1 else None
        labels = np.random.default_rng(n).integers(0, classes, n)
        with about(n):
            assert_same_outputs(spec, params, X)
            for y_ in (y, labels, np.eye(classes, dtype=dtype)[labels]):
                if classes > 1:  # the gradient of one class is zero
                    assert_same_gradient(spec, params, X, y_, "cross_entropy", sample_weight=weight)


@pytest.mark.parametrize("dtype", DTYPES)
def test_one_class_teaches_nothing(dtype):
    spec = spec_of((3, 1), [], "softmax", dtype=dtype)
    params, X, _ = draw_big(spec, "cross_entropy", 9)
    for y in (np.zeros(9, np.intp), np.ones((9, 1), dtype)):
        value, gradient = kernels.loss_and_grad(spec, params, X, y, catalogue.LOSSES["cross_entropy"])
        assert value == 0
        np.testing.assert_array_equal(gradient, 0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("loss", [name for name, row in catalogue.LOSSES.items() if row.logits_of is None])
def test_any_batch_of_one_target(loss, dtype):
    spec = spec_of(sized((3, 1), loss), [], "softplus", dtype=dtype)
    for n in (1, 8, 16, 63, 64, 65, 300):
        with about(n):
            assert_same_gradient(spec, *draw_big(spec, loss, n), loss, sample_weight=np.linspace(1, 2, n, dtype=dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("twin", [reference, kernels, plain], ids=["reference", "kernels", "plain"])
def test_a_confident_sigmoid_learns_from_ones_as_from_zeros(twin, dtype):
    spec, loss = NetworkSpec((1, 1), ("sigmoid",), bias=False, dtype=dtype), catalogue.LOSSES["binary_cross_entropy"]
    for z in (-30.0, -5.0, 5.0, 30.0):
        for y, exact in ((0, 1 / (1 + np.exp(-z))), (1, -1 / (1 + np.exp(z)))):
            params, X, target = (np.array(numbers, dtype) for numbers in ([z], [[1]], [[y]]))
            _, gradient = twin.loss_and_grad(spec, params, X, target, loss)
            np.testing.assert_allclose(gradient, exact, rtol=5 * np.finfo(dtype).eps)


@pytest.mark.parametrize("twin", [kernels, plain], ids=["kernels", "plain"])
@pytest.mark.parametrize("loss", [name for name, row in catalogue.LOSSES.items() if row.kink])
def test_targets_that_are_met_exactly(loss, twin):
    row, rng = catalogue.LOSSES[loss], np.random.default_rng(0)
    spec = spec_of((3, 4), [], row.logits_of or "identity")
    params, X, y = np.zeros(spec.n_params), rng.normal(size=(9, 3)), rng.integers(-1, 2, (9, 4)).astype(float)
    expected, expected_gradient = reference.loss_and_grad(spec, params, X, y, row, loss_parameter=0.75)
    value, gradient = twin.loss_and_grad(spec, params, X, y, row, loss_parameter=0.75)
    assert value == pytest.approx(expected, rel=1e-13)
    np.testing.assert_allclose(gradient, expected_gradient, rtol=1e-12, atol=1e-15)


WIDE = [
    (128, 128, 128),  # rows of 1,024 bytes in float64
    (256, 512, 256),
    (17, 1024, 5),
    (1030, 3),  # deeper than what is summed at once
    (2049, 1),
    (2, 1100, 9),
    (2, 1500, 1030, 1),
    (1, 1025, 1),
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [3, 40, 270])
@pytest.mark.parametrize("sizes", WIDE, ids=repr)
def test_wide_layers(sizes, n, dtype):
    spec = spec_of(sizes, SMOOTH, "identity", dtype=dtype)
    params, X, y = draw_big(spec, "mse", n)
    assert_same_outputs(spec, params, X)
    assert_same_gradient(spec, params, X, y, "mse")


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_batch_of_many_blocks(dtype):
    spec = spec_of((3, 4, 2), ["tanh"], "identity", dtype=dtype)
    assert_same_gradient(spec, *draw_big(spec, "mse", 2500), "mse")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("depth", [1, 2, 6])
def test_any_depth(depth, bias, dtype):
    spec = spec_of((3, *[6] * (depth - 1), 2), HIDDEN, "tanh", bias=bias, dtype=dtype)
    params, X, y = single_or_double(dtype, *draw(spec, "huber", 5))
    assert_same_gradient(spec, params, X, y, "huber", loss_parameter=0.5)


def test_no_rows():
    spec = spec_of((3, 4, 2), ["tanh"], "softmax")
    assert kernels.predict(spec, np.zeros(spec.n_params), np.empty((0, 3))).shape == (0, 2)


@pytest.mark.parametrize("loss", catalogue.LOSSES)
def test_samples_without_weight_contribute_nothing(loss):
    spec = spec_of((3, 4, 2), ["tanh"], catalogue.LOSSES[loss].logits_of or "identity")
    params, X, y = draw(spec, loss, 6)
    for twin in (kernels, plain):
        value, gradient = twin.loss_and_grad(spec, params, X, y, catalogue.LOSSES[loss], sample_weight=np.zeros(6))
        assert value == 0
        np.testing.assert_array_equal(gradient, 0)


# ---------------------------------------------------------------- whole runs
RULES = rules(0.05, epsilon=1e-3, weight_decay=0.1)
LAST = 10**9
RUN_TOLERANCE = {"float64": 1e-12, "float32": 1e-4}


def runs(spec, params, X, y, loss, rule, *, epochs=6, batch_size=None, **settings):
    """Both twins' outcome of one run: parameters, slots, losses of the epochs."""
    outcomes = []
    for trainer in (reference_trainer, partial(kernel_trainer, specialize=False)):
        job = Job(spec, params.copy(), X, y, catalogue.LOSSES[loss], rule, batch_size or len(X), **settings)
        state, losses = State.fresh(spec, rule, seed=3), np.full(epochs, np.nan)
        rates = rule.learning_rate / np.arange(1.0, epochs + 1)
        assert trainer(job, state)(state, rates, losses, LAST) is Status.DONE
        outcomes.append((job.params, state, losses))
    return outcomes


def assert_same_run(spec, params, X, y, loss, rule, **settings):
    tolerance = RUN_TOLERANCE[spec.dtype]
    (expected, expected_state, expected_losses), (ours, state, losses) = runs(
        spec, params, X, y, loss, rule, **settings
    )
    assert error(ours, params) > 1e-3  # it went somewhere
    assert error(ours, expected) < tolerance
    assert error(losses, expected_losses) < tolerance
    np.testing.assert_array_equal(state.counters, expected_state.counters)
    np.testing.assert_array_equal(state.sums, 0)
    for slot, expected_slot in zip(state.slots, expected_state.slots, strict=True):
        assert np.linalg.norm(slot - expected_slot) <= 10 * tolerance * np.linalg.norm(expected_slot)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_runs_by_every_rule(rule, dtype):
    """Shuffled batches, the last one short; weights, some zero; l2, and a bound on the gradient."""
    for loss, row in catalogue.LOSSES.items():
        seed = 10 * RULES.index(rule) + row.code
        hidden, output = HIDDEN[seed % len(HIDDEN)], row.logits_of or "identity"
        spec = spec_of(sized((5, 9, 3), loss), [hidden], output, dtype=dtype)
        draws = np.random.default_rng(seed)
        # Multiples of one number would let a gradient of signs alone cancel to zero, whose sign Rprop takes.
        weight = draws.integers(0, 4, 37) * draws.uniform(0.4, 0.6, 37)
        params, X, y, weight = single_or_double(dtype, *draw(spec, loss, 37, seed), weight)
        batch_size = None if catalogue.OPTIMIZERS[type(rule).__name__].whole_batch else 8
        settings = {"sample_weight": weight, "l2": 0.01, "max_grad_norm": 0.5, "member": 2}
        with about(loss):
            assert_same_run(spec, params, X, y, loss, rule, batch_size=batch_size, **settings)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("labelled", [True, False])
@pytest.mark.parametrize(("n", "batch_size"), [(700, 300), (600, 600), (513, 256), (33, 32), (5, 1), (1, 1)])
def test_run_of_blocks_and_short_batches(n, batch_size, labelled, shuffle, dtype):
    spec = spec_of((7, 12, 3), ["tanh"], "softmax" if labelled else "identity", dtype=dtype)
    loss = "cross_entropy" if labelled else "mse"
    params, X, y = draw_big(spec, loss, n)
    y = np.random.default_rng(0).integers(0, 3, n) if labelled else y
    assert_same_run(spec, params, X, y, loss, SGD(0.5), batch_size=batch_size, shuffle=shuffle, epochs=3)


@pytest.mark.parametrize("sizes", [(128, 4, 1), (256, 256, 2)], ids=repr)
@pytest.mark.parametrize("shuffle", [True, False])
def test_run_of_critical_strides(sizes, shuffle):
    spec = spec_of(sizes, ["tanh"], "identity", bias=False)
    assert_same_run(spec, *draw_big(spec, "mse", 45), "mse", SGD(0.1), batch_size=20, shuffle=shuffle, epochs=2)


@pytest.mark.parametrize("loss", catalogue.LOSSES)
def test_run_with_a_batch_without_weight(loss):
    spec = spec_of((3, 5, 2), ["tanh"], catalogue.LOSSES[loss].logits_of or "identity")
    params, X, y = draw(spec, loss, 12)
    weight = np.repeat([1.0, 0.0, 2.0], 4)
    assert_same_run(spec, params, X, y, loss, SGD(0.1), batch_size=4, shuffle=False, sample_weight=weight, l2=0.1)


@pytest.mark.parametrize("dtype", DTYPES)
def test_rprop_sees_the_sign_of_tiny_gradients(dtype):
    """The product of two such gradients is zero."""
    spec = spec_of((1, 1), [], "identity", bias=False, dtype=dtype)
    X = np.array([[1e-3 * np.sqrt(np.finfo(dtype).tiny)]], dtype)
    (expected, _, _), (ours, _, _) = runs(
        spec, np.ones(1, dtype), X, np.zeros((1, 1), dtype), "mae", Rprop(0.01), epochs=4
    )
    np.testing.assert_allclose(expected, 1 - 0.01 * (1 + 1.2 + 1.2**2 + 1.2**3), rtol=1e-6)
    np.testing.assert_allclose(ours, expected, rtol=1e-6)
