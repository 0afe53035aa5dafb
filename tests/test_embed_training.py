"""Training inside compiled code: what `fit` does on the same stream of batches."""

import copy
import gc
import pickle
import weakref

import numpy as np
import pytest
from numba import njit, typed
from numba.core.errors import TypingError
from numba.core.runtime import _nrt_python, rtsys

import fastnn
from fastnn import MLP

RNG = np.random.default_rng(0)
X = RNG.normal(size=(24, 3))
Y = np.stack([np.sin(X[:, 0]), X[:, 1] * X[:, 2]], axis=1)
LABELS = RNG.integers(2, size=24)


@njit
def train(net, X, y, batch, state, losses):
    for i in range(losses.size):
        start = i * batch % X.shape[0]
        losses[i] = net.train_step(X[start : start + batch], y[start : start + batch], state)


@pytest.mark.parametrize(
    ("loss", "optimizer", "batch", "settings"),
    [
        ("mse", fastnn.Adam(1e-2), 4, {}),
        ("sse", fastnn.SGD(1e-3, momentum=0.9), 1, {"l2": 0.1, "max_grad_norm": 0.5}),
        ("huber", fastnn.RMSprop(), 24, {"delta": 0.5}),
    ],
)
def test_steps_are_those_of_fit(loss, optimizer, batch, settings):
    fitted = MLP((3, 5, 2), rng=1)
    net = fitted.copy()
    history = fitted.fit(
        X, Y, loss=loss, optimizer=optimizer, epochs=2, batch_size=batch, shuffle=False, specialize=False, **settings
    )
    state = fastnn.TrainState(net.spec, loss=loss, optimizer=optimizer, max_batch=24, **settings)
    losses = np.empty(2 * 24 // batch)
    train(net, X, Y, batch, state, losses)
    assert np.array_equal(net.params, fitted.params)
    assert state.steps == len(losses)
    assert np.allclose(losses.reshape(2, -1).mean(axis=1), history.loss, rtol=1e-12)


def test_class_labels_train_as_in_fit():
    net = MLP((3, 5, 2), output_activation="softmax", dtype="float32", rng=1)
    fitted = net.copy()
    fitted.fit(X, LABELS, loss="cross_entropy", epochs=3, batch_size=8, shuffle=False, specialize=False)
    state = fastnn.TrainState(net.spec, loss="cross_entropy", max_batch=8)
    train(net, X.astype("f"), LABELS, 8, state, np.empty(9))
    assert np.array_equal(net.params, fitted.params)
    for wrong in ([0, 2], [2, 0], [0, -1]):
        numbers = f"from {min(wrong)} to {max(wrong)}"
        with pytest.raises(ValueError, match=rf"class labels from 0 to 1; got numbers {numbers}$"):
            net.train_step(X[:2].astype("f"), np.array(wrong), state)
    for rows, labels in ((2, 1), (0, 0), (9, 9)):
        with pytest.raises(
            ValueError, match=rf"and y \(n,\); got x of shape \({rows}, 3\) and y of shape \({labels},\)$"
        ):
            net.train_step(X[:rows].astype("f"), LABELS[:labels], state)
    for x, y in ((X[:2], LABELS[:4:2]), (X[0], LABELS[:1]), (X[:2], LABELS[:2].astype(np.int32))):
        with pytest.raises(
            TypingError, match=r"y must be a contiguous .-D array of float32, or a 1-D array of int64 lab"
        ):
            net.train_step(x.astype("f"), y, state)
    assert np.array_equal(net.params, fitted.params)


def test_one_sample_and_other_rates_from_python():
    net = MLP((3, 5, 2), rng=1)
    state = fastnn.TrainState(net.spec, optimizer=fastnn.SGD(0.1))
    before = net.params.copy()
    loss, gradient = net.loss_and_grad(X[:1], Y[:1])
    assert net.train_step(X[0], Y[0], state) == pytest.approx(loss, rel=1e-12)
    assert np.allclose(net.params, before - 0.1 * gradient, rtol=1e-12)
    state.learning_rate = 0.0
    before = net.params.copy()
    net.train_step(X[1], Y[1], state)
    assert np.array_equal(net.params, before)
    assert state.steps == 2


def test_the_learning_rate_in_compiled_code():
    @njit
    def halve(state):
        state.rates[0] /= 2

    @njit
    def by_its_name_in_python(state):
        return state.learning_rate

    @njit
    def assign(state):
        state.learning_rate = 0.1

    state = fastnn.TrainState(MLP((3, 5, 2)).spec, optimizer=fastnn.SGD(0.1))
    halve(state)
    assert state.learning_rate == 0.05
    for function in by_its_name_in_python, assign:
        with pytest.raises(TypingError, match=r"no attribute learning_rate .* there it is rates\[0\]"):
            function(state)


@pytest.mark.parametrize("bad", [np.nan, np.inf])  # which saturates units, and leaves the loss finite
@pytest.mark.parametrize("by_parts", [False, True])  # as the parameters of large networks are updated
def test_what_is_not_finite_changes_nothing(by_parts, bad, monkeypatch):
    monkeypatch.setattr("fastnn.kernels.dispatch.PARAMS_BY_PARTS", 0 if by_parts else 2**18)
    net = MLP((3, 5, 2), rng=1)
    state = fastnn.TrainState(net.spec)
    before = net.params.copy()
    assert not np.isfinite(net.train_step(np.array([0.0, bad, 0.0]), Y[0], state))
    assert np.array_equal(net.params, before)
    assert state.steps == 0
    assert np.isfinite(net.train_step(X[0], Y[0], state))
    assert state.steps == 1
    assert (net.params != before).any()
    assert not np.isfinite(net.train_step(np.array([0.0, bad, 0.0]), Y[0], state))


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda state: pickle.loads(pickle.dumps(state))])
def test_a_copy_of_a_state_goes_on_by_itself(again):
    net, delta = MLP((3, 5, 2), rng=1), [0.1, 0.2]
    settings = {"loss": "huber", "delta": delta, "l2": 0.01}
    state = fastnn.TrainState(net.spec, optimizer=fastnn.Adam(0.1), max_batch=4, **settings)
    delta[:] = 9.0, 9.0
    state.learning_rate = 0.05
    net.train_step(X[:4], Y[:4], state)
    twin, second = net.copy(), again(state)
    net.train_step(X[:4], Y[:4], state)
    assert (second.steps, second.learning_rate) == (1, 0.05)
    del state
    twin.train_step(X[:4], Y[:4], second)
    assert twin.params.tobytes() == net.params.tobytes()


@pytest.mark.parametrize("other", [{"activation": "relu"}, {"bias": False}, {"dtype": "float32"}])
def test_states_of_other_networks_have_other_types(other):
    """Numba takes two types of one name for one: the state of the one would train the other."""
    nets = MLP((3, 7, 2), rng=0), MLP((3, 7, 2), rng=0, **other)
    states = [fastnn.TrainState(net.spec) for net in nets]
    for net, own, foreign in zip(nets, states, states[::-1], strict=True):
        gradient = np.ones_like(net.params)
        assert own.apply(net, gradient)
        with pytest.raises(TypingError, match=r"net must be a network of the state's spec"):
            foreign.apply(net, gradient)


def test_a_state_of_another_loss_has_another_type():
    net, y = MLP((3, 5, 2), output_activation="sigmoid", rng=0), np.full(2, 1.5)
    assert np.isfinite(net.train_step(X[0], y, fastnn.TrainState(net.spec)))
    with pytest.raises(ValueError, match=r"y must be from 0 to 1 for the loss of state"):
        net.train_step(X[0], y, fastnn.TrainState(net.spec, loss="binary_cross_entropy"))


def test_a_state_that_only_compiled_code_holds():
    net, states = MLP((3, 7, 2), rng=0), typed.List()
    states.append(fastnn.TrainState(net.spec))  # whose record points to its buffers
    gc.collect()
    overwriting = [np.full(k, 1e3) for k in range(1, 200) for _ in range(20)]
    first = njit(lambda net, states, x, y: net.train_step(x, y, states[0]))
    twin = net.copy()
    assert first(net, states, X[0], Y[0]) == twin.train_step(X[0], Y[0], fastnn.TrainState(net.spec))
    assert net.params.tobytes() == twin.params.tobytes()
    assert all((array == 1e3).all() for array in overwriting)


def test_the_arrays_of_a_state_keep_what_they_point_to_and_no_longer():
    states, state = typed.List(), fastnn.TrainState(MLP((3, 7, 2)).spec)
    memory = weakref.ref(state._records.base)
    states.append(state)
    del state
    gc.collect()
    assert memory() is not None
    del states
    gc.collect()
    assert memory() is None


@pytest.mark.slow
def test_what_is_refused_leaves_no_references():
    _nrt_python.memsys_enable_stats()
    net = MLP((3, 5, 2), output_activation="softmax", rng=1)
    state = fastnn.TrainState(net.spec, loss="cross_entropy", max_batch=4)
    step, apply = njit(lambda net, *args: net.train_step(*args)), njit(lambda net, state, g: state.apply(net, g))
    calls = [
        (function, arguments)
        for functions, *cases in (
            ((net.train_step, lambda *args: step(net, *args)), (X[:5], Y[:5], state), (X[0], X[0], state)),
            ((net.train_step, lambda *args: step(net, *args)), (X[:2], np.array([0, 2]), state)),
            ((net.train_step, lambda *args: step(net, *args)), (X[:2], np.zeros((1, 2)), state)),
            ((net.train_step, lambda *args: step(net, *args)), (X[:2], np.zeros((2, 2)), state)),
            ((state.apply, lambda net, gradient: apply(net, state, gradient)), (net, np.zeros(3))),
        )
        for function in functions
        for arguments in cases
    ]
    for function, arguments in calls:
        held = []
        for _ in range(3):
            with pytest.raises(ValueError, match=r"must "):
                function(*arguments)
            gc.collect()
            statistics = rtsys.get_allocation_stats()
            held.append(statistics.mi_alloc - statistics.mi_free)
        assert held[1] == held[2]


@pytest.mark.parametrize(
    ("loss", "activation", "wrong", "words"),
    [
        ("poisson", "exp", [1.0, -7.0], "at least 0 "),
        ("binary_cross_entropy", "sigmoid", [0.5, 1.5], "from 0 to 1 "),
        ("cross_entropy", "softmax", [1.5, -0.5], "from 0 to 1 and each row sum to 1 "),
        ("cross_entropy", "softmax", [0.5, 0.4], "from 0 to 1 and each row sum to 1 "),
    ],
)
def test_targets_that_the_loss_is_not_defined_for(loss, activation, wrong, words):
    net = MLP((3, 5, 2), output_activation=activation, rng=1)
    state, y = fastnn.TrainState(net.spec, loss=loss, max_batch=3), np.full((3, 2), 0.5)
    assert np.isfinite(net.train_step(X[:3], y, state))
    y[2], before = wrong, net.params.copy()
    for data in ((X[:3], y), (X[2], y[2])):
        with pytest.raises(ValueError, match=rf"train_step: y must be {words}for the loss of state; got numbers from"):
            net.train_step(*data, state)
    assert np.array_equal(net.params, before)
    y[2] = np.nan
    assert np.isnan(net.train_step(X[:3], y, state))
    assert state.steps == 1


def test_read_only_parameters():
    net = MLP((3, 5, 2), rng=1)
    state, before = fastnn.TrainState(net.spec), net.params.copy()
    net.params.flags.writeable = False
    for step in (lambda: net.train_step(X[0], Y[0], state), lambda: state.apply(net, np.ones(net.params.size))):
        with pytest.raises(ValueError, match=r"^params must be writable to be trained; got a read-only array$"):
            step()
    assert np.array_equal(net.params, before)


def test_what_is_refused():
    net = MLP((3, 5, 2), rng=1)
    state = fastnn.TrainState(net.spec, max_batch=2)
    batches = r"x must have shape \(n, 3\) with n from 1 to max_batch, and y \(n, 2\); got x of shape .* and y of shape"
    for x, y in [(X[:3], Y[:3]), (X[:2], Y[:1]), (X[:0], Y[:0]), (X[:1, :2].copy(), Y[:1])]:
        with pytest.raises(ValueError, match=rf"^net.train_step: {batches}"):
            net.train_step(x, y, state)
    with pytest.raises(ValueError, match=r"x must have shape \(3,\), and y \(2,\); got x of shape \(3,\) and y"):
        net.train_step(X[0], Y[0, :1], state)
    for foreign in (X[0].astype(">f8"), np.ma.array(X[0])):
        with pytest.raises(TypeError, match=r"^x must be a plain array in the machine's byte order; got "):
            net.train_step(foreign, Y[0], state)
    with pytest.raises(TypeError, match=r"^grad must be a plain array in the machine's byte order; got "):
        state.apply(net, np.zeros(32, ">f8"))
    for name, step in {
        "x": lambda: net.train_step([], Y[0], state),
        "y": lambda: net.train_step(X[0], [np.ma.masked], state),
        "state": lambda: net.train_step(X[0], Y[0], []),
        "grad": lambda: state.apply(net, [1.0]),
        "net": lambda: state.apply([], np.zeros(32)),
    }.items():
        with pytest.raises(TypeError, match=rf"^{name} must not be a list, as compiled code takes it as it is; got "):
            step()
    for strange in (np.zeros(32, "g"), np.zeros(32, object)):
        with pytest.raises(TypeError, match=r"^x must be an array of a dtype that compiled code has; got an array of"):
            net.train_step(strange[:3], Y[0], state)
        with pytest.raises(TypeError, match=r"^grad must be an array of a dtype that compiled code has; got an array"):
            state.apply(net, strange)
    for name, data in {"x": (net.params[:3], Y[0]), "y": (X[0], net.params[-2:])}.items():
        with pytest.raises(ValueError, match=rf"^{name} must be an array of its own; got .* the memory of params$"):
            net.train_step(*data, state)
    with pytest.raises(ValueError, match=r"^state.apply: grad must have shape \(32,\); got \(3,\)$"):
        state.apply(net, np.zeros(3))
    assert repr(state).startswith("<TrainState: Adam(learning_rate=0.001, ")
    assert repr(state).endswith(", mse, batches of at most 2, 0 steps>")
    with pytest.raises(TypingError, match=r"y must be a contiguous 2-D array of float64; got"):
        net.train_step(X[:2], LABELS[:2], state)
    for x in (X[:2].astype("f"), X[:4:2], np.asfortranarray(X[:2])):
        with pytest.raises(TypingError, match=r"x must be a contiguous"):
            net.train_step(x, Y[:2], state)
    for y in (Y[:2].astype("f"), Y[:4:2], np.asfortranarray(Y[:2]), Y[0]):
        with pytest.raises(TypingError, match=r"y must be a contiguous"):
            net.train_step(X[:2], y, state)
    with pytest.raises(TypingError, match=r"state must be a fastnn.TrainState of the network's spec"):
        MLP((3, 4, 2)).train_step(X[:2], Y[:2], state)
    with pytest.raises(ValueError, match=r"learning_rate must be"):
        state.learning_rate = -1
    with pytest.raises(ValueError, match=r"learning_rate must be .* float32"):
        fastnn.TrainState(MLP((3, 5, 2), dtype="float32").spec).learning_rate = 1e39
    with pytest.raises(ValueError, match=r"loss must go with"):
        fastnn.TrainState(net.spec, loss="poisson")
    for optimizer in (fastnn.LevenbergMarquardt(), fastnn.Adam(fastnn.settings.schedules.Constant(0.1))):
        with pytest.raises(TypeError, match=r"whose learning rate is a number"):
            fastnn.TrainState(net.spec, optimizer=optimizer)
