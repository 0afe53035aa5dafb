"""Frozen parameters: they keep their bits, and the others are trained as by hand."""

import warnings

import numpy as np
import pytest
from reference_cases import rules

import fastnn
from fastnn import MLP, SGD

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(37, 3)), RNG.normal(size=(37, 2))
SIZES = (3, 7, 5, 2)


def last_layer(spec):
    mask = np.zeros(spec.n_params, bool)
    spec.weights(mask)[-1][...] = spec.biases(mask)[-1][...] = True
    return mask


@pytest.mark.parametrize("rule", rules(0.05, weight_decay=0.1), ids=repr)
def test_the_twins_agree_and_what_is_frozen_keeps_its_bits(rule):
    mask = RNG.random(MLP(SIZES).spec.n_params) < 0.4
    whole = fastnn.settings.catalogue.OPTIMIZERS[type(rule).__name__].whole_batch
    settings = {"l2": 0.1, "max_grad_norm": 0.5, "batch_size": None if whole else 8, "epochs": 4, "rng": 0}
    nets = {}
    for backend in ("numpy", "numba", "plain"):
        nets[backend] = net = MLP(SIZES, rng=0)
        before = net.params.copy()
        net.fit(X, Y, optimizer=rule, trainable=mask, backend=backend, **settings)
        assert net.params[~mask].tobytes() == before[~mask].tobytes()
        assert (net.params != before)[mask].all()
    for backend in ("numba", "plain"):
        np.testing.assert_allclose(nets[backend].params, nets["numpy"].params, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("layers", [[-1], [2], (2, -1), range(2, 3)], ids=str)
def test_layers_by_number(layers):
    one, other = (MLP(SIZES, rng=0) for _ in range(2))
    one.fit(X, Y, epochs=3, rng=0, trainable=layers)
    other.fit(X, Y, epochs=3, rng=0, trainable=last_layer(other.spec))
    assert one.params.tobytes() == other.params.tobytes()


def test_all_layers_are_all_parameters_to_the_bit():
    one, other = (MLP(SIZES, rng=0) for _ in range(2))
    one.fit(X, Y, epochs=3, batch_size=8, rng=0, trainable=[0, 1, 2], max_grad_norm=0.1)
    other.fit(X, Y, epochs=3, batch_size=8, rng=0, specialize=False, max_grad_norm=0.1)
    assert one.params.tobytes() == other.params.tobytes()


def test_the_last_layer_alone_finds_the_linear_regression():
    net = MLP((3, 7, 1), rng=0)
    net.fit(X, Y[:, 0], epochs=30_000, optimizer=SGD(0.3, momentum=0.9), shuffle=False, trainable=[1])
    hidden = np.c_[np.tanh(X @ net.weights[0] + net.biases[0]), np.ones(len(X))]
    exact, *_ = np.linalg.lstsq(hidden, Y[:, 0])
    np.testing.assert_allclose(net.predict(X)[:, 0], hidden @ exact, atol=1e-3)


@pytest.mark.parametrize("settings", [{}, {"max_grad_norm": 1e-3, "l2": 0.1}, {"optimizer": fastnn.SGD(0.1)}], ids=list)
def test_runs_stop_and_go_on_on_several_threads(settings, shared):
    whole, parts = (MLP(SIZES, rng=0) for _ in range(2))
    settings = {"batch_size": 8, "trainable": [0, 2]} | settings
    whole.fit(X, Y, epochs=6, rng=0, **settings)
    first = parts.fit(X, Y, epochs=2, rng=0, **settings)
    parts.fit(X, Y, epochs=4, state=first.state, threads=2, **settings)
    assert parts.params.tobytes() == whole.params.tobytes()


@pytest.mark.parametrize("backend", ["numba", "numpy"])
def test_momentum_of_a_run_of_all_moves_nothing_that_is_frozen(backend):
    net = MLP(SIZES, rng=0)
    history = net.fit(X, Y, epochs=3, rng=0, backend=backend)
    before, mask = net.params.copy(), last_layer(net.spec)
    net.fit(X, Y, epochs=3, state=history.state, trainable=[-1], backend=backend)
    assert net.params[~mask].tobytes() == before[~mask].tobytes()
    assert (net.params != before)[mask].all()


def test_parameters_too_many_for_the_caches():
    """Without `trainable` they are updated a part at a time, as soon as the gradient of each is known."""
    net, wide = MLP((512, 512, 2), rng=0), RNG.normal(size=(64, 512))
    before, mask = net.params.copy(), last_layer(net.spec)
    net.fit(wide, wide[:, :2], epochs=2, rng=0, optimizer=fastnn.AdamW(), trainable=[-1])
    assert net.params[~mask].tobytes() == before[~mask].tobytes()
    assert (net.params != before)[mask].all()


def test_a_state_does_not_bring_frozen_parameters_of_its_own():
    stopping = {"validation_data": (X, Y), "early_stopping": fastnn.EarlyStopping(patience=99)}
    history = MLP(SIZES, rng=0).fit(X, Y, epochs=3, rng=0, **stopping)
    with pytest.raises(ValueError, match="state must hold the network's own values for all that trainable leaves out"):
        MLP(SIZES, rng=5).fit(X, Y, epochs=3, state=history.state, trainable=[-1], **stopping)
    net = MLP(SIZES, rng=0)
    before, mask = net.params.copy(), last_layer(net.spec)
    history = net.fit(X, Y, epochs=3, rng=0, trainable=[-1], **stopping)
    net.fit(X, Y, epochs=3, state=history.state, trainable=[-1], **stopping)
    assert net.params[~mask].tobytes() == before[~mask].tobytes()


def test_nor_those_that_the_best_ones_took_the_place_of():
    stopping = {"early_stopping": fastnn.EarlyStopping(2, restore_best=True), "optimizer": fastnn.SGD(0.5)}
    net = MLP(SIZES, rng=4)
    state = net.fit(X, Y, epochs=1, rng=0, **stopping).state
    before = net.params.copy()
    for best, last in ((before, before + 1), (before + 1, before), (before + 1, None)):
        state.best, state.last = best, last
        with pytest.raises(ValueError, match="state must hold the network's own values for all that trainable leaves"):
            net.fit(X, Y, epochs=3, state=state, trainable=[-1], **stopping)
    assert net.params.tobytes() == before.tobytes()


BAD = [
    ([], ValueError, "trainable must leave something to train; got nothing"),
    ([3], ValueError, "trainable must be layers from 0 to 2, or from -1 backwards; got 3"),
    ([-4], ValueError, "every layer of trainable must be an integer of at least -3; got -4"),
    ([1.0], TypeError, "every layer of trainable must be an integer of at least -3; got 1.0"),
    ([True, False, True], TypeError, "trainable must be a list of layers, or an array of bool"),
    (np.zeros(82, bool), ValueError, "trainable must leave something to train; got nothing"),
    (np.ones(5, bool), ValueError, r"trainable must have shape \(\d+,\), as params have; got \(5,\)"),
    (np.ones(82), TypeError, "trainable must be a list of layers, or an array of bool"),
    (1, TypeError, "trainable must be a list of layers, or an array of bool, one for each parameter; got 1"),
]


@pytest.mark.parametrize(("trainable", "error", "message"), BAD)
def test_anything_else_is_refused(trainable, error, message):
    net = MLP(SIZES)
    if isinstance(trainable, np.ndarray) and len(trainable) == 82:
        trainable = np.resize(trainable, net.spec.n_params)
    with pytest.raises(error, match=message):
        net.fit(X, Y, epochs=1, trainable=trainable)


SOLVERS = [fastnn.LevenbergMarquardt(), fastnn.LBFGS()]


@pytest.mark.parametrize("solver", SOLVERS, ids=lambda rule: type(rule).__name__)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_solvers_find_the_linear_regression_by_the_last_layer(solver, dtype, backend):
    net = MLP((3, 7, 2), dtype=dtype, rng=0)
    net.weights[0][0, :2] = 0.0, -0.0
    before = net.params.copy()
    history = net.fit(X, Y, epochs=500, optimizer=solver, trainable=[-1], l2=0.01, backend=backend)
    assert history.stopped == "converged"
    frozen = ~last_layer(net.spec)
    assert net.params[frozen].tobytes() == before[frozen].tobytes()
    loss, gradient = net.loss_and_grad(X, Y, l2=0.01)
    assert abs(gradient[~frozen]).max() <= (1e-5 if dtype == "float64" else 1e-4)  # where SciPy 1.14 ends: 1.1e-6
    assert history.loss[-1] == pytest.approx(loss, rel=1e-3)  # with the penalty on the frozen weights


@pytest.mark.parametrize("solver", SOLVERS, ids=lambda rule: type(rule).__name__)
def test_solvers_converge_on_any_parameters(solver, backend):
    net = MLP((3, 4, 2), rng=0)
    mask = np.arange(net.spec.n_params) % 3 > 0
    before, y = net.params.copy(), np.sin(X[:, :2])
    history = net.fit(X, y, epochs=500, optimizer=solver, trainable=mask, l2=0.1, backend=backend)
    assert history.stopped == "converged"
    assert net.params[~mask].tobytes() == before[~mask].tobytes()
    _, gradient = net.loss_and_grad(X, y, l2=0.1)
    assert abs(gradient[mask]).max() <= 1e-5


@pytest.mark.filterwarnings("ignore:training stalled")
@pytest.mark.parametrize(("mask", "stopped"), [("0001", "converged"), ("1110", "converged"), ("1001", "stalled")])
def test_lbfgs_tells_a_minimum_by_what_is_trained(mask, stopped):
    """Of steps on standardised samples, which move weights and biases together, only this part is looked at."""
    net = MLP((3, 1), rng=0)
    net.biases[0][:] = -1e7 * net.weights[0].sum()
    trainable = np.array(list(mask)) == "1"
    assert net.fit(1e7 + X, Y[:, 0], epochs=500, optimizer=fastnn.LBFGS(), trainable=trainable).stopped == stopped


def test_what_is_frozen_keeps_no_solver_from_the_minimum():
    """A dead layer is nobody's fault where it is not to be trained."""
    net = MLP((3, 4, 4, 2), rng=0)
    net.biases[0][:] = 100
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert net.fit(X, Y, epochs=500, optimizer=SOLVERS[0], trainable=[1, 2]).stopped == "converged"
    with pytest.warns(RuntimeWarning, match="no parameter changes most of the outputs"):
        net.fit(X, Y + 9, epochs=500, optimizer=SOLVERS[0], trainable=[0])


def test_the_evidence_counts_the_trained_parameters():
    net, bayesian = MLP((3, 7, 2), rng=0), fastnn.LevenbergMarquardt(regularisation="bayesian")
    linear = MLP.from_params(MLP((7, 2)).spec, net.params[last_layer(net.spec)])
    hidden, y = np.tanh(X @ net.weights[0] + net.biases[0]), np.sin(X[:, :2])
    found = net.fit(X, y, epochs=100, optimizer=bayesian, trainable=[-1]).evidence
    np.testing.assert_allclose(linear.fit(hidden, y, epochs=100, optimizer=bayesian).evidence, found, rtol=1e-9)
    np.testing.assert_allclose(net.params[last_layer(net.spec)], linear.params, rtol=1e-9)
