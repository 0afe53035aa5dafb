"""A network as a C function, called by what it is made for."""

import numpy as np
import pytest
from scipy import LowLevelCallable, integrate, ndimage

from fastnn import MLP


def low_level(net, caller):
    return LowLevelCallable(net.cfunc(caller).ctypes)


def test_scipy_integrates_a_network():
    net = MLP((1, 5, 1), rng=0)
    assert integrate.quad(low_level(net, "quad"), -1, 2)[0] == pytest.approx(
        integrate.quad(lambda x: net([x])[0], -1, 2)[0], rel=1e-12
    )
    net = MLP((2, 5, 1), rng=0)
    ranges, options = [(0, 1), (-1, 1)], {"epsabs": 1e-6}
    assert integrate.nquad(low_level(net, "quad"), ranges, opts=options)[0] == pytest.approx(
        integrate.nquad(lambda *x: net(np.array(x))[0], ranges, opts=options)[0], rel=1e-9
    )
    with pytest.warns(integrate.IntegrationWarning):
        assert np.isnan(integrate.quad(low_level(net, "quad"), 0, 1)[0])  # of one variable
    assert net.cfunc("quad") in {net.cfunc("quad")}  # which is made once, and has a hash


def test_scipy_filters_by_a_network():
    image = np.random.default_rng(0).normal(size=(6, 7))
    net = MLP((6, 5, 1), rng=0)
    expected = ndimage.generic_filter(image, lambda window: net(window)[0], size=(2, 3))
    assert np.allclose(
        ndimage.generic_filter(image, low_level(net, "generic_filter"), size=(2, 3)), expected, rtol=1e-12
    )
    with pytest.raises(RuntimeError):
        ndimage.generic_filter(image, low_level(net, "generic_filter"), size=(2, 2))

    def along(line, out):
        out[:] = net.predict(np.lib.stride_tricks.sliding_window_view(line, 6)).ravel()

    expected = ndimage.generic_filter1d(image, along, 6)
    assert np.allclose(ndimage.generic_filter1d(image, low_level(net, "generic_filter1d"), 6), expected, rtol=1e-12)
    for size in (5, 7):
        with pytest.raises(RuntimeError):
            ndimage.generic_filter1d(image, low_level(net, "generic_filter1d"), size)


def test_scipy_transforms_by_a_network():
    image = np.random.default_rng(0).normal(size=(6, 7))
    net = MLP((2, 5, 2), rng=0)
    net.params *= 3
    expected = ndimage.geometric_transform(image, lambda place: tuple(net(np.array(place, float))))
    got = ndimage.geometric_transform(image, low_level(net, "geometric_transform"))
    assert np.allclose(got, expected, rtol=1e-9, atol=1e-12)
    for data, other in ((image[None], net), (image, MLP((2, 5, 3), rng=0))):
        with pytest.raises(RuntimeError):
            ndimage.geometric_transform(data, low_level(other, "geometric_transform"))


@pytest.mark.parametrize(
    ("net", "caller", "told"),
    [
        (MLP((1, 2, 1), dtype="float32"), "quad", "quad takes a float64 network and one output; got float32 and 1"),
        (MLP((1, 2, 2)), "generic_filter", "takes a float64 network and one output; got float64 and 2"),
        (MLP((1, 2, 1)), "odeint", "caller must be one of C, quad, .*; got 'odeint'"),
    ],
)
def test_what_is_refused(net, caller, told):
    with pytest.raises(ValueError, match=told):
        net.cfunc(caller)
