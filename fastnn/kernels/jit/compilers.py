"""Compilers for kernels, and for the pieces that they are made of, which take less time than Numba's own.

A piece is only ever linked into what calls it. Numba would optimise it and make machine code of it all the same, and
again in each of its callers; here only whole kernels get that far.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from functools import cache, partial
from typing import Any

from numba import _dynfunc
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler
from numba.core.compiler_machinery import PassManager
from numba.core.runtime import rtsys

from fastnn.jobs.aligned import CACHE_LINE
from fastnn.kernels.jit import passes
from fastnn.kernels.jit.loading import all_loaded, put_off_scipy
from fastnn.kernels.jit.raising import marking
from fastnn.kernels.jit.resolution import remembering

#: Words of Python's stack that one call asks for. Python allocates the next power of two, of which nearly as many are
#: left for the calls within.
_ROOM = 17_000


class _Library(JITCodeLibrary):
    """Code that is optimised once, when all of it is linked together.

    Numba optimises each function before that, and all of it lightly, for the sake of its counts of references.
    """

    def _optimize_functions(self, module: Any) -> None:
        """Do nothing: the whole is optimised at once."""

    def _optimize_final_module(self) -> None:
        """Numba's full optimisation."""
        made = self._codegen._module_pass_manager()
        manager, *builder = made if isinstance(made, tuple) else (made,)  # there is none before Numba 0.62
        manager.run(self._final_module, *builder)


class _PieceLibrary(_Library):
    """Code that is not optimised at all."""

    def add_linking_library(self, library: Any) -> None:
        """Link it with other pieces; Numba's runtime is linked with what calls it."""
        if library is not rtsys.library:
            super().add_linking_library(library)

    def _optimize_final_module(self) -> None:
        """Leave it to what calls it."""

    def _finalize_final_module(self) -> None:
        """Keep it from the linker of executed code."""
        self._finalize_dynamic_globals()
        self._finalized = True


def _with_room_for_calls(function: Callable) -> Callable:
    """Have Python allocate a large piece of stack when it calls a function, enough for all calls within.

    Python allocates 16 kilobytes at a time, and frees them as soon as the first call in them returns. Where such a
    piece happens to end in the middle of a busy loop, that happens in every call.
    """
    function.__code__ = function.__code__.replace(co_stacksize=_ROOM)
    return function


class KernelCompiler(Compiler):
    """Numba's compiler for such libraries, with fewer passes and without garbage collection meanwhile."""

    library_class: type[JITCodeLibrary] = _Library

    def __init__(self, typing_context: Any, target_context: Any, _: None, *args: Any):
        put_off_scipy()
        library = self.library_class(target_context.codegen(), "kernel")
        library.enable_object_caching()
        self._contexts = typing_context, target_context
        typing_context = remembering(typing_context)
        with all_loaded(*self._contexts):
            super().__init__(typing_context, target_context, library, *args)
        context = self.state.targetctx
        counts = any(context.data_model_manager[arg].contains_nrt_meminfo() for arg in self.state.args)
        self.state.targetctx = context.subtarget(
            typing_context=typing_context,
            enable_nrt=counts,
            get_abi_sizeof=partial(_size, context.target_data),
            declare_function=partial(_with_aligned_stack, context.declare_function),
        )

    def define_pipelines(self) -> list[PassManager]:
        """Numba's, of those passes alone that kernels need."""
        (pipeline,) = super().define_pipelines()
        function, counts = self.state.func_id.func, self.state.targetctx.enable_nrt
        pipeline.passes = passes.needed(pipeline.passes, function, counts)
        pipeline.finalize()
        return [pipeline]

    @_with_room_for_calls
    def _compile_core(self) -> Any:
        collects = gc.isenabled()
        gc.disable()
        try:
            with all_loaded(*self._contexts):
                compiled = super()._compile_core()
            # What Numba worked with is no longer needed, and takes long to free when the process ends.
            compiled.fndesc.typemap = compiled.fndesc.calltypes = None
            return compiled._replace(type_annotation="")
        finally:
            if collects:
                gc.enable()


class _EntryLibrary(_Library):
    """Code whose functions are optimised before they are linked, which drops counts that no error would release."""

    _optimize_functions = JITCodeLibrary._optimize_functions


class EntryCompiler(KernelCompiler):
    """The same for an entry point that raises errors, on whose way out Numba releases no reference."""

    library_class = _EntryLibrary

    def __init__(self, *args: Any):
        super().__init__(*args)
        self.state.targetctx = marking(self.state.targetctx)


class PieceCompiler(KernelCompiler):
    """The same for a piece: compiling ends where other code can be linked with it."""

    library_class = _PieceLibrary

    def __init__(self, *args: Any):
        super().__init__(*args)
        self.state.targetctx = self.state.targetctx.subtarget(get_executable=_nothing_to_execute)


class _EmbeddedLibrary(_PieceLibrary):
    """Code that is optimised lightly, function by function: Numba, which compiles what calls it, relies on that."""

    def _optimize_final_module(self) -> None:
        JITCodeLibrary._optimize_functions(self, self._final_module)


class EmbeddedCompiler(PieceCompiler):
    """The same for a piece that users' functions call, which Numba compiles as usual."""

    library_class = _EmbeddedLibrary

    def __init__(self, *args: Any):
        super().__init__(*args)
        self.state.targetctx = marking(self.state.targetctx)


@cache
def _size(target: Any, kind: Any) -> int:
    """Bytes that a value of an LLVM type takes. Numba has LLVM read a module for every answer."""
    return kind.get_abi_size(target)


def _with_aligned_stack(declare: Callable, module: Any, descriptor: Any) -> Any:
    """Numba's declaration of a function, with its stack aligned, so that no register saved there spans cache lines.

    LLVM aligns it for arrays, but not for saved registers.
    """
    function = declare(module, descriptor)
    function.attributes.add("nounwind")  # llvmlite writes no alignment where it is the only attribute
    function.attributes.alignstack = CACHE_LINE
    return function


def _nothing_to_execute(library: _PieceLibrary, descriptor: Any, environment: Any) -> Any:
    """Stands for the piece where Numba looks up what it has compiled."""
    library._ensure_finalized()
    name = descriptor.qualname.split(".")[-1]
    return _dynfunc.make_function(descriptor.lookup_module(), name, "", 0, environment, (library,))
