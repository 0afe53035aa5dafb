"""One file for a model and its margins or threshold: arrays of numbers and a header in JSON, never code."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn.models import files
from fastnn.models.ensemble import Ensemble
from fastnn.models.in_domain import kept_domain
from fastnn.models.load import network_of
from fastnn.models.mlp import MLP
from fastnn.models.reading import Archive, path_of, refusing, require_file
from fastnn.models.writing import write_whole
from fastnn.uncertainty.conformal import check_coverage


def save(path: str | os.PathLike[str], model: MLP | Ensemble, header: dict[str, Any], arrays: dict[str, Any]) -> None:
    """Write a file, which appears whole or not at all; raises the errors of `MLP.save`."""
    path = path_of(path)
    if path.suffix != ".npz":
        raise ValueError(f"path must end in .npz; got {str(path)!r}")
    domain, outside = kept_domain(model) if isinstance(model, MLP) else (None, "ignore")
    if domain is not None:
        arrays = arrays | {"domain": domain}
    text = json.dumps(
        {"format": files.CONFORMAL, "version": files.VERSION, **files.described(model.spec, outside), **header}
    )
    file = BytesIO()
    np.savez(file, header=np.array(text), params=model.params, **arrays)
    write_whole(path, file.getvalue())


def load(
    path: str | os.PathLike[str],
    methods: Sequence[str],
    names: Sequence[str],
    check_model: Callable[[Any, str], None],
) -> tuple[MLP | Ensemble, dict[str, Any], dict[str, NDArray[Any]]]:
    """Read the model, the header and those of the named arrays that are there; nothing in the file is trusted.

    `check_model` refuses a model that a method is not for.

    Raises
    ------
    ValueError
        If the file is damaged, or holds something else.
    OSError
        If it cannot be read.
    """
    path = path_of(path)
    require_file(path)
    with refusing(path, "path must be what fastnn.Intervals or fastnn.PredictionSets saved"), open(path, "rb") as file:
        archive = Archive(file)
        header = json.loads(archive.text("header"))
        spec = files.read_spec(header, files.CONFORMAL)
        if (header["method"] == "aps") != ("aps" in methods):
            raise ValueError(files.other_kind(header))
        if header["method"] not in methods:
            raise ValueError(f"its method is {header['method']!r}")
        header["coverage"] = check_coverage(header["coverage"])
        if len(archive.claims["params"].shape) == 1:
            model: MLP | Ensemble = network_of(files.read_network(archive, header, spec))
        else:
            files.check_params(archive.claims["params"], spec, 2)
            model = Ensemble(spec, archive.read("params"))
            if not len(model):
                raise ValueError("it has no members")
        check_model(model, header["method"])
        arrays = {name: archive.read(name) for name in names if name in archive.claims}
        _check(model, header["method"], arrays)
        return model, header, arrays


def _check(model: MLP | Ensemble, method: str, arrays: dict[str, NDArray[Any]]) -> None:
    """Refuse arrays whose shapes or values `save` does not write."""
    n_out = model.spec.n_out
    expected: dict[str, tuple[int, ...]] = {"margin": (1 if method == "quantile" else n_out,)}
    if method == "normalised" and isinstance(model, MLP):
        expected = {"margin": (n_out // 2,), "min_variance": (n_out // 2,)}
    if method == "aps":
        expected = {"threshold": ()}
    if method == "jackknife+":
        n = len(arrays["margin"])
        expected = {"margin": (n, n_out), "shares": (n, len(model.params))}
    found = {name: array.shape for name, array in arrays.items()}
    if found != expected or any(array.dtype != np.float64 for array in arrays.values()):
        raise ValueError(f"its arrays are {found}, not {expected}")
    for name, array in arrays.items():
        if not (array >= (-np.inf if method == "quantile" else 0)).all():
            raise ValueError(f"its {name} has values below 0 or NaN")
    if "shares" in arrays and not np.allclose(arrays["shares"].sum(axis=1), 1):
        raise ValueError("its shares do not sum to 1")
