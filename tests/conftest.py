import gc

import pytest


def pytest_collection_finish(session):
    """Look for garbage less often, and not among what was imported: compiling makes millions of short-lived objects."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000)


@pytest.fixture(params=["numpy", "numba"])
def backend(request):
    """Either twin, as the public API names it."""
    return request.param
