"""Memory: no kernel reads or writes outside an array, and fitting over and over does not use more and more."""

import ctypes
import gc
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fastnn import MLP, SGD, Adam
from fastnn.kernels.tiles import predict
from fastnn.kernels.tiles.end_epoch import MONITOR_RECORD
from fastnn.kernels.tiles.job_record import JOB_RECORD, JobFields
from fastnn.kernels.tiles.prepare import PreparedForTiles

STATM = Path("/proc/self/statm")

needs_posix = pytest.mark.skipif(os.name != "posix", reason="protects pages of memory")

TOUCH = """
import sys
import numpy as np
from numba import njit
from guarded import guarded
from fastnn.kernels.simd import load, load_first, pointer, store, store_first

@njit
def whole(x, i):
    store(pointer(x, i), load(pointer(x, i)) + 1.0)

@njit
def some(x, i, count):
    store_first(pointer(x, i), load_first(pointer(x, i), count) + 1.0, count)

x = guarded(np.arange(1000.0), sys.argv[1] == "end")
some(x, 998, 2)
some(x, 1000, 0)
some(x, 0, 5)
print("no harm done", flush=True)
whole(x, 999 if sys.argv[1] == "end" else -2)
"""


def run(*command):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    return subprocess.run([sys.executable, *command], env=environment, capture_output=True, text=True)


STRUCTURES = [(JobFields, JOB_RECORD), (type(JobFields().monitor), MONITOR_RECORD)]


@pytest.mark.parametrize(("structure", "record"), STRUCTURES)
def test_the_structure_lies_as_the_record_does(structure, record):
    """Though it is not packed, of which Python 3.14 warns where the package is imported."""
    assert not hasattr(structure, "_pack_")
    assert ctypes.sizeof(structure) == record.itemsize
    for name in record.names:
        assert getattr(structure, name).offset == record.fields[name][1]


@needs_posix
@pytest.mark.parametrize("side", ["start", "end"])
def test_the_guard_bites(side):
    """A masked load touches nothing beyond its lanes; a whole one across the edge of an array ends the process."""
    process = run("-c", TOUCH, side)
    assert process.stdout == "no harm done\n", process.stderr
    assert process.returncode in (-signal.SIGSEGV, -signal.SIGBUS)


@needs_posix
@pytest.mark.parametrize("side", ["start", "end"])
@pytest.mark.parametrize(
    ("program", "dtype"),
    [
        ("guarded", "float64"),
        *[
            pytest.param(*case, marks=pytest.mark.slow)
            for case in (("guarded", "float32"), ("guarded_embed", "float32"), ("guarded_embed", "float64"))
        ],
    ],
)
def test_no_kernel_leaves_its_arrays(program, dtype, side):
    process = run("-X", "faulthandler", str(Path(__file__).with_name(f"{program}.py")), dtype, side)
    assert process.returncode == 0, f"{process.stdout.splitlines()[-1:]}\n{process.stderr[-3000:]}"


@pytest.mark.skipif(not STATM.exists(), reason="reads the size of the process from /proc")
@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 2])
def test_ten_thousand_fits_use_no_more_memory_than_a_thousand(threads, monkeypatch):
    from fastnn.kernels import dispatch

    monkeypatch.setattr(dispatch, "threads_for", lambda threads, batch_size, n_params: threads)
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(9, 3)), rng.normal(size=(9, 2))
    plain, batched = MLP((3, 4, 2), rng=0), MLP((3, 5, 2), rng=0, dtype="float32")

    def work(times):
        for _ in range(times):
            plain.fit(X, y, epochs=1, optimizer=SGD(1e-3), shuffle=False, threads=threads)
            batched.fit(X, y, epochs=1, optimizer=Adam(1e-3), batch_size=4, l2=0.1, rng=0)
            plain.predict(X)
            plain.loss_and_grad(X, y)
        gc.collect()
        return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGESIZE")

    fits = 5000 if threads == 1 else 500  # of either network
    before = work(fits // 10)
    assert work(fits) - before < 1_000_000


def prepared_jobs():
    """How many there are, the garbage included."""
    return sum(type(thing) is PreparedForTiles for thing in gc.get_objects())


@pytest.mark.parametrize("sizes", [(3, 4, 1), (8, 32, 1)])
def test_a_fit_frees_its_buffers_when_it_ends(sizes):
    net = MLP(sizes, rng=0)
    gc.collect()
    gc.disable()
    try:
        before = prepared_jobs()
        net.fit(np.zeros((4, sizes[0])), np.zeros((4, 1)), epochs=1, optimizer=SGD())
        assert prepared_jobs() == before
    finally:
        gc.enable()


def test_batches_of_any_lengths_take_few_predictors():
    net = MLP((2, 3, 1), rng=0)
    predict._predictor.cache_clear()
    X = np.ones((300, 2))
    for n in range(1, 301):
        net.predict(X[:n])
    assert predict._predictor.cache_info().misses == 67
