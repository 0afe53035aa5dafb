"""Finished chunks of members on disk, from which an interrupted run can be continued."""

from __future__ import annotations

import hashlib
import os
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fastnn.jobs.members import MembersJob, MembersOutcome
from fastnn.jobs.records import STATUS_NAMES
from fastnn.models.reading import Archive, path_of, refusing, require_file
from fastnn.models.writing import write_first, write_whole
from fastnn.settings import own

#: The file that tells whose chunks a directory holds.
_RUN = "run.txt"


class Checkpoint:
    """Finished chunks in a directory, each a file that appears whole or not at all.

    Raises
    ------
    ValueError
        If it is no directory, or one that holds chunks of another run.
    """

    def __init__(self, folder: str | os.PathLike[str], job: MembersJob, size: int):
        self._folder = _made_directory(folder)
        digest = _digest(job, size)
        mark = self._folder / _RUN
        if not mark.exists():
            write_first(mark, digest.encode())
        if require_file(mark) > 2 * len(digest) or mark.read_bytes() != digest.encode():
            raise ValueError(
                f"checkpoint must be an empty directory, or that of a run with the same data and settings; "
                f"got {str(self._folder)!r} of another run"
            )

    def _path(self, i: int) -> Path:
        return self._folder / f"chunk-{i:06d}.npz"

    def load(self, i: int, outcome: MembersOutcome, members: NDArray[np.int64]) -> bool:
        """Load the outcome of a chunk, if it is finished; whether it is.

        Raises
        ------
        ValueError
            If the file is damaged, or belongs to other members.
        """
        path = self._path(i)
        if not path.exists():
            return False
        require_file(path)
        with refusing(path, "checkpoint must hold what fit_many wrote"), open(path, "rb") as file:
            archive, places = Archive(file), {"params": outcome.params, **vars(outcome.records)}
            for name, place in places.items():
                if archive.claims[name] != (place.shape, place.dtype):
                    raise ValueError(f"its {name} is {archive.claims[name]}")
            arrays = {name: archive.read(name) for name in places}
            ended = np.isin(arrays["status"], range(1, len(STATUS_NAMES)))
            if not (np.array_equal(arrays["member"], members) and ended.all()):
                raise ValueError("it is about other members")
        for name, place in places.items():
            place[...] = arrays[name]
        return True

    def save(self, i: int, outcome: MembersOutcome) -> None:
        """Save a finished chunk."""
        file = BytesIO()
        np.savez(file, params=outcome.params, **vars(outcome.records))
        write_whole(self._path(i), file.getvalue())


def keep_seed(folder: str | os.PathLike[str], job: MembersJob) -> None:
    """Give a job, whose seed nobody chose, that of the run in a directory; or keep its own there, if there is no run.

    Raises
    ------
    ValueError
        If it is no directory, or the seed in it is damaged.
    """
    path = _made_directory(folder) / "seed.txt"
    if not (path.exists() or path.with_name(_RUN).exists()):
        write_first(path, str(job.seeds[0]).encode())
    if path.exists():  # that of another run which began at the same time, maybe
        require_file(path)
        with refusing(path, "checkpoint must hold what fit_many wrote"):
            job.seeds[:] = int(path.read_bytes())


def directory_of(folder: str | os.PathLike[str]) -> Path:
    """The path of a checkpoint's directory, which may not exist yet; raises TypeError or ValueError for another."""
    path = path_of(folder, "checkpoint")
    if path.exists() and not path.is_dir():
        raise ValueError(f"checkpoint must be a directory; got the file {str(path)!r}")
    return path


def _made_directory(folder: str | os.PathLike[str]) -> Path:
    path = directory_of(folder)
    path.mkdir(parents=True, exist_ok=True)
    return path


def _digest(job: MembersJob, size: int) -> str:
    """A fingerprint of the data and of all settings that the result depends on."""
    hasher = hashlib.sha256(str(size).encode())
    slopes = {} if job.slopes is None else {f"slopes.{name}": value for name, value in vars(job.slopes).items()}
    for name, value in sorted((vars(job) | {"slopes": None} | slopes).items()):
        hasher.update(name.encode())
        if isinstance(value, np.ndarray):
            hasher.update(repr((value.shape, value.dtype.str)).encode())
            hasher.update(np.ascontiguousarray(value).data)
        else:
            of_loss = f" {job.loss.name}" if name == "loss" and isinstance(job.loss, own.Loss) else ""
            hasher.update(f"{value!r}{of_loss}".encode())
    return hasher.hexdigest()
