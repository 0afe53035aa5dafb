"""
A published network in a loop of one's own
==========================================

The lift of an airfoil in gusts, and its slope, from a network that someone else trained and published.

NeuralFoil (Peter Sharpe, MIT licence, ``pip install neuralfoil``) predicts an airfoil's lift and drag by a network that
learned from XFoil. Its weights are read here from the installed package and run inside ``@njit``, where a simulation
needs them one at a time, and where the Jacobian gives the slope of the lift exactly.

.. code-block:: sh

    python examples/simulations/airfoil.py
"""

from __future__ import annotations

import math
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numba import njit

import fastnn

STEPS = 2000
REYNOLDS = 1e6
DEGREE = math.pi / 180

#: A cambered airfoil of 12% thickness, in the parameters that the network takes.
UPPER = np.array([0.19, 0.20, 0.18, 0.22, 0.19, 0.20, 0.20, 0.21])
LOWER = np.array([-0.15, -0.09, -0.10, -0.06, -0.08, -0.06, -0.06, -0.06])


def load(size: str = "medium") -> fastnn.MLP:
    """NeuralFoil's network, of its outputs lift and drag alone: the second and third of 198."""
    package = find_spec("neuralfoil")
    if package is None:
        raise SystemExit("this example reads NeuralFoil's weights: pip install neuralfoil")
    arrays = np.load(Path(package.submodule_search_locations[0]) / "nn_weights_and_biases" / f"nn-{size}.npz")
    layers = sorted({int(key.split(".")[1]) for key in arrays})
    weights = [arrays[f"net.{i}.weight"] for i in layers]
    biases = [arrays[f"net.{i}.bias"] for i in layers]
    weights[-1], biases[-1] = weights[-1][1:3], biases[-1][1:3]
    activations = ["silu"] * (len(layers) - 1) + ["identity"]
    return fastnn.from_arrays(weights, biases, activations, layout="out_in", dtype="float64")


@njit(cache=True)
def set_angle(alpha, x, dx):
    """The three inputs that tell the angle of attack, and their derivatives by degree."""
    x[18], dx[18] = math.sin(2 * alpha * DEGREE), 2 * math.cos(2 * alpha * DEGREE) * DEGREE
    x[19], dx[19] = math.cos(alpha * DEGREE), -math.sin(alpha * DEGREE) * DEGREE
    x[20], dx[20] = 1 - x[19] ** 2, -2 * x[19] * dx[19]


@njit(cache=True)
def flip(x, flipped):
    """The airfoil upside down, at the opposite angle: NeuralFoil averages both."""
    flipped[:] = x
    flipped[:8], flipped[8:16] = -x[8:16], -x[:8]
    flipped[16], flipped[18] = -x[16], -x[18]
    flipped[23], flipped[24] = x[24], x[23]


@njit(cache=True)
def fly(net, x, alphas, lift, slope, drag):
    """Lift, its derivative by the angle in degrees, and drag, one angle after another."""
    dx, flipped = np.zeros_like(x), np.empty_like(x)
    out, mirror, jac, mirror_jac = np.empty(2), np.empty(2), np.empty((2, 25)), np.empty((2, 25))
    for step in range(len(alphas)):
        set_angle(alphas[step], x, dx)
        flip(x, flipped)
        net.jacobian(x, out, jac)
        net.jacobian(flipped, mirror, mirror_jac)
        lift[step] = (out[0] - mirror[0]) / 4
        drag[step] = math.exp(out[1] + mirror[1] - 4)
        slope[step] = 0.0
        for i in range(18, 21):  # of the flipped angle's inputs the sine alone has the other sign
            sign = -1.0 if i == 18 else 1.0
            slope[step] += (jac[0, i] - sign * mirror_jac[0, i]) * dx[i] / 4


def gusts(steps: int) -> np.ndarray:
    """Angles of attack, in degrees."""
    t = np.linspace(0, 20, steps)
    return 3 + 4 * np.sin(t) + 2 * np.sin(3.7 * t)


def inputs() -> np.ndarray:
    """NeuralFoil's 25 inputs, but for the angle."""
    x = np.zeros(25)
    x[:8], x[8:16] = UPPER, LOWER
    x[21] = (math.log(REYNOLDS) - 12.5) / 3.5
    x[23:] = 1.0  # transition wherever it comes
    return x


def theirs(alphas: np.ndarray | float) -> tuple[np.ndarray, np.ndarray]:
    """Lift and drag as NeuralFoil's own function gives them."""
    import neuralfoil

    airfoil = {"upper_weights": UPPER, "lower_weights": LOWER, "leading_edge_weight": 0.0, "TE_thickness": 0.0}
    result = neuralfoil.get_aero_from_kulfan_parameters(airfoil, alphas, REYNOLDS, model_size="medium")
    return result["CL"], result["CD"]


def run(steps: int = STEPS) -> dict[str, object]:
    """Both ways through the same gusts, and their times a step."""
    net, x, alphas = load(), inputs(), gusts(steps)
    lift, slope, drag = np.empty((3, steps))
    fly(net, x, alphas[:1], lift, slope, drag)  # compiles
    start = time.perf_counter()
    fly(net, x, alphas, lift, slope, drag)
    ours = (time.perf_counter() - start) / steps

    their_lift, their_drag = theirs(alphas)
    step = 1e-4
    their_slope = (theirs(alphas + step)[0] - theirs(alphas - step)[0]) / (2 * step)
    few = alphas[: min(steps, 50)]
    start = time.perf_counter()
    for alpha in few:  # as a simulation has to, whose next angle depends on this lift
        theirs(alpha)
        theirs(alpha + step)
    return {
        "lift": np.array([lift, their_lift]),
        "drag": np.array([drag, their_drag]),
        "slope": np.array([slope, their_slope]),
        "seconds": {"fastnn": ours, "NeuralFoil": (time.perf_counter() - start) / len(few)},
    }


def main() -> None:
    """Compare, and print what came out."""
    result = run()
    for name in ("lift", "drag", "slope"):
        ours, exact = result[name]
        print(
            f"largest difference of the {name}: {abs(ours - exact).max():.2g}, of values up to {abs(exact).max():.3g}"
        )
    ours, original = result["seconds"].values()
    print(f"lift, drag and slope: {ours * 1e6:.3g} us a step; NeuralFoil, called twice, {original * 1e6:.4g} us")
    print(f"{original / ours:.0f} times faster")


if __name__ == "__main__":
    main()
