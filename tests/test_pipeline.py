"""How kernels are compiled: pieces are linked into what calls them, and go no further by themselves."""

import gc

import numpy as np
import pytest
from numba import njit, types
from numba.core import event
from numba.core.errors import TypingError

from fastnn.kernels.jit import compiling
from fastnn.kernels.jit.compiling import callee, inlined, inlined_callee, kernel, outlined
from fastnn.kernels.jit.options import EMBEDDED, INLINED


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


def test_passes_that_find_nothing_in_kernels_are_left_out():
    with event.install_recorder("numba:run_pass") as recorder:
        _root.compile((types.float32,))
    passes = {entry.data["name"].partition(" ")[0] for _, entry in recorder.buffer}
    assert "native_lowering" in passes
    assert not passes & {"ir_processing", "inline_closure_likes", "nopython_rewrites", "ir_legalization"}


def _line(x):
    return 2.0 * x + 1.0


@pytest.mark.parametrize("decorator", [kernel, callee, inlined_callee, outlined, inlined])
def test_a_piece_takes_nothing_over_from_whoever_asks_for_it_first(decorator, monkeypatch):
    """It is kept for all others."""
    monkeypatch.setattr(compiling, "CACHE", None)  # code from the disk could not be looked at
    piece = decorator(_line)
    assert njit(fastmath=True, forceinline=True)(lambda x: piece(x))(3.0) == 7.0
    code = piece.overloads[types.float64,].library.get_llvm_str()
    body = code[code.index("define") :]
    assert " fmul " in body
    assert " fast " not in body
    assert ("alwaysinline" in body) == (decorator in (inlined, inlined_callee))


@kernel
def _clamped(i, low, high):
    return max(min(i, high), low), max(min(float(i), high), 0.5), min(i, 7, low)


def test_extremes_are_pythons():
    for i in range(-4, 9):
        assert _clamped(i, -2, 5) == (max(min(i, 5), -2), max(min(float(i), 5), 0.5), min(i, 7, -2))


def _triangle(n):
    total = 0
    while n > 0:
        total += n
        n -= 1
    return total


@pytest.mark.parametrize("options", [INLINED, EMBEDDED])
def test_what_others_embed_is_tidied(options):
    library, _ = _compiled(njit(**options)(_triangle), types.intp)
    assert ("alloca" in library.get_llvm_str()) == (options is INLINED)


@pytest.mark.parametrize("collects", [True, False])
def test_the_collector_and_numba_are_left_as_they_were(collects):
    assert gc.isenabled()
    try:
        if not collects:
            gc.disable()
        with pytest.raises(TypingError):
            _impossible(np.array([1.0]))
        assert gc.isenabled() == collects
        _root.compile((types.float32,))
        assert gc.isenabled() == collects
        assert not any("load_additional_registries" in vars(each) for each in (_root.typingctx, _root.targetctx))
    finally:
        gc.enable()
