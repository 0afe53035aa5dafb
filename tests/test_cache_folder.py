"""Where compiled kernels are kept, and that all runs without such a place, or without the sources."""

import compileall
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numba
import pytest

import fastnn
from fastnn.apps import cli
from fastnn.kernels.jit import cache_folder

PACKAGE = Path(fastnn.__file__).parent

#: Two kernels. Prints what they gave, and how many had to be compiled.
KERNELS = """
import sys
from fastnn.kernels.jit.compiling import kernel

@kernel
def first(i):
    return i + 1

@kernel
def second(i):
    return i + 2.5 if i > 0 else 0.5

which = [first, second][: int(sys.argv[1])]
print([function(3) for function in which], sum(bool(function.stats.cache_misses) for function in which))
"""

#: A user who owns nothing and has no home, in a process that may read what this one may, and nothing more.
NOBODY = [
    "setpriv",
    "--reuid=65534",
    "--clear-groups",
    "--inh-caps=+dac_read_search",
    "--ambient-caps=+dac_read_search",
]


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "kernels.py"
    path.write_text(KERNELS)
    tmp_path.chmod(0o755)
    return path


def run(script, *, count=2, prefix=(), python=sys.executable, **settings):
    """The output of a process in an environment of nothing but these settings, and its warnings."""
    environment = {"PYTHONPATH": os.pathsep.join([str(PACKAGE.parent), *sys.path]), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [*prefix, python, script, str(count)]
    done = subprocess.run(command, env=environment | settings, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip(), [line for line in done.stderr.splitlines() if "Warning" in line]


def requires(*command):
    """Skip the test where the command is not allowed."""
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"{command[0]} is not allowed here: {error}")


def assert_one_warning(warnings, reason):
    (warning,) = warnings
    assert "RuntimeWarning: compiled kernels cannot be kept" in warning
    assert reason in warning
    assert "NUMBA_CACHE_DIR" in warning


def test_the_users_folder_by_default(script, tmp_path):
    answer = run(script, HOME=str(tmp_path), XDG_CACHE_HOME=str(tmp_path / "caches"), LOCALAPPDATA=str(tmp_path))
    assert answer == ("[4, 5.5] 2", [])
    assert len(list(tmp_path.rglob("*.nbc"))) == 2
    answer = run(script, HOME=str(tmp_path), XDG_CACHE_HOME=str(tmp_path / "caches"), LOCALAPPDATA=str(tmp_path))
    assert answer == ("[4, 5.5] 0", [])
    assert not list(PACKAGE.rglob("*.nb?"))


def test_no_home(script):
    requires(*NOBODY, sys.executable, "-c", "")
    output, warnings = run(script, prefix=NOBODY)
    assert output == "[4, 5.5] 2"
    assert_one_warning(warnings, "(Permission denied)")


def test_a_home_of_no_name(monkeypatch):
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    monkeypatch.setattr("platformdirs.user_cache_path", lambda *args, **kwargs: Path("~/.cache/fastnn"))
    assert cache_folder.root() is None
    assert cache_folder.current() is None
    assert cache_folder.versions() == []
    cache_folder.prune()


def test_a_full_disk(script, tmp_path):
    full = tmp_path / "full"
    full.mkdir()
    requires("mount", "-t", "tmpfs", "-o", "size=8k", "none", full)
    try:
        output, warnings = run(script, NUMBA_CACHE_DIR=str(full))
        left = [path for path in full.rglob("*") if path.is_file()]
    finally:
        subprocess.run(["umount", full], check=True)
    assert output == "[4, 5.5] 2"
    assert_one_warning(warnings, "(No space left on device)")
    assert [path.suffix for path in left] == [".nbc"]  # the first one, and no draft of the second


def test_a_file_in_the_place(script):
    output, warnings = run(script, NUMBA_CACHE_DIR=str(script))
    assert output == "[4, 5.5] 2"
    assert_one_warning(warnings, "kernels.py")


def test_what_another_user_compiled_is_read(script, tmp_path):
    requires(*NOBODY, sys.executable, "-c", "")
    cache = str(tmp_path / "cache")
    assert run(script, count=1, NUMBA_CACHE_DIR=cache) == ("[4] 1", [])
    assert run(script, count=1, NUMBA_CACHE_DIR=cache, prefix=NOBODY) == ("[4] 0", [])
    output, warnings = run(script, NUMBA_CACHE_DIR=cache, prefix=NOBODY)
    assert output == "[4, 5.5] 1"
    assert_one_warning(warnings, "(Permission denied)")


# ---------------------------------------------------------------- what is of the past
#: A version of another installation, and the user's own files beside.
OTHERS = "fastnn-0123456789ab/0123456789abcdef"
USERS = "others.txt", "fastnn-demo.png", "fastnn-project/src/main.py"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache of one kernel, with remains of others beside it."""
    top = tmp_path / "cache"
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(top))
    current = cache_folder.current()
    for version in (current, current.with_name("0123456789abcdef"), top / OTHERS):
        version.mkdir(parents=True)
        (version / "dense.product-01.nbc").write_bytes(bytes(500_000))
    os.utime(_draft(current, "killed"), (0, 0))
    _draft(current, "live")
    for path in (top / name for name in USERS):
        path.parent.mkdir(exist_ok=True, parents=True)
        path.touch()
    return top


def _draft(version, name):
    path = version / f"{name}.tmp"
    path.touch()
    return path


def _names(cache):
    return sorted(str(path.relative_to(cache)) for path in cache.rglob("*.*") if path.is_file())


def _expected(*names):
    current = cache_folder.current()
    mine = {f"{current.parent.name}/{current.name}/{name}" for name in ("dense.product-01.nbc", "live.tmp")}
    return sorted({*mine, *USERS, *names})


def test_earlier_versions_go_and_other_installations_stay(cache):
    cache_folder.prune()
    assert _names(cache) == _expected(f"{OTHERS}/dense.product-01.nbc")


def test_a_process_that_compiles_prunes(cache, script):
    assert run(script, count=1, NUMBA_CACHE_DIR=str(cache)) == ("[4] 1", [])
    names = [name for name in _names(cache) if "__main__.first" not in name]
    assert names == _expected(f"{OTHERS}/dense.product-01.nbc")


def test_command_prunes_what_is_of_others_too(cache, capsys):
    assert cli.main(["cache", "--prune"]) == 0
    assert _names(cache) == _expected()
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == [f"Compiled kernels: {cache}", "1.0 MB removed."]
    assert lines[-1].split() == [f"{cache_folder.current().relative_to(cache)}", "1", "0.5", "yes"]


def test_command_shows_and_clears(cache, capsys):
    assert cli.main(["cache"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"Compiled kernels: {cache}"
    assert sorted(line.split()[1:3] for line in lines[-3:]) == [["1", "0.5"]] * 3
    assert cli.main(["cache", "--clear"]) == 0
    assert capsys.readouterr().out.splitlines() == [f"Compiled kernels: {cache}", "1.5 MB removed.", "There are none."]
    assert _names(cache) == sorted(USERS)


def test_a_relative_folder_stays_where_it_is(folder, monkeypatch):
    monkeypatch.setattr(numba.config, "CACHE_DIR", "kernels of this test")
    places = [cache_folder.root()]
    (folder / "below").mkdir()
    monkeypatch.chdir("below")
    assert [*places, cache_folder.root()] == [folder / "kernels of this test"] * 2


def test_command_says_that_there_is_no_place(monkeypatch, capsys):
    monkeypatch.setattr(cache_folder, "root", lambda: None)
    assert cli.main(["cache"]) == 0
    assert "NUMBA_CACHE_DIR is not set" in capsys.readouterr().out


# ---------------------------------------------------------------- a package without sources
FIT = """
import numpy as np
import fastnn
X = np.ones((4, 3))
print(fastnn.__file__, fastnn.MLP((3, 4, 1), rng=0).fit(X, X[:, :1], epochs=3, specialize=False).loss)
"""


def _zipped(folder):
    archive = folder / "app.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in PACKAGE.rglob("*.py"):
            file.write(path, path.relative_to(PACKAGE.parent))
    return archive


def _bytecode(folder):
    code = folder / "code"
    shutil.copytree(PACKAGE, code / "fastnn", ignore=shutil.ignore_patterns("__pycache__"))
    compileall.compile_dir(code, quiet=2, legacy=True)
    for path in code.rglob("*.py"):
        path.unlink()
    return code


@pytest.mark.slow
@pytest.mark.parametrize("packed", [_zipped, _bytecode])
def test_a_package_without_sources_computes(packed, tmp_path):
    program = tmp_path / "fit.py"
    program.write_text(FIT)
    place = packed(tmp_path)
    settings = {"NUMBA_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": os.pathsep.join([str(place), *sys.path[1:]])}
    answers = [run(program, **settings) for _ in range(2)]
    assert answers[0] == answers[1]
    assert answers[0][0].startswith(str(place))
    assert answers[0][1] == []
    assert list((tmp_path / "cache").rglob("*.nbc"))


def test_a_frozen_program_finds_its_kernels_again_wherever_it_is_unpacked(monkeypatch):
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    names = []
    for unpacked in ("/tmp/_MEI1", "/tmp/_MEI2"):
        monkeypatch.setattr(sys, "prefix", unpacked)
        names.append(cache_folder._installation.__wrapped__())
    assert names[0] == names[1]


@pytest.mark.slow
def test_a_frozen_program_computes(tmp_path):
    pytest.importorskip("PyInstaller")
    program = tmp_path / "fit.py"
    program.write_text(FIT)
    others = ("torch", "jax", "scipy", "sklearn", "pandas", "matplotlib", "polars", "PIL", "pytest")
    left_out = [word for name in others for word in ("--exclude-module", name)]
    hooks = ["--additional-hooks-dir", PACKAGE / "apps" / "pyinstaller"]  # an installed package's are found
    command = [sys.executable, "-m", "PyInstaller", "--log-level", "ERROR", *hooks, *left_out, program]
    environment = os.environ | {"PYTHONPATH": str(PACKAGE.parent)}
    subprocess.run(command, check=True, cwd=tmp_path, env=environment)
    settings = {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    frozen = tmp_path / "dist" / "fit" / "fit"
    output, warnings = run(frozen, python="env", **settings)
    assert "[" in output
    assert warnings == []
