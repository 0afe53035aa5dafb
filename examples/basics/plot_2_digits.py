"""
Handwritten digits
==================

A classifier learns scikit-learn's 1,797 digits of 8 × 8 pixels; a part that it never sees says how well.
"""

from matplotlib import pyplot as plt
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import fastnn
from fastnn import plots

images, labels = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(images / 16, labels, test_size=0.25, random_state=0)

net = fastnn.MLP((64, 32, 10), activation="tanh", output_activation="softmax", rng=0)
history = net.fit(
    X_train,
    y_train,
    loss="cross_entropy",
    optimizer=fastnn.Adam(learning_rate=3e-3),
    epochs=40,
    batch_size=32,
    l2=1e-3,
    validation_data=(X_test, y_test),
    rng=0,
)
predicted = net.predict(X_test).argmax(axis=1)
print(f"{(predicted == y_test).mean():.1%} of {len(y_test)} digits are read correctly")

# %%
# How the loss fell, and which digits are mistaken for which.

figure, (curve, table) = plt.subplots(1, 2, figsize=(8, 4), layout="constrained")
plots.loss_curves({"training": history.loss, "validation": history.validation_loss}, curve)
plots.confusion(y_test, predicted, table)

# %%
# Some of the digits, a wrong class framed; and what the first units look for.

figure, (digits, units) = plt.subplots(2, 1, figsize=(8, 7), layout="constrained")
plots.sample_images(X_test[:36].reshape(-1, 8, 8), predicted[:36], y_test[:36], digits)
plots.weight_images(net, units, shape=(8, 8))

plt.show()
