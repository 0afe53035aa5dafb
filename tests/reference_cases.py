"""What tests share: the catalogue's rows as cases, targets that suit a loss, and networks away from every kink."""

from contextlib import contextmanager
from dataclasses import fields

import numpy as np

from fastnn.reference import network
from fastnn.settings import catalogue, optimizers

HIDDEN = [name for name, row in catalogue.ACTIVATIONS.items() if row.hidden]
OUTPUTS = list(catalogue.ACTIVATIONS)
GOING_TOGETHER = [
    (output, loss) for output in OUTPUTS for loss, row in catalogue.LOSSES.items() if row.goes_with(output)
]
KINK_MARGIN = 1e-3


def sized(sizes, loss):
    """Sizes of a network, with as many more outputs as the loss needs."""
    *others, n_out = sizes
    return (*others, next(n for n in (n_out, n_out + 1) if catalogue.LOSSES[loss].fits(n)))


@contextmanager
def about(*case):
    """An assertion that fails inside says of which case of a loop."""
    try:
        yield
    except AssertionError as failure:
        failure.add_note(f"The case was {', '.join(map(str, case))}.")
        raise


def rules(learning_rate, momentum=0.9, **settings):
    """Every optimizer of the catalogue in all its variants, with those of the settings that it has."""
    chosen = []
    for name, row in catalogue.OPTIMIZERS.items():
        optimizer = getattr(optimizers, name)
        known = {field.name for field in fields(optimizer)}
        for variant in row.variants:
            own = settings | {"nesterov": variant == "_nesterov"}
            if variant or "_momentum" not in row.variants:  # else the variant without momentum
                own["momentum"] = momentum
            chosen.append(optimizer(learning_rate, **{key: own[key] for key in known & own.keys()}))
            assert chosen[-1].variant == variant
    return chosen


def targets(loss, n, n_out, rng):
    """Targets in float64 that suit the loss, for a network of this many outputs."""
    if loss == "poisson":
        return rng.poisson(2.0, (n, n_out)).astype(float)
    if loss == "cross_entropy":
        return rng.dirichlet(np.ones(n_out), n) * rng.uniform(0.5, 2, (n, 1))  # rows need not sum to 1
    if loss == "binary_cross_entropy":
        return rng.random((n, n_out))
    return rng.normal(size=(n, catalogue.LOSSES[loss].n_targets(n_out)))


def draw(spec, loss, n, seed=0):
    """Parameters, samples and targets: units and residuals away from the kinks, and a gradient that is not zero."""
    rng = np.random.default_rng(seed)
    while True:
        params = rng.normal(size=spec.n_params) / 2
        X, y = rng.normal(size=(n, spec.n_in)), targets(loss, n, spec.n_out, rng)
        if not near_kink(spec, params, X) and not near_loss_kink(spec, loss, params, X, y):
            row = catalogue.LOSSES[loss]
            if np.linalg.norm(network.loss_and_grad(spec, params, X, y, row)[1]) > 1e-2:
                return params, X, y


def near_kink(spec, params, X):
    Z, _ = network.forward(spec, params, X)
    return any(
        np.abs(z).min() < KINK_MARGIN
        for z, name in zip(Z, spec.activations, strict=True)
        if not catalogue.ACTIVATIONS[name].analytic
    )


def near_loss_kink(spec, loss, params, X, y):
    if not catalogue.LOSSES[loss].kink:
        return False
    distance = np.abs(network.predict(spec, params, X) - y)
    return min(np.abs(distance - kink).min() for kink in (0.0, 1.0)) < KINK_MARGIN


def is_analytic(*names):
    return all(catalogue.ACTIVATIONS[name].analytic for name in names)


def central_differences(function, point, directions=None, step=1e-5):
    """The derivative of `function`, a number or a vector, along each direction (the last axis), or to each entry."""
    steps = step * (np.eye(len(point)) if directions is None else directions)
    return np.stack([(np.asarray(function(point + d)) - function(point - d)) / (2 * step) for d in steps], axis=-1)


def complex_step(function, point, directions=None):
    """The same of an analytic function, exact to rounding."""
    steps = 1e-100j * (np.eye(len(point)) if directions is None else directions)
    return np.stack([np.asarray(function(point + d)).imag / 1e-100 for d in steps], axis=-1)


def error(actual, expected):
    """Relative error in the 2-norm over everything."""
    return np.linalg.norm(actual - expected) / np.linalg.norm(expected)
