"""A whole ``fit`` with default parameters beside scikit-learn's own: ``pytest bench/bench_sklearn.py``.

Standardised data, one thread. The table's factors are the speed-up; ``-s`` also shows the held-out scores of either
over twenty seeds, which must agree within their spread. A grid search is timed on one thread and on two, and several
starts are timed together and in turn.
"""

import warnings

import numpy as np
import pytest
import sklearn.neural_network as theirs
from joblib import parallel_config
from sklearn import datasets
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.preprocessing import StandardScaler

import fastnn.sklearn as ours
from fastnn.sklearn import fitting

DATA = {
    "iris": "MLPClassifier",
    "diabetes": "MLPRegressor",
    "breast_cancer": "MLPClassifier",
    "digits": "MLPClassifier",
}
MODULES = {"scikit-learn": theirs, "fastnn": ours}
ROUNDS = {"scikit-learn": 7, "fastnn": 15}
SEEDS = 20

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def load(name):
    X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    return StandardScaler().fit_transform(X), y


@pytest.mark.parametrize("library", MODULES)
@pytest.mark.parametrize("name", DATA)
def bench_fit(benchmark, name, library):
    """One fit, as a user writes it."""
    X, y = load(name)
    model = getattr(MODULES[library], DATA[name])(random_state=0)
    benchmark.group = f"fit of {name}, {X.shape[0]} x {X.shape[1]}"
    benchmark.pedantic(model.fit, (X, y), rounds=ROUNDS[library], warmup_rounds=1)
    benchmark.extra_info["epochs"] = model.n_iter_


@pytest.mark.parametrize("jobs", [1, 2])
def bench_search(benchmark, jobs, every_core):
    """Four settings in four folds on threads of one process, which run at once because a fit leaves the GIL alone."""
    if every_core < jobs:
        pytest.skip(f"there are fewer than {jobs} cores")
    X, y = load("digits")
    grid = {"alpha": [1e-4, 1e-2], "learning_rate_init": [1e-3, 3e-3]}
    search = GridSearchCV(ours.MLPClassifier(random_state=0), grid, cv=4, refit=False, n_jobs=jobs)
    benchmark.group = "grid search on digits, 16 fits"
    with parallel_config(backend="threading"):
        benchmark.pedantic(search.fit, (X, y), rounds=3, warmup_rounds=1)


@pytest.mark.parametrize("way", ["together", "in turn"])
def bench_restarts(benchmark, way, monkeypatch):
    """Sixteen starts, of which the best is kept."""
    X, y = load("iris")
    if way == "in turn":
        monkeypatch.setattr(fitting, "goes_together", lambda *args: False)
    model = ours.MLPClassifier(16, n_restarts=16, random_state=0)
    benchmark.group = "16 starts on iris"
    benchmark.pedantic(model.fit, (X, y), rounds=5, warmup_rounds=1)


@pytest.mark.parametrize("name", DATA)
def bench_scores(name):
    """Held-out scores over seeds, of splits and of fits: no benchmark, but what makes the times worth comparing."""
    X, y = load(name)
    scores = {library: [] for library in MODULES}
    for seed in range(SEEDS):
        X_fit, X_test, y_fit, y_test = train_test_split(X, y, test_size=0.25, random_state=seed)
        for library, module in MODULES.items():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                model = getattr(module, DATA[name])(random_state=seed).fit(X_fit, y_fit)
            scores[library].append(model.score(X_test, y_test))
    means = {library: np.mean(values) for library, values in scores.items()}
    spread = np.std(scores["scikit-learn"], ddof=1)
    print("\n" + ", ".join(f"{library} {mean:.4f}" for library, mean in means.items()), f"(spread {spread:.4f})")
    assert abs(means["fastnn"] - means["scikit-learn"]) < spread
