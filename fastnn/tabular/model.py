"""Networks with the table they were trained on: how its columns become inputs, and its target an output."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from fastnn.checks import counted, listed
from fastnn.models.ensemble import Ensemble
from fastnn.models.mlp import MLP, network_over
from fastnn.models.normal_outputs import means_and_variances, variance_of_mixture
from fastnn.settings import catalogue
from fastnn.tabular import saved
from fastnn.tabular.encoding import Column, encode
from fastnn.tabular.frames import as_frame, distinct
from fastnn.tabular.numerals import Numerals
from fastnn.tabular.reading import Table
from fastnn.tabular.target import Target

if TYPE_CHECKING:
    import polars

INTERVAL = (0.05, 0.95)  # quantiles over the networks


@dataclass(frozen=True, eq=False)
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

    def __repr__(self) -> str:
        return f"<TableModel: {self.target.name!r} from {counted(len(self.columns), 'column')} by {self.many!r}>"

    @property
    def net(self) -> MLP:
        """The network that did best on the rows by which it stopped."""
        best = self.networks[0]
        return network_over(best.spec, best.params, self.domain)

    @property
    def networks(self) -> Ensemble:
        """All the networks."""
        return cast(Ensemble, self.many)

    def predict(self, frame: Any) -> polars.DataFrame:
        """Predict a table.

        Parameters
        ----------
        frame : polars.DataFrame, pandas.DataFrame, dict of arrays, or Table
            A table with the columns of the training table, in any order; other columns are ignored.

        Returns
        -------
        polars.DataFrame
            A column with the target's name. If the noise was learned, also its standard deviation, ``NAME_std``; if
            quantiles were, a column for each, such as ``NAME_0.05``, the nearest to the median being the first column
            as well. For numbers predicted by several networks, also ``NAME_low`` and ``NAME_high``, between which nine
            in ten of the networks lie; this is not an interval for the values themselves. For classes, also the
            ``probability`` of the predicted class, and ``probability_CLASS`` of each.

        Raises
        ------
        ValueError
            If a column is missing, or contains values that its kind does not allow.

        Warns
        -----
        UserWarning
            If values are of a category that training did not have, or are missing where none was.
        """
        X, _, unforeseen = self._inputs(self._table(frame))
        for remark in unforeseen:
            warnings.warn(remark, UserWarning, stacklevel=2)
        return self._predicted(X)

    def predict_with_remarks(self, frame: Any) -> tuple[polars.DataFrame, list[str]]:
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
            As in `predict`.
        """
        X, ignored, unforeseen = self._inputs(self._table(frame))
        return self._predicted(X), [*ignored, *unforeseen, *self._outside(X)]

    def _table(self, frame: Any) -> Table:
        return frame if isinstance(frame, Table) else Table(as_frame(frame), self.numerals)

    def _predicted(self, X: NDArray[np.float32]) -> polars.DataFrame:
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

    def decode(self, outputs: NDArray[Any]) -> tuple[NDArray[Any], dict[str, NDArray[Any]]]:
        """Translate networks' outputs into what the table calls them.

        Parameters
        ----------
        outputs : ndarray, shape (K, n, n_out)
            The outputs of all the networks.

        Returns
        -------
        values : ndarray, shape (n,)
            The predictions of the target.
        more : dict of str to ndarray, shape (n,)
            The further columns of `predict`, by their names. A name that is taken already gets a counter, as for a
            target called ``probability``.
        """
        values, more = self._translated(outputs)
        names = distinct([self.target.name, *(name for name, _ in more)])[1:]
        return values, dict(zip(names, (column for _, column in more), strict=True))

    def _translated(self, outputs: NDArray[Any]) -> tuple[NDArray[Any], list[tuple[str, NDArray[Any]]]]:
        """The values, and further columns with the names that they should have."""
        mean, target = outputs.mean(axis=0, dtype=np.float64), self.target
        if target.classes is None:

            def real(standardised: NDArray[Any]) -> NDArray[Any]:
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
        """Save the model, for `TableModel.load`; `fastnn.load` reads only the best network from the file.

        The file appears whole or not at all.

        Parameters
        ----------
        path : path_like
            The file, whose name ends in ``.safetensors``.

        Raises
        ------
        ImportError
            If safetensors is not installed.
        OSError
            If the file cannot be written.
        TypeError, ValueError
            If `path` is not a path with this ending or is not a file, or the table has too many names for its header.
        """
        saved.save(path, saved.SavedTable(**vars(self)))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> TableModel:
        """Load a file that `save` wrote, in this version or an earlier one; nothing in it is executed.

        Parameters
        ----------
        path : path_like
            The file.

        Returns
        -------
        TableModel

        Raises
        ------
        ImportError
            If safetensors is not installed.
        OSError
            If the file cannot be read.
        TypeError, ValueError
            If `path` is not a path, or the file is damaged or not a model of a table.
        """
        return cls(*saved.load(path))
