"""Members in chunks: here or on an executor's workers, with finished chunks on disk."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from contextlib import suppress
from functools import partial
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fastnn.checks import describe
from fastnn.ensembles.train import train_members
from fastnn.jobs.members import MembersJob, MembersOutcome
from fastnn.models.files import write_whole
from fastnn.models.reading import Archive, path_of, refusing, require_file
from fastnn.training.progress import MembersBar

#: Bytes that a chunk may take, and the most members of one.
CHUNK_BYTES, MOST_MEMBERS = 64 * 2**20, 2**14


def run_chunks(
    job: MembersJob,
    *,
    chunk: int | None,
    threads: int,
    progress: bool | None,
    executor: Executor | None,
    checkpoint: str | os.PathLike[str] | None,
) -> MembersOutcome:
    """Train all members of a job, chunk by chunk; the arguments are `fastnn.ensembles.fit_many.fit_many`'s.

    Returns
    -------
    MembersOutcome
        A status of 0 says of a member that the run was interrupted before it was finished.
    """
    if executor is not None and not hasattr(executor, "submit"):
        raise TypeError(f"executor must be a concurrent.futures.Executor; got {describe(executor)}")
    size = chunk or _chunk_size(job)
    parts = [slice(start, min(start + size, len(job))) for start in range(0, len(job), size)]
    outcome = MembersOutcome.blank(job)
    store = Checkpoint(checkpoint, job, size) if checkpoint is not None else None
    with MembersBar(progress, len(job)) as bar:
        waiting = []
        for i, part in enumerate(parts):
            if store is None or not store.load(i, outcome.part(part), job.streams[part]):
                waiting.append((i, part))
        bar.tell(int(outcome.records.ended.sum()))
        with suppress(KeyboardInterrupt):
            if executor is None:
                _run_here(job, waiting, outcome, store, threads, bar)
            else:
                _run_there(job, waiting, outcome, store, executor, bar)
    return outcome


def _chunk_size(job: MembersJob) -> int:
    """How many members of a chunk take no more than `CHUNK_BYTES`: a function of the job's shapes alone."""
    numbers = 3 * job.spec.n_params + 6 + (2 * job.epochs if job.history else 0)
    for array in (job.X, job.y, job.weights, job.weights_val):
        numbers += array[0].size if len(array) > 1 else 0
    return max(1, min(MOST_MEMBERS, CHUNK_BYTES // (8 * numbers)))


def _run_here(
    job: MembersJob,
    waiting: list[tuple[int, slice]],
    outcome: MembersOutcome,
    store: Checkpoint | None,
    threads: int,
    bar: MembersBar,
) -> None:
    done = int(outcome.records.ended.sum())
    for i, part in waiting:
        piece = train_members(job.part(part), threads, partial(bar.tell, done), outcome.part(part))
        done += part.stop - part.start
        if store is not None:
            store.save(i, piece)


def _run_there(
    job: MembersJob,
    waiting: list[tuple[int, slice]],
    outcome: MembersOutcome,
    store: Checkpoint | None,
    executor: Executor,
    bar: MembersBar,
) -> None:
    """Submit a few chunks more than are likely to run at once, so that neither workers wait nor memory fills up."""
    queue = iter(waiting)
    running: dict[Future[MembersOutcome], tuple[int, slice]] = {}
    failure: BaseException | None = None
    try:
        while True:
            while failure is None and len(running) < 2 * (os.cpu_count() or 1) + 2:
                following = next(queue, None)
                if following is None:
                    break
                try:
                    running[executor.submit(train_members, job.part(following[1]))] = following
                except Exception as error:  # a broken pool takes nothing more
                    failure = error
            if not running:
                break
            for future in _first_done(running):
                i, part = running.pop(future)
                try:
                    piece = future.result()
                except Exception as error:  # a lost worker: what others have finished is still collected
                    failure = failure or error
                    continue
                outcome.put(part, piece)
                if store is not None:
                    store.save(i, piece)
                bar.tell(int(outcome.records.ended.sum()))
    finally:
        for future in running:
            future.cancel()
    if failure is not None:
        raise failure


def _first_done(running: dict[Future, tuple[int, slice]]) -> set[Future]:
    return wait(running, return_when=FIRST_COMPLETED).done


class Checkpoint:
    """Finished chunks in a directory, each a file that appears whole or not at all.

    Raises
    ------
    ValueError
        If the directory holds chunks of another run.
    """

    def __init__(self, folder: str | os.PathLike[str], job: MembersJob, size: int):
        self._folder = path_of(folder)
        self._folder.mkdir(parents=True, exist_ok=True)
        digest = _digest(job, size)
        mark = self._folder / "run.txt"
        if not mark.exists():
            write_whole(mark, digest.encode())
        elif require_file(mark) > 2 * len(digest) or mark.read_bytes() != digest.encode():
            raise ValueError(
                f"checkpoint must be an empty directory, or that of a run with the same data and settings; "
                f"got {str(self._folder)!r} of another run"
            )

    def _path(self, i: int) -> Path:
        return self._folder / f"chunk-{i:06d}.npz"

    def load(self, i: int, piece: MembersOutcome, members: NDArray[np.int64]) -> bool:
        """Write down what became of a chunk, if it is finished; whether it is.

        Raises
        ------
        ValueError
            If the file is damaged, or is not about these members.
        """
        path = self._path(i)
        if not path.exists():
            return False
        require_file(path)
        with refusing(path, "checkpoint must hold what fit_many wrote"), open(path, "rb") as file:
            archive, places = Archive(file), {"params": piece.params, **vars(piece.records)}
            for name, place in places.items():
                if archive.claims[name] != (place.shape, place.dtype):
                    raise ValueError(f"its {name} is {archive.claims[name]}")
            arrays = {name: archive.read(name) for name in places}
            if not (np.array_equal(arrays["member"], members) and np.isin(arrays["status"], (1, 2, 3)).all()):
                raise ValueError("it is about other members")
        for name, place in places.items():
            place[...] = arrays[name]
        return True

    def save(self, i: int, piece: MembersOutcome) -> None:
        """Keep a finished chunk."""
        file = BytesIO()
        np.savez(file, params=piece.params, **vars(piece.records))
        write_whole(self._path(i), file.getvalue())


def _digest(job: MembersJob, size: int) -> str:
    """A fingerprint of the data and of all settings that the result depends on."""
    hasher = hashlib.sha256(str(size).encode())
    for name, value in sorted(vars(job).items()):
        hasher.update(name.encode())
        if isinstance(value, np.ndarray):
            hasher.update(repr((value.shape, value.dtype.str)).encode())
            hasher.update(np.ascontiguousarray(value).data)
        else:
            hasher.update(repr(value).encode())
    return hasher.hexdigest()
