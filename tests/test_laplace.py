"""Laplace's approximation: against a direct computation, and where it must be right."""

import numpy as np
import pytest

import fastnn
from fastnn import MLP, LevenbergMarquardt
from fastnn.reference.normal_equations import parameter_jacobian
from fastnn.uncertainty import posterior

RNG = np.random.default_rng(0)
X = RNG.uniform(-2, 2, (60, 2))
Y = np.c_[np.sin(X[:, 0]) + 0.1 * RNG.normal(size=60), X[:, 1] + 0.1 * RNG.normal(size=60)]


def trained(bias=True):
    net = MLP((2, 6, 2), bias=bias, rng=0)
    net.fit(X, Y, epochs=20, optimizer=LevenbergMarquardt())
    return net


@pytest.fixture(scope="module")
def net():
    return trained()


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("last_layer", [False, True])
def test_against_a_direct_computation(last_layer, bias, monkeypatch):
    monkeypatch.setattr(posterior, "_AT_ONCE", 150)  # two or three samples
    net = trained(bias)
    sure = fastnn.laplace(net, X, Y, last_layer=last_layer)
    outputs, jacobian = parameter_jacobian(net.spec, net.params, X)
    count = 12 + 2 * bias if last_layer else net.spec.n_params
    J, w = jacobian.reshape(-1, net.spec.n_params)[:, -count:], net.params[-count:]
    precision = J.T @ J / sure.noise**2 + np.eye(count) / sure.prior**2
    np.testing.assert_allclose(sure.covariance, np.linalg.inv(precision), rtol=1e-6, atol=1e-9)
    gamma = count - np.trace(np.linalg.inv(precision)) / sure.prior**2
    assert sure.effective_params == pytest.approx(gamma, rel=1e-4)
    assert sure.noise**2 == pytest.approx(np.sum((outputs - Y) ** 2) / (Y.size - gamma), rel=1e-4)
    assert sure.prior**2 == pytest.approx(w @ w / gamma, rel=1e-4)
    mean, std = sure.predict(X[:5])
    part = parameter_jacobian(net.spec, net.params, X[:5])[1][..., -count:]
    variance = np.einsum("nop,pq,noq->no", part, np.linalg.inv(precision), part)
    np.testing.assert_allclose(mean, net.predict(X[:5]), rtol=1e-12)
    np.testing.assert_allclose(std**2, variance + sure.noise**2, rtol=1e-6)
    np.testing.assert_allclose(sure.predict(X[:5], noise=False)[1] ** 2, variance, rtol=1e-5)


def test_the_last_layer_alone_takes_no_more_than_its_parameters_do(monkeypatch):
    """Matrices of all the parameters of this network would take terabytes."""
    wide = MLP((2, 1000, 1000, 3, 2), rng=0)
    whole = fastnn.laplace(wide, X, Y, last_layer=True)
    assert whole.covariance.shape == (8, 8)
    monkeypatch.setattr(posterior, "_AT_ONCE", 60)  # 20 samples of 3 inputs of the last layer
    parts = fastnn.laplace(wide, X, Y, last_layer=True)
    np.testing.assert_allclose(parts.covariance, whole.covariance, rtol=1e-6, atol=1e-9 * whole.prior**2)
    np.testing.assert_allclose(parts.predict(X), whole.predict(X), rtol=1e-6)


def test_further_training_changes_nothing():
    net = trained()
    sure = fastnn.laplace(net, X, Y)
    before = sure.predict(X[:5])
    net.params[:] += 1.0
    np.testing.assert_array_equal(sure.predict(X[:5]), before)


def test_the_noise_is_found_and_doubt_grows_away_from_the_data(net):
    sure = fastnn.laplace(net, X, Y)
    assert sure.noise == pytest.approx(0.1, rel=0.3)
    assert 0 < sure.effective_params < net.spec.n_params
    assert f" of the {net.spec.n_params} parameters determined" in repr(sure)
    near, far = (sure.predict(np.full((1, 2), place), noise=False)[1].max() for place in (0.5, 6.0))
    assert far > 3 * near


def test_a_linear_network_is_the_bayesian_linear_regression():
    linear = MLP((2, 1), rng=0)
    linear.fit(X, Y[:, 1], epochs=5, optimizer=LevenbergMarquardt())
    sure = fastnn.laplace(linear, X, Y[:, 1])
    design = np.c_[X, np.ones(60)]
    exact = np.linalg.inv(design.T @ design / sure.noise**2 + np.eye(3) / sure.prior**2)
    np.testing.assert_allclose(sure.covariance, exact, rtol=1e-9)
    assert repr(sure) == f"<Laplace: {sure.effective_params:.1f} of the 3 parameters determined, of {linear!r}>"


@pytest.mark.parametrize("error", [1e-11, 1e-6, 1e-3])
def test_fewer_targets_than_parameters_determine_no_more_than_their_number(error):
    rng = np.random.default_rng(0)
    few, net = rng.uniform(-1, 1, (8, 1)), MLP((1, 16, 1), rng=0)
    net.fit(few, np.sin(3 * few), epochs=200, optimizer=LevenbergMarquardt())  # through every target
    targets = net.predict(few)[:, 0] + error * rng.normal(size=8)
    sure = fastnn.laplace(net, few, targets)
    outputs, jacobian = parameter_jacobian(net.spec, net.params, few)
    _, roots, vectors = np.linalg.svd(jacobian[:, 0])
    values = np.r_[roots**2, np.zeros(net.spec.n_params - 8)]
    gamma = np.sum(values / (values + sure.noise**2 / sure.prior**2))
    assert gamma <= 8
    assert sure.effective_params == pytest.approx(gamma, rel=1e-6)
    assert sure.noise**2 == pytest.approx(np.sum((outputs[:, 0] - targets) ** 2) / max(8 - gamma, 8e-6), rel=1e-3)
    assert sure.prior**2 == pytest.approx(net.params @ net.params / gamma, rel=1e-6)
    new = np.array([[0.1], [3.0]])
    along = parameter_jacobian(net.spec, net.params, new)[1][:, 0] @ vectors.T
    variance = np.sum(along**2 / (values / sure.noise**2 + 1 / sure.prior**2), axis=1)
    np.testing.assert_allclose(sure.predict(new, noise=False)[1][:, 0] ** 2, variance, rtol=1e-3)


def test_single_precision_is_computed_in_double(net):
    single = MLP(net.spec.sizes, dtype="float32", rng=0)
    single.params[:] = net.params
    ours, theirs = (fastnn.laplace(one, X, Y).predict(X)[1] for one in (single, net))
    np.testing.assert_allclose(ours, theirs, rtol=1e-3)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_samples_outside_the_domain_are_those_of_the_network(net, dtype):
    plain = MLP(net.spec.sizes, dtype=dtype, rng=0)
    plain.params[:] = net.params
    away = np.r_[X[:2], [[9.0, 0.0]]]
    sure = {way: fastnn.laplace(plain.with_domain(X, outside=way), X, Y) for way in ("ignore", "clip", "nan", "raise")}
    np.testing.assert_array_equal(sure["clip"].covariance, sure["ignore"].covariance)
    edge = np.clip(away.astype(dtype), X.astype(dtype).min(axis=0), X.astype(dtype).max(axis=0))
    np.testing.assert_array_equal(sure["clip"].predict(away), sure["ignore"].predict(edge))
    means, stds = sure["nan"].predict(away)
    assert np.isnan(means[2]).all()
    assert np.isnan(stds[2]).all()
    np.testing.assert_array_equal(means[:2], sure["ignore"].predict(X[:2])[0])
    with pytest.raises(ValueError, match=r"X must lie in the network's domain, .* got 9 in row 2"):
        sure["raise"].predict(away)
    half = {way: plain.with_domain(X[:30], outside=way) for way in ("nan", "raise", "clip")}
    with pytest.raises(ValueError, match=r"model must have outputs for all of X; row 3\d lies outside its domain"):
        fastnn.laplace(half["nan"], X, Y)
    with pytest.raises(ValueError, match="X must lie in the network's domain"):
        fastnn.laplace(half["raise"], X, Y)
    inside = np.clip(X.astype(dtype), X[:30].astype(dtype).min(axis=0), X[:30].astype(dtype).max(axis=0))
    np.testing.assert_array_equal(
        fastnn.laplace(half["clip"], X, Y).covariance, fastnn.laplace(plain, inside, Y).covariance
    )


def test_what_is_refused(net):
    with pytest.raises(TypeError, match=r"model must be a fastnn.MLP; got"):
        fastnn.laplace(net.spec, X, Y)
    for activation in ("softmax", "ascending"):
        with pytest.raises(ValueError, match=f"model must have an output activation .* identity; got {activation}"):
            fastnn.laplace(MLP((2, 2), output_activation=activation), X, Y)
    with pytest.raises(ValueError, match="y must be finite"):
        fastnn.laplace(net, X, Y * np.nan)
    with pytest.raises(ValueError, match="y must not be fitted exactly"):
        fastnn.laplace(net, X, net.predict(X, backend="numpy") * 0 + net.predict(X))
    with pytest.raises(
        ValueError, match=r"y must not be fitted exactly, .*; got 3e-15 on average, which rounding alone"
    ):
        fastnn.laplace(net, X, net.predict(X) + 3e-15)
