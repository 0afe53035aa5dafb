"""Derivatives with respect to the parameters, and second ones, inside compiled code: against the reference's."""

import numpy as np
import pytest
from embed_cases import network
from numba import TypingError, njit, prange
from numba.core.runtime import _nrt_python, rtsys

import fastnn
from fastnn import MLP
from fastnn.embed import from_python
from fastnn.reference import series
from fastnn.settings.methods import METHODS

RNG = np.random.default_rng(0)


#: Both dtypes, one output and several, one hidden layer and two, odd widths, more than a block of vectors. Every
#: activation's derivatives, up to the third, are tested beside the activation.
NETS = {
    "softmax": network((4, 13, 3, 5), ["softplus", "tanh"], output_activation="softmax", bias=False),
    "ascending": network((3, 9, 3), "tanh", output_activation="ascending"),
    "one output": network((5, 37, 1), "gelu_tanh", dtype="float32"),
}
each_net = pytest.mark.parametrize(
    "net",
    [NETS["softmax"], *(pytest.param(NETS[name], marks=pytest.mark.slow) for name in ("ascending", "one output"))],
    ids=NETS,
)


def numbers(net, *lengths):
    return [RNG.normal(size=length).astype(net.spec.dtype) for length in lengths]


def close(net, ours, reference, double=1e-12, single=2e-5):
    """In the 2-norm."""
    relative = double if net.spec.dtype == "float64" else single
    assert np.linalg.norm(ours - reference) <= relative * np.linalg.norm(reference) + 1e-300


@njit
def along_a_line(net, x, t, v, v1, v2, out, slope, curvature, grads):
    net.taylor_vjp_params(x, t, v, v1, None, grads[0])
    net.taylor_vjp_params(x, t, v, v1, v2, grads[1])
    net.taylor(x, t, out, slope)
    net.taylor(x, t, out, slope, curvature)


@njit
def by_parameters(net, x, t, v, by_x, hvp, grads):
    net.vjp_params(x, v, grads[0])
    net.vjp(x, v, by_x, grad=grads[1])
    net.hvp(x, v, t, hvp)


@each_net
def test_derivatives_by_parameters(net):
    spec = net.spec
    x, t, v = numbers(net, spec.n_in, spec.n_in, spec.n_out)
    by_x, hvp, grads = np.empty_like(x), np.empty_like(x), np.ones((2, spec.n_params), spec.dtype)
    by_parameters(net, x, t, v, by_x, hvp, grads)
    double = MLP.from_params(fastnn.NetworkSpec(spec.sizes, spec.activations, spec.bias), net.params)
    X, T, V = (array.astype(float)[None] for array in (x, t, v))
    expected = np.zeros(spec.n_params)
    back = series.vjp(double.spec, double.params, X, T, [V], expected)
    for grad in grads:  # which is added to
        close(net, grad - 1, expected, single=1e-4)
    close(net, by_x, back[0][0])
    close(net, hvp, series.hvp(double.spec, double.params, X, V, T)[0])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["softmax", "one output"])
def test_along_a_line(name):
    net = NETS[name]
    spec = net.spec
    x, t, v, v1, v2 = numbers(net, spec.n_in, spec.n_in, spec.n_out, spec.n_out, spec.n_out)
    out, slope, curvature = (np.empty_like(v) for _ in range(3))
    grads = np.ones((2, spec.n_params), spec.dtype)  # which are added to
    along_a_line(net, x, t, v, v1, v2, out, slope, curvature, grads)
    double = MLP.from_params(fastnn.NetworkSpec(spec.sizes, spec.activations, spec.bias), net.params)
    X, T, *V = (array.astype(float)[None] for array in (x, t, v, v1, v2))
    for ours, exact in zip((out, slope, curvature), series.taylor(double.spec, double.params, X, T), strict=True):
        close(net, ours, exact[0])
    for grad, count in zip(grads, (2, 3), strict=True):
        expected = np.zeros(spec.n_params)
        series.vjp(double.spec, double.params, X, T, V[:count], expected)
        close(net, grad - 1, expected, double=1e-11, single=1e-4)


@pytest.mark.parametrize(("sizes", "output"), [((2, 11), "softmax"), ((2, 72), "ascending"), ((11, 1), "sigmoid")])
def test_curvatures_by_parameters(sizes, output):
    """Of these outputs' second derivatives and theirs no network above is tested but slowly: one layer is quick to
    compile. Of 72 features some are blocks of vectors, and the rest whole vectors.
    """
    net = network(sizes, output_activation=output)
    n_in, n_out = sizes
    x, t, v, v1, v2 = numbers(net, n_in, n_in, n_out, n_out, n_out)
    grad, expected = np.ones((2, net.spec.n_params))
    net.taylor_vjp_params(x, t, v, v1, v2, grad)
    series.vjp(net.spec, net.params, x[None], t[None], [v[None], v1[None], v2[None]], expected)
    close(net, grad, expected)
    close(net, net(x), net.predict(x[None], backend="numpy")[0])
    h = np.empty((n_in, n_in))
    net.hessian(x, h, v=v)
    for unit, column in zip(np.eye(n_in), h, strict=True):
        close(net, column, series.hvp(net.spec, net.params, x[None], v[None], unit[None])[0])


def test_what_python_calls_writes_the_derivatives_of_a_softmax():
    net = network((3, 4), output_activation="softmax")
    x, t, v = numbers(net, 3, 3, 4)
    W, p = net.weights[0], net.predict(x[None])[0]
    d, along = p * (v - p @ v), t @ W
    p1 = p * (along - p @ along)
    p2 = p1 * (along - p @ along) - p * (p1 @ along)
    by_x, grad, jvp, out, slope, curvature = np.empty(3), np.ones(16), *np.empty((4, 4))
    net.vjp(x, v, by_x, grad=grad)
    close(net, by_x, W @ d)
    close(net, grad - 1, np.r_[np.outer(x, d).ravel(), d])
    net.jvp(x, t, jvp)
    close(net, jvp, p1)
    net.taylor(x, t, out, slope, curvature)
    for ours, exact in zip((out, slope, curvature), (p, p1, p2), strict=True):
        close(net, ours, exact)
    net.forward_with(2 * net.params, x, out)
    close(net, out, p**2 / (p**2).sum())  # of twice the logits


@each_net
def test_hessians_are_columns_of_products(net):
    n_in, n_out = net.spec.n_in, net.spec.n_out
    x, v = numbers(net, n_in, n_out)
    h, columns = np.empty((n_in, n_in), net.spec.dtype), np.empty((n_in, n_in), net.spec.dtype)
    net.hessian(x, h, v=v)
    for unit, column in zip(np.eye(n_in), columns, strict=True):
        net.hvp(x, v, unit, column)
    close(net, h, columns)
    assert np.array_equal(h, h.T)


@pytest.mark.parametrize(
    "method", [name if name == "hvp" else pytest.param(name, marks=pytest.mark.slow) for name in METHODS]
)
def test_what_stood_in_a_workspace_is_not_read(method):
    net = network((3, 9, 11), "gelu_tanh", output_activation="softmax")
    x, t, v, v1, v2 = numbers(net, 3, 3, 11, 11, 11)
    out, slope, curvature, by_x, jac, h, grad = written = [
        np.empty(shape) for shape in (11, 11, 11, 3, (11, 3), (3, 3), net.spec.n_params)
    ]
    arguments = {
        "forward": (x, out, ...),
        "jacobian": (x, out, jac, ...),
        "vjp": (x, v, by_x, ..., None),
        "jvp": (x, t, out, ...),
        "hessian": (x, h, ..., v),
        "vjp_params": (x, v, grad, ...),
        "hvp": (x, v, t, by_x, ...),
        "taylor": (x, t, out, slope, curvature, ...),
        "taylor_vjp_params": (x, t, v, v1, v2, grad, ...),
    }[method]
    call, work, results = getattr(from_python, f"_{method}"), net.workspace(method), []
    for number in (0.0, np.nan):
        work[:] = number
        for array in written:
            array[...] = 7
        call(net, *(work if argument is ... else argument for argument in arguments))
        results.append(np.concatenate([array.ravel() for array in written]))
    assert np.array_equal(*results)


def test_a_batch_adds_up_its_samples():
    net = NETS["softmax"]
    X, V = RNG.normal(size=(6, 8))[:, ::2], RNG.normal(size=(6, 5))
    one, many = np.zeros((2, net.spec.n_params))
    for x, v in zip(X, V, strict=True):
        net.vjp_params(x, v, one)
    net.vjp_params(X, V, many)
    assert np.array_equal(one, many)
    out, jac, out_0, jac_0 = np.empty((6, 5)), np.empty((6, 5, 4)), np.empty(5), np.empty((5, 4))
    net.jacobian(X, out, jac)
    for x, outputs, derivatives in zip(X, out, jac, strict=True):
        net.jacobian(x, out_0, jac_0)
        assert np.array_equal(outputs, out_0)
        assert np.array_equal(derivatives, jac_0)
        close(net, jac_0, fastnn.reference.network.jacobian(net.spec, net.params, x))


def test_a_gradient_for_each_thread():
    @njit(parallel=True, nogil=True)
    def gradients(net, X, V, grads):
        for k in prange(len(grads)):
            for r in range(k, len(X), len(grads)):
                net.vjp_params(X[r], V[r], grads[k])

    net = NETS["softmax"]
    X, V = RNG.normal(size=(64, 4)), RNG.normal(size=(64, 5))
    grads, whole = np.zeros((2, net.spec.n_params)), np.zeros(net.spec.n_params)
    gradients(net, X, V, grads)
    net.vjp_params(X, V, whole)
    close(net, grads.sum(axis=0), whole)


@pytest.mark.slow
def test_nothing_is_allocated():
    _nrt_python.memsys_enable_stats()
    net = NETS["softmax"]
    x, v, grad, state = (
        RNG.normal(size=4),
        RNG.normal(size=5),
        np.zeros(net.spec.n_params),
        fastnn.TrainState(net.spec, loss="cross_entropy"),
    )

    @njit
    def train(net, x, v, grad, state, out, by_x):
        for _ in range(100):
            net.vjp_params(x, v, grad)
            net.vjp(x, v, by_x, grad=grad)
            net.hvp(x, v, x, by_x)
            net.taylor(x, x, out, out, out)
            net.taylor_vjp_params(x, x, v, v, v, grad)
            state.apply(net, grad)

    arguments = net, x, v, grad, state, np.empty(5), np.empty(4)
    train(*arguments)
    before = rtsys.get_allocation_stats()
    train(*arguments)
    after = rtsys.get_allocation_stats()
    assert after.alloc - before.alloc <= after.mi_alloc - before.mi_alloc <= 20  # the arguments themselves
    assert after.free - before.free == after.alloc - before.alloc


# ---------------------------------------------------------------- steps of an optimizer
@pytest.mark.parametrize(
    ("optimizer", "settings"),
    [
        (fastnn.SGD(0.01, momentum=0.9, nesterov=True), {"l2": 0.1, "max_grad_norm": 0.5}),
        (fastnn.Adam(), {}),
        (fastnn.AdamW(), {"l2": 0.01}),
        (fastnn.RMSprop(), {}),
        (fastnn.Rprop(), {}),
    ],
)
def test_steps_are_those_of_train_step(optimizer, settings):
    net, stepped = network((3, 5, 2)), network((3, 5, 2))
    state, other = (fastnn.TrainState(net.spec, loss="sse", optimizer=optimizer, **settings) for _ in range(2))
    grad = np.zeros(net.spec.n_params)
    for x, y in zip(RNG.normal(size=(5, 3)), RNG.normal(size=(5, 2)), strict=True):
        stepped.train_step(x, y, other)
        grad[:] = 0
        net.vjp_params(x, 2 * (net(x) - y), grad)
        before = grad.copy()
        assert state.apply(net, grad)
        assert np.array_equal(grad, before)
    np.testing.assert_allclose(net.params, stepped.params, rtol=1e-11, atol=1e-13)
    assert state.steps == other.steps == 5


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("settings", [{}, {"l2": 0.1, "max_grad_norm": 1.0}])
def test_a_gradient_that_is_not_finite_changes_nothing(bad, settings):
    net = network((3, 5, 2))
    state, before, grad = fastnn.TrainState(net.spec, **settings), net.params.copy(), np.zeros(net.spec.n_params)
    grad[-1] = bad
    assert not state.apply(net, grad)
    assert np.array_equal(net.params, before)
    assert state.steps == 0


def test_a_penalty_that_is_not_finite_changes_nothing():
    net = network((3, 5, 2))
    net.params[:] = 1e200
    state = fastnn.TrainState(net.spec, l2=0.1)
    assert not state.apply(net, np.zeros(net.spec.n_params))
    assert (net.params == 1e200).all()
    assert state.steps == 0


# ---------------------------------------------------------------- what is refused
def test_what_is_refused():
    net = network((3, 5, 2))
    x, v, t, grad = np.zeros(3), np.zeros(2), np.zeros(3), np.full(net.spec.n_params, 7.0)
    for bad in (grad[1:], np.zeros(0)):
        with pytest.raises(ValueError, match=r"^grad must have shape \(32,\); got"):
            net.vjp_params(x, v, bad)
    with pytest.raises(ValueError, match=r"^grad must be an array of its own"):
        net.vjp_params(x, v, net.params)
    with pytest.raises(ValueError, match=r"^v must have shape \(4, 2\); got \(3, 2\)"):
        net.vjp_params(np.zeros((4, 3)), np.zeros((3, 2)), grad)
    with pytest.raises(TypeError, match=r"^grad must be an array of shape \(32,\) and dtype float64"):
        net.vjp_params(x, v, grad.astype("f"))
    with pytest.raises(ValueError, match=r"^v must say which outputs, as the network has 2"):
        net.hessian(x, np.empty((3, 3)))
    with pytest.raises(ValueError, match=r"^v_curvature must have shape \(2,\)"):
        net.taylor_vjp_params(x, t, v, v, x, grad)
    with pytest.raises(ValueError, match=r"^curvature must have shape \(2,\)"):
        net.taylor(x, t, v, v, np.zeros(3))
    assert (grad == 7).all()


def test_what_is_refused_inside_compiled_code():
    @njit
    def gradient(net, x, v, grad):
        net.vjp_params(x, v, grad)

    @njit
    def both(net, x, v, out, grad):
        net.vjp(x, v, out, grad=grad)

    @njit
    def apply(state, net, grad):
        return state.apply(net, grad)

    net = network((3, 5, 2))
    x, v, grad = np.zeros(3), np.zeros(2), np.full(32, 7.0)
    state = fastnn.TrainState(net.spec)
    with pytest.raises(
        ValueError, match=r"^net.vjp_params: x must have shape \(3,\), v \(2,\), grad \(32,\); a workspace"
    ):
        gradient(net, x, v[:1], grad)
    with pytest.raises(ValueError, match=r"^net.vjp: x must have shape .* grad \(32,\)"):
        both(net, x, v, x, grad[1:])
    with pytest.raises(TypingError, match=r"net.vjp_params: grad must be contiguous"):
        gradient(net, x, v, np.zeros(64)[::2])
    with pytest.raises(TypingError, match=r"net.vjp_params: v must be a 1-D array of float64; got array.float32"):
        gradient(net, x, v.astype("f"), grad)
    with pytest.raises(ValueError, match=r"^state.apply: grad must have shape \(32,\)"):
        apply(state, net, grad[1:])
    with pytest.raises(TypingError, match=r"state.apply: net must be a network of the state's spec"):
        apply(state, network((3, 4, 2)), grad)
    assert (grad == 7).all()
