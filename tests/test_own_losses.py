"""Losses of the user's own: as the catalogue's where they say the same, on every path; wrong ones are refused."""

import math
import pickle
import re
import subprocess
import sys
from types import ModuleType

import numpy as np
import pytest
from numba import njit

import fastnn
from fastnn import MLP, SGD, Activation, Adam, LeastSquares, LevenbergMarquardt, Loss, TrainState
from fastnn.checks.own import check_own_loss
from fastnn.settings.own.fingerprint import fingerprint


@njit
def squared(o, y):
    return (o - y) ** 2


@njit
def twice_off(o, y):
    return 2 * (o - y)


@njit
def log_cosh(o, y):
    return math.log(math.cosh(o - y))


def slope_of_log_cosh(o, y):  # need not be decorated
    return math.tanh(o - y)


SQUARED = Loss(squared, twice_off)
LOG_COSH = Loss(log_cosh, slope_of_log_cosh, name="log_cosh")
RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(37, 3)), RNG.normal(size=(37, 2))
WEIGHT = RNG.uniform(0.5, 2, 37)

#: Networks by the path that trains them: a sample in each lane, and tiles of one output and of several.
PATHS = {"lanes": (3, 4, 2), "tiles": (3, 17, 2), "one output": (3, 17, 1)}


@pytest.mark.parametrize("dtype", ["float64", pytest.param("float32", marks=pytest.mark.slow)])
@pytest.mark.parametrize("sizes", PATHS.values(), ids=PATHS)
def test_what_says_the_same_as_mse_trains_the_same(sizes, dtype):
    nets = [MLP(sizes, dtype=dtype, rng=0) for _ in range(2)]
    settings = {"epochs": 5, "batch_size": 8, "optimizer": Adam(0.01), "sample_weight": WEIGHT, "rng": 1}
    y = Y[:, : sizes[-1]]
    own, theirs = (
        net.fit(X, y, loss=loss, validation_data=(X, y), **settings)
        for net, loss in zip(nets, (SQUARED, "mse"), strict=True)
    )
    tolerance = 1e-12 if dtype == "float64" else 1e-5
    np.testing.assert_allclose(nets[0].params, nets[1].params, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(own.validation_loss, theirs.validation_loss, rtol=tolerance)


@pytest.mark.parametrize("sizes", PATHS.values(), ids=PATHS)
def test_the_twins_agree(sizes):
    net, y = MLP(sizes, rng=0), Y[:, : sizes[-1]]
    ours, theirs = (
        net.loss_and_grad(X, y, loss=LOG_COSH, sample_weight=WEIGHT, l2=0.1, backend=backend)
        for backend in ("numba", "numpy")
    )
    assert ours[0] == pytest.approx(theirs[0], rel=1e-13)
    np.testing.assert_allclose(ours[1], theirs[1], rtol=1e-12, atol=1e-14)


def test_many_networks_and_a_sweep():
    net = MLP((3, 4, 1), rng=0)
    many = fastnn.fit_many(net.spec, X, Y[:, :1], epochs=4, params=net.params[None], loss=LOG_COSH, optimizer=SGD(0.1))
    net.fit(X, Y[:, :1], epochs=4, loss=LOG_COSH, optimizer=SGD(0.1), shuffle=False, specialize=False)
    np.testing.assert_allclose(many.params[0], net.params, rtol=1e-12)
    swept = fastnn.sweep(X, Y[:, :1], {"loss": [LOG_COSH]}, hidden=(4,), optimizer=SGD(0.1), epochs=2)
    assert np.isfinite([record["loss"] for record in swept.records]).all()


def test_a_step_inside_compiled_code():
    net, other = MLP((3, 4, 1), rng=0), MLP((3, 4, 1), rng=0)
    state = TrainState(net.spec, loss=LOG_COSH, optimizer=SGD(0.1), max_batch=37)

    @njit
    def step(net, X, y, state):
        return net.train_step(X, y, state)

    step(net, X, Y[:, :1].copy(), state)
    other.fit(X, Y[:, :1], epochs=1, loss=LOG_COSH, optimizer=SGD(0.1), shuffle=False, specialize=False)
    np.testing.assert_allclose(net.params, other.params, rtol=1e-13)


def test_lanes_beyond_the_data_are_not_asked_for_where_a_loss_is_defined():
    @njit
    def value(o, y):
        return o - y * math.log(o)

    @njit
    def gradient(o, y):
        return 1 - y / o

    loss = Loss(value, gradient, name="counts", outputs=(0, np.inf), targets=(0, np.inf))
    for sizes in PATHS.values():
        net, y = MLP(sizes, output_activation="exp", rng=0), abs(Y[:, : sizes[-1]])
        ours = net.loss_and_grad(X, y, loss=loss)
        theirs = net.loss_and_grad(X, y, loss="poisson")
        assert ours[0] == pytest.approx(theirs[0], rel=1e-12)
        np.testing.assert_allclose(ours[1], theirs[1], rtol=1e-10, atol=1e-13)
        assert np.isfinite(net.fit(X, y, loss=loss, epochs=2, batch_size=7).loss).all()
    with pytest.raises(ValueError, match="y must"):
        net.fit(X, -y, loss=loss, epochs=1)


def test_functions_of_one_name_are_kept_apart_by_what_they_compute():
    def made(factor):
        def helper(r):  # need not be decorated
            return factor * r

        return Loss(njit(lambda o, y: helper(o - y) * (o - y)), njit(lambda o, y: 2 * helper(o - y)), name="scaled")

    net = MLP((3, 17, 1), rng=0)
    one, three = (net.loss_and_grad(X, Y[:, :1], loss=made(factor))[0] for factor in (1.0, 3.0))
    assert three == pytest.approx(3 * one, rel=1e-13)
    assert made(1.0) == made(1.0) != made(3.0)
    assert fingerprint(squared) == fingerprint(squared.py_func) != fingerprint(twice_off)


def test_pickled_ones_are_equal():
    for loss in (LOG_COSH, LOG_COSH.where_present()):
        again = pickle.loads(pickle.dumps(loss))
        assert again == loss
        assert repr(again) == repr(loss)


@pytest.mark.slow
def test_another_process_computes_the_same_from_what_was_kept():
    code = """
import numpy as np, fastnn
def value(o, y): return abs(o - y) ** 3
def gradient(o, y): return 3 * (o - y) * abs(o - y)
net = fastnn.MLP((3, 17, 1), rng=0)
print(repr(net.loss_and_grad(np.eye(3), np.zeros(3), loss=fastnn.Loss(value, gradient))[0]))
"""
    done = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True) for _ in range(2)]
    assert done[0].stdout == done[1].stdout != "", done[0].stderr


def allocates(o, y):
    return np.array([o - y])[0]


def raises(o, y):
    if o > 100:
        raise ValueError("too large")
    return o - y


WRONG = {
    "gradient of the loss 'squared' must be the derivative of value; at o = -3.137, y = -2.713 it is 1, and": (
        squared, lambda o, y: 1.0),
    "value of the loss 'log' must be finite; at o = .*, y = .* it is nan": (
        lambda o, y: math.log(o), lambda o, y: 1 / o),
    "gradient of the loss 'squared' must take 2 numbers, o, y; it takes 1": (squared, lambda o: o),
    "value of the loss 'allocates' must not allocate; it does": (allocates, lambda o, y: 1.0),
    "value of the loss 'raises' must not raise exceptions; it does": (raises, lambda o, y: 1.0),
    "value of the loss 'text' must return a number; it returns": (lambda o, y: "text", lambda o, y: 1.0),
    "value of the loss 'unknown' must be a function that Numba can compile": (
        lambda o, y: pytest.approx(o), lambda o, y: 1.0),
}  # fmt: skip


@pytest.mark.parametrize("sentence", WRONG)
def test_wrong_functions_are_refused_in_one_sentence(sentence):
    name = re.search("'(.*)'", sentence)[1]
    net = MLP((3, 17, 1), rng=0)
    before = net.params.copy()
    with pytest.raises((TypeError, ValueError), match=sentence) as caught:
        net.fit(X, Y[:, :1], epochs=1, loss=Loss(*WRONG[sentence], name=name))
    assert "\n" not in str(caught.value)
    assert np.array_equal(net.params, before)


def test_what_is_no_function_or_no_sum_of_squares_is_refused():
    with pytest.raises(TypeError, match="value must be a function of Python's, compiled by Numba or not; got 3"):
        Loss(3, twice_off)
    with pytest.raises(TypeError, match="gradient must be a function of Python's, compiled by Numba or not; got None"):
        Loss(squared, None)
    table = [1.0]
    with pytest.raises(TypeError, match=r"may take numbers, modules .*takes table, list"):
        Loss(lambda o, y: table[0], twice_off)
    with pytest.raises(TypeError, match=r"^name must be a text without @; got an array of shape \(9, 9\).*$"):
        Loss(squared, twice_off, name=np.ones((9, 9)))
    with pytest.raises(TypeError, match="name must be a text without @; got 'a@b'"):
        Loss(squared, twice_off, name="a@b")
    with pytest.raises(ValueError, match=r"loss must be a sum of squares, sse, mse or a fastnn\.LeastSquares, for"):
        MLP((3, 4, 1)).fit(X, Y[:, :1], epochs=1, loss=SQUARED, optimizer=LevenbergMarquardt())
    with pytest.raises(ValueError, match="output activation 'softmax'"):
        MLP((3, 4, 2), output_activation="softmax").fit(X, Y, epochs=1, loss=SQUARED)


def test_where_a_loss_is_defined_is_two_numbers():
    for wrong in (
        (0,),
        None,
        "ab",
        ("a", "b"),
        ("0", "1"),
        {0: 1, 1: 2},
        (False, True),
        np.ones((9, 9)),
        [[0], [1, 2]],
    ):
        with pytest.raises(TypeError, match="targets must be two numbers, the least and the greatest; got"):
            Loss(squared, twice_off, targets=wrong)
    for wrong in ((1, 0), (0, math.nan), (0, 0)):
        with pytest.raises(ValueError, match="outputs must be two numbers, the second above the first; got"):
            Loss(squared, twice_off, outputs=wrong)


def test_functions_themselves_are_told_what_to_make_of_them():
    with pytest.raises(TypeError, match=r"loss must be a name, or a fastnn\.Loss made of two functions; got <function"):
        MLP((3, 4, 1)).fit(X, Y[:, :1], epochs=1, loss=log_cosh.py_func)
    with pytest.raises(TypeError, match=r"activation must be a name, or a fastnn\.Activation made of functions; got"):
        MLP((3, 4, 1), activation=log_cosh.py_func)


def test_a_kink_where_the_target_is_met_and_whole_numbers_are_no_mistake():
    loss = Loss(lambda o, y: abs(o - y), lambda o, y: 1 if o > y else -1, name="absolute")
    net = MLP((3, 17, 2), rng=0)
    ours, theirs = (net.loss_and_grad(X, Y, loss=kind) for kind in (loss, "mae"))
    assert ours[0] == pytest.approx(theirs[0], rel=1e-13)
    np.testing.assert_allclose(ours[1], theirs[1], rtol=1e-12, atol=1e-15)


def helper(r):
    return factor * r


factor = 1.0


def test_what_is_used_from_outside_is_part_of_the_fingerprint(monkeypatch):
    module, here = ModuleType("physics"), sys.modules[__name__]
    module.helper = helper
    ways = {
        "a function that is not decorated": lambda o, y: helper(o - y),
        "a module's function": lambda o, y: module.helper(o - y),
        "one within": lambda o, y: helper(helper(o)),
    }
    before = {way: fingerprint(function) for way, function in ways.items()}
    monkeypatch.setattr(here, "factor", 2.0)
    assert all(before[way] != fingerprint(function) for way, function in ways.items())

    before = fingerprint(log_cosh)
    monkeypatch.setattr(here, "cosh", WEIGHT, raising=False)  # which math.cosh is not
    assert fingerprint(log_cosh) == before

    def itself(o, y):
        return itself(o - 1, y) if o > 0 else y

    with pytest.raises(TypeError, match="a function must not call itself; itself does"):
        fingerprint(itself)


def test_functions_that_compute_something_else_have_another_fingerprint():
    apart = [
        lambda o, y: np.sin(o - y),
        lambda o, y: np.cos(o - y),
        lambda o, y: np.cos(y - o),
        lambda o, y, power=2.0: abs(o - y) ** power,
        lambda o, y, power=3.0: abs(o - y) ** power,
        lambda o, y, *, power=2.0: abs(o - y) ** power,
        lambda o, y, *, power=3.0: abs(o - y) ** power,
        *(lambda o, y, remainder=remainder: remainder(o - y, 2.0) for remainder in (math.remainder, np.remainder)),
    ]
    assert len({fingerprint(function) for function in apart}) == len(apart)


def test_a_default_comes_from_outside_too():
    def from_table(i, table=np.zeros(2000)):  # noqa: B008 # of which NumPy's repr shows the ends alone
        return table[i]

    with pytest.raises(TypeError, match="numbers, modules and functions from outside; from_table takes table, ndarray"):
        Loss(lambda o, y: from_table(0) * (o - y) ** 2, lambda o, y: from_table(0) * 2 * (o - y))


def test_functions_are_those_of_when_they_were_given(monkeypatch):
    rows = [
        Loss(lambda o, y: helper(o - y) ** 2, lambda o, y: 2 * factor * helper(o - y), name="given"),
        LeastSquares(lambda o, y: helper(o - y), lambda o, y: factor, name="given"),
        Activation(helper, lambda z: factor),
    ]
    arguments = (3.0, 1.0), (3.0, 1.0), (3.0,)
    before = [function(*numbers) for row, numbers in zip(rows, arguments, strict=True) for function in row.functions]
    monkeypatch.setattr(sys.modules[__name__], "factor", 2.0)
    after = [function(*numbers) for row, numbers in zip(rows, arguments, strict=True) for function in row.functions]
    assert after == before == [4.0, 4.0, 2.0, 1.0, 3.0, 1.0]
    assert rows[1].value(3.0, 1.0) == 4.0
    assert rows[2].name.endswith(fingerprint(*rows[2].functions)), "what is compiled is what the fingerprint is of"


def test_a_loss_is_looked_at_again_where_it_is_said_to_be_defined_elsewhere():
    functions = lambda o, y: o - y * np.log(o), lambda o, y: 1 - y / o
    check_own_loss(Loss(*functions, outputs=(0.0, np.inf), targets=(0.0, np.inf)))
    with pytest.raises(ValueError, match="must be finite; at o = -"):
        check_own_loss(Loss(*functions))


def test_a_loss_is_looked_at_once(monkeypatch):
    check_own_loss(SQUARED)
    monkeypatch.setattr("fastnn.checks.own._compiled", lambda *_: pytest.fail("looked at again"))
    check_own_loss(SQUARED)
