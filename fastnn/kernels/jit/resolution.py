"""What functions and operators mean for the types of their arguments, resolved once, and not wherever they occur."""

from __future__ import annotations

from functools import cache
from types import BuiltinFunctionType
from typing import Any

from numba import types
from numba.core.errors import TypingError
from numba.extending import models, register_model


def _is_foreign(template: type) -> bool:
    """Whether a declaration is not this package's."""
    return not any(base.__module__.startswith("fastnn.") for base in template.__mro__)


class _Function(types.Function):
    """Numba's type of a function or operator, which asks this package's declarations first and remembers signatures.

    Numba asks all declarations of an operator, some dozens, wherever the operator occurs.
    """

    def __init__(self, function: types.Function):
        super().__init__(tuple(sorted(function.templates, key=_is_foreign)))
        self._signatures: dict[tuple, Any] = {}
        self._by_value = any(template.prefer_literal for template in function.templates)

    def get_call_type(self, context: Any, args: tuple, kws: Any) -> Any:
        """The signature for arguments of these types."""
        if kws:
            return super().get_call_type(context, args, kws)
        key = args if self._by_value else tuple(types.unliteral(arg) for arg in args)
        if key not in self._signatures:
            try:
                self._signatures[key] = super().get_call_type(context, key, kws)
            except TypingError:  # it may need the values of literals, in this call at least
                return super().get_call_type(context, args, kws)
        return self._signatures[key]


register_model(_Function)(models.OpaqueModel)


class _TypingContext:
    """Numba's typing context, with functions that remember."""

    def __init__(self, context: Any):
        self._context = context
        self._functions: dict[types.Function, _Function] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    def resolve_value_type(self, value: Any) -> Any:
        """The type of a value of Python's."""
        # Numba would first ask whether it is a number, an array and so on, which takes longer than all the rest.
        function = self._context._lookup_global(value) if isinstance(value, BuiltinFunctionType) else None
        if function is None:
            function = self._context.resolve_value_type(value)
        if type(function) is not types.Function:
            return function
        if function not in self._functions:
            self._functions[function] = _Function(function)
        return self._functions[function]

    def resolve_function_type(self, function: Any, args: tuple, kws: Any) -> Any:
        """The signature of a function, or of an operator by Python's function for it."""
        if isinstance(function, BuiltinFunctionType):
            function = self.resolve_value_type(function)
        return self._context.resolve_function_type(function, args, kws)


#: A typing context that remembers, for one of Numba's.
remembering = cache(_TypingContext)
