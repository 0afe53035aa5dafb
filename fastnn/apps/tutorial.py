"""The classic tutorial's network by hand: in NumPy, as its readers type it, and in plain loops for Numba to compile."""

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray


def sigmoid(x: NDArray) -> NDArray:
    """Between 0 and 1."""
    return 1 / (1 + np.exp(-x))


def sigmoid_derivative(s: NDArray) -> NDArray:
    """Of the sigmoid, by its value."""
    return s * (1 - s)


class NeuralNetwork:
    """Two layers of weights without biases.

    Parameters
    ----------
    x : ndarray, shape (n, n_in)
        The samples.
    y : ndarray, shape (n, 1)
        Their targets.
    weights1, weights2 : ndarray, shapes (n_in, 4) and (4, 1)
        The initial weights, which are trained in place.
    """

    def __init__(self, x: NDArray, y: NDArray, weights1: NDArray, weights2: NDArray):
        self.input = x
        self.y = y
        self.weights1 = weights1
        self.weights2 = weights2

    def feedforward(self) -> NDArray:
        """The outputs, shape (n, 1)."""
        self.layer1 = sigmoid(np.dot(self.input, self.weights1))
        self.output = sigmoid(np.dot(self.layer1, self.weights2))
        return self.output

    def backprop(self) -> None:
        """One step down the gradient of the sum of squared errors."""
        d_output = 2 * (self.y - self.output) * sigmoid_derivative(self.output)
        d_weights2 = np.dot(self.layer1.T, d_output)
        d_weights1 = np.dot(self.input.T, np.dot(d_output, self.weights2.T) * sigmoid_derivative(self.layer1))
        self.weights1 += d_weights1
        self.weights2 += d_weights2


def train_in_numpy(x: NDArray, y: NDArray, weights1: NDArray, weights2: NDArray, iterations: int) -> None:
    """Train the weights in place, as the tutorial does."""
    network = NeuralNetwork(x, y, weights1, weights2)
    for _ in range(iterations):
        network.feedforward()
        network.backprop()


@njit(nogil=True, error_model="numpy")
def train_in_loops(x, y, weights1, weights2, iterations):
    """The same, sample by sample and weight by weight."""
    samples, inputs = x.shape
    hidden_units = weights1.shape[1]
    hidden = np.empty(hidden_units)
    d_weights1, d_weights2 = np.empty_like(weights1), np.empty_like(weights2)
    for _ in range(iterations):
        d_weights1[:], d_weights2[:] = 0, 0
        for n in range(samples):
            total = 0.0
            for j in range(hidden_units):
                z = 0.0
                for i in range(inputs):
                    z += x[n, i] * weights1[i, j]
                hidden[j] = 1 / (1 + math.exp(-z))
                total += hidden[j] * weights2[j, 0]
            output = 1 / (1 + math.exp(-total))
            d_output = 2 * (y[n, 0] - output) * output * (1 - output)
            for j in range(hidden_units):
                d_weights2[j, 0] += hidden[j] * d_output
                d_hidden = d_output * weights2[j, 0] * hidden[j] * (1 - hidden[j])
                for i in range(inputs):
                    d_weights1[i, j] += x[n, i] * d_hidden
        for j in range(hidden_units):
            weights2[j, 0] += d_weights2[j, 0]
            for i in range(inputs):
                weights1[i, j] += d_weights1[i, j]
