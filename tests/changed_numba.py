"""Numbas of the future, for tests in processes of their own: each changes what fastnn knows of Numba's inside.

As a plugin, ``pytest -p tests.changed_numba``, it moves the class that fastnn's compilers build on.
"""

import numba
from numba.core import caching, ccallback, codegen, compiler  # noqa: F401 - what is loaded is not in need of it again


def moved():
    """A class that the compilers build on has gone."""
    del codegen.JITCodeLibrary


def uncached():
    """A class that the cache builds on has gone."""
    del caching.NullCache


def later():
    """A version that nobody has tested, in which nothing has changed."""
    numba.__version__ = "0.99.0"


def other():
    """A version that nobody has tested, in which a method answers otherwise: what is tried out fails."""
    later()
    compile_core, compile_extra = compiler.CompilerBase._compile_core, compiler.CompilerBase.compile_extra
    compiler.CompilerBase._compile_core = lambda self: (compile_core(self), None)
    compiler.CompilerBase.compile_extra = lambda self, function: compile_extra(self, function)[0]


def pytest_configure(config):
    moved()
