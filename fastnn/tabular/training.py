"""A network for a table, stopped early and judged on rows held out, beside two simple models to beat."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn.ensembles.fit_many import fit_many
from fastnn.models.ensemble import Ensemble
from fastnn.models.mlp import MLP
from fastnn.settings.early_stopping import EarlyStopping
from fastnn.settings.optimizers import Adam
from fastnn.settings.spec import NetworkSpec
from fastnn.tabular.model import TableModel
from fastnn.tabular.preparing import Prepared
from fastnn.training.blas import blas_threads
from fastnn.training.history import History

PENALTY = 20.0  # over the number of rows it is the l2 penalty: a prior, whose part shrinks as rows come in
PATIENCE = 20


@dataclass(frozen=True)
class Settings:
    """How a network is trained.

    Attributes
    ----------
    hidden : tuple of int
        Widths of the hidden layers.
    activation : str
        Theirs.
    epochs : int
        At most; training ends after `PATIENCE` epochs without an improvement.
    learning_rate : float
        Of Adam.
    seed : int
        Of the first weights and the shuffles.
    repeats : int
        Networks that differ in their first weights and shuffles alone; the best on the validation rows is kept.
    threads : int
        They share the work; the networks do not depend on it.
    """

    hidden: tuple[int, ...] = (32, 32)
    activation: str = "relu"
    epochs: int = 200
    learning_rate: float = 3e-3
    seed: int = 0
    repeats: int = 1
    threads: int = 1


@dataclass(frozen=True)
class Outcome:
    """What came of it.

    Attributes
    ----------
    model : TableModel
        The network and its columns.
    history : History, or None
        Of the one network.
    scores : dict of str to float
        On the rows held out, of the network and of the two simple models: r2, or the share classified correctly.
    spread : ndarray, shape (repeats,)
        The score of each network; NaN where it diverged.
    predicted : ndarray, shape (n,)
        For the rows held out.
    """

    model: TableModel
    history: History | None
    scores: dict[str, float]
    spread: NDArray
    predicted: NDArray


def train(table: Prepared, settings: Settings, progress: bool | None = None) -> Outcome:
    """Train a network, or many of which the best is kept, on a table.

    Parameters
    ----------
    table : Prepared
        What is learned from what.
    settings : Settings
        How.
    progress : bool, optional
        As in `MLP.fit`.

    Raises
    ------
    KeyboardInterrupt
        After Ctrl-C.
    ValueError
        If training diverged.
    """
    net = network(table, settings.hidden, settings)
    history = None
    if settings.repeats == 1:
        history = _fit(net, table, settings, progress)
        spread = judge(net.predict(table.held[0]), table)[None]
    else:
        many = _fit_many(net.spec, table, settings, progress)
        spread = judges(many, table)
        net = many.best(1)[0]
    outputs = net.predict(table.held[0])
    scores = {"network": float(judge(outputs, table)), **baselines(table, settings, progress)}
    measure = "r2" if table.target.classes is None else "accuracy"
    model = TableModel(net, table.columns, table.target, {measure: scores["network"]})
    return Outcome(model, history, scores, spread, table.target.decode(outputs)[0])


def judge(outputs: NDArray, table: Prepared) -> NDArray:
    """Score outputs, shape (..., n, n_out), on the rows held out: r2, or the share classified correctly."""
    y = table.held[1]
    if table.target.classes is not None:
        return (outputs.argmax(axis=-1) == y).mean(axis=-1)
    residual = ((outputs[..., 0].astype(np.float64) - y) ** 2).sum(axis=-1)
    return 1 - residual / max(float(((y - y.mean(dtype=np.float64)) ** 2).sum()), np.finfo(float).tiny)


def judges(many: Ensemble, table: Prepared) -> NDArray[np.float64]:
    """The score of each member, shape (K,); NaN where it diverged."""
    scores = np.array([judge(net.predict(table.held[0]), table) for net in many], dtype=np.float64)
    return np.where(many.stopped == "diverged", np.nan, scores)


def baselines(table: Prepared, settings: Settings, progress: bool | None) -> dict[str, float]:
    """Scores of a linear model, and of the mean or the most frequent class for every row."""
    linear = _linear(table, settings, progress)
    constant = np.zeros((len(table.held[1]), table.n_out))
    if table.target.classes is None:
        constant[:] = table.train[1].mean(dtype=np.float64)
    else:
        constant[:, np.bincount(table.train[1]).argmax()] = 1
    return {"linear": float(judge(linear.predict(table.held[0]), table)), "constant": float(judge(constant, table))}


def network(table: Prepared, hidden: Sequence[int], settings: Settings) -> MLP:
    """A network for a table, before it is trained."""
    return MLP(
        (table.n_in, *hidden, table.n_out),
        activation=settings.activation,
        output_activation="identity" if table.target.classes is None else "softmax",
        dtype="float32",
        init=init(settings.activation),
        rng=settings.seed,
    )


def init(activation: str) -> str:
    """How the first weights of a network are drawn."""
    return "he_uniform" if activation.endswith("elu") else "glorot_uniform"


def options(table: Prepared, epochs: int) -> dict[str, Any]:
    """How every network for a table is trained, whatever its settings."""
    n = len(table.train[0])
    return {
        "loss": "mse" if table.target.classes is None else "cross_entropy",
        "epochs": epochs,
        "batch_size": min(n, 32 if n < 20_000 else 256),
        "l2": PENALTY / n,
        "early_stopping": EarlyStopping(patience=PATIENCE),
        "validation_data": table.validation,
    }


def _fit(net: MLP, table: Prepared, settings: Settings, progress: bool | None) -> History:
    shared = options(table, settings.epochs)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "training diverged", RuntimeWarning)  # said below, in a line
        history = net.fit(
            *table.train,
            optimizer=Adam(settings.learning_rate),
            rng=settings.seed,
            progress=progress,
            threads=settings.threads,
            **shared,
        )
    if history.stopped == "interrupted":
        raise KeyboardInterrupt
    if history.stopped == "diverged":
        raise ValueError(f"training diverged at a rate of {settings.learning_rate:g}; a smaller one may do")
    return history


def _fit_many(spec: NetworkSpec, table: Prepared, settings: Settings, progress: bool | None) -> Ensemble:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "training diverged|interrupted", RuntimeWarning)
        many = fit_many(
            spec,
            *table.train,
            members=settings.repeats,
            init=init(settings.activation),
            optimizer=Adam(settings.learning_rate),
            rng=settings.seed,
            progress=progress,
            threads=settings.threads,
            **options(table, settings.epochs),
        )
    if len(many) < settings.repeats:
        raise KeyboardInterrupt
    if (many.stopped == "diverged").all():
        raise ValueError(f"training diverged at a rate of {settings.learning_rate:g}; a smaller one may do")
    return many


def _linear(table: Prepared, settings: Settings, progress: bool | None) -> MLP:
    """A network without hidden layers: logistic regression by the same means, or least squares as they are solved."""
    net = network(table, (), settings)
    if table.target.classes is not None:
        _fit(net, table, replace(settings, learning_rate=0.03), progress)
        return net
    X, y = table.train
    inputs = np.column_stack([X, np.ones(len(X))]).astype(np.float64)
    with blas_threads(settings.threads):
        gram = inputs.T @ inputs
        gram[np.diag_indices_from(gram)] += 1e-6 * len(X)  # columns may depend on each other
        net.params[:] = np.linalg.solve(gram, inputs.T @ y)
    return net
