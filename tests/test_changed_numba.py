"""A Numba whose inside has changed: fastnn says so once, and computes the same by what Numba documents."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fastnn.kernels.jit import options

ROOT = Path(__file__).parents[1]

KERNEL = """
import sys
import numpy as np
from tests import changed_numba
getattr(changed_numba, sys.argv[1])()
from fastnn.kernels.jit import options
from fastnn.kernels.jit.compiling import address_of, callee, inlined, kernel, outlined

@inlined
def root(x):
    return np.sqrt(x)

@outlined(literals=("times",))
def sum_of_roots(x, times):
    total = 0.0
    for number in x:
        total += times * root(number)
    return total

@kernel
def roots(x):
    return sum_of_roots(x, 2) + sum_of_roots(x, 3)

@callee
def half(x):
    return x / 2

from numba import types
print(roots(np.array([4.0, 9.0])), address_of(half, types.float64) != 0, options.OWN, options.CACHE is not None)
"""


def run(*command, cache):
    environment = os.environ | {"NUMBA_CACHE_DIR": str(cache), "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    return subprocess.run([sys.executable, *command], env=environment, capture_output=True, text=True, cwd=ROOT)


@pytest.mark.parametrize(
    ("change", "own", "kept", "said"),
    [
        pytest.param("moved", False, True, "cannot import name 'JITCodeLibrary'", marks=pytest.mark.slow),
        ("other", False, True, "AttributeError: 'tuple' object has no attribute 'fndesc'"),
        pytest.param("uncached", True, False, "cannot import name 'NullCache'", marks=pytest.mark.slow),
        pytest.param("later", True, True, None, marks=pytest.mark.slow),
    ],
)
def test_kernels_compute_and_one_warning_is_given(change, own, kept, said, tmp_path):
    done = run("-c", KERNEL, change, cache=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["25.0", "True", str(own), str(kept)]
    warnings = [line for line in done.stderr.splitlines() if "Warning" in line]
    assert len(warnings) == (said is not None)
    if said is not None:
        assert "RuntimeWarning: fastnn does not know Numba" in warnings[0]
        assert said in warnings[0]
    assert bool(list(tmp_path.rglob("*.nbc"))) == kept


@pytest.mark.slow
def test_the_twins_agree_by_numbas_public_ways_too(tmp_path):
    ignore = ["-W", "ignore:fastnn does not know Numba:RuntimeWarning"]
    equivalence = ["test_run_of_blocks_and_short_batches", "test_any_depth"]
    tests = ["tests/test_tutorial.py", *(f"tests/test_equivalence.py::{name}" for name in equivalence)]
    one_dtype = ["-k", "not float32"]  # the compiler's ways are the same for either
    done = run("-m", "pytest", "-q", "-p", "tests.changed_numba", *ignore, *one_dtype, *tests, cache=tmp_path)
    assert done.returncode == 0, done.stdout


def test_the_versions_are_those_that_can_be_installed():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    first, end = (".".join(map(str, version)) for version in options.TESTED)
    assert f'"numba>={first},<{end}"' in text
