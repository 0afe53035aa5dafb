"""Every refusal says in one sentence what must be, and after a semicolon what is instead."""

import ast
import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "fastnn"
#: These say of themselves what came: an option alone, True, a call too late.
TELLING = re.compile("^--[^ ]* must go with --| must not be True | must be called before ")


def refusals(path):
    """The words of each error that says what must be, without what is filled in, by their lines."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            parts = (part.value for part in ast.walk(node.exc) if isinstance(part, ast.Constant))
            words = "".join(part for part in parts if isinstance(part, str))
            if " must " in words and not words.startswith("it"):  # which ends another sentence
                yield node.lineno, words


@pytest.mark.parametrize("room", sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py")))
def test_a_refusal_says_what_came(room):
    silent = [
        f"{path.relative_to(PACKAGE)}:{line}: {words}"
        for path in (PACKAGE / room).rglob("*.py")
        for line, words in refusals(path)
        if ";" not in words and "got" not in words and not TELLING.search(words)  # "got" also behind a comma
    ]
    assert silent == []
