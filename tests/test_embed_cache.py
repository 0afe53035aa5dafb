"""What users compile with a network and cache: found by the next process, and never stale."""

import os
import subprocess
import sys

import pytest

SCRIPT = """
import sys
import numpy as np
from numba import njit
import fastnn

@njit(cache=True)
def outputs(net, x, out):
    net.forward(x, out)

net = fastnn.MLP((3, 4, 2), rng=0)
out = np.empty(2)
outputs(net, np.ones(3), out)
print(len(outputs.stats.cache_hits), len(outputs.stats.cache_misses), *out)
assert "scipy.linalg" not in sys.modules  # Numba's usual start takes twice the time for it
"""


def run(folder, **settings):
    """Hits and misses of a process's cache, and what it computed."""
    path = folder / "script.py"
    path.write_text(SCRIPT)
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(folder / "cache"), **settings}
    done = subprocess.run([sys.executable, path], env=environment, capture_output=True, text=True, check=True)
    hits, misses, *outputs = done.stdout.split()
    return int(hits), int(misses), outputs


@pytest.mark.slow
def test_the_next_process_finds_it_and_other_kernels_do_not(tmp_path):
    first = run(tmp_path)
    assert first[:2] == (0, 1)
    assert run(tmp_path) == (1, 0, first[2])
    # Another level of optimisation stands for another version: it is part of the kernels' digest.
    assert run(tmp_path, NUMBA_OPT="2")[:2] == (0, 1)


def test_where_nothing_is_compiled_numba_is_not_started():
    """In a process of its own: a network's methods, called from Python, may all be on the disk."""
    code = "import sys, fastnn; fastnn.MLP((3, 4, 2), rng=0).numba_type; print('numba.np.random.legacy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
