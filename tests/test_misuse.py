"""What happens to a run when its arrays, its state or its settings are not left alone, or lie where they must not."""

import copy
import dataclasses
import pickle
import subprocess
import sys

import numpy as np
import pytest

import fastnn
from fastnn import MLP, EarlyStopping, TrainState, fit_many, sweep

rng = np.random.default_rng(0)
X = rng.normal(size=(64, 2))
y = X.sum(axis=1)


def net(*sizes, **settings):
    return MLP(sizes or (2, 20, 1), rng=0, **settings)


# ---------------------------------------------------------------- arrays that change or overlap
@pytest.mark.parametrize("settings", [{"specialize": True}, {"specialize": False}, {"batch_size": 8}])
def test_labels_that_a_callback_changes_do_not_matter(settings):
    labels = np.zeros(64, np.intp)

    def spoil(epoch):
        labels[:] = 10**12

    one, other = (net(2, 8, 3, output_activation="softmax") for _ in range(2))
    one.fit(X, labels, epochs=3, loss="cross_entropy", rng=0, callback=spoil, progress=False, **settings)
    other.fit(X, np.zeros(64, int), epochs=3, loss="cross_entropy", rng=0, progress=False, **settings)
    assert np.array_equal(one.params, other.params)


def test_who_yields_batches_may_fill_the_same_arrays_anew():
    place_x, place_y = np.empty((16, 2)), np.empty((16, 1))

    def reused():
        for i in range(0, 64, 16):
            place_x[:], place_y[:, 0] = X[i : i + 16], y[i : i + 16]
            yield place_x, place_y

    def fresh():
        for i in range(0, 64, 16):
            yield X[i : i + 16].copy(), y[i : i + 16].copy()

    losses = [net().fit(batches, epochs=20, rng=0, progress=False).loss for batches in (reused, fresh)]
    assert np.array_equal(*losses)


def overlapping():
    three, x = net(3, 8, 3), np.ones(3)
    out, grad = np.empty(3), np.zeros(three.spec.n_params)
    block = np.empty((20, 3, 3))
    yield lambda: three.taylor(x, x, out, out), "slope .* memory of out"
    yield lambda: three.taylor(x, x, out, np.empty(3), out), "curvature .* memory of out"
    yield lambda: three.vjp(x, x, grad[:3], grad=grad), "grad .* memory of out"
    yield lambda: three.vjp(x, out, out), "out .* memory of v"
    yield lambda: three.vjp_params(grad[:3], x, grad), "grad .* memory of x"
    yield lambda: three.vjp_params(x, grad[:3], grad), "grad .* memory of v"
    yield lambda: three.hvp(x, out, x, out), "out .* memory of v"
    yield lambda: three.hvp(x, x, out, out), "out .* memory of t"
    yield lambda: three.taylor(x, out, np.empty(3), out), "slope .* memory of t"
    yield lambda: three.taylor_vjp_params(x, grad[:3], x, x, x, grad), "grad .* memory of t"
    yield lambda: three.taylor_vjp_params(x, x, grad[:3], x, x, grad), "grad .* memory of v"
    yield lambda: three.taylor_vjp_params(x, x, x, grad[:3], x, grad), "grad .* memory of v_slope"
    yield lambda: three.taylor_vjp_params(x, x, x, x, grad[:3], grad), "grad .* memory of v_curvature"
    yield lambda: three.hessian(x, block[0], v=block[0, 0]), "h .* memory of v"
    yield lambda: three.jacobian(block.reshape(60, 3)[10:30], np.empty((20, 3)), block), "jac .* memory of x"
    yield lambda: three.jacobian(x, out, three.params[:9].reshape(3, 3)), "jac .* memory of params"
    yield lambda: three.hessian(x, three.params[:9].reshape(3, 3), v=x), "h .* memory of params"
    yield lambda: three.jvp(x, x, x), "out .* memory of x"
    yield lambda: three.jvp(x, out, out), "out .* memory of t"
    yield lambda: three.forward(x, three.params[:3]), "out .* memory of params"
    params = three.params.copy()
    yield lambda: three.forward_with(params, x, params[3:6]), "out .* memory of params"
    yield lambda: three.forward_with(params, x, three.params[:3]), "out .* memory of params"
    members = fastnn.Ensemble(three.spec, params[None])
    yield lambda: members.forward(x, members.params[:, :3]), "out .* memory of params"


@pytest.mark.parametrize(("call", "message"), list(overlapping()))
def test_an_array_to_write_to_lies_apart(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_parameters_are_no_data_and_must_be_writable():
    one = net()
    with pytest.raises(ValueError, match="X must be an array of its own; got one that shares the memory of params"):
        one.fit(one.params[:16].reshape(8, 2), np.ones(8), epochs=1)
    part = one.params[:16].reshape(8, 2)
    with pytest.raises(ValueError, match=r"validation_data: X must be an array of its own; .* memory of params"):
        one.fit(X, y, epochs=1, validation_data=(part, np.ones(8)))
    with pytest.raises(ValueError, match=r"dydx must be an array of its own; .* memory of params"):
        one.fit(X[:8], y[:8], epochs=1, dydx=part[:, None])
    one.params.setflags(write=False)
    with pytest.raises(ValueError, match="params must be writable to be trained; got a read-only array"):
        one.fit(X, y, epochs=1)


def test_a_layers_weights_cannot_be_replaced_to_no_effect():
    with pytest.raises(TypeError):
        net().weights[0] = np.zeros((2, 4))


def test_an_array_made_like_unpickled_parameters_receives():
    one = pickle.loads(pickle.dumps(net()))
    grad = np.zeros_like(one.params)
    one.vjp_params(X, y[:, None], grad)
    assert grad.any()


def test_weights_too_small_for_kernels_are_zero():
    weights = np.exp(-(np.linspace(0, 40, 64) ** 2) / 2)
    zeros = np.where(weights < np.finfo(float).smallest_normal, 0, weights)
    assert (weights != zeros).any()
    given = weights.copy()
    assert net().loss_and_grad(X, y, sample_weight=given)[0] == net().loss_and_grad(X, y, sample_weight=zeros)[0]
    np.testing.assert_array_equal(given, weights)


def test_what_stands_in_the_workspaces_place_is_not_dropped():
    one, grad = net(), np.zeros(17)
    with pytest.raises(TypeError, match="workspace must be None but in compiled code; got an array"):
        one.vjp(X[0], np.ones(1), np.empty(2), grad)
    with pytest.raises(TypeError, match="workspace must be None but in compiled code; got an array"):
        one.hessian(X[0], np.empty((2, 2)), np.ones(1))


def test_a_masked_array_receives_nothing_and_chooses_nothing():
    one, place = net(), np.ma.array(np.zeros(1), mask=[True])
    with pytest.raises(TypeError, match=r"out must be an array of shape .* got a masked array"):
        one.forward(X[0], place)
    with pytest.raises(TypeError, match=r"trainable must be .* got a masked array"):
        one.fit(X, y, epochs=1, trainable=np.ma.array(np.ones(17, bool), mask=np.arange(17) == 0))


# ---------------------------------------------------------------- values of odd types
def test_a_span_of_time_is_no_number():
    with pytest.raises(TypeError, match=r"l2 must be a finite number of at least 0; got np.timedelta64"):
        net().fit(X, y, epochs=1, l2=np.timedelta64(3, "s"))
    with pytest.raises(TypeError, match=r"learning_rate .*must be"):
        net().fit(X, y, epochs=1, optimizer=fastnn.Adam(np.timedelta64(3, "s")))


def test_a_matrix_is_a_seed_as_its_array_is():
    seed = np.array([[1, 2]])
    try:
        expected = MLP((2, 3), rng=seed).params
    except TypeError:  # from NumPy 2.5 on
        with pytest.raises(TypeError, match=r"rng must be something that numpy\.random\.default_rng takes"):
            MLP((2, 3), rng=seed.view(np.matrix))
    else:
        assert np.array_equal(MLP((2, 3), rng=seed.view(np.matrix)).params, expected)


def test_the_weight_of_slopes_is_checked_without_slopes_too():
    with pytest.raises(TypeError, match="dydx_weight must be a finite number above 0; got 'much'"):
        net().fit(X, y, epochs=1, dydx_weight="much")


class Refusing:
    """What NumPy makes no array of, as a tensor that requires gradients."""

    def __array__(self, *arguments, **named):
        raise RuntimeError("detach it first")


@pytest.mark.parametrize("name", ["X", "y", "sample_weight", "seeds"])
def test_what_numpy_makes_no_array_of_is_refused(name):
    arguments = {"X": X, "y": y, name: Refusing()}
    with pytest.raises((TypeError, ValueError), match=f"^{name} must be"):
        fit_many(net().spec, **arguments, members=2, epochs=1)


# ---------------------------------------------------------------- states
BROKEN = {
    "slots": lambda state: state.slots[:0],
    "counters": lambda state: -state.counters - 1,
    "sums": lambda state: state.sums[:1],
    "monitor_state": lambda state: state.monitor_state[:3],
    "best": lambda state: np.ones(3),
    "last": lambda state: np.ones(3),
    "seed": lambda state: 1.5,
}


@pytest.mark.parametrize("field", BROKEN)
def test_a_state_that_no_run_has_left_is_refused(field):
    one = net()
    state = one.fit(X, y, epochs=2, progress=False).state
    broken = dataclasses.replace(state, **{field: BROKEN[field](state)})
    with pytest.raises((TypeError, ValueError), match=f"{field} of state"):
        one.fit(X, y, epochs=2, state=broken, progress=False)
    one.fit(X, y, epochs=2, state=state, progress=False)


def test_a_state_may_lie_in_a_file(tmp_path):
    one = net()
    state = one.fit(X, y, epochs=2, progress=False).state
    path = tmp_path / "slots.npy"
    np.save(path, state.slots)
    mapped = dataclasses.replace(state, slots=np.load(path, mmap_mode="r"))
    assert one.fit(X, y, epochs=2, state=mapped, progress=False).stopped == "finished"


def test_an_empty_state_is_refused():
    one = net()
    state = one.fit(X, y, epochs=2, progress=False).state
    for broken in ({"slots": None}, {"best": None}, {"best": [1.0]}):
        with pytest.raises((TypeError, ValueError), match=r"state must be|of state must be"):
            one.fit(X, y, epochs=2, state=dataclasses.replace(state, **broken), progress=False)


# ---------------------------------------------------------------- numbers that kernels round
@pytest.mark.parametrize(
    ("dtype", "weight", "message"),
    [
        ("float64", 1e308, "sample_weight must have a sum of at most"),
        ("float64", 1.5e306, "sample_weight must have a sum of at most"),  # the loss was 0, as one by it is denormal
        ("float64", 1e-310, "sample_weight must have a sum above 0; got only zeros"),
        ("float32", 1e-40, "sample_weight must have a sum above 0; got only zeros"),
    ],
)
def test_weights_whose_sum_is_no_divisor_are_refused(dtype, weight, message):
    weights = np.full(64, weight)
    calls = (
        lambda: net(dtype=dtype).loss_and_grad(X, y, sample_weight=weights),
        lambda: net(dtype=dtype).fit(X, y, sample_weight=weights, epochs=1),
        lambda: net(dtype=dtype).fit(X, y, validation_data=(X, y, weights), epochs=1),
        lambda: fit_many(net(dtype=dtype).spec, X, y, members=2, sample_weight=weights, epochs=1),
    )
    for call in calls:
        with pytest.raises(ValueError, match=message):
            call()
    with pytest.raises(ValueError, match=f"{message}.* for member 1"):
        fit_many(net(dtype=dtype).spec, X, y, members=2, sample_weight=[np.ones(64), weights], epochs=1)


def test_a_sum_of_weights_is_divided_by_for_each_output():
    weights = np.full(64, 4e305)
    assert net().loss_and_grad(X, y, sample_weight=weights)[0] > 0
    with pytest.raises(ValueError, match="sample_weight must have a sum of at most"):
        net(2, 20, 2).loss_and_grad(X, np.c_[y, y], sample_weight=weights)


@pytest.mark.parametrize(
    "settings",
    [
        {"loss": "huber", "delta": 1e-50},
        {"loss": "huber", "delta": [1e39]},
        {"loss": "pinball", "quantiles": 1 - 1e-10},
        {"loss": "pinball", "quantiles": [1 - 1e-10]},
        {"optimizer": fastnn.Adam(epsilon=1e-50)},
        {"optimizer": fastnn.SGD(momentum=1 - 1e-10)},
        {"l2": 1e39},
        {"input_noise": 1e39},
    ],
)
def test_settings_stay_in_their_interval_in_float32(settings):
    with pytest.raises(ValueError, match=r"must be a .* in float32, too; got .*, which becomes"):
        net(dtype="float32").fit(X, y, epochs=1, **settings)
    if "input_noise" not in settings:
        with pytest.raises(ValueError, match="in float32, too"):
            TrainState(net(dtype="float32").spec, **settings)
        with pytest.raises(ValueError, match="in float32, too"):
            fit_many(net(dtype="float32").spec, X, y, members=2, epochs=1, **settings)


def test_a_constant_target_has_no_r2():
    history = net().fit(X, y, epochs=1, validation_data=(X, np.ones(64)))
    assert np.isnan(history.validation_metric).all()


@pytest.mark.parametrize("backend", ["numba", "numpy"])
def test_rows_that_do_not_count_do_not_make_a_target_vary(backend):
    validation = X[:5], np.array([0.1, 0.1, 0.1, 0.3, 0.7]), np.array([1.0, 1, 1, 0, 0])
    history = net().fit(X, y, epochs=1, validation_data=validation, backend=backend)
    assert np.isnan(history.validation_metric).all()


def test_stopping_by_a_metric_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match=r"monitor of EarlyStopping must be 'loss' where the targets .* have no r2"):
        net().fit(X, y, epochs=1, validation_data=(X, np.ones(64)), early_stopping=EarlyStopping(monitor="metric"))
    with pytest.raises(ValueError, match=r"monitor of EarlyStopping must be 'loss' where the targets .* have no r2"):
        fit_many(
            net().spec, X, y, members=2, epochs=1, validation_data=(X, np.ones(64)),
            early_stopping=EarlyStopping(monitor="metric"),
        )  # fmt: skip


# ---------------------------------------------------------------- what overflows or cancels
@pytest.mark.parametrize("backend", ["numba", "numpy"])
@pytest.mark.parametrize("optimizer", [fastnn.RMSprop(1e-2), fastnn.Adam(1e-2)])
def test_an_optimizer_whose_state_overflows_is_a_divergence(optimizer, backend):
    one = net(1, 1, bias=False, dtype="float32")
    one.params[:] = 1e-8
    with pytest.warns(RuntimeWarning, match="training diverged in epoch"):
        history = one.fit([[1e14]], [[0.0]], optimizer=optimizer, epochs=50, backend=backend)
    assert history.stopped == "diverged"
    assert abs(one.params[0]) < 0.011  # what Adam's first step makes of it


@pytest.mark.parametrize(("dtype", "size"), [("float32", 1e14), ("float64", 1e100)])
@pytest.mark.parametrize("specialize", [True, False])
@pytest.mark.parametrize("backend", ["numba", "numpy"])
def test_a_gradient_whose_squares_overflow_is_clipped(backend, specialize, dtype, size):
    one = net(3, 1, bias=False, dtype=dtype)
    before = one.params.copy()
    samples = size * np.random.default_rng(0).normal(size=(4, 3))
    settings = {"loss": "sse", "optimizer": fastnn.SGD(1.0), "max_grad_norm": 0.5, "epochs": 1, "backend": backend}
    one.fit(samples, np.full(4, 1e-3), **settings, **({"specialize": specialize} if backend == "numba" else {}))
    assert np.isclose(np.linalg.norm(np.float64(one.params - before)), 0.5, rtol=1e-4)


@pytest.mark.slow
def test_members_and_steps_of_ones_own_clip_what_overflows():
    spec = net(2, 1, dtype="float32").spec
    first = np.stack([net(2, 1, dtype="float32").params] * 2)
    settings = {"max_grad_norm": 0.5, "optimizer": fastnn.SGD(1.0), "loss": "sse"}
    samples, targets = np.float32([[1e14, 0], [0, 1]]), np.float32([[0], [1]])
    for specialize in (True, False):
        many = fit_many(spec, samples, targets, params=first, epochs=1, specialize=specialize, **settings)
        moved = np.linalg.norm(np.float64(many.params - first), axis=1)
        assert np.allclose(moved, 0.5, rtol=1e-4)
    one, state = MLP.from_params(spec, first[0]), TrainState(spec, max_batch=2, **settings)
    assert state.apply(one, np.full(spec.n_params, 1e20, np.float32))
    assert np.isclose(np.linalg.norm(np.float64(one.params - first[0])), 0.5, rtol=1e-4)
    assert np.isfinite(one.train_step(samples, targets, state))
    assert np.isfinite(one.params).all()


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("backend", ["numba", pytest.param("plain", marks=pytest.mark.slow), "numpy"])
def test_the_loss_of_confident_probabilities_does_not_cancel(backend, dtype):
    one = net(1, 1, bias=False, output_activation="sigmoid", dtype=dtype)
    for z in (0.1, 1.0, 10.0, 16.0, 30.0, 80.0):
        one.params[:] = z
        loss = one.loss_and_grad([[1.0]], [[1.0]], "binary_cross_entropy", backend=backend)[0]
        exact = np.log1p(np.exp(-np.longdouble(z)))
        assert abs(loss - exact) <= 4 * np.finfo(dtype).eps * exact
        one.params[:] = -z
        assert one.loss_and_grad([[1.0]], [[0.0]], "binary_cross_entropy", backend=backend)[0] == loss


@pytest.mark.parametrize("backend", ["numba", "plain", "numpy"])
@pytest.mark.parametrize("size", [1e4, 1e30])
def test_large_logits_alike_cost_their_entropy(backend, size):
    one = net(1, 2, bias=False, output_activation="softmax", dtype="float32")
    one.params[:] = size
    assert np.isclose(one.loss_and_grad([[1.0]], [0], "cross_entropy", backend=backend)[0], np.log(2), rtol=1e-6)


@pytest.mark.parametrize("scale", [1.0, 1e8])
def test_parameters_without_evidence_go_to_zero_and_do_not_diverge(scale):
    samples = np.random.default_rng(0).normal(size=(40, 3))
    target = scale * (np.sin(samples[:, :1]) * samples[:, 1:2] + 0.1 * np.random.default_rng(1).normal(size=(40, 1)))
    one = net(3, 4, 1)
    rule = fastnn.LevenbergMarquardt(regularisation="bayesian")
    history = one.fit(samples, target, epochs=200, optimizer=rule, rng=0)
    assert history.stopped in ("converged", "finished")
    assert np.isfinite(history.evidence).all()


def test_the_scale_of_tiny_columns_is_theirs():
    scale = fastnn.standardize([[0.0], [1e-170]], [0.0, 1.0])[1]
    assert np.isclose(scale, 5e-171, rtol=1e-12)


# ---------------------------------------------------------------- what would be guessed, cast or lost
MASKED = np.ma.array([1.0, 1e6], mask=[False, True])
REFUSED = {
    "masks in a list": (lambda: net().predict([MASKED, MASKED]), "masked"),
    "masked members": (
        lambda: fit_many(net().spec, X, y, members=np.ma.array([0, 1], mask=[0, 1]), epochs=1),
        "members",
    ),
    "masked features": (
        lambda: fit_many(net().spec, X, y, members=1, epochs=1, features=np.ma.array([[True, True]], mask=[[0, 1]])),
        "masked",
    ),
    "flags as rates": (
        lambda: fit_many(net().spec, X, y, members=2, epochs=1, optimizer=fastnn.SGD([True, False])),
        "learning_rate of SGD",
    ),
    "a flag as penalty": (lambda: fit_many(net().spec, X, y, members=2, epochs=1, l2=True), "l2"),
    "a flag among members": (lambda: fit_many(net().spec, X, y, members=[True, 2], epochs=1), "members"),
    "a flag among seeds": (lambda: fit_many(net().spec, X, y, members=2, seeds=[True, 2], epochs=1), "seeds"),
    "1 and True as one setting": (lambda: sweep(X, y, {"batch_size": [1, True]}, epochs=2), "batch_size"),
    "2 and 2.0 as one setting": (lambda: sweep(X, y, {"epochs": [2, 2.0]}), "epochs"),
    "sizes without order": (lambda: MLP({3, 16, 1}), "sizes"),
    "activations without order": (lambda: MLP((2, 3, 4, 1), activation={"tanh", "relu"}), "activation"),
    "no dtype": (lambda: MLP((2, 1), dtype="(2,"), "dtype"),
    "a class for a number": (lambda: net().fit(X, y, epochs=int), "epochs"),
    "a text as interval": (lambda: fastnn.Loss(abs_error, sign, targets="01"), "targets"),
    "a ragged sample": (lambda: net().jacobian([[1, 2], [1]], np.empty(1), np.empty((1, 2))), "x"),
    "ragged features": (lambda: fit_many(net().spec, X, y, members=2, epochs=1, features=[[True], []]), "features"),
    "no iterator": (lambda: net().fit(lambda: 5, epochs=1), "X must yield"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_nothing_is_guessed_cast_or_lost(case):
    call, named = REFUSED[case]
    with pytest.raises((TypeError, ValueError), match=named) as caught:
        call()
    assert "\n" not in str(caught.value)


class Foreign:
    """An array of another library, which does not want to become NumPy's."""

    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("can't convert")


def test_what_refuses_to_become_an_array_is_refused():
    with pytest.raises(TypeError, match=r"X must be an array of real numbers .* can't convert"):
        net().predict(Foreign())


# ---------------------------------------------------------------- functions of the user's
FACTOR = 1.0


def abs_error(o, y):
    return abs(o - y)


def sign(o, y):
    return 1.0 if o > y else -1.0


def scaled(o, y):
    return FACTOR * (o - y) ** 2


def scaled_slope(o, y):
    return 2 * FACTOR * (o - y)


def test_copies_of_a_loss_are_the_loss(monkeypatch):
    loss = fastnn.Loss(scaled, scaled_slope)
    packed = pickle.dumps(loss)
    monkeypatch.setitem(globals(), "FACTOR", 100.0)
    value = net().loss_and_grad(X, y, loss)[0]
    for other in (copy.copy(loss), copy.deepcopy(loss), pickle.loads(packed)):
        assert other.name == loss.name
        assert net().loss_and_grad(X, y, other)[0] == value
    assert fastnn.Loss(scaled, scaled_slope).name != loss.name


MODULE = """
import enum
import other_of_it

C = 1.0

class E(enum.IntEnum):
    A = {a}

def helper(z):
    return C * z
"""
PROGRAM = """
import sys
import numpy as np, fastnn, outside_of_it

def value(o, y):
    return outside_of_it.C * (o - y) ** 2 + 0 * outside_of_it.helper(o) * outside_of_it.other_of_it.C

def gradient(o, y):
    return 2 * outside_of_it.C * (o - y)

def times(z):
    return z * outside_of_it.E.A.value

def one(z):
    return 1.0 * outside_of_it.E.A.value

loss, activation = fastnn.Loss(value, gradient), fastnn.Activation(times, one)
outside_of_it.C = float(sys.argv[1])
net = fastnn.MLP((2, 4, 1), activation=activation, rng=0)
X = np.ones((3, 2))
for backend in ("numba", "numpy"):
    print(net.loss_and_grad(X, np.ones((3, 1)), loss, backend=backend)[0], net.predict(X, backend=backend)[0, 0])
"""


def test_modules_and_enumerations_are_taken_as_they_were(tmp_path):
    def run(c, a):
        (tmp_path / "outside_of_it.py").write_text(MODULE.format(a=a))
        (tmp_path / "other_of_it.py").write_text("import outside_of_it, other_of_it\nC = 1.0\n")
        # With -B, as bytecode of a module written in the same second would be taken for that of this one.
        command = [sys.executable, "-B", "-c", PROGRAM, str(c)]
        result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
        compiled, reference = (np.array(line.split(), float) for line in result.stdout.splitlines())
        assert np.allclose(compiled, reference, rtol=1e-12)
        return compiled

    first = run(100.0, 1)
    assert np.allclose(run(1.0, 1), first, rtol=1e-12)  # C is 1 where the loss is made, both times
    assert run(1.0, 3)[1] != first[1]


def test_a_checkpoint_knows_losses_of_one_name_apart(tmp_path):
    def loss(factor):
        return fastnn.Loss(lambda o, y: factor * (o - y) ** 2, lambda o, y: 2 * factor * (o - y), name="mine")

    for factor in (1.0, 1.0):
        fit_many(net().spec, X, y, members=2, epochs=1, rng=0, loss=loss(factor), checkpoint=tmp_path / "run")
    with pytest.raises(ValueError, match="another run"):
        fit_many(net().spec, X, y, members=2, epochs=1, rng=0, loss=loss(100.0), checkpoint=tmp_path / "run")
