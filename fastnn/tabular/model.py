"""A network that knows the table it was trained on, on disk as ``.safetensors`` (extra ``io``)."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn.checks.extras import require
from fastnn.models import files
from fastnn.models.mlp import MLP
from fastnn.models.reading import LONGEST_TABLE, open_safetensors, path_of, refusing, require_file
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
        header = {"fastnn": files.header_of(self.net.spec), KEY: json.dumps(about)}
        if sum(map(len, header.values())) > LONGEST_TABLE // 2:
            raise ValueError(f"a table of {len(self.columns):,} columns has too many names for a model to be saved")
        data = require("safetensors.numpy", "io").save({"params": self.net.params}, metadata=header)
        files.write_whole(path_of(path), data)


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
    place = path_of(path)
    if place.suffix != ".safetensors":
        raise ValueError(f"a model of a table ends in .safetensors; got {path!r}")
    require_file(place)
    with refusing(place, files.SAVED):
        spec, params, texts = files.read_safetensors(place)
    if KEY not in texts:
        raise ValueError(f"path must be a model that `fastnn train` made; got {path!r}, another network")
    with refusing(place, "path must be a model that `fastnn train` made"):
        about = json.loads(texts[KEY])
        if about["version"] != VERSION:
            raise ValueError(f"its version is {about['version']}, this fastnn reads version {VERSION}")
        columns = tuple(_column(**fields) for fields in about["columns"])
        target = _target(**about["target"])
        scores = {str(name): float(value) for name, value in about["scores"].items()}
        n_out = 1 if target.classes is None else len(target.classes)
        if (spec.n_in, spec.n_out) != (sum(column.width for column in columns), n_out):
            raise ValueError("its columns do not fit its network")
        if len({column.name for column in columns}) != len(columns):
            raise ValueError("a column is there twice")
    return TableModel(MLP._sharing(spec, params), columns, target, scores)


def is_table_model(path: str) -> bool:
    """Whether a file that `fastnn.load` reads was written by `TableModel.save`."""
    place = path_of(path)
    require_file(place)
    with refusing(place, files.SAVED), open_safetensors(place) as file:
        return KEY in (file.metadata() or {})


def _column(name: str, levels: Any, mean: float, scale: float, missing: bool) -> Column:
    if not isinstance(missing, bool):
        raise TypeError(f"missing must be true or false; got {missing!r}")
    return Column(_text(name), _texts(levels), _finite(mean), _scale(scale), missing)


def _target(name: str, classes: Any, mean: float, scale: float) -> Target:
    return Target(_text(name), _texts(classes), _finite(mean), _scale(scale))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"a name must be a text; got {value!r}")
    return value


def _texts(values: Any) -> tuple[str, ...] | None:
    return None if values is None else tuple(_text(value) for value in values)


def _finite(value: Any) -> float:
    if type(value) not in (int, float) or not math.isfinite(value):
        raise ValueError(f"a mean or a scale must be finite; got {value!r}")
    return float(value)


def _scale(value: Any) -> float:
    if not _finite(value) > 0:
        raise ValueError(f"a scale must be above 0; got {value!r}")
    return float(value)
