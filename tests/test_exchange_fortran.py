"""Networks in Fortran: gfortran compiles them as they stand, and they check themselves."""

import shutil
import subprocess

import numpy as np
import pytest
from exchange_cases import DTYPES, EXPORTED, difference, difference_of_many, ensemble, extreme, net, samples

from fastnn import MLP
from fastnn.exchange import fortran

pytestmark = pytest.mark.skipif(shutil.which("gfortran") is None, reason="gfortran is not installed")

FLAGS = ("-std=f2018", "-Wall", "-Wextra", "-pedantic", "-Werror", "-O2", "-fcheck=all")

MAIN = """
program main
  use made, only: forward, wp, n_in, n_out
  implicit none
  real(wp) :: x(n_in), out(n_out)
  open (unit=10, file="x", access="stream", form="unformatted", status="old")
  open (unit=11, file="out", access="stream", form="unformatted", status="replace")
  do
    read (10, end=1) x
    call forward(x, out)
    write (11) out
  end do
  1 close (11)
end program main
"""


def run(folder, *flags):
    done = subprocess.run(["gfortran", *FLAGS, *flags, "-o", "run"], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return subprocess.run(["./run"], cwd=folder, capture_output=True, text=True)


def self_test(folder, *flags):
    (folder / "check.f90").write_text("use made; call self_test; end\n")
    return run(folder, *flags, "made.f90", "check.f90")


def outputs_of(made, X, folder, main=MAIN):
    made.to_fortran(folder / "made.f90")
    (folder / "main.f90").write_text(main)
    (folder / "x").write_bytes(X.tobytes())
    done = run(folder, "made.f90", "main.f90")
    assert done.returncode == 0, done.stderr
    return np.frombuffer((folder / "out").read_bytes(), made.spec.dtype).reshape(len(X), -1).astype(np.float64)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_weight_of_minus_zero(dtype, tmp_path):
    made = MLP((2, 1), dtype=dtype)
    made.params[:] = [-0.0, 3, 0.5]
    assert outputs_of(made, np.ones((1, 2), dtype), tmp_path).tolist() == [[3.5]]


@pytest.mark.parametrize("dtype", [pytest.param("float32", marks=pytest.mark.slow), "float64"])
@pytest.mark.parametrize("name", EXPORTED)
def test_every_activation(name, dtype, tmp_path):
    made = net(name, dtype, bias=dtype == "float64")
    X = samples(made)
    assert difference(made, X, outputs_of(made, X, tmp_path)) < 4


@pytest.mark.parametrize(("name", "dtype", "bias"), [("tanh", "float32", True), ("softmax", "float64", False)])
def test_an_ensemble(name, dtype, bias, tmp_path):
    many = ensemble(name, dtype, bias)
    main = MAIN.replace("out(n_out)", "out(2 * n_out)").replace("(x, out)", "(x, out(:n_out), out(n_out + 1:))")
    X = samples(many)
    mean, spread = np.hsplit(outputs_of(many, X, tmp_path, main), 2)
    assert difference_of_many(many, X, mean, spread) < 4
    assert self_test(tmp_path).returncode == 0


def test_wide_layers_whose_weights_take_several_statements(tmp_path):
    made = net("tanh", sizes=(33, 65, 65, 1))
    X = samples(made)
    assert difference(made, X, outputs_of(made, X, tmp_path)) < 4


@pytest.mark.slow
def test_no_statement_of_a_million_weights_has_more_lines_than_the_standard_allows():
    length = longest = 0
    for line in "\n".join(fortran._table("W100", np.zeros((1106, 1000), np.float32))).splitlines():
        length = length + 1 if line.endswith("&") else 0
        longest = max(longest, length)
        assert len(line) <= 132
    assert 200 < longest <= 255


@pytest.mark.parametrize(
    "made",
    [
        pytest.param(ensemble("tanh", "float32", sizes=(33, 33, 1), members=61), marks=pytest.mark.slow, id="weights"),
        pytest.param(net("tanh", "float32", sizes=(14000, 1)), id="inputs of the self-test"),
    ],
)
def test_the_file_says_how_a_table_larger_than_gfortran_takes_is_compiled(made, tmp_path):
    made.to_fortran(tmp_path / "made.f90")
    command = next(line for line in (tmp_path / "made.f90").read_text().splitlines() if "gfortran" in line)
    option = next(word for word in command.split() if word.startswith("-fmax"))
    assert self_test(tmp_path, option).returncode == 0


def test_the_command_in_the_file_checks_it(tmp_path):
    net("tanh").to_fortran(tmp_path / "made.f90")
    lines = (tmp_path / "made.f90").read_text().splitlines()
    assert not any(line.startswith("#") for line in lines)
    first = next(i for i, line in enumerate(lines) if "To check it:" in line)
    command = " && ".join([lines[first].split(":", 1)[1], lines[first + 1].lstrip("! ")])
    done = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout == "made: 0 of 10 outputs are wrong\n", done.stderr


@pytest.mark.parametrize("dtype", DTYPES)
def test_self_test(dtype, tmp_path):
    made = net("gelu_tanh", dtype)
    made.to_fortran(tmp_path / "made.f90")
    assert self_test(tmp_path).returncode == 0
    other = made.copy()
    other.weights[0][0, 0] *= 1 + 1e-3
    text = (tmp_path / "made.f90").read_text()
    bits = (
        made.weights[0].view(f"i{made.params.itemsize}")[0, 0],
        other.weights[0].view(f"i{made.params.itemsize}")[0, 0],
    )
    assert str(bits[0]) in text
    (tmp_path / "made.f90").write_text(text.replace(str(bits[0]), str(bits[1])))
    assert self_test(tmp_path).returncode != 0


def test_parameters_that_are_not_finite(tmp_path):
    made = MLP((1, 4), bias=False)
    made.weights[0][:] = [[np.nan, np.inf, -np.inf, -0.0]]
    np.testing.assert_array_equal(outputs_of(made, np.ones((1, 1)), tmp_path), [[np.nan, np.inf, -np.inf, 0]])
    assert self_test(tmp_path).returncode == 0


@pytest.mark.parametrize("output", ["sigmoid", "exp", "identity", "softplus"])
def test_self_test_of_outputs_at_the_ends_of_float32(output, tmp_path):
    extreme(output).to_fortran(tmp_path / "made.f90")
    done = self_test(tmp_path)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", [name for name in EXPORTED if name not in ("identity", "softmax")])
def test_infinite_and_missing_inputs(name, tmp_path):
    made = MLP((1, 1), output_activation=name, bias=False)
    made.params[:] = 1
    X = np.array([[np.nan], [np.inf], [-np.inf], [0]])
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(outputs_of(made, X, tmp_path), made.predict(X), rtol=1e-15)


def test_a_name_that_fortran_cannot_use_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"ends in \.f90; got"):
        net("tanh").to_fortran(tmp_path / "my-net.f90")


@pytest.mark.parametrize(
    "name",
    [
        *("forward", "Self_Test", "wp", "n_in", "w0", "b1_0", "selu_of", "expm1", "same"),
        *("tanh", "matmul", "merge", "real", "int64", "real64", "iso_fortran_env", "ieee_arithmetic"),
    ],
)
def test_a_name_that_the_module_uses_is_refused(name, tmp_path):
    with pytest.raises(ValueError, match=f"path must be a name that the module does not use within; got '{name}'"):
        net("selu").to_fortran(tmp_path / f"{name}.f90")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "name",
    [
        *("n_out2", "gelu", "sin", "a_network_from_elsewhere", "x", "h", "out", "z", "i", "a", "inputs", "got"),
        *("do", "end", "call", "use", "module", "print", "int32", "ieee_is_nan", "forward_of"),
    ],
)
def test_other_names_are_those_of_modules(name, tmp_path):
    net("selu").to_fortran(tmp_path / f"{name}.f90")
    assert f"\nmodule {name}\n" in (tmp_path / f"{name}.f90").read_text()
    (tmp_path / "check.f90").write_text(f"use {name}; call self_test; end\n")
    done = run(tmp_path, f"{name}.f90", "check.f90")
    assert done.stdout == f"{name}: 0 of 10 outputs are wrong\n"
