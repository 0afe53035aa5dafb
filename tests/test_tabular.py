"""From a table to a network and back: what is told, what is refused, what a file may hold."""

import dataclasses
import json
import os
import re
import shlex
import signal
import struct
import subprocess
import sys
import warnings

import numpy as np
import pytest
from spreadsheets import xlsx

import fastnn
from fastnn.apps import cli
from fastnn.apps.commands import sweep as sweep_command
from fastnn.apps.commands import train as train_command
from fastnn.apps.commands.table_options import layers, reading_of, settings_of

polars = pytest.importorskip("polars")
pytest.importorskip("safetensors")

from fastnn.tabular import model, preparing, saved, scoring, sweeping, training  # noqa: E402 - after importorskip()
from fastnn.tabular.encoding import Column, encode  # noqa: E402 - after importorskip()
from fastnn.tabular.numerals import Numerals  # noqa: E402 - after importorskip()
from fastnn.tabular.reading_settings import Reading  # noqa: E402 - after importorskip()
from fastnn.tabular.target import Target  # noqa: E402 - after importorskip()

QUICK = training.TableSettings(hidden=(8,), epochs=60, repeats=3)


def messy(n=300):
    """Numbers, categories, missing values, and columns of no use; the target depends on the first two."""
    rng = np.random.default_rng(0)
    a, colour = rng.normal(size=n), rng.choice(["red", "green", "blue"], n)
    y = 2 * a + np.where(colour == "red", 1.5, -0.5)
    frame = polars.DataFrame({"a": a, "colour": colour, "flag": a > 0, "constant": np.full(n, 5)})
    return frame.with_columns(
        polars.Series("a", [None if i % 7 == 0 else value for i, value in enumerate(a)]),
        polars.Series("name", [f"id{i}" for i in range(n)]),
        polars.Series("empty", [None] * n, dtype=polars.Float64),
        polars.Series("when", [None] * n, dtype=polars.Date),
        polars.Series("y", [None if i % 50 == 0 else value for i, value in enumerate(y)]),
    )


@pytest.fixture(scope="module")
def table():
    return preparing.prepare(messy(), "y", None, 0)


@pytest.fixture(scope="module")
def outcome(table):
    return training.train(table, QUICK, training.baselines(table), progress=False)


def test_columns_are_used_or_left_out_with_the_reason(table):
    assert [(c.name, c.levels, c.missing) for c in table.columns] == [
        ("a", None, True), ("colour", ("blue", "green", "red"), False), ("flag", None, False)
    ]  # fmt: skip
    assert table.left_out["constant"] == "constant"
    assert table.left_out["empty"] == "empty"
    assert "different texts" in table.left_out["name"]
    assert table.dropped == 6
    assert len(table.fold) + len(table.held[1]) == 294


def test_network_learns_more_than_the_mean(outcome, table):
    true = table.true()
    r2 = {name: scores["r2"] for name, scores in outcome.scores.items()}
    assert r2["network"] > 0.6
    assert r2["linear"] > 0.6
    assert abs(r2["constant"]) < 0.2
    assert r2["network"] == pytest.approx(
        1 - ((outcome.predicted - true) ** 2).sum() / ((true - true.mean()) ** 2).sum(), abs=1e-4
    )


def test_rows_held_out_are_the_tables_own(table):
    rows = np.flatnonzero(preparing.split(np.zeros(294), 0) < 0)
    np.testing.assert_allclose(table.true(), messy().drop_nulls("y")["y"][rows], rtol=1e-5)


def test_encoding_standardises_and_tells_what_is_missing():
    columns = (
        Column("x", None, 2.0, 1.0, missing=True),
        Column("c", ("u", "v"), missing=True),
        Column("m", ("p", "q"), kind="many", means=((0.25,), (0.5,), (-1.0,))),
    )

    def inputs(**values):
        frame = polars.DataFrame(values)
        return encode(columns, [column.read(frame[column.name], Numerals()) for column in columns])

    X, unseen = inputs(x=["1.0", None, "3.0"], c=["u", "v", ""], m=["p", "q", "r"])
    np.testing.assert_allclose(X, [[-1, 0, 1, 0, 0, 0.25], [0, 1, 0, 1, 0, 0.5], [1, 0, 0, 0, 1, -1]])
    assert unseen == {"m": 1}
    X, unseen = inputs(m=["q"] * 3, c=["w", "u", "w"], x=[2.0, 2.0, 4.0])
    np.testing.assert_allclose(X, [[0, 0, 0, 0, 0, 0.5], [0, 0, 1, 0, 0, 0.5], [2, 0, 0, 0, 0, 0.5]])
    assert unseen == {"c": 2}


def test_statistics_are_of_the_rows_to_learn_from_alone(table):
    frame = messy().drop_nulls("y")
    rows = np.flatnonzero(preparing.split(np.zeros(frame.height), 0) >= 0)
    assert table.columns[0].mean == pytest.approx(frame["a"][rows].drop_nulls().mean())
    assert table.target.mean == pytest.approx(frame["y"][rows].mean())


@pytest.mark.parametrize(
    ("values", "classes"),
    [
        (["u", "v"] * 50, ("u", "v")),
        ([0, 1, 2, 3] * 25, ("0", "1", "2", "3")),
        ([True, False] * 50, ("false", "true")),
        (list(range(100)), None),
        ([0.5, 1.5] * 50, None),
    ],
)
def test_task_is_told_by_the_target(values, classes):
    frame = polars.DataFrame({"x": np.random.default_rng(0).random(100), "t": values})
    assert preparing.prepare(frame, "t", None, 0).target.classes == classes


def test_task_can_be_asked_for():
    frame = polars.DataFrame({"x": np.arange(100.0), "t": [0, 1] * 50})
    assert preparing.prepare(frame, "t", "regression", 0).target.classes is None


def test_split_keeps_the_proportions_and_every_row():
    groups = np.repeat([0, 1], [900, 100])
    fold = preparing.split(groups, 0)
    for part, share in [(-1, 0.2), *((k, 0.1) for k in range(preparing.FOLDS))]:
        assert (fold == part).mean() == pytest.approx(share, abs=0.003)
        assert (groups[fold == part] == 1).mean() == pytest.approx(0.1, abs=0.01)


def test_repeats_give_the_spread():
    rng = np.random.default_rng(0)
    frame = polars.DataFrame({"x": rng.normal(size=200), "z": rng.normal(size=200)})
    frame = frame.with_columns(t=polars.col("x") - polars.col("z"))
    settings = training.TableSettings(hidden=(4,), epochs=40, repeats=5)
    table = preparing.prepare(frame, "t", None, 0)
    outcome = training.train(table, settings, training.baselines(table), progress=False)
    assert outcome.spread.shape == (5,)
    assert len(set(outcome.spread)) == 5
    assert outcome.scores["network"]["r2"] > np.median(outcome.spread)


def test_saved_and_loaded_it_predicts_the_same(outcome, tmp_path):
    path = str(tmp_path / "m.safetensors")
    outcome.model.save(path)
    loaded = model.TableModel.load(path)
    assert (loaded.columns, loaded.target) == (outcome.model.columns, outcome.model.target)
    assert (loaded.scores, loaded.left_out) == (outcome.model.scores, outcome.model.left_out)
    assert loaded.about == outcome.model.about
    np.testing.assert_array_equal(loaded.networks.positions, outcome.model.networks.positions)
    assert loaded.predict_with_remarks(messy())[1] == outcome.model.predict_with_remarks(messy())[1]
    with warnings.catch_warnings(action="ignore"):
        assert loaded.predict(messy()).equals(outcome.model.predict(messy()))
    np.testing.assert_array_equal(fastnn.load(path).params, outcome.model.net.params)


def tamper(path, change):
    """Rewrite the metadata of a safetensors file."""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    about = json.loads(header["__metadata__"][saved.KEY])
    header["__metadata__"][saved.KEY] = change(about)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + length :])


@pytest.mark.parametrize(
    "change",
    [
        lambda about: "no JSON",
        lambda about: json.dumps([]),
        lambda about: json.dumps({}),
        lambda about: json.dumps({**about, "version": 99}),
        lambda about: json.dumps({**about, "columns": about["columns"][:1]}),
        lambda about: json.dumps({**about, "columns": [{"name": "a", "surprise": 1}]}),
        lambda about: json.dumps({**about, "columns": [{**about["columns"][0], "missing": 1}, *about["columns"][1:]]}),
        lambda about: json.dumps({**about, "columns": [about["columns"][0], about["columns"][1], about["columns"][0]]}),
        lambda about: json.dumps(
            {
                **about,
                "columns": [
                    about["columns"][0],
                    {**about["columns"][1], "levels": ["u", "u", "v"]},
                    about["columns"][2],
                ],
            }
        ),
        lambda about: json.dumps({**about, "target": {**about["target"], "scale": "__import__('os')"}}),
        lambda about: json.dumps({**about, "target": {**about["target"], "scale": float("inf")}}),
        lambda about: json.dumps({**about, "target": {**about["target"], "classes": ["up"]}}),
        lambda about: json.dumps(
            {**about, "columns": [{"name": "a", "levels": None, "missing": True}, *about["columns"][1:]]}
        ),
        lambda about: json.dumps({**about, "numerals": {"decimal": ",", "thousands": ","}}),
        lambda about: json.dumps({**about, "numerals": {"decimal": ""}}),
        lambda about: json.dumps({**about, "scores": {"r2": []}}),
        lambda about: json.dumps({**about, "left_out": ["a"]}),
        lambda about: json.dumps({**about, "about": {"seed": [1]}}),
        lambda about: json.dumps({**about, "numerals": {"decimal": 1}}),
        lambda about: json.dumps(
            {**about, "columns": [{**about["columns"][0], "kind": "many"}, *about["columns"][1:]]}
        ),
        lambda about: "[" * 100_000,
    ],
)
def test_a_tampered_file_is_refused_in_one_line(change, outcome, tmp_path, capsys):
    path = tmp_path / "m.safetensors"
    outcome.model.save(str(path))
    tamper(path, change)
    assert cli.main(["info", str(path)]) == 1
    error = capsys.readouterr().err
    assert error.startswith("fastnn info: ")
    assert error.count("\n") == 1


def test_one_class_alone_among_the_rows_held_out_flatters_nobody():
    rows = np.arange(500)
    frame = polars.DataFrame({"a": np.sin(rows), "y": ["yes" if row == 77 else "no" for row in rows]})
    for seed in range(9):
        table = preparing.prepare(frame, "y", None, seed)
        if (table.held[1] == 0).all():
            break
    scores = scoring.score(np.tile([1.0, 0.0], (len(table.held[1]), 1)), table)
    assert scores["accuracy"] == 1
    assert all(np.isnan(scores[name]) for name in ("balanced", "rare recall", "auc"))


@pytest.mark.parametrize("size", [0, 7, 40, 700])
def test_a_truncated_file_is_refused_in_one_line(size, outcome, tmp_path, capsys):
    path = tmp_path / "m.safetensors"
    outcome.model.save(str(path))
    path.write_bytes(path.read_bytes()[:size])
    for command in (["info", str(path)], ["predict", str(path), "nothing.csv"]):
        assert cli.main(command) == 1
        assert capsys.readouterr().err.count("\n") == 1


def test_train_predict_and_info(folder, capsys):
    messy().write_csv("table.csv")
    assert cli.main(["train", "table.csv", "--target", "y", "--hidden", "8", "--epochs", "60"]) == 0
    said = capsys.readouterr().out
    for told in ("Regression: 'y'", "6 left out for lack of 'y'", "LEFT OUT: constant", "a linear model"):
        assert told in said
    assert (folder / "table.png").stat().st_size > 1000
    assert cli.main(["predict", "table.safetensors", "table.csv"]) == 0
    header, *rows = capsys.readouterr().out.splitlines()
    assert header == "y,y_low,y_high"
    assert len(rows) == 300
    table = messy().with_columns(polars.lit(0).alias("y (given)"))
    table.write_csv("taken.csv")
    assert cli.main(["predict", "table.safetensors", "taken.csv", "--keep", "y", "y", "y (given)"]) == 0
    assert capsys.readouterr().out.startswith("y (given),y (given) (2),y,y_low,y_high\n")
    assert cli.main(["predict", "table.safetensors", "table.csv", "--output", "p.csv"]) == 0
    assert polars.read_csv("p.csv").height == 300
    assert cli.main(["info", "table.safetensors"]) == 0
    assert "colour   category" in capsys.readouterr().out


def test_an_empty_column_of_a_spreadsheet_is_told_once(folder, capsys, caplog):
    pytest.importorskip("fastexcel")
    rows = [(float(k), None, float(k * k % 7)) for k in range(20)]
    (folder / "t.xlsx").write_bytes(xlsx(sheet=[("x", "none", "y"), *rows]))
    assert cli.main(["train", "t.xlsx", "--target", "y", "--task", "regression", "--dry-run"]) == 0
    assert capsys.readouterr().out.count("LEFT OUT: empty") == 1
    assert caplog.text == ""


def test_rows_beyond_those_of_training_are_counted_and_measured(outcome, folder):
    outcome.model.save("t.safetensors")
    with pytest.raises(ValueError, match=r"path must end in .safetensors; got 't.npz'"):
        outcome.model.save("t.npz")
    for trained in (outcome.model, model.TableModel.load("t.safetensors")):
        column = trained.columns[0]
        high = trained.domain[trained.net.spec.n_in] * column.scale + column.mean
        a = [high - 0.1, high + 2.5 * column.scale, high + 0.5 * column.scale, None]
        predicted, told = trained.predict_with_remarks({"a": a, "colour": ["red"] * 4, "flag": [True] * 4})
        assert predicted.height == 4
        assert told == [
            "2 of 4 rows lie outside the range of the training data, the farthest by 2.5 standard deviations, in 'a'."
        ]
        one = trained.predict_with_remarks({"a": a[2:3], "colour": ["red"], "flag": [True]})[1]
        assert one[0].startswith("1 of 1 rows lies outside the range of the training data, the farthest by 0.5 ")
        assert trained.predict_with_remarks({"a": a[:1], "colour": ["red"], "flag": [True]})[1] == []
    inputs = np.tile(np.median(trained.domain[:1]), (1, trained.net.spec.n_in))
    assert fastnn.load("t.safetensors").distance(inputs) == trained.net.distance(inputs) > 0


def test_the_model_warns_of_values_that_training_did_not_foresee(outcome):
    odd = {"a": [0.5, 1e6], "colour": ["mauve", "puce"], "flag": [True, None], "b": [0, 1]}
    predicted, remarks = outcome.model.predict_with_remarks(odd)
    assert remarks == [
        "Columns that the training table did not have are ignored: 'b'.",
        "Column 'colour': 2 values of no category known from training.",
        "Column 'flag': 1 value missing, though none was in training; a missing one counts as the mean.",
        remarks[-1],
    ]
    assert remarks[-1].startswith("1 of 2 rows lies outside the range of the training data")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert outcome.model.predict(odd).equals(predicted)
    assert [str(warning.message) for warning in caught] == remarks[1:3]


@pytest.mark.parametrize(
    ("target", "n_out", "names"),
    [
        (Target("probability", ("a", "b")), 2, ["probability (2)", "probability_a", "probability_b"]),
        (Target("probability_a", ("a", "b")), 2, ["probability", "probability_a (2)", "probability_b"]),
        (
            Target("y", loss="pinball", quantiles=(0.1, 0.12345678, 0.123456789)),
            3,
            ["y_0.1", "y_0.12345678", "y_0.123456789"],
        ),
        (Target("y", loss="pinball", quantiles=(0.1, 1 / 3)), 2, ["y_0.1", "y_0.333333"]),
    ],
)
def test_no_column_of_predictions_hides_another(target, n_out, names):
    net = fastnn.MLP((1, n_out), dtype="float32", rng=0)
    predicted = model.TableModel(net, (Column("x"),), target, {}).predict({"x": [0.0, 1.0]})
    assert predicted.columns == [target.name, *names]


def test_a_table_whose_noise_is_learned(table, tmp_path):
    settings = dataclasses.replace(QUICK, epochs=200, repeats=2, loss="gaussian_nll")
    trained = training.train(table, settings, training.baselines(training.learned_by(table, settings)), False).model
    frame = messy()
    predicted = trained.predict_with_remarks(frame)[0]
    assert predicted.columns == ["y", "y_std", "y_low", "y_high"]
    known, std = frame["a"].is_not_null().to_numpy(), predicted["y_std"].to_numpy()
    assert std[known].mean() < 0.4 < 1.5 < std[~known].mean() < 2.6  # without a, whose share of y varies by 2
    outputs = trained.networks.predict(trained._inputs(model.Table(frame, trained.numerals))[0]).astype(float)
    means, variances = outputs[..., 0], np.exp(outputs[..., 1]) + 1e-6
    drawn = np.stack([means - np.sqrt(variances), means + np.sqrt(variances)])  # each network as two points
    np.testing.assert_allclose(std, trained.target.scale * drawn.std(axis=(0, 1)), rtol=1e-5)
    trained.save(tmp_path / "t.safetensors")
    assert model.TableModel.load(tmp_path / "t.safetensors").predict_with_remarks(frame)[0].equals(predicted)


@pytest.mark.slow
def test_train_of_quantiles(folder, capsys):
    messy(100).write_csv("t.csv")
    options = ["--loss", "ascending_pinball", "--quantiles", "0.9", "0.1", "0.4", "--hidden", "8", "--epochs", "20"]
    assert cli.main(["train", "t.csv", "--target", "y", "--no-figure", "--repeats", "1", *options]) == 0
    assert cli.main(["predict", "t.safetensors", "t.csv", "--output", "p.csv"]) == 0
    predicted = polars.read_csv("p.csv")
    assert predicted.columns == ["y", "y_0.1", "y_0.4", "y_0.9"]
    assert predicted["y"].equals(predicted["y_0.4"])
    assert (predicted["y_0.1"] <= predicted["y_0.4"]).all()
    assert (predicted["y_0.4"] <= predicted["y_0.9"]).all()
    assert cli.main(["info", "t.safetensors"]) == 0
    assert "loss: ascending_pinball; quantiles: 0.9,0.1,0.4" in " ".join(capsys.readouterr().out.split())


def test_train_on_classes_from_parquet_in_silence(folder, capsys):
    rng = np.random.default_rng(0)
    x = rng.normal(size=120)
    polars.DataFrame({"x": x, "kind": np.where(x > 0, "up", "down")}).write_parquet("t.parquet")
    argv = ["train", "t.parquet", "--target", "kind", "--quiet", "--no-figure", "--output", "k.safetensors"]
    assert cli.main(argv) == 0
    assert capsys.readouterr() == ("", "")
    assert not list(folder.glob("*.png"))
    assert cli.main(["predict", "k.safetensors", "t.parquet"]) == 0
    header, first, *_ = capsys.readouterr().out.splitlines()
    assert header == "kind,probability,probability_down,probability_up"
    assert first.split(",")[0] == ("up" if x[0] > 0 else "down")


def test_info_of_a_plain_network(folder, capsys):
    for name in ("net.npz", "net.safetensors"):
        fastnn.MLP((3, 2), rng=0).save(name)
        assert cli.main(["info", name]) == 0
        assert "<MLP: 3 -> 2 identity" in capsys.readouterr().out
    assert cli.main(["predict", "net.safetensors", "x.csv"]) == 1
    assert "another network" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "cannot be read as a table"),
        (b"a,y\n", "no rows"),
        (b"a,y\n1,2\n3,4,5\n", "line 3 has 3 fields, where the header has 2"),
        (bytes(range(256)), "cannot be read as a table"),
        (b"a,b\n1,2\n", "no column 'y'"),
        (b"a,y\n1,2\n", "at least 10 rows"),
        (b"a,y\n" + b"5,1\n5,2\n" * 40, "a network needs columns to predict 'y' from"),
        (b"a,y\n" + b"1,5.5\n2,5.5\n" * 40, "constant"),
        (b"a,y\n" + b"1,5\n2,5\n" * 40, "constant"),
        (b"a,y\n" + b"1,u\n2,v\n" * 40 + b"inf,u\n" * 40, "infinity"),
        (b"a,y\n" + b"1,u\n2,v\n" * 40 + b"1e300,u\n" * 40, "holds 1e+300, which is too large, in row"),
        (b"a,y\n" + b"1,-1e300\n2,1e300\n" * 40, "holds -1e+300, which is too large, in row 1"),
        (b"y\n" + b"1\n2\n" * 40, "a network needs columns to predict 'y' from"),
    ],
)
def test_bad_tables_are_refused_in_one_line(text, said, folder, capsys):
    (folder / "t.csv").write_bytes(text)
    assert cli.main(["train", "t.csv", "--target", "y"]) == 1
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--hidden", "3,x"], "--hidden"),
        (["--epochs", "0"], "--epochs"),
        (["--repeats", "0"], "--repeats"),
        (["--rate", "-1"], "--rate must be a finite number of at least 0; got -1.0"),
        (["--l2", "inf"], "--l2 must be a finite number of at least 0; got inf"),
        (["--decimal", "x"], "--decimal must be neither a letter nor a digit; got 'x'"),
        (["--decimal", ",", "--thousands", ","], "--decimal and --thousands must differ; both are ','"),
        (["--output", "folder.safetensors"], "folder.safetensors is a folder"),
        (["--decimal", ","], "without currency or percent signs (',' decimal)"),
        (["--sheet", "1"], "--sheet must be left out for t.csv, which is text"),
        (["--use", "a", "--leave-out", "a"], "column 'a' cannot be both used and left out"),
        (["--use", "y"], "column 'y' is the target, and can be neither used nor left out"),
        (["--activation", "softmax"], "--activation must be one of identity, sigmoid, tanh"),
        (["--activation", "rely"], "did you mean 'relu'"),
        (["--output", "m.pkl"], ".safetensors"),
        (["--loss", "mes"], "did you mean 'mse'"),
        (["--class-weight", "balanced"], "--class-weight is for classes; the target is a number"),
        (["--quantiles", "0.5"], "--quantiles goes with --loss pinball, expectile, ascending_pinball; got --loss mse"),
        (["--loss", "pinball", "--quantiles", "1.5"], "--quantiles must be a number in (0, 1); got 1.5"),
        (["--loss", "mae", "--task", "classification", "--target", "colour"], "--loss and --quantiles are for numbers"),
        (["--output", "no/such/m.safetensors"], "the folder of no/such/m.safetensors does not exist"),
    ],
)
def test_bad_options_are_refused_in_one_line(argv, said, folder, capsys):
    (folder / "folder.safetensors").mkdir()
    messy(60).write_csv("t.csv")
    for dry in ([], ["--dry-run"]):
        assert cli.main(["train", "t.csv", "--target", "y", *argv, *dry]) == 1
        error = capsys.readouterr().err
        assert said in error
        assert error.count("\n") == 1


@pytest.mark.parametrize("argv", [["train"], ["sweep", "--output", "m.safetensors"]])
def test_a_model_with_too_many_names_is_refused_before_it_is_trained(argv, folder, capsys, monkeypatch):
    monkeypatch.setattr(training, "fit_many", None)
    values = np.random.default_rng(0).normal(size=(9, 40))
    names = [*(f"{k}{'x' * 250_000}" for k in range(8)), "y"]
    polars.DataFrame(dict(zip(names, values, strict=True))).write_parquet("t.parquet")
    assert cli.main([*argv, "t.parquet", "--target", "y"]) == 1
    assert "too many for a model to be saved; --leave-out leaves columns out" in capsys.readouterr().err


@pytest.mark.parametrize("argv", [["--loss", "mes"], ["--quantiles", "0.5"], ["--loss", "pinball", "--quantiles", "2"]])
@pytest.mark.parametrize("command", ["train", "sweep"])
def test_a_loss_is_checked_before_the_table_is_read(command, argv, folder, capsys):
    (folder / "t.csv").write_text("no table of any use\n")
    assert cli.main([command, "t.csv", "--target", "y", *argv]) == 1
    assert capsys.readouterr().err.startswith(f"fastnn {command}: --")


def test_missing_file_and_wrong_columns(outcome, folder, capsys):
    assert cli.main(["train", "nothing.csv", "--target", "y"]) == 1
    assert "is not a file" in capsys.readouterr().err
    outcome.model.save("m.safetensors")
    messy().drop("colour").write_csv("t.csv")
    assert cli.main(["predict", "m.safetensors", "t.csv"]) == 1
    assert "it lacks 'colour'" in capsys.readouterr().err
    messy().with_columns(colour=polars.lit("violet")).write_csv("t.csv")
    assert cli.main(["predict", "m.safetensors", "t.csv"]) == 0
    assert "300 values of no category known from training" in capsys.readouterr().err
    assert cli.main(["predict", "m.safetensors", "t.csv", "--quiet"]) == 0
    assert capsys.readouterr().err == ""
    messy().with_columns(a=polars.lit("text")).write_csv("t.csv")
    assert cli.main(["predict", "m.safetensors", "t.csv"]) == 1
    assert "must hold numbers" in capsys.readouterr().err


def test_columns_of_every_kind_of_parquet():
    n = 60
    frame = polars.DataFrame(
        {
            "float": np.random.default_rng(0).normal(size=n),
            "decimal": polars.Series([f"{i}.5" for i in range(n)]).cast(polars.Decimal(10, 2)),
            "large": polars.Series([2**60 * (i % 13 + 1) for i in range(n)], dtype=polars.UInt64),
            "categorical": polars.Series(["u", "v"] * (n // 2), dtype=polars.Categorical),
            "enum": polars.Series(["u", "v"] * (n // 2), dtype=polars.Enum(["u", "v"])),
            "list": [[i] for i in range(n)],
            "struct": [{"a": i} for i in range(n)],
            "binary": [bytes([i]) for i in range(n)],
            "date": polars.Series(range(n)).cast(polars.Date),
            "duration": polars.Series(range(n)).cast(polars.Duration),
        }
    )
    table = preparing.prepare(frame, "float", None, 0, use=["date", "decimal", "large"])
    assert {c.name: c.kind for c in table.columns} == {
        "decimal": "number", "large": "number", "categorical": "category", "date": "date"
    }  # fmt: skip
    assert table.left_out["list"] == "List is neither a number nor a category"
    assert table.left_out["enum"] == "a copy of 'categorical'"
    for name in ("list", "struct", "date"):
        with pytest.raises(ValueError, match=f"'{name}' must hold numbers or classes; it holds {name.title()}"):
            preparing.prepare(frame, name, None, 0)


SWEEP = ["sweep", "t.csv", "--target", "y", "--hidden", "4", "4,4", "--rate", "0.01", "--epochs", "20"]


def test_sweep_compares_settings(folder, capsys):
    messy().write_csv("t.csv")
    assert cli.main([*SWEEP, "--repeats", "3"]) == 0
    said = capsys.readouterr().out
    assert "2 settings, 3 networks of each. r2 on 5" in said
    assert "  4 tanh, rate 0.01 " in said
    assert "  4-4 tanh, rate 0.01 " in said
    assert "Baselines: a linear model: 0." in said
    assert "LEFT OUT: constant" in said
    assert "To train the best one: fastnn train t.csv --target y --hidden 4" in said
    assert cli.main([*SWEEP, "--repeats", "1", "--rate", "1e30"]) == 1
    assert "all networks diverged; a smaller --rate may help" in capsys.readouterr().err
    for option in (["--repeats", "0"], ["--folds", "1"], ["--threads", "0"]):
        assert cli.main([*SWEEP, *option]) == 1
        assert option[0] in capsys.readouterr().err


def grid(rates, **settings):
    return [training.TableSettings(hidden=(3,), learning_rate=rate, epochs=12, **settings) for rate in rates]


def test_sweep_trains_what_shares_a_network_in_one_call_and_ranks_on_other_rows_than_it_judges(table, monkeypatch):
    calls = []

    def spy(X, y, settings, **options):
        calls.append((len(X), len(settings), options))
        return fastnn.sweep(X, y, settings, **options)

    monkeypatch.setattr(sweeping, "sweep", spy)
    compared = sweeping.compare(table, grid([1e-5, 0.02], repeats=2), progress=False)
    assert [one.settings.learning_rate for one in compared] == [0.02, 1e-5]
    assert compared[0].loss < compared[1].loss
    [(n, settings, options)] = calls
    assert (n, settings, list(options["seeds"])) == ((table.fold > 0).sum(), 2, [0, 1])
    assert len(options["validation_data"][0]) == (table.fold == 0).sum()

    X, y, first = table.learned[0], table.outputs, table.fold == 0
    alone = fastnn.sweep(
        X[~first], y[~first],
        [{"hidden": (3,), "activation": "tanh", "learning_rate": 0.02, "init": "glorot_uniform"}], seeds=2,
        validation_data=(X[first], y[first]), dtype="float32", **training.shared_options(table, compared[0].settings),
    )  # fmt: skip
    scores = [scoring.score(net.predict(table.held[0]), table)["r2"] for net in alone.networks]
    np.testing.assert_array_equal(compared[0].scores, scores)


class Enough(Exception):
    """Raised in place of training."""


def arguments_of(owner, name, call, monkeypatch):
    """What a call hands to a function that trains, which is not called."""
    given = []

    def spy(*args, **settings):
        given.append((args, settings))
        raise Enough

    monkeypatch.setattr(owner, name, spy)
    with pytest.raises(Enough):
        call()
    return given[0]


def test_classes_weigh_alike_where_networks_learn_and_where_they_stop(monkeypatch):
    rng = np.random.default_rng(0)
    x = rng.normal(size=200)
    table = preparing.prepare(polars.DataFrame({"x": x, "kind": np.where(x > 1, "up", "down")}), "kind", None, 0)
    settings = training.TableSettings(hidden=(3,), repeats=2, l2=0.5, batch_size=7, patience=4, class_weight="balanced")
    labels, n = table.learned[1], len(table.fold)
    weights = training.row_weights(table, settings)
    np.testing.assert_allclose([weights[labels == k].sum() for k in (0, 1)], n / 2)

    _, given = arguments_of(training, "fit_many", lambda: training.fit(table, settings), monkeypatch)
    for k in range(2):
        np.testing.assert_array_equal(given["sample_weight"][k], np.where(table.fold == k, 0, weights))
        np.testing.assert_array_equal(given["validation_data"][2][k], np.where(table.fold == k, weights, 0))
    assert (given["l2"], given["batch_size"], given["early_stopping"].patience) == (0.5 / n, 7, 4)

    first = table.fold == 0
    (X, *_), given = arguments_of(sweeping, "sweep", lambda: sweeping.compare(table, [settings]), monkeypatch)
    np.testing.assert_array_equal(given["sample_weight"], weights[~first])
    np.testing.assert_array_equal(given["validation_data"][2], weights[first])
    assert (given["l2"], len(X)) == (0.5 / (~first).sum(), (~first).sum())
    _, given = arguments_of(sweeping, "sweep", lambda: sweeping.compare(table, [settings], 3), monkeypatch)
    np.testing.assert_array_equal(given["sample_weight"], weights)
    assert given["validation_data"] is None


@pytest.mark.skipif(os.name == "nt", reason="other quotes")
def test_a_sweep_tells_a_command_that_trains_the_same_setting():
    options = "--task classification --use a --leave-out b c --epochs 7 --patience 3 --batch-size 16 --l2 0.5 --seed 4 "
    options += "--loss pinball --quantiles 0.9 0.1 --class-weight balanced --threads 2 --separator tab --decimal , "
    options += "--thousands . --encoding cp1252 --missing ? 'a b' --comment # --sheet s --no-header --repeats 5"
    parser = cli.build_parser()
    swept = parser.parse_args(["sweep", "t 1.csv", "--target", "y", *shlex.split(options)])
    settings = settings_of(swept, (), "relu", 0.02)
    assert settings == training.TableSettings(
        hidden=(), activation="relu", epochs=7, learning_rate=0.02, seed=4, repeats=5, threads=2, l2=0.5,
        batch_size=16, patience=3, class_weight="balanced", loss="pinball", quantiles=(0.9, 0.1),
    )  # fmt: skip
    args = parser.parse_args(shlex.split(sweep_command.train_command(swept, settings))[1:])
    again = settings_of(args, layers(args.hidden), args.activation, args.rate)
    assert again == dataclasses.replace(settings, threads=1)
    reading = Reading("\t", ",", ".", "cp1252", ["?", "a b"], "#", False, "s")
    assert reading_of(args) == reading_of(swept) == reading
    assert (args.data, args.target, args.task) == ("t 1.csv", "y", "classification")
    assert (args.use, args.leave_out) == (["a"], ["b", "c"])
    odd = parser.parse_args(["sweep", "t.csv", "--target=-y", "--missing=-x"])
    args = parser.parse_args(shlex.split(sweep_command.train_command(odd, settings))[1:])
    assert (args.target, args.missing) == ("-y", ["-x"])


def test_sweep_with_folds_uses_all_rows_that_are_not_held_out(table):
    [one] = sweeping.compare(table, grid([0.02], repeats=2), folds=3, progress=False)
    assert one.scores.shape == (6,)
    assert len(set(one.scores)) == 6


def test_sweep_of_classes_of_which_one_is_rare():
    rng = np.random.default_rng(0)
    x = rng.normal(size=90)
    kind = np.where(x > 0, "up", "down").astype(object)
    kind[:2] = "zero"  # two rows: not in every part
    frame = polars.DataFrame({"x": x, "kind": kind.astype(str)})
    for seed in range(4):
        table = preparing.prepare(frame, "kind", None, seed)
        [one] = sweeping.compare(table, grid([0.05], seed=seed), progress=False)
        assert one.scores[0] > 0.5


def test_sweep_tells_who_diverged(folder, capsys):
    messy().write_csv("t.csv")
    options = ["--hidden", "4", "--rate", "0.01", "1e30", "--epochs", "5", "--repeats", "2"]
    assert cli.main(["sweep", "t.csv", "--target", "y", *options]) == 0
    header, first, second = capsys.readouterr().out.partition("held out:\n")[2].splitlines()[-6:-3]
    assert header.endswith("diverged")
    assert first.split()[-1] == "0"
    assert second.split()[-2:] == ["-", "2"]


@pytest.mark.parametrize("repeats", ["1", "2"])
def test_training_that_diverges_is_said_in_one_line(repeats, folder, capsys):
    messy().write_csv("t.csv")
    assert cli.main(["train", "t.csv", "--target", "y", "--rate", "1e30", "--epochs", "5", "--repeats", repeats]) == 1
    error = capsys.readouterr().err
    assert error == "fastnn train: training diverged at a learning rate of 1e+30; a smaller one may help\n"
    assert not list(folder.glob("*.safetensors"))


@pytest.mark.slow
@pytest.mark.parametrize(
    "argv", [["train"], ["train", "--repeats", "2"], ["train", "--repeats", "40"], ["sweep", "--repeats", "2"]]
)
def test_ctrl_c_while_it_trains_saves_nothing(argv, folder, capsys):
    messy(5000).write_csv("t.csv")
    command, *options = argv
    code = (
        "import sys, _thread, threading; from fastnn.apps import cli; from fastnn.tabular import preparing, training\n"
        "prepare = preparing.prepare\n"
        "def soon(*args):\n"
        "    threading.Timer(1.0, _thread.interrupt_main).start(); return prepare(*args)\n"
        "preparing.prepare = soon\n"
        "sys.exit(cli.main(sys.argv[1:]))"
    )
    full = [command, "t.csv", "--target", "y", "--epochs", "100000", "--patience", "1000000", *options]
    done = subprocess.run([sys.executable, "-c", code, *full], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (130, f"fastnn {command}: interrupted\n")
    assert not list(folder.glob("*.safetensors"))


def test_ctrl_c_saves_and_tells_the_networks_that_are_finished(folder, monkeypatch, capsys):
    """A Ctrl-C that comes when three of four are finished: they are the model, and there is no figure."""
    messy().write_csv("t.csv")
    fit_many = training.fit_many
    monkeypatch.setattr(training, "fit_many", lambda *args, **settings: fit_many(*args, **settings)[:3])
    argv = ["train", "t.csv", "--target", "y", "--hidden", "8", "--epochs", "2", "--repeats", "4"]
    assert cli.main(argv) == 130
    out, error = capsys.readouterr()
    assert "Interrupted: 3 of 4 networks were finished, and are saved." in out
    assert error == "fastnn train: interrupted\n"
    assert len(model.TableModel.load("t.safetensors").networks) == 3
    assert not list(folder.glob("*.png"))


def interrupts(monkeypatch, owner, name, before):
    """Ctrl-C before or after each call of a function."""
    real = getattr(owner, name)

    def interrupted(*args, **settings):
        if before:
            signal.raise_signal(signal.SIGINT)
        result = real(*args, **settings)
        if not before:
            signal.raise_signal(signal.SIGINT)
        return result

    monkeypatch.setattr(owner, name, interrupted)


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (training, "first_scores"),
        (model.TableModel, "save"),
        (saved, "write_whole"),
        (train_command, "_tell_outcome"),
        (train_command, "tell_scores"),
        (train_command, "_draw"),
    ],
)
def test_ctrl_c_after_the_last_epoch_loses_nothing_and_says_so(owner, name, before, folder, monkeypatch, capsys):
    messy().write_csv("t.csv")
    interrupts(monkeypatch, owner, name, before)
    monkeypatch.setattr(train_command, "save_figure", lambda *args: None)
    assert cli.main(["train", "t.csv", "--target", "y", "--hidden", "8", "--epochs", "2", "--repeats", "4"]) == 130
    out, error = capsys.readouterr()
    assert "Model: t.safetensors" in out
    assert out.endswith("Interrupted: 4 of 4 networks were finished, and are saved.\n")
    assert error == "fastnn train: interrupted\n"
    assert len(model.TableModel.load("t.safetensors").networks) == 4


@pytest.mark.parametrize(
    ("owner", "name", "told"),
    [
        (sweeping, "sweep", "4 of 4 networks were finished, and are shown here"),
        (sweep_command, "_tell_comparison", "4 of 4 networks were finished, and are shown here"),
        (model.TableModel, "save", "2 of 2 networks were finished, and are saved"),
    ],
)
def test_ctrl_c_late_in_a_sweep_loses_nothing_and_says_so(owner, name, told, folder, monkeypatch, capsys):
    messy().write_csv("t.csv")
    interrupts(monkeypatch, owner, name, before=False)
    argv = ["sweep", "t.csv", "--target", "y", "--hidden", "8", "--epochs", "2", "--repeats", "2", "--save"]
    assert cli.main([*argv, "t.safetensors"]) == 130
    out, error = capsys.readouterr()
    assert out.endswith(f"Interrupted: {told}.\n")
    assert error == "fastnn sweep: interrupted\n"
    assert (folder / "t.safetensors").exists() == told.endswith("saved")


def test_ctrl_c_in_a_sweep_tells_the_networks_that_are_finished(folder, monkeypatch, capsys):
    messy().write_csv("t.csv")
    sweep = sweeping.sweep

    def interrupted(*args, **settings):
        whole = sweep(*args, **settings)
        return dataclasses.replace(whole, records=whole.records[:3], networks=whole.networks[:3])

    monkeypatch.setattr(sweeping, "sweep", interrupted)
    argv = ["sweep", "t.csv", "--target", "y", "--hidden", "8", "--epochs", "2", "--repeats", "2", "--save"]
    assert cli.main([*argv, "t.safetensors"]) == 130
    out, error = capsys.readouterr()
    assert "Interrupted: 3 of 4 networks were finished, and are shown here." in out
    assert error == "fastnn sweep: interrupted\n"
    assert not list(folder.glob("*.safetensors"))


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.1, 1.0, 3.0, 6.0])
@pytest.mark.parametrize("command", ["train", "sweep"])
def test_ctrl_c_at_any_moment(command, seconds, folder):
    """Either nothing is written, or a whole model of as many networks as are told of."""
    messy(1000).write_csv("t.csv")
    # Without a patience they are at work for minutes, on any machine; what is imported is not what is asked about.
    code = "import sys; from fastnn.apps import cli; print('begins', flush=True); sys.exit(cli.main())"
    options = ["--target", "y", "--repeats", "2000", "--epochs", "3000", "--patience", "3000"]
    argv = [sys.executable, "-c", code, command, "t.csv", *options]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "begins\n"
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(seconds)
    process.send_signal(signal.SIGINT)
    try:
        out, error = process.communicate(timeout=120)
    finally:
        process.kill()
    assert error in (f"fastnn {command}: interrupted\n", "fastnn: interrupted\n")  # or before it knew the command
    # A shell sees 130 either way: an import that was interrupted may have Python end itself by the signal.
    assert process.returncode in (130, -signal.SIGINT)
    told = re.search(r"Interrupted: (\d+) of \d+ networks were finished", out)
    written = {path.name for path in folder.iterdir()} - {"t.csv"}
    assert written == ({"t.safetensors"} if told and command == "train" else set())
    if written:
        assert len(model.TableModel.load("t.safetensors").networks) == int(told[1])
