"""What tests of the estimators share: data, and short runs on them."""

import numpy as np

from fastnn.sklearn import MLPClassifier, MLPRegressor

RNG = np.random.default_rng(0)
X = RNG.normal(size=(80, 4))
Y = np.sin(X[:, :2]) + X[:, 2:] ** 2 / 4
LABELS = (Y[:, 0] > Y[:, 1]).astype(int) + (X[:, 3] > 1)
SHORT = {"hidden_layer_sizes": (6, 5), "max_iter": 6, "random_state": 0, "learning_rate_init": 0.01, "batch_size": 30}


def regressor(**params):
    return MLPRegressor(**SHORT | params)


def classifier(**params):
    return MLPClassifier(**SHORT | params)


def same_weights(a, b, **tolerance):
    for mine, other in zip(a.coefs_ + a.intercepts_, b.coefs_ + b.intercepts_, strict=True):
        np.testing.assert_allclose(mine, other, **{"rtol": 1e-12, "atol": 1e-14} | tolerance)
