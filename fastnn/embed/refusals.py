"""Errors for wrong arguments in compiled code: one sentence, at the end of Numba's message."""

from __future__ import annotations

import inspect
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from numba.core.errors import ForceLiteralArg, NumbaError, TypingError
from numba.core.imputils import lower_cast, lower_constant, lower_setattr_generic
from numba.core.typing.templates import AttributeTemplate, infer_getattr
from numba.extending import box, overload_method

from fastnn.embed.fields import ArraysType
from fastnn.kernels.jit.architecture import named


class Refusal(ForceLiteralArg, TypingError):
    """A `TypingError` that arrives as it was raised.

    Numba takes a `TypingError` for the failure of one candidate, and buries it in a list of all of them. But it passes
    on untouched, from caller to caller, an exception that asks for the value of an argument, to where values are known.
    This one pretends to ask, and is raised again there.
    """

    def __init__(self, sentence: str):
        NumbaError.__init__(self, sentence)
        self._sentence, self._place = sentence, ""

    def add_context(self, message: str) -> Refusal:
        """Keep the first location in the caller that Numba names, and none of Numba's own."""
        if not self._place and message.startswith("typing of"):
            self._place = f"{message.rstrip()}\n"  # Numba 0.61 ends it with a newline
        return self

    def __str__(self) -> str:
        return f"{self._place}{self._sentence}"

    @property  # type: ignore[misc] # final there
    def requested_args(self) -> Any:
        """Is read by a caller, in the end by Numba's entry from Python, to see which values are asked for."""
        raise self.with_traceback(None)

    def fold_arguments(self, *args: Any) -> Any:  # type: ignore[misc] # likewise
        """The same."""
        raise self.with_traceback(None)

    def bind_fold_arguments(self, fold_arguments: Any) -> Refusal:
        """There is nothing to fold."""
        return self

    def combine(self, other: Any) -> Refusal:
        """Report the first one."""
        return self


class _Parameters(inspect.Signature):
    """The parameters of a method, which are named in the error for wrong arguments."""

    method: str

    def bind(self, /, *args: Any, **kwargs: Any) -> inspect.BoundArguments:
        """Bind arguments as Python does, with an error of our own."""
        try:
            return super().bind(*args, **kwargs)
        except TypeError as error:
            _, *takes = self.parameters.values()
            raise Refusal(f"{self.method} takes ({', '.join(map(str, takes))}): {error}") from None


#: Attributes of a training state that are numbers in Python, and the elements that hold them.
_ELEMENTS = {"learning_rate": "rates[0]", "steps": "counters[2]"}

#: The names of the methods of a type, for the error for another name.
_METHODS: defaultdict[type, list[str]] = defaultdict(list)


def method(kind: type, name: str, **options: Any) -> Callable:
    """Decorate a function that chooses a method of `kind` by the types of its arguments, like ``overload_method``."""

    def declare(choose: Callable) -> Callable:
        signature = inspect.signature(choose)
        parameters = _Parameters(list(signature.parameters.values()))
        parameters.method = f"{next(iter(signature.parameters))}.{name}"
        choose.__signature__ = parameters  # type: ignore[attr-defined] # which inspect looks for
        _METHODS[kind].append(name)
        return overload_method(kind, name, **options)(choose)

    return declare


# ---------------------------------------------------------------- what is no method
@infer_getattr
class _NoAttribute(AttributeTemplate):
    """Is asked when an object has no attribute with this name."""

    key = ArraysType

    def generic_resolve(self, kind, name):
        if not name.startswith("__") or name == "__call__":  # str, say, asks for the others
            element = _ELEMENTS.get(name, "")
            if element.partition("[")[0] in kind.arrays:
                raise Refusal(f"{named(kind)} has no attribute {name} inside compiled code; there it is {element}")
            methods = ", ".join(sorted(one for one in _METHODS[type(kind)] if not one.startswith("__")))
            raise Refusal(
                f"{named(kind)} has no attribute {name} inside compiled code; its methods there are {methods}"
            )


@lower_setattr_generic(ArraysType)
def _assign(context, builder, sig, args, name):
    raise Refusal(
        f"{name} of {named(sig.args[0])} cannot be assigned to inside compiled code; write into it, {name}[:] = ..."
    )


@lower_cast(ArraysType, ArraysType)
def _cast(context, builder, given, wanted, value):
    raise Refusal(f"a place of {named(wanted)} cannot hold {named(given)}")


@lower_constant(ArraysType)
def _constant(context, builder, kind, value):
    raise Refusal(
        f"{named(kind)} must be an argument of the compiled function; "
        "it is a global, a variable of a closure or a default, whose value Numba would freeze"
    )


@box(ArraysType)
def _to_python(kind, value, c):
    # When it runs: for a jitclass Numba compiles how attributes are handed over that nobody asks for.
    c.pyapi.err_set_string("PyExc_TypeError", f"{named(kind)} cannot be handed from compiled code to Python")
    c.context.nrt.decref(c.builder, kind, value)  # which a box takes over
    return c.pyapi.get_null_object()
