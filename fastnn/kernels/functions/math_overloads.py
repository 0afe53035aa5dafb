"""What `math`'s and NumPy's functions, `abs` and powers are for a vector, for functions of the user's that call them.

For numbers they stay what Numba makes of them.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import types
from numba.extending import overload

from fastnn.kernels.functions import vecmath
from fastnn.kernels.jit.options import BY_LITERALS, INLINED
from fastnn.kernels.simd import absolute, sqrt, whole_power
from fastnn.kernels.simd.types import Vector

_BY_NAME = {name: getattr(vecmath, name) for name in ("exp", "expm1", "log", "log1p", "sin", "cos", "tanh")}
_BY_NAME |= {"sqrt": sqrt, "fabs": absolute}


def _serve(named: Callable, function: Any) -> None:
    """Have a name mean this function where it is called with a vector of floats."""

    @overload(named, jit_options=INLINED)
    def of_vector(x):
        is_vector = isinstance(x, Vector) and isinstance(x.dtype, types.Float)
        return (lambda x: function(x)) if is_vector else None


for _name, _function in _BY_NAME.items():
    _serve(getattr(math, _name), _function)
    _serve(getattr(np, _name), _function)
_serve(abs, absolute)
_serve(np.absolute, absolute)


@overload(operator.pow, **BY_LITERALS)
def _choose_power(x, exponent):
    is_vector = isinstance(x, Vector) and isinstance(x.dtype, types.Float)
    return (lambda x, exponent: whole_power(x, exponent)) if is_vector else None
