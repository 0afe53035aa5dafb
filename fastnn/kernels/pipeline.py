"""How Numba compiles kernels, and the pieces that they are made of, in less time than other functions.

A piece is only ever linked into what calls it. Numba would optimise it and make machine code of it all the same, and
that again in each of its callers; here only what is called gets that far.
"""

from __future__ import annotations

import gc
from typing import Any

from numba import _dynfunc
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler
from numba.core.compiler_machinery import PassManager

#: Passes for what kernels do without: closures, comprehensions, with, literal_unroll, array expressions ...
_LEFT_OUT = {
    "WithLifting",
    "InlineClosureLikes",
    "MakeFunctionToJitFunction",
    "InlineInlinables",
    "FindLiterallyCalls",
    "LiteralUnroll",
    "LiteralPropagationSubPipelinePass",
    "InlineOverloads",
    "NopythonRewrites",
}


class KernelCompiler(Compiler):
    """Numba's compiler with fewer passes, and without looking for garbage meanwhile: a tenth of its time."""

    def define_pipelines(self) -> list[PassManager]:
        """Numba's, without the passes left out."""
        (pipeline,) = super().define_pipelines()
        pipeline.passes = [entry for entry in pipeline.passes if entry[0].__name__ not in _LEFT_OUT]
        pipeline.finalize()
        return [pipeline]

    def _compile_core(self) -> Any:
        collects = gc.isenabled()
        gc.disable()
        try:
            return super()._compile_core()
        finally:
            if collects:
                gc.enable()


class PieceCompiler(KernelCompiler):
    """The same for a piece: it ends where other code can be linked with it."""

    def __init__(self, typing_context: Any, target_context: Any, library: None, *args: Any):
        super().__init__(typing_context, target_context, _PieceLibrary(target_context.codegen(), "piece"), *args)
        self.state.targetctx = self.state.targetctx.subtarget(get_executable=_nothing_to_execute)


class _PieceLibrary(JITCodeLibrary):
    """Code that is tidied, function by function, and no more."""

    def _optimize_final_module(self) -> None:
        """Leave it to what calls it."""

    def _finalize_final_module(self) -> None:
        """Keep it from the linker of what is executed."""
        self._finalize_dynamic_globals()
        self._finalized = True


def _nothing_to_execute(library: _PieceLibrary, descriptor: Any, environment: Any) -> Any:
    """Stands for the piece where Numba looks up what it has compiled."""
    library._ensure_finalized()
    name = descriptor.qualname.split(".")[-1]
    return _dynfunc.make_function(descriptor.lookup_module(), name, "", 0, environment, (library,))


#: Numba's options for a kernel, which Python calls, and some kernels by its address.
KERNEL = {"error_model": "numpy", "nogil": True, "no_cfunc_wrapper": True, "pipeline_class": KernelCompiler}

#: Numba's options for what kernels call by its address.
CALLEE = {
    "error_model": "numpy",
    "no_cfunc_wrapper": True,
    "no_cpython_wrapper": True,
    "pipeline_class": KernelCompiler,
}

#: Numba's options for a piece that stays a function of its own.
OUTLINED = {
    "error_model": "numpy",
    "no_cfunc_wrapper": True,
    "no_cpython_wrapper": True,
    "pipeline_class": PieceCompiler,
}

#: Numba's options for a piece that is compiled into whatever calls it, an overload for instance.
INLINED = OUTLINED | {"forceinline": True}
