"""
Intervals that hold what they promise
=====================================

Nine in ten new targets are to lie within the interval. A margin around one network is as wide everywhere; outputs that
are quantiles follow the noise. Samples kept for calibration move both until they hold the promise.
"""

import numpy as np
from matplotlib import pyplot as plt

import fastnn


def draw(rng, count):
    """Samples whose noise grows with x."""
    x = rng.uniform(0, 1, (count, 1))
    return x, np.sin(6 * x[:, 0]) + (0.05 + 0.5 * x[:, 0]) * rng.normal(size=count)


rng = np.random.default_rng(0)
train, calibration, test = (draw(rng, count) for count in (500, 500, 2000))

net = fastnn.MLP((1, 16, 1), rng=0)
net.fit(*train, optimizer=fastnn.Adam(0.01), epochs=300, rng=0)
quantiles = fastnn.MLP((1, 16, 3), rng=0)
quantiles.fit(*train, loss="pinball", quantiles=[0.05, 0.5, 0.95], optimizer=fastnn.Adam(0.01), epochs=300, rng=0)

ways = {
    "A margin": fastnn.intervals(net, *calibration, coverage=0.9),
    "Quantiles": fastnn.intervals(quantiles, *calibration, coverage=0.9, method="quantile"),
}

# %%
# Both cover about nine in ten test samples; only the quantiles do so for small x and for large x alike.

X, y = test
grid = np.linspace(0, 1, 200)[:, None]
figure, axes = plt.subplots(1, 2, figsize=(8, 3.8), sharey=True, layout="constrained")
for ax, (name, sure) in zip(axes, ways.items(), strict=True):
    low, _, high = (part.reshape(-1) for part in sure.predict(X))
    within = (low <= y) & (y <= high)
    left = X[:, 0] < 0.3
    print(f"{name}: {within[left].mean():.1%} within for x below 0.3, {within[~left].mean():.1%} above")
    low, middle, high = (part.reshape(-1) for part in sure.predict(grid))
    ax.plot(X[:500, 0], y[:500], ".", color="0.6", markersize=3)
    ax.fill_between(grid[:, 0], low, high, alpha=0.3)
    ax.plot(grid[:, 0], middle)
    ax.set(xlabel="x", title=f"{name}: {within.mean():.1%} within")
axes[0].set_ylabel("y")

plt.show()
