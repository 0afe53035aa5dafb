"""What a sweep finds: a record and a network of each run."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn.checks import check_integer, counted
from fastnn.models.ensemble import Ensemble
from fastnn.models.mlp import MLP


@dataclass(frozen=True, eq=False)
class Sweep:
    """The result of a sweep.

    Attributes
    ----------
    records : list of dict
        One for each setting, seed and fold: the setting's entries, ``setting`` (its number), ``seed``, ``fold``,
        ``loss``, ``validation_loss``, ``epochs`` and ``stopped``. The loss and the epochs are those of the run; what a
        setting calls so is in `settings`.
    settings : list of dict
        The settings, by number.
    networks : list of MLP
        The network of each record.
    fold_of : ndarray of int, shape (n,), or None
        The fold in which each sample was held out.
    """

    records: list[dict[str, Any]]
    settings: list[dict[str, Any]]
    networks: list[MLP]
    fold_of: NDArray[np.intp] | None = None

    def __repr__(self) -> str:
        return f"<Sweep: {counted(len(self.settings), 'setting')}, {counted(len(self.records), 'run')}>"

    def members(self, setting: int) -> tuple[Ensemble, NDArray[np.float64]]:
        """The networks of a setting, and the samples that each was trained on, as `fastnn.intervals` takes them.

        Parameters
        ----------
        setting : int
            Number of the setting.

        Returns
        -------
        many : Ensemble
            Its K networks.
        sample_weight : ndarray of float64, shape (K, n)
            1 where a network was trained on a sample, 0 where the sample was held out.

        Raises
        ------
        TypeError, ValueError
            If `setting` is not a number, the sweep had no folds, or no run of this setting was finished.
        """
        if self.fold_of is None:
            raise ValueError("members must come from a sweep with folds, which hold samples out; this one had none")
        number = check_integer("setting", setting, 0)
        runs = [k for k, record in enumerate(self.records) if record["setting"] == number]
        if not runs:
            raise ValueError(f"setting must be the number of a setting with finished runs; got {number}")
        params = np.array([self.networks[k].params for k in runs])
        folds = np.array([self.records[k]["fold"] for k in runs])
        return Ensemble(self.networks[runs[0]].spec, params), (self.fold_of != folds[:, None]).astype(np.float64)

    def summary(self) -> list[dict[str, Any]]:
        """One record for each setting, best first: mean and standard deviation of the losses over seeds and folds.

        Settings are ranked by the validation loss, or without one by the loss, each by its own: settings that differ in
        ``loss``, or in its numbers, cannot be compared by it. Runs that diverged are counted, but left out of the
        means.
        """
        rows = []
        runs_of: list[list[dict[str, Any]]] = [[] for _ in self.settings]
        for record in self.records:
            runs_of[record["setting"]].append(record)
        for i, (setting, runs) in enumerate(zip(self.settings, runs_of, strict=True)):
            sound = [record for record in runs if record["stopped"] != "diverged"]
            row = {"setting": i, **setting, "runs": len(runs), "diverged": len(runs) - len(sound)}
            for name in ("loss", "validation_loss"):
                values = np.array([record[name] for record in sound])
                row[f"{name}_mean"] = float(values.mean()) if len(values) else np.nan
                with np.errstate(invalid="ignore"):  # a loss may overflow where a run did not diverge
                    row[f"{name}_std"] = float(values.std()) if len(values) else np.nan
            rows.append(row)
        name = "loss_mean" if all(np.isnan(row["validation_loss_mean"]) for row in rows) else "validation_loss_mean"
        return sorted(rows, key=lambda row: (np.isnan(row[name]), row[name]))

    def frame(self) -> Any:
        """The records as a data frame of pandas, or of polars if pandas is not installed.

        Raises
        ------
        ImportError
            If neither is installed.
        """
        for name, frame_of in (("pandas", _pandas_frame), ("polars", _polars_frame)):
            try:
                library = importlib.import_module(name)
            except ImportError:
                continue
            return frame_of(library, self.records)
        raise ImportError("frame() needs pandas or polars, and neither is installed; records holds the same")


def _pandas_frame(pandas: Any, records: list[dict[str, Any]]) -> Any:
    return pandas.DataFrame(records)


def _polars_frame(polars: Any, records: list[dict[str, Any]]) -> Any:
    """A column for each entry of any record, of objects where polars has no type for all of its values."""

    def column(name: str) -> Any:
        values = [record.get(name) for record in records]
        try:  # by all records, not the first hundred
            return polars.DataFrame([{name: value} for value in values], infer_schema_length=None).to_series()
        except Exception:  # whatever polars raises of a mixture
            return polars.Series(name, values, dtype=polars.Object)

    return polars.DataFrame([column(name) for name in dict.fromkeys(name for record in records for name in record)])
