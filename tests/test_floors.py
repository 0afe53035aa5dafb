"""Nothing imports upwards or in a circle: not at the top of a file, not in a function, not for a type alone.

Nor does a room use another's private names.
"""

import ast
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "fastnn"

#: The rooms of `fastnn/`, ground first; those that share a floor do not import each other. "" is `fastnn/__init__.py`.
FLOORS = (
    ("settings",),
    ("jobs",),
    ("checks",),
    ("reference", "kernels"),
    ("embed", "exchange"),
    ("training",),
    ("models",),
    ("ensembles",),
    ("sklearn", "tabular", "plots", "uncertainty"),
    ("",),
    ("apps",),
    ("__main__",),
)

FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
FILES = {
    ".".join(("fastnn", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}


def imports(name):
    """Modules of fastnn's that a module imports, anywhere in its text, each with its line."""
    path = FILES[name]
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        found = []
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            source = ".".join([*above, *([node.module] if node.module else [])])
            modules = [f"{source}.{alias.name}" for alias in node.names]
            found = [module if module in FILES else source for module in modules]
        elif isinstance(node, ast.Constant) and node.value in FILES and "." in node.value:
            found = [node.value]  # whoever writes a module's whole name will import it
        elif isinstance(node, ast.JoinedStr) and isinstance(node.values[0], ast.Constant):
            package = node.values[0].value.rstrip(".")
            found = [module for module in FILES if module.rpartition(".")[0] == package and "." in package]
        yield from (
            (module, node.lineno) for module in found if module.partition(".")[0] == "fastnn" and module != name
        )


@cache
def graph_of_files():
    return {name: {module for module, _ in imports(name)} for name in FILES}


def room(name):
    return name.split(".")[1] if "." in name else ""


def circle(graph):
    """One circle of a graph, if there is any."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return " -> ".join(reversed(error.args[1]))
    return None


def test_every_room_has_a_floor():
    assert {room(name) for name in FILES} == set(FLOOR)


def test_nothing_imports_upwards():
    wrong = [
        f"{FILES[name]}:{line} imports {module}, which is above it"
        for name in FILES
        if "." in name  # the face of the house may import what it shows
        for module, line in imports(name)
        if room(module) != room(name) and FLOOR[room(module)] >= FLOOR[room(name)]
    ]
    assert not wrong


def test_no_circle_of_files():
    assert not circle(graph_of_files())


@pytest.mark.parametrize("package", [name for name, path in FILES.items() if path.name == "__init__.py"])
def test_no_circle_of_rooms(package):
    """What stands in a folder, be it a file or a folder itself, does not import in a circle."""
    graph = {}
    for name, found in graph_of_files().items():
        for module in found:
            if name.startswith(f"{package}.") and module.startswith(f"{package}."):
                one, other = (
                    module_name.removeprefix(f"{package}.").partition(".")[0] for module_name in (name, module)
                )
                if one != other:
                    graph.setdefault(one, set()).add(other)
    assert not circle(graph)


def private_name(node):
    """The private name that a node of a syntax tree defines or uses, or None."""
    place = {ast.FunctionDef: "name", ast.ClassDef: "name", ast.Name: "id", ast.Attribute: "attr"}.get(type(node), "")
    name = getattr(node, place, "")
    return name if name.startswith("_") and not name.endswith("_") else None


def test_private_names_stay_in_their_room():
    defined, used = {}, []
    for module, path in FILES.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = private_name(node)
            if name and isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                used.append((name, room(module), f"{path}:{node.lineno} uses {ast.unparse(node)}"))
            elif name:
                defined.setdefault(name, set()).add(room(module))
    of_other_packages = {"_modules", "_optimizer"}  # PyTorch's and scikit-learn's, which have namesakes here
    wrong = [
        told
        for name, where, told in used
        if name in defined and name not in of_other_packages and where not in defined[name]
    ]
    assert not wrong


def test_every_import_is_seen(tmp_path, monkeypatch):
    text = """
from typing import TYPE_CHECKING
import fastnn.a
if TYPE_CHECKING:
    from fastnn import b
def f():
    from fastnn.c import name
    from . import d
    from .. import e
    importlib.import_module("fastnn.f")
    import_module(f"fastnn.g.{name}")
"""
    path = tmp_path / "file.py"
    path.write_text(text)
    files = dict.fromkeys(
        ("fastnn.b", "fastnn.room.d", "fastnn.g.one", "fastnn.g.two", "fastnn.e", "fastnn.f", "fastnn.room"), path
    )
    monkeypatch.setitem(globals(), "FILES", files | {"fastnn.room.file": path})
    seen = {module for module, _ in imports("fastnn.room.file")}
    assert seen == {
        "fastnn.a",
        "fastnn.b",
        "fastnn.c",
        "fastnn.room.d",
        "fastnn.e",
        "fastnn.f",
        "fastnn.g.one",
        "fastnn.g.two",
    }


def test_a_circle_is_found():
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"a"}})
    assert not circle({"a": {"b"}, "b": {"c"}})


@pytest.mark.parametrize(
    "folder",
    [
        "checks",
        "embed",
        "exchange",
        "jobs",
        "kernels/functions",
        "kernels/jit",
        "kernels/lanes",
        "kernels/lanes/members",
        "kernels/point",
        "kernels/simd",
        "kernels/tiles",
        "reference",
        "settings",
        "sklearn",
        "tabular",
        "training",
        "uncertainty",
    ],
)
def test_the_docstring_of_a_folder_says_what_each_file_is_for(folder):
    text = ast.get_docstring(ast.parse((PACKAGE / folder / "__init__.py").read_text(encoding="utf-8")))
    files = {path.stem for path in (PACKAGE / folder).iterdir() if path.suffix == ".py" or path.is_dir()}
    unnamed = {name for name in files if not name.startswith("__") and f"`{name}`" not in text}
    assert not unnamed
