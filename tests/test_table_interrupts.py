"""Ctrl-C in ``fastnn train`` and ``fastnn sweep``: what is finished is saved and told, and nothing else is written."""

import dataclasses
import re
import signal
import subprocess
import sys

import pytest

from fastnn.apps import cli
from fastnn.apps.commands import sweep as sweep_command
from fastnn.apps.commands import train as train_command

polars = pytest.importorskip("polars")
pytest.importorskip("safetensors")

from table_cases import messy  # noqa: E402 - after importorskip()

from fastnn.tabular import model, saved, sweeping, training  # noqa: E402 - after importorskip()


@pytest.mark.slow
@pytest.mark.parametrize(
    "argv", [["train"], ["train", "--repeats", "2"], ["train", "--repeats", "40"], ["sweep", "--repeats", "2"]]
)
def test_ctrl_c_while_it_trains_saves_nothing(argv, folder):
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
