"""From a table to networks and back: how columns become inputs, what is learned, what a model says and a file holds."""

import dataclasses
import json
import struct
import warnings

import numpy as np
import pytest

import fastnn
from fastnn.apps import cli

polars = pytest.importorskip("polars")
pytest.importorskip("safetensors")

from table_cases import QUICK, messy, prepared_messy, trained_on_messy  # noqa: E402 - after importorskip()

from fastnn.tabular import model, preparing, saved, scoring, training  # noqa: E402 - after importorskip()
from fastnn.tabular.encoding import Column, encode  # noqa: E402 - after importorskip()
from fastnn.tabular.numerals import Numerals  # noqa: E402 - after importorskip()
from fastnn.tabular.target import Target  # noqa: E402 - after importorskip()


@pytest.fixture
def table():
    return prepared_messy()


@pytest.fixture
def outcome():
    return trained_on_messy()


def test_columns_are_used_or_left_out_with_the_reason(table):
    assert [(c.name, c.levels, c.missing) for c in table.columns] == [
        ("a", None, True), ("colour", ("blue", "green", "red"), False), ("flag", None, False)
    ]  # fmt: skip
    assert table.left_out["constant"] == "constant"
    assert table.left_out["empty"] == "empty"
    assert "different texts" in table.left_out["name"]
    assert table.dropped == 6
    assert len(table.fold) + len(table.held_out.y) == 294


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


def test_words_say_what_each_input_and_output_of_a_network_is():
    number = Column("a", mean=2.0, scale=0.5, missing=True)
    assert number.meanings == ["(a - 2.0) / 0.5, or 0 if it is missing", "1 if a is missing, otherwise 0"]
    X, _ = encode([number], [np.array([3.0, np.nan])])
    assert X.tolist() == [[(3.0 - 2.0) / 0.5, 0], [0, 1]]
    day = Column("d", kind="date", mean=1.0, scale=2.0)
    assert day.meanings == ["(days from 1970-01-01 to d - 1.0) / 2.0, or 0 if it is missing"]
    assert Column("t", levels=("A", "B")).meanings == ["1 if t is 'A', otherwise 0", "1 if t is 'B', otherwise 0"]
    many = Column("m", levels=("A", "B"), kind="many", means=((1.0, 4.0), (2.0, 5.0), (3.0, 6.0)), missing=True)
    assert many.meanings[1] == "means[i][1] of m: i is its place in levels, or the last for any other and none"
    for column in (number, day, many):
        assert len(column.meanings) == column.width
    target = Target("y", mean=1.0, scale=2.0)
    assert target.meanings == ["(y - 1.0) / 2.0"]
    assert Target("y", ("no", "yes")).meanings == ["probability that y is 'no'", "probability that y is 'yes'"]
    for loss in ("mse", "gaussian_nll", "pinball", "expectile"):
        learned = target.learned_by(loss)
        assert len(learned.meanings) == learned.n_out
    assert target.learned_by("gaussian_nll").meanings[1] == "s, where exp(s) + 1e-06 is its variance"
    assert target.learned_by("expectile", [0.2]).meanings == ["expectile 0.2 of (y - 1.0) / 2.0"]


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
    outcome = training.train(table, settings, scoring.baselines(table), progress=False)
    assert outcome.spread.shape == (5,)
    assert len(set(outcome.spread)) == 5
    assert outcome.scores["network"]["r2"] > np.median(outcome.spread)


def test_saved_and_loaded_it_predicts_the_same(outcome, tmp_path):
    path = str(tmp_path / "m.safetensors")
    outcome.model.save(path)
    loaded = model.TableModel.load(path)
    assert repr(loaded).startswith("<TableModel: 'y' from ")
    assert len(repr(loaded)) < 200
    assert len({loaded, outcome.model}) == 2
    assert (loaded.columns, loaded.target) == (outcome.model.columns, outcome.model.target)
    assert (loaded.scores, loaded.left_out) == (outcome.model.scores, outcome.model.left_out)
    assert loaded.about == outcome.model.about
    np.testing.assert_array_equal(loaded.networks.positions, outcome.model.networks.positions)
    assert loaded.predict_with_remarks(messy())[1] == outcome.model.predict_with_remarks(messy())[1]
    with warnings.catch_warnings(action="ignore"):
        assert loaded.predict(messy()).equals(outcome.model.predict(messy()))
    np.testing.assert_array_equal(fastnn.load(path).params, outcome.model.net.params)


def test_the_same_model_is_the_same_file(outcome, tmp_path):
    """To the byte, though safetensors writes the texts of a header in any order."""
    path = tmp_path / "m.safetensors"
    outcome.model.save(path)
    written = set()
    for same in [outcome.model, model.TableModel.load(path)] * 4:
        same.save(path)
        written.add(path.read_bytes())
    assert len(written) == 1


def test_so_does_one_of_many_categories(tmp_path):
    rng = np.random.default_rng(0)
    frame = polars.DataFrame({"place": [f"place {k}" for k in rng.integers(60, size=400)], "y": rng.normal(size=400)})
    table = preparing.prepare(frame, "y", None, 0)
    settings = training.TableSettings(hidden=(3,), epochs=1, repeats=1)
    learned = training.train(table, settings, scoring.baselines(table), progress=False).model
    learned.save(str(tmp_path / "m.safetensors"))
    loaded = model.TableModel.load(str(tmp_path / "m.safetensors"))
    assert loaded.columns == learned.columns == table.columns
    assert loaded.columns[0].kind == "many"
    (again, remarks), (predicted, _) = loaded.predict_with_remarks(frame), learned.predict_with_remarks(frame)
    assert again.equals(predicted)
    assert remarks == ["Column 'place': 3 values of no category known from training."]


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
        lambda about: json.dumps({**about, "target": {**about["target"], "name": "\ud800"}}),
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
    assert cli.main(["info", str(path)]) == 1  # after it has said what the network is, which is as it was
    error = capsys.readouterr().err
    assert error.startswith("fastnn info: ")
    assert error.count("\n") == 1


def test_one_class_alone_among_the_rows_held_out_flatters_nobody():
    rows = np.arange(500)
    frame = polars.DataFrame({"a": np.sin(rows), "y": ["yes" if row == 77 else "no" for row in rows]})
    for seed in range(9):
        table = preparing.prepare(frame, "y", None, seed)
        if (table.held_out.y == 0).all():
            break
    scores = scoring.score(np.tile([1.0, 0.0], (len(table.held_out.y), 1)), table)
    assert scores["accuracy"] == 1
    assert all(np.isnan(scores[name]) for name in ("balanced", "rare recall", "auc"))


@pytest.mark.parametrize("size", [0, 7, 40, 700])
def test_a_truncated_file_is_refused_in_one_line(size, outcome, tmp_path, refusal):
    path = tmp_path / "m.safetensors"
    outcome.model.save(str(path))
    path.write_bytes(path.read_bytes()[:size])
    for command in (["info", str(path)], ["predict", str(path), "nothing.csv"]):
        refusal(*command)


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
    trained = training.train(table, settings, scoring.baselines(training.learned_by(table, settings)), False).model
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
    for name in ("list", "struct", "binary", "duration"):
        with pytest.raises(ValueError, match=f"--use must name columns of .*; '{name}' is {name.title()}"):
            preparing.prepare(frame, "float", None, 0, use=[name])
    for name in ("list", "struct", "date"):
        with pytest.raises(ValueError, match=f"'{name}' must hold numbers or classes; it holds {name.title()}"):
            preparing.prepare(frame, name, None, 0)
