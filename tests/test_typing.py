"""Type checkers see what the public names are, take and give."""

import re

import pytest

USE = """
import numpy as np

import fastnn

X = np.ones((8, 2))
net = fastnn.MLP((2, 4, 1), rng=0)
history = net.fit(X, X[:, 0], epochs=2, callback=lambda epoch: epoch.loss < 0.1, validation_data=(X, X[:, 0]))
grid = {"hidden": [(4,), (8,)], "learning_rate": [0.1, 0.2]}
result = fastnn.sweep(X, X[:, 0], grid, epochs=2)
many = fastnn.fit_many(net.spec, X, X[:, 0], members=4, epochs=2, optimizer=fastnn.Adam(fastnn.schedules.Step(0.1, 10)))
each = fastnn.SGD(np.array([0.1, 0.2]), momentum=np.array([0.9, 0.0]))
fastnn.fit_many(net.spec, X, X[:, 0], members=2, epochs=2, optimizer=each)
model = fastnn.sklearn.MLPRegressor(hidden_layer_sizes=(4,), solver="lbfgs")
fastnn.plots.loss_curves({"training": history.loss})
net = net.with_scaling(*fastnn.standardize(X, X[:, 0]))
reveal_type(history.validation_loss)
reveal_type(history.stopped)
reveal_type(many[0])
reveal_type(many[:2])
reveal_type(result.networks)
reveal_type(fastnn.catalogue.LOSSES)
"""
REVEALED = [
    "numpy.ndarray[.*float64.*] | None",
    "Literal['finished'] | Literal['early'] | .*",
    "fastnn.models.mlp.MLP",
    "fastnn.models.ensemble.Ensemble",
    "list[fastnn.models.mlp.MLP]",
    "dict[str, fastnn.settings.catalogue.Loss]",
]
MISUSE = """
import fastnn

fastnn.Adamm(1e-3)
net = fastnn.MLP((2, 4, 1))
net.fit([[1.0, 2.0]], [1.0], epochs=2, optimizer="adam")
net.fit([[1.0, 2.0]], [1.0], epochs=2, validation_data=0.2)
"""


@pytest.mark.slow
def test_type_checkers_see_the_public_names(tmp_path):
    api = pytest.importorskip("mypy.api")
    (tmp_path / "use.py").write_text(USE)
    (tmp_path / "misuse.py").write_text(MISUSE)
    config = tmp_path / "mypy.ini"
    config.write_text("[mypy]\nstrict = True\ncache_dir = " + str(tmp_path / "cache") + "\n")
    told = api.run(["--config-file", str(config), str(tmp_path / "use.py"), str(tmp_path / "misuse.py")])[0]
    revealed = re.findall(r'use.py:\d+: note: Revealed type is "(.*)"', told)
    for found, expected in zip(revealed, REVEALED, strict=True):
        assert re.fullmatch(re.sub(r"([\[\]|])", r"\\\1", expected), found), found
    errors = re.findall(r"(\w+)\.py:(\d+): error", told)
    assert errors == [("misuse", "4"), ("misuse", "6"), ("misuse", "7")], told
