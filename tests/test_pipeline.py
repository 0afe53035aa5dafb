"""How kernels are compiled: pieces are linked into what calls them, and go no further by themselves."""

import gc

import numpy as np
import pytest
from numba import types
from numba.core.errors import TypingError

from fastnn.kernels.compiling import inlined, kernel, outlined


@inlined
def _root(x):
    if x < 0.0:
        raise ValueError("no root of a negative number")
    return np.sqrt(x)


@outlined
def _sum_of_roots(x):
    total = 0.0
    for number in x:
        total += _root(number)
    return total


@kernel
def _roots(x):
    return _sum_of_roots(x) + _root(x[0])


@kernel
def _impossible(x):
    return x + "a"


def _compiled(function, argument):
    function.compile((argument,))
    compiled = function.overloads[argument,]
    return compiled.library, compiled.fndesc


def test_a_kernel_of_pieces_computes_and_raises():
    assert _roots(np.array([4.0, 9.0])) == 7.0
    with pytest.raises(ValueError, match="no root of a negative number"):
        _roots(np.array([4.0, -9.0]))


def test_there_is_machine_code_of_kernels_alone():
    array = types.Array(types.float64, 1, "C")
    library, descriptor = _compiled(_roots, array)
    assert library.get_pointer_to_function(descriptor.llvm_cpython_wrapper_name) != 0
    for piece, argument in ((_root, types.float64), (_sum_of_roots, array)):
        library, descriptor = _compiled(piece, argument)
        assert library.get_pointer_to_function(descriptor.llvm_func_name) == 0
        assert library.get_pointer_to_function(descriptor.llvm_cfunc_wrapper_name) == 0


@pytest.mark.parametrize("collects", [True, False])
def test_the_collector_is_left_as_it_was(collects):
    assert gc.isenabled()
    try:
        if not collects:
            gc.disable()
        with pytest.raises(TypingError):
            _impossible(np.array([1.0]))
        assert gc.isenabled() == collects
        _root.compile((types.float32,))
        assert gc.isenabled() == collects
    finally:
        gc.enable()
