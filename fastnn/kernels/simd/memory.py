"""Loads and stores of vectors: of all lanes, or of the first few, so that nothing beyond an array's end is touched."""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from fastnn.kernels.jit.lowering import cgutils
from fastnn.kernels.simd.build import INT32, call_intrinsic, permute, shuffle, splat
from fastnn.kernels.simd.registers import REGISTER_FILE
from fastnn.kernels.simd.types import Vector, llvm_vector


def _as_vectors(builder, place, vector):
    """The same place as a pointer to vectors; and its alignment in bytes, which is that of a number."""
    return builder.bitcast(place, llvm_vector(vector).as_pointer()), max(1, vector.dtype.bitwidth // 8)


@intrinsic
def load(typingctx, place):
    """The numbers from a pointer on."""
    vector = place.vector

    def codegen(context, builder, sig, args):
        there, alignment = _as_vectors(builder, args[0], vector)
        return builder.load(there, align=alignment)

    return vector(place), codegen


@intrinsic
def store(typingctx, place, x):
    """Write the numbers of a vector from a pointer on."""
    vector = place.vector

    def codegen(context, builder, sig, args):
        there, alignment = _as_vectors(builder, args[0], vector)
        builder.store(args[1], there, align=alignment)

    return types.void(place, vector), codegen


@intrinsic
def prefetch(typingctx, place):
    """Have a number's cache line fetched into the second-level cache; harmless even for an invalid place."""

    def codegen(context, builder, sig, args):
        line = builder.bitcast(args[0], ir.IntType(8).as_pointer())
        read, second_level, data = INT32(0), INT32(2), INT32(1)
        kind = ir.FunctionType(ir.VoidType(), [line.type, INT32, INT32, INT32])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(function, [line, read, second_level, data])
        return context.get_dummy_value()

    return types.void(place), codegen


# ---------------------------------------------------------------- two halves
def _as_halves(builder, place, vector):
    """The same place as a pointer to vectors of half as many lanes; and its alignment in bytes."""
    return _as_vectors(builder, place, Vector(vector.dtype, vector.lanes // 2))


def _join(builder, low, high):
    """The vector of two halves."""
    return shuffle(builder, low, high, list(range(2 * low.type.count)))


@intrinsic
def load_halves(typingctx, low, high):
    """A vector whose halves are the numbers from two pointers on."""
    vector = low.vector

    def codegen(context, builder, sig, args):
        places = [_as_halves(builder, place, vector) for place in args]
        return _join(builder, *(builder.load(place, align=alignment) for place, alignment in places))

    return vector(low, high), codegen


@intrinsic
def store_halves(typingctx, low, high, x):
    """Write the halves of a vector from two pointers on."""
    vector = low.vector

    def codegen(context, builder, sig, args):
        half = vector.lanes // 2
        for place, start in zip(args[:2], (0, half), strict=True):
            there, alignment = _as_halves(builder, place, vector)
            builder.store(permute(builder, args[2], list(range(start, start + half))), there, align=alignment)
        return context.get_dummy_value()

    return types.void(low, high, vector), codegen


# ---------------------------------------------------------------- the first few lanes
def _mask_of_first(builder, count, n):
    """Mask of the first `count` of `n` lanes."""
    all_lanes = ir.Constant(count.type, n)
    some = builder.select(builder.icmp_signed("<", count, all_lanes), count, all_lanes)
    index = ir.Constant(ir.VectorType(INT32, n), list(range(n)))
    return builder.icmp_signed("<", index, splat(builder, builder.trunc(some, INT32), n))


@intrinsic
def first_lanes(typingctx, count, like):
    """The mask that holds in the first `count` lanes of as many as `like` has."""
    mask = Vector(types.boolean, like.lanes)
    return mask(types.intp, like), lambda context, builder, sig, args: _mask_of_first(builder, args[0], mask.lanes)


def _is_whole(builder, count, vector):
    """Whether all lanes are asked for: where masks are slow, they are used for the few vectors that need one."""
    return builder.icmp_signed(">=", count, ir.Constant(count.type, vector.lanes))


@intrinsic
def load_first(typingctx, place, count):
    """The first `count` numbers from a pointer on, zeros in the other lanes, whose memory is not touched."""
    vector = place.vector

    def part(builder, there, alignment, count):
        mask, zeros = _mask_of_first(builder, count, vector.lanes), ir.Constant(llvm_vector(vector), None)
        arguments = [there, ir.Constant(INT32, alignment), mask, zeros]
        return call_intrinsic(builder, "masked.load", vector, zeros.type, arguments, ".p0")

    def codegen(context, builder, sig, args):
        there, alignment = _as_vectors(builder, args[0], vector)
        if "loads" in REGISTER_FILE.masks:
            return part(builder, there, alignment, args[1])
        with builder.if_else(_is_whole(builder, args[1], vector)) as (then, otherwise):
            with then:
                all_numbers, from_all = builder.load(there, align=alignment), builder.block
            with otherwise:
                first_numbers = part(builder, there, alignment, args[1])
                from_first = builder.block
        numbers = builder.phi(all_numbers.type)
        numbers.add_incoming(all_numbers, from_all)
        numbers.add_incoming(first_numbers, from_first)
        return numbers

    return vector(place, types.intp), codegen


@intrinsic
def store_first(typingctx, place, x, count):
    """Write the first `count` numbers of a vector from a pointer on; other memory is not touched."""
    vector = place.vector

    def part(builder, there, alignment, x, count):
        mask = _mask_of_first(builder, count, vector.lanes)
        arguments = [x, there, ir.Constant(INT32, alignment), mask]
        call_intrinsic(builder, "masked.store", vector, ir.VoidType(), arguments, ".p0")

    def codegen(context, builder, sig, args):
        there, alignment = _as_vectors(builder, args[0], vector)
        if "stores" in REGISTER_FILE.masks:
            part(builder, there, alignment, *args[1:])
            return context.get_dummy_value()
        with builder.if_else(_is_whole(builder, args[2], vector)) as (then, otherwise):
            with then:
                builder.store(args[1], there, align=alignment)
            with otherwise:
                part(builder, there, alignment, *args[1:])
        return context.get_dummy_value()

    return types.void(place, vector, types.intp), codegen
