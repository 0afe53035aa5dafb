"""
Which learning rate, and how many units
=======================================

:func:`fastnn.sweep` trains every setting of a grid from several seeds on several folds, all side by side.
"""

import numpy as np
from matplotlib import pyplot as plt

import fastnn

rng = np.random.default_rng(0)
X = rng.uniform(-1, 1, (200, 2))
y = np.sin(3 * X[:, 0]) * X[:, 1] + 0.05 * rng.normal(size=200)

grid = {"hidden": [(4,), (16,)], "learning_rate": [0.001, 0.003, 0.01, 0.03, 0.1]}
result = fastnn.sweep(X, y, grid, seeds=4, folds=5, epochs=150, batch_size=32)
rows = result.summary()
best = rows[0]  # the summary is sorted
print(f"{len(rows)} settings, 20 networks each; the best: {best['hidden']}, rate {best['learning_rate']}")

# %%
# The mean over seeds and folds, and its spread: two settings whose bars overlap cannot be told apart by so few runs.

figure, ax = plt.subplots(figsize=(7, 4.5), layout="constrained")
for (units,) in grid["hidden"]:
    chosen = sorted((row for row in rows if row["hidden"] == (units,)), key=lambda row: row["learning_rate"])
    rates, means, stds = (
        [row[key] for row in chosen] for key in ("learning_rate", "validation_loss_mean", "validation_loss_std")
    )
    ax.errorbar(rates, means, stds, marker="o", capsize=4, label=f"{units} hidden units")
ax.set(xscale="log", yscale="log", xlabel="learning rate", ylabel="loss on the fold left out", title="Validation loss")
ax.legend()

plt.show()
