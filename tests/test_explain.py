"""`fastnn.explain` says what `fastnn.kernels.dispatch` decides."""

import pytest

import fastnn
from fastnn import MLP
from fastnn.kernels import dispatch

CASES = [
    (MLP((3, 4, 1)), {"batch_size": 4}, "fit", "lanes, a sample in each"),
    (MLP((3, 4, 1)), {"batch_size": 4, "input_noise": 0.1}, "fit", "only tiles have dropout and noise"),
    (MLP((3, 4, 1)), {"batch_size": 1000}, "fit", "rows (specialize=True compiles one"),
    (MLP((3, 40, 1)), {"threads": 2}, "fit", "more than 40 parameters; one thread"),
    (MLP((64, 100, 1)), {"batch_size": 64}, "fit", "pack and fetch ahead"),
    (MLP((1024, 1024, 1)), {"batch_size": 8}, "fit", "few rows fetch ahead the weights of layers of 2 MB or more"),
    (MLP((512, 512, 1)), {"batch_size": 256}, "fit", "parameters are updated a part at a time"),
    (MLP((3, 4, 1)), {"optimizer": fastnn.LevenbergMarquardt()}, "fit", "LevenbergMarquardt uses all samples"),
    (MLP((3, 4, 1)), {}, "fit_many", "lanes, a network in each"),
    (MLP((64, 100, 1)), {}, "fit_many", "one network after another"),
    (MLP((64, 100, 1)).spec, {}, "embedded", "several samples"),
]


@pytest.mark.parametrize(("net", "settings", "call", "expected"), CASES)
def test_each_call_has_a_line_that_says_its_path(net, settings, call, expected):
    lines = dict(line.split(maxsplit=1) for line in fastnn.explain(net, **settings).splitlines())
    assert list(lines) == ["network", "fit", "fit_many", "predict", "embedded"]
    assert expected in lines[call]


def test_it_goes_by_the_thresholds_themselves(monkeypatch):
    monkeypatch.setattr(dispatch, "TINY_PARAMS", 20)
    assert "more than 20 parameters" in fastnn.explain(MLP((3, 4, 1)), batch_size=4)


def test_what_is_no_network_is_refused():
    with pytest.raises(TypeError, match=r"net must be an MLP or a NetworkSpec; got 3"):
        fastnn.explain(3)


def test_without_the_compiler_no_kernel_is_claimed(monkeypatch):
    monkeypatch.setattr("numba.config.DISABLE_JIT", 1)
    network, calls = fastnn.explain(fastnn.MLP((3, 4, 1))).splitlines()
    assert network.startswith("network   3-4-1")
    assert calls.startswith("all calls plain loops or NumPy, slowly, as NUMBA_DISABLE_JIT")
