"""What the README shows is true: its Python runs, its commands exist."""

import re
import runpy
import shlex
from pathlib import Path

import pytest

from fastnn.cli import build_parser

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language):
    found = re.findall(rf"^```{language}\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)
    assert found
    return found


def test_python_blocks_run_one_after_another(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    script = tmp_path / "readme.py"
    script.write_text("\n".join(blocks("python")), encoding="utf-8")
    names = runpy.run_path(str(script))
    assert capsys.readouterr().out
    assert abs(names["net"].predict(names["X"]) - names["y"]).max() < 0.1


def commands():
    lines = "".join(blocks("sh")) + "\n".join(re.findall(r"`(fastnn [^`]*)`", README))
    return [part.strip() for line in lines.splitlines() for part in line.split("&&")]


@pytest.mark.parametrize("command", sorted({c for c in commands() if c.startswith("fastnn ")}))
def test_fastnn_commands_parse(command):
    build_parser().parse_args(shlex.split(command)[1:])


def test_continuous_integration_installs_as_the_readme_says():
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    for command in ('pip install -q -e ".[all]"', 'pip install -q -e ".[test]"'):
        assert command.replace(" -q", "") in README
        assert command in script
