"""The classic tutorial's network: its code typed out from its formulas, and `fit` on either path."""

import numpy as np
import pytest

from fastnn import MLP, SGD

X = np.array([[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1.0]])
Y = np.array([[0], [1], [1], [0.0]])
ITERATIONS = 1500


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def train_as_the_tutorial(W1, W2):
    """Feedforward and backprop on all four samples, and the weights go along the gradient; in place."""
    for _ in range(ITERATIONS):
        layer1 = sigmoid(X @ W1)
        output = sigmoid(layer1 @ W2)
        d_output = 2 * (Y - output) * output * (1 - output)
        d_weights2 = layer1.T @ d_output
        d_weights1 = X.T @ (d_output @ W2.T * layer1 * (1 - layer1))
        W1 += d_weights1
        W2 += d_weights2
    return sigmoid(sigmoid(X @ W1) @ W2)


@pytest.mark.parametrize("seed", range(20))
def test_every_weight_after_1500_iterations(seed, backend):
    net = MLP.tutorial(rng=seed)
    W1, W2 = (W.copy() for W in net.weights)
    assert W1.shape == (3, 4)
    assert W2.shape == (4, 1)
    start = np.sum((Y - net.predict(X)) ** 2)
    output = train_as_the_tutorial(W1, W2)

    history = net.fit(
        X, Y, loss="sse", optimizer=SGD(learning_rate=1.0), epochs=ITERATIONS, shuffle=False, backend=backend
    )
    np.testing.assert_allclose(net.weights[0], W1, rtol=0, atol=1e-11)
    np.testing.assert_allclose(net.weights[1], W2, rtol=0, atol=1e-11)
    np.testing.assert_allclose(net.predict(X, backend=backend), output, rtol=0, atol=1e-11)
    assert history.loss[0] == pytest.approx(start, rel=1e-13)
    assert history.loss[-1] < start / 2


def test_the_targets_are_learnt(backend):
    net = MLP.tutorial(rng=0)
    net.fit(X, Y, loss="sse", optimizer=SGD(1.0), epochs=ITERATIONS, shuffle=False, backend=backend)
    assert np.abs(net.predict(X) - Y).max() < 0.1


def test_order_and_pieces_do_not_matter(backend):
    """Whole batches are not shuffled; 15 runs of 100 iterations are one of 1,500."""
    settings = {"loss": "sse", "optimizer": SGD(1.0), "backend": backend}
    whole, shuffled, pieces = (MLP.tutorial(rng=3) for _ in range(3))
    whole.fit(X, Y, epochs=ITERATIONS, shuffle=False, **settings)
    shuffled.fit(X, Y, epochs=ITERATIONS, shuffle=True, rng=0, **settings)
    for _ in range(15):
        pieces.fit(X, Y, epochs=100, shuffle=False, **settings)
    np.testing.assert_array_equal(shuffled.params, whole.params)
    np.testing.assert_array_equal(pieces.params, whole.params)
