"""The initial weights of every scheme: their scale, their place and where they come from."""

import numpy as np
import pytest

from fastnn import MLP
from fastnn.ensembles.initial_weights import MemberStreams
from fastnn.settings.initializers import INITIALIZERS, initialize
from fastnn.settings.spec import NetworkSpec

N_IN, N_OUT = 300, 200
VARIANCE = {
    "unit_uniform": 1 / 12,
    "glorot_uniform": 2 / (N_IN + N_OUT),
    "glorot_normal": 2 / (N_IN + N_OUT),
    "he_uniform": 2 / N_IN,
    "he_normal": 2 / N_IN,
    "lecun_uniform": 1 / N_IN,
    "lecun_normal": 1 / N_IN,
    "siren": 1 / N_IN**2 / 3,
    "uniform": 0.05**2 / 3,
    "normal": 0.05**2,
}


@pytest.mark.parametrize("init", INITIALIZERS)
def test_mean_variance_and_shape_of_the_distribution(init):
    weights = MLP((N_IN, N_OUT), init=init, rng=0).weights[0].ravel()
    deviation = np.sqrt(VARIANCE[init])
    mean = 0.5 if init == "unit_uniform" else 0.0
    assert abs(weights.mean() - mean) < 5 * deviation / np.sqrt(weights.size)
    assert weights.std() == pytest.approx(deviation, rel=0.01)
    reach = abs(weights - mean).max() / deviation
    half_width = np.sqrt(3)  # of a uniform distribution, in deviations
    assert reach > 3.5 if "normal" in init else 0.99 * half_width < reach <= half_width


def test_the_limits_of_a_siren_hang_on_the_layer_and_hold_its_factor_of_30():
    net = MLP((2, 40, 50, 60), activation="sin", init="siren", rng=0)
    limits = [30 / 2, np.sqrt(6 / 40), np.sqrt(6 / 50) / 30]  # the output has no sine
    for weights, limit in zip(net.weights, limits, strict=True):
        assert 0.9 * limit < abs(weights).max() <= limit


def test_unit_uniform_is_the_tutorials_draw():
    rng = np.random.default_rng(5)
    first, second = rng.random((3, 4)), rng.random((4, 1))
    net = MLP.tutorial(rng=5)
    assert np.array_equal(net.weights[0], first)
    assert np.array_equal(net.weights[1], second)


@pytest.mark.parametrize("init", INITIALIZERS)
def test_biases_are_zero_and_float32_rounds_the_same_draws(init):
    double, single = (MLP((5, 4, 3), init=init, dtype=dtype, rng=1) for dtype in ("float64", "float32"))
    assert not any(biases.any() for biases in double.biases)
    assert all(weights.all() for weights in double.weights)
    assert np.array_equal(single.params, double.params.astype(np.float32))


@pytest.mark.parametrize("init", INITIALIZERS)
def test_leading_axes_are_members(init):
    spec = NetworkSpec((3, 2, 1), ("tanh", "identity"))
    params = np.full((7, spec.n_params), np.nan)
    initialize(spec, INITIALIZERS[init], np.random.default_rng(0), params)
    assert np.isfinite(params).all()
    assert len({member.tobytes() for member in params}) == 7


def test_members_draw_from_streams_of_their_own():
    seeds, streams = np.array([0, 0, 3]), np.array([0, 1, 1])
    parts = MemberStreams(seeds, streams)
    pieces = [parts.random((3, 4)), parts.random((3, 5))]
    np.testing.assert_array_equal(np.hstack(pieces), MemberStreams(seeds, streams).random((3, 9)))
    draws = MemberStreams(seeds, streams)
    first, second, flat = draws.standard_normal((3, 100, 200)), draws.standard_normal((3, 20000)), draws.random((3, 9))
    assert first[2].tobytes() == MemberStreams(seeds[2:], streams[2:]).standard_normal((1, 100, 200))[0].tobytes()
    normal = np.stack([first.reshape(3, -1), second])
    np.testing.assert_allclose(normal.mean(axis=2), 0, atol=0.04)
    np.testing.assert_allclose(normal.std(axis=2), 1, atol=0.03)
    np.testing.assert_allclose((normal**4).mean(axis=2), 3, atol=0.4)
    together = np.corrcoef([*normal.reshape(6, -1), *normal[0, :, ::-1], *np.roll(normal[0], 1, axis=1)])
    np.testing.assert_allclose(together, np.eye(12), atol=0.04)
    assert ((flat >= 0) & (flat < 1)).all()
    assert len(np.unique(flat)) == flat.size
    low = MemberStreams(seeds, streams).uniform(-2.0, 5.0, (3, 20000))
    np.testing.assert_allclose([low.min(), low.max(), low.mean()], [-2, 5, 1.5], atol=0.05)
