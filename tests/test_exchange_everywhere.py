"""Every activation, dtype and bias at every width for every target; `-m slow -s` prints docs/exchange.md's table."""

import itertools
import shutil
import subprocess

import numpy as np
import pytest
from exchange_cases import DTYPES, EXPORTED, WIDTHS, difference, net, samples

import fastnn

pytestmark = pytest.mark.slow

MAIN = """
#include "made.h"
#include <stdio.h>
int main(void)
{
    REAL x[MADE_N_IN], out[MADE_N_OUT];
    while (fread(x, sizeof *x, MADE_N_IN, stdin) == MADE_N_IN) {
        made_forward(x, out);
        fwrite(out, sizeof *out, MADE_N_OUT, stdout);
    }
    return 0;
}
"""


def c(*flags):
    """Outputs of the C file, compiled with these flags."""

    def outputs_of(made, X, folder):
        if shutil.which("gcc") is None:
            pytest.skip("gcc is not installed")
        made.to_c(folder / "made.c")
        (folder / "main.c").write_text(MAIN.replace("REAL", {"f": "float", "d": "double"}[X.dtype.char]))
        build = ["gcc", *flags, "-Wall", "-Wextra", "-Werror", "made.c", "main.c", "-lm", "-o", "run"]
        done = subprocess.run(build, cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        done = subprocess.run(["./run"], cwd=folder, input=X.tobytes(), capture_output=True)
        assert done.returncode == 0, done.stderr
        return np.frombuffer(done.stdout, X.dtype).reshape(len(X), -1)

    return outputs_of


def fortran(made, X, folder):
    if shutil.which("gfortran") is None:
        pytest.skip("gfortran is not installed")
    from test_exchange_fortran import outputs_of

    return outputs_of(made, X, folder)


def numpy_source(made, X, folder):
    from test_exchange_numpy import module_of

    return module_of(made, folder)["predict"](X)


def torch(made, X, folder):
    from test_exchange_torch import outputs_of

    return outputs_of(made.to_torch(), X)


def onnx_runtime(made, X, folder):
    from test_exchange_onnx import SINGLE, outputs_of

    if X.dtype == np.float64 and SINGLE.intersection(made.spec.activations):
        return None
    made.to_onnx(folder / "made.onnx")
    return outputs_of(folder / "made.onnx", X)


def fastnn_again(made, X, folder):
    """From its own arrays: not a rounding may differ."""
    again = fastnn.from_arrays(made.weights, made.biases or None, list(made.spec.activations))
    return again.predict(X)


TARGETS = {
    "gcc -std=c99 -O2": c("-std=c99", "-pedantic", "-O2"),
    "gcc -std=c99 -fsanitize": c("-std=c99", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"),
    "gcc -O3 -march=native": c("-O3", "-march=native"),
    "gfortran -std=f2018": fortran,
    "NumPy source": numpy_source,
    "PyTorch": torch,
    "ONNX Runtime": onnx_runtime,
    "from_arrays": fastnn_again,
}


#: Compilers take their time: every case is one of theirs alone, which takes each activation at several widths.
COMPILED = [target for target in TARGETS if target.startswith("g")]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("target", TARGETS)
def test_outputs_are_ours(target, dtype, tmp_path):
    units = relative = networks = 0
    cases = itertools.product(enumerate(EXPORTED), (True, False), enumerate(WIDTHS))
    for (i, name), bias, (j, width) in cases:
        if target in COMPILED and (i + 2 * bias + j) % len(COMPILED) != COMPILED.index(target):
            continue
        made = net(name, dtype, bias, sizes=(3, width, width, min(width, 5)))
        X = samples(made)
        outputs = TARGETS[target](made, X, tmp_path)
        if outputs is None:
            continue
        ours = made.predict(X)
        off = abs(outputs.astype(np.float64) - ours).max()
        networks, units = networks + 1, max(units, difference(made, X, outputs))
        relative = max(relative, off / max(abs(ours).max(), np.finfo(dtype).tiny))  # a narrow relu may give zeros alone
    print(f"\n| {target} | {dtype} | {networks} | {units:.2f} | {relative:.1e} |")
    assert units < 4
