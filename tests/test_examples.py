"""The examples: first steps as they stand, the worked simulations each in a short form, with its figure."""

import importlib
import re
import runpy
from pathlib import Path

import numpy as np
import pytest

BASICS = Path(__file__).parents[1] / "examples" / "basics"
EXAMPLES = BASICS.parent / "simulations"


@pytest.fixture(autouse=True)
def examples(monkeypatch):
    """Examples can be imported by their names, as Numba's cache wants it."""
    monkeypatch.syspath_prepend(EXAMPLES)


def drawn(module, result, path):
    """Whether the figure is a picture of some size."""
    pytest.importorskip("matplotlib")
    module.draw(result).savefig(path)
    return path.stat().st_size > 10_000


def test_every_example_is_tested():
    assert {path.stem for path in EXAMPLES.glob("*.py")} == {
        "airfoil",
        "boundary_layer",
        "calibration",
        "cartpole",
        "neural_ode",
        "slopes",
        "surrogate",
    }


@pytest.mark.slow
def test_cartpole(tmp_path):
    cartpole = importlib.import_module("cartpole")
    result = cartpole.run(generations=25)
    assert result["before"] < 100
    assert result["after"] > 5 * result["before"]
    assert result["history"][-1, 0] > 3 * result["history"][0, 0]
    assert drawn(cartpole, result, tmp_path / "cartpole.png")


@pytest.mark.slow
def test_surrogate(tmp_path):
    surrogate = importlib.import_module("surrogate")
    result = surrogate.run(samples=2000, epochs=100, steps=200)
    assert result["error"].max() < 0.06
    exact, network = result["seconds"].values()
    assert exact > 10 * network
    assert drawn(surrogate, result, tmp_path / "surrogate.png")


@pytest.mark.slow
def test_calibration(tmp_path):
    calibration = importlib.import_module("calibration")
    result = calibration.run(samples=2000, epochs=60, measurements=50)
    errors = np.sqrt(np.mean((result["true"] - result["found"]) ** 2, axis=0))
    assert (errors < 0.05 * (calibration.HIGH - calibration.LOW)).all()
    assert drawn(calibration, result, tmp_path / "calibration.png")


@pytest.mark.slow
def test_airfoil():
    pytest.importorskip("neuralfoil")
    airfoil = importlib.import_module("airfoil")
    result = airfoil.run(steps=100)
    for name, tolerance in {"lift": 1e-12, "drag": 1e-12, "slope": 1e-6}.items():
        ours, theirs = result[name]
        np.testing.assert_allclose(ours, theirs, atol=tolerance)
    ours, theirs = result["seconds"].values()
    assert theirs > 10 * ours


@pytest.mark.slow
def test_neural_ode(tmp_path):
    neural_ode = importlib.import_module("neural_ode")
    result = neural_ode.run(steps=60, iterations=900)  # compares the gradient with JAX's where that is installed
    assert result["loss"][-1] < 0.01
    assert np.abs(result["exact"] - result["learned"])[:, 0].max() < 0.5
    assert drawn(neural_ode, result, tmp_path / "neural_ode.png")


@pytest.mark.slow
def test_boundary_layer(tmp_path):
    boundary_layer = importlib.import_module("boundary_layer")
    result = boundary_layer.run()
    assert np.abs(result["network"] - result["exact"]).max() < 0.02
    assert drawn(boundary_layer, result, tmp_path / "boundary_layer.png")


def test_slopes(tmp_path):
    slopes = importlib.import_module("slopes")
    result = slopes.run(counts=(20, 40), repeats=1, epochs=1000)
    values, both = result["errors"].values()
    assert both[1] < 0.7 * values[1]
    assert drawn(slopes, result, tmp_path / "slopes.png")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(path.stem, marks=[] if path.stem == "plot_1_tutorial" else pytest.mark.slow)
        for path in sorted(BASICS.glob("*.py"))
    ],
)
def test_first_steps(name, monkeypatch):
    pytest.importorskip("matplotlib").use("agg")
    pytest.importorskip("sklearn")
    from matplotlib import pyplot as plt

    shown = []
    monkeypatch.setattr(plt, "show", lambda: shown.extend(plt.get_fignums()))
    plt.close("all")
    runpy.run_path(str(BASICS / f"{name}.py"))
    assert shown == plt.get_fignums() != []
    plt.close("all")


def test_the_tutorials_table_holds_the_lines_that_are_run():
    text = (BASICS / "plot_1_tutorial.py").read_text(encoding="utf-8")
    table, code = text.split('"""', 2)[1:]
    lines = re.findall(r"^   [* ] - ``(.*?)``", table, flags=re.MULTILINE)
    assert len(lines) > 12
    for line in lines:
        assert f"{line}" in code, line
