"""The command's frame: help, exit codes, one-line errors, silence."""

import argparse
import io
import signal
import subprocess
import sys
import time
import warnings
import weakref

import numpy as np
import pytest

import fastnn
from fastnn.apps import cli
from fastnn.apps.commands import COMMANDS
from fastnn.apps.commands.terminal import Terminal


@pytest.fixture
def demo_does(monkeypatch):
    """Replace what ``fastnn demo`` does."""

    def install(action):
        monkeypatch.setattr("fastnn.apps.commands.demo.run", lambda args, terminal: action(terminal))

    return install


def fail(error):
    def action(terminal):
        raise error

    return action


@pytest.mark.parametrize("argv", [["--help"], *([name, "--help"] for name in COMMANDS)])
def test_help_has_examples_and_exit_codes(argv, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(argv)
    shown = capsys.readouterr().out
    assert stop.value.code == 0
    assert "examples:\n  fastnn " in shown
    assert "exit codes:" in shown


def test_every_example_parses():
    import importlib

    for name in COMMANDS:
        examples = (
            importlib.import_module(f"fastnn.apps.commands.{name}").EXAMPLES.partition("\n\n")[0].splitlines()[1:]
        )
        assert examples
        for line in examples:
            program, *argv = line.split()
            assert program == "fastnn"
            assert cli.build_parser().parse_args(argv).command == name


def test_an_unknown_option_is_told_by_its_command(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["info", "m.npz", "--bogus"])
    error = capsys.readouterr().err
    assert stop.value.code == 2
    assert error.startswith("usage: fastnn info ")
    assert error.endswith("fastnn info: error: unrecognized arguments: --bogus\n")


def test_version(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"fastnn {fastnn.__version__}\n"


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["train", "data.csv", "--target", "y", "--output", ""], "--output must end in .safetensors; got ''"),
        (["demo", "--output", ""], "a file to write must have a name; got ''"),
        (["export", "net.npz", "--to", "c", "--output", ""], "a file to write must have a name; got ''"),
        (["bench", "tutorial", "--json", ""], "a file to write must have a name; got ''"),
        (["bench", "tutorial", "--peers", ""], "--peers must be one of"),
        (["bench", "tutorial", "--compare", ""], "Is a directory"),
        (["convert", "net.safetensors", "net.npz", "--activations", "tanh,identity", "--layers", ""], "layers"),
    ],
)
def test_an_empty_option_is_not_a_missing_one(argv, message, folder, refusal):
    (folder / "data.csv").write_text("a,y\n1,2\n")
    fastnn.MLP((2, 3, 1)).save("net.npz")
    pytest.importorskip("safetensors.numpy").save_file({"0.weight": np.ones((3, 2), "f4")}, "net.safetensors")
    assert message in refusal(*argv)
    assert {path.name for path in folder.iterdir()} == {"data.csv", "net.npz", "net.safetensors"}


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["info", "net"], "MODEL must end in .npz or .safetensors; got 'net'"),
        (["export", "net", "--to", "c"], "MODEL must end in .npz or .safetensors; got 'net'"),
        (["export", "net.npz", "--to", "onnx", "--output", "net"], "--output must end in .onnx; got 'net'"),
        (["predict", "net", "data.csv"], "MODEL must be a model that `fastnn train` made, and end in .safetensors"),
        (["convert", "net.npz", "net"], "TARGET must end in .npz or .safetensors; got 'net'"),
    ],
)
def test_a_file_is_refused_by_the_name_that_the_command_gives_it(argv, message, folder, refusal):
    pytest.importorskip("onnx")
    pytest.importorskip("safetensors")
    pytest.importorskip("polars")
    fastnn.MLP((2, 3, 1)).save("net.npz")
    assert message in refusal(*argv)


@pytest.mark.parametrize("argv", [[], ["no-such-command"], ["demo", "--no-such-option"], ["demo", "--seed", "x"]])
def test_bad_usage_exits_with_2(argv, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(argv)
    assert stop.value.code == 2
    assert "usage: fastnn" in capsys.readouterr().err


@pytest.mark.parametrize("error", [ValueError("too small"), ImportError("too small"), OSError("too small")])
def test_failure_exits_with_1_and_one_line(error, demo_does, refusal):
    demo_does(fail(error))
    assert refusal("demo") == "fastnn demo: too small\n"


@pytest.mark.parametrize(
    ("error", "said"),
    [(MemoryError(), "the memory is full"), (MemoryError("Unable to allocate"), "Unable to allocate")],
)
def test_memory_that_there_is_not_is_one_line(error, said, demo_does, capsys):
    demo_does(fail(error))
    assert cli.main(["demo"]) == 1
    assert capsys.readouterr().err == f"fastnn demo: {said}\n"


def test_a_mistake_in_the_program_is_not_disguised(demo_does):
    demo_does(fail(ZeroDivisionError()))
    with pytest.raises(ZeroDivisionError):
        cli.main(["demo"])


def test_ctrl_c_exits_with_130(demo_does, capsys):
    demo_does(fail(KeyboardInterrupt()))
    assert cli.main(["demo"]) == 130
    assert capsys.readouterr().err == "fastnn demo: interrupted\n"


def test_a_reader_that_leaves_is_no_error_message():
    code = (
        "import sys; from fastnn.apps import cli; from fastnn.apps.commands import demo\n"
        "demo.run = lambda args, terminal: terminal.say('x' * 1_000_000)\n"
        "sys.exit(cli.main(['demo']))"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1


@pytest.mark.parametrize(("options", "said"), [([], "hello\n"), (["--quiet"], ""), (["-q"], "")])
def test_quiet(options, said, demo_does, capsys):
    demo_does(lambda terminal: terminal.say("hello"))
    assert cli.main(["demo", *options]) == 0
    assert capsys.readouterr().out == said


def test_table_aligns_its_columns(capsys):
    Terminal().table(["path", "us"], [["NumPy", "1.25"], ["a", "125"]])
    assert capsys.readouterr().out == "  path      us\n  NumPy   1.25\n  a        125\n"


def test_names_from_files_do_not_command_the_terminal(demo_does, capsys):
    Terminal().say("a\x1b[31m\nb\x9b")
    Terminal().table(["x"], [["\x07\n"]])
    assert capsys.readouterr().out == "a\\x1b[31m\nb\\x9b\n  x\n  \\x07\\n\n"
    demo_does(fail(ValueError("no \x1b[2J\nsuch thing")))
    assert cli.main(["demo"]) == 1
    assert capsys.readouterr().err == "fastnn demo: no \\x1b[2J such thing\n"


def test_ctrl_c_in_a_callback_is_not_lost(demo_does, capsys):
    """Python ignores what a weak reference's callback raises."""

    def work(terminal):
        held = Terminal(quiet=True)
        callback = weakref.ref(held, lambda _: signal.raise_signal(signal.SIGINT))
        del held
        assert callback() is None
        for _ in range(100):
            time.sleep(0.05)
        terminal.say("done")

    demo_does(work)
    assert cli.main(["demo"]) == 130
    assert capsys.readouterr().err == "fastnn demo: interrupted\n"


def test_characters_that_standard_output_cannot_encode(demo_does, monkeypatch):
    shown = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(shown, "ascii", newline="\n"))
    demo_does(lambda terminal: terminal.say("größe µ"))
    assert cli.main(["demo"]) == 0
    assert shown.getvalue() == rb"gr\xf6\xdfe \xb5" + b"\n"


@pytest.mark.filterwarnings("always")
@pytest.mark.parametrize("gone", ["stdout", "stderr"])
def test_a_process_without_a_console(gone, demo_does, monkeypatch):
    def work(terminal):
        with terminal.working("something"):
            terminal.say("done")
        warnings.warn("a word", stacklevel=1)

    monkeypatch.setattr(sys, gone, None)
    demo_does(work)
    assert cli.main(["demo"]) == 0
    getattr(sys, gone).close()


def test_predictions_are_not_lost_where_standard_output_is_closed(folder):
    code = "import sys; sys.stdout = sys.__stdout__ = None; from fastnn.apps.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "predict", "m.safetensors", "t.csv"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert "--output must name a file where standard output is closed" in done.stderr


def test_working_is_silent_in_a_pipe_and_without_rich(monkeypatch, capsys):
    with Terminal().working("something"):
        pass
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setitem(sys.modules, "rich.console", None)
    with Terminal().working("something"):
        pass
    assert capsys.readouterr() == ("", "")


def test_working_shows_itself_on_a_terminal(monkeypatch, capsys):
    pytest.importorskip("rich")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with Terminal().working("something"):
        pass
    with Terminal(quiet=True).working("nothing"):
        pass
    said = capsys.readouterr().err
    assert "something" in said
    assert "nothing" not in said


def test_brackets_in_a_name_are_no_markup_on_a_terminal(monkeypatch, capsys):
    pytest.importorskip("rich")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with Terminal().working("reading [/b].csv") as update:
        update("predicting rate [/h]")
    assert "rate [/h]" in capsys.readouterr().err


def test_parser_knows_all_commands():
    actions = [a for a in cli.build_parser()._actions if isinstance(a, argparse._SubParsersAction)]
    assert tuple(actions[0].choices) == COMMANDS


@pytest.mark.filterwarnings("always")
def test_a_warning_is_one_line(demo_does, capsys):
    demo_does(lambda terminal: warnings.warn("look out", RuntimeWarning, stacklevel=2))
    assert cli.main(["demo"]) == 0
    assert capsys.readouterr().err == "fastnn demo: warning: look out\n"
