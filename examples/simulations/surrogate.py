"""
A surrogate in the time loop of an orbit
========================================

A network stands in for an expensive force in the time loop of an orbit.

The force on a body is a sum over thousands of masses. A network learns it from samples, in standardised units; the
scaling is folded into its layers, and the same compiled integrator runs with either force.

.. code-block:: sh

    python examples/simulations/surrogate.py [--figure surrogate.png]

.. figure:: /surrogate.png
   :alt: The orbit with the force and with the network, their distance, and the time of a step of each
"""

# sphinx_gallery_thumbnail_path = "surrogate.png"

import argparse
from time import perf_counter

import numpy as np
from numba import njit

import fastnn

SOFTENING = 0.4
DT, STEPS = 0.01, 1000


def masses(count=2000, seed=0):
    """Places of equal masses that sum to one: three clusters."""
    rng = np.random.default_rng(seed)
    centres = np.array([[0.5, 0.0], [-0.3, 0.4], [-0.2, -0.4]])
    return centres[rng.integers(3, size=count)] + 0.15 * rng.normal(size=(count, 2))


@njit(cache=True)
def force(places, x, a):
    """The acceleration `a` at `x`: every mass attracts by its softened inverse square."""
    a[:] = 0
    for i in range(len(places)):
        dx, dy = places[i, 0] - x[0], places[i, 1] - x[1]
        r2 = dx * dx + dy * dy + SOFTENING * SOFTENING
        weight = 1 / (len(places) * r2 * np.sqrt(r2))
        a[0] += weight * dx
        a[1] += weight * dy


@njit(cache=True)
def forces(places, X, A):
    """`force` at many places."""
    for i in range(len(X)):
        force(places, X[i], A[i])


@njit(cache=True)
def rk4(acceleration, model, state, track):
    """Integrate ``x'' = a(x)`` by the classical Runge-Kutta method, writing down every place."""
    k, y = np.empty((4, 4)), np.empty(4)
    for i in range(len(track)):
        track[i] = state[:2]
        for s in range(4):
            y[:] = state if s == 0 else state + DT * (1.0 if s == 3 else 0.5) * k[s - 1]
            k[s, :2] = y[2:]
            acceleration(model, y[:2], k[s, 2:])
        state += DT / 6 * (k[0] + 2 * k[1] + 2 * k[2] + k[3])


@njit(cache=True)
def surrogate(net, x, a):
    """The network's acceleration."""
    net.forward(x, a)


def learn(places, samples, epochs):
    """A network that gives the force at a place."""
    rng = np.random.default_rng(1)
    X = rng.uniform(-1.6, 1.6, size=(samples, 2))
    A = np.empty_like(X)
    forces(places, X, A)
    scales = x_mean, x_scale, y_mean, y_scale = fastnn.standardize(X, A)
    net = fastnn.MLP((2, 32, 32, 2), rng=0)
    rate = fastnn.schedules.Cosine(5e-3, epochs)
    net.fit(
        (X - x_mean) / x_scale, (A - y_mean) / y_scale,
        optimizer=fastnn.Adam(rate), epochs=epochs, batch_size=64, rng=0, progress=False,
    )  # fmt: skip
    return net.with_scaling(*scales)


def run(samples=10000, epochs=400, steps=STEPS):
    """Train the surrogate and integrate with either force; what the figure shows."""
    places = masses()
    net = learn(places, samples, epochs)
    tracks, seconds = {}, {}
    for name, acceleration, model in (("sum over the masses", force, places), ("network", surrogate, net)):
        times = []
        for _ in range(6):
            track, state = np.empty((steps, 2)), np.array([1.2, 0.0, 0.0, 0.7])
            clock = perf_counter()
            rk4(acceleration, model, state, track)
            times.append(perf_counter() - clock)
        seconds[name] = np.median(times[1:])  # the first compiles
        tracks[name] = track
    error = np.linalg.norm(tracks["network"] - tracks["sum over the masses"], axis=1)
    return {"places": places, "tracks": tracks, "seconds": seconds, "error": error}


def draw(result):
    """The orbits, their distance, and what a step costs."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 3.6), layout="constrained")
    orbit, distance, cost = figure.subplots(1, 3)
    (exact, true), (network, learned) = result["tracks"].items()
    orbit.plot(*result["places"].T, ",", color="0.6")
    orbit.plot(*true.T, color="0.2", label=exact)
    orbit.plot(*learned.T, "--", color="C1", label=network)
    orbit.set(xlabel="x", ylabel="y", title="Orbit through three clusters", aspect="equal")
    orbit.legend(loc="lower left", fontsize="small")
    distance.semilogy(DT * np.arange(1, len(result["error"])), result["error"][1:], color="C1")
    distance.set(xlabel="time", ylabel="distance of the two orbits", title="Error of the surrogate")
    per_step = {name: seconds / len(true) * 1e6 for name, seconds in result["seconds"].items()}
    bars = cost.barh(list(per_step), list(per_step.values()), color=["0.4", "C1"])
    cost.bar_label(bars, fmt="%.3g us", padding=3)
    cost.set(xlabel="time of a step, us", xscale="log", title="Cost")
    cost.margins(x=0.5)
    return figure


def main():
    """Run the example."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--figure", default="surrogate.png")
    path = parser.parse_args().figure
    result = run()
    exact, network = result["seconds"].values()
    print(f"largest error of the orbit: {result['error'].max():.2g}")
    print(f"{STEPS} steps: {exact * 1e3:.3g} ms with the sum, {network * 1e3:.3g} ms with the network")
    print(f"{exact / network:.0f} times faster")
    draw(result).savefig(path, dpi=150)
    print(f"figure: {path}")


if __name__ == "__main__":
    main()
