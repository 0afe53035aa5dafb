"""A table's model as a file: networks as `fastnn.models.files` keeps them, all else as JSON in the metadata.

Nothing in a file is trusted: each name and number is checked before it is believed.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastnn.checks import counted
from fastnn.checks.extras import require
from fastnn.models import files
from fastnn.models.ensemble import Ensemble
from fastnn.models.reading import (
    LONGEST_HEADER,
    LONGEST_TABLE,
    open_safetensors,
    path_of,
    read_steady,
    refusing,
    require_file,
)
from fastnn.models.writing import write_whole
from fastnn.settings import catalogue
from fastnn.settings.spec import NetworkSpec
from fastnn.tabular.encoding import Column
from fastnn.tabular.numerals import Numerals
from fastnn.tabular.target import Target

VERSION = 2
KEY = "fastnn.table"  # of the metadata
MADE = "path must be a model that `fastnn train` made"
TOO_LONG = "names, categories and their means are too many for a model to be saved; --leave-out leaves columns out"


class SavedTable(NamedTuple):
    """The contents of a file: the attributes of `fastnn.tabular.model.TableModel`, in the same order."""

    many: Ensemble
    columns: tuple[Column, ...]
    target: Target
    scores: dict[str, float]
    left_out: dict[str, str]
    about: dict[str, Any]
    numerals: Numerals
    domain: NDArray[np.float64] | None


def save(path: str | os.PathLike[str], model: SavedTable) -> None:
    """Write a file, which appears whole or not at all: see `TableModel.save`."""
    place = path_of(path)
    if place.suffix != ".safetensors":
        raise ValueError(f"path must end in .safetensors; got {str(path)!r}")
    described = {
        "version": VERSION,
        "columns": [asdict(column) for column in model.columns],
        "target": asdict(model.target),
        "scores": {name: score for name, score in model.scores.items() if math.isfinite(score)},
        "left_out": model.left_out,
        "about": model.about,
        "numerals": asdict(model.numerals),
        "positions": model.many.positions.tolist(),
    }
    header = {"fastnn": files.header_of(model.many.spec), KEY: json.dumps(described)}
    members = np.ascontiguousarray(model.many.params)
    arrays = {"params": members[0], "members": members}  # the first, the best, for `fastnn.load`
    if model.domain is not None:
        arrays["domain"] = model.domain
    if sum(map(len, header.values())) > LONGEST_TABLE // 2:
        raise ValueError(TOO_LONG)
    write_whole(place, _in_order(require("safetensors.numpy", "io").save(arrays, metadata=header)))


def _in_order(file: bytes) -> bytes:
    """A file with the texts of its header in order: safetensors writes them in another one each time."""
    end = 8 + int.from_bytes(file[:8], "little")
    header = json.loads(file[8:end])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # as tensors are aligned
    return len(text).to_bytes(8, "little") + text + file[end:]


def load(path: str | os.PathLike[str]) -> SavedTable:
    """Read a file that `save` wrote, in this version or an earlier one: see `TableModel.load`."""
    place = path_of(path)
    if place.suffix != ".safetensors":
        raise ValueError(f"{MADE}, and end in .safetensors; got {str(path)!r}")
    require_file(place)
    return read_steady(place, _read)


def _read(place: Path) -> SavedTable:
    with refusing(place, files.SAVED):
        (spec, params, domain, _), texts = files.read_safetensors(place)
    if KEY not in texts:
        raise ValueError(f"{MADE}; got {str(place)!r}, another network, which fastnn.load reads")
    with refusing(place, MADE):
        described = json.loads(texts[KEY])
        version = described["version"]
        if version not in (1, VERSION):
            raise ValueError(f"its version is {version}, this fastnn reads versions up to {VERSION}")
        columns = tuple(_column(fields, version) for fields in described["columns"])
        target = _target(**described["target"])
        scores = {str(name): float(value) for name, value in described["scores"].items()}
        left_out = {_text(name): _text(reason) for name, reason in described.get("left_out", {}).items()}
        about = {_text(name): _plain(value) for name, value in described.get("about", {}).items()}
        numerals = _numerals(**described.get("numerals", {}))
        _check_fit(spec, columns, target)
        members = params[None] if version == 1 else _members(place, spec)
        many = Ensemble(spec, members, positions=_positions(described.get("positions"), len(members)))
    return SavedTable(many, columns, target, scores, left_out, about, numerals, domain)


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
    if place.suffix != ".safetensors":
        return False
    require_file(place)
    with refusing(place, files.SAVED), open_safetensors(place) as file:
        return KEY in (file.metadata() or {})


def _check_fit(spec: NetworkSpec, columns: Sequence[Column], target: Target) -> None:
    """Refuse columns and a target that are not those of the network, or that hold a name twice."""
    if (spec.n_in, spec.n_out) != (sum(column.width for column in columns), target.n_out):
        raise ValueError("its columns do not fit its network")
    if spec.output_activation != catalogue.LOSSES[target.loss].default_output:
        raise ValueError(f"its target does not fit a network of {spec.output_activation} outputs")
    if len(set(target.classes or ())) < len(target.classes or ()):
        raise ValueError("a class occurs twice")
    if len({column.name for column in columns}) != len(columns):
        raise ValueError("a column occurs twice")


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
    value.encode()  # which half a character, that no table can have, refuses
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
