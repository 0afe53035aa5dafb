"""A network for a table: rows held out, a network stopped early, and two simple models to beat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn.history import History
from fastnn.many import fit_many
from fastnn.model import MLP
from fastnn.optimizers import Adam
from fastnn.spec import NetworkSpec
from fastnn.tabular.encoding import encode, learn_columns, numbers
from fastnn.tabular.model import TableModel, Target
from fastnn.watch import EarlyStopping

FEW = 20  # whole numbers of so few values are classes
HELD_OUT, VALIDATION = 0.2, 0.15  # of the rows; of those that are left
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
        Of the split, the first weights and the shuffles.
    repeats : int
        Networks that differ in their first weights and shuffles alone; the best on the validation rows is kept.
    task : {"regression", "classification"} or None
        None tells by the target.
    """

    hidden: tuple[int, ...] = (32, 32)
    activation: str = "relu"
    epochs: int = 200
    learning_rate: float = 3e-3
    seed: int = 0
    repeats: int = 1
    task: str | None = None


@dataclass(frozen=True)
class Outcome:
    """What came of it.

    Attributes
    ----------
    model : TableModel
        The network and its columns.
    rows : dict of str to int
        How many were trained on, validated on and held out.
    left_out : dict of str to str
        Columns that could not be used, and why.
    dropped : int
        Rows without a target.
    history : History, or None
        Of the one network.
    scores : dict of str to float
        On the rows held out, of the network and of the two simple models: r2, or the share classified correctly.
    spread : ndarray, shape (repeats,)
        The score of each network.
    true, predicted : ndarray, shape (n,)
        Of the rows held out.
    """

    model: TableModel
    rows: dict[str, int]
    left_out: dict[str, str]
    dropped: int
    history: History | None
    scores: dict[str, float]
    spread: NDArray
    true: NDArray
    predicted: NDArray


def train(frame: Any, target: str, settings: Settings, progress: bool | None = None) -> Outcome:
    """Train a network on a table.

    Parameters
    ----------
    frame : polars.DataFrame
        The table.
    target : str
        Name of the column to predict.
    settings : Settings
        How.
    progress : bool, optional
        As in `MLP.fit`.

    Raises
    ------
    ValueError
        If the table has no such column, too few rows, or nothing to learn from.
    """
    if target not in frame.columns:
        raise ValueError(f"the table has no column {target!r}; it has {', '.join(frame.columns[:20])}")
    rows = frame.height
    frame = frame.drop_nulls(target)
    if frame.height < 10:
        raise ValueError(f"at least 10 rows with a {target!r} are needed; the table has {frame.height}")
    classify = settings.task == "classification" or (settings.task is None and _are_classes(frame[target]))
    goal, y = _classes(frame[target]) if classify else (Target(target), numbers(frame[target]))
    train_rows, valid_rows, held_rows = _split(y if classify else np.zeros(len(y)), settings.seed)
    if not classify:
        scale = float(y[train_rows].std())
        if not scale:
            raise ValueError(f"column {target!r} is constant: there is nothing to learn")
        goal = Target(target, None, float(y[train_rows].mean()), scale)
        y = ((y - goal.mean) / goal.scale).astype(np.float32)
    inputs = frame.drop(target)
    columns, left_out = learn_columns(inputs[train_rows])
    if not columns:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in left_out.items())
        raise ValueError(f"no column beside {target!r} can be learned from ({reasons})")
    X, _ = encode(columns, inputs)

    data = (X[train_rows], y[train_rows]), (X[valid_rows], y[valid_rows])
    n_out = len(goal.classes) if goal.classes is not None else 1
    sizes = (X.shape[1], *settings.hidden, n_out)
    net = _network(sizes, settings, classify)
    history, spread = None, np.empty(0)
    if settings.repeats == 1:
        history = _fit(net, *data, settings, classify, progress)
    else:
        net, spread = _fit_many(net.spec, *data, (X[held_rows], y[held_rows]), settings, classify, progress)
    held_X, held_y = X[held_rows], y[held_rows]
    linear = _linear(*data, n_out, settings, classify)
    outputs = {
        "network": net.predict(held_X),
        "linear": linear.predict(held_X),
        "constant": _constant(data[0][1], n_out, held_y),
    }
    scores = {name: float(score(output, held_y, classify)) for name, output in outputs.items()}
    if settings.repeats == 1:
        spread = np.array([scores["network"]])
    model = TableModel(net, columns, goal, {"accuracy" if classify else "r2": scores["network"]})
    counts = {"trained on": len(train_rows), "validated on": len(valid_rows), "held out": len(held_rows)}
    predicted, _, _ = model.predict(inputs[held_rows])
    true = np.array(goal.classes)[held_y] if goal.classes is not None else held_y * goal.scale + goal.mean
    return Outcome(model, counts, left_out, rows - frame.height, history, scores, spread, true, predicted)


def score(outputs: NDArray, y: NDArray, classify: bool) -> NDArray:
    """The coefficient of determination, or the share classified correctly; `outputs` of shape (..., n, n_out)."""
    if classify:
        return (outputs.argmax(axis=-1) == y).mean(axis=-1)
    residual = ((outputs[..., 0].astype(np.float64) - y) ** 2).sum(axis=-1)
    return 1 - residual / max(float(((y - y.mean(dtype=np.float64)) ** 2).sum()), np.finfo(float).tiny)


def _are_classes(series: Any) -> bool:
    kind = str(series.dtype)
    if not series.dtype.is_numeric():
        return True
    return kind.startswith(("Int", "UInt")) and series.n_unique() <= FEW and series.n_unique() * 5 <= len(series)


def _classes(series: Any) -> tuple[Target, NDArray]:
    """The classes of a target, and the number of each row's."""
    names, labels = np.unique(series.cast(str).to_numpy().astype(str), return_inverse=True)
    if not 2 <= len(names) <= 1000:
        raise ValueError(f"column {series.name!r} has {len(names)} classes; there must be 2 to 1000")
    return Target(series.name, tuple(map(str, names))), labels.astype(np.intp)


def _split(groups: NDArray, seed: int) -> list[NDArray[np.intp]]:
    """Rows to train on, to validate on and to hold out: of each group in the same proportions, as far as that goes."""
    rng = np.random.default_rng(seed)
    parts: list[list[NDArray[np.intp]]] = [[], [], []]
    for group in np.unique(groups):
        rows = rng.permutation(np.flatnonzero(groups == group))
        n_held = int(HELD_OUT * len(rows) + rng.random())
        n_valid = int(VALIDATION * (len(rows) - n_held) + rng.random())
        for part, piece in zip(parts, np.split(rows, [len(rows) - n_held - n_valid, len(rows) - n_held]), strict=True):
            part.append(piece)
    train, valid, held = (np.sort(np.concatenate(part)) for part in parts)
    if not (len(train) and len(valid) and len(held)):
        raise ValueError(f"{len(groups)} rows are too few to hold some out of each class")
    return [train, valid, held]


def _network(sizes: Sequence[int], settings: Settings, classify: bool) -> MLP:
    return MLP(
        sizes,
        activation=settings.activation,
        output_activation="softmax" if classify else "identity",
        dtype="float32",
        init="he_uniform" if settings.activation.endswith("elu") else "glorot_uniform",
        rng=settings.seed,
    )


def _options(n: int, settings: Settings, classify: bool) -> dict[str, Any]:
    return {
        "loss": "cross_entropy" if classify else "mse",
        "optimizer": Adam(learning_rate=settings.learning_rate),
        "epochs": settings.epochs,
        "batch_size": min(n, 32 if n < 20_000 else 256),
        "l2": PENALTY / n,
        "early_stopping": EarlyStopping(patience=PATIENCE),
        "rng": settings.seed,
    }


def _fit(net: MLP, train: Any, valid: Any, settings: Settings, classify: bool, progress: bool | None) -> History:
    options = _options(len(train[0]), settings, classify)
    return net.fit(*train, validation_data=valid, progress=progress, **options)


def _fit_many(
    spec: NetworkSpec, train: Any, valid: Any, held: Any, settings: Settings, classify: bool, progress: bool | None
) -> tuple[MLP, NDArray]:
    """The best of many on the validation rows, and the score of each on those held out."""
    options = _options(len(train[0]), settings, classify)
    init = "he_uniform" if settings.activation.endswith("elu") else "glorot_uniform"
    many = fit_many(
        spec, *train, members=settings.repeats, validation_data=valid, init=init, progress=progress, **options
    )
    spread = np.array([score(net.predict(held[0]), held[1], classify) for net in many])
    return many.best(1)[0], spread


def _linear(train: Any, valid: Any, n_out: int, settings: Settings, classify: bool) -> MLP:
    """A network without hidden layers: logistic regression by the same means, or least squares as they are solved."""
    X, y = train
    net = _network((X.shape[1], n_out), settings, classify)
    if classify:
        _fit(net, train, valid, replace(settings, learning_rate=0.03), True, False)
        return net
    inputs = np.column_stack([X, np.ones(len(X))]).astype(np.float64)
    gram = inputs.T @ inputs
    gram[np.diag_indices_from(gram)] += 1e-6 * len(X)  # columns may depend on each other
    net.params[:] = np.linalg.solve(gram, inputs.T @ y)
    return net


def _constant(y: NDArray, n_out: int, held: NDArray) -> NDArray:
    """The mean, or the most frequent class, for every row."""
    outputs = np.zeros((len(held), n_out))
    if n_out > 1:
        outputs[:, np.bincount(y).argmax()] = 1
    else:
        outputs[:] = y.mean(dtype=np.float64)
    return outputs
