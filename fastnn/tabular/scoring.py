"""Scores of networks and of simple models beside them, by scikit-learn's measures (extra ``data``)."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

from fastnn.checks import listed
from fastnn.checks.extras import require
from fastnn.models.ensemble import Ensemble
from fastnn.models.mlp import MLP
from fastnn.tabular.preparing import PreparedTable
from fastnn.training.blas import blas_threads

FEW_HELD_OUT, FEW_OF_A_CLASS = 50, 5  # rows; with fewer a score says little


def score(outputs: NDArray, table: PreparedTable) -> dict[str, float]:
    """Scores of outputs, shape (n, n_out), on the rows held out.

    Returns
    -------
    dict of str to float
        The most important score first; NaN if a score is not defined.
    """
    metrics = require("sklearn.metrics", extra="data")
    y, target = table.held_out.y, table.target
    if not np.isfinite(outputs).all():
        return dict.fromkeys(("r2", "rmse", "mae") if target.classes is None else ("accuracy",), np.nan)
    if target.classes is None:
        true = y.astype(np.float64) * target.scale
        predicted = outputs[:, 0].astype(np.float64) * target.scale
        r2 = metrics.r2_score(true, predicted) if len(y) > 1 and np.ptp(y) > 0 else np.nan
        error = true - predicted
        return {"r2": float(r2), "rmse": float(np.sqrt((error**2).mean())), "mae": float(np.abs(error).mean())}
    chances = np.clip(outputs.astype(np.float64), 1e-7, None)  # a float32 of 0 would make the log-loss infinite
    chances /= chances.sum(axis=1, keepdims=True)
    best, classes = chances.argmax(axis=1), np.arange(len(target.classes))
    present, counts = np.unique(y, return_counts=True)
    recalls = metrics.recall_score(y, best, labels=present, average=None, zero_division=0)
    scores = {"accuracy": float((best == y).mean()), "balanced": np.nan, "rare recall": np.nan}
    if len(present) > 1:  # of one class alone they would flatter
        scores |= {"balanced": float(recalls.mean()), "rare recall": float(recalls[counts.argmin()])}
    scores["log-loss"] = float(metrics.log_loss(y, chances, labels=classes))
    scores["auc"] = np.nan
    if len(classes) == 2 and len(present) == 2:
        scores["auc"] = float(metrics.roc_auc_score(y, chances[:, 1]))
    elif len(present) == len(classes):
        scores["auc"] = float(metrics.roc_auc_score(y, chances, multi_class="ovr", labels=classes))
    return scores


def first_scores(many: Ensemble, table: PreparedTable) -> NDArray[np.float64]:
    """The first score of each member, shape (K,); NaN if it diverged."""
    return np.array([first_score(net, stopped, table) for net, stopped in zip(many, many.stopped, strict=True)])


def first_score(net: MLP, stopped: str, table: PreparedTable) -> float:
    """The first score of a network on the rows held out; NaN if it diverged."""
    if stopped == "diverged":
        return np.nan
    return next(iter(score(table.target.prediction(net.predict(table.held_out.X)), table).values()))


def baselines(table: PreparedTable) -> dict[str, dict[str, float]]:
    """Scores of scikit-learn's linear model, and of a model that predicts the mean, or the shares of the classes."""
    linear_model = require("sklearn.linear_model", extra="data")
    X, y = table.train
    constant = np.tile(table.outputs.mean(axis=0, dtype=np.float64), (len(table.held_out.y), 1))
    with blas_threads():
        if table.target.classes is None:
            linear = linear_model.RidgeCV(np.logspace(-3, 3, 13)).fit(X.astype(np.float64), y.astype(np.float64))
            outputs = linear.predict(table.held_out.X.astype(np.float64))[:, None]
        else:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that it has not converged matters little here
                linear = linear_model.LogisticRegression(max_iter=300).fit(X, y)
            outputs = np.zeros((len(table.held_out.y), table.n_out))
            outputs[:, linear.classes_] = linear.predict_proba(table.held_out.X)
    return {"linear": score(outputs, table), "constant": score(constant, table)}


def rarest(table: PreparedTable) -> str:
    """The rarest class among the rows held out."""
    present, counts = np.unique(table.held_out.y, return_counts=True)
    return str(table.target.names[present[counts.argmin()]])


def warnings_of(table: PreparedTable) -> list[str]:
    """Reasons not to trust the scores."""
    y, said = table.held_out.y, []
    if len(y) < FEW_HELD_OUT:
        said.append(f"Only {len(y)} rows are held out: the scores may be far off by chance.")
    if table.target.classes is not None:
        counts = np.bincount(y, minlength=table.n_out)
        few = [f"{table.target.classes[k]!r} {counts[k]}" for k in np.flatnonzero(counts < FEW_OF_A_CLASS)]
        if few:
            said.append(f"Few rows held out of a class, whose recall says little: {listed(few)}.")
        share = counts.max() / len(y)
        if share > 0.9:
            said.append(f"One class makes up {share:.1%} of the rows: accuracy says little, balanced accuracy more.")
    return said
