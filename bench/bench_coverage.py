"""How often intervals hold the target, how wide they are, and what they cost.

    pip install scikit-learn statsmodels mapie
    python bench/bench_coverage.py --mapie 2

Data sets that packages ship are split at random, again and again: a quarter to test, and of the rest two thirds to
learn from and one to calibrate, or all to learn from where nothing is calibrated. Over all splits of one table the
samples are exchangeable: the mean coverage has to keep the promise, but for the error of a mean over this many splits.
MAPIE with scikit-learn's network does the same to `MAPIE_SET`, fewer times, for it takes long; seconds are those of the
processor, per split.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from time import process_time
from typing import Any

import numpy as np
from numpy.typing import NDArray

import fastnn

LEVELS = (0.5, 0.8, 0.9, 0.95)
HIDDEN, EPOCHS, BATCH, RATE = 16, 100, 32, 0.01
BOOTSTRAPS, FOLDS, MEMBERS = 30, 10, 10
MAPIE_SET = "diabetes"

#: From this many members on `fit_many` takes kernels of their own, which are compiled before the clock starts.
COMPILED_FOR = 32

Split = tuple[NDArray, NDArray, NDArray]  # the rows to learn from, to calibrate and to test
Ends = list[tuple[NDArray, NDArray]]  # low and high for each level


# ---------------------------------------------------------------- data
def data_sets(dtype: str) -> Iterator[tuple[str, NDArray, NDArray]]:
    """Names, inputs and targets, standardised."""
    from sklearn import datasets
    from statsmodels import datasets as others

    diabetes, iris, wine = datasets.load_diabetes(), datasets.load_iris(), datasets.load_wine()
    tumours = datasets.load_breast_cancer().data
    engel, invest = others.engel.load_pandas().data.to_numpy(), others.grunfeld.load_pandas().data
    schools = others.star98.load_pandas().data.to_numpy()
    tables = {
        "diabetes": (diabetes.data, diabetes.target),
        "iris, petal width": (iris.data[:, :3], iris.data[:, 3]),
        "wine, colour": (np.delete(wine.data, 9, axis=1), wine.data[:, 9]),
        "tumours, worst area": (tumours[:, :10], tumours[:, 23]),
        "engel": (engel[:, :1], engel[:, 1]),
        "grunfeld": (invest[["value", "capital", "year"]].to_numpy(), invest["invest"].to_numpy()),
        "star98": (schools[:, 2:14], schools[:, 0] / schools[:, :2].sum(axis=1)),
    }
    for name, (X, y) in tables.items():
        X, y = X.astype(float), y.astype(float)
        X, y = (X - X.mean(axis=0)) / X.std(axis=0), (y - y.mean()) / y.std()
        yield name, X.astype(dtype), y.astype(dtype)


def splits_of(n: int, count: int, rng: np.random.Generator) -> list[Split]:
    """`count` ways to divide n rows."""
    quarter = n // 4
    orders = [rng.permutation(n) for _ in range(count)]
    return [(rows[2 * quarter :], rows[quarter : 2 * quarter], rows[:quarter]) for rows in orders]


# ---------------------------------------------------------------- what learns, and what is made of it
def trained(X: NDArray, y: NDArray, rows: NDArray, n_out: int = 1, **settings: object) -> fastnn.Ensemble:
    """A network for each row of `rows`, which says what it learns from, all in one call."""
    spec = fastnn.MLP((X.shape[1], HIDDEN, n_out), dtype=X.dtype).spec
    options = {"epochs": EPOCHS, "optimizer": fastnn.Adam(RATE), "batch_size": BATCH, "rng": 0, "progress": False}
    many = fastnn.fit_many(spec, X[rows], y[rows][:, :, np.newaxis], members=len(rows), **options, **settings)
    assert (many.stopped == "finished").all()
    return many


def learned(splits: list[Split], copies: int = 1) -> NDArray:
    """The rows that are learned from, for each split as often as there are copies."""
    return np.repeat([learn for learn, _, _ in splits], copies, axis=0)


def group(many: fastnn.Ensemble, k: int, size: int) -> fastnn.Ensemble:
    """The members of one split."""
    return fastnn.Ensemble(many.spec, many.params[k * size : (k + 1) * size])


def all_levels(
    model: fastnn.MLP | fastnn.Ensemble, X: NDArray, y: NDArray, rows: NDArray, test: NDArray, **options: Any
) -> Ends:
    """What an interval for each level says of the rows to test."""
    ends = []
    for level in LEVELS:
        low, _, high = fastnn.intervals(model, X[rows], y[rows], coverage=level, **options).predict(X[test])
        ends.append((low[:, 0], high[:, 0]))
    return ends


def absolute(X: NDArray, y: NDArray, splits: list[Split]) -> list[Ends]:
    """A network each, and its errors on the calibration set."""
    many = trained(X, y, learned(splits))
    return [all_levels(many[k], X, y, calibrate, test) for k, (_, calibrate, test) in enumerate(splits)]


def normalised(X: NDArray, y: NDArray, splits: list[Split]) -> list[Ends]:
    """Networks that differ in their initial weights, by whose spread widths are scaled."""
    many = trained(X, y, learned(splits, MEMBERS))
    return [
        all_levels(group(many, k, MEMBERS), X, y, calibrate, test, method="normalised")
        for k, (_, calibrate, test) in enumerate(splits)
    ]


def quantile(X: NDArray, y: NDArray, splits: list[Split]) -> list[Ends]:
    """A network of quantiles for each level."""
    found: list[Ends] = [[] for _ in splits]
    for level in LEVELS:
        quantiles, options = [(1 - level) / 2, 0.5, (1 + level) / 2], {"coverage": level, "method": "quantile"}
        many = trained(X, y, learned(splits), 3, loss="pinball", quantiles=quantiles)
        for k, (_, c, test) in enumerate(splits):
            low, _, high = fastnn.intervals(many[k], X[c], y[c], **options).predict(X[test])
            found[k].append((low[:, 0], high[:, 0]))
    return found


def jackknife(X: NDArray, y: NDArray, splits: list[Split], counts_of: Callable[[int], NDArray]) -> list[Ends]:
    """Networks that left samples out, `counts_of` n rows saying how often each takes which."""
    kept = [np.concatenate(split[:2]) for split in splits]
    counts = [counts_of(len(rows)) for rows in kept]
    many = trained(X, y, np.repeat(kept, len(counts[0]), axis=0), sample_weight=np.concatenate(counts))
    return [
        all_levels(group(many, k, len(counts[k])), X, y, rows, test, method="jackknife+", sample_weight=counts[k])
        for k, (rows, (_, _, test)) in enumerate(zip(kept, splits, strict=True))
    ]


def after_bootstrap(X: NDArray, y: NDArray, splits: list[Split]) -> list[Ends]:
    """Jackknife+ after bootstrap."""
    rng = np.random.default_rng(1)

    def counts_of(n: int) -> NDArray:
        while True:
            counts = rng.multinomial(n, np.full(n, 1 / n), size=BOOTSTRAPS).astype(float)
            if (counts == 0).any(axis=0).all():
                return counts

    return jackknife(X, y, splits, counts_of)


def cross_validation(X: NDArray, y: NDArray, splits: list[Split]) -> list[Ends]:
    """CV+."""
    folds = np.arange(FOLDS)[:, np.newaxis]
    return jackknife(X, y, splits, lambda n: (np.arange(n) % FOLDS != folds).astype(float))


METHODS: dict[str, Callable[[NDArray, NDArray, list[Split]], list[Ends]]] = {
    "absolute": absolute,
    "normalised": normalised,
    "quantile": quantile,
    "jackknife+": after_bootstrap,
    "CV+": cross_validation,
}


# ---------------------------------------------------------------- what is promised
def bounds(method: str, level: float, split: Split) -> tuple[float, float]:
    """Least and greatest coverage that the method's theory allows; see `fastnn.intervals`."""
    n_learn, n_calibrate = len(split[0]), len(split[1])
    if method in ("jackknife+", "CV+"):
        return max(0.0, 2 * level - 1 - (np.sqrt(2 / (n_learn + n_calibrate)) if method == "CV+" else 0)), 1.0
    return level, level + 1 / (n_calibrate + 1)


def judged(y: NDArray, splits: list[Split], found: list[Ends]) -> tuple[NDArray, NDArray]:
    """Coverage and mean width of each split and level; shape (splits, levels)."""
    inside = [
        [np.mean((low <= y[s[2]]) & (y[s[2]] <= high)) for low, high in f] for s, f in zip(splits, found, strict=True)
    ]
    widths = [[np.mean(high - low) for low, high in ends] for ends in found]
    return np.array(inside), np.array(widths)


# ---------------------------------------------------------------- MAPIE
def mapie(method: str, X: NDArray, y: NDArray, split: Split, seed: int) -> Ends:
    """The same of scikit-learn's network by MAPIE, in float64."""
    from mapie.regression import CrossConformalRegressor, JackknifeAfterBootstrapRegressor, SplitConformalRegressor
    from sklearn.neural_network import MLPRegressor

    net = MLPRegressor(
        hidden_layer_sizes=(HIDDEN,),
        activation="tanh",
        alpha=0,
        batch_size=BATCH,
        learning_rate_init=RATE,
        max_iter=EPOCHS,
        tol=0,
        n_iter_no_change=EPOCHS,
        random_state=seed,
    )
    X, y = X.astype(float), y.astype(float)  # by MAPIE's own check single precision is none
    learn, calibrate, test = split
    both = np.concatenate([learn, calibrate])
    if method == "absolute":
        fitted = SplitConformalRegressor(net, LEVELS, prefit=False).fit(X[learn], y[learn])
        fitted = fitted.conformalize(X[calibrate], y[calibrate])
    elif method == "CV+":
        fitted = CrossConformalRegressor(net, LEVELS, cv=FOLDS).fit_conformalize(X[both], y[both])
    else:
        options = {"resampling": BOOTSTRAPS, "random_state": seed}  # without a seed it confuses its bootstraps
        fitted = JackknifeAfterBootstrapRegressor(net, LEVELS, **options).fit_conformalize(X[both], y[both])
    _, ends = fitted.predict_interval(X[test])
    return [(ends[:, 0, k], ends[:, 1, k]) for k in range(len(LEVELS))]


# ---------------------------------------------------------------- the tables
def main() -> None:
    """Print them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--splits", type=int, default=100, help="of each data set (default: %(default)s)")
    parser.add_argument(
        "--dtype", choices=("float32", "float64"), default="float32", help="of the networks; MAPIE computes in float64"
    )
    parser.add_argument(
        "--mapie", type=int, default=0, metavar="SPLITS", help="splits that MAPIE is given (default: none)"
    )
    args = parser.parse_args()
    title = "".join(f"{level:>16.0%}" for level in LEVELS)
    print(f"{'data, n':26}{'method':12}{title}   s a split   (coverage, mean width in the target's deviations)")
    broken = 0
    for name, X, y in data_sets(args.dtype):
        splits = splits_of(len(X), args.splits, np.random.default_rng(0))
        for method, run in METHODS.items():
            run(X, y, splits[:COMPILED_FOR])
            clock = process_time()
            found = run(X, y, splits)
            seconds = (process_time() - clock) / len(splits)
            coverage, width = judged(y, splits, found)
            mean, error = coverage.mean(axis=0), coverage.std(axis=0) / np.sqrt(len(splits))
            limits = [bounds(method, level, splits[0]) for level in LEVELS]
            kept = [a - 3 * e <= m <= b + 3 * e for m, e, (a, b) in zip(mean, error, limits, strict=True)]
            broken += kept.count(False)
            cells = "".join(
                f"{m:>8.3f}{' ' if k else '!'}{w:>7.2f}" for m, k, w in zip(mean, kept, width.mean(axis=0), strict=True)
            )
            print(f"{f'{name}, {len(X)}':26}{method:12}{cells}   {seconds:9.4f}", flush=True)
            if name == MAPIE_SET and args.mapie and method in ("absolute", "jackknife+", "CV+"):
                clock = process_time()
                theirs = [mapie(method, X, y, split, k) for k, split in enumerate(splits[: args.mapie])]
                slow = (process_time() - clock) / args.mapie
                coverage, width = judged(y, splits[: args.mapie], theirs)
                cells = "".join(
                    f"{m:>8.3f} {w:>7.2f}" for m, w in zip(coverage.mean(axis=0), width.mean(axis=0), strict=True)
                )
                print(f"{'':26}{'by MAPIE':12}{cells}   {slow:9.4f}   {slow / seconds:.0f} times as long", flush=True)
    print(f"\nOutside of what theory allows, by three standard errors: {broken} of the means (marked with !).")


if __name__ == "__main__":
    main()
