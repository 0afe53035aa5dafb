"""``fastnn train``, ``predict`` and ``info``: what they print and write, and what they refuse in one line."""

import os

import numpy as np
import pytest
from spreadsheets import xlsx

import fastnn
from fastnn.apps import cli

polars = pytest.importorskip("polars")
pytest.importorskip("safetensors")

from table_cases import messy, trained_on_messy  # noqa: E402 - after importorskip()

from fastnn.tabular import training  # noqa: E402 - after importorskip()


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


def test_info_tells_how_many_categories_it_leaves_out(folder, capsys):
    places = [f"place {k % 60}" for k in range(300)]
    polars.DataFrame({"place": places, "side": ["left", "right"] * 150, "y": range(300)}).write_csv("t.csv")
    argv = ["train", "t.csv", "--target", "y", "--hidden", "4", "--epochs", "1", "--repeats", "1", "--no-figure"]
    assert cli.main(argv) == 0
    capsys.readouterr()
    assert cli.main(["info", "t.safetensors"]) == 0
    said = capsys.readouterr().out
    assert " left, right\n" in said
    assert " place 0, place 1, place 10 and 57 more\n" in said


def test_an_empty_column_of_a_spreadsheet_is_told_once(folder, capsys, caplog):
    pytest.importorskip("fastexcel")
    rows = [(float(k), None, float(k * k % 7)) for k in range(20)]
    (folder / "t.xlsx").write_bytes(xlsx(sheet=[("x", "none", "y"), *rows]))
    assert cli.main(["train", "t.xlsx", "--target", "y", "--task", "regression", "--dry-run"]) == 0
    assert capsys.readouterr().out.count("LEFT OUT: empty") == 1
    assert caplog.text == ""


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


def test_a_name_with_dollar_signs_is_no_formula_in_the_figure(folder, capsys):
    messy(60).rename({"y": "$_{$"}).write_csv("t.csv")
    argv = ["train", "t.csv", "--target", "$_{$", "--hidden", "4", "--epochs", "2", "--repeats", "1"]
    assert cli.main(argv) == 0
    assert (folder / "t.png").stat().st_size > 1000


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


def test_info_of_a_plain_network(folder, capsys, refusal):
    for name in ("net.npz", "net.safetensors"):
        fastnn.MLP((3, 2), rng=0).save(name)
        assert cli.main(["info", name]) == 0
        assert "<MLP: 3 -> 2 identity" in capsys.readouterr().out
    assert "another network" in refusal("predict", "net.safetensors", "x.csv")


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
def test_bad_tables_are_refused_in_one_line(text, said, folder, refusal):
    (folder / "t.csv").write_bytes(text)
    assert said in refusal("train", "t.csv", "--target", "y")


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
        (["--separator", '"'], "--separator must be one character, but no quote, or tab; got '\"'"),
        (["--comment", "§"], "--comment must be in ASCII, but no quote; got '§'"),
        (["--comment", "tab"], "--comment must be one character; got 'tab'"),
        (["--comment", ",", "--separator", ","], "--comment and --separator must differ; both are ','"),
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
        (["--output", "device.safetensors"], "device.safetensors is a device or a pipe, not a file"),
        (["--output", "pictured.safetensors"], "pictured.png is a folder"),
    ],
)
def test_bad_options_are_refused_in_one_line(argv, said, folder, capsys):
    (folder / "folder.safetensors").mkdir()
    (folder / "pictured.png").mkdir()
    (folder / "device.safetensors").symlink_to(os.devnull)
    messy(60).write_csv("t.csv")
    for dry in ([], ["--dry-run"]):
        assert cli.main(["train", "t.csv", "--target", "y", *argv, *dry]) == 1
        error = capsys.readouterr().err
        assert said in error
        assert error.count("\n") == 1


def test_an_option_of_several_values_may_be_given_several_times(folder, capsys):
    messy(60).write_csv("t.csv")
    columns = ["--leave-out", "a", "--leave-out", "flag", "empty"]
    assert cli.main(["train", "t.csv", "--target", "y", "--dry-run", *columns]) == 0
    assert capsys.readouterr().out.count("LEFT OUT: as you asked") == 3
    trained_on_messy().model.save("m.safetensors")
    assert cli.main(["predict", "m.safetensors", "t.csv", "--keep", "name", "--keep", "a", "flag"]) == 0
    assert capsys.readouterr().out.startswith("name,a,flag,y,")


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
def test_a_loss_is_checked_before_the_table_is_read(command, argv, folder, refusal):
    (folder / "t.csv").write_text("no table of any use\n")
    assert refusal(command, "t.csv", "--target", "y", *argv).startswith(f"fastnn {command}: --")


def test_missing_file_and_wrong_columns(folder, capsys, refusal):
    assert "is not a file" in refusal("train", "nothing.csv", "--target", "y")
    trained_on_messy().model.save("m.safetensors")
    messy().drop("colour").write_csv("t.csv")
    assert "it lacks 'colour'" in refusal("predict", "m.safetensors", "t.csv")
    messy().with_columns(colour=polars.lit("violet")).write_csv("t.csv")
    assert cli.main(["predict", "m.safetensors", "t.csv"]) == 0
    assert "300 values of no category known from training" in capsys.readouterr().err
    assert cli.main(["predict", "m.safetensors", "t.csv", "--quiet"]) == 0
    assert capsys.readouterr().err == ""
    messy().with_columns(a=polars.lit("text")).write_csv("t.csv")
    assert "must hold numbers" in refusal("predict", "m.safetensors", "t.csv")


@pytest.mark.parametrize("repeats", ["1", "2"])
def test_training_that_diverges_is_said_in_one_line(repeats, folder, capsys):
    messy().write_csv("t.csv")
    assert cli.main(["train", "t.csv", "--target", "y", "--rate", "1e30", "--epochs", "5", "--repeats", repeats]) == 1
    error = capsys.readouterr().err
    assert error == "fastnn train: training diverged at a learning rate of 1e+30; a smaller one may help\n"
    assert not list(folder.glob("*.safetensors"))
