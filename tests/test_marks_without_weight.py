"""Rows without a weight: what they hold, perhaps marks of missing values, has no share in anything."""

from functools import partial

import numpy as np
import pytest

from fastnn import MLP, checks, fit_many

MARK = np.float32(9.969209968386869e36)  # what netCDF fills float32 with


def marked(fill):
    """Samples, targets and weights, of which some rows are `fill` and have no weight."""
    rng = np.random.default_rng(0)
    X, y, weights = rng.normal(size=(40, 3)), rng.normal(size=(40, 2)), rng.integers(1, 4, 40)
    X[::7], y[::5], weights[::7], weights[::5] = fill, fill, 0, 0
    return tuple(array.astype(np.float32) for array in (X, y, weights))


@pytest.mark.parametrize("backend", ["numba", "plain", "numpy"])
def test_rows_without_a_weight_may_hold_marks_whose_loss_overflows(backend):
    runs = []
    for fill in (MARK, 0):
        X, y, weights = marked(fill)
        net = MLP((3, 5, 2), activation="relu", dtype="float32", rng=0)
        options = {"batch_size": 7, "epochs": 3, "rng": 0, "backend": backend, "progress": False}
        history = net.fit(X, y, sample_weight=weights, validation_data=(X, y, weights), **options)
        loss, gradient = net.loss_and_grad(X, y, sample_weight=weights, backend=backend)
        runs.append([history.loss, history.validation_loss, net.params, loss, gradient])
        assert (X[0] == fill).all()
        assert (y[5] == fill).all()
    for ours, expected in zip(*runs, strict=True):
        np.testing.assert_array_equal(ours, expected)
    assert np.isfinite(runs[0][0]).all()


@pytest.mark.parametrize("backend", ["numba", "numpy"])
def test_so_may_those_of_slopes(backend):
    runs = []
    for fill in (MARK, 0):
        X, y, weights = marked(fill)
        net, slopes = MLP((3, 5, 2), dtype="float32", rng=0), np.repeat(y[:, :, np.newaxis], 3, axis=2)
        settings = {"sample_weight": weights, "epochs": 2, "rng": 0, "backend": backend, "progress": False}
        X, y, _ = marked(0)
        history = net.fit(X, y, dydx=slopes, **settings)
        runs.append([history.loss, net.params])
    for ours, expected in zip(*runs, strict=True):
        np.testing.assert_array_equal(ours, expected)
    assert np.isfinite(runs[0][0]).all()


def test_what_one_member_does_not_count_another_may():
    """A number that is far away, but not so far that its loss overflows."""
    X, y, weights = marked(0)
    X[1], y[1] = 1e10, 1e5
    each = np.stack([weights, np.where(np.arange(40) == 1, 0, weights)])
    settings = {"members": 2, "epochs": 2, "rng": 0}
    spec = MLP((3, 5, 2), dtype="float32").spec
    both, first = (fit_many(spec, X, y, sample_weight=weight, **settings) for weight in (each, each[[0, 0]]))
    np.testing.assert_array_equal(both.params[0], first.params[0])
    assert both.loss[0] > 1e6 > both.loss[1]


def test_so_may_those_of_batches_slopes_and_members():
    runs = []
    for fill in (MARK, 0):
        X, y, weights = marked(fill)
        nets = [MLP((3, 5, 2), activation="relu", dtype="float32", rng=0) for _ in range(2)]
        nets[0].fit(partial(iter, [(X, y, weights)]), epochs=2, rng=0, progress=False)
        slopes = np.repeat(y[:, :, np.newaxis], 3, axis=2)
        nets[1].fit(X, y, sample_weight=weights, dydx=slopes, epochs=2, rng=0, progress=False)
        each = np.stack([weights, 2 * weights, np.where(np.arange(40) < 20, weights, 0)])
        many = fit_many(nets[0].spec, X, y, sample_weight=each, members=3, epochs=2, rng=0)
        own = fit_many(nets[0].spec, np.stack([X] * 3), y, sample_weight=each, members=3, epochs=2, rng=0)
        runs.append([net.params for net in nets] + [many.params, own.params])
    for ours, expected in zip(*runs, strict=True):
        assert np.isfinite(expected).all()
        np.testing.assert_array_equal(ours, expected)


@pytest.mark.parametrize("backend", ["numba", "numpy"])
def test_so_may_marks_that_overflow_in_an_exponential_alone(backend):
    runs = []
    for fill in (-9999, 0):
        X, y, weights = marked(0)
        X[::7], y = fill, np.abs(y)
        net = MLP((3, 5, 2), activation="relu", output_activation="exp", dtype="float32", rng=0)
        settings = {"loss": "poisson", "sample_weight": weights, "epochs": 2, "batch_size": 7, "rng": 0}
        settings["validation_data"] = X, y, weights
        many = fit_many(net.spec, X, y, members=3, history=True, **settings)
        history = net.fit(X, y, backend=backend, progress=False, **settings)
        runs.append([net.params, history.loss, history.validation_loss, many.params, many.records.validation])
    for ours, expected in zip(*runs, strict=True):
        assert np.isfinite(expected).all()
        np.testing.assert_array_equal(ours, expected)


@pytest.mark.parametrize("fill", [np.nan, np.inf])
def test_what_is_not_finite_is_refused_without_a_weight_too(fill):
    X, y, weights = marked(fill)
    with pytest.raises(ValueError, match="X must be finite"):
        MLP((3, 5, 2), dtype="float32").fit(X, y, sample_weight=weights, epochs=1)


def test_a_mark_is_moved_to_the_bounds_of_its_own_column():
    values = np.array([[[-3.0, 100.0], [-2.0, 200.0], [9.0, 999.0]], [[-7.0, 50.0], [99.0, -9.0], [-5.0, 60.0]]])
    moved = checks.without_marks(values, np.array([[1.0, 1.0, 0.0], [1.0, 0.0, 1.0]]))
    expected = [[[-3.0, 100.0], [-2.0, 200.0], [0.0, 200.0]], [[-7.0, 50.0], [0.0, 0.0], [-5.0, 60.0]]]
    np.testing.assert_array_equal(moved, expected)
