"""Room on the stack, which the compiler keeps in registers where it knows the places: ``block[i, j]`` is a vector."""

from __future__ import annotations

import operator

from llvmlite import ir
from numba import types
from numba.extending import intrinsic, lower_builtin

from fastnn.kernels.jit.lowering import cgutils
from fastnn.kernels.simd.build import INT32, at_place, shuffle
from fastnn.kernels.simd.types import Pointer, Tile, Vector, llvm_vector


def _room(builder, vector, count):
    """Room for `count` vectors, taken once when the function begins."""
    with builder.goto_entry_block():
        return builder.alloca(llvm_vector(vector), size=count)


def place_on_stack(context, builder, place, count):
    """Room on the stack for `count` vectors, as a pointer of the type `place`.

    It belongs to the function that is being compiled, and is freed when that returns: a piece must not return it, even
    though it is compiled into its caller.
    """
    return builder.bitcast(_room(builder, place.vector, max(1, count)), context.get_value_type(place))


@intrinsic(prefer_literal=True)
def tile(typingctx, like, rows, columns):
    """A block of ``rows x columns`` vectors (literals) of the length of `like`; its contents are undefined.

    It lies on the stack, and in registers once the loops over it are unrolled.
    """
    if not (isinstance(rows, types.IntegerLiteral) and isinstance(columns, types.IntegerLiteral)):
        return None
    block = Tile(Vector(like.dtype, like.lanes), rows.literal_value, columns.literal_value)

    def codegen(context, builder, sig, args):
        return _room(builder, block.vector, block.rows * block.columns)

    return block(like, rows, columns), codegen


@intrinsic(prefer_literal=True)
def scratch(typingctx, like, count):
    """Pointer to room on the stack for `count` vectors (a literal) of the length of `like`; its contents are undefined.

    What is read and written at places known to the compiler it keeps in registers.
    """
    if not isinstance(count, types.IntegerLiteral):
        return None
    place = Pointer(like.dtype, like.lanes)

    def codegen(context, builder, sig, args):
        return place_on_stack(context, builder, place, count.literal_value)

    return place(like, count), codegen


# ---------------------------------------------------------------- block[i, j]
_PAIR = types.UniTuple(types.intp, 2)
at_place(operator.getitem, Tile, types.BaseTuple, lambda block: block.vector(block, _PAIR))
at_place(operator.setitem, Tile, types.BaseTuple, lambda block: types.none(block, _PAIR, block.vector))


def _element(builder, block, value, index):
    i, j = cgutils.unpack_tuple(builder, index)
    return builder.gep(value, [builder.add(builder.mul(i, ir.Constant(i.type, block.columns)), j)])


@lower_builtin(operator.getitem, Tile, types.BaseTuple)
def _get(context, builder, sig, args):
    return builder.load(_element(builder, sig.args[0], args[0], args[1]))


@lower_builtin(operator.setitem, Tile, types.BaseTuple, types.Any)
def _set(context, builder, sig, args):
    builder.store(args[2], _element(builder, sig.args[0], args[0], args[1]))


# ---------------------------------------------------------------- a tile as a square of numbers
@intrinsic
def transpose(typingctx, square):
    """Transpose a tile of one column with as many rows as lanes: lane j of row i swaps places with lane i of row j."""
    n = square.vector.lanes

    def codegen(context, builder, sig, args):
        places = [builder.gep(args[0], [ir.Constant(INT32, i)]) for i in range(n)]
        rows = [builder.load(place) for place in places]
        quads = n >= 4 and square.vector.dtype.bitwidth == 32
        half = n // 2
        while half > (2 if quads else 0):
            rows = _exchange(builder, rows, half, half)
            half //= 2
        if quads:
            rows = _turn_quads(builder, rows)
        for row, place in zip(rows, places, strict=True):
            builder.store(row, place)
        return context.get_dummy_value()

    return types.void(square), codegen


def _exchange(builder, rows, half, distance):
    """Exchange blocks of `half` lanes: the second of each row, and the first of the row `distance` rows below it."""
    n, result = len(rows), list(rows)
    first = [lane + n - half if lane & half else lane for lane in range(n)]
    second = [lane + n if lane & half else lane + half for lane in range(n)]
    for i in range(n):
        if not i & distance:
            pair = rows[i], rows[i + distance]
            result[i], result[i + distance] = (shuffle(builder, *pair, lanes) for lanes in (first, second))
    return result


def _turn_quads(builder, rows):
    """Transpose each square of four lanes and rows, by shuffles that x86 does to 16 bytes in one instruction each."""
    n, result = len(rows), []
    pairs = _exchange(builder, rows, 2, 1)  # a0 a1 b0 b1, a2 a3 b2 b3, c0 c1 d0 d1, c2 c3 d2 d3
    even = [part + lane for part in range(0, n, 4) for lane in (0, 2, n, n + 2)]
    for i in range(0, n, 4):
        for k in (0, 1):
            upper, lower = pairs[i + k], pairs[i + k + 2]
            result += [shuffle(builder, upper, lower, [lane + odd for lane in even]) for odd in (0, 1)]
    return result
