"""Under ``NUMBA_DISABLE_JIT=1`` all that is public runs by plain loops or NumPy, or refuses in one sentence."""

import os
import subprocess
import sys
import warnings

import numpy as np
import pytest

import fastnn
from fastnn import MLP
from fastnn.apps.cli import main

RNG = np.random.default_rng(0)
X, Y, X1, T = RNG.normal(size=(12, 3)), RNG.normal(size=(12, 1)), RNG.normal(size=3), RNG.normal(size=3)
ONE, LABELS = np.ones(1), (X[:, 0] > 0).astype(int)


def differences(function, x, step=1e-5):
    """Central differences, a row for each number of `x`."""
    return np.array([(function(x + step * e) - function(x - step * e)) / (2 * step) for e in np.eye(len(x))])


def filled(method, *shapes):
    """What a method writes to arrays that it gets last."""
    arrays = [np.zeros(shape) for shape in shapes]
    method(*arrays)
    return arrays if len(shapes) > 1 else arrays[0]


def one_sample():
    net = MLP((3, 4, 1), rng=0)
    n = net.params.size

    def with_params(params):
        return filled(lambda out: net.forward_with(params, X1, out), 1)

    def gradient(x):
        return filled(lambda out: net.vjp(x, ONE, out), 3)

    def close(found, expected):
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)

    J = differences(net, X1).T
    close(filled(lambda out: net.forward(X1, out), 1), net.predict(X1[None], backend="numpy")[0])
    close(filled(lambda out, jac: net.jacobian(X1, out, jac), 1, (1, 3))[1], J)
    close(filled(lambda out, jac: net.jacobian(X, out, jac), (12, 1), (12, 1, 3))[1][4], differences(net, X[4]).T)
    close(gradient(X1), J[0])
    close(filled(lambda out: net.jvp(X1, T, out), 1), J @ T)
    H = differences(gradient, X1)
    close(filled(lambda h: net.hessian(X1, h), (3, 3)), H)
    close(filled(lambda out: net.hvp(X1, ONE, T, out), 3), H @ T)
    out, slope, curvature = filled(lambda *terms: net.taylor(X1, T, *terms), 1, 1, 1)
    close((*out, *slope, *curvature), (*net(X1), *J @ T, T @ H @ T))
    by_params = differences(with_params, net.params)[:, 0]
    close(filled(lambda grad: net.vjp_params(X1, ONE, grad), n), by_params)
    close(filled(lambda grad: net.vjp(X1, ONE, np.empty(3), grad=grad), n), by_params)
    close(filled(lambda grad: net.taylor_vjp_params(X1, T, ONE, 0 * ONE, None, grad), n), by_params)
    assert net.workspace().size == 0
    assert net.numba_type == MLP((3, 4, 1)).numba_type


def calls_as_in_compiled_code():
    """What is decorated runs as Python does: calls that are documented for compiled code must pass."""
    net, out, n = MLP((3, 4, 1), rng=0), np.empty(1), 21
    work, each = net.workspace(), np.array([net(x) for x in X])
    np.testing.assert_allclose(filled(lambda out: net.forward(X, out), (12, 1)), each, rtol=1e-13)
    np.testing.assert_allclose(net(X), each, rtol=1e-13)
    assert net(X[:0]).shape == (0, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        many = fastnn.Ensemble(net.spec, net.params[None])
        many.forward(X1, out[None], work)
    for workspace in (None, work):
        net.forward(X1, out, workspace)
        net.forward_with(net.params, X1, out, workspace)
        net.jacobian(X1, out, np.empty((1, 3)), workspace)
        net.vjp(X1, ONE, np.empty(3), workspace, np.zeros(n))
        net.jvp(X1, T, out, workspace)
        net.hessian(X1, np.empty((3, 3)), workspace, ONE)
        net.hvp(X1, ONE, T, np.empty(3), workspace)
        net.taylor(X1, T, out, out.copy(), None, workspace)
        net.vjp_params(X1, ONE, np.zeros(n), workspace)
        net.taylor_vjp_params(X1, T, ONE, ONE, None, np.zeros(n), workspace)


def arrays_whose_numbers_lie_apart():
    """As columns of a table do, and the fields of a record."""

    def same(found, expected):
        np.testing.assert_allclose(found, expected, rtol=1e-13)

    net, spec = MLP((3, 4, 3), rng=0), MLP((3, 4, 3)).spec
    table, each = np.zeros((3, 6)), np.array([net(x) for x in X])
    x, v, *written = table.T
    x[:], v[:] = X1, T
    net.vjp(x, v, written[0])
    same(written[0], filled(lambda out: net.vjp(X1, T, out), 3))
    net.taylor(x, v, *written[1:])
    same(written[1:], filled(lambda *terms: net.taylor(X1, T, *terms), 3, 3, 3))
    net.forward(x, x)
    same(x, net(X1))
    records = np.zeros(12, [("x", float, 3), ("out", float, 3), ("jac", float, (3, 3))])
    records["x"] = X
    net.forward(records["x"], records["out"])
    same(records["out"], each)
    net.jacobian(records["x"], records["out"], records["jac"])
    same(records["jac"][4], filled(lambda out, jac: net.jacobian(X[4], out, jac), 3, (3, 3))[1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fastnn.Ensemble(spec, net.params[None]).forward(X1, table.T[2:3])
    same(written[0], x)
    with pytest.raises(ValueError, match=r"slope must be an array of its own; got one that shares the memory of out"):
        net.taylor(X1, T, v, v[::-1])
    with pytest.raises(ValueError, match="grad must be C-contiguous"):
        net.vjp_params(X1, T, np.zeros((net.params.size, 2))[:, 0])


def training():
    net, again = MLP((3, 4, 1), rng=0), MLP((3, 4, 1), rng=0)
    net.fit(X, Y, epochs=3, rng=0)
    again.fit(X, Y, epochs=3, rng=0, backend="numpy")
    np.testing.assert_allclose(net.params, again.params, rtol=1e-13)
    for optimizer in (fastnn.LBFGS(), fastnn.LevenbergMarquardt()):
        net.fit(X, Y, loss="sse", epochs=2, optimizer=optimizer)
    net.fit(lambda: [(X, Y)], epochs=2)
    net.loss_and_grad(X, Y)


def many():
    ensemble = fastnn.fit_many(MLP((3, 4, 1)).spec, X, Y, members=2, epochs=3, rng=0, batch_size=5, specialize=True)
    np.testing.assert_allclose(
        filled(lambda out: ensemble.forward(X1, out), (2, 1)), [member(X1) for member in ensemble], rtol=1e-13
    )
    assert ensemble.mean(X).shape == (12, 1)
    assert ensemble.numba_type == ensemble[:1].numba_type
    assert len(fastnn.sweep(X, Y, {"hidden": [(4,)]}, epochs=2, folds=2).records) == 2
    fastnn.intervals(ensemble[0], X, Y)


def precision_of_own_functions():
    cancels = fastnn.Activation(lambda z: (1 + z * z) - 1, lambda z: 2 * z, name="cancels")
    net = MLP((1, 1), output_activation=cancels, bias=False, dtype="float32")
    net.params[:] = 1
    z = (0.01 * Y).astype(np.float32)
    np.testing.assert_allclose(net.predict(z), z.astype(float) ** 2, rtol=1e-6)


def overflow():
    """Where a compiled function is infinite or NaN, Python's raises."""
    for activation, limit in (("exp", np.inf), ("sin", np.nan)):
        net = MLP((3, 1), output_activation=activation, rng=0)
        net.biases[0][:] = np.inf
        np.testing.assert_array_equal(net.predict(X), np.full((12, 1), limit))
    for loss in ("poisson", "mse"):
        net = MLP((3, 1), output_activation="exp", rng=0)
        with pytest.warns(RuntimeWarning, match="training diverged"):
            net.fit(X, Y**2, loss=loss, epochs=9, optimizer=fastnn.SGD(1e200))
    noise = MLP((3, 2), rng=0)
    noise.biases[0][1] = 1000
    assert noise.loss_and_grad(X, Y, loss="gaussian_nll")[0] == np.inf


def estimators():
    from sklearn import neural_network

    from fastnn import sklearn

    targets = np.column_stack([Y, X[:, 1], 2 * Y])  # with a penalty, a loss counted otherwise leads elsewhere
    for solver in ("sgd", "lbfgs"):
        settings = {"hidden_layer_sizes": 4, "solver": solver, "max_iter": 3, "alpha": 1.0, "random_state": 0}
        ours, theirs = (module.MLPRegressor(**settings).fit(X, targets) for module in (sklearn, neural_network))
        np.testing.assert_allclose(ours.loss_, theirs.loss_, rtol=1e-10)
        np.testing.assert_allclose(ours.coefs_[0], theirs.coefs_[0], rtol=1e-9)
    for solver in ("adam", "lbfgs"):
        sklearn.MLPRegressor(hidden_layer_sizes=4, solver=solver, max_iter=2).fit(X, Y[:, 0]).predict(X)
        sklearn.MLPClassifier(hidden_layer_sizes=4, solver=solver, max_iter=2).fit(X, LABELS).predict_proba(X)
    sklearn.MLPEnsembleClassifier(n_estimators=2, hidden_layer_sizes=4, max_iter=2).fit(X, LABELS).predict(X)
    sklearn.MLPEnsembleRegressor(n_estimators=2, hidden_layer_sizes=4, max_iter=2).fit(X, Y[:, 0]).predict(X)


def refusals():
    net = MLP((3, 4, 1), rng=0)
    for name, call in {
        "net.cfunc": net.cfunc,
        "net.train_step": lambda: net.train_step(X, Y, None),
        "fastnn.TrainState": lambda: fastnn.TrainState(net.spec),
        "fastnn.warmup": fastnn.warmup,
    }.items():
        with pytest.raises(RuntimeError, match=f"^{name} needs Numba's compiler, which NUMBA_DISABLE_JIT turns off$"):
            call()
    assert main(["warmup"]) == 1


def one_warning():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for part in (training, many):
            part()
    assert {str(warning.message)[:17] for warning in caught} == {"NUMBA_DISABLE_JIT"}, [w.message for w in caught]


@pytest.mark.parametrize(
    "part",
    [
        one_warning,
        calls_as_in_compiled_code,
        arrays_whose_numbers_lie_apart,
        precision_of_own_functions,
        overflow,
        *(pytest.param(part, marks=pytest.mark.slow) for part in (one_sample, estimators)),
        refusals,
    ],
    ids=lambda part: part.__name__,
)
def test_without_the_compiler(part):
    program = f"import test_without_compiler as tests; tests.{part.__name__}()"
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, timeout=240, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
