"""
A pole on a cart
================

A small policy learns to balance a pole on a cart, by an evolution strategy.

Every generation tries many parameter vectors of one network. All their episodes are one call of a compiled function,
each thread at its own: ``net.forward_with`` evaluates the network with any vector of parameters.

.. code-block:: sh

    python examples/simulations/cartpole.py [--figure cartpole.png]

.. figure:: /cartpole.png
   :alt: Time until the pole falls, over the generations, and the pole's angle before and after
"""

# sphinx_gallery_thumbnail_path = "cartpole.png"

import argparse
from time import perf_counter

import numpy as np
from numba import njit, prange

import fastnn

STEPS, DT = 1000, 0.02
SIGMA, RATE = 0.2, 0.2  # of the search: spread, and how far a generation moves


@njit(cache=True)
def push(state, force):
    """Move cart and pole on by `DT` (Barto, Sutton and Anderson 1983)."""
    _, v, angle, omega = state
    sine, cosine = np.sin(angle), np.cos(angle)
    thrust = (force + 0.05 * omega * omega * sine) / 1.1
    turn = (9.8 * sine - cosine * thrust) / (0.5 * (4 / 3 - 0.1 * cosine * cosine / 1.1))
    state[0] += DT * v
    state[1] += DT * (thrust - 0.05 * turn * cosine / 1.1)
    state[2] += DT * omega
    state[3] += DT * turn


@njit(cache=True)
def episode(net, params, start, angles):
    """Steps until the pole falls or the cart leaves the track; the pole's angle at each of them."""
    state, out = start.copy(), np.empty(1)
    for i in range(STEPS):
        angles[i] = state[2]
        net.forward_with(params, state, out)
        push(state, 10 * out[0])
        if abs(state[0]) > 2.4 or abs(state[2]) > 0.4:
            return i + 1
    return STEPS


@njit(parallel=True, nogil=True, cache=True)
def generation(net, candidates, starts, fitness):
    """Mean length of the candidates' episodes from several starts."""
    for k in prange(len(candidates)):
        angles = np.empty(STEPS)
        steps = 0.0
        for s in range(len(starts)):
            steps += episode(net, candidates[k], starts[s], angles)
        fitness[k] = steps / len(starts)


def evolve(net, generations, population=64, n_starts=8, seed=0):
    """Improve the network's parameters in place; the mean and the best fitness of each generation."""
    rng = np.random.default_rng(seed)
    fitness, history = np.empty(population), []
    ranks = np.linspace(-1, 1, population)
    for _ in range(generations):
        noise = rng.normal(size=(population // 2, net.spec.n_params))
        noise = np.concatenate([noise, -noise])
        starts = rng.uniform(-0.1, 0.1, size=(n_starts, 4))
        generation(net, net.params + SIGMA * noise, starts, fitness)
        history.append((fitness.mean(), fitness.max()))
        order = np.argsort(fitness, kind="stable")
        net.params += RATE / (population * SIGMA) * (ranks @ noise[order])
    return np.array(history)


def run(generations=40):
    """Evolve a policy; what the figure shows."""
    net = fastnn.MLP((4, 8, 1), output_activation="tanh", rng=0)
    start, angles = np.array([0.0, 0.0, 0.1, 0.0]), np.full((2, STEPS), np.nan)
    before = episode(net, net.params, start, angles[0])
    clock = perf_counter()
    history = evolve(net, generations)
    seconds = perf_counter() - clock
    after = episode(net, net.params, start, angles[1])
    angles[0, before:] = angles[1, after:] = np.nan
    return {"history": history, "angles": angles, "before": before, "after": after, "seconds": seconds}


def draw(result):
    """The learning, and the pole before and after it."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.5), layout="constrained")
    learning, pole = figure.subplots(1, 2)
    generations = np.arange(1, len(result["history"]) + 1)
    learning.plot(generations, result["history"][:, 1] * DT, "--", color="0.5", label="best candidate")
    learning.plot(generations, result["history"][:, 0] * DT, color="C0", label="mean of the candidates")
    learning.set(xlabel="generation", ylabel="time until the pole falls, s", title="Evolution of the policy")
    learning.legend()
    time = DT * np.arange(STEPS)
    pole.plot(time, np.degrees(result["angles"][0]), ":", color="0.3", label="before")
    pole.plot(time, np.degrees(result["angles"][1]), color="C0", label="after")
    pole.set(xlabel="time, s", ylabel="angle of the pole, degrees", title="From one start")
    pole.legend()
    return figure


def main():
    """Run the example."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--figure", default="cartpole.png")
    path = parser.parse_args().figure
    result = run()
    print(f"the pole stays up for {result['before'] * DT:.2f} s before, for {result['after'] * DT:.2f} s after")
    print(f"{len(result['history'])} generations took {result['seconds']:.1f} s, compiling included")
    draw(result).savefig(path, dpi=150)
    print(f"figure: {path}")


if __name__ == "__main__":
    main()
