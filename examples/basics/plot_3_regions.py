"""
Where one class ends and another begins
=======================================

Three spirals of points in the plane, and the regions that a network takes for each: with more hidden units the borders
follow the spirals.
"""

import numpy as np
from matplotlib import pyplot as plt

import fastnn
from fastnn import plots

rng = np.random.default_rng(0)
classes = np.repeat(np.arange(3), 120)
radius = np.tile(np.linspace(0.1, 1, 120), 3)
angle = 7 * radius + classes * 2 * np.pi / 3 + 0.15 * rng.normal(size=360)
X = np.column_stack([radius * np.cos(angle), radius * np.sin(angle)])

# %%
# Each network of the three starts from weights of its own and takes the same steps.

figure, axes = plt.subplots(1, 3, figsize=(9, 3.4), layout="constrained")
for units, ax in zip((8, 16, 64), axes, strict=True):
    net = fastnn.MLP((2, units, 3), activation="tanh", output_activation="softmax", rng=0)
    net.fit(X, classes, loss="cross_entropy", optimizer=fastnn.Adam(0.02), epochs=300, batch_size=30, rng=0)
    plots.decision_regions(net, X, classes, ax)
    accuracy = (net.predict(X).argmax(axis=1) == classes).mean()
    ax.set_title(f"{units} units: {accuracy:.0%} correct")

plt.show()
