"""
A neural ordinary differential equation
=======================================

A pendulum with friction is learned from how it swings.

A network is the right-hand side of ``y' = net(y)``, with angle and angular velocity in y. What is compared with the
measurements is its solution by the classical Runge-Kutta method, and the gradient comes back through every stage of
every step: the discrete adjoint, written in the same compiled loop. Where JAX is installed, the same gradient is
computed by its compiled loop, too, and both are timed.

.. code-block:: sh

    python examples/simulations/neural_ode.py [--figure neural_ode.png]

.. figure:: /neural_ode.png
   :alt: Loss, a swing never seen, and the time of a gradient
"""

# sphinx_gallery_thumbnail_path = "neural_ode.png"

import argparse
from time import perf_counter

import numpy as np
from numba import njit

import fastnn

DT, FRICTION, NOISE = 0.05, 0.25, 0.02


# ---------------------------------------------------------------- the pendulum
def measurements(starts, steps, noise=NOISE, seed=0):
    """Angles and angular velocities, shape (starts, steps + 1, 2), of swings from several angles; with noise."""
    y = np.stack([starts, np.zeros_like(starts)], axis=1)
    track = [y]
    fine = 10

    def slope(y):
        return np.stack([y[:, 1], -np.sin(y[:, 0]) - FRICTION * y[:, 1]], axis=1)

    for _ in range(steps):
        for _ in range(fine):
            h = DT / fine
            k1 = slope(y)
            k2 = slope(y + h / 2 * k1)
            k3 = slope(y + h / 2 * k2)
            k4 = slope(y + h * k3)
            y = y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        track.append(y)
    return np.stack(track, axis=1) + noise * np.random.default_rng(seed).normal(size=(len(starts), steps + 1, 2))


# ---------------------------------------------------------------- solution and adjoint
@njit(cache=True)
def solve(net, track, stages):
    """Fill `track` from its first state on by Runge-Kutta steps; the state at each stage to `stages`."""
    k, n = np.empty((4, 2)), len(track) - 1
    for i in range(n):
        for s in range(4):
            for j in range(2):
                step = 0.0 if s == 0 else DT if s == 3 else DT / 2
                stages[i, s, j] = track[i, j] + step * k[max(s - 1, 0), j] if s > 0 else track[i, j]
            net.forward(stages[i, s], k[s])
        for j in range(2):
            track[i + 1, j] = track[i, j] + DT / 6 * (k[0, j] + 2 * k[1, j] + 2 * k[2, j] + k[3, j])


@njit(cache=True)
def loss_and_grad(net, data, track, stages, grad):
    """Mean squared distance from the swings that were measured; its derivative with respect to the parameters."""
    grad[:] = 0
    loss, scale = 0.0, 1 / (data.shape[0] * (data.shape[1] - 1) * 2)
    back, k_back, y_back = np.empty(2), np.empty(2), np.empty((4, 2))
    for swing in range(len(data)):
        track[0] = data[swing, 0]
        solve(net, track, stages)
        back[:] = 0  # the derivative of the loss with respect to the state
        for i in range(len(track) - 2, -1, -1):
            for j in range(2):
                distance = track[i + 1, j] - data[swing, i + 1, j]
                loss += scale * distance * distance
                back[j] += 2 * scale * distance
            for s in range(3, -1, -1):
                for j in range(2):
                    k_back[j] = DT / (6 if s in (0, 3) else 3) * back[j]
                    if s < 3:
                        k_back[j] += (DT if s == 2 else DT / 2) * y_back[s + 1, j]
                net.vjp(stages[i, s], k_back, y_back[s], grad=grad)
            for j in range(2):
                back[j] += y_back[0, j] + y_back[1, j] + y_back[2, j] + y_back[3, j]
    return loss


@njit(cache=True)
def train(net, state, data, losses):
    """Steps of the optimizer by that gradient, one for each place in `losses`."""
    steps = data.shape[1] - 1
    track, stages, grad = np.empty((steps + 1, 2)), np.empty((steps, 4, 2)), np.empty(net.params.size)
    for i in range(len(losses)):
        losses[i] = loss_and_grad(net, data, track, stages, grad)
        state.apply(net, grad)


def run(steps=100, iterations=3000, hidden=16):
    """Train on three swings, first on short beginnings of them; and swing once from an angle never seen."""
    data = measurements(np.array([0.5, 1.5, 2.5]), steps)
    net = fastnn.MLP((2, hidden, hidden, 2), rng=0)
    state = fastnn.TrainState(net.spec, optimizer=fastnn.Adam(1e-2), max_grad_norm=1.0)
    history = []
    for part, rate in ((0.2, 1e-2), (0.5, 5e-3), (1.0, 2e-3)):
        state.learning_rate, losses = rate, np.empty(iterations // 3)
        train(net, state, np.ascontiguousarray(data[:, : int(part * steps) + 1]), losses)
        history.append(losses)
    exact = measurements(np.array([2.0]), steps, noise=0.0)[0]
    track = np.empty_like(exact)
    track[0] = exact[0]
    solve(net, track, np.empty((steps, 4, 2)))
    return {"loss": np.concatenate(history), "exact": exact, "learned": track, "seconds": compare(net, data)}


# ---------------------------------------------------------------- beside JAX
def compare(net, data, repeats=20):
    """Seconds of one gradient, by each; JAX's is left out where that is not installed."""
    steps = data.shape[1] - 1
    buffers = np.empty((steps + 1, 2)), np.empty((steps, 4, 2)), np.empty(net.params.size)
    seconds = {"fastnn": fastest(lambda: loss_and_grad(net, data, *buffers), repeats)}
    theirs = jax_gradient(net, data)
    if theirs is not None:
        gradient, parameters = theirs
        error = np.linalg.norm(np.asarray(gradient(parameters)) - buffers[2]) / np.linalg.norm(buffers[2])
        assert error < 1e-10, error
        seconds["JAX"] = fastest(lambda: gradient(parameters).block_until_ready(), repeats)
    return seconds


def fastest(function, repeats):
    """Least time of a call."""
    function()
    times = []
    for _ in range(repeats):
        begin = perf_counter()
        function()
        times.append(perf_counter() - begin)
    return min(times)


def jax_gradient(net, data):
    """The same gradient by ``jax.grad`` of a ``lax.scan``, all swings at once, and the parameters it takes."""
    try:
        import jax
    except ImportError:
        return None
    jax.config.update("jax_enable_x64", True)
    jnp, layers = jax.numpy, net.spec.layers

    def slope(p, y):
        for i, layer in enumerate(layers):
            W = p[layer.weights : layer.biases].reshape(layer.n_in, layer.n_out)
            y = y @ W + p[layer.biases : layer.biases + layer.n_out]
            y = jnp.tanh(y) if i < len(layers) - 1 else y
        return y

    def loss(p):
        def step(y, _):
            k1 = slope(p, y)
            k2 = slope(p, y + DT / 2 * k1)
            k3 = slope(p, y + DT / 2 * k2)
            k4 = slope(p, y + DT * k3)
            y = y + DT / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
            return y, y

        track = jax.lax.scan(step, data[:, 0], length=data.shape[1] - 1)[1]
        return jnp.mean((track.swapaxes(0, 1) - data[:, 1:]) ** 2)

    data = jnp.asarray(data)
    return jax.jit(jax.grad(loss)), jnp.asarray(net.params)


# ---------------------------------------------------------------- the figure
def draw(result):
    """Loss over iterations, the swing never seen, and the time of a gradient."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 3.2), layout="constrained")
    left, middle, right = figure.subplots(1, 3, width_ratios=(1, 1.4, 0.8))
    left.semilogy(result["loss"])
    left.set(xlabel="iteration", ylabel="mean squared error", title="on longer and longer swings")
    time = DT * np.arange(len(result["exact"]))
    middle.plot(time, result["exact"][:, 0], color="0.6", linewidth=4, label="pendulum")
    middle.plot(time, result["learned"][:, 0], label="network")
    middle.set(xlabel="time", ylabel="angle", title="from an angle never seen")
    middle.legend()
    names = list(result["seconds"])
    bars = right.bar(names, [1e3 * result["seconds"][name] for name in names], color=["C0", "C1"][: len(names)])
    right.bar_label(bars, fmt="%.2g")
    right.margins(y=0.15)
    right.set(ylabel="milliseconds", title="one gradient")
    return figure


def main():
    """The whole example."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--figure", default="neural_ode.png", help="where the figure goes")
    path = parser.parse_args().figure
    result = run()
    error = np.abs(result["exact"] - result["learned"])[:, 0].max()
    print(f"largest error of the angle on a swing never seen: {error:.3f}")
    for name, seconds in result["seconds"].items():
        print(f"one gradient by {name}: {1e3 * seconds:.3g} ms")
    draw(result).savefig(path, dpi=150)
    print(f"figure: {path}")


if __name__ == "__main__":
    main()
