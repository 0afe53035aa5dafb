"""Settings compared on a table, and ``fastnn sweep``: what is trained together, how it is ranked, what is told."""

import dataclasses
import os
import shlex

import numpy as np
import pytest

import fastnn
from fastnn.apps import cli
from fastnn.apps.commands import sweep as sweep_command
from fastnn.apps.commands.table_options import layers, reading_of, settings_of

polars = pytest.importorskip("polars")
pytest.importorskip("safetensors")

from table_cases import messy, prepared_messy  # noqa: E402 - after importorskip()

from fastnn.tabular import preparing, scoring, sweeping, training  # noqa: E402 - after importorskip()
from fastnn.tabular.reading_settings import Reading  # noqa: E402 - after importorskip()


@pytest.fixture
def table():
    return prepared_messy()


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
    for option in (["--repeats", "0"], ["--folds", "1"], ["--folds", "1000"], ["--threads", "0"]):
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

    X, y, first = table.train.X, table.outputs, table.fold == 0
    alone = fastnn.sweep(
        X[~first], y[~first],
        [{"hidden": (3,), "activation": "tanh", "learning_rate": 0.02, "init": "glorot_uniform"}], seeds=2,
        validation_data=(X[first], y[first]), dtype="float32", **training.shared_options(table, compared[0].settings),
    )  # fmt: skip
    scores = [scoring.score(net.predict(table.held_out.X), table)["r2"] for net in alone.networks]
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
    labels, n = table.train.y, len(table.fold)
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
    odd = parser.parse_args(["sweep", "t$1.csv", "--target=-y", "--missing=-x", "--missing=-z", "--missing=?"])
    command = sweep_command.train_command(odd, settings)
    assert command.startswith("fastnn train 't$1.csv' ")  # as a shell would put something in its place
    args = parser.parse_args(shlex.split(command)[1:])
    assert (args.target, args.missing) == ("-y", ["-x", "-z", "?"])
    dash = parser.parse_args(["sweep", "--target", "y", "--", "-1.csv"])
    args = parser.parse_args(shlex.split(sweep_command.train_command(dash, settings))[1:])
    assert args.data == os.path.join(".", "-1.csv")


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
