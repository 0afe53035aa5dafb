"""Networks on disk: ``.npz``, which needs NumPy alone, and ``.safetensors`` (extra ``io``).

Either holds one array, ``params``, and a header in JSON that says what the network is. Neither can
hold code: reading a file that someone else made is safe.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable
from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastnn.checks import check_spec, describe
from fastnn.checks.extras import require
from fastnn.settings.spec import NetworkSpec

if TYPE_CHECKING:
    from fastnn.models.ensemble import Ensemble
    from fastnn.models.mlp import MLP

FORMAT = "fastnn.MLP"
ENSEMBLE = "fastnn.Ensemble"
VERSION = 1


def save(net: MLP, path: str | os.PathLike[str]) -> None:
    """Save a network; the file appears whole or not at all.

    Parameters
    ----------
    net : MLP
        The network.
    path : path_like
        Where to; ends in ``.npz`` or ``.safetensors``.

    Raises
    ------
    ValueError
        If the path ends otherwise.
    ImportError
        If safetensors is needed and not installed.
    OSError
        If the file cannot be written.
    """
    path = Path(path)
    encode, _ = _CODECS[_suffix(path)]
    write_whole(path, encode(header_of(net), net.params))


def header_of(net: MLP) -> str:
    """What the network is, as the file's header says it."""
    return json.dumps({"format": FORMAT, "version": VERSION, "spec": asdict(net.spec)})


def write_whole(path: Path, data: bytes) -> None:
    """Write a file that appears whole or not at all."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with open(draft, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def save_ensemble(many: Ensemble, path: str | os.PathLike[str]) -> None:
    """Save an ensemble and its records; the file, which ends in ``.npz``, appears whole or not at all.

    Raises
    ------
    ValueError
        If the path ends otherwise.
    OSError
        If the file cannot be written.
    """
    path = Path(path)
    if path.suffix != ".npz":
        raise ValueError(f"path must end in .npz for an ensemble; got {str(path)!r}")
    header = {"format": ENSEMBLE, "version": VERSION, "spec": asdict(many.spec), "seed": many.seed}
    file = BytesIO()
    records = vars(many.records) if many._records is not None else {}
    np.savez(file, header=np.array(json.dumps(header)), params=many.params, **records)
    write_whole(path, file.getvalue())


def load(path: str | os.PathLike[str]) -> MLP | Ensemble:
    """Load a network, or an ensemble, that `save` wrote.

    Parameters
    ----------
    path : path_like
        The file; ends in ``.npz`` or ``.safetensors``.

    Returns
    -------
    MLP or Ensemble

    Raises
    ------
    ValueError
        If the file is damaged, of a later version, or no network of fastnn's.
    ImportError
        If safetensors is needed and not installed.
    OSError
        If the file cannot be read.
    """
    from fastnn.models.mlp import MLP

    path = Path(path)
    _, decode = _CODECS[_suffix(path)]
    data = path.read_bytes()
    try:
        header, params = decode(data)
        if json.loads(header)["format"] == ENSEMBLE:
            return _read_ensemble(data)
        spec, params = _read(header, params)
    except ImportError:
        raise
    except Exception as error:  # a damaged file fails in any of a dozen ways
        raise ValueError(f"path must be a network that fastnn saved; got {str(path)!r}: {error}") from error
    return MLP.from_params(spec, params)


def _spec(header: dict[str, Any]) -> NetworkSpec:
    if header["version"] != VERSION:
        raise ValueError(f"its version is {header['version']}, this fastnn reads version {VERSION}")
    fields = header["spec"]
    *hidden, output = fields["activations"]
    return check_spec(fields["sizes"], hidden, output, fields["bias"], fields["dtype"])


def _read(text: str, params: NDArray) -> tuple[NetworkSpec, NDArray]:
    """The network of a header and its parameters, neither of which is trusted."""
    header = json.loads(text)
    if header["format"] != FORMAT:
        raise ValueError(f"its format is {header['format']!r}")
    spec = _spec(header)
    if params.dtype != spec.dtype or params.shape != (spec.n_params,):
        raise ValueError(f"its params are {describe(params)}, its spec has {spec.n_params} of {spec.dtype}")
    return spec, params


def _read_ensemble(data: bytes) -> Ensemble:
    """The ensemble of a file, which is not trusted."""
    from fastnn.jobs.records import Records
    from fastnn.models.ensemble import Ensemble

    with np.load(BytesIO(data), allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    header, params = json.loads(str(arrays.pop("header"))), arrays.pop("params")
    spec = _spec(header)
    if params.dtype != spec.dtype or params.ndim != 2 or params.shape[1] != spec.n_params:
        raise ValueError(f"its params are {describe(params)}, its spec has {spec.n_params} of {spec.dtype}")
    if any(len(array) != len(params) for array in arrays.values()):
        raise ValueError("its records are of another number of members")
    return Ensemble(spec, params, Records(**arrays) if arrays else None, header["seed"])


def _suffix(path: Path) -> str:
    if path.suffix not in _CODECS:
        raise ValueError(f"path must end in {' or '.join(_CODECS)}; got {str(path)!r}")
    return path.suffix


def _encode_npz(header: str, params: NDArray) -> bytes:
    file = BytesIO()
    np.savez(file, header=np.array(header), params=params)
    return file.getvalue()


def _decode_npz(data: bytes) -> tuple[str, NDArray]:
    with np.load(BytesIO(data), allow_pickle=False) as arrays:
        return str(arrays["header"]), arrays["params"]


def _encode_safetensors(header: str, params: NDArray) -> bytes:
    return require("safetensors.numpy", "io").save({"params": params}, metadata={"fastnn": header})


def _decode_safetensors(data: bytes) -> tuple[str, NDArray]:
    arrays = require("safetensors.numpy", "io").load(data)
    length = int.from_bytes(data[:8], "little")  # of the JSON that follows; the library shows no metadata of bytes
    return json.loads(data[8 : 8 + length])["__metadata__"]["fastnn"], arrays["params"]


_CODECS: dict[str, tuple[Callable[[str, NDArray], bytes], Callable[[bytes], tuple[str, NDArray]]]] = {
    ".npz": (_encode_npz, _decode_npz),
    ".safetensors": (_encode_safetensors, _decode_safetensors),
}
