"""A network that knows the table it was trained on, on disk as ``.safetensors`` (extra ``io``)."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from fastnn.checks.extras import require
from fastnn.models import files
from fastnn.models.mlp import MLP
from fastnn.tabular.encoding import Column, encode

VERSION = 1
KEY = "fastnn.table"  # of the metadata


@dataclass(frozen=True)
class Target:
    """The column to predict.

    Attributes
    ----------
    name : str
        In the header.
    classes : tuple of str, or None
        What it may be, or None for a number.
    mean, scale : float
        Of the number, in training.
    """

    name: str
    classes: tuple[str, ...] | None = None
    mean: float = 0.0
    scale: float = 1.0

    @property
    def names(self) -> NDArray[np.str_]:
        """The classes, as an array."""
        return np.array(self.classes)

    def decode(self, outputs: NDArray) -> tuple[NDArray, NDArray | None]:
        """What a network's outputs, shape (n, n_out), mean: values, shape (n,), and the probability of each class."""
        if self.classes is None:
            return outputs[:, 0].astype(np.float64) * self.scale + self.mean, None
        best = outputs.argmax(axis=1)
        return self.names[best], outputs[np.arange(len(best)), best]


@dataclass(frozen=True)
class TableModel:
    """A network, the columns it takes, and the target it predicts.

    Attributes
    ----------
    net : MLP
        Standardised inputs to a standardised output, or to the probabilities of classes.
    columns : tuple of Column
        Where the inputs come from.
    target : Target
        What the output means.
    scores : dict of str to float
        What was told of it when it was trained.
    """

    net: MLP
    columns: tuple[Column, ...]
    target: Target
    scores: dict[str, float]

    def predict(self, frame: Any) -> tuple[NDArray, NDArray | None, dict[str, int]]:
        """Predict a table.

        Returns
        -------
        values : ndarray, shape (n,)
            Numbers, or names of classes.
        probability : ndarray, shape (n,), or None
            Of the class named.
        unseen : dict of str to int
            As `encoding.encode` tells it.
        """
        X, unseen = encode(self.columns, frame)
        return *self.target.decode(self.net.predict(X)), unseen

    def save(self, path: str) -> None:
        """Write the file, whole or not at all; `fastnn.load` reads the network alone from it."""
        about = {
            "version": VERSION,
            "columns": [asdict(column) for column in self.columns],
            "target": asdict(self.target),
            "scores": self.scores,
        }
        header = {"fastnn": files.header_of(self.net), KEY: json.dumps(about)}
        data = require("safetensors.numpy", "io").save({"params": self.net.params}, metadata=header)
        files.write_whole(Path(path), data)


def load(path: str) -> TableModel:
    """Read what `TableModel.save` wrote.

    Nothing in the file is executed.

    Raises
    ------
    ImportError
        If safetensors is not installed.
    OSError
        If the file cannot be read.
    ValueError
        If it is damaged, or no such file.
    """
    if Path(path).suffix != ".safetensors":
        raise ValueError(f"a model of a table ends in .safetensors; got {path!r}")
    net = cast(MLP, files.load(path))  # an ensemble has another suffix
    try:
        about = json.loads(_metadata(path)[KEY])
        if about["version"] != VERSION:
            raise ValueError(f"its version is {about['version']}, this fastnn reads version {VERSION}")
        columns = tuple(_column(**fields) for fields in about["columns"])
        target = _target(**about["target"])
        scores = {str(name): float(value) for name, value in about["scores"].items()}
        n_out = 1 if target.classes is None else len(target.classes)
        if (net.spec.n_in, net.spec.n_out) != (sum(column.width for column in columns), n_out):
            raise ValueError("its columns do not fit its network")
    except KeyError as error:
        raise ValueError(f"{path} is a network that `fastnn train` did not make: {error} is missing") from error
    except (AttributeError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"{path} is damaged: {error}") from error
    return TableModel(net, columns, target, scores)


def is_table_model(path: str) -> bool:
    """Whether a file that `fastnn.load` reads was written by `TableModel.save`."""
    return KEY in _metadata(path)


def _metadata(path: str) -> dict[str, str]:
    with require("safetensors", "io").safe_open(path, framework="numpy") as file:
        return file.metadata() or {}


def _column(name: str, levels: Any, mean: float, scale: float, missing: bool) -> Column:
    if not isinstance(missing, bool):
        raise TypeError(f"missing must be true or false; got {missing!r}")
    return Column(_text(name), _texts(levels), _finite(mean), _finite(scale), missing)


def _target(name: str, classes: Any, mean: float, scale: float) -> Target:
    return Target(_text(name), _texts(classes), _finite(mean), _finite(scale))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"a name must be a text; got {value!r}")
    return value


def _texts(values: Any) -> tuple[str, ...] | None:
    return None if values is None else tuple(_text(value) for value in values)


def _finite(value: Any) -> float:
    if not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError(f"a mean or a scale must be finite; got {value!r}")
    return float(value)
