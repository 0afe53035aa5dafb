"""Train networks on a table: each stops early on its own validation rows; their mean is judged on rows held out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn.ensembles.fit_many import WORTH_COMPILING, fit_many
from fastnn.models.domain import measure
from fastnn.models.ensemble import Ensemble
from fastnn.models.mlp import MLP
from fastnn.settings import catalogue
from fastnn.settings.early_stopping import EarlyStopping
from fastnn.settings.optimizers import Adam
from fastnn.tabular.model import TableModel
from fastnn.tabular.preparing import FOLDS, PreparedTable
from fastnn.tabular.scoring import first_scores, score

MOST_IN_DOMAIN = 500  # inputs; the domain of more would outweigh the networks


@dataclass(frozen=True)
class TableSettings:
    """How networks are trained.

    Attributes
    ----------
    hidden : tuple of int
        Widths of the hidden layers; empty for a linear model.
    activation : str
        Activation of the hidden layers.
    epochs : int
        Largest number of epochs.
    learning_rate : float
        Learning rate of Adam.
    seed : int
        Seed of the split, the initial weights and the shuffles.
    repeats : int
        Number of networks, which differ in their initial weights, their shuffles and the rows by which they stop; the
        prediction is their mean.
    threads : int
        Number of threads that share the work; the networks do not depend on it.
    l2 : float
        The penalty, which is divided by the number of rows, as a prior counts for less the more rows there are.
    batch_size : int or None
        Number of rows in a batch; None for 32, or for 256 if there are 20,000 rows or more to train on.
    patience : int
        Number of epochs without improvement after which a network stops.
    class_weight : {"balanced"} or None
        Whether every class has the same weight, however many rows it has.
    loss : str or None
        The loss by which a number is learned, of those in the catalogue; None for the squared error.
    quantiles : tuple of float
        The levels of the quantiles or expectiles, for the losses that learn them.
    """

    hidden: tuple[int, ...] = (64, 64)
    activation: str = "tanh"
    epochs: int = 300
    learning_rate: float = 3e-3
    seed: int = 0
    repeats: int = FOLDS
    threads: int = 1
    l2: float = 0.0
    batch_size: int | None = None
    patience: int = 20
    class_weight: str | None = None
    loss: str | None = None
    quantiles: tuple[float, ...] = ()


@dataclass(frozen=True)
class TrainingResult:
    """The result of training on a table.

    Attributes
    ----------
    model : TableModel
        The networks and their columns.
    many : Ensemble
        The networks, and how their training went.
    scores : dict of str to dict
        Scores of the networks and of two simple models on the rows held out, as `scoring.score` computes them.
    spread : ndarray, shape (repeats,)
        The first score of each network; NaN if it diverged.
    predicted : ndarray, shape (n,)
        Predictions for the rows held out.
    """

    model: TableModel
    many: Ensemble
    scores: dict[str, dict[str, float]]
    spread: NDArray
    predicted: NDArray


def train(
    table: PreparedTable, settings: TableSettings, baselines: dict[str, dict[str, float]], progress: bool | None = None
) -> TrainingResult:
    """Train networks on a table; after Ctrl-C the result is that of the networks that were finished.

    Parameters
    ----------
    table : PreparedTable
        The table.
    settings : TableSettings
        How to train.
    baselines : dict of str to dict
        Scores of simple models, from `scoring.baselines`.
    progress : bool, optional
        As in `fit_many`.

    Raises
    ------
    KeyboardInterrupt
        After Ctrl-C, if no network was finished.
    ValueError
        If training diverged.
    """
    table = learned_by(table, settings)
    many = fit(table, settings, progress)
    sound = many.best(int((many.stopped != "diverged").sum()))
    outputs = sound.mean(table.held_out.X)
    scores = {"network": score(table.target.prediction(outputs), table), **baselines}
    saved = _settings_to_save(replace(settings, repeats=len(many)))
    about = {"rows": len(table.train.y), "held out": len(table.held_out.y), **saved}
    domain = measure(table.train.X, sound.spec) if table.n_in <= MOST_IN_DOMAIN else None
    model = TableModel(
        sound, table.columns, table.target, scores["network"], table.left_out, about, table.numerals, domain
    )
    return TrainingResult(model, many, scores, first_scores(many, table), model.decode(outputs[None])[0])


def _settings_to_save(settings: TableSettings) -> dict[str, str | float]:
    """The settings that a model file keeps."""
    return {
        name: ",".join(map(str, value)) if isinstance(value, tuple) else value
        for name, value in vars(settings).items()
        if name != "threads" and value is not None and (value != () or name == "hidden")
    }


def learned_by(table: PreparedTable, settings: TableSettings) -> PreparedTable:
    """The table, whose target is learned as the settings say; raises as `Target.learned_by`."""
    return replace(table, target=table.target.learned_by(settings.loss, settings.quantiles))


def network(table: PreparedTable, settings: TableSettings) -> MLP:
    """A network for a table, before it is trained."""
    return MLP(
        (table.n_in, *settings.hidden, table.n_out),
        activation=settings.activation,
        output_activation=catalogue.LOSSES[table.target.loss].default_output,
        dtype="float32",
        init=initializer_of(settings.activation),
        rng=settings.seed,
    )


def initializer_of(activation: str) -> str:
    """How the initial weights of a network with this hidden activation are drawn."""
    return "he_uniform" if activation.endswith("elu") else "glorot_uniform"


def shared_options(table: PreparedTable, settings: TableSettings) -> dict[str, Any]:
    """The options with which every network for a table is trained, whatever is compared."""
    n = len(table.train.X)
    levels = table.target.quantiles
    return {
        "loss": table.target.loss,
        **({"quantiles": levels} if levels else {}),
        "epochs": settings.epochs,
        "batch_size": min(n, settings.batch_size or (32 if n < 20_000 else 256)),
        "early_stopping": EarlyStopping(patience=settings.patience),
    }


def row_weights(table: PreparedTable, settings: TableSettings) -> NDArray[np.float64]:
    """The weight of each row to train on, shape (n,).

    Raises
    ------
    ValueError
        If classes are to be weighted and the target is a number.
    """
    if settings.class_weight is None:
        return np.ones(len(table.fold))
    if table.target.classes is None:
        raise ValueError("--class-weight is for classes; the target is a number")
    counts = np.bincount(table.train.y, minlength=table.n_out)
    return len(table.fold) / (counts[table.train.y] * np.count_nonzero(counts))


def fit(table: PreparedTable, settings: TableSettings, progress: bool | None = None) -> Ensemble:
    """Train the networks, each of which stops by its own part of the rows; after Ctrl-C return those finished.

    Raises
    ------
    KeyboardInterrupt
        If none is finished.
    ValueError
        If all diverged.
    """
    weights, member = row_weights(table, settings), np.arange(settings.repeats)
    watched = table.fold == member[:, None] % (table.fold.max() + 1)  # the rows by which each member stops
    (X, _), y = table.train, table.outputs
    many = fit_many(
        network(table, settings).spec,
        X,
        y,
        members=settings.repeats,
        init=initializer_of(settings.activation),
        optimizer=Adam(settings.learning_rate),
        sample_weight=weights * ~watched,
        validation_data=(X, y, weights * watched),
        l2=settings.l2 / len(X),
        rng=settings.seed,
        progress=progress,
        threads=settings.threads,
        specialize=settings.repeats >= WORTH_COMPILING,
        history=settings.repeats == 1,  # for the figure
        warn=False,  # said below
        **shared_options(table, settings),
    )
    if not len(many):
        raise KeyboardInterrupt
    if (many.stopped == "diverged").all():
        raise ValueError(f"training diverged at a learning rate of {settings.learning_rate:g}; a smaller one may help")
    return many
