"""The kernels as machine code for several processors: sums stay in registers, and stores are whole."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numba
import pytest

from fastnn.kernels.simd import registers
from fastnn.kernels.simd.registers import REGISTER_FILES, kind_of

#: Triple, processor, and the features that Numba is told of: None leaves it to compile for the host.
PROCESSORS = [
    ("x86_64-unknown-linux-gnu", "haswell", "+avx,+avx2,+fma,+bmi,+bmi2"),
    ("x86_64-unknown-linux-gnu", "skylake-avx512", "+avx,+avx2,+fma,+avx512f,+avx512vl,+avx512dq,+avx512bw,+avx512cd"),
    ("aarch64-unknown-linux-gnu", "neoverse-n1", None),
    ("arm64-apple-macosx", "apple-m1", None),
]


def test_registers_of_each_kind_of_processor():
    assert kind_of("x86_64-pc-linux-gnu", {"avx": True, "avx512f": True}) == "avx512"
    assert kind_of("x86_64-pc-linux-gnu", {"avx": True, "avx512f": True, "sse4a": True}) == "avx512_amd"
    assert kind_of("x86_64-pc-linux-gnu", {"avx": True}) == "avx"
    assert kind_of("x86_64-pc-linux-gnu", {"sse2": True}) == "sse"
    for triple in ("arm64-apple-darwin23.1.0", "aarch64-unknown-linux-gnu"):  # Apple's list no features
        assert REGISTER_FILES[kind_of(triple, {})].number == 32


def test_registers_are_those_that_numba_compiles_for(monkeypatch):
    """It leaves AVX out if it is told to, and on processors whose AVX it does not trust."""
    monkeypatch.setattr(numba.config, "CPU_FEATURES", None)
    monkeypatch.setattr(registers.llvm, "get_host_cpu_features", lambda: {"sse2": True, "avx": True, "avx512f": True})
    for allowed, kind in ((True, "avx512"), (False, "sse")):
        monkeypatch.setattr(numba.config, "ENABLE_AVX", allowed)
        assert kind_of("x86_64-pc-linux-gnu", registers._cpu_features()) == kind


@pytest.mark.slow
@pytest.mark.parametrize(("triple", "cpu", "features"), PROCESSORS, ids=[cpu for _, cpu, _ in PROCESSORS])
def test_sums_stay_in_registers_and_stores_are_whole(triple, cpu, features, tmp_path):
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    if features is not None:
        environment |= {"NUMBA_CPU_NAME": cpu, "NUMBA_CPU_FEATURES": features}
    command = [sys.executable, str(Path(__file__).with_name("assembly.py")), triple, cpu]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=True)
    named = {flag[1:]: True for flag in (features or "").split(",")}
    rows = REGISTER_FILES[kind_of(triple, named)].tile
    most = max(vectors * n for vectors, n in enumerate(rows, 1))
    report = json.loads(done.stdout)
    assert report["masked stores"] == 0
    for name, loops in report["loops"].items():
        largest = 2 * rows[1] if name.startswith("fetching_product") else most
        assert max(fused for fused, _ in loops) == largest, name
        assert sum(stack for _, stack in loops) == 0, name
