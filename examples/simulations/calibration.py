"""
Calibration by Gauss-Newton
===========================

Thousands of measurements are calibrated by Gauss-Newton, with the Jacobian of a network.

A simulator computes the swing of a damped oscillator from three parameters. A network learns it; from a noisy
measurement the parameters are found again by least squares, whose derivatives ``net.jacobian`` gives, inside compiled
code.

.. code-block:: sh

    python examples/simulations/calibration.py [--figure calibration.png]

.. figure:: /calibration.png
   :alt: Each parameter found, over the true one
"""

# sphinx_gallery_thumbnail_path = "calibration.png"

import argparse
from time import perf_counter

import numpy as np
from numba import njit

import fastnn

NAMES = "amplitude", "damping", "frequency"
LOW, HIGH = np.array([0.5, 0.1, 1.0]), np.array([1.5, 0.6, 2.0])
TIMES = np.linspace(0.2, 4, 12)
NOISE = 0.01


def simulate(theta):
    """The swing at `TIMES` for rows of parameters."""
    amplitude, damping, frequency = theta.T[:, :, np.newaxis]
    return amplitude * np.exp(-damping * TIMES) * np.cos(frequency * TIMES)


@njit(cache=True)
def solve(A, b):
    """``A x = b`` into `b`, by Cholesky's method; A is overwritten."""
    n = len(b)
    for j in range(n):
        for k in range(j):
            A[j:, j] -= A[j:, k] * A[j, k]
        A[j:, j] /= np.sqrt(A[j, j])
        b[j] = (b[j] - A[j, :j] @ b[:j]) / A[j, j]
    for j in range(n - 1, -1, -1):
        b[j] = (b[j] - A[j + 1 :, j].copy() @ b[j + 1 :]) / A[j, j]


@njit(cache=True)
def calibrate(net, measured, theta, iterations):
    """Minimise ``|net(theta) - measured|^2`` for every row, from where `theta` stands."""
    n_params, n_times = theta.shape[1], measured.shape[1]
    out, jac = np.empty(n_times), np.empty((n_times, n_params))
    for r in range(len(measured)):
        for _ in range(iterations):
            net.jacobian(theta[r], out, jac)
            normal = jac.T @ jac
            for i in range(n_params):
                normal[i, i] *= 1 + 1e-6
            step = jac.T @ (measured[r] - out)
            solve(normal, step)
            theta[r] += step


def learn(samples, epochs):
    """A network that does what the simulator does."""
    theta = np.random.default_rng(0).uniform(LOW, HIGH, size=(samples, 3))
    swings = simulate(theta)
    scales = x_mean, x_scale, y_mean, y_scale = fastnn.standardize(theta, swings)
    net = fastnn.MLP((3, 24, 24, len(TIMES)), rng=0)
    rate = fastnn.schedules.Cosine(5e-3, epochs)
    net.fit(
        (theta - x_mean) / x_scale, (swings - y_mean) / y_scale,
        optimizer=fastnn.Adam(rate), epochs=epochs, batch_size=64, rng=0, progress=False,
    )  # fmt: skip
    return net.with_scaling(*scales)


def run(samples=4000, epochs=200, measurements=2000):
    """Learn the simulator and calibrate measurements of known parameters; what the figure shows."""
    net = learn(samples, epochs)
    rng = np.random.default_rng(1)
    inner = 0.1 * (HIGH - LOW)  # away from the borders of what was learned
    true = rng.uniform(LOW + inner, HIGH - inner, size=(measurements, 3))
    measured = simulate(true) + NOISE * rng.normal(size=(measurements, len(TIMES)))
    for _ in range(2):  # the first compiles
        found = np.tile((LOW + HIGH) / 2, (measurements, 1))
        clock = perf_counter()
        calibrate(net, measured, found, 8)
        seconds = perf_counter() - clock
    return {"net": net, "true": true, "found": found, "seconds": seconds}


def draw(result):
    """The parameters found against the true ones."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 3.6), layout="constrained")
    for i, (ax, name) in enumerate(zip(figure.subplots(1, 3), NAMES, strict=True)):
        true, found = result["true"][:, i], result["found"][:, i]
        ax.plot(true, found, ".", color="C0", markersize=2, alpha=0.5)
        ax.plot([LOW[i], HIGH[i]], [LOW[i], HIGH[i]], "--", color="0.3", linewidth=1)
        ax.set(xlabel=f"true {name}", ylabel=f"{name} found", aspect="equal")
        ax.set_title(f"root mean square error {np.sqrt(np.mean((true - found) ** 2)):.2g}", fontsize="medium")
    return figure


def main():
    """Run the example."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--figure", default="calibration.png")
    path = parser.parse_args().figure
    result = run()
    count = len(result["true"])
    for i, name in enumerate(NAMES):
        print(f"{name}: root mean square error {np.sqrt(np.mean((result['true'] - result['found'])[:, i] ** 2)):.2g}")
    print(f"{count} calibrations of 8 iterations, {result['seconds'] / count * 1e6:.3g} us each")
    draw(result).savefig(path, dpi=150)
    print(f"figure: {path}")


if __name__ == "__main__":
    main()
