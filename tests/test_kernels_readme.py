"""The two walks of the kernels' README are those that data take, and no longer than they are to be."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest

import fastnn

PACKAGE = Path(fastnn.__file__).parent
README = Path(__file__).parents[1] / "fastnn" / "kernels" / "README.md"  # which is not installed
TEXT = README.read_text(encoding="utf-8").partition("## Two walks")[2].partition("##")[0]
#: Each walk: pairs of a file and a function, in order.
WALKS = [
    [
        (path, name)
        for path, names in re.findall(r"^    (\S+) +(.+)$", block, re.MULTILINE)
        for name in names.split(", ")
    ]
    for block in TEXT.split("And what parameters")
]
X, Y = np.eye(4)[:, :3], np.eye(4)[:, :1]


def fit():
    fastnn.MLP.tutorial().fit(X, Y, epochs=1, loss="sse", optimizer=fastnn.SGD(), specialize=False, progress=False)


def fit_many():
    spec = fastnn.MLP.tutorial().spec
    fastnn.fit_many(spec, X, Y, members=2, epochs=1, loss="sse", optimizer=fastnn.SGD(), rng=0, progress=False)


def functions_above(call, last):
    """Functions of the package that are running when the one called `last` is entered, outermost first."""
    stack = []

    def look(frame, event, argument):
        if event == "call" and not stack and frame.f_code.co_qualname == last:
            while frame is not None:
                path = Path(frame.f_code.co_filename)
                if path.is_relative_to(PACKAGE):
                    stack.append((path.relative_to(PACKAGE).as_posix(), frame.f_code.co_qualname))
                frame = frame.f_back

    sys.setprofile(look)
    try:
        call()
    finally:
        sys.setprofile(None)
    return stack[::-1]


@pytest.mark.parametrize(("walk", "call", "last"), [(0, fit, "PreparedForTiles.run"), (1, fit_many, "work")])
def test_the_walk_in_python(walk, call, last):
    names = [name for _, name in WALKS[walk]]
    last = next(name for name in names if name.endswith(last))
    assert functions_above(call, last) == WALKS[walk][: names.index(last) + 1]


@pytest.mark.parametrize("walk", WALKS, ids=["X", "params"])
def test_the_walk_in_kernels(walk):
    """Each function is where the walk says."""
    for path, name in walk:
        plain = name.rpartition(".")[2]
        assert re.search(rf"^ *def {plain}\(", (PACKAGE / path).read_text(encoding="utf-8"), re.MULTILINE), name


@pytest.mark.parametrize(("walk", "functions", "files"), [(0, 11, 7), (1, 12, 9)])
def test_the_walks_are_short(walk, functions, files):
    assert len(WALKS[walk]) <= functions
    assert len({path for path, _ in WALKS[walk]}) <= files
