"""One sample of 8-64-64-1 tanh by what a network is written as: the C file and ONNX Runtime beside our own kernel."""

import ctypes
import shutil
import subprocess

import numpy as np
import pytest
from calls import CALLS, per_call
from numba import njit

import fastnn

NETS = {dtype: fastnn.MLP((8, 64, 64, 1), dtype=dtype, rng=0) for dtype in ("float64", "float32")}

LOOP = """
#include "net.h"
void loop(REAL *x, int calls)
{
    REAL out[1];
    for (int i = 0; i < calls; ++i) { net_forward(x, out); x[0] = out[0]; }
}
"""


@njit
def outputs(net, x, out, calls):
    for _ in range(calls):
        net.forward(x, out)
        x[0] = out[0]


@pytest.mark.benchmark(group="8-64-64-1, one sample: what goes out", timer=per_call)
@pytest.mark.parametrize("dtype", NETS)
def bench_kernel(benchmark, dtype):
    x, out = np.zeros(8, dtype), np.empty(1, dtype)
    benchmark.pedantic(outputs, (NETS[dtype], x, out, CALLS), rounds=100, warmup_rounds=1)


@pytest.mark.benchmark(group="8-64-64-1, one sample: what goes out", timer=per_call)
@pytest.mark.parametrize("dtype", NETS)
def bench_c(benchmark, dtype, tmp_path):
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed")
    NETS[dtype].to_c(tmp_path / "net.c")
    (tmp_path / "loop.c").write_text(LOOP.replace("REAL", {"float64": "double", "float32": "float"}[dtype]))
    flags = ("-O3", "-march=native", "-shared", "-fPIC")
    subprocess.run(["gcc", *flags, "net.c", "loop.c", "-lm", "-o", "net.so"], cwd=tmp_path, check=True)
    loop, x = ctypes.CDLL(str(tmp_path / "net.so")).loop, np.zeros(8, dtype)
    benchmark.pedantic(loop, (x.ctypes.data_as(ctypes.c_void_p), CALLS), rounds=100, warmup_rounds=1)


@pytest.mark.benchmark(group="8-64-64-1, one sample: what goes out", timer=per_call)
@pytest.mark.parametrize("dtype", NETS)
def bench_onnx_runtime(benchmark, dtype, tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    NETS[dtype].to_onnx(tmp_path / "net.onnx")
    settings = runtime.SessionOptions()
    settings.intra_op_num_threads = 1
    session = runtime.InferenceSession(str(tmp_path / "net.onnx"), settings, providers=["CPUExecutionProvider"])

    def loop(x):
        for _ in range(CALLS):
            x[0, 0] = session.run(None, {"x": x})[0][0, 0]

    benchmark.pedantic(loop, (np.zeros((1, 8), dtype),), rounds=5, warmup_rounds=1)
