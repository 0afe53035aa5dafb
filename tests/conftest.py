import pytest

from fastnn.kernels import dispatch


@pytest.fixture(params=["numpy", "numba"])
def backend(request):
    """Either twin, as the public face names it."""
    return request.param


@pytest.fixture(autouse=True)
def shared_kernels(request, monkeypatch):
    """Tiny networks take the shared kernels, unless a test is marked `own_kernels`: theirs take seconds to compile."""
    if request.node.get_closest_marker("own_kernels") is None:
        monkeypatch.setattr(dispatch, "TINY_PARAMS", 0)
