"""A network inside compiled code: its outputs and their derivatives, what is refused, and what nothing costs."""

import pickle
import subprocess
import sys

import numpy as np
import pytest
from embed_cases import forward, network
from numba import int64, njit, prange, typeof
from numba.core.errors import TypingError
from numba.core.runtime import _nrt_python, rtsys
from numba.experimental import jitclass

import fastnn
from fastnn import MLP
from fastnn.embed import from_python
from fastnn.embed.arguments import STACK_BYTES
from fastnn.embed.together import TOGETHER_STACK_BYTES
from fastnn.kernels import point
from fastnn.kernels.dispatch import fetches_weights, shares_tiles
from fastnn.kernels.point.products import ROWS
from fastnn.kernels.simd.registers import REGISTER_FILE
from fastnn.kernels.tiles.dense import TILE_ROWS
from fastnn.settings import catalogue
from fastnn.settings.methods import METHODS

RNG = np.random.default_rng(0)
ANALYTIC = [row.name for row in catalogue.ACTIVATIONS.values() if row.hidden and row.analytic]
KINKED = [row.name for row in catalogue.ACTIVATIONS.values() if row.hidden and not row.analytic]
OUTPUTS = [row.name for row in catalogue.ACTIVATIONS.values() if not row.hidden]


def widths(n, seed):
    """Odd widths, some of more than one vector, of more than a block of vectors."""
    return tuple(int(size) for size in np.random.default_rng(seed).choice([1, 3, 7, 9, 17, 37], n))


#: Between them all activations, in both dtypes, outputs from one to more than inputs, no hidden layer, no biases, and
#: enough weights for rows of the Jacobian, and columns, to be computed together.
NETS = {
    "analytic": network((5, *widths(len(ANALYTIC), 1), 1), ANALYTIC),
    "kinked": network((3, *widths(len(KINKED), 2), 2), KINKED, output_activation="sigmoid"),
    "wide": network((4, 131, 60), "tanh", dtype="float32"),
    "one layer": network((7, 1), output_activation="sigmoid"),
    "softmax": network((6, 353, 3), "gelu_tanh", output_activation="softmax", bias=False),
    "ascending": network((3, 9, 3), "tanh", output_activation="ascending"),
    "exp": network((9, 70, 33, 1), ["silu", "softplus"], output_activation="exp"),
}
#: Of these the derivatives take longest to compile.
DEEP = ("analytic", "wide", "exp", "kinked", "softmax")
each_net = pytest.mark.parametrize(
    "net",
    [
        pytest.param(net, marks=pytest.mark.slow if name in ("softmax", "exp", "ascending", "wide") else ())
        for name, net in NETS.items()
    ],
    ids=NETS,
)


def tolerance(net, double=1e-12, single=1e-5):
    return double if net.spec.dtype == "float64" else single


def close(a, b, relative):
    """In the 2-norm."""
    return np.linalg.norm(a - b) <= relative * np.linalg.norm(b) + 1e-300


def sample_of(net, seed=3):
    return np.random.default_rng(seed).normal(size=net.spec.n_in).astype(net.spec.dtype)


def reference(net, x):
    return fastnn.reference.network.predict(net.spec, net.params, x[None])[0]


def test_the_networks_cover_the_catalogue():
    named = {name for net in NETS.values() for name in net.spec.activations}
    assert named >= {*ANALYTIC, *KINKED, *OUTPUTS}


# ---------------------------------------------------------------- outputs
@njit
def rows(net, X, out):
    for r in range(X.shape[0]):
        net.forward(X[r], out[r])


@each_net
def test_forward_in_a_callers_loop(net):
    X = RNG.normal(size=(5, net.spec.n_in)).astype(net.spec.dtype)
    out = np.empty((5, net.spec.n_out), net.spec.dtype)
    rows(net, X, out)
    assert close(out, fastnn.reference.network.predict(net.spec, net.params, X), tolerance(net))


@njit
def all_ways(net, params, X, out):
    net.forward(X, out[0])
    out[1] = net(X)
    for r in range(X.shape[0]):
        out[2, r] = net(X[r])
        net.forward_with(params, X[r], out[3, r])


def test_batches_calls_and_other_parameters_give_the_same_bits():
    net = network((3, 5, 2))
    X = RNG.normal(size=(4, 3))
    out = np.empty((4, 4, 2))
    params = net.params.copy()
    other = MLP.from_params(net.spec, params)
    all_ways(net, params, X, out)
    assert (out == out[0]).all()
    assert close(out[0], net.predict(X), 1e-12)
    params *= 0.5
    all_ways(net, params, X, out)
    assert np.array_equal(out[0], out[2])
    other.params = params
    assert np.array_equal(out[3], [other(x) for x in X])


@pytest.mark.parametrize(
    "net",
    [
        pytest.param(
            network((33, 150, 37, 3), "relu", output_activation="softmax", dtype="float32"), marks=pytest.mark.slow
        ),
        pytest.param(network((9, 71, 65, 1), bias=False), marks=pytest.mark.slow),
        network((70, 70), output_activation="sigmoid"),
        network((320, 203), output_activation="tanh", dtype="float32"),  # by tiles, see `RegisterFile.batch_rows`
        # Likewise, so wide that two buffers for each row of a whole tile have no room, but those for a few samples do.
        network((TOGETHER_STACK_BYTES // (2 * 8 * TILE_ROWS), 20), bias=False),
        pytest.param(network((40, 320, 203, 3), "silu", dtype="float32"), marks=pytest.mark.slow),
        pytest.param(network((130, 129), bias=False), marks=pytest.mark.slow),
        pytest.param(network((8, 512, 3)), marks=pytest.mark.slow),  # rows of a critical stride, but for some room
        pytest.param(network((600, 150), output_activation="softmax"), marks=pytest.mark.slow),
        pytest.param(network((3, 270, 70, 270), "tanh", output_activation="ascending"), marks=pytest.mark.slow),
    ],
    ids=lambda net: str(net.spec.sizes),
)
def test_several_samples_at_once_give_the_same_bits(net):
    together = point.batch_rows(net.spec, TOGETHER_STACK_BYTES // np.dtype(net.spec.dtype).itemsize)
    tiles = any(shares_tiles(layer, net.spec.dtype) for layer in net.spec.layers)
    assert together >= ROWS
    assert (together > ROWS) == (tiles and max(net.spec.sizes) < 1000)
    n_in, n_out = net.spec.n_in, net.spec.n_out
    for n in (*range(2 * TILE_ROWS + 2), together - 1, together, together + 1, 2 * together + TILE_ROWS):
        X = RNG.normal(size=(n, 2 * n_in)).astype(net.spec.dtype)[:, ::-2]
        out = np.full((n + 2, n_out, 2), 7.0, net.spec.dtype)
        forward(net, X, out[1:-1, :, 1])
        assert np.array_equal(out[1:-1, :, 1], np.reshape([net(x) for x in X], (n, n_out)))
        assert (out[:, :, 0] == 7).all()
        assert (out[[0, -1]] == 7).all()
    if n_in == n_out:  # over the inputs
        forward(net, X, X)
        assert np.array_equal(X, out[1:-1, :, 1])


@pytest.mark.slow
def test_weights_that_are_fetched_ahead():
    net = network((1024, 1030), dtype="float32")
    assert any(fetches_weights(layer, "float32", 1) for layer in net.spec.layers) == REGISTER_FILE.fetches_weights
    X = RNG.normal(size=(TILE_ROWS + 2, 1024)).astype("float32")
    for n in (ROWS, len(X)):
        out = np.empty((n, 1030), "float32")
        forward(net, X[:n], out)
        assert np.array_equal(out, [net(x) for x in X[:n]])
        assert close(out, net.predict(X[:n], backend="numpy"), 1e-5)
    jac, column = np.empty((1030, 1024), "float32"), np.empty(1030, "float32")
    net.jacobian(X[0], np.empty(1030, "float32"), jac)
    for i in range(3):
        net.jvp(X[0], np.eye(1024, dtype="float32")[i], column)
        assert close(jac[:, i], column, 1e-5)


def test_networks_that_just_fit_the_stack():
    """Their scratch is as large as what is taken from the stack; more would ask users for a workspace."""
    spec = network((2, 2048, 1)).spec
    assert 8 * point.scratch_size(spec, "forward") == STACK_BYTES
    spec = network((2, 1024, 1024)).spec
    assert 8 * point.jacobian_scratch(spec, 1) == STACK_BYTES


@pytest.mark.slow
def test_scratch_of_large_networks_is_given_back(tmp_path):
    """In a process of its own, which too deep a stack would end."""
    program = tmp_path / "program.py"
    program.write_text(
        "import threading, fastnn, numba, numpy as np\n"
        "@numba.njit(nogil=True)\n"
        "def descend(net, X, out, jac, depth):\n"
        "    net.forward(X, out)\n"
        "    net.jacobian(X[0], out[0], jac)\n"
        "    if depth > 0:\n"
        "        descend(net, X, out, jac, depth - 1)\n"
        "net = fastnn.MLP((8, 1000, 8), rng=0)\n"
        "arguments = net, np.ones((4, 8)), np.empty((4, 8)), np.empty((8, 8))\n"
        "descend(*arguments, 0)\n"
        "threading.stack_size(2**20)\n"
        "thread = threading.Thread(target=descend, args=(*arguments, 30))\n"
        "thread.start()\n"
        "thread.join()\n"
        "print('done')\n"
    )
    done = subprocess.run([sys.executable, str(program)], capture_output=True, text=True)
    assert done.stdout == "done\n", done.stderr


def test_strided_arrays():
    net = network((3, 5, 2))
    X = RNG.normal(size=(4, 6))[:, ::2]
    out = np.full((4, 2, 2), 7.0)
    rows(net, X, out[:, :, 1])
    assert np.array_equal(out[:, :, 1], [net(x) for x in X])
    assert (out[:, :, 0] == 7).all()
    backwards = X[::-1, ::-1]
    rows(net, backwards, out[:, :, 0])
    assert np.array_equal(out[:, :, 0], [net(x) for x in backwards])
    by_columns = np.empty((4, 2), order="F")
    forward(net, np.asfortranarray(X), by_columns)
    assert np.array_equal(by_columns, [net(x) for x in X])


def test_samples_and_other_parameters_may_be_read_only():
    net = network((3, 5, 2))
    X, params = RNG.normal(size=(4, 3)), net.params + 1
    for array in (X, params):
        array.flags.writeable = False

    @njit
    def outputs(net, params, X, out):
        net.forward(X, out[0])
        net.forward_with(params, X[0], out[1, 0])

    out = np.zeros((2, 4, 2))
    outputs(net, params, X, out)
    assert np.array_equal(out[0], [net(x) for x in X])
    assert np.array_equal(out[1, 0], MLP.from_params(net.spec, params)(X[0]))


def test_outputs_over_the_inputs():
    net = network((3, 5, 3))
    x = sample_of(net)
    expected = net(x)
    net.forward(x, x)
    assert np.array_equal(x, expected)


def test_new_parameters_compile_nothing():
    net = network((3, 5, 2))
    rows(net, np.zeros((1, 3)), np.zeros((1, 2)))
    before = len(rows.overloads)
    rows(network((3, 5, 2), seed=9), np.zeros((1, 3)), np.zeros((1, 2)))
    assert len(rows.overloads) == before


def test_not_a_number_stays_one():
    net = network((3, 5, 2))
    assert np.isnan(net(np.array([0.0, np.nan, 1.0]))).all()


# ---------------------------------------------------------------- derivatives
@njit
def derivatives(net, x, v, t, out, jac, vjp, jvp):
    net.jacobian(x, out, jac)
    net.vjp(x, v, vjp)
    net.jvp(x, t, jvp)


def complex_step(net, x):
    """The Jacobian of an analytic network, by the reference on complex numbers."""
    step = 1e-30
    X = x + 1j * step * np.eye(len(x))
    return (complex_outputs(net, X).imag / step).T


def complex_outputs(net, X):
    """The reference's outputs for complex samples; its functions are elementary, except for the choice of a branch."""
    functions = {
        "identity": lambda z: z,
        "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
        "tanh": np.tanh,
        "silu": lambda z: z / (1 + np.exp(-z)),
        "softplus": lambda z: np.log(1 + np.exp(z)),
        "gelu_tanh": lambda z: z * (1 + np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3))) / 2,
        "softmax": lambda z: np.exp(z) / np.exp(z).sum(axis=1, keepdims=True),
        "exp": np.exp,
        "sin": np.sin,
        "ascending": lambda z: np.cumsum(np.concatenate([z[:, :1], np.log(1 + np.exp(z[:, 1:]))], 1), 1),
    }
    H = X
    for W, b, name in zip(net.weights, net.biases or [0.0] * len(net.weights), net.spec.activations, strict=True):
        H = functions[name](H @ W + b)
    return H


def central(function, x, step=1e-5):
    """Central differences of fourth order, a column an input."""
    columns = []
    for unit in step * np.eye(len(x)):
        near, far = function(x + unit) - function(x - unit), function(x + 2 * unit) - function(x - 2 * unit)
        columns.append((8 * near - far) / (12 * step))
    return np.stack(columns, axis=-1)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in DEEP else name for name in NETS]
)
def test_first_derivatives(name):
    net = NETS[name]
    spec = net.spec
    x, rng = sample_of(net), np.random.default_rng(4)
    v, t = rng.normal(size=spec.n_out).astype(spec.dtype), rng.normal(size=spec.n_in).astype(spec.dtype)
    out, jac = np.empty(spec.n_out, spec.dtype), np.empty((spec.n_out, spec.n_in), spec.dtype)
    vjp, jvp = np.empty(spec.n_in, spec.dtype), np.empty(spec.n_out, spec.dtype)
    derivatives(net, x, v, t, out, jac, vjp, jvp)
    double = MLP.from_params(fastnn.NetworkSpec(spec.sizes, spec.activations, spec.bias), net.params)
    smooth = not {*spec.activations} & {*KINKED}
    expected = complex_step(double, x) if smooth else central(lambda x: reference(double, x), x.astype(float))
    assert close(jac, expected, tolerance(net, 1e-12 if smooth else 1e-8))
    assert close(vjp, v @ expected, tolerance(net, 1e-12 if smooth else 1e-8))
    assert close(jvp, expected @ t, tolerance(net, 1e-12 if smooth else 1e-8))
    assert close(out, reference(net, x), tolerance(net))


@pytest.mark.parametrize(
    ("sizes", "output"),
    [
        ((70, 48), "tanh"),
        *(
            pytest.param(sizes, output, marks=pytest.mark.slow)
            for sizes, output in [
                ((48, 70), "tanh"),
                ((48, 70), "softmax"),
                ((48, 70), "ascending"),
                ((70, 48), "ascending"),
            ]
        ),
    ],
)
def test_jacobians_whose_last_block_is_smaller(sizes, output):
    net = network(sizes, output_activation=output)
    rows = point.jacobian_rows(net.spec)
    assert 1 < rows < 48
    assert 48 % rows != 0
    X, out = RNG.normal(size=(3, sizes[0])), np.empty((3, sizes[1]))
    expected = np.stack([fastnn.reference.network.jacobian(net.spec, net.params, x) for x in X])
    call = njit(lambda net, X, out, jac: net.jacobian(X, out, jac))
    for step in (1, -2):
        around = np.full((5, sizes[1] + 2, abs(step) * sizes[0] + 2), 7.0)
        jac = around[1:-1, 1:-1, 1:-1][..., ::step]
        call(net, X, out, jac)
        assert close(out, net.predict(X, backend="numpy"), 1e-12)
        assert close(jac, expected, 1e-12)
        jac[...] = 7
        assert (around == 7).all()


@pytest.mark.parametrize(
    "name", ["one layer", *(pytest.param(name, marks=pytest.mark.slow) for name in ("analytic", "exp"))]
)
def test_second_derivatives(name):
    net = NETS[name]
    h = np.empty((net.spec.n_in, net.spec.n_in))
    net.hessian(sample_of(net), h)
    assert close(h, central(lambda x: complex_step(net, x)[0], sample_of(net), 1e-3), 1e-8)
    assert np.array_equal(h, h.T)


# ---------------------------------------------------------------- costs
@pytest.mark.parametrize(
    "net", [network((3, 5, 1)), pytest.param(NETS["exp"], marks=pytest.mark.slow)], ids=lambda net: str(net.spec.sizes)
)
def test_nothing_is_allocated(net):
    _nrt_python.memsys_enable_stats()
    spec = net.spec
    x, v, out, jac = sample_of(net), np.ones(1), np.empty(1), np.empty((1, spec.n_in))

    @njit
    def simulate(net, x, v, out, jac, gradient, h):
        for _ in range(100):
            net.forward(x, out)
            net.forward_with(net.params, x, out)
            net.jacobian(x, out, jac)
            net.vjp(x, v, gradient)
            net.jvp(x, x, out)
            net.hessian(x, h)

    arguments = net, x, v, out, jac, np.empty(spec.n_in), np.empty((spec.n_in, spec.n_in))
    simulate(*arguments)
    before = rtsys.get_allocation_stats()
    simulate(*arguments)
    after = rtsys.get_allocation_stats()
    handed_over = after.mi_alloc - before.mi_alloc  # the arguments themselves
    assert handed_over <= len(arguments)
    assert after.alloc - before.alloc <= handed_over
    assert after.free - before.free == after.alloc - before.alloc


def test_no_references_to_slices_are_counted():
    arguments = network((3, 5, 2)), np.zeros((1, 3)), np.empty((1, 2))
    rows(*arguments)
    assert "call void @NRT_incref" not in rows.inspect_llvm(tuple(map(typeof, arguments)))


# ---------------------------------------------------------------- where it may stand
def test_in_a_parallel_loop_without_the_interpreters_lock():
    @njit(parallel=True, nogil=True)
    def simulate(nets, X, out):
        for r in prange(X.shape[0]):
            nets[0].forward(X[r], out[0, r])
            nets[1].forward(X[r], out[1, r])

    nets = network((3, 5, 2)), network((3, 4, 2), "relu")
    X, out = RNG.normal(size=(64, 3)), np.empty((2, 64, 2))
    simulate(nets, X, out)
    assert np.array_equal(out, [[net(x) for x in X] for net in nets])


def test_as_an_attribute_of_a_jitclass():
    net = network((3, 5, 3))

    @jitclass([("net", net.numba_type), ("steps", int64)])
    class Simulation:
        def __init__(self, net, steps):
            self.net = net
            self.steps = steps

        def run(self, x):
            for _ in range(self.steps):
                self.net.forward(x, x)

    simulation = Simulation(network((3, 5, 3)), 2)
    x = sample_of(net)
    expected = net(net(x))
    simulation.run(x)
    assert np.array_equal(x, expected)
    same = simulation.net
    assert isinstance(same, MLP)
    assert same.spec == net.spec
    same.params[:] = 0
    simulation.run(x)
    assert not x.any()
    with pytest.raises(TypingError, match=r"a place of MLP\(\(3, 5, 3\), .* cannot hold MLP\(\(3, 4, 3\), [^:]*$"):
        Simulation(network((3, 4, 3)), 2)


def test_things_are_compared_by_identity():
    net, many = network((3, 5, 1)), fastnn.Ensemble(network((3, 5, 1)).spec, np.zeros((4, 26)))
    state = fastnn.TrainState(net.spec)
    compare = njit(lambda one, other: (one is other, one is not other, one == other, one != other))
    for thing in (net, many, state):
        assert compare(thing, thing) == (True, False, True, False)
    for pair in ((net, net.copy()), (net, network((3, 6, 1))), (many, many[:2]), (net, state)):
        assert compare(*pair) == (False, True, False, True)


@njit
def _call_if(wanted, net, x):
    chosen = None
    if wanted:
        chosen = net
    return chosen(x)


def test_a_variable_that_may_be_none_is_called():
    net, x = fastnn.MLP((3, 5, 2), rng=0), np.array([0.1, -0.4, 0.7])
    references = [sys.getrefcount(net.params)]
    assert (_call_if(True, net, x) == net(x)).all()
    with pytest.raises(TypeError, match="got None"):
        _call_if(False, net, x)
    references.append(sys.getrefcount(net.params))
    assert references[1] == references[0]


def test_a_network_that_is_returned_shares_its_parameters():
    net = network((3, 5, 2))
    same = njit(lambda net: net)(net)
    assert np.shares_memory(same.params, net.params)
    assert np.array_equal(pickle.loads(pickle.dumps(same)).params, net.params)


# ---------------------------------------------------------------- wide networks
@njit
def with_workspace(net, x, out, workspace):
    net.forward(x, out, workspace)


def test_a_wide_network_asks_for_a_workspace():
    net = network((2, 2100, 1))
    x, out, size = sample_of(net), np.empty(1), net.workspace().size  # which is whole registers
    with pytest.raises(TypingError, match=rf"needs {8 * size:,} bytes of scratch.*pass workspace="):
        rows(net, x[None], out[None])
    with_workspace(net, x, out, net.workspace())
    assert close(out, reference(net, x), 1e-12)
    assert np.array_equal(net(x), out)
    with pytest.raises(ValueError, match=rf"at least {size} numbers"):
        with_workspace(net, x, out, net.workspace()[1:])
    with pytest.raises(TypingError, match=r"workspace must be a contiguous"):
        with_workspace(net, x, out, np.zeros(9000, np.float32))
    many, outputs = fastnn.Ensemble(net.spec, net.params[None]), np.empty((1, 1))
    with pytest.raises(TypingError, match=r'pass workspace=.* such as many\[0\]\.workspace\("forward"\)$'):
        njit(lambda many, x, out: many.forward(x, out))(many, x, outputs)
    with_workspace(many, x, outputs, many[0].workspace("forward"))
    assert close(outputs[0], reference(net, x), 1e-12)


def test_python_gives_a_wide_network_the_scratch_of_each_method(monkeypatch):
    net, given = MLP((2, 5000, 2)), []
    for method in METHODS:
        keep = lambda net, *arguments: given.append(max(np.size(a) for a in arguments if a is not grad))  # noqa: E731
        monkeypatch.setattr(from_python, f"_{method}", keep)
    x, jac, grad = np.zeros(2), np.zeros((2, 2)), np.zeros(net.spec.n_params)
    net.jacobian(x, np.zeros(2), jac)
    net.vjp(x, x, np.zeros(2))
    net.vjp(x, x, np.zeros(2), grad=grad)
    net.jvp(x, x, np.zeros(2))
    net.hessian(x, jac, v=x)
    net.hvp(x, x, x, np.zeros(2))
    net.taylor(x, x, np.zeros(2), np.zeros(2))
    net.vjp_params(x, x, grad)
    net.taylor_vjp_params(x, x, x, x, None, grad)
    wanted = ("jacobian", "vjp", "vjp_params", "jvp", "hessian", "hvp", "taylor", "vjp_params", "taylor_vjp_params")
    assert given == [net.workspace(method).size for method in wanted]


def test_the_workspace_bounds_what_is_written():
    net = network((3, 37, 2))
    guarded = np.full(net.workspace().size + 200, 7.0)
    work = guarded[100:-100]
    assert work.size == point.scratch_size(net.spec, "forward")
    with_workspace(net, sample_of(net), np.empty(2), work)
    assert (guarded[:100] == 7).all()
    assert (guarded[-100:] == 7).all()


# ---------------------------------------------------------------- what is refused
def test_other_types_are_refused_when_the_caller_is_compiled():
    net = network((3, 5, 2))
    X, out = np.zeros((1, 3)), np.zeros((1, 2))
    with pytest.raises(TypingError, match=r"x must be a 1-D or 2-D array of float64; got array.float32"):
        rows(net, X.astype(np.float32), out)
    with pytest.raises(TypingError, match=r"out must be a 1-D array of float64; got float64"):
        rows(net, X, out[0])
    fixed = out.copy()
    fixed.flags.writeable = False
    with pytest.raises(TypingError, match=r"that can be written to"):
        rows(net, X, fixed)
    with pytest.raises(TypingError, match=r"v must say which outputs, as this network has 2"):
        njit(lambda net, x, h: net.hessian(x, h))(net, X[0], np.zeros((3, 3)))


@pytest.mark.parametrize(("n_in", "n_out"), [(2, 2), (4, 2), (3, 1), (3, 3), (0, 2)])
def test_other_lengths_are_refused_before_anything_is_written(n_in, n_out):
    out = np.full((1, n_out), 7.0)
    with pytest.raises(ValueError, match=r"net.forward: x must have shape"):
        rows(network((3, 5, 2)), np.zeros((1, n_in)), out)
    assert (out == 7).all()


def test_elements_that_lie_apart_by_parts_of_a_number_are_refused():
    records = np.zeros(3, np.dtype([("flag", np.int32), ("x", np.float64)]))
    net = network((3, 5, 2))
    many = fastnn.Ensemble(net.spec, net.params[None])
    call = njit(lambda thing, x, out: thing.forward(x, out))
    for thing, out in ((net, np.zeros(2)), (many, np.zeros((1, 2)))):
        with pytest.raises(ValueError, match=r"forward: x must have .*; all strides multiples of the itemsize$"):
            call(thing, records["x"], out)
    assert np.array_equal(net(records["x"]), net(np.zeros(3)))


# ---------------------------------------------------------------- for others than Numba
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_as_a_c_function(dtype):
    net = network((3, 5, 2), dtype=dtype)
    function = net.cfunc()
    number = np.ctypeslib.as_ctypes_type(net.params.dtype)
    for _ in range(2):
        x, out = (number * 3)(0.5, -1, 2), (number * 2)()
        function.ctypes(x, out)
        assert np.array_equal(out, net(np.array(x)))
        net.params[:] *= 0.5  # the function reads them
    assert net.cfunc() is function
    with pytest.raises(ValueError, match=r"scratch is at most 32,768 bytes"):
        MLP((2, 9000, 1), dtype=dtype).cfunc()


# ---------------------------------------------------------------- ensembles
def test_an_ensemble_asks_all_its_members():
    spec = network((3, 5, 2)).spec
    many = fastnn.Ensemble(spec, RNG.normal(size=(7, spec.n_params)))
    x, out = np.array([0.5, -1, 2]), np.empty((7, 2))
    ask = njit(lambda many, x, out: many.forward(x, out))
    ask(many, x, out)
    assert np.array_equal(out, [net(x) for net in many])
    some, part = many[1::2], np.empty((3, 2))
    ask(some, x, part)
    assert np.array_equal(part, out[1::2])
    again = np.empty_like(out)
    many.forward(x, again)
    assert np.array_equal(again, out)
    room = np.zeros(14)
    for other, taken in {"x": (room[:3], room), "params": (x, many.params.reshape(-1)[:14])}.items():
        with pytest.raises(ValueError, match=f"out must be an array of its own; got one that shares .* of {other}"):
            many.forward(taken[0], taken[1].reshape(7, 2))
    with pytest.raises(ValueError, match=r"a row of 2 for each member"):
        ask(many, x, part)
    least = many[0].workspace().size
    with pytest.raises(ValueError, match=rf"a workspace, if it is given, at least {least} numbers"):
        njit(lambda many, x, out, work: many.forward(x, out, work))(many, x, out, np.empty(least - 1))


@njit
def ask_each(net, many, x, out):
    for k in range(len(many)):
        net.forward_with(many.params[k], x, out[k])


def test_one_network_asks_the_members_of_an_ensemble():
    """As the error for ``many[k]`` advises; their rows lie together, though Numba does not know."""
    net = network((3, 5, 2))
    many = fastnn.Ensemble(net.spec, RNG.normal(size=(7, net.spec.n_params)))
    x = np.array([0.5, -1, 2])
    for members in (many, many[::-2]):
        out = np.empty((len(members), 2))
        ask_each(net, members, x, out)
        assert np.array_equal(out, [member(x) for member in members])
    apart = np.repeat(net.params, 2)[::2]
    with pytest.raises(ValueError, match=r"params must be contiguous; got numbers that lie apart"):
        njit(lambda net, params, x, out: net.forward_with(params, x, out))(net, apart, x, out[0])


def test_scratch_is_told_by_names():
    with pytest.raises(ValueError, match=r"method must be one of forward, jacobian.*got 'forwards'; did you mean"):
        MLP((3, 5, 2)).workspace("forwards")
