"""What compiled code is told that asks a network for what there is not: one sentence of ours, and that comes last."""

import inspect

import numpy as np
import pytest
from embed_cases import forward
from numba import njit, objmode, typed, typeof
from numba.core.errors import TypingError
from numba.experimental import jitclass

import fastnn
from fastnn import MLP

NET = MLP((3, 5, 1), rng=0)
KNOWN = NET.with_domain(np.eye(3))
MANY = fastnn.Ensemble(NET.spec, np.zeros((4, NET.spec.n_params)))
STATE = fastnn.TrainState(NET.spec, max_batch=4)
X, OUT, SQUARE = np.zeros(3), np.zeros(1), np.zeros((3, 3))

#: What each method is called on, and with what it would do.
METHODS = {
    "forward": (NET, {"x": X, "out": OUT}),
    "forward_with": (NET, {"params": NET.params, "x": X, "out": OUT}),
    "jacobian": (NET, {"x": X, "out": OUT, "jac": SQUARE[:1]}),
    "vjp": (NET, {"x": X, "v": OUT, "out": X}),
    "jvp": (NET, {"x": X, "t": X, "out": OUT}),
    "vjp_params": (NET, {"x": X, "v": OUT, "grad": NET.params.copy()}),
    "taylor_vjp_params": (
        NET,
        {"x": X, "t": X, "v": OUT, "v_slope": OUT, "v_curvature": OUT, "grad": NET.params.copy()},
    ),
    "hvp": (NET, {"x": X, "v": OUT, "t": X, "out": X}),
    "taylor": (NET, {"x": X, "t": X, "out": OUT, "slope": OUT}),
    "hessian": (NET, {"x": X, "h": SQUARE}),
    "train_step": (NET, {"x": X, "y": OUT, "state": STATE}),
    "distance": (KNOWN, {"x": X}),
    "inside": (KNOWN, {"x": X}),
    "many.forward": (MANY, {"x": X, "out": np.zeros((4, 1))}),
}
#: Arguments that no method takes.
WRONG = {"float32": X.astype("f"), "scalar": 1.5, "integer": 3, "dimensions": np.zeros((2, 2, 2)), "none": None}


def caller(method):
    """A compiled function that calls a method of its first argument with this many others."""
    call = {
        "forward": lambda net, *args: net.forward(*args),
        "forward_with": lambda net, *args: net.forward_with(*args),
        "jacobian": lambda net, *args: net.jacobian(*args),
        "vjp": lambda net, *args: net.vjp(*args),
        "jvp": lambda net, *args: net.jvp(*args),
        "vjp_params": lambda net, *args: net.vjp_params(*args),
        "taylor_vjp_params": lambda net, *args: net.taylor_vjp_params(*args),
        "hvp": lambda net, *args: net.hvp(*args),
        "taylor": lambda net, *args: net.taylor(*args),
        "hessian": lambda net, *args: net.hessian(*args),
        "train_step": lambda net, *args: net.train_step(*args),
        "distance": lambda net, *args: net.distance(*args),
        "inside": lambda net, *args: net.inside(*args),
    }[method.rpartition(".")[2]]
    return njit(call)


def told(function, *args):
    """The last line of what a caller is told."""
    with pytest.raises(TypingError) as caught:
        function(*args)
    message = str(caught.value)
    assert "candidate" not in message
    assert ", kernels " not in message
    return message.splitlines()[-1]


@pytest.mark.parametrize("name", METHODS)
def test_arguments_of_other_types(name):
    net, arguments = METHODS[name]
    method = name.rpartition(".")[2]
    function = caller(method)
    for argument in arguments:
        for kind, wrong in WRONG.items():
            if wrong is None and argument in ("v", "v_slope", "v_curvature") and name == "taylor_vjp_params":
                continue  # of these one is enough
            sentence = told(function, net, *(arguments | {argument: wrong}).values())
            assert f"{'many' if net is MANY else 'net'}.{method}: {argument} must be " in sentence, kind
            assert "; got " in sentence
    for argument in {"out", "jac", "h", "slope", "curvature", "grad"} & arguments.keys():
        fixed = arguments[argument].copy()
        fixed.flags.writeable = False
        sentence = told(function, net, *(arguments | {argument: fixed}).values())
        assert f".{method}: {argument} must be " in sentence
        assert " that can be written to; got readonly array" in sentence


@pytest.mark.parametrize("name", METHODS)
def test_numbers_of_arguments(name):
    net, arguments = METHODS[name]
    method = name.rpartition(".")[2]
    first = next(iter(arguments))
    assert told(caller(method), net).endswith(f"missing a required argument: '{first}'")
    many = [*arguments.values(), *[None] * 4]
    sentence = told(caller(method), net, *many)
    assert f".{method} takes ({', '.join(arguments)}" in sentence
    assert sentence.endswith("too many positional arguments")


def test_wrong_calls_of_a_network():
    call = njit(lambda net, x: net(x))
    with pytest.raises(TypingError, match=rf"at .*{__name__}.py .*\n.* pass workspace="):
        call(MLP((3, 2100, 1)), X)
    assert told(call, NET, 1.5) == "net.__call__: x must be a 1-D or 2-D array of float64; got float64"
    assert told(njit(lambda net, x: net(x, x)), NET, X).endswith("too many positional arguments")
    assert told(njit(lambda net: net([1.0, 2.0, 3.0])), NET).startswith("net.__call__: x must be")
    assert told(call, MANY, X).endswith("has no attribute __call__ inside compiled code; its methods there are forward")


def test_through_callers_and_more_than_once():
    inner = njit(lambda net, x, out: net.forward(x, out))
    outer = njit(lambda net, x, out: inner(net, x, out))
    for function in (outer, inner, outer):
        assert told(function, NET, X.astype("f"), OUT).startswith(
            "net.forward: x must be a 1-D or 2-D array of float64"
        )
    with pytest.raises(TypingError, match=rf"at .*{__name__}.py \({inner.py_func.__code__.co_firstlineno}\)"):
        outer(NET, X, 1.5)
    inner(NET, X, OUT)  # it can be called as it should be all the same


def test_types_that_turn_out_well_in_the_end():
    @njit
    def last(net, X, out):
        x = X[0]
        for i in range(len(X)):
            net.forward(x, out)
            x = X[:, i]  # with strides, which is known later
        return out[0]

    assert last(NET, np.ones((3, 3)), OUT) == NET(np.ones(3))[0]


def attribute(thing):
    return thing.misspelt


def assign(thing):
    thing.params = thing.params


@pytest.mark.parametrize("thing", [NET, MANY, STATE], ids=["network", "ensemble", "state"])
def test_attributes_that_there_are_not(thing):
    assert "has no attribute misspelt inside compiled code; its methods there are " in told(njit(attribute), thing)
    if thing is not STATE:
        assert "params[:] = ..." in told(njit(assign), thing)


@pytest.mark.parametrize("thing", [NET, MANY, STATE], ids=["network", "ensemble", "state"])
def test_as_a_sequence(thing):
    length, truth = njit(lambda thing: len(thing)), njit(lambda thing: (bool(thing), not thing, 1 if thing else 0))
    if thing is MANY:
        assert length(MANY) == 4
        assert truth(MANY[:0]) == (False, True, 0)
    else:
        assert told(length, thing).endswith(" has no length")
    assert truth(thing) == (True, False, 1)
    for takes_some in (njit(lambda thing: thing[0]), njit(lambda thing: [0 for _ in thing])):
        assert " gives no members inside compiled code" in told(takes_some, thing)


class Holder:
    def __init__(self, thing):
        self.thing = thing


@pytest.mark.parametrize("thing", [MANY, STATE], ids=["ensemble", "state"])
def test_what_cannot_be_returned(thing):
    things = typed.List()
    things.append(thing)
    for function in (njit(lambda thing: thing), lambda thing: things[0]):
        with pytest.raises(TypeError, match=r" cannot be handed from compiled code to Python$"):
            function(thing)
    holder = jitclass([("thing", typeof(thing))])(Holder)(thing)
    with pytest.raises(TypeError, match=r" cannot be handed from compiled code to Python$"):
        _ = holder.thing


@pytest.mark.parametrize("thing", [NET, MANY, STATE, (NET, NET)], ids=["network", "ensemble", "state", "tuple"])
def test_globals_are_told_to_be_arguments(thing):
    assert "must be an argument of the compiled function" in told(njit(lambda: thing))


@pytest.mark.parametrize(
    ("made", "shape"), [("net", (1,)), ("fastnn.Ensemble(net.spec, net.params[None])", (1, 1))], ids=["one", "many"]
)
def test_a_global_met_before_any_other_network(made, shape, tmp_path):
    """In a process of its own: nothing of a network is compiled there before."""
    import subprocess
    import sys

    program = tmp_path / "program.py"
    program.write_text(
        "import fastnn, numba, numpy as np\n"
        "net = fastnn.MLP((3, 5, 1), rng=0)\n"
        f"thing = {made}\n"
        "@numba.njit\n"
        "def run(x, out):\n"
        "    thing.forward(x, out)\n"
        "try:\n"
        f"    run(np.zeros(3), np.zeros({shape}))\n"
        "except numba.TypingError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run([sys.executable, str(program)], capture_output=True, text=True)
    assert "must be an argument of the compiled function" in done.stdout.splitlines()[-1], done.stderr


def test_a_step_before_there_is_any_state(tmp_path):
    """In a process of its own: nothing of a training state is imported there before."""
    import subprocess
    import sys

    program = tmp_path / "program.py"
    program.write_text(
        "import fastnn, numba, numpy as np\n"
        "net, x = fastnn.MLP((3, 5, 1), rng=0), np.zeros(3)\n"
        "@numba.njit\n"
        "def step(net, x, *rest):\n"
        "    net.train_step(x, x, *rest)\n"
        "for rest in ((), (x,)):\n"
        "    try:\n"
        "        step(net, x, *rest)\n"
        "    except numba.TypingError as error:\n"
        "        print(str(error).splitlines()[-1])\n"
    )
    done = subprocess.run([sys.executable, str(program)], capture_output=True, text=True)
    few, wrong = done.stdout.splitlines()
    assert few == "net.train_step takes (x, y, state): missing a required argument: 'state'"
    assert wrong.startswith("net.train_step: state must be a fastnn.TrainState of the network's spec; got array")


NET_TYPE, HANDED = NET.numba_type, []


@njit
def from_object_mode(x):
    with objmode(thing=NET_TYPE):
        thing = HANDED[-1]
    return thing(x)


@pytest.mark.parametrize("thing", [MLP((3, 6, 1)), MLP((3, 5, 1), activation="relu"), KNOWN, MANY, 3])
def test_other_things_from_a_block_in_object_mode(thing):
    HANDED.append(NET)
    assert from_object_mode(np.ones(3)) == NET(np.ones(3))
    HANDED.append(thing)
    with pytest.raises(TypeError, match=r"^compiled code was told to expect MLP\(\(3, 5, 1\), .*\); got ") as caught:
        from_object_mode(X)
    assert str(caught.value).endswith(f"got {thing!r}")


def test_a_state_says_what_it_is_made_of():
    with pytest.raises(TypeError, match=r"spec must be a NetworkSpec, such as net.spec; got <MLP"):
        fastnn.TrainState(NET)


def test_every_method_is_asked():
    """Those that compiled code has."""
    from fastnn.embed import domain, gradients, methods, second_order, steps

    rooms = domain, gradients, methods, second_order, steps
    chosen = [f for room in rooms for f in vars(room).values() if hasattr(f, "__signature__")]
    names = {inspect.signature(choose).method.removeprefix("net.") for choose in chosen}
    assert names - {"__call__", "state.apply"} <= set(METHODS)


# ---------------------------------------------------------------- arrays that share memory
@njit
def jacobian(net, x, out, jac):
    net.jacobian(x, out, jac)


@njit
def vjp(net, x, v, out, grad):
    net.vjp(x, v, out, None, grad)


@njit
def vjp_params(net, x, v, grad):
    net.vjp_params(x, v, grad)


@njit
def taylor_vjp_params(net, x, t, v, v_slope, v_curvature, grad):
    net.taylor_vjp_params(x, t, v, v_slope, v_curvature, grad)


BLOCK = np.zeros((2, 4, 3))


@pytest.mark.parametrize(
    ("call", "arguments", "written", "other"),
    [
        (jacobian, (X, SQUARE[0, 2:], SQUARE[:1]), "jac", "out"),
        (jacobian, (np.zeros((2, 3)), SQUARE.reshape(9, 1)[5:7], SQUARE[:2].reshape(2, 1, 3)), "jac", "out"),
        (vjp, (X, OUT, np.zeros(3), NET.params), "grad", "params"),
        (vjp_params, (X, OUT, NET.params), "grad", "params"),
        (vjp_params, (np.zeros((2, 3)), np.zeros((2, 1)), NET.params), "grad", "params"),
        pytest.param(taylor_vjp_params, (X, X, OUT, OUT, None, NET.params), "grad", "params", marks=pytest.mark.slow),
        (taylor_vjp_params, (X, X, OUT, OUT, OUT, NET.params), "grad", "params"),
        (forward, (BLOCK.ravel()[1:4], BLOCK.reshape(24, 1)[:4]), "out", "x"),
    ],
)
def test_arrays_that_share_memory(call, arguments, written, other):
    before = NET.params.copy()
    sentence = rf"{written} must be an array of its own; got one that shares the memory of {other}$"
    method = "many.forward" if call is forward else f"net.{call.__name__}"
    with pytest.raises(ValueError, match=f"^{method}: {sentence}"):
        call(MANY if call is forward else NET, *arguments)
    if call is forward:
        with pytest.raises(ValueError, match=f"^{sentence}"):
            MANY.forward(*arguments)
    assert np.array_equal(NET.params, before)


def test_arrays_that_lie_side_by_side():
    both = np.zeros(8)
    jacobian(NET, X, both[3:4], both[:3].reshape(1, 3))
    jacobian(NET, X, both[3:4], both[4:7].reshape(1, 3))
    forward(MANY, both[4:7], both[:4].reshape(4, 1))
    forward(MANY, both[::2][:3], both.reshape(4, 2)[:, 1:])  # one between the numbers of the other
    room = np.zeros(13)
    forward(MANY, room[8:2:-2], room[9:].reshape(4, 1))
