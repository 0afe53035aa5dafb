"""The demo: what it computes, what it prints, what it draws, and what it does without the extras."""

import sys

import numpy as np
import pytest

from fastnn.apps import cli, demo, handwritten_digits
from fastnn.apps.tutorial_samples import TUTORIAL_Y


@pytest.fixture(scope="module")
def runs():
    return demo.tutorial(1, repeats=1)


@pytest.fixture(scope="module")
def learned():
    return demo.digits(1)


def test_all_four_ways_agree_and_learn_xor(runs):
    assert list(runs) == ["tutorial's NumPy", "readable twin", "plain loops", "tuned kernels"]
    assert demo.difference(runs) < 1e-11
    for run in runs.values():
        assert run.loss.shape == (demo.ITERATIONS,)
        assert run.loss[-1] < 0.01 < run.loss[0]
        assert np.abs(run.outputs - TUTORIAL_Y[:, 0]).max() < 0.06
        assert 0 < run.seconds_per_iteration < 1e-3
        assert run.best_seconds == pytest.approx(run.seconds_per_iteration * demo.ITERATIONS)


def test_difference_sees_one_weight(runs):
    for name, run in runs.items():
        net = run.net.copy()
        net.params[-1] += 0.5
        changed = runs | {name: demo.Run(net, run.loss, run.outputs, 1.0, 1.0)}
        assert demo.difference(changed) == pytest.approx(0.5)


def test_digits_are_those_of_scikit_learn():
    datasets = pytest.importorskip("sklearn.datasets")
    theirs = datasets.load_digits()
    images, labels = handwritten_digits.load()
    assert np.array_equal(images, theirs.images)
    assert np.array_equal(labels, theirs.target)


def test_digits_are_read(learned):
    assert learned.n_train + len(learned.labels) == 1797
    assert learned.images.shape == (len(learned.labels), 8, 8)
    assert learned.accuracy > 0.95


def test_figure_has_its_five_panels(runs, learned):
    pytest.importorskip("matplotlib")
    titles = [ax.get_title() for ax in demo.figure(runs, learned).axes]
    assert [title for title in titles if title] == [
        "Loss, iteration by iteration",
        "Learned weights",
        "Outputs and targets",
        "Time per iteration",
        f"Held-out digits and their predicted classes: {learned.accuracy:.1%} correct",
    ]


@pytest.mark.slow
def test_command_prints_the_figures_and_names_the_picture(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    picture = tmp_path / "demo.png"
    assert cli.main(["demo", "--output", str(picture)]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    for piece in ("0 1 1", "target", "one iteration", "tutorial's own code", "classified correctly", str(picture)):
        assert piece in said.out
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_command_without_extras_leaves_the_picture_out_and_names_what_it_needs(folder, monkeypatch, capsys):
    for module in ("matplotlib", "matplotlib.figure", "rich.console"):
        monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.delitem(sys.modules, "fastnn.plots", raising=False)
    assert cli.main(["demo"]) == 0
    said = capsys.readouterr()
    assert "Speed-ups are over" in said.out
    assert "classified correctly" in said.out
    assert "Picture left out: matplotlib is needed here but not installed" in said.out
    assert "fastnn-jit[plot]" in said.out
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--seed", "-1"], "--seed must be an integer of at least 0; got -1"),
        (["--output", "no/such/folder/demo.png"], "no/such/folder/demo.png"),
        (["--output", "demo.txt"], "--output must end in one of .png, .pdf, .svg"),
    ],
)
def test_command_refuses_in_one_line_before_any_work(options, message, refusal):
    pytest.importorskip("matplotlib")
    assert message in refusal("demo", *options)
