"""A dense layer: its forward pass, and the three products through which a loss flows back.

With n samples, the layer's input X is ``(n, n_in)``, its weights W ``(n_in, n_out)``, its biases b ``(n_out,)``
and its pre-activation ``Z = X W + b`` ``(n, n_out)``; D, of Z's shape, is the derivative of the loss with respect to Z.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def forward(X: NDArray, W: NDArray, b: NDArray | None = None) -> NDArray:
    """The pre-activation ``X W + b``."""
    return X @ W if b is None else X @ W + b


def grad_weights(X: NDArray, D: NDArray, out: NDArray) -> None:
    """``out = X^T D``: derivative of the loss with respect to W."""
    np.matmul(X.T, D, out=out)


def grad_biases(D: NDArray, out: NDArray) -> None:
    """``out_j = sum_i D_ij``: derivative of the loss with respect to b."""
    np.sum(D, axis=0, out=out)


def grad_input(D: NDArray, W: NDArray) -> NDArray:
    """``D W^T``: derivative of the loss with respect to X."""
    return D @ W.T
