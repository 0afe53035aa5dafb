"""The NumPy twin: feedforward, backpropagation and training in the obvious way, written to be read.

Everything that the compiled twin (`fastnn.kernels`) computes is defined here, with one formula in each function. Files
mostly have the same names there; `network` is `tiles.predict` and `tiles.layers`, `training` is `train` and `loop`. The
compiled twin is tested against it, and ``fit(..., backend="numpy")`` runs it. From the ground up:

- `random`: random numbers from a counter, and the order in which an epoch visits the samples; `shuffle`: that order
  as scikit-learn draws it; `noise`: dropout, and noise on the inputs.
- `activations`, `losses`: each function and its derivative.
- `dense`: one layer's products, forward and backward.
- `network`: the layers in a row: `forward`, `predict`, `loss_and_grad`, `jacobian`.
- `curvatures`: the activations' second and third derivatives; `series`: a network's values, slopes and curvatures
  along a direction, and their derivatives with respect to parameters and inputs; `slopes`: training on them.
- `optimizers`: one `step` of each update rule, and `clip` for gradients; `normal_equations`: what least squares
  solves.
- `training`: the loop, `train`; `end_epoch`: validation, early stopping and the plateau schedule after each epoch.
- `one_sample`: a network's methods that take one sample, which the compiled twin has in `fastnn.embed`.

Arguments are trusted to have the shapes and dtypes that `fastnn.checks` lets through. Everything is computed in the
dtype of the parameters, which may even be complex: a step along the imaginary axis differentiates the analytic
functions exactly.
"""

from fastnn.reference import activations, curvatures, dense, losses, network, optimizers, random, series, training
from fastnn.reference.network import forward, jacobian, loss_and_grad, predict
from fastnn.reference.optimizers import clip, step
from fastnn.reference.training import train

__all__ = [
    "activations",
    "clip",
    "curvatures",
    "dense",
    "forward",
    "jacobian",
    "loss_and_grad",
    "losses",
    "network",
    "optimizers",
    "predict",
    "random",
    "series",
    "step",
    "train",
    "training",
]
