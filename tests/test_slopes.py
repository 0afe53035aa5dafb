"""Training on slopes beside values: both twins, directions, missing entries, and what they gain."""

import numpy as np
import pytest

import fastnn
from fastnn import MLP, reference
from fastnn.jobs.job import Job
from fastnn.jobs.slopes import Slopes
from fastnn.settings import catalogue
from fastnn.training.slope_residuals import SlopeResiduals

RNG = np.random.default_rng(0)
X = RNG.uniform(-2, 2, (24, 2))
Y = np.stack([np.sin(X[:, 0]) * X[:, 1], X[:, 0] ** 2], axis=1)
DYDX = np.stack(
    [
        np.stack([np.cos(X[:, 0]) * X[:, 1], np.sin(X[:, 0])], axis=1),
        np.stack([2 * X[:, 0], np.zeros(24)], axis=1),
    ],
    axis=1,
)


def missing(slopes):
    slopes = slopes.copy()
    slopes[::3, 0, 1] = np.nan
    slopes[5] = np.nan
    return slopes


CASES = {
    "all": {"dydx": DYDX},
    "missing": {"dydx": missing(DYDX), "dydx_weight": 0.3, "batch_size": 7, "l2": 0.01, "max_grad_norm": 1.0},
    "along": {"dydx": DYDX @ [[1.0], [2.0]], "directions": [[1, 2]], "sample_weight": RNG.uniform(0, 2, 24)},
}


@pytest.mark.parametrize("settings", CASES.values(), ids=CASES)
def test_twins_agree(settings):
    nets = MLP((2, 7, 2), rng=0), MLP((2, 7, 2), rng=0)
    histories = [
        net.fit(X, Y, epochs=5, rng=1, backend=backend, **settings)
        for net, backend in zip(nets, ("numba", "numpy"), strict=True)
    ]
    np.testing.assert_allclose(nets[0].params, nets[1].params, rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(histories[0].loss, histories[1].loss, rtol=1e-12)


def test_the_loss_is_that_of_values_and_slopes():
    net, jacobian, out = MLP((2, 7, 2), rng=0), np.empty((24, 2, 2)), np.empty((24, 2))
    net.jacobian(X, out, jacobian)
    slopes = missing(DYDX)
    squares = np.where(np.isnan(slopes), 0, (jacobian - slopes) ** 2)
    expected = ((out - Y) ** 2).mean() + 0.3 * squares.mean()
    history = net.fit(X, Y, epochs=1, dydx=slopes, dydx_weight=0.3, optimizer=fastnn.SGD(0.0))
    assert history.loss[0] == pytest.approx(expected, rel=1e-12)


def test_the_step_is_that_of_the_losss_central_differences():
    def loss(net):
        out, jacobian = np.empty((24, 2)), np.empty((24, 2, 2))
        net.jacobian(X, out, jacobian)
        return ((out - Y) ** 2).mean() + ((jacobian - DYDX) ** 2).mean()

    net = MLP((2, 7, 2), rng=0)
    before, gradient = net.params.copy(), np.empty_like(net.params)
    for i in range(len(gradient)):
        shifted = []
        for step in (1e-5, -1e-5):
            net.params[i] = before[i] + step
            shifted.append(loss(net))
            net.params[i] = before[i]
        gradient[i] = (shifted[0] - shifted[1]) / 2e-5
    net.fit(X, Y, epochs=1, dydx=DYDX, optimizer=fastnn.SGD(0.1))
    np.testing.assert_allclose((before - net.params) / 0.1, gradient, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("settings", CASES.values(), ids=CASES)
def test_threads_change_no_bits(settings, shared):
    nets = [MLP((2, 7, 2), rng=0) for _ in range(2)]
    for net, threads in zip(nets, (1, 2), strict=True):
        net.fit(X, Y, epochs=4, rng=1, threads=threads, **settings)
    assert nets[0].params.tobytes() == nets[1].params.tobytes()


def test_the_slopes_of_samples_that_are_held_out_are_not_trained_on(backend):
    """Each sample's slopes are their own: those of another would teach something else."""
    seen = []
    for far in (0.0, 1000.0):
        for row in range(len(X)):
            net, dydx = MLP((2, 7, 2), rng=0), DYDX.copy()
            dydx[row] += far
            history = net.fit(X, Y, epochs=1, dydx=dydx, validation_fraction=0.25, rng=1, backend=backend)
            seen.append(history.loss[0])
    apart, moved = np.split(np.array(seen), 2)
    held = moved == apart
    assert held.sum() == 6
    rest, net = ~held, MLP((2, 7, 2), rng=0)
    history = net.fit(X[rest], Y[rest], epochs=1, dydx=DYDX[rest], rng=1, backend=backend)
    assert history.loss[0] == apart[0]


def test_slopes_teach_values():
    few = X[:12]
    errors = []
    for dydx in (None, DYDX[:12]):
        net = MLP((2, 20, 2), rng=0)
        net.fit(few, Y[:12], epochs=2000, dydx=dydx, optimizer=fastnn.Adam(1e-2))
        errors.append(np.abs(net.predict(X[12:]) - Y[12:]).mean())
    assert errors[1] < 0.6 * errors[0]


OF_SOLVERS = [CASES["all"], {**CASES["missing"], "batch_size": None, "max_grad_norm": None}, CASES["along"]]


@pytest.mark.parametrize("settings", OF_SOLVERS, ids=CASES)
def test_lbfgs_learns_slopes(settings):
    pytest.importorskip("scipy")
    losses = []
    for backend in ("numba", "numpy"):
        net = MLP((2, 7, 2), rng=0)
        losses.append(net.fit(X, Y, epochs=100, optimizer=fastnn.LBFGS(), backend=backend, **settings).loss)
    np.testing.assert_allclose(losses[0][:10], losses[1][:10], rtol=1e-6)
    first = MLP((2, 7, 2), rng=0).fit(X, Y, epochs=1, optimizer=fastnn.SGD(1e-3), **settings)
    assert losses[0][0] == pytest.approx(first.loss[0], rel=1e-12)
    assert losses[0][-1] < losses[0][0] / 20


@pytest.mark.parametrize("settings", OF_SOLVERS, ids=CASES)
def test_levenberg_and_marquardts_residuals_of_slopes(settings):
    """The twins agree; the first loss is that of any rule, and its normal equations are those of the residuals."""
    nets, start = [MLP((2, 7, 2), rng=0) for _ in range(3)], MLP((2, 7, 2), rng=0).params
    histories = [
        net.fit(X, Y, epochs=30, optimizer=fastnn.LevenbergMarquardt(), backend=backend, **settings)
        for net, backend in zip(nets, ("numba", "numpy"), strict=False)
    ]
    np.testing.assert_allclose(histories[0].loss[:10], histories[1].loss[:10], rtol=1e-6)
    first = nets[2].fit(X, Y, epochs=1, optimizer=fastnn.SGD(1e-3), **settings)
    assert histories[0].loss[0] == pytest.approx(first.loss[0], rel=1e-12)
    assert histories[0].loss[-1] < histories[0].loss[0] / 20

    along, weights = np.array(settings.get("directions", np.eye(2)), float), settings.get("sample_weight", np.ones(24))
    slopes = Slopes(np.ascontiguousarray(settings["dydx"].swapaxes(1, 2)), along, settings.get("dydx_weight", 1.0))
    shares = slopes.weight * weights / weights.sum() / (2 * len(along))

    def residuals(params):
        jacobian = np.empty((24, 2, 2))
        MLP.from_params(nets[0].spec, params).jacobian(X, np.empty((24, 2)), jacobian)
        errors = np.nan_to_num(jacobian @ along.T - settings["dydx"])
        return (np.sqrt(shares)[:, np.newaxis, np.newaxis] * errors).ravel()

    r = residuals(start)
    J = np.transpose([(residuals(start + step) - residuals(start - step)) / 2e-5 for step in 1e-5 * np.eye(start.size)])
    gradient = np.zeros_like(start)
    reference.slopes.add_slopes(nets[0].spec, start, X, slopes, weights / weights.sum(), gradient)
    np.testing.assert_allclose(gradient, 2 * J.T @ r, rtol=1e-6, atol=1e-9)
    job = Job(
        nets[0].spec, start, X, Y, catalogue.LOSSES["mse"], fastnn.LevenbergMarquardt(), 24,
        sample_weight=settings.get("sample_weight"), slopes=slopes,
    )  # fmt: skip
    for backend in ("numba", "numpy"):
        sums = SlopeResiduals(job, backend).normal_equations(5, lambda: None)
        one_at_a_time = SlopeResiduals(job, backend).normal_equations(1, lambda: None)
        np.testing.assert_allclose(one_at_a_time, sums, rtol=1e-10, atol=1e-13)
        np.testing.assert_allclose(2 * sums[:-1, -1], gradient, rtol=1e-10, atol=1e-13)
        np.testing.assert_allclose(sums[:-1, :-1], J.T @ J, rtol=1e-6, atol=1e-9)
        assert sums[-1, -1] == pytest.approx(r @ r, rel=1e-12)


def test_many_networks_learn_slopes_as_one_does(tmp_path):
    nets = [MLP((2, 7, 2), rng=seed) for seed in range(2)]
    settings = {"epochs": 3, "optimizer": fastnn.SGD(0.05), "shuffle": False, "dydx": missing(DYDX)}
    params = np.stack([net.params for net in nets])
    many = fastnn.fit_many(nets[0].spec, X, Y, params=params, checkpoint=tmp_path / "run", **settings)
    for k, net in enumerate(nets):
        net.fit(X, Y, **settings)
        assert np.array_equal(many[k].params, net.params)
    for message, other in {
        "of another run": {"dydx": DYDX, "checkpoint": tmp_path / "run"},
        "dydx must be None where each member has an X": {"X": np.stack([X, X])},
        "dydx must be None with targets='masked'": {"targets": "masked"},
        "specialize must not be True with ReduceOnPlateau, dydx": {"specialize": True},
    }.items():
        with pytest.raises(ValueError, match=message):
            fastnn.fit_many(nets[0].spec, **{"X": X, "y": Y, "params": params, **settings, **other})


def test_what_is_refused():
    net = MLP((2, 7, 2), rng=0)
    before = net.params.copy()
    one = MLP((2, 7, 1), rng=0)
    infinite = DYDX.copy()
    infinite[3] = np.inf
    for message, settings in {
        r"^dydx must have shape \(24, 2, 2\); got \(23, 2, 2\)": {"dydx": DYDX[1:]},
        r"^dydx must be finite, or NaN where it is missing; got infinity in row 3": {"dydx": infinite},
        r"^dydx must hold a number somewhere": {"dydx": np.full_like(DYDX, np.nan)},
        r"^directions must be None without dydx": {"directions": np.eye(2)},
        r"^directions must have shape \(n_directions, 2\); got \(3,\)": {"dydx": DYDX, "directions": np.ones(3)},
        r"^directions must be finite; got nan": {"dydx": DYDX[:, :, :1], "directions": [[np.nan, 1.0]]},
        r"^dydx_weight must be": {"dydx": DYDX, "dydx_weight": -1.0},
        r"^dydx must be None with dropout": {"dydx": DYDX, "dropout": 0.5},
        r"^dydx must be None with regularisation='bayesian'": {
            "dydx": DYDX,
            "optimizer": fastnn.LevenbergMarquardt(regularisation="bayesian"),
        },
        r"^specialize must not be True with dydx": {"dydx": DYDX, "specialize": True},
    }.items():
        with pytest.raises(ValueError, match=message):
            net.fit(X, Y, epochs=1, **settings)
    with pytest.raises(ValueError, match=r"^dydx must have shape \(24, 1, 2\), or \(24, 2\); got \(24, 2, 2\)"):
        one.fit(X, Y[:, :1], epochs=1, dydx=DYDX)
    with pytest.raises(TypeError, match=r"^dydx must be an array of real numbers"):
        net.fit(X, Y, epochs=1, dydx="slopes")
    assert np.array_equal(net.params, before)
    assert np.isfinite(one.fit(X, Y[:, :1], epochs=1, dydx=DYDX[:, 0]).loss).all()
