"""Deliberate faults: ``python tests/mutations.py`` puts one after another into a copy, and runs the tests named beside.

The same tests run first where nothing was changed. A table tells which faults were caught. Numbers behind the command
choose faults by their place in the table.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
SECONDS = 180
RULES = "test_kernel_optimizers.py -k by_hand"
LOSSES = "test_equivalence.py -k test_any_batch_of_one_target"
POISSON = "test_equivalence.py -k test_gradients_agree and tanh-float64"
ACTIVATIONS = "test_activations.py"
REFERENCE = "test_reference_optimizers.py"
GAUSSIAN = "test_gaussian_nll.py -k test_gradients_agree"
MISSING = "test_missing_targets.py -k test_what_is_present"
QUANTILES = "test_quantiles.py -k test_gradients_agree and ascending and 3 and float64"
OWN = "test_own_activations.py -k test_the_twins_agree"

# file, what stands there, what is put there, tests that fail by it
MUTATIONS = [
    ("kernels/functions/optimizers.py", "return fma(-c[0], g, p)", "return fma(c[0], g, p)", RULES),
    ("kernels/functions/optimizers.py", "fma(-c[0], fma(s, c[1], g), p), s", "fma(-c[0], s, p), s", RULES),
    ("kernels/functions/optimizers.py", "return p + s, s", "return p - s, s", RULES),
    ("kernels/functions/optimizers.py", "1.0 - settings[0] ** t,", "1.0,", RULES),
    ("kernels/functions/optimizers.py", "select(t > c[3], c[3], t)", "t", RULES),
    ("kernels/functions/optimizers.py", "1.0 - settings[0], settings[1]", "settings[0], settings[1]", RULES),
    ("kernels/functions/losses.py", "return r * r, r + r", "return r * r, r", LOSSES),
    ("kernels/functions/losses.py", "select(r == 0.0, r, sign)", "-sign", LOSSES),
    ("kernels/functions/losses.py", "0.5 * r * r, parameter", "r * r, parameter", LOSSES),
    ("kernels/functions/losses.py", "return mu - y * z, mu - y", "return mu - y * z, mu", POISSON),
    ("kernels/functions/activations.py", "return fma(-h, h, h)", "return fma(h, h, h)", ACTIVATIONS),
    ("kernels/functions/activations.py", "return fma(-h, h, 1.0)", "return fma(h, h, 1.0)", ACTIVATIONS),
    ("kernels/functions/activations.py", "LEAKY_SLOPE * z)", "2 * LEAKY_SLOPE * z)", ACTIVATIONS),
    ("kernels/functions/activations.py", "z < 0.0, broadcast(0.0, z), z", "z > 0.0, broadcast(0.0, z), z", ACTIVATIONS),
    ("reference/losses.py", "return 2 * (o - y)\n", "return o - y\n", "test_reference_losses.py"),
    ("reference/optimizers.py", "v_correction = 1 - rule.beta_2**t\n    p", "v_correction = 1\n    p", REFERENCE),
    ("checks/values.py", "if value < low:", "if value < low - 1:", "test_checks.py"),
    ("checks/data.py", "if X.ndim != 2 or X.shape[1] != n_in:", "if X.ndim != 2:", "test_checks.py"),
    ("checks/data.py", "if x.shape != (n_in,):", "if x.ndim != 1:", "test_model.py -k one_sample"),
    ("exchange/numbers.py", "(exact.astype(integers.dtype) == integers)", "inside", "test_exchange_arrays.py"),
    ("exchange/folding.py", "if not ACTIVATIONS[this.activation].hidden:", "if False:", "test_exchange_arrays.py"),
    ("kernels/functions/losses.py", "0.5 * (e * inverse) * (1.0", "0.5 * (1.0", GAUSSIAN),
    ("kernels/functions/losses.py", "pull = pull + load(d + j * width)", "pull = load(d + j * width)", QUANTILES),
    ("kernels/functions/losses.py", "output + (softplus(z_j) if j > 0 else z_j)", "output + softplus(z_j)", QUANTILES),
    ("kernels/functions/losses.py", "slope = function(o, y, parameter)", "slope = function(o, o, parameter)", MISSING),
    ("jobs/missing.py", "(1 - np.isnan(y).mean(axis=-1))", "np.isnan(y).any(axis=-1)", MISSING),
    ("kernels/functions/own.py", "of_numbers(activation.functions[order])", "of_numbers(activation.functions[0])", OWN),
    ("models/domain.py", "(1 - share) * S + share * np.eye(p)", "S", "test_domain.py -k distance_is"),
    ("embed/domain.py", "if rows % 2 == 1:", "if False:", "test_domain.py -k in_compiled_code"),
    ("embed/arguments.py", "array.ndim not in dims:", "False:", "test_embed_refusals.py"),
    ("embed/arguments.py", 'if grad.layout != "C":', "if False:", "test_gradients.py -k compiled_code"),
    ("embed/methods.py", "stride(x, 1), stride(out, 1)\n", "stride(x, 1), 1\n", "test_embed_arrays.py -k jacobian"),
    ("embed/together.py", "jac + r * jac_row", "jac + 2 * r * row", "test_embed.py -k last_block"),
    ("kernels/point/adjoint.py", "2.0 * bend, v2", "bend, v2", "test_embed_arrays.py -k v_curvature"),
    ("kernels/point/series.py", "- 2.0 * a[row + j]", "- a[row + j]", "test_gradients.py -k curvatures_by and softmax"),
    ("embed/outside.py", "clipped, 1, out, out_stride", "clipped, x_stride, out, 1", "test_domain.py -k lie_apart"),
    ("embed/steps.py", "pointer(y, 0), n, 1, 0,", "pointer(y, 0), 1, 1, 0,", "test_embed_training.py -k labels"),
    ("kernels/point/back.py", "(h + (k * h_row + i), left)", "(h + i, left)", "test_gradients.py -k sigmoid"),
]


def tested(tests, mutate):
    """How pytest ends on these tests, run in a copy of the project that `mutate` has changed."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "fastnn"
        shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".git", "__pycache__", ".*_cache"))
        mutate(copy / "fastnn")
        test, *chosen = tests.split(maxsplit=1)
        arguments = chosen[0].split(maxsplit=1) if chosen else []
        command = [sys.executable, "-m", "pytest", "-qx", "-p", "no:cacheprovider", f"tests/{test}", *arguments]
        environment = os.environ | {"PYTHONPATH": str(copy), "NUMBA_CACHE_DIR": f"{folder}/kernels"}
        try:
            done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, timeout=SECONDS)
        except subprocess.TimeoutExpired:
            return "out of time"
        return {0: "passed", 1: "failed"}.get(done.returncode, f"pytest ended with {done.returncode}")


@cache
def control(tests):
    """How the same tests end where nothing was changed: a test that fails anyway catches nothing."""
    return tested(tests, lambda package: None)


def outcome(file, old, new, tests):
    """Whether the tests named catch the fault: ``caught``, ``survived``, or why that is not known."""
    found = (ROOT / "fastnn" / file).read_text(encoding="utf-8").count(old)
    if found != 1:
        return f"stands there {found} times"
    if control(tests) != "passed":
        return f"without the fault: {control(tests)}"

    def mutate(package):
        source = package / file
        source.write_text(source.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")

    result = tested(tests, mutate)
    return {"passed": "survived", "failed": "caught"}.get(result, result)


def main(chosen):
    missed = 0
    for place in chosen or range(len(MUTATIONS)):
        file, old, new, tests = MUTATIONS[place]
        start = time.perf_counter()
        result = outcome(file, old, new, tests)
        missed += result != "caught"
        print(
            f"{place:2}  {result:10} {time.perf_counter() - start:4.0f} s  {file}: {old.strip()!r} -> {new.strip()!r}",
            flush=True,
        )
    return missed


if __name__ == "__main__":
    sys.exit(main([int(place) for place in sys.argv[1:]]))
