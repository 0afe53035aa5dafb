"""
A thousand networks in one call
===============================

How much of a result is chance? :func:`fastnn.fit_many` trains the same network from a thousand initial weights, side by
side in the lanes of SIMD vectors.
"""

from time import perf_counter

import numpy as np
from matplotlib import pyplot as plt

import fastnn
from fastnn import plots

rng = np.random.default_rng(0)
X = np.sort(rng.uniform(-1, 1, (60, 1)), axis=0)
y = np.sin(4 * X[:, 0]) + 0.2 * rng.normal(size=60)

spec = fastnn.MLP((1, 16, 1)).spec
settings = {"optimizer": fastnn.Adam(0.01), "epochs": 400, "rng": 0}
fastnn.fit_many(spec, X, y, members=1000, **settings | {"epochs": 1})  # compiles, once per machine
clock = perf_counter()
many = fastnn.fit_many(spec, X, y, members=1000, **settings)
print(f"1,000 networks in {perf_counter() - clock:.2f} s; best loss {many.loss.min():.3g}, worst {many.loss.max():.3g}")

# %%
# Where there are samples the members agree; outside they do not, and their spread shows it.

x = np.linspace(-2, 2, 200)[:, None]
mean, low, high = many.mean(x)[:, 0], *many.quantile(x, [0.05, 0.95])[..., 0]

figure, (curve, losses) = plt.subplots(1, 2, figsize=(8, 3.8), layout="constrained")
curve.fill_between(x[:, 0], low, high, alpha=0.3, label="nine in ten members")
curve.plot(x[:, 0], mean, label="mean")
curve.plot(X[:, 0], y, ".", color="0.3", label="samples")
curve.set(xlabel="x", ylabel="y", title="What a thousand networks say")
curve.legend()
plots.spread(many.loss, losses, unit="loss")

plt.show()
