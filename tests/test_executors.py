"""`fit_many` on executors and with checkpoints: the same bits, and no finished chunk lost whoever is killed."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context

import numpy as np
import pytest

from fastnn import MLP, SGD, fit_many
from fastnn.ensembles import checkpoint, chunks
from fastnn.ensembles.checkpoint import Checkpoint
from fastnn.training.progress import MembersBar

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(7, 3)), RNG.normal(size=(7, 2))
SPEC = MLP((3, 5, 2)).spec
SETTINGS = {"members": 40, "epochs": 5, "optimizer": SGD(0.1), "batch_size": 3, "rng": 5}
CHUNKS = 5  # of 8 members each


def expected():
    return fit_many(SPEC, X, Y, **SETTINGS)


def same(many, other):
    assert many.params.tobytes() == other.params.tobytes()
    for name, array in vars(other.records).items():
        assert np.array_equal(getattr(many.records, name), array, equal_nan=True), name


class Immediate:
    """An executor that runs what is submitted at once; the n-th submission it refuses, as a broken pool does.

    Of the submission whose number is `failing` the worker fails.
    """

    def __init__(self, most=10**9, failing=None):
        self.most, self.failing, self.submitted = most, failing, 0

    def submit(self, function, *args):
        if self.submitted == self.most:
            raise BrokenProcessPool("the pool is broken")
        self.submitted += 1
        future = Future()
        if self.submitted == self.failing:
            future.set_exception(MemoryError("a worker has no memory"))
        else:
            future.set_result(function(*args))
        return future


def test_the_bits_are_those_of_this_process():
    executor = Immediate()
    same(fit_many(SPEC, X, Y, executor=executor, chunk=8, **SETTINGS), expected())
    assert executor.submitted == CHUNKS


@pytest.mark.parametrize(
    ("change", "count"),
    [
        ({}, 4),  # of ten members, of 102 numbers each
        ({"history": True}, 5),
        ({"X": np.tile(X, (40, 1, 1))}, 5),
        ({"y": np.tile(Y, (40, 1, 1))}, 5),
        ({"sample_weight": np.ones((40, 7))}, 5),
        ({"validation_data": (X, Y, np.ones((40, 7)))}, 5),
    ],
    ids=lambda value: str(*value) if isinstance(value, dict) and value else "",
)
def test_a_chunk_takes_the_memory_that_it_may(change, count, monkeypatch):
    monkeypatch.setattr(chunks, "CHUNK_BYTES", 8 * 1020)
    executor = Immediate()
    fit_many(**{"spec": SPEC, "X": X, "y": Y, "executor": executor} | SETTINGS | change)
    assert executor.submitted == count


def test_what_is_no_executor_is_refused():
    with pytest.raises(TypeError, match=r"executor must be a concurrent\.futures\.Executor; got 3"):
        fit_many(SPEC, X, Y, executor=3, **SETTINGS)


# ---------------------------------------------------------------- checkpoints
def test_a_broken_executor_loses_no_finished_chunk(tmp_path):
    with pytest.raises(BrokenProcessPool):
        fit_many(SPEC, X, Y, executor=Immediate(2), chunk=8, checkpoint=tmp_path, **SETTINGS)
    assert len(list(tmp_path.glob("chunk-*.npz"))) == 2
    executor = Immediate()
    same(fit_many(SPEC, X, Y, executor=executor, chunk=8, checkpoint=tmp_path, **SETTINGS), expected())
    assert executor.submitted == CHUNKS - 2
    executor = Immediate(0)  # all is on disk
    same(fit_many(SPEC, X, Y, executor=executor, chunk=8, checkpoint=tmp_path, **SETTINGS), expected())


def test_a_worker_that_fails_is_told_of_when_others_have_finished(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 1)  # of which four chunks are submitted at once
    executor = Immediate(failing=2)
    with pytest.raises(MemoryError, match="a worker has no memory"):
        fit_many(SPEC, X, Y, executor=executor, chunk=8, checkpoint=tmp_path, **SETTINGS)
    assert executor.submitted == 4
    assert len(list(tmp_path.glob("chunk-*.npz"))) == 3
    with pytest.raises(BrokenProcessPool):  # which came before that worker was asked
        fit_many(SPEC, X, Y, executor=Immediate(1, failing=1), chunk=8, checkpoint=tmp_path, **SETTINGS)
    executor = Immediate()
    same(fit_many(SPEC, X, Y, executor=executor, chunk=8, checkpoint=tmp_path, **SETTINGS), expected())
    assert executor.submitted == CHUNKS - 3


@pytest.mark.parametrize("executor", [None, Immediate()], ids=["here", "on an executor"])
def test_progress_counts_what_is_on_disk_and_every_chunk(executor, tmp_path, monkeypatch):
    with pytest.raises(BrokenProcessPool):
        fit_many(SPEC, X, Y, executor=Immediate(2), chunk=8, checkpoint=tmp_path, **SETTINGS)
    seen, rates = [], []
    monkeypatch.setattr(MembersBar, "_move", lambda bar, done, a_second: (seen.append(done), rates.append(a_second)))
    fit_many(SPEC, X, Y, executor=executor, chunk=8, checkpoint=tmp_path, **SETTINGS)
    assert seen[0] == 16
    assert seen == sorted(seen)
    assert seen[-1] == 40
    assert executor is not None or {24, 32} < {*seen}
    assert rates[0] == 0  # what is on disk took no time
    assert rates[-1] > 0


CHANGES = [
    {"rng": 6},
    {"optimizer": SGD(0.2)},
    {"X": X + 1e-9},
    {"epochs": 6},
    {"chunk": 7},
    {"l2": 1e-9},
    {"members": 41},
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: next(iter(change)))
def test_the_checkpoint_of_another_run_is_refused(change, tmp_path):
    settings = {"X": X, "y": Y, "chunk": 8, "checkpoint": tmp_path} | SETTINGS
    fit_many(SPEC, **settings)
    with pytest.raises(ValueError, match="checkpoint must be an empty directory, or that of a run with the same data"):
        fit_many(SPEC, **(settings | change))


def test_a_run_whose_seed_nobody_chose_goes_on_with_that_seed(tmp_path):
    settings = SETTINGS | {"rng": None, "chunk": 8}
    with pytest.raises(BrokenProcessPool):
        fit_many(SPEC, X, Y, executor=Immediate(2), checkpoint=tmp_path, **settings)
    executor = Immediate()
    many = fit_many(SPEC, X, Y, executor=executor, checkpoint=tmp_path, **settings)
    assert executor.submitted == CHUNKS - 2
    same(many, fit_many(SPEC, X, Y, checkpoint=tmp_path, **settings))
    assert fit_many(SPEC, X, Y, **settings).params.tobytes() != many.params.tobytes()
    (tmp_path / "seed.txt").write_text("-1x")
    with pytest.raises(ValueError, match=r"checkpoint must hold what fit_many wrote; got .*seed\.txt'"):
        fit_many(SPEC, X, Y, checkpoint=tmp_path, **settings)


def test_runs_that_begin_at_once_in_one_directory_have_one_seed(tmp_path, monkeypatch):
    """The second begins, and ends, when the first has seen that there is none, and is about to write its own."""
    settings, others, write = SETTINGS | {"rng": None, "chunk": 8, "checkpoint": tmp_path}, [], checkpoint.write_first

    def written_late(path, data):
        monkeypatch.setattr(checkpoint, "write_first", write)
        others.append(fit_many(SPEC, X, Y, **settings))
        write(path, data)

    monkeypatch.setattr(checkpoint, "write_first", written_late)
    same(fit_many(SPEC, X, Y, **settings), others[0])


def test_other_runs_that_begin_at_once_in_one_directory_are_refused(tmp_path, monkeypatch):
    settings, write = SETTINGS | {"chunk": 8, "checkpoint": tmp_path}, checkpoint.write_first

    def written_late(path, data):
        monkeypatch.setattr(checkpoint, "write_first", write)
        fit_many(SPEC, X, Y, **(settings | {"rng": 6}))
        write(path, data)

    monkeypatch.setattr(checkpoint, "write_first", written_late)
    with pytest.raises(ValueError, match="checkpoint must be an empty directory, or that of a run with the same data"):
        fit_many(SPEC, X, Y, **settings)


def test_a_checkpoint_needs_no_links(tmp_path, monkeypatch):
    def refused(draft, path):
        raise PermissionError

    monkeypatch.setattr(os, "link", refused)
    settings = SETTINGS | {"rng": None, "chunk": 8, "checkpoint": tmp_path}
    same(fit_many(SPEC, X, Y, **settings), fit_many(SPEC, X, Y, **settings))
    assert {path.suffix for path in tmp_path.iterdir()} == {".txt", ".npz"}


def test_the_checkpoint_of_a_chosen_seed_is_not_that_of_any(tmp_path):
    fit_many(SPEC, X, Y, chunk=8, checkpoint=tmp_path, **SETTINGS)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(ValueError, match="checkpoint must be an empty directory, or that of a run with the same data"):
        fit_many(SPEC, X, Y, chunk=8, checkpoint=tmp_path, **(SETTINGS | {"rng": None}))
    assert sorted(tmp_path.iterdir()) == before


def test_a_checkpoint_leaves_each_member_the_seed_it_was_given(tmp_path):
    settings = SETTINGS | {"rng": None, "seeds": range(40), "chunk": 8}
    with pytest.raises(BrokenProcessPool):
        fit_many(SPEC, X, Y, executor=Immediate(2), checkpoint=tmp_path, **settings)
    many = fit_many(SPEC, X, Y, checkpoint=tmp_path, **settings)
    same(many, fit_many(SPEC, X, Y, **settings))


def test_the_checkpoint_of_other_slopes_is_refused(tmp_path):
    settings = {"members": 2, "epochs": 1, "rng": 0, "checkpoint": tmp_path, "dydx": np.ones((7, 2, 3))}
    fit_many(SPEC, X, Y, **settings)
    for change in ({"dydx": np.zeros((7, 2, 3))}, {"dydx_weight": 2.0}, {"dydx": None}):
        with pytest.raises(ValueError, match="checkpoint must be an empty directory, or that of a run with the same"):
            fit_many(SPEC, X, Y, **(settings | change))


def test_a_file_is_no_checkpoint(tmp_path):
    (tmp_path / "model.npz").write_bytes(b"")
    with pytest.raises(ValueError, match=r"checkpoint must be a directory; got the file '.*model\.npz'"):
        fit_many(SPEC, X, Y, checkpoint=tmp_path / "model.npz", **SETTINGS)


def test_ctrl_c_returns_what_is_finished(tmp_path, monkeypatch):
    save = Checkpoint.save

    def interrupted(self, i, piece):
        save(self, i, piece)
        if i == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(Checkpoint, "save", interrupted)
    with pytest.warns(RuntimeWarning, match="interrupted: 16 of 40 members are finished"):
        many = fit_many(SPEC, X, Y, chunk=8, checkpoint=tmp_path, **SETTINGS)
    assert np.array_equal(many.records.member, np.arange(16))
    same(many, expected()[:16])
    monkeypatch.undo()
    same(fit_many(SPEC, X, Y, chunk=8, checkpoint=tmp_path, **SETTINGS), expected())


def test_ctrl_c_leaves_no_chunk_to_an_executor(monkeypatch):
    futures, whole = [], expected()

    class Slow(Immediate):
        def submit(self, function, *args):
            futures.append(super().submit(function, *args) if not futures else Future())
            return futures[-1]

    monkeypatch.setattr(MembersBar, "report", lambda bar, done: done and signal.raise_signal(signal.SIGINT))
    with pytest.warns(RuntimeWarning, match="interrupted: 8 of 40 members are finished"):
        many = fit_many(SPEC, X, Y, executor=Slow(), chunk=8, **SETTINGS)
    same(many, whole[:8])
    assert len(futures) > 1
    assert all(future.cancelled() for future in futures[1:])


@pytest.mark.parametrize("executor", [None, Immediate()], ids=["here", "on an executor"])
def test_ctrl_c_after_the_last_chunk_is_not_lost(executor, tmp_path, monkeypatch):
    monkeypatch.setattr(Checkpoint, "save", lambda self, i, piece: i < 4 or signal.raise_signal(signal.SIGINT))
    with pytest.warns(RuntimeWarning, match="interrupted: 40 of 40 members are finished"):
        same(fit_many(SPEC, X, Y, executor=executor, chunk=8, checkpoint=tmp_path / "1", **SETTINGS), expected())
    fit_many(SPEC, X, Y, executor=executor, chunk=8, checkpoint=tmp_path / "2", warn=False, **SETTINGS)


# ---------------------------------------------------------------- processes that are killed
LONG = SETTINGS | {"members": 64, "epochs": 20000}
PROGRAM = """
    import sys
    import numpy as np
    from fastnn import MLP, SGD, fit_many

    RNG = np.random.default_rng(0)
    X, Y = RNG.normal(size=(7, 3)), RNG.normal(size=(7, 2))
    settings = {"members": 64, "epochs": 20000, "optimizer": SGD(0.1), "batch_size": 3, "rng": 5}
    fit_many(MLP((3, 5, 2)).spec, X, Y, chunk=8, checkpoint=sys.argv[1], **settings)
"""


def wait_for_chunks(folder, count, seconds=120):
    """Until this many chunks are on disk."""
    end = time.monotonic() + seconds
    while len(list(folder.glob("chunk-*.npz"))) < count:
        assert time.monotonic() < end, "no chunk was finished in time"
        time.sleep(0.01)


def kept(folder):
    """The chunks on disk, and when each was written."""
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("chunk-*.npz")}


def test_a_run_that_is_killed_goes_on_where_it_was(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(PROGRAM), str(tmp_path)])
    try:
        wait_for_chunks(tmp_path, 2)
    finally:
        process.send_signal(signal.SIGKILL) if os.name == "posix" else process.kill()
        process.wait()
    before = kept(tmp_path)
    assert 2 <= len(before) < 8
    same(fit_many(SPEC, X, Y, chunk=8, checkpoint=tmp_path, **LONG), fit_many(SPEC, X, Y, **LONG))
    assert before.items() <= kept(tmp_path).items()


def kill_one(pool):
    """Kill a worker of a process pool."""
    next(iter(pool._processes.values())).kill()


@pytest.mark.slow
def test_a_process_pool_whose_worker_is_killed(tmp_path):
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        same(fit_many(SPEC, X, Y, executor=pool, chunk=8, **SETTINGS), expected())
        stop = Killer(tmp_path, lambda: kill_one(pool))
        with pytest.raises(BrokenProcessPool):
            fit_many(SPEC, X, Y, executor=pool, chunk=8, checkpoint=tmp_path, **LONG)
        stop.join()
    before = kept(tmp_path)
    assert before
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        many = fit_many(SPEC, X, Y, executor=pool, chunk=8, checkpoint=tmp_path, **LONG)
    same(many, fit_many(SPEC, X, Y, **LONG))
    assert before.items() <= kept(tmp_path).items()


class Killer:
    """Acts in a thread of its own once a chunk is on disk."""

    def __init__(self, folder, act):
        from threading import Thread

        def watch():
            wait_for_chunks(folder, 1)
            act()

        self._thread = Thread(target=watch)
        self._thread.start()

    def join(self):
        self._thread.join()


@pytest.mark.slow
def test_a_dask_cluster_whose_worker_is_killed(tmp_path):
    distributed = pytest.importorskip("distributed")
    import psutil

    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        stop = Killer(tmp_path, lambda: psutil.Process(next(iter(client.run(os.getpid).values()))).kill())
        many = fit_many(SPEC, X, Y, executor=client.get_executor(), chunk=8, checkpoint=tmp_path, **LONG)
        stop.join()
    same(many, fit_many(SPEC, X, Y, **LONG))
    assert len(kept(tmp_path)) == 8
