"""What the README and the pages of docs/ show is true: their Python runs, their commands and their links exist."""

import importlib
import importlib.util
import inspect
import re
import runpy
import shlex
from functools import cached_property
from operator import attrgetter
from pathlib import Path

import pytest
from exchange_cases import EXPORTED, WIDTHS

import fastnn
from fastnn.apps.cli import build_parser
from fastnn.apps.commands import COMMANDS
from fastnn.settings import catalogue
from fastnn.settings.initializers import INITIALIZERS

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TEXTS = {page.name: page.read_text(encoding="utf-8") for page in PAGES}
README = TEXTS["README.md"]
API_REFERENCE = "".join(page.read_text(encoding="utf-8") for page in sorted((ROOT / "docs" / "api").glob("*.md")))


def blocks(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(
    "page", [page if page == "README.md" else pytest.param(page, marks=pytest.mark.slow) for page in TEXTS]
)
def test_python_blocks_run_one_after_another(page, folder):
    found = blocks(TEXTS[page], "python")
    if not found:
        pytest.skip("this page shows no Python")
    draws = any("plots" in block for block in found)
    if draws:
        pytest.importorskip("matplotlib").use("agg")
    script = folder / "page.py"
    script.write_text("\n".join(found), encoding="utf-8")
    runpy.run_path(str(script))
    if draws:
        importlib.import_module("matplotlib.pyplot").close("all")  # for tests that count figures


def test_the_ten_lines_learn(tmp_path, capsys):
    script = tmp_path / "readme.py"
    script.write_text(blocks(README, "python")[0], encoding="utf-8")
    names = runpy.run_path(str(script))
    assert capsys.readouterr().out
    assert abs(names["net"].predict(names["X"])[:, 0] - names["y"]).max() < 0.2


def commands():
    for text in TEXTS.values():
        lines = "".join(blocks(text, "sh")) + "\n".join(re.findall(r"`(fastnn [^`]*)`", text))
        yield from (part.strip() for line in lines.splitlines() for part in line.split("&&"))


NAMED_IN_SENTENCES = {f"fastnn {name}" for name in COMMANDS}


@pytest.mark.parametrize("command", sorted({c for c in commands() if c.startswith("fastnn ")} - NAMED_IN_SENTENCES))
def test_fastnn_commands_parse(command):
    build_parser().parse_args(shlex.split(command)[1:])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)", TEXTS[page.name]):
        assert target.startswith("https://") or (page.parent / target).exists(), target


def test_the_readme_leads_to_the_index_and_that_to_every_page():
    assert "(docs/index.md)" in README
    trees = re.findall(r"```{toctree}\n(.*?)^```$", "".join(TEXTS.values()), flags=re.MULTILINE | re.DOTALL)
    assert {page.stem for page in PAGES[1:]} - {"index"} <= set(re.findall(r"\w+", "".join(trees)))


def test_what_is_in_it_names_every_row_of_the_catalogue():
    tables = (catalogue.ACTIVATIONS, catalogue.LOSSES, catalogue.OPTIMIZERS, INITIALIZERS)
    named = set(re.findall(r"\w+", TEXTS["contents.md"]))
    assert not {name for table in tables for name in table} - named


def test_the_page_on_exports_says_how_many_networks_are_compared():
    assert f"({2 * len(EXPORTED) * len(WIDTHS)} networks" in TEXTS["exchange.md"]  # with biases and without


def test_the_api_reference_holds_every_public_name():
    modules = {"fastnn": fastnn, "fastnn.reference": fastnn.reference, "fastnn.schedules": fastnn.schedules}
    for name in ("sklearn", "plots"):
        if importlib.util.find_spec({"plots": "matplotlib"}.get(name, name)):
            modules[f"fastnn.{name}"] = getattr(fastnn, name)
    missing = []
    for module, holder in modules.items():
        names = getattr(holder, "__all__", None) or [n for n, value in vars(holder).items() if inspect.isclass(value)]
        for name in names:
            value = getattr(holder, name)
            told = inspect.ismodule(value) or re.search(rf":: {module}\.{name}$", API_REFERENCE, flags=re.MULTILINE)
            if not told or not inspect.getdoc(value):
                missing.append(f"{module}.{name}")
    assert missing == []


def test_functions_of_the_api_reference_say_what_they_raise():
    names = re.findall(r"auto(?:method|function):: fastnn\.((?!reference|plots|sklearn).+)$", API_REFERENCE, re.M)
    assert len(names) > 20
    assert [name for name in names if "Raises\n---" not in inspect.getdoc(attrgetter(name)(fastnn))] == []


def undocumented(kind):
    """Public methods and properties of a class of ours without a docstring of their own or of a base."""
    for name, value in inspect.getmembers(kind):
        told = inspect.getdoc(value) or not (callable(value) or isinstance(value, property | cached_property))
        if not name.startswith("_") and not told:
            yield f"{kind.__name__}.{name}"


def test_no_public_method_is_without_a_docstring():
    kinds = [value for value in (getattr(fastnn, name) for name in fastnn.__all__) if inspect.isclass(value)]
    assert kinds
    assert [name for kind in kinds for name in undocumented(kind)] == []


def test_continuous_integration_installs_as_the_readme_says():
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    for command in ('pip install -q -e ".[demo]"', 'pip install -q -e ".[test]"'):
        assert command.replace(" -q", "") in README
        assert command in script
