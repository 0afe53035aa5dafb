"""Compiling ahead: everything in the catalogue, and nothing is left to compile after it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import fastnn
from fastnn.apps import cli
from fastnn.kernels.tiles import layers
from fastnn.models import warmup as precompile
from fastnn.settings import catalogue

TRAIN_ALL = """
import numpy as np
import fastnn
from fastnn import catalogue, optimizers

X, Y = np.random.default_rng(0).random((2, 9, 5))
hidden = [row.name for row in catalogue.ACTIVATIONS.values() if row.hidden]
for dtype in ("float32", "float64"):
    for loss in catalogue.LOSSES.values():
        output = loss.logits_of or "identity"
        sizes = (5, *range(1, len(hidden) + 1), 5 * loss.outputs_per_target)
        net = fastnn.MLP(sizes, activation=hidden, output_activation=output, dtype=dtype, rng=0)
        y = Y / Y.sum(1, keepdims=True) if output == "softmax" else Y
        for name in catalogue.OPTIMIZERS:
            net.fit(X, y, epochs=1, loss=loss.name, optimizer=getattr(optimizers, name)(), rng=0, specialize=False)
        net.predict(X)
    wide = fastnn.MLP((100, 90, 1), dtype=dtype, rng=0)
    rows = np.ones((70, 100))
    wide.fit(rows, rows[:, :1], epochs=2, validation_data=(rows, rows[:, :1]), sample_weight=rows[:, 0], dropout=0.3)
    for n in (1, 3, 70):
        wide.predict(rows[:n])
    large = fastnn.MLP((5, 900, 800, 5), dtype=dtype, rng=0)
    large.fit(X, Y, epochs=1)
    large.predict(X)
    net = fastnn.MLP((5, 4, 3), output_activation="softmax", dtype=dtype, rng=0)
    labels = np.arange(9) % 3
    options = dict(batch_size=4, l2=1e-3, max_grad_norm=1.0, input_noise=0.1, validation_data=(X, labels))
    net.fit(X, labels, epochs=2, loss="cross_entropy", **options, specialize=False)
    net = fastnn.MLP((5, 4, 5), dtype=dtype, rng=0)
    net.fit(X, Y, epochs=2, input_noise=0.1)
    net.fit(X, Y, epochs=2, optimizer=fastnn.LevenbergMarquardt())
    net.fit(X, Y, epochs=2, optimizer=fastnn.LevenbergMarquardt(regularisation="bayesian"))
"""

TABLE = """\
height,colour,price,species
""" + "".join(f"{k % 7},{'red' if k % 3 else 'blue'},{k * k % 11},{'abc'[k % 3]}\n" for k in range(60))


def names_of_all_pieces():
    rows = [row.name for row in catalogue.ACTIVATIONS.values() if row.hidden]
    rows += [*catalogue.LOSSES, *catalogue.OPTIMIZERS, "labels", "LevenbergMarquardt"]
    rows += ["wide layers", "large weights", "options"]
    return {f"{row}, {dtype}" for row in rows for dtype in ("float32", "float64")}


def test_warmup_goes_through_the_catalogue(monkeypatch):
    monkeypatch.setattr(precompile, "_training", lambda *args, **kwargs: lambda: None)
    reports = []
    precompile.warmup(lambda *report: reports.append(report))
    assert {name for name, _, _ in reports} == names_of_all_pieces()
    assert [number for _, number, _ in reports] == list(range(1, len(reports) + 1))
    assert {total for _, _, total in reports} == {len(reports)}


def test_command_tells_how_long_it_took(monkeypatch, capsys):
    ran = []
    monkeypatch.setattr(precompile, "_pieces", lambda: [(name, lambda name=name: ran.append(name)) for name in "ab"])
    assert cli.main(["warmup"]) == 0
    assert ran == ["a", "b"]
    assert re.fullmatch(r"2 groups of kernels ready in \d+\.\d s\.\n", capsys.readouterr().out)


def test_predicting_compiles_no_gradients():
    spec = fastnn.MLP((3, 4, 1), rng=0).spec
    for_gradients = [layers.PRODUCT, layers.WEIGHTS_BACK, layers.INPUTS_BACK, layers.DERIVE]
    for training in (False, True):
        table, *_ = layers.layout(spec, 2, False, training)
        assert table[:, layers.FORWARD].all()
        assert table[:, for_gradients].any() == training


@pytest.mark.slow
def test_nothing_is_compiled_after_warmup(tmp_path):
    def files_after(*command):
        environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
        subprocess.run([sys.executable, *command], check=True, env=environment, cwd=Path(__file__).parents[1])
        return {path.name: path.stat().st_mtime_ns for path in tmp_path.rglob("*.nb?")}

    warm = files_after("-m", "fastnn.apps.cli", "warmup")
    assert warm
    assert files_after("-c", TRAIN_ALL) == warm
    table = tmp_path / "table.csv"
    table.write_text(TABLE, encoding="utf-8")
    pytest.importorskip("polars")
    for options in (["price"], ["species"], ["species", "--class-weight", "balanced", "--l2", "1e-3"]):
        model = str(tmp_path / "table.safetensors")
        command = ["-m", "fastnn", "train", str(table), "--output", model, "--no-figure", "--target", *options]
        assert files_after(*command) == warm
