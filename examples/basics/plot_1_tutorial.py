"""
From the tutorial's code to ours, line by line
==============================================

Many people's first neural network is a dozen lines of NumPy: a 3-4-1 network that learns xor from four samples. Here it
is trained twice, by those lines and by fastnn, and both end with the same weights.

.. list-table::
   :header-rows: 1
   :widths: 50 50

   * - NumPy
     - fastnn
   * - ``W1 = rng.random((3, 4))``
     - ``net.weights[0]``
   * - ``W2 = rng.random((4, 1))``
     - ``net.weights[1]``
   * - ``hidden = sigmoid(X @ W1)``
     - ``"activation": "sigmoid"``
   * - ``output = sigmoid(hidden @ W2)``
     - ``"output_activation": "sigmoid"``; ``net.predict(X)`` is both lines
   * - ``d_output = 2 * (output - y) * output * (1 - output)``
     - ``loss="sse"``, the sum of squared errors
   * - ``d_hidden = d_output @ W2.T * hidden * (1 - hidden)``
     - the rest of the chain rule: ``net.loss_and_grad(X, y, loss="sse")``
   * - ``W1 -= X.T @ d_hidden``
     - ``optimizer=fastnn.SGD(learning_rate=1.0)``
   * - ``W2 -= hidden.T @ d_output``
     - the same
   * - ``for _ in range(1500):``
     - ``epochs=1500``: passes over the data, of one batch each
"""

# %%
# Data
# ----
# Two bits, and a constant 1 that stands in for a bias; the target is the bits' xor. fastnn takes the same arrays:
# samples are rows, and a target has a row for each.

import numpy as np
from matplotlib import pyplot as plt

import fastnn
from fastnn import plots

X = np.array([[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1.0]])
y = np.array([[0.0], [1], [1], [0]])

# %%
# Weights
# -------
# The tutorial draws two matrices. A network holds both in one flat vector, ``net.params``, of which ``net.weights`` are
# views.

rng = np.random.default_rng(1)
W1 = rng.random((3, 4))
W2 = rng.random((4, 1))

sigmoids = {"activation": "sigmoid", "output_activation": "sigmoid"}
net = fastnn.MLP((3, 4, 1), **sigmoids, bias=False, init="unit_uniform", rng=1)
assert (net.weights[0] == W1).all()
assert (net.weights[1] == W2).all()

# %%
# ``fastnn.MLP.tutorial(rng=1)`` is short for it.
#
# Feedforward
# -----------


def sigmoid(z):
    """Between 0 and 1."""
    return 1 / (1 + np.exp(-z))


hidden = sigmoid(X @ W1)
output = sigmoid(hidden @ W2)

assert np.allclose(output, net.predict(X), rtol=1e-12)

# %%
# Backpropagation
# ---------------
# The chain rule carries the derivative of the squared error back through both layers (:doc:`/mathematics` derives it).
# ``loss_and_grad`` does the same; its gradient is flat, as ``net.params`` is.

d_output = 2 * (output - y) * output * (1 - output)
d_hidden = d_output @ W2.T * hidden * (1 - hidden)
d_W1, d_W2 = X.T @ d_hidden, hidden.T @ d_output

loss, gradient = net.loss_and_grad(X, y, loss="sse")
assert np.allclose(np.concatenate([d_W1.ravel(), d_W2.ravel()]), gradient, rtol=1e-10)

# %%
# Drawn, with each matrix in its own shape: what went in, times what comes back, is a weight's derivative.


def matrix(ax, values, name):
    """Draw a matrix as an image, blue where it is negative and red where it is positive."""
    limit = abs(values).max()
    ax.imshow(values, cmap="RdBu_r", vmin=-limit, vmax=limit)
    ax.set(title=name, xticks=[], yticks=[], xlabel="{} x {}".format(*values.shape))


d_loss, slope_output, slope_hidden = 2 * (output - y), output * (1 - output), hidden * (1 - hidden)
equations = [
    [(d_output, "d_output"), "=", (d_loss, "2 (output - y)"), "*", (slope_output, "slope of the sigmoid")],
    [(d_hidden, "d_hidden"), "=", (d_output @ W2.T, "d_output @ W2.T"), "*", (slope_hidden, "slope of the sigmoid")],
    [(d_W2, "d_W2"), "=", (hidden.T, "hidden.T"), "@", (d_output, "d_output")],
    [(d_W1, "d_W1"), "=", (X.T, "X.T"), "@", (d_hidden, "d_hidden")],
]
figure, rows = plt.subplots(4, 5, figsize=(7, 8), width_ratios=[4, 1, 4, 1, 4], layout="constrained")
figure.suptitle("The chain rule")
for row, equation in zip(rows, equations, strict=True):
    for ax, term in zip(row, equation, strict=True):
        if isinstance(term, str):
            ax.text(0.5, 0.5, term, fontsize="xx-large", ha="center", va="center")
            ax.axis("off")
        else:
            matrix(ax, *term)

# %%
# Training
# --------

for _ in range(1500):
    hidden = sigmoid(X @ W1)
    output = sigmoid(hidden @ W2)
    d_output = 2 * (output - y) * output * (1 - output)
    d_hidden = d_output @ W2.T * hidden * (1 - hidden)
    W1 -= X.T @ d_hidden
    W2 -= hidden.T @ d_output

history = net.fit(X, y, loss="sse", optimizer=fastnn.SGD(learning_rate=1.0), epochs=1500)
assert np.allclose(net.weights[0], W1, atol=1e-11)
assert np.allclose(net.weights[1], W2, atol=1e-11)

# %%
# What it learned
# ---------------

plots.network_diagram(net, input_names=("a", "b", "1"), output_names=("a xor b",))

# %%
# Its outputs beside the targets, and the loss as it fell.

figure, (prediction, curve) = plt.subplots(1, 2, figsize=(7.5, 3.8), layout="constrained")
outputs = {"NumPy": output[:, 0], "fastnn": net.predict(X)[:, 0]}
plots.outputs_against_targets(outputs, y[:, 0], prediction, names=["0 0", "0 1", "1 0", "1 1"])
plots.loss_curves({"fastnn": history.loss}, curve, unit="iteration")

# %%
# Readable or fast
# ----------------
# ``backend="numpy"`` computes the lines above, generalised to any depth (:doc:`/api/twin`); ``backend="plain"`` does so
# in plain loops; by default the tuned kernels do, in less than a hundredth of the time. They agree to rounding.

other = fastnn.MLP.tutorial(rng=1)
other.fit(X, y, loss="sse", optimizer=fastnn.SGD(learning_rate=1.0), epochs=1500, backend="numpy")
assert np.allclose(other.params, net.params, atol=1e-11)

plt.show()
