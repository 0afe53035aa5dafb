"""Five hundred bootstraps of a regression on scikit-learn's diabetes data: members in lanes, and one by one.

Each is a 10-16-1 network with its own resampling and its own early stopping on what its resampling left out.
scikit-learn's MLPRegressor in a joblib loop does the same work, and must come to the same test errors.
"""

import os
import warnings
from time import perf_counter

import numpy as np
import pytest

import fastnn

MEMBERS, EPOCHS, BATCH = int(os.environ.get("BENCH_MEMBERS", "500")), 200, 32


def data():
    """Standardised samples and targets of training and of test, and each bootstrap's rows."""
    datasets = pytest.importorskip("sklearn.datasets")
    X, y = datasets.load_diabetes(return_X_y=True)
    rng = np.random.default_rng(0)
    order = rng.permutation(len(X))
    X, y = X[order] / X.std(), ((y - y.mean()) / y.std())[order]
    rows = rng.integers(342, size=(MEMBERS, 342))
    return X[:342], y[:342], X[342:], y[342:], rows


def in_lanes(X, y, rows):
    """The bootstraps, as weights of the samples."""
    counts = np.stack([np.bincount(row, minlength=len(X)) for row in rows]).astype(float)
    return fastnn.fit_many(
        fastnn.MLP((10, 16, 1), activation="relu").spec,
        X,
        y,
        members=len(rows),
        sample_weight=counts,
        validation_data=(X, y, (counts == 0).astype(float)),
        early_stopping=fastnn.EarlyStopping(patience=10, min_improvement=1e-4),
        optimizer=fastnn.Adam(1e-3),
        batch_size=BATCH,
        epochs=EPOCHS,
        rng=0,
        progress=False,
    )


def one_by_one(X, y, rows):
    """The same, by scikit-learn: it holds a tenth of each resampling out."""
    joblib, network = pytest.importorskip("joblib"), pytest.importorskip("sklearn.neural_network")

    def fit(k):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return network.MLPRegressor(
                hidden_layer_sizes=(16,),
                batch_size=BATCH,
                max_iter=EPOCHS,
                early_stopping=True,
                alpha=0.0,
                random_state=k,
            ).fit(X[rows[k]], y[rows[k]])

    return joblib.Parallel(n_jobs=1)(joblib.delayed(fit)(k) for k in range(len(rows)))


def bench_bootstraps(minima):
    X, y, X_test, y_test, rows = data()
    in_lanes(X, y, rows[:16])  # compiles
    clock = perf_counter()
    many = in_lanes(X, y, rows)
    lanes = perf_counter() - clock
    few = rows[: min(50, len(rows))]
    clock = perf_counter()
    regressors = one_by_one(X, y, few)
    loop = (perf_counter() - clock) * len(rows) / len(few)
    errors = ((many.predict(X_test)[:, :, 0] - y_test) ** 2).mean(axis=1)
    others = np.array([((net.predict(X_test) - y_test) ** 2).mean() for net in regressors])
    print(f"\n{len(rows)} bootstraps: fit_many {lanes:.3g} s, scikit-learn {loop:.3g} s, ratio {loop / lanes:.3g}")
    print(
        f"test errors: {errors.mean():.3f} ± {errors.std():.3f}, scikit-learn {others.mean():.3f} ± {others.std():.3f}"
    )
    assert abs(np.median(errors) - np.median(others)) < 3 * max(errors.std(), others.std())


@pytest.mark.parametrize("rows", [1, 10, 100])
@pytest.mark.parametrize("how", ["fastnn", "numpy"])
def bench_predict_members(benchmark, how, rows):
    """Outputs of 1,000 networks 2-16-1 in float32: `Ensemble.predict`, and NumPy's products of stacks of matrices."""
    net, rng = fastnn.MLP((2, 16, 1), dtype="float32"), np.random.default_rng(0)
    many = fastnn.Ensemble(net.spec, rng.normal(size=(1000, net.params.size)).astype("float32"))
    (W1, b1), (W2, b2) = (
        [np.stack(parts) for parts in zip(*((member.weights[l], member.biases[l]) for member in many), strict=True)]
        for l in (0, 1)
    )
    X = rng.normal(size=(rows, 2)).astype("float32")

    def by_numpy(X):
        return np.tanh(X @ W1 + b1[:, None]) @ W2 + b2[:, None]

    np.testing.assert_allclose(by_numpy(X), many.predict(X), rtol=1e-3, atol=1e-4)
    benchmark.group = f"predict of 1,000 members, {rows} rows"
    benchmark.pedantic({"fastnn": many.predict, "numpy": by_numpy}[how], (X,), rounds=50, warmup_rounds=2)
