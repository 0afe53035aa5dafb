"""What is installed: a core that needs NumPy and Numba alone, and typed."""

import ast
import importlib.metadata
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import fastnn
from fastnn.checks.extras import require, require_all

ROOT = Path(__file__).parents[1]
PACKAGE = Path(fastnn.__file__).parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
DATA = PROJECT["tool"]["setuptools"]["package-data"]["fastnn"]

#: Top-level modules of what an extra or a test may bring.
OPTIONAL = ("hypothesis", "jax", "matplotlib", "pandas", "polars", "rich", "safetensors", "scipy", "sklearn", "torch")

CORE_ALONE = f"""
import sys
from importlib.abc import MetaPathFinder

class Absent(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] in {OPTIONAL}:
            raise ModuleNotFoundError("not installed: " + name, name=name)

sys.meta_path.insert(0, Absent())
import numpy as np
import fastnn
X, y = np.ones((4, 2)), np.zeros((4, 1))
for backend in ("numpy", "numba"):
    net = fastnn.MLP((2, 3, 1), rng=0)
    net.fit(X, y, epochs=2, backend=backend)
    net.predict(X)
import fastnn.checks.extras
try:
    fastnn.checks.extras.require("rich.progress", extra="cli")
except ImportError as error:
    assert "fastnn-jit[cli]" in str(error) and "rich" in str(error)
else:
    raise AssertionError("an absent package was imported")
"""


def run(code):
    return subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, cwd=ROOT)


def test_dir_names_what_is_public():
    names = dir(fastnn)
    assert set(fastnn.__all__) | {"catalogue", "initializers", "plots", "sklearn"} <= set(names)
    assert not {"Any", "annotations", "importlib", "sys"} & set(names)
    assert [name for name in names if name.startswith("_")] == []


def test_core_imports_and_trains_with_numpy_and_numba_alone():
    done = run(CORE_ALONE)
    assert done.returncode == 0, done.stderr


def test_importing_the_core_imports_no_extra():
    done = run("import sys, fastnn; print(*sys.modules, sep='\\n')")
    assert done.returncode == 0, done.stderr
    extras = set(OPTIONAL) - {"scipy"}  # Numba itself looks for SciPy
    assert extras.isdisjoint(name.partition(".")[0] for name in done.stdout.split())


def test_version_is_the_distributions():
    assert re.fullmatch(r"\d+\.\d+\.\d+((a|b|rc|\.dev)\d+)?", fastnn.__version__)
    try:
        installed = importlib.metadata.version(PROJECT["project"]["name"])
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("fastnn is imported from a folder, not installed")
    assert installed == fastnn.__version__


def test_a_package_that_lacks_something_itself_says_what(monkeypatch, tmp_path):
    (tmp_path / "halfway.py").write_text("import absent_part")
    (tmp_path / "broken.py").write_text("raise ImportError('libpart.so: cannot open shared object file')")
    monkeypatch.syspath_prepend(tmp_path)
    for package, message in (("halfway", "No module named 'absent_part'"), ("broken", "libpart.so: cannot open")):
        with pytest.raises(ImportError, match=message):
            require(package, extra="plot")
    with pytest.raises(ImportError, match=r'absent_part is needed here but not installed; pip .*\[plot\]"'):
        require("absent_part", extra="plot")


def test_missing_packages_are_named_together_with_their_extras(monkeypatch):
    for package in ("polars", "sklearn", "safetensors"):
        monkeypatch.setitem(sys.modules, package, None)
    needed = {"polars": "data", "numpy": "core", "sklearn": "data", "safetensors": "io"}
    with pytest.raises(ImportError) as raised:
        require_all(needed)
    assert str(raised.value) == (
        "polars, scikit-learn and safetensors are needed here but not installed; "
        'pip install "fastnn-jit[data,io]" installs them'
    )
    require_all({"numpy": "core"})


@pytest.mark.parametrize(
    ("words", "extras"),
    [
        (["train", __file__, "--target", "y"], "data,io"),
        (["sweep", __file__, "--target", "y"], "data"),
        (["sweep", __file__, "--target", "y", "--save", "m.safetensors"], "data,io"),
        (["predict", "m.safetensors", "table.xlsx"], "data,excel,io"),
        (["convert", "m.onnx", "m.safetensors"], "onnx,io"),
        (["export", "m.safetensors", "--to", "onnx"], "io,onnx"),
    ],
)
def test_a_command_names_all_extras_that_it_lacks_at_once(monkeypatch, refusal, words, extras):
    for package in ("polars", "duckdb", "fastexcel", "safetensors", "onnx"):
        monkeypatch.setitem(sys.modules, package, None)
    assert f'pip install "fastnn-jit[{extras}]" installs them' in refusal(*words)


def test_marked_as_typed():
    assert (PACKAGE / "py.typed").is_file()
    assert "py.typed" in PROJECT["tool"]["setuptools"]["package-data"]["fastnn"]


def test_extra_all_brings_every_feature_and_test_all_of_it():
    extras = PROJECT["project"]["optional-dependencies"]
    features = set(re.search(r"\[(.*)\]", extras["all"][0]).group(1).split(","))
    assert features == set(extras) - {"all", "demo", "docs", "test"}
    assert "fastnn-jit[all]" in extras["test"]


def test_reference_needs_numpy_alone():
    allowed = {"numpy", "fastnn"} | sys.stdlib_module_names
    for path in (PACKAGE / "reference").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [node.module] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            assert {(name or "").partition(".")[0] for name in names} <= allowed, path


def test_an_editable_install_is_a_folder_on_the_path():
    """With a finder instead, a script beside a checkout that is named fastnn would import that as an empty package."""
    assert PROJECT["tool"]["setuptools"]["package-dir"] == {"": "."}


def test_the_source_distribution_holds_what_its_tests_read():
    manifest = (ROOT / "MANIFEST.in").read_text(encoding="utf-8")
    for folder in (".ci", "bench", "docs", "examples", "tests"):
        assert f"graft {folder}\n" in manifest
        assert (ROOT / folder).is_dir()
    assert "recursive-include fastnn *.md\n" in manifest
    data = *PROJECT["project"]["license-files"], *(f"fastnn/{name}" for name in DATA)
    files = {path.relative_to(ROOT).as_posix() for path in (ROOT / "fastnn").rglob("*") if path.is_file()}
    assert {path for path in files if not path.endswith((".py", ".pyc", ".md"))} <= set(data)


@pytest.mark.skipif(shutil.which("sed") is None, reason="the release is made with sed")
def test_the_release_makes_every_link_of_the_readme_absolute():
    workflow = (ROOT / ".github" / "workflows" / "release.yml").read_text(encoding="utf-8")
    (command,) = re.findall(r'sed -i -E "(.*)" README\.md', workflow)
    command = command.replace("$at", "https://host/project").replace("$GITHUB_REF_NAME", "v1")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    done = subprocess.run(["sed", "-E", command], input=readme, capture_output=True, text=True, check=True)
    links = re.findall(r"\]\(([^)#][^)]*)\)", done.stdout)
    assert links
    assert [link for link in links if not link.startswith("https://")] == []
    assert re.search(r"\]\(https://host/project/raw/v1/docs/\w+\.png\)", done.stdout)


def test_the_package_runs_as_a_program():
    done = subprocess.run([sys.executable, "-m", "fastnn", "--version"], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert fastnn.__version__ in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("version", ["1.6.1", "1.8.0", "1.10.0"])
def test_an_older_scikit_learn_is_told_in_one_sentence(version):
    pytest.importorskip("sklearn")
    done = run(f"import sklearn; sklearn.__version__ = {version!r}; import fastnn.sklearn")
    if version == "1.10.0":
        assert done.returncode == 0, done.stderr
    else:
        sentence = done.stderr.splitlines()[-1]
        assert sentence.startswith(f"ImportError: fastnn.sklearn needs scikit-learn 1.9, and {version} is installed")


def test_every_file_that_tells_the_version_tells_the_same():
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    released = re.findall(r"^## (\d\S*) - (\d{4}-\d\d-\d\d)$", changelog, flags=re.MULTILINE)[0]
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    recipe = (ROOT / "conda" / "recipe.yaml").read_text(encoding="utf-8")
    assert released[0] == fastnn.__version__
    assert f"version: {released[0]}\n" in citation
    assert f'date-released: "{released[1]}"\n' in citation
    assert f'version: "{released[0]}"\n' in recipe
    for requirement in PROJECT["project"]["dependencies"]:
        name, bounds = re.fullmatch(r"([a-z]+)(.*)", requirement).groups()
        assert f"- {name} {bounds}\n" in recipe
