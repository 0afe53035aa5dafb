"""Networks as Python source that needs NumPy alone."""

import subprocess
import sys

import numpy as np
import pytest
from exchange_cases import DTYPES, EXPORTED, difference, difference_of_many, ensemble, extreme, net, samples

from fastnn import MLP, Ensemble
from fastnn.exchange.self_test import self_test


def module_of(made, folder):
    (folder / "made.py").write_text(made.to_numpy_source())
    names = {}
    exec(compile((folder / "made.py").read_text(), "made.py", "exec"), names)
    return names


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", EXPORTED)
def test_every_activation(name, dtype, bias, tmp_path):
    made = net(name, dtype, bias)
    module, X = module_of(made, tmp_path), samples(made)
    for l, W in enumerate(made.weights):
        assert module[f"W{l}"].tobytes() == W.tobytes()
    outputs = module["predict"](X)
    assert outputs.dtype == dtype
    assert difference(made, X, outputs) < 4


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", EXPORTED)
def test_an_ensemble(name, dtype, bias, tmp_path):
    many = ensemble(name, dtype, bias)
    module, X = module_of(many, tmp_path), samples(many)
    assert module["W1"].tobytes() == many.spec.weights(many.params)[1].tobytes()
    mean, spread = module["predict"](X)
    assert mean.dtype == spread.dtype == dtype
    assert difference_of_many(many, X, mean, spread) < 4


@pytest.mark.parametrize("shape", [(3,), (5, 1, 3)])
def test_an_ensemble_takes_samples_of_two_dimensions_alone(shape, tmp_path):
    predict = module_of(ensemble("tanh", members=5), tmp_path)["predict"]
    with pytest.raises(ValueError, match=r"X must have shape \(n, 3\); got \(.*\)"):
        predict(np.ones(shape))


@pytest.mark.parametrize("made", [net("selu"), ensemble("selu")], ids=["network", "ensemble"])
def test_self_test(made, tmp_path):
    text = made.to_numpy_source()
    (tmp_path / "made.py").write_text(text)
    subprocess.run([sys.executable, "made.py"], cwd=tmp_path, check=True)
    (tmp_path / "made.py").write_text(text.replace(str(made.params.flat[0]), "0.0"))
    assert subprocess.run([sys.executable, "made.py"], cwd=tmp_path, capture_output=True).returncode == 1


@pytest.mark.parametrize("output", ["sigmoid", "exp", "identity", "softplus"])
def test_self_test_of_outputs_at_the_ends_of_float32(output, tmp_path):
    made = extreme(output)
    for written in (made, Ensemble(made.spec, np.array([made.params, made.params * np.float32(0.9)]))):
        (tmp_path / "made.py").write_text(written.to_numpy_source())
        subprocess.run([sys.executable, "-W", "ignore", "made.py"], cwd=tmp_path, check=True)


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "selu", "relu"])
def test_self_test_allows_the_rounding_behind_what_is_infinite(activation):
    made = net(activation)
    made.weights[0][:, 0] = 0
    made.biases[0][0] = -np.inf
    allowed = self_test(made.spec, made.params).allowed
    assert np.isfinite(allowed).all()
    assert (allowed > 0).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_numbers_are_written_exactly_however_numpy_prints_them(dtype, tmp_path):
    made = net("tanh", dtype)
    with np.printoptions(legacy="1.13", precision=3):
        module = module_of(made, tmp_path)
    assert module["W1"].tobytes() == made.weights[1].tobytes()
    assert f" {made.weights[1][0, 1]!s}," in (tmp_path / "made.py").read_text()  # the shortest that tell it from others


def test_a_number_whose_digits_are_another_one_as_a_float64_is_written_exactly(tmp_path):
    made = MLP((1, 2), dtype="float32")
    made.weights[0].view("u4")[:] = [[0x15AE43FD, 0x95AE43FD]]
    assert np.float32(float(str(made.weights[0][0, 0]))) != made.weights[0][0, 0]
    assert module_of(made, tmp_path)["W0"].tobytes() == made.weights[0].tobytes()


def test_parameters_that_are_not_finite(tmp_path):
    made = MLP((1, 3))
    made.weights[0][:] = [[np.nan, np.inf, -np.inf]]
    np.testing.assert_array_equal(module_of(made, tmp_path)["W0"], made.weights[0])
