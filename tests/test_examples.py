"""The worked simulations in `examples/`, each in a short form, with its figure."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


def load(name):
    """An example as a module."""
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def drawn(module, result, path):
    """Whether the figure is a picture of some size."""
    pytest.importorskip("matplotlib")
    module.draw(result).savefig(path)
    return path.stat().st_size > 10_000


def test_every_example_is_tested():
    assert {path.stem for path in EXAMPLES.glob("*.py")} == {"cartpole", "surrogate", "calibration"}


def test_cartpole(tmp_path):
    cartpole = load("cartpole")
    result = cartpole.run(generations=25)
    assert result["before"] < 100
    assert result["after"] > 5 * result["before"]
    assert result["history"][-1, 0] > 3 * result["history"][0, 0]
    assert drawn(cartpole, result, tmp_path / "cartpole.png")


def test_surrogate(tmp_path):
    surrogate = load("surrogate")
    result = surrogate.run(samples=2000, epochs=100, steps=200)
    assert result["error"].max() < 0.06
    exact, network = result["seconds"].values()
    assert exact > 10 * network
    assert drawn(surrogate, result, tmp_path / "surrogate.png")


def test_calibration(tmp_path):
    calibration = load("calibration")
    result = calibration.run(samples=2000, epochs=60, measurements=50)
    errors = np.sqrt(np.mean((result["true"] - result["found"]) ** 2, axis=0))
    assert (errors < 0.05 * (calibration.HIGH - calibration.LOW)).all()
    assert drawn(calibration, result, tmp_path / "calibration.png")
