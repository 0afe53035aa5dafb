"""
Slopes beside values
====================

A surrogate that learns slopes beside values: what they are worth in samples.

Many simulations give the derivatives of their result with respect to the inputs almost for nothing, by an adjoint. A
network is trained on the values of Franke's function alone, and on values and slopes, from more and more samples.

.. code-block:: sh

    python examples/simulations/slopes.py [--figure slopes.png]

.. figure:: /slopes.png
   :alt: The error over the number of samples, with slopes and without
"""

# sphinx_gallery_thumbnail_path = "slopes.png"

import argparse

import numpy as np

import fastnn

#: Franke (1979): height, centre, and how steep it is, of each bump; the second falls linearly along its second input.
BUMPS = [
    (0.75, (2 / 9, 2 / 9), (81 / 4, 81 / 4)),
    (0.75, (-1 / 9, -1 / 9), (81 / 49, 9 / 10)),
    (0.5, (7 / 9, 1 / 3), (81 / 4, 81 / 4)),
    (-0.2, (4 / 9, 7 / 9), (81, 81)),
]


def simulate(X):
    """Values, shape (n,), and slopes, shape (n, 2), of the function at samples in the unit square."""
    values, slopes = np.zeros(len(X)), np.zeros_like(X)
    for i, (height, centre, steep) in enumerate(BUMPS):
        from_centre, steepness = X - centre, np.array(steep)
        exponent, direction = -steepness * from_centre**2, -2 * steepness * from_centre
        if i == 1:
            exponent[:, 1], direction[:, 1] = -steepness[1] * from_centre[:, 1], -steepness[1]
        bump = height * np.exp(exponent.sum(axis=1))
        values += bump
        slopes += bump[:, None] * direction
    return values, slopes


def error(X, dydx, test, repeats, epochs):
    """Median over networks of the root of the mean squared error, in parts of the values' standard deviation."""
    x_mean, x_scale, y_mean, y_scale = fastnn.standardize(X, simulate(X)[0])
    exact, errors = simulate(test)[0], []
    for seed in range(repeats):
        net = fastnn.MLP((2, 24, 1), rng=seed)
        rates = fastnn.schedules.Cosine(1e-2, epochs)
        inputs, targets = (X - x_mean) / x_scale, (simulate(X)[0] - y_mean) / y_scale
        scaled = None if dydx is None else dydx * x_scale / y_scale
        net.fit(inputs, targets, epochs=epochs, optimizer=fastnn.Adam(rates), dydx=scaled, rng=seed)
        net = net.with_scaling(x_mean, x_scale, y_mean, y_scale)
        errors.append(np.sqrt(np.mean((net.predict(test)[:, 0] - exact) ** 2)) / exact.std())
    return np.median(errors)


def run(counts=(10, 20, 40, 80, 160), repeats=3, epochs=3000):
    """The error by the number of samples, of networks that know the values alone, and the slopes, too."""
    rng = np.random.default_rng(0)
    samples, test = rng.uniform(size=(max(counts), 2)), rng.uniform(size=(2000, 2))
    errors = {"values": [], "values and slopes": []}
    for count in counts:
        X = samples[:count]
        errors["values"].append(error(X, None, test, repeats, epochs))
        errors["values and slopes"].append(error(X, simulate(X)[1], test, repeats, epochs))
    return {"counts": counts, "errors": errors}


def draw(result):
    """The error over the number of samples."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.5, 3.6), layout="constrained")
    axes = figure.subplots()
    for name, errors in result["errors"].items():
        axes.loglog(result["counts"], errors, "o-", label=name)
    axes.set(xlabel="samples", ylabel="error, in standard deviations", title="Franke's function")
    axes.legend()
    return figure


def main():
    """The whole example."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--figure", default="slopes.png", help="where the figure goes")
    path = parser.parse_args().figure
    result = run()
    for i, count in enumerate(result["counts"]):
        values, both = (errors[i] for errors in result["errors"].values())
        print(f"{count:4d} samples: error {values:.3f} from values, {both:.3f} from values and slopes")
    draw(result).savefig(path, dpi=150)
    print(f"figure: {path}")


if __name__ == "__main__":
    main()
