"""Networks and ensembles on disk: ``.npz``, which needs NumPy alone, and for networks ``.safetensors`` (extra ``io``).

Both formats hold a header in JSON that describes the network, and arrays: ``params``, and a network's domain or an
ensemble's records if there are any. Neither can hold code, so that it is safe to read files from others.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastnn.checks import check_name, check_spec
from fastnn.checks.extras import require
from fastnn.jobs.aligned import aligned_empty
from fastnn.jobs.records import STATUS_NAMES, Records
from fastnn.models.reading import (
    LONGEST_HEADER,
    STATE_HINT,
    Archive,
    Claim,
    open_safetensors,
    path_of,
    read_steady,
    refusing,
    require_file,
)
from fastnn.models.writing import write_whole
from fastnn.settings import catalogue, own
from fastnn.settings.domain import OUTSIDE, size_of
from fastnn.settings.spec import NetworkSpec

FORMAT = "fastnn.MLP"
ENSEMBLE = "fastnn.Ensemble"
CONFORMAL = "fastnn.Conformal"
VERSION = 1
SAVED = "path must be a network that fastnn saved"


class SavedNetwork(NamedTuple):
    """The contents of a network's file."""

    spec: NetworkSpec
    params: NDArray[Any]
    domain: NDArray[Any] | None = None
    outside: str = "ignore"


class SavedEnsemble(NamedTuple):
    """The contents of an ensemble's file; positions that are None are 0, 1, 2 ..."""

    spec: NetworkSpec
    params: NDArray[Any]
    records: Records | None
    seed: int | None
    positions: NDArray[np.intp] | None


def save(path: str | os.PathLike[str], content: SavedNetwork | SavedEnsemble) -> None:
    """Write a file, which appears whole or not at all: see `MLP.save` and `Ensemble.save`."""
    path = path_of(path)
    if isinstance(content, SavedNetwork):
        data = _CODECS[_suffix(path)][0](content)
    elif path.suffix == ".npz":
        data = _encode_ensemble(content)
    else:
        raise ValueError(f"path must end in .npz for an ensemble; got {str(path)!r}")
    write_whole(path, data)


def read(path: str | os.PathLike[str]) -> SavedNetwork | SavedEnsemble:
    """Read a file that `save` wrote; raises the errors of `fastnn.load`."""
    path = path_of(path)
    if path.suffix == ".onnx":
        raise ValueError(f"{SAVED}; got {str(path)!r}, which fastnn.from_onnx or `fastnn convert` reads")
    decode = _CODECS[_suffix(path)][1]
    require_file(path)
    with refusing(path, SAVED):
        return decode(path)


def _suffix(path: Path) -> str:
    if path.suffix not in _CODECS:
        raise ValueError(f"path must end in {' or '.join(_CODECS)}; got {str(path)!r}")
    return path.suffix


# ---------------------------------------------------------------- headers
def header_of(spec: NetworkSpec, outside: str = "ignore") -> str:
    """The header of a network's file, which describes it."""
    header = json.dumps({"format": FORMAT, "version": VERSION, **described(spec, outside)})
    if len(header) > LONGEST_HEADER:
        raise ValueError(f"a network of {spec.n_layers:,} layers has too many to be saved")
    return header


def described(spec: NetworkSpec, outside: str = "ignore") -> dict[str, Any]:
    """The entries of a header that describe a network, or the members of an ensemble."""
    entries: dict[str, Any] = {"spec": asdict(spec)}
    rows = [catalogue.activation_of(name) for name in spec.activations if name not in catalogue.ACTIVATIONS]
    if rows:
        entries["own"] = {row.name: _values_of(row).tolist() for row in rows}
    if outside != "ignore":
        entries["outside"] = outside
    return entries


def read_spec(header: Any, form: str) -> NetworkSpec:
    """The spec in a header, which is not trusted."""
    if header["format"] != form:
        raise ValueError(other_kind(header))
    if header["version"] != VERSION:
        raise ValueError(f"its version is {header['version']}, this fastnn reads version {VERSION}")
    fields = header["spec"]
    *hidden, output = (_activation(name, header.get("own", {})) for name in fields["activations"])
    return check_spec(fields["sizes"], hidden, output, fields["bias"], fields["dtype"])


def _activation(name: str, values: dict[str, Any]) -> str:
    """The activation with a name in a file; if it is a user's own, one of this process that has the same values.

    Its fingerprint may differ, as that of the same function depends on the version of Python.
    """
    if "@" not in name or catalogue.own_code(name) in catalogue.OWN_ACTIVATIONS:
        return name
    for row in catalogue.OWN_ACTIVATIONS.values():
        if own.plain_name(row.name) == own.plain_name(name):
            here, told = _values_of(row), np.array(values[name], np.float64)
            if here.shape == told.shape and np.allclose(here, told, rtol=1e-9, atol=1e-12, equal_nan=True):
                return row.name
    return name


def _values_of(row: catalogue.Activation) -> NDArray[Any]:
    """The values of a user's own activation at some points, by which it is recognised."""
    assert isinstance(row, own.Activation)
    away = np.geomspace(0.03, 3000, 21)  # where no period divides them, and beyond most bounds
    return own.elementwise(row.functions[0], np.float64, np.concatenate([-away, away]))


def _outside(header: Any) -> str:
    return check_name("its outside", header.get("outside", "ignore"), OUTSIDE)


def other_kind(header: Any) -> str:
    """What a file of another format is, and what reads it."""
    form = header["format"]
    if form == CONFORMAL:
        kind = "PredictionSets" if header["method"] == "aps" else "Intervals"
        return f"it holds {kind}, which fastnn.{kind}.load reads"
    if form in (FORMAT, ENSEMBLE):
        return f"it holds {'a network' if form == FORMAT else 'an ensemble'}, which fastnn.load reads"
    return f"its format is {form!r}"


# ---------------------------------------------------------------- arrays
def _arrays(net: SavedNetwork) -> dict[str, Any]:
    """The arrays of a network's file."""
    return {"params": net.params} if net.domain is None else {"params": net.params, "domain": net.domain}


def check_params(claim: Claim, spec: NetworkSpec, dimensions: int = 1) -> None:
    """Refuse parameters that are not those of a network, or with two dimensions of several."""
    if claim.dtype != spec.dtype or len(claim.shape) != dimensions or claim.shape[-1] != spec.n_params:
        raise ValueError(f"its params are {claim}, its spec has {spec.n_params} of {spec.dtype}")


def _check_domain(claim: Claim, spec: NetworkSpec) -> None:
    if claim.dtype != np.float64 or claim.shape != (size_of(spec.n_in),):
        raise ValueError(f"its domain is {claim}, its spec has {spec.n_in} inputs")


def _finite(domain: NDArray[Any]) -> NDArray[Any]:
    if not np.isfinite(domain).all():
        raise ValueError("its domain is not finite")
    return domain


# ---------------------------------------------------------------- .npz
def _encode_npz(net: SavedNetwork) -> bytes:
    file = BytesIO()
    np.savez(file, header=np.array(header_of(net.spec, net.outside)), **_arrays(net))
    return file.getvalue()


def _encode_ensemble(many: SavedEnsemble) -> bytes:
    header = {"format": ENSEMBLE, "version": VERSION, "seed": many.seed, **described(many.spec)}
    arrays = dict(vars(many.records)) if many.records is not None else {}
    if many.positions is not None and not np.array_equal(many.positions, np.arange(len(many.params))):
        arrays["positions"] = np.asarray(many.positions, np.int64)
    file = BytesIO()
    np.savez(file, header=np.array(json.dumps(header)), params=many.params, **arrays)
    return file.getvalue()


def _decode_npz(path: Path) -> SavedNetwork | SavedEnsemble:
    with open(path, "rb") as file:
        archive = Archive(file)
        if {"params", "member", "status"} <= archive.claims.keys() and "header" not in archive.claims:
            raise ValueError("it is part of a checkpoint, from whose folder the same call of fit_many or sweep goes on")
        header = json.loads(archive.text("header"))
        if header["format"] == ENSEMBLE:
            return _decode_ensemble(archive, header)
        return read_network(archive, header, read_spec(header, FORMAT))


def read_network(archive: Archive, header: Any, spec: NetworkSpec) -> SavedNetwork:
    """Read a network and its domain, if it has one; neither is trusted."""
    check_params(archive.claims["params"], spec)
    domain = None
    if "domain" in archive.claims:
        _check_domain(archive.claims["domain"], spec)
        domain = _finite(archive.read("domain"))
    return SavedNetwork(spec, archive.read("params"), domain, _outside(header))


def _decode_ensemble(archive: Archive, header: Any) -> SavedEnsemble:
    spec, seed = read_spec(header, ENSEMBLE), header["seed"]
    check_params(archive.claims["params"], spec, 2)
    if seed is not None and type(seed) is not int:
        raise ValueError(f"its seed is {seed!r}")
    members = archive.claims["params"].shape[0]
    moved = "positions" in archive.claims
    records = _read_records(archive, members) if len(archive.claims) > 2 + moved else None
    positions = _read_positions(archive, members) if moved else None
    return SavedEnsemble(spec, archive.read("params"), records, seed, positions)


def _read_positions(archive: Archive, members: int) -> NDArray[np.intp]:
    claim = archive.claims["positions"]
    if claim.dtype != np.int64 or claim.shape != (members,):
        raise ValueError(f"its positions are {claim} for {members} members")
    positions = archive.read("positions")
    if (positions < 0).any():
        raise ValueError("its positions are not all at least 0")
    return positions.astype(np.intp)


def _read_records(archive: Archive, members: int) -> Records:
    """Read the records of members, which are not trusted."""
    arrays = {}
    for name, likely in vars(Records.blank(np.empty(members, np.int64), 0, False)).items():
        claim = archive.claims[name]
        if claim.dtype != likely.dtype or claim.shape[:1] != (members,) or len(claim.shape) != likely.ndim:
            raise ValueError(f"its {name} is {claim} for {members} members")
        arrays[name] = archive.read(name)
    status = arrays["status"]
    if ((status < 0) | (status >= len(STATUS_NAMES))).any():
        raise ValueError("its status is none of those a member can have")
    return Records(**arrays)


# ---------------------------------------------------------------- .safetensors
def _encode_safetensors(net: SavedNetwork) -> bytes:
    header = header_of(net.spec, net.outside)
    return require("safetensors.numpy", "io").save(_arrays(net), metadata={"fastnn": header})


def _decode_safetensors(path: Path) -> SavedNetwork:
    return read_steady(path, read_safetensors)[0]


def read_safetensors(path: Path) -> tuple[SavedNetwork, dict[str, str]]:
    """Read a network, which is not trusted, and the texts in the file's metadata."""
    domain = None
    with open_safetensors(path) as file:
        metadata = file.metadata() or {}
        if "fastnn" not in metadata:
            raise ValueError(f"it does not say that it is one; {STATE_HINT}")
        header = metadata["fastnn"]
        if len(header) > LONGEST_HEADER:
            raise ValueError("its header is too long")
        told = json.loads(header)
        spec = read_spec(told, FORMAT)
        check_params(claim_of(file, "params"), spec)
        if "domain" in file.keys():  # noqa: SIM118 - a file is no dict
            _check_domain(claim_of(file, "domain"), spec)
            domain = _finite(file.get_tensor("domain"))
    params = aligned_empty(spec.n_params, spec.dtype)
    with open(path, "rb") as raw:  # the library, which would hold them twice, has found that the file has them
        length = int.from_bytes(raw.read(8), "little")
        raw.seek(json.loads(raw.read(length))["params"]["data_offsets"][0], os.SEEK_CUR)
        if raw.readinto(memoryview(params.view(np.uint8))) != params.nbytes:  # type: ignore[arg-type] # a buffer
            raise EOFError("it ends too early")
    return SavedNetwork(spec, params, domain, _outside(told)), metadata


def claim_of(file: Any, name: str) -> Claim:
    """What a file claims about one of its arrays, before it is read."""
    array = file.get_slice(name)
    dtype = {"F32": "float32", "F64": "float64"}.get(array.get_dtype(), "int8")
    return Claim(tuple(array.get_shape()), np.dtype(dtype))


#: What makes the bytes of a network's file, and what reads one, by the ending of its name.
_CODECS: dict[str, tuple[Callable[[SavedNetwork], bytes], Callable[[Path], SavedNetwork | SavedEnsemble]]] = {
    ".npz": (_encode_npz, _decode_npz),
    ".safetensors": (_encode_safetensors, _decode_safetensors),
}
