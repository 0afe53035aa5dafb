"""Exceptions that a piece raises into a function of the user's, marked as Numba marks those of the function itself.

Numba counts no references to an array, such as a slice that is only passed on, if every path from there leads to where
the reference is released, or to an exception. It recognises an exception by a mark on the store of what is raised,
which ``raise`` sets and a call of what may raise does not. So a call would cost two counts for each array: 18 of the
175 ns that one sample takes through 8-64-64-1 on an AVX2 core (AMD Zen 3).
"""

from __future__ import annotations

from functools import partial, wraps
from typing import Any

from llvmlite import ir
from numba.core.imputils import user_function


def marking(context: Any) -> Any:
    """A target context like this one, in which calls of what is compiled mark the exceptions that they pass on."""
    return context.subtarget(insert_user_function=partial(_insert_marking, context))


def _insert_marking(context: Any, function: Any, descriptor: Any, libraries: Any = ()) -> None:
    """Take the place of the context's ``insert_user_function``."""
    call = user_function(descriptor, libraries)

    @wraps(call)
    def marked(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        first = len(builder.function.blocks)
        result = call(context, builder, signature, args)
        exception = context.call_conv._get_excinfo_argument(builder.function)
        mark = builder.module.add_metadata([ir.IntType(1)(1)])
        for block in builder.function.blocks[first:]:
            for store in block.instructions:
                if isinstance(store, ir.StoreInstr) and store.operands[1] is exception:
                    store.set_metadata("numba_exception_output", mark)
        return result

    context.insert_func_defn([(marked, function, call.signature)])
