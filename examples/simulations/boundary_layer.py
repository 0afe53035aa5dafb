"""
A boundary layer, solved by its residual
========================================

``-eps u'' + u' = 1`` on [0, 1] with ``u(0) = u(1) = 0`` rises like x and falls to zero within a layer as thin as eps. A
network takes the place of u: it is trained until the equation holds at points of the interval and the ends are where
they must be. Nothing is known of the solution but that. The loop, with u, u' and u'' of the network and the gradient of
the residual with respect to its parameters, is compiled as one.

.. code-block:: sh

    python examples/simulations/boundary_layer.py [--figure boundary_layer.png]

.. figure:: /boundary_layer.png
   :alt: The solution, its error, and the loss
"""

# sphinx_gallery_thumbnail_path = "boundary_layer.png"

import argparse
from time import perf_counter

import numpy as np
from numba import njit

import fastnn

EPSILON, END_WEIGHT = 0.1, 20.0


def exact(x):
    """The solution."""
    return x - (np.exp((x - 1) / EPSILON) - np.exp(-1 / EPSILON)) / (1 - np.exp(-1 / EPSILON))


@njit(cache=True)
def loss_and_grad(net, points, grad):
    """Mean of the squared residual, and the squares of the ends; the derivative with respect to the parameters."""
    grad[:] = 0
    loss, x, t = 0.0, np.empty(1), np.ones(1)
    u, slope, curvature = np.empty(1), np.empty(1), np.empty(1)
    v, v_slope, v_curvature = np.zeros(1), np.empty(1), np.empty(1)
    for point in points:
        x[0] = point
        net.taylor(x, t, u, slope, curvature)
        residual = -EPSILON * curvature[0] + slope[0] - 1
        loss += residual * residual / len(points)
        v_slope[0] = 2 * residual / len(points)
        v_curvature[0] = -EPSILON * v_slope[0]
        net.taylor_vjp_params(x, t, v, v_slope, v_curvature, grad)
    for end in (0.0, 1.0):
        x[0] = end
        net.forward(x, u)
        loss += END_WEIGHT * u[0] * u[0]
        u[0] *= 2 * END_WEIGHT
        net.vjp_params(x, u, grad)
    return loss


@njit(cache=True)
def train(net, state, points, rates, losses):
    """Steps of the optimizer by that gradient, the learning rate of each in `rates`."""
    grad = np.empty(net.params.size)
    for i in range(len(losses)):
        losses[i] = loss_and_grad(net, points, grad)
        state.rates[0] = rates[i]
        state.apply(net, grad)


def run(iterations=20_000, hidden=16, points=60):
    """Train from random weights; the solution, the loss on the way and the seconds it took."""
    net = fastnn.MLP((1, hidden, hidden, 1), rng=0)
    state = fastnn.TrainState(net.spec, optimizer=fastnn.Adam(5e-3))
    places = (1 - np.cos(np.linspace(0, np.pi, points))) / 2  # closer together near the ends
    rates = 5e-3 * 0.5 * (1 + np.cos(np.linspace(0, np.pi, iterations)))
    losses = np.empty(iterations)
    train(net, state, places, rates[:1], losses[:1])  # which compiles
    begin = perf_counter()
    train(net, state, places, rates, losses)
    seconds = perf_counter() - begin
    x = np.linspace(0, 1, 501)
    return {"x": x, "exact": exact(x), "network": net.predict(x[:, None])[:, 0], "loss": losses, "seconds": seconds}


def draw(result):
    """The solution, its error, and the loss."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 3.2), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    left.plot(result["x"], result["exact"], color="0.6", linewidth=4, label="exact")
    left.plot(result["x"], result["network"], label="network")
    left.set(xlabel="x", title="the solution")
    left.legend()
    middle.semilogy(result["x"], np.abs(result["network"] - result["exact"]) + 1e-12)
    middle.set(xlabel="x", title="its error")
    right.semilogy(result["loss"])
    right.set(xlabel="iteration", title="squared residual and ends")
    return figure


def main():
    """The whole example."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--figure", default="boundary_layer.png", help="where the figure goes")
    path = parser.parse_args().figure
    result = run()
    print(f"largest error: {np.abs(result['network'] - result['exact']).max():.2g}")
    print(f"{len(result['loss'])} iterations in {result['seconds']:.2g} s")
    draw(result).savefig(path, dpi=150)
    print(f"figure: {path}")


if __name__ == "__main__":
    main()
