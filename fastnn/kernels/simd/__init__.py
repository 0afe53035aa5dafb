"""SIMD vectors for kernels: what arrays of numbers in a register can do, one LLVM instruction each.

Inside ``@njit`` a kernel reads and writes vectors through pointers and writes arithmetic as usual:

    p = pointer(array, offset)       # where to read; nothing checks the bounds
    x = load(p)                      # lanes(p) numbers from there on
    y = load_first(p + n, count)     # the first `count` of them, zeros in the other lanes
    store(p, fma(x, 2.0, y))         # a number beside a vector stands for itself in every lane

``+ - * /``, unary ``-``, comparisons and ``& | ~ << >>`` act lane by lane. A comparison gives a mask
for `select`. With one lane a vector is a plain number, so what is written for vectors serves both.

What kernels use most is exported here; each concept has a file of its own:

- `types`: vectors, pointers and tiles as Numba types; `registers`: the processor's vectors, and what is chosen by them.
- `pointers`, `memory`: places in arrays, loads and stores; `tiles`: room on the stack and in registers; `columns`,
  `blocks`: rows and matrices transposed on the way.
- `operators`, `lanewise`, `division`, `bits`: arithmetic lane by lane; `across`: sums over lanes; `integers`: min, max.
- `calls`: functions by their address; `threads`: a barrier; `denormals`: flushed to zero; `opaque`: hidden from LLVM.
- `build`: what these share where they write LLVM code.
"""

from fastnn.kernels.simd import integers as integers
from fastnn.kernels.simd import operators as operators
from fastnn.kernels.simd.across import any_lane, first, largest, total, total_everywhere, totals
from fastnn.kernels.simd.bits import from_bits, to_bits
from fastnn.kernels.simd.division import quotient
from fastnn.kernels.simd.lanewise import (
    absolute,
    as_double,
    as_numbers_of,
    broadcast,
    by_dtype,
    copysign,
    fma,
    library_cos,
    library_sin,
    polynomial,
    select,
    sqrt,
    whole_power,
)
from fastnn.kernels.simd.memory import (
    first_lanes,
    load,
    load_first,
    load_halves,
    prefetch,
    store,
    store_first,
    store_halves,
)
from fastnn.kernels.simd.pointers import lanes, pointer, pointer_at, widen, with_lanes
from fastnn.kernels.simd.tiles import scratch, tile, transpose

__all__ = [
    "absolute",
    "any_lane",
    "as_double",
    "as_numbers_of",
    "broadcast",
    "by_dtype",
    "copysign",
    "first",
    "first_lanes",
    "fma",
    "from_bits",
    "lanes",
    "largest",
    "library_cos",
    "library_sin",
    "load",
    "load_first",
    "load_halves",
    "pointer",
    "pointer_at",
    "polynomial",
    "prefetch",
    "quotient",
    "scratch",
    "select",
    "sqrt",
    "store",
    "store_first",
    "store_halves",
    "tile",
    "to_bits",
    "total",
    "total_everywhere",
    "totals",
    "transpose",
    "whole_power",
    "widen",
    "with_lanes",
]
