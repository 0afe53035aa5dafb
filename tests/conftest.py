import pytest


@pytest.fixture(params=["numpy", "numba"])
def backend(request):
    """Either twin, as the public face names it."""
    return request.param
