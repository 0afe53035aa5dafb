"""What stands in files: models of the first format, predictions beside a table's columns, and what a sweep saves."""

import io
import shlex
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from fastnn.apps import cli

polars = pytest.importorskip("polars")
pytest.importorskip("safetensors")

from fastnn import Ensemble, TableModel  # noqa: E402 - after importorskip()
from fastnn.tabular import saved  # noqa: E402

#: Made by the code that knew version 1 alone, and what that code predicted for the rows below.
VERSION_1 = Path(__file__).parent / "version_1"
NUMBERS = [-0.11931824998742052, -2.0922669160538634, 0.8199363082560581, 0.44964499856394646]
CLASSES = ["up", "down", "up", "up"]
CHANCES = [0.6771376132965088, 0.5191268920898438, 0.7018983960151672, 0.6679373383522034]

ROWS = """\
id,a,colour,flag,y,sign
007,,green,true,-0.248,down
008,-0.132,green,false,-0.764,down
009,0.64,red,true,2.78,up
010,0.105, blue,true,-0.29,down
"""


@pytest.fixture(autouse=True)
def table(folder):
    (folder / "rows.csv").write_text(ROWS)


def predict(model, *options):
    return cli.main(["predict", str(VERSION_1 / f"{model}.safetensors"), "rows.csv", *options])


def test_files_of_version_1_predict_what_they_did(folder):
    frame = polars.read_csv("rows.csv")
    numbers = TableModel.load(VERSION_1 / "numbers.safetensors").predict(frame)
    assert numbers.columns == ["y"]
    np.testing.assert_allclose(numbers["y"], NUMBERS, rtol=1e-5)
    classes = TableModel.load(VERSION_1 / "classes.safetensors").predict(frame)
    assert classes["sign"].to_list() == CLASSES
    np.testing.assert_allclose(classes["probability"], CHANCES, rtol=1e-5)


def test_a_model_that_is_replaced_while_it_is_read_is_read_whole(folder, monkeypatch):
    old, check = saved.load(VERSION_1 / "numbers.safetensors"), saved._check_fit
    new = old._replace(target=replace(old.target, mean=7.0), many=Ensemble(old.many.spec, 7 * old.many.params))
    saved.save("model.safetensors", old)

    def replaced(*model):
        monkeypatch.setattr(saved, "_check_fit", check)
        saved.save("model.safetensors", new)
        check(*model)

    monkeypatch.setattr(saved, "_check_fit", replaced)
    loaded = saved.load("model.safetensors")
    assert (loaded.target.mean, loaded.many.params.tobytes()) == (7.0, new.many.params.tobytes())


def test_predictions_do_not_overwrite_the_table(folder, capsys):
    (folder / "same.csv").symlink_to("rows.csv")
    (folder / "another.csv").hardlink_to(folder / "rows.csv")  # as ROWS.csv is where capitals make no difference
    for output in ("rows.csv", "same.csv", "another.csv"):
        assert predict("numbers", "--keep", "all", "--output", output) == 1
        assert "FILE and --output must name two files; got rows.csv for both" in capsys.readouterr().err
    assert (folder / "rows.csv").read_text() == ROWS


def test_columns_are_kept_as_they_stand_in_the_file(capsys):
    assert predict("classes", "--keep", "id", "sign") == 0
    header, *rows = capsys.readouterr().out.splitlines()
    assert header == "id,sign (given),sign,probability,probability_down,probability_up"
    assert [row.split(",")[:3] for row in rows] == [
        ["007", "down", "up"],
        ["008", "down", "down"],
        ["009", "up", "up"],
        ["010", "down", "up"],
    ]


def test_all_columns_are_kept(capsys):
    assert predict("numbers", "--keep", "all") == 0
    assert capsys.readouterr().out.splitlines()[0] == "id,a,colour,flag,y (given),sign,y"


def test_a_column_to_keep_that_there_is_not(folder, capsys):
    assert predict("numbers", "--keep", "name", "--output", "p.csv") == 1
    assert "--keep must name columns of the table; it has no 'name'" in capsys.readouterr().err
    assert not (folder / "p.csv").exists()


@pytest.mark.parametrize(
    ("column", "kind"),
    [([[1]] * 4, "List"), ([{"a": 1}] * 4, "Struct"), ([b"a"] * 4, "Binary"), ([timedelta(1)] * 4, "Duration")],
)
def test_a_column_to_keep_that_csv_does_not_hold(column, kind, folder, capsys):
    polars.read_csv("rows.csv").with_columns(polars.Series("more", column)).write_parquet("rows.parquet")
    command = ["predict", str(VERSION_1 / "numbers.safetensors"), "rows.parquet", "--keep", "all"]
    for output in ([], ["--output", "p.csv"]):
        assert cli.main([*command, *output]) == 1
        said = f"--keep must name columns that CSV can hold, or --output a .parquet file; 'more' is {kind}"
        assert said in " ".join(capsys.readouterr().err.split())
    assert not (folder / "p.csv").exists()
    assert cli.main([*command, "--output", "p.parquet"]) == 0
    assert polars.read_parquet("p.parquet")["more"].to_list() == column


@pytest.mark.parametrize("output", ["p.xlsx", "p.csv.gz", "p.json", "p"])
def test_predictions_in_another_format_are_refused(output, folder, capsys):
    assert predict("numbers", "--output", output) == 1
    assert f"--output must end in .csv or .parquet; got '{output}'" in capsys.readouterr().err
    assert not (folder / output).exists()


def test_names_that_standard_output_cannot_encode(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), "ascii"))
    Path("rows.csv").write_text(ROWS.replace("id,", "größe,"), encoding="utf-8")
    assert predict("numbers", "--keep", "größe") == 1
    said = r"standard output is in ascii, which has no '\xf6'; --output writes a file in UTF-8"
    assert said in capsys.readouterr().err


def test_predictions_as_parquet():
    assert predict("numbers", "--keep", "id", "--output", "p.parquet") == 0
    frame = polars.read_parquet("p.parquet")
    assert frame.columns == ["id", "y"]
    assert frame["id"].to_list() == ["007", "008", "009", "010"]
    np.testing.assert_allclose(frame["y"], NUMBERS, rtol=1e-5)


def test_a_sweep_saves_the_best_and_tells_the_command_that_trains_it(folder, capsys):
    x = np.random.default_rng(0).normal(size=80)
    polars.DataFrame({"x": x, "y": 2 * x + np.random.default_rng(1).normal(size=80) / 9}).write_csv("t.csv")
    settings = ["--hidden", "4", "--rate", "0.0001", "0.031234567", "--repeats", "2", "--epochs", "20"]
    assert cli.main(["sweep", "t.csv", "--target", "y", *settings, "--save", "best.safetensors"]) == 0
    said = capsys.readouterr().out
    command = next(line for line in said.splitlines() if line.startswith("To train the best one: "))
    assert "--rate 0.031234567 " in command
    saved = TableModel.load("best.safetensors")
    assert len(saved.networks) == 2
    words = shlex.split(command.removeprefix("To train the best one: "))
    assert cli.main([*words[1:], "--no-figure", "--output", "again.safetensors"]) == 0
    np.testing.assert_array_equal(TableModel.load("again.safetensors").networks.params, saved.networks.params)


def test_a_sweep_refuses_another_kind_of_file_before_it_trains(folder, refusal):
    (folder / "t.csv").write_text("x,y\n")
    line = refusal("sweep", "t.csv", "--target", "y", "--output", "best.npz")
    assert "--output must end in .safetensors; got 'best.npz'" in line
