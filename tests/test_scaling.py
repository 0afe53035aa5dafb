"""Standardised numbers, and networks in the units of a simulation."""

import numpy as np
import pytest

import fastnn
from fastnn import MLP

RNG = np.random.default_rng(0)
X = RNG.normal(size=(30, 3)) * [1e3, 1e-3, 1] + [5e3, 0, -2]
Y = np.stack([X[:, 0] * 2, X[:, 2]], axis=1)


def test_means_and_deviations():
    x_mean, x_scale, y_mean, y_scale = fastnn.standardize(X, Y[:, 0])
    assert np.allclose(((X - x_mean) / x_scale).mean(axis=0), 0, atol=1e-12)
    assert np.allclose(((X - x_mean) / x_scale).std(axis=0), 1, rtol=1e-12)
    assert y_mean.shape == y_scale.shape == (1,)


def test_a_constant_column_has_the_scale_1():
    constant = np.full((50, 3), [0.1, 1.7012345e18, 9.96921e36])
    x_mean, x_scale, _, _ = fastnn.standardize(constant, constant)
    assert np.array_equal(x_mean, constant[0])  # where the mean of such numbers is rounded
    assert np.array_equal(x_scale, [1, 1, 1])


@pytest.mark.parametrize("sizes", [(3, 5, 2), (3, 2)])
def test_the_scaling_is_folded_into_the_layers(sizes):
    net = MLP(sizes, rng=0)
    scales = fastnn.standardize(X, Y)
    x_mean, x_scale, y_mean, y_scale = scales
    scaled = net.with_scaling(*scales)
    assert scaled.spec == net.spec
    assert np.allclose(scaled.predict(X), y_mean + y_scale * net.predict((X - x_mean) / x_scale), rtol=1e-12)


def test_one_number_for_all_columns():
    net = MLP((3, 5, 2), dtype="float32", rng=0)
    scaled = net.with_scaling(0, 2, 1, 3)
    x = X.astype("f")
    assert np.allclose(scaled.predict(x), 1 + 3 * net.predict(x / 2), rtol=1e-5)


@pytest.mark.parametrize("output", ["softmax", "sigmoid", "identity"])
@pytest.mark.parametrize("sizes", [(3, 5, 2), (3, 2)])
def test_samples_alone_are_scaled(sizes, output):
    net = MLP(sizes, output_activation=output, rng=0)
    x_mean, x_scale = scales = fastnn.standardize(X)
    assert all(np.array_equal(one, other) for one, other in zip(scales, fastnn.standardize(X, Y)[:2], strict=True))
    scaled = net.with_scaling(*scales)
    assert scaled.spec == net.spec
    assert np.allclose(scaled.predict(X), net.predict((X - x_mean) / x_scale), rtol=1e-12)
    net.params[0] = np.nan  # as after training that diverged, which is no fault of the scales
    assert np.isnan(net.with_scaling(*scales).params[0])


def test_what_is_refused():
    net = MLP((3, 5, 2), rng=0)
    with pytest.raises(ValueError, match=r"x_scale must be above 0; got 0.0"):
        net.with_scaling(0, [1, 0, 1], 0, 1)
    with pytest.raises(ValueError, match=r"y_mean must have shape \(2,\)"):
        net.with_scaling(0, 1, [0, 0, 0], 1)
    with pytest.raises(ValueError, match=r"x_mean must be finite"):
        net.with_scaling(np.nan, 1, 0, 1)
    with pytest.raises(ValueError, match=r"with biases"):
        MLP((3, 2), bias=False).with_scaling(0, 1, 0, 1)
    with pytest.raises(ValueError, match=r"output activation is identity; got sigmoid"):
        MLP((3, 2), output_activation="sigmoid").with_scaling(0, 1, 0, 1)
    for name in ("y_mean", "y_scale"):
        with pytest.raises(ValueError, match=rf"y_mean and y_scale must be given together, .*; got {name} alone"):
            net.with_scaling(0, 1, **{name: 1})
    with pytest.raises(ValueError, match=r"x_mean and x_scale must give parameters that fit into float64"):
        net.with_scaling(0, 1e-320)
    with pytest.raises(ValueError, match=r"y must have as many rows as X"):
        fastnn.standardize(X, Y[:-1])
    with pytest.raises(ValueError, match=r"at least one row"):
        fastnn.standardize(X[:0], Y[:0])
