"""Numba's passes as kernels need them: some left out, some cut short.

Many of Numba's passes end by computing the lifetimes of all variables anew, which only closures, generators, lifted
code and counted references need.
"""

from __future__ import annotations

from collections.abc import Callable
from types import CodeType
from typing import Any

from numba.core.compiler_machinery import register_pass
from numba.core.interpreter import Interpreter
from numba.core.ir_utils import build_definitions
from numba.core.rewrites import rewrite_registry
from numba.core.ssa import reconstruct_ssa
from numba.core.typed_passes import PreLowerStripPhis
from numba.core.untyped_passes import GenericRewrites, ReconstructSSA, TranslateByteCode

#: Passes for what kernels do without: closures, comprehensions, with, literal_unroll, array expressions ...
_IDLE = {
    "IRProcessing",
    "WithLifting",
    "InlineClosureLikes",
    "RewriteDynamicRaises",
    "MakeFunctionToJitFunction",
    "InlineInlinables",
    "FindLiterallyCalls",
    "LiteralUnroll",
    "LiteralPropagationSubPipelinePass",
    "InlineOverloads",
    "NopythonRewrites",
    "NoPythonSupportedFeatureValidation",
    "DumpParforDiagnostics",
}

#: Those of them for a function that is defined within another, as in a user's own loss or activation.
_FOR_FUNCTIONS_WITHIN = {"InlineClosureLikes", "MakeFunctionToJitFunction"}

#: Functions that tidy ``with`` statements and dictionaries once bytecode has been read.
_UNTIDIED = {"peep_hole_delete_with_exit", "peep_hole_fuse_dict_add_updates"}

#: The pass that marks where counted references end.
_COUNTING = "IRLegalization"


class _Interpreter(Interpreter):
    """Reads bytecode, and tidies less."""

    def post_process(self, peepholes: list[Any], func_ir: Any) -> Any:
        """Tidy the code by those of these functions that kernels need."""
        return super().post_process([each for each in peepholes if each.__name__ not in _UNTIDIED], func_ir)


@register_pass(mutates_CFG=True, analysis_only=False)
class _Translation(TranslateByteCode):
    """From bytecode to Numba's code, by this interpreter."""

    _name = "fastnn_translation"

    def run_pass(self, state: Any) -> bool:
        state.func_ir = _Interpreter(state.func_id).interpret(state.bc)
        return True


@register_pass(mutates_CFG=False, analysis_only=False)
class _Rewrites(GenericRewrites):
    """Rewrites of known indices and powers; without lifetimes."""

    _name = "fastnn_rewrites"

    def run_pass(self, state: Any) -> bool:
        blocks = state.func_ir.blocks
        for rewriting in rewrite_registry.rewrites["before-inference"]:
            rewrite = rewriting(state)
            for label in blocks:
                while rewrite.match(state.func_ir, blocks[label], state.typemap, state.calltypes):
                    blocks[label] = rewrite.apply()
        return True


@register_pass(mutates_CFG=False, analysis_only=False)
class _SSA(ReconstructSSA):
    """A variable for each assignment; without lifetimes."""

    _name = "fastnn_ssa"

    def run_pass(self, state: Any) -> bool:
        state.func_ir = reconstruct_ssa(state.func_ir)
        state.func_ir._definitions = build_definitions(state.func_ir.blocks)
        return True


@register_pass(mutates_CFG=False, analysis_only=False)
class _StripPhis(PreLowerStripPhis):
    """The variables of assignments that meet joined again; without lifetimes."""

    _name = "fastnn_strip_phis"

    def run_pass(self, state: Any) -> bool:
        state.func_ir = self._strip_phi_nodes(state.func_ir)
        state.func_ir._definitions = build_definitions(state.func_ir.blocks)
        return True


_SHORT = {
    TranslateByteCode: _Translation,
    GenericRewrites: _Rewrites,
    ReconstructSSA: _SSA,
    PreLowerStripPhis: _StripPhis,
}


def needed(passes: list[tuple[Any, str]], function: Callable, counts: bool) -> list[tuple[Any, str]]:
    """Of Numba's passes with their descriptions those that a function needs, whose references are counted or not."""
    idle = _IDLE if counts else _IDLE | {_COUNTING}
    if any(isinstance(constant, CodeType) for constant in function.__code__.co_consts):
        idle = idle - _FOR_FUNCTIONS_WITHIN
    return [(_SHORT.get(each, each), description) for each, description in passes if each.__name__ not in idle]
