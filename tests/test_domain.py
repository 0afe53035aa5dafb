"""Where a network has been: distances and boxes, in Python, in compiled code and from files."""

import copy
import pickle

import numpy as np
import pytest
from embed_cases import forward
from numba import TypingError, njit
from numba.core.runtime import _nrt_python, rtsys

import fastnn
from fastnn import MLP

RNG = np.random.default_rng(0)
X = RNG.normal(size=(200, 3)) @ np.array([[2.0, 0.3, 0], [0, 1, -0.5], [0, 0, 0.1]]) + [1, -2, 100]
NEW = RNG.normal(size=(40, 3)) * [5, 3, 1] + [1, -2, 100]


@pytest.fixture(scope="module")
def net():
    return MLP((3, 5, 2), rng=0).with_domain(X)


def test_the_distance_is_that_of_the_shrunk_correlations(net):
    mean, scale = X.mean(axis=0), X.std(axis=0)
    S = np.corrcoef(X.T)
    squares, n, p = (S**2).sum(), 200, 3
    share = min(1, ((1 - 2 / p) * squares + p**2) / ((n + 1 - 2 / p) * (squares - p)))
    inverse = np.linalg.inv((1 - share) * S + share * np.eye(3))
    Z = (NEW - mean) / scale
    np.testing.assert_allclose(net.distance(NEW), np.sqrt(np.einsum("ni,ij,nj->n", Z, inverse, Z)), rtol=1e-10)
    assert net.distance(NEW[0]) == pytest.approx(net.distance(NEW)[0], rel=1e-12)
    assert 1 < np.median(net.distance(X)) < 2
    assert net.distance(mean) < 1e-10


def test_few_samples_have_no_correlations():
    """The shrinkage formula would take away more than there is."""
    few = np.array([[0.0, 1.0], [1.0, -1.0], [2.0, 0.5]])
    Z = (few - few.mean(axis=0)) / few.std(axis=0)
    assert 0.2 < abs(np.corrcoef(few.T)[0, 1]) < 0.8
    distances = MLP((2, 1), rng=0).with_domain(few).distance(few)
    np.testing.assert_allclose(distances, np.sqrt((Z**2).sum(axis=1)), rtol=1e-12)


def test_a_constant_input_counts_in_its_own_units():
    samples = np.c_[X[:, 0], np.full(200, 7.0), X[:, 0] + 0.1 * X[:, 1]]
    known, mean, scale = MLP((3, 1), rng=0).with_domain(samples), samples.mean(axis=0), samples.std(axis=0)
    assert known.distance(mean + [0, 2, 0]) == pytest.approx(2, rel=1e-9)
    assert known.distance(mean + scale * [1, 0, -1]) > 5  # against the correlation of the others


@pytest.mark.parametrize("n", [7, 50])
def test_constant_inputs_may_be_large(n):
    """As times in nanoseconds are, whose mean is rounded by more than the scale of a constant input, 1."""
    varying = RNG.normal(size=(n, 1))
    samples = np.c_[varying, np.tile([1.7012345e18, 9.96921e36], (n, 1))]
    alone, all_of_them = MLP((1, 1), rng=0).with_domain(varying), MLP((3, 1), rng=0).with_domain(samples)
    np.testing.assert_allclose(all_of_them.distance(samples), alone.distance(varying), rtol=1e-10)


def test_a_network_with_a_domain_has_parameters_of_its_own(net):
    other = net.with_domain(outside="clip")
    other.params += 1
    assert not np.array_equal(other.params, net.params)
    assert np.array_equal(net.params, MLP((3, 5, 2), rng=0).params)


def test_inside_is_within_the_box_of_the_samples(net):
    expected = ((X.min(axis=0) <= NEW) & (X.max(axis=0) >= NEW)).all(axis=1)
    assert 0 < expected.sum() < len(NEW)
    np.testing.assert_array_equal(net.inside(NEW), expected)
    assert net.inside(X).all()
    assert net.inside(NEW[0]) is bool(expected[0])
    assert not net.inside(np.array([1.0, np.nan, 100.0]))
    assert np.isnan(net.distance(np.array([1.0, np.nan, 100.0])))
    for method in (net.inside, net.distance):
        with pytest.raises(ValueError, match=r"x must have shape \(3,\) or \(n, 3\); got \(1, 1, 3\)$"):
            method([[[1.0, 2.0, 3.0]]])


@njit
def told(net, X, distances, flags):
    out = np.empty(2, X.dtype)
    for i in range(len(X)):
        net.forward(X[i], out)
        distances[i], flags[i] = net.distance(X[i]), net.inside(X[i])


@njit
def only_distances(net, X, distances):
    for i in range(len(X)):
        distances[i] = net.distance(X[i])


@njit
def itself(net):
    return net


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_in_compiled_code(net, dtype):
    net = MLP((3, 5, 2), dtype=dtype, rng=0).with_domain(X)
    assert net.inside(X).all()  # rounded as the box is
    samples = np.repeat(NEW.astype(dtype), 2, axis=1)[:, ::2]
    samples[:3] = [X.min(axis=0), X.max(axis=0), X.mean(axis=0)]
    samples[3, 1] = np.nan
    distances, flags = np.empty(len(NEW)), np.empty(len(NEW), bool)
    told(net, samples, distances, flags)
    np.testing.assert_allclose(distances, net.distance(samples), rtol=1e-12)
    np.testing.assert_array_equal(flags, net.inside(samples))
    assert flags[:3].all()  # the ends are
    back = itself(net)
    np.testing.assert_array_equal(back.distance(samples), net.distance(samples))


def test_nothing_is_allocated():
    _nrt_python.memsys_enable_stats()
    net = MLP((25, 3, 1), rng=0).with_domain(RNG.normal(size=(100, 25)))
    samples, distances = RNG.normal(size=(100, 25)), np.empty(100)
    only_distances(net, samples, distances)
    np.testing.assert_allclose(distances, net.distance(samples), rtol=1e-12)
    before = rtsys.get_allocation_stats()
    only_distances(net, samples, distances)
    assert rtsys.get_allocation_stats().alloc - before.alloc <= 4  # the arguments themselves


@pytest.mark.parametrize("name", ["net.npz", "net.safetensors"])
def test_it_is_saved_and_copied_with_the_network(net, name, tmp_path):
    net.save(tmp_path / name)
    for other in (fastnn.load(tmp_path / name), net.copy(), copy.copy(net), pickle.loads(pickle.dumps(net))):
        np.testing.assert_array_equal(other.distance(NEW), net.distance(NEW))
        np.testing.assert_array_equal(other.params, net.params)
        assert not np.shares_memory(other.params, net.params)


def test_files_that_hold_another_domain_are_refused(net, tmp_path):
    path = tmp_path / "net.npz"
    net.save(path)
    arrays = dict(np.load(path))
    for wrong in (arrays["domain"][:-1], arrays["domain"].astype("f4"), arrays["domain"] * np.nan):
        np.savez(path, **arrays | {"domain": wrong})
        with pytest.raises(ValueError, match="its domain is"):
            fastnn.load(path)
    header = str(arrays["header"]).replace('"version"', '"outside": "clamp", "version"')
    np.savez(path, **arrays | {"header": np.array(header)})
    with pytest.raises(ValueError, match="its outside must be one of"):
        fastnn.load(path)


def test_few_samples_and_constant_inputs_will_do():
    net = MLP((4, 1), rng=0)
    few = np.array([[0.0, 1, 7, 1e-9], [1, 3, 7, 2e-9]])
    for samples in (few, few[:1]):
        known = net.with_domain(samples)
        assert np.isfinite(known.distance(RNG.normal(size=(5, 4)))).all()
        assert known.inside(samples).all()
        assert not known.inside(samples[0] + [0, 0, 1, 0])


@pytest.mark.parametrize("size", [1e-155, 1e-160, 1e-200, 1e-290])
def test_samples_whose_squared_differences_vanish(size):
    samples, net = RNG.normal(size=(20, 3)), MLP((3, 1), rng=0)
    known = net.with_domain(size * samples)
    assert known.inside(size * samples).all()
    np.testing.assert_allclose(known.distance(size * samples), net.with_domain(samples).distance(samples), rtol=1e-10)


def test_samples_that_hardly_differ():
    samples = np.array([[0.0], [5e-324], [1e-310]])
    known = MLP((1, 1), rng=0).with_domain(samples)
    assert np.isfinite(known.distance(samples)).all()
    assert known.distance([1.0]) > 1e100


def test_what_is_refused(net):
    plain = MLP((3, 5, 2), rng=0)
    for method in ("distance", "inside"):
        with pytest.raises(ValueError, match=rf"{method} needs a network with a domain, .*; got one without"):
            getattr(plain, method)(NEW)
    for bad in (X[:, :2], X[:0], X * np.nan):
        with pytest.raises(ValueError, match=r"X must (have shape|have at least 1 row|be finite)"):
            plain.with_domain(bad)
    with pytest.raises(ValueError, match=r"X must contain numbers whose squares are finite; got some up to 1e\+200"):
        plain.with_domain(np.linspace(-1e200, 1e200, 30).reshape(10, 3))
    with pytest.raises(ValueError, match="with_scaling must be called before with_domain"):
        net.with_scaling(0.0, 1.0, 0.0, 1.0)
    with pytest.raises(TypingError, match=r"net.distance: net must have a domain, which net.with_domain\(X\) gives it"):
        only_distances(plain, NEW, np.empty(40))
    with pytest.raises(ValueError, match=r"net.distance: x must have shape \(3,\)"):
        only_distances(net, NEW[:, :2].copy(), np.empty(40))
    inside = njit(lambda net, x: net.inside(x))
    with pytest.raises(ValueError, match=r"net.inside: x must have shape \(3,\)"):
        inside(net, NEW[0, :2])
    for call in (inside, njit(lambda net, x: net.distance(x))):
        with pytest.raises(TypingError, match=r"x must be a 1-D array of float64; got array\(float64, 2d, C\)"):
            call(net, NEW)


# ---------------------------------------------------------------- what is done outside
@njit
def outputs_of(net, X, out):
    for i in range(len(X)):
        net.forward(X[i], out[i])


@njit
def with_other_params(net, params, x, out):
    net.forward_with(params, x, out)


@pytest.mark.parametrize(
    ("outside", "dtype"), [("clip", "float64"), pytest.param("nan", "float32", marks=pytest.mark.slow)]
)
def test_samples_outside_are_clipped_or_have_no_outputs(outside, dtype):
    plain = MLP((3, 5, 2), dtype=dtype, rng=0).with_domain(X)
    plain.weights[0][:] *= 0.02  # so that no unit is saturated
    net, samples = plain.with_domain(outside=outside), NEW.astype(dtype)
    samples[3, 1] = np.nan
    given = samples.copy()
    low, high = X.astype(dtype).min(axis=0), X.astype(dtype).max(axis=0)
    expected = plain.predict(np.clip(samples, low, high), backend="numpy")
    if outside == "nan":
        expected[~plain.inside(samples)] = np.nan
    assert np.isnan(expected[3]).all()
    assert not np.isnan(expected).all()
    assert np.nanmax(abs(expected - plain.predict(samples))) > 1e-3 or outside == "nan"
    tolerance = {"rtol": 1e-12 if dtype == "float64" else 1e-5, "atol": 1e-6}
    for backend in ("numpy", "numba"):
        np.testing.assert_allclose(net.predict(samples, backend=backend), expected, **tolerance)
        np.testing.assert_array_equal(samples, given)
    out = np.zeros((2, *expected.shape), dtype)
    outputs_of(net, samples, out[0])
    forward(net, samples[::-1], out[1][::-1])  # forwards in memory, backwards in strides
    np.testing.assert_allclose(out[0], expected, **tolerance)
    np.testing.assert_array_equal(out[1], out[0])
    with_other_params(net, net.params, samples[0], out[1, 0])
    np.testing.assert_array_equal(out[1, 0], out[0, 0])
    np.testing.assert_array_equal(net(samples[0]), out[0, 0])
    np.testing.assert_array_equal(itself(net).predict(samples), net.predict(samples))
    inside = np.ascontiguousarray(samples[plain.inside(samples)])
    np.testing.assert_array_equal(net.predict(inside), plain.predict(inside))


@pytest.mark.parametrize("outside", ["clip", "raise", "nan"])
def test_samples_whose_numbers_lie_apart(net, outside):
    careful, x, out = net.with_domain(outside=outside), np.full(9, 1e3), np.full(4, 7.0)
    x[::-3] = X[0]
    forward(careful, x[::-3], out[::2])
    np.testing.assert_array_equal(out, np.stack([net(X[0]), [7, 7]], axis=1).ravel())
    x[::-3] = X.max(axis=0) + [1, 0, 0]
    if outside == "raise":
        with pytest.raises(ValueError, match=r"x must lie in the domain of net"):
            forward(careful, x[::-3], out[::2])
        return
    forward(careful, x[::-3], out[::2])
    expected = net(X.max(axis=0)) if outside == "clip" else [np.nan, np.nan]
    np.testing.assert_array_equal(out, np.stack([expected, [7, 7]], axis=1).ravel())


def test_a_batch_through_large_layers_looks_at_the_domain():
    """Without one, several of its samples go through such a network at once."""
    net, samples = MLP((3, 64, 64, 2), rng=0).with_domain(X, outside="nan"), np.vstack([X[:3], NEW])
    out = np.zeros((len(samples), 2))
    forward(net, samples, out)
    inside = net.inside(samples)
    assert inside[:3].all()
    assert not inside.all()
    np.testing.assert_array_equal(np.isnan(out).all(axis=1), ~inside)


def test_samples_outside_are_refused(net):
    strict = net.with_domain(outside="raise")
    np.testing.assert_array_equal(strict.predict(X), net.predict(X))
    with pytest.raises(ValueError, match=r"X must lie in the network's domain, .* from 98.7 to 102; got 7 in row 1"):
        strict.predict([[1, -2, 100], [1, -2, 7]])
    for call in (lambda x: outputs_of(strict, x, np.empty((1, 2))), lambda x: strict(x[0])):
        call(X[:1])
        with pytest.raises(ValueError, match=r"x must lie in the domain of net, as net.inside\(x\) says"):
            call(X[:1] + 50)
    strict.jacobian(X[0] + 50, np.empty(2), np.empty((2, 3)))  # derivatives are those of the network alone


@pytest.mark.parametrize("name", ["net.npz", "net.safetensors"])
def test_what_is_done_outside_is_saved_and_copied(net, name, tmp_path):
    careful = net.with_domain(outside="nan")
    assert np.isnan(careful.predict(NEW)).any()
    careful.save(tmp_path / name)
    for other in (fastnn.load(tmp_path / name), careful.copy(), pickle.loads(pickle.dumps(careful))):
        np.testing.assert_array_equal(other.predict(NEW), careful.predict(NEW))
    assert not np.isnan(careful.with_domain().predict(NEW)).any()


def test_what_is_done_outside_is_not_lost_on_the_way(net, tmp_path):
    careful = net.with_domain(outside="clip")
    for write in (
        lambda: careful.to_c(tmp_path / "net.c"),
        lambda: careful.to_fortran(tmp_path / "net.f90"),
        lambda: careful.to_onnx(tmp_path / "net.onnx"),
        careful.to_numpy_source,
        careful.to_torch,
        careful.cfunc,
    ):
        with pytest.raises(ValueError, match=r"net must not depend on its domain .* got one with outside='clip'"):
            write()
    assert "def predict" in careful.with_domain(outside="ignore").to_numpy_source()


def test_nothing_is_allocated_to_clip():
    _nrt_python.memsys_enable_stats()
    net = MLP((3, 5, 2), rng=0).with_domain(X, outside="clip")
    out = np.empty((40, 2))
    outputs_of(net, NEW, out)
    before = rtsys.get_allocation_stats()
    outputs_of(net, NEW, out)
    assert rtsys.get_allocation_stats().alloc - before.alloc <= 5  # the arguments themselves


def test_what_may_be_done_outside():
    with pytest.raises(ValueError, match="outside must be one of ignore, clip, raise, nan; got 'clamp'"):
        MLP((3, 1)).with_domain(X, outside="clamp")
    with pytest.raises(ValueError, match=r"X must be samples that the network was trained on, .* got None"):
        MLP((3, 1)).with_domain(outside="clip")
