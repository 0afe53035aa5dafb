"""Networks with the table they were trained on: how its columns become inputs, and its target an output."""

from __future__ import annotations

import json
import math
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from fastnn.checks import counted, listed
from fastnn.checks.extras import require
from fastnn.models import files, writing
from fastnn.models.ensemble import Ensemble
from fastnn.models.mlp import MLP, network_over
from fastnn.models.normal_outputs import means_and_variances, variance_of_mixture
from fastnn.models.reading import LONGEST_HEADER, LONGEST_TABLE, open_safetensors, path_of, refusing, require_file
from fastnn.settings import catalogue
from fastnn.settings.spec import NetworkSpec
from fastnn.tabular.encoding import Column, encode
from fastnn.tabular.frames import as_frame, distinct
from fastnn.tabular.numerals import Numerals
from fastnn.tabular.reading import Table
from fastnn.tabular.target import Target

VERSION = 2
KEY = "fastnn.table"  # of the metadata
MADE = "path must be a model that `fastnn train` made"
TOO_LONG = "names, categories and their means are too many for a model to be saved; --leave-out leaves columns out"
INTERVAL = (0.05, 0.95)  # quantiles over the networks


@dataclass(frozen=True)
class TableModel:
    """Networks trained on a table, whose mean is the prediction of its target.

    It is saved as ``.safetensors`` (extra ``io``).

    Attributes
    ----------
    many : Ensemble, or MLP
        Networks from standardised inputs to a standardised output, or to the probabilities of classes; the best first.
    columns : tuple of Column
        How each column of the table becomes inputs.
    target : Target
        The meaning of the output.
    scores : dict of str to float
        The scores that were reported after training.
    left_out : dict of str to str
        Columns that were not used, and why.
    about : dict
        Rows, seed and settings of the training.
    numerals : Numerals
        How numbers were written in the training file.
    domain : ndarray of float64, or None
        The domain of the training inputs, as `MLP.with_domain` keeps it; None if there are too many inputs.

    Examples
    --------
    >>> model = fastnn.TableModel.load("data.safetensors")
    >>> model.predict(frame)
    """

    many: Ensemble | MLP
    columns: tuple[Column, ...]
    target: Target
    scores: dict[str, float]
    left_out: dict[str, str] = field(default_factory=dict)
    about: dict[str, Any] = field(default_factory=dict)
    numerals: Numerals = field(default_factory=Numerals)
    domain: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        """Accept a single network."""
        if isinstance(self.many, MLP):
            object.__setattr__(self, "many", Ensemble(self.many.spec, self.many.params[None]))

    @property
    def net(self) -> MLP:
        """The network that did best on the rows by which it stopped."""
        best = cast(MLP, self.networks[0])
        return network_over(best.spec, best.params, self.domain)

    @property
    def networks(self) -> Ensemble:
        """All the networks."""
        return cast(Ensemble, self.many)

    def predict(self, frame: Any) -> Any:
        """Predict a table.

        Parameters
        ----------
        frame : polars.DataFrame, pandas.DataFrame, dict of arrays, or Table
            A table with the columns of the training table, in any order; other columns are ignored.

        Returns
        -------
        polars.DataFrame
            A column with the target's name. If the noise was learned also its standard deviation, ``NAME_std``, and of
            quantiles a column each, such as ``NAME_0.05``, of which the first column is the one nearest to the median.
            For numbers predicted by several networks also ``NAME_low`` and ``NAME_high``, between which nine in ten of
            the networks lie; this is not an interval for the values themselves. For classes also the ``probability`` of
            the predicted class, and ``probability_CLASS`` of each.

        Raises
        ------
        ValueError
            If a column is missing, or contains values that its kind does not allow.

        Warns
        -----
        UserWarning
            Of values of no category known from training, and of missing ones where none was.
        """
        X, _, unforeseen = self._inputs(self._table(frame))
        for remark in unforeseen:
            warnings.warn(remark, UserWarning, stacklevel=2)
        return self._predicted(X)

    def predict_with_remarks(self, frame: Any) -> tuple[Any, list[str]]:
        """Predict a table, and say in what it differs from that of training.

        Parameters
        ----------
        frame : polars.DataFrame, pandas.DataFrame, dict of arrays, or Table
            As in `predict`.

        Returns
        -------
        predicted : polars.DataFrame
            The predictions of `predict`.
        remarks : list of str
            A sentence each on columns that are ignored, categories that training did not have, values missing where
            none was, and rows outside the range of the training data; empty if there is nothing to be said.

        Raises
        ------
        ValueError
            As `predict`.
        """
        X, ignored, unforeseen = self._inputs(self._table(frame))
        return self._predicted(X), [*ignored, *unforeseen, *self._outside(X)]

    def _table(self, frame: Any) -> Table:
        return frame if isinstance(frame, Table) else Table(as_frame(frame), self.numerals, "")

    def _predicted(self, X: NDArray[np.float32]) -> Any:
        import polars

        values, more = self.decode(self.networks.predict(X))
        return polars.DataFrame({self.target.name: values, **more})

    def _inputs(self, table: Table) -> tuple[NDArray[np.float32], list[str], list[str]]:
        """Inputs, and remarks: on columns that are ignored, and on values that training did not foresee."""
        frame, names = table.frame, [column.name for column in self.columns]
        there = set(frame.columns)
        absent = [name for name in names if name not in there]
        if absent:
            raise ValueError(f"the table must have the columns of training; it lacks {listed([*map(repr, absent)])}")
        ignored, unforeseen = [], []
        known = {*names, *self.left_out, self.target.name}
        if extra := [name for name in frame.columns if name not in known]:
            ignored.append(f"Columns that the training table did not have are ignored: {listed([*map(repr, extra)])}.")
        values = [column.read(frame[column.name], table.numerals) for column in self.columns]
        X, unseen = encode(self.columns, values)
        for name, count in unseen.items():
            unforeseen.append(f"Column {name!r}: {counted(count, 'value')} of no category known from training.")
        for column, value in zip(self.columns, values, strict=True):
            lost = int(np.isnan(value).sum()) if column.levels is None else value.null_count()
            if lost and not column.missing:
                how = "the mean" if column.levels is None else "no category"
                lacks = f"Column {column.name!r}: {counted(lost, 'value')} missing, though none was in training"
                unforeseen.append(f"{lacks}; a missing one counts as {how}.")
        return X, ignored, unforeseen

    def _outside(self, X: NDArray[np.float32]) -> list[str]:
        """A remark on rows with numbers beyond those of training, if there are any."""
        if self.domain is None or not len(X):
            return []
        low, high = np.split(self.domain[: 2 * X.shape[1]], 2)
        beyond = np.maximum(np.maximum(low - X, X - high), 0)  # in standard deviations
        is_number = np.repeat([c.levels is None for c in self.columns], [c.width for c in self.columns])
        beyond = np.where(is_number, beyond, 0)
        count = int(beyond.any(axis=1).sum())
        if not count:
            return []
        most = int(beyond.max(axis=0).argmax())
        column = int(np.repeat(np.arange(len(self.columns)), [c.width for c in self.columns])[most])
        return [
            f"{count:,} of {len(X):,} rows {'lie' if count > 1 else 'lies'} outside the range of the training data, "
            f"the farthest by {beyond.max():.2g} standard deviations, in {self.columns[column].name!r}."
        ]

    def decode(self, outputs: NDArray) -> tuple[NDArray, dict[str, NDArray]]:
        """Translate networks' outputs, shape (K, n, n_out), into values, shape (n,), and further columns by name.

        A name that there is already gets a counter, as that of a target ``probability``.
        """
        values, more = self._columns(outputs)
        names = distinct([self.target.name, *(name for name, _ in more)])[1:]
        return values, dict(zip(names, (column for _, column in more), strict=True))

    def _columns(self, outputs: NDArray) -> tuple[NDArray, list[tuple[str, NDArray]]]:
        """The values, and further columns with the names that they should have."""
        mean, target = outputs.mean(axis=0, dtype=np.float64), self.target
        if target.classes is None:

            def real(standardised: NDArray) -> NDArray:
                return np.round(standardised * target.scale + target.mean, target.decimals)

            predicted, more = target.prediction(outputs)[..., 0], []
            if target.loss == "gaussian_nll":
                means, variances = means_and_variances(outputs.astype(np.float64), catalogue.MIN_VARIANCE.default)
                std = np.sqrt(variance_of_mixture(means, variances))[:, 0]
                more.append((f"{target.name}_std", np.round(std * target.scale, target.decimals)))
            more += [(f"{target.name}_{level}", real(mean[:, k])) for k, level in enumerate(target.level_names)]
            if len(outputs) > 1:
                low, high = np.quantile(predicted, INTERVAL, axis=0) if outputs.shape[1] else np.empty((2, 0))
                more += [(f"{target.name}_low", real(low)), (f"{target.name}_high", real(high))]
            return real(predicted.mean(axis=0, dtype=np.float64)), more
        best = mean.argmax(axis=1)
        chances = mean.astype(np.float32)
        each = [(f"probability_{name}", chances[:, k]) for k, name in enumerate(target.classes)]
        return target.names[best], [("probability", chances[np.arange(len(best)), best]), *each]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the file, whole or not at all; from it `fastnn.load` reads only the best network.

        Raises
        ------
        ImportError
            If safetensors is not installed.
        OSError
            If the file cannot be written.
        ValueError
            If the path has another ending or is not a file, or the table has too many names for its header.
        """
        place = path_of(path)
        if place.suffix != ".safetensors":
            raise ValueError(f"path must end in .safetensors; got {str(path)!r}")
        about = {
            "version": VERSION,
            "columns": [asdict(column) for column in self.columns],
            "target": asdict(self.target),
            "scores": {name: score for name, score in self.scores.items() if math.isfinite(score)},
            "left_out": self.left_out,
            "about": self.about,
            "numerals": asdict(self.numerals),
            "positions": self.networks.positions.tolist(),
        }
        header = {"fastnn": files.header_of(self.net.spec), KEY: json.dumps(about)}
        arrays = {"params": self.net.params, "members": np.ascontiguousarray(self.networks.params)}
        if self.domain is not None:
            arrays["domain"] = self.domain
        if sum(map(len, header.values())) > LONGEST_TABLE // 2:
            raise ValueError(TOO_LONG)
        writing.write_whole(place, require("safetensors.numpy", "io").save(arrays, metadata=header))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> TableModel:
        """Read a file that `save` wrote, in this version or an earlier one; nothing in it is executed.

        Raises
        ------
        ImportError
            If safetensors is not installed.
        OSError
            If the file cannot be read.
        ValueError
            If it is damaged, or not a model of a table.
        """
        place = path_of(path)
        if place.suffix != ".safetensors":
            raise ValueError(f"{MADE}, and end in .safetensors; got {str(path)!r}")
        require_file(place)
        with refusing(place, files.SAVED):
            (spec, params, domain, _), texts = files.read_safetensors(place)
        if KEY not in texts:
            raise ValueError(f"{MADE}; got {str(path)!r}, another network, which fastnn.load reads")
        with refusing(place, MADE):
            about = json.loads(texts[KEY])
            if about["version"] not in (1, VERSION):
                raise ValueError(f"its version is {about['version']}, this fastnn reads versions up to {VERSION}")
            columns = tuple(_column(fields, about["version"]) for fields in about["columns"])
            target = _target(**about["target"])
            scores = {str(name): float(value) for name, value in about["scores"].items()}
            left_out = {_text(name): _text(reason) for name, reason in about.get("left_out", {}).items()}
            about_training = {_text(name): _plain(value) for name, value in about.get("about", {}).items()}
            numerals = _numerals(**about.get("numerals", {}))
            if (spec.n_in, spec.n_out) != (sum(column.width for column in columns), target.n_out):
                raise ValueError("its columns do not fit its network")
            if spec.output_activation != (catalogue.LOSSES[target.loss].logits_of or "identity"):
                raise ValueError(f"its target does not fit a network of {spec.output_activation} outputs")
            if len(set(target.classes or ())) < len(target.classes or ()):
                raise ValueError("a class occurs twice")
            if len({column.name for column in columns}) != len(columns):
                raise ValueError("a column occurs twice")
            members = params[None] if about["version"] == 1 else _members(place, spec)
            positions = _positions(about.get("positions"), len(members))
        many = Ensemble(spec, members, positions=positions)
        return cls(many, columns, target, scores, left_out, about_training, numerals, domain)


def check_saveable(columns: Sequence[Column], left_out: Mapping[str, str], target: Target) -> None:
    """Refuse, before it is trained, a model that `TableModel.save` would refuse.

    Raises
    ------
    ValueError
        If the table has too many names for the header of the file.
    """
    described = json.dumps([[asdict(column) for column in columns], dict(left_out), asdict(target)])
    if len(described) > LONGEST_TABLE // 2 - LONGEST_HEADER:  # what is left is for all else
        raise ValueError(TOO_LONG)


def is_table_model(path: str) -> bool:
    """Whether a file that `fastnn.load` reads was written by `TableModel.save`."""
    place = path_of(path)
    require_file(place)
    with refusing(place, files.SAVED), open_safetensors(place) as file:
        return KEY in (file.metadata() or {})


def _members(path: Path, spec: NetworkSpec) -> NDArray:
    """The parameters of all the networks, of which `fastnn.load` reads the first."""
    with open_safetensors(path) as file:
        shape, dtype = files.claim_of(file, "members")
        if len(shape) != 2 or not shape[0] or shape[1] != spec.n_params or dtype != spec.dtype:
            raise ValueError(f"its members are of shape {shape}, its network has {spec.n_params} parameters")
        return file.get_tensor("members")


def _positions(values: Any, members: int) -> NDArray[np.intp] | None:
    """The networks' positions among those that were trained, which older files lack."""
    if values is None:
        return None
    if not isinstance(values, list) or len(values) != members or not all(type(k) is int and k >= 0 for k in values):
        raise ValueError(f"its positions must be a number of at least 0 for each of {counted(members, 'network')}")
    return np.array(values, np.intp)


def _column(fields: dict[str, Any], version: int) -> Column:
    """A column of a file, which is not trusted."""
    if not {"levels", "mean", "scale", "missing"} <= fields.keys():  # for which there are defaults
        raise ValueError(f"a column has only {', '.join(fields)}")
    column = Column(**fields)
    if not isinstance(column.missing, bool):
        raise TypeError(f"missing must be true or false; got {column.missing!r}")
    if column.kind not in ("number", "date", "category", "many") or (column.levels is None) != (
        column.kind in ("number", "date")
    ):
        raise ValueError(f"a column cannot be a {column.kind!r} with levels {column.levels!r:.40}")
    means = tuple(tuple(_finite(mean) for mean in row) for row in column.means)
    if column.kind == "many" and (
        {len(row) for row in means} != {len(means[0])} or len(means) != len(column.levels or ()) + 1
    ):
        raise ValueError("the means of a column do not fit its levels")
    levels = _texts(column.levels)
    if levels is not None and version == 1:
        levels = tuple(level.strip() for level in levels)
    if levels is not None and len(set(levels)) < len(levels):
        raise ValueError("a column has a level twice")
    return Column(
        _text(column.name), levels, _finite(column.mean), _scale(column.scale), column.missing, column.kind, means,
        _text(column.form), _texts(column.strays) or (),
    )  # fmt: skip


def _target(name: str, classes: Any, mean: float, scale: float, loss: str | None = None, quantiles: Any = ()) -> Target:
    about = _text(name), _texts(classes), _finite(mean), _scale(scale)
    if classes is not None:
        return Target(*about, loss="cross_entropy")
    return Target(*about).learned_by(loss, tuple(map(_finite, quantiles)))


def _numerals(decimal: str = ".", thousands: str = "", missing: Any = ()) -> Numerals:
    if len(_text(decimal)) != 1 or len(_text(thousands)) > 1 or decimal == thousands:
        raise ValueError(
            f"its numbers cannot have {decimal!r:.40} before fractions and {thousands!r:.40} between thousands"
        )
    return Numerals(decimal, thousands, _texts(missing) or ())


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"a name must be a string; got {value!r}")
    return value


def _plain(value: Any) -> str | float:
    if not isinstance(value, (str, int, float)):
        raise TypeError(f"a setting must be a string or a number; got {value!r}")
    return value


def _texts(values: Any) -> tuple[str, ...] | None:
    if isinstance(values, str):
        raise TypeError(f"texts must be a list; got {values!r}")
    return None if values is None else tuple(_text(value) for value in values)


def _finite(value: Any) -> float:
    if type(value) not in (int, float) or not math.isfinite(value):
        raise ValueError(f"a mean or a scale must be finite; got {value!r}")
    return float(value)


def _scale(value: Any) -> float:
    if not _finite(value) > 0:
        raise ValueError(f"a scale must be above 0; got {value!r}")
    return float(value)
