"""SIMD vectors for kernels: what arrays of numbers in a register can do, one LLVM instruction each.

Inside ``@njit`` a kernel reads and writes vectors through pointers and writes arithmetic as usual:

    p = pointer(array, offset)       # where to read; nothing checks the bounds
    x = load(p)                      # lanes(p) numbers from there on
    y = load_first(p + n, count)     # the first `count` of them, zeros in the other lanes
    store(p, fma(x, 2.0, y))         # a number beside a vector stands for itself in every lane

``+ - * /``, unary ``-``, comparisons and ``& | ~ << >>`` act lane by lane. A comparison gives a mask
for `select`. With one lane a vector is a plain number, so what is written for vectors serves both.
"""

from __future__ import annotations

import operator

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.imputils import lower_builtin, lower_cast
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic

from fastnn.kernels.llvm.types import Pointer, Tile, Vector, llvm_vector, native_lanes

_INT32 = ir.IntType(32)


def splat(builder, number, lanes):
    """The vector that holds `number` in every lane."""
    vector = ir.VectorType(number.type, lanes)
    undefined = ir.Constant(vector, ir.Undefined)
    first = builder.insert_element(undefined, number, ir.Constant(_INT32, 0))
    return builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(_INT32, lanes), [0] * lanes))


@lower_cast(types.Number, Vector)
def _number_to_vector(context, builder, from_type, to_type, value):
    return splat(builder, context.cast(builder, value, from_type, to_type.dtype), to_type.lanes)


# ---------------------------------------------------------------- operators
_ARITHMETIC = {  # operator: builder's method for floats, for integers and masks
    operator.add: ("fadd", "add"),
    operator.sub: ("fsub", "sub"),
    operator.mul: ("fmul", "mul"),
    operator.truediv: ("fdiv", None),
    operator.and_: (None, "and_"),
    operator.or_: (None, "or_"),
    operator.lshift: (None, "shl"),
    operator.rshift: (None, "ashr"),
}
_COMPARISON = {
    operator.lt: "<",
    operator.le: "<=",
    operator.gt: ">",
    operator.ge: ">=",
    operator.eq: "==",
    operator.ne: "!=",
}


def _operand_type(args):
    """The vector type of a binary operation: both the same, or a vector beside a number."""
    vectors = {arg for arg in args if isinstance(arg, Vector)}
    if len(vectors) == 1 and all(isinstance(arg, (Vector, types.Number)) for arg in args):
        return vectors.pop()
    return None


def _binary(op):
    @infer_global(op)
    class Binary(AbstractTemplate):
        def generic(self, args, kws):
            vector = _operand_type(args) if len(args) == 2 else None
            if vector is None:
                return None
            result = Vector(types.boolean, vector.lanes) if op in _COMPARISON else vector
            return signature(result, vector, vector)

    @lower_builtin(op, Vector, Vector)
    def lower(context, builder, sig, args):
        is_float = isinstance(sig.args[0].dtype, types.Float)
        if op not in _COMPARISON:
            return getattr(builder, str(_ARITHMETIC[op][0 if is_float else 1]))(*args)
        if not is_float:
            return builder.icmp_signed(_COMPARISON[op], *args)
        # NaN compares unequal to everything, itself included.
        compare = builder.fcmp_unordered if op is operator.ne else builder.fcmp_ordered
        return compare(_COMPARISON[op], *args)


def _unary(op, build):
    @infer_global(op)
    class Unary(AbstractTemplate):
        def generic(self, args, kws):
            if len(args) == 1 and isinstance(args[0], Vector):
                return signature(args[0], args[0])
            return None

    @lower_builtin(op, Vector)
    def lower(context, builder, sig, args):
        return build(builder, args[0])


for _op in (*_ARITHMETIC, *_COMPARISON):
    _binary(_op)
_unary(operator.neg, lambda builder, x: builder.fneg(x))
_unary(operator.invert, lambda builder, x: builder.not_(x))


# ---------------------------------------------------------------- pointers and memory
@intrinsic
def pointer(typingctx, array, offset):
    """Pointer to element `offset` of a contiguous array, whose loads fill one native register."""
    place = Pointer(array.dtype, native_lanes(array.dtype))

    def codegen(context, builder, sig, args):
        data = context.make_array(sig.args[0])(context, builder, args[0]).data
        return builder.gep(data, [args[1]])

    return place(array, types.intp), codegen


@intrinsic
def pointer_at(typingctx, address, like):
    """Pointer to an address, with the dtype of an array or a pointer `like`, or of a NumPy type such as np.int64."""
    place = Pointer(like.dtype, native_lanes(like.dtype))

    def codegen(context, builder, sig, args):
        return builder.inttoptr(args[0], context.get_value_type(place))

    return place(types.intp, like), codegen


@intrinsic(prefer_literal=True)
def with_lanes(typingctx, place, count):
    """The same pointer, but each load takes `count` lanes, a literal."""
    if not isinstance(count, types.IntegerLiteral):
        return None
    return Pointer(place.dtype, count.literal_value)(place, count), lambda context, builder, sig, args: args[0]


@intrinsic
def lanes(typingctx, x):
    """How many lanes a vector has, or a load from a pointer takes."""
    return types.literal(x.lanes)(x), lambda context, builder, sig, args: ir.Constant(ir.IntType(64), x.lanes)


@infer_global(operator.add)
class _PointerAdd(AbstractTemplate):
    def generic(self, args, kws):
        if len(args) == 2 and isinstance(args[0], Pointer) and isinstance(args[1], types.Integer):
            return signature(args[0], args[0], types.intp)
        return None


@infer_global(operator.getitem)
class _PointerGet(AbstractTemplate):
    def generic(self, args, kws):
        if isinstance(args[0], Pointer) and isinstance(args[1], types.Integer):
            return signature(args[0].dtype, args[0], types.intp)
        return None


@infer_global(operator.setitem)
class _PointerSet(AbstractTemplate):
    def generic(self, args, kws):
        if isinstance(args[0], Pointer) and isinstance(args[1], types.Integer):
            return signature(types.none, args[0], types.intp, args[0].dtype)
        return None


@lower_builtin(operator.add, Pointer, types.Integer)
def _pointer_add(context, builder, sig, args):
    return builder.gep(args[0], [args[1]])


@lower_builtin(operator.getitem, Pointer, types.Integer)
def _pointer_get(context, builder, sig, args):
    return builder.load(builder.gep(args[0], [args[1]]))


@lower_builtin(operator.setitem, Pointer, types.Integer, types.Any)
def _pointer_set(context, builder, sig, args):
    builder.store(args[2], builder.gep(args[0], [args[1]]))


def _declare(builder, name, result, arguments):
    """An LLVM intrinsic."""
    return cgutils.get_or_insert_function(builder.module, ir.FunctionType(result, arguments), name)


def _as_vector_pointer(builder, value, vector):
    return builder.bitcast(value, llvm_vector(vector).as_pointer())


def _alignment(vector):
    return max(1, vector.dtype.bitwidth // 8)


@intrinsic
def load(typingctx, place):
    """The numbers from a pointer on."""
    vector = place.vector

    def codegen(context, builder, sig, args):
        return builder.load(_as_vector_pointer(builder, args[0], vector), align=_alignment(vector))

    return vector(place), codegen


@intrinsic
def store(typingctx, place, x):
    """Write the numbers of a vector from a pointer on."""

    def codegen(context, builder, sig, args):
        builder.store(args[1], _as_vector_pointer(builder, args[0], place.vector), align=_alignment(place))

    return types.void(place, place.vector), codegen


def _first_lanes(builder, count, n):
    """Mask of the first `count` of `n` lanes."""
    all_lanes = ir.Constant(count.type, n)
    some = builder.select(builder.icmp_signed("<", count, all_lanes), count, all_lanes)
    index = ir.Constant(ir.VectorType(_INT32, n), list(range(n)))
    return builder.icmp_signed("<", index, splat(builder, builder.trunc(some, _INT32), n))


@intrinsic
def load_first(typingctx, place, count):
    """The first `count` numbers from a pointer on, zeros in the other lanes, whose memory is not touched."""
    vector = place.vector

    def codegen(context, builder, sig, args):
        llvm_type = llvm_vector(vector)
        mask = _first_lanes(builder, args[1], vector.lanes)
        arguments = [llvm_type.as_pointer(), _INT32, mask.type, llvm_type]
        function = _declare(builder, f"llvm.masked.load.{_suffix(vector)}.p0", llvm_type, arguments)
        alignment = ir.Constant(_INT32, _alignment(vector))
        zeros = ir.Constant(llvm_type, None)
        return builder.call(function, [_as_vector_pointer(builder, args[0], vector), alignment, mask, zeros])

    return vector(place, types.intp), codegen


@intrinsic
def store_first(typingctx, place, x, count):
    """Write the first `count` numbers of a vector from a pointer on; other memory is not touched."""
    vector = place.vector

    def codegen(context, builder, sig, args):
        llvm_type = llvm_vector(vector)
        mask = _first_lanes(builder, args[2], vector.lanes)
        arguments = [llvm_type, llvm_type.as_pointer(), _INT32, mask.type]
        function = _declare(builder, f"llvm.masked.store.{_suffix(vector)}.p0", ir.VoidType(), arguments)
        alignment = ir.Constant(_INT32, _alignment(vector))
        builder.call(function, [args[1], _as_vector_pointer(builder, args[0], vector), alignment, mask])
        return context.get_dummy_value()

    return types.void(place, vector, types.intp), codegen


@intrinsic
def first_lanes(typingctx, count, like):
    """The mask that holds in the first `count` lanes of as many as `like` has."""
    mask = Vector(types.boolean, like.lanes)
    return mask(types.intp, like), lambda context, builder, sig, args: _first_lanes(builder, args[0], mask.lanes)


# ---------------------------------------------------------------- lane by lane
def _suffix(vector):
    kind = "f" if isinstance(vector.dtype, types.Float) else "i"
    return f"v{vector.lanes}{kind}{vector.dtype.bitwidth}"


def _llvm_intrinsic(name, n_args):
    """Code generator of ``llvm.<name>`` on `n_args` vectors of one type."""

    def codegen(context, builder, sig, args):
        vector = llvm_vector(sig.args[0])
        function = _declare(builder, f"llvm.{name}.{_suffix(sig.args[0])}", vector, [vector] * n_args)
        return builder.call(function, args)

    return codegen


@intrinsic
def broadcast(typingctx, number, like):
    """The vector that holds `number` in every lane: as long as a vector, or a load from a pointer, `like`."""
    vector = Vector(like.dtype, like.lanes)
    return vector(vector.dtype, like), lambda context, builder, sig, args: splat(builder, args[0], vector.lanes)


@intrinsic
def lift(typingctx, number):
    """A number as a vector of one lane."""
    dtype = types.unliteral(number)
    return Vector(dtype, 1)(dtype), lambda context, builder, sig, args: splat(builder, args[0], 1)


@intrinsic
def first(typingctx, x):
    """The number in the first lane."""
    return x.dtype(x), lambda context, builder, sig, args: builder.extract_element(args[0], ir.Constant(_INT32, 0))


@intrinsic
def fma(typingctx, x, y, z):
    """``x * y + z``, with one rounding where the processor can (LLVM's fmuladd)."""
    vector = next(arg for arg in (x, y, z) if isinstance(arg, Vector))
    return vector(vector, vector, vector), _llvm_intrinsic("fmuladd", 3)


@intrinsic
def select(typingctx, mask, x, y):
    """`x` where the mask holds, `y` elsewhere."""
    vector = x if isinstance(x, Vector) else y
    return vector(mask, vector, vector), lambda context, builder, sig, args: builder.select(*args)


@intrinsic
def sqrt(typingctx, x):
    """Square root."""
    return x(x), _llvm_intrinsic("sqrt", 1)


@intrinsic
def absolute(typingctx, x):
    """Absolute value."""
    return x(x), _llvm_intrinsic("fabs", 1)


@intrinsic
def copysign(typingctx, x, sign):
    """The magnitude of `x` with the sign of `sign`."""
    return x(x, x), _llvm_intrinsic("copysign", 2)


@intrinsic
def rint(typingctx, x):
    """The nearest whole number, halves to even."""
    return x(x), _llvm_intrinsic("rint", 1)


# ---------------------------------------------------------------- the bits of floats
def _integers(vector):
    return Vector(types.int32 if vector.dtype.bitwidth == 32 else types.int64, vector.lanes)


def _floats(vector):
    return Vector(types.float32 if vector.dtype.bitwidth == 32 else types.float64, vector.lanes)


@intrinsic
def to_bits(typingctx, x):
    """The bit patterns of floats, as integers of the same width."""
    result = _integers(x)
    return result(x), lambda context, builder, sig, args: builder.bitcast(args[0], llvm_vector(result))


@intrinsic
def from_bits(typingctx, x):
    """The floats that have these bit patterns."""
    result = _floats(x)
    return result(x), lambda context, builder, sig, args: builder.bitcast(args[0], llvm_vector(result))


@intrinsic
def to_integer(typingctx, x):
    """Floats that are whole numbers within range, as integers of the same width."""
    result = _integers(x)
    return result(x), lambda context, builder, sig, args: builder.fptosi(args[0], llvm_vector(result))


@intrinsic
def to_float(typingctx, x):
    """Integers as floats of the same width."""
    result = _floats(x)
    return result(x), lambda context, builder, sig, args: builder.sitofp(args[0], llvm_vector(result))


# ---------------------------------------------------------------- across lanes
def _fold(builder, x, n, combine):
    """Combine all lanes pairwise, halves first: the order is written here, and so are the bits."""
    while n > 1:
        half = n // 2
        undefined = ir.Constant(x.type, ir.Undefined)
        mask = ir.VectorType(_INT32, half)
        low = builder.shuffle_vector(x, undefined, ir.Constant(mask, list(range(half))))
        high = builder.shuffle_vector(x, undefined, ir.Constant(mask, list(range(half, n))))
        x, n = combine(low, high), half
    return builder.extract_element(x, ir.Constant(_INT32, 0))


@intrinsic
def total(typingctx, x):
    """Sum over the lanes."""

    def codegen(context, builder, sig, args):
        return _fold(builder, args[0], x.lanes, builder.fadd)

    return x.dtype(x), codegen


@intrinsic
def total_everywhere(typingctx, x):
    """Sum over the lanes, in every lane; the same as `total`."""

    def codegen(context, builder, sig, args):
        sums, half = args[0], x.lanes // 2
        undefined = ir.Constant(sums.type, ir.Undefined)
        while half > 0:
            others = ir.Constant(ir.VectorType(_INT32, x.lanes), [lane ^ half for lane in range(x.lanes)])
            sums, half = builder.fadd(sums, builder.shuffle_vector(sums, undefined, others)), half // 2
        return sums

    return x(x), codegen


@intrinsic
def largest(typingctx, x):
    """Maximum over the lanes; any of the numbers where one of them is NaN."""

    def codegen(context, builder, sig, args):
        def larger(a, b):
            return builder.select(builder.fcmp_ordered(">", a, b), a, b)

        return _fold(builder, args[0], x.lanes, larger)

    return x.dtype(x), codegen


@intrinsic
def any_lane(typingctx, mask):
    """Whether a mask holds in any lane."""

    def codegen(context, builder, sig, args):
        bits = builder.bitcast(args[0], ir.IntType(mask.lanes))
        return builder.icmp_unsigned("!=", bits, ir.Constant(bits.type, 0))

    return types.boolean(mask), codegen


# ---------------------------------------------------------------- polynomials and tiles
@intrinsic
def by_dtype(typingctx, x, single, double):
    """The value for numbers of the width of `x`: `single` for 32 bits, `double` for 64; chosen at compile time."""
    position = 1 if x.dtype.bitwidth == 32 else 2
    chosen = (x, single, double)[position]
    return chosen(x, single, double), lambda context, builder, sig, args: args[position]


@intrinsic
def polynomial(typingctx, x, coefficients):
    """``c[0] + c[1] x + c[2] x**2 + ...``; `coefficients` a tuple of floats.

    Neighbours are joined in pairs, then the pairs in x**2, and so on (Estrin's scheme): the chain
    of dependent operations has the length of the logarithm of the degree.
    """

    def codegen(context, builder, sig, args):
        vector = llvm_vector(x)
        fma = _declare(builder, f"llvm.fmuladd.{_suffix(x)}", vector, [vector] * 3)
        numbers = cgutils.unpack_tuple(builder, args[1])
        terms = [
            splat(builder, context.cast(builder, number, dtype, x.dtype), x.lanes)
            for number, dtype in zip(numbers, sig.args[1], strict=True)
        ]
        power = args[0]
        while len(terms) > 1:
            pairs = [builder.call(fma, [high, power, low]) for low, high in zip(terms[::2], terms[1::2], strict=False)]
            terms = pairs + terms[len(pairs) * 2 :]
            power = builder.fmul(power, power)
        return terms[0]

    return x(x, coefficients), codegen


@intrinsic(prefer_literal=True)
def tile(typingctx, like, rows, columns):
    """A block of ``rows x columns`` vectors (literals) of the length of `like`; its contents are undefined.

    It lies on the stack, and in registers once the loops over it are unrolled.
    """
    if not (isinstance(rows, types.IntegerLiteral) and isinstance(columns, types.IntegerLiteral)):
        return None
    block = Tile(Vector(like.dtype, like.lanes), rows.literal_value, columns.literal_value)

    def codegen(context, builder, sig, args):
        with builder.goto_entry_block():
            return builder.alloca(llvm_vector(block.vector), size=block.rows * block.columns)

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
        with builder.goto_entry_block():
            room = builder.alloca(llvm_vector(place.vector), size=max(1, count.literal_value))
        return builder.bitcast(room, context.get_value_type(place))

    return place(like, count), codegen


@infer_global(operator.getitem)
class _TileGet(AbstractTemplate):
    def generic(self, args, kws):
        if isinstance(args[0], Tile) and isinstance(args[1], types.BaseTuple):
            return signature(args[0].vector, args[0], types.UniTuple(types.intp, 2))
        return None


@infer_global(operator.setitem)
class _TileSet(AbstractTemplate):
    def generic(self, args, kws):
        if isinstance(args[0], Tile) and isinstance(args[1], types.BaseTuple):
            return signature(types.none, args[0], types.UniTuple(types.intp, 2), args[0].vector)
        return None


def _tile_element(builder, block, value, index):
    i, j = cgutils.unpack_tuple(builder, index)
    return builder.gep(value, [builder.add(builder.mul(i, ir.Constant(i.type, block.columns)), j)])


@lower_builtin(operator.getitem, Tile, types.BaseTuple)
def _tile_get(context, builder, sig, args):
    return builder.load(_tile_element(builder, sig.args[0], args[0], args[1]))


@lower_builtin(operator.setitem, Tile, types.BaseTuple, types.Any)
def _tile_set(context, builder, sig, args):
    builder.store(args[2], _tile_element(builder, sig.args[0], args[0], args[1]))


@intrinsic
def transpose(typingctx, square):
    """Turn a tile of one column that has as many rows as lanes: lane j of row i changes places with lane i of row j."""
    n = square.vector.lanes

    def codegen(context, builder, sig, args):
        places = [builder.gep(args[0], [ir.Constant(_INT32, i)]) for i in range(n)]
        rows = [builder.load(place) for place in places]
        half = n // 2
        while half:  # exchange blocks of `half` lanes between rows that are `half` apart
            for i in range(n):
                if i & half:
                    continue
                upper, lower = rows[i], rows[i + half]
                first = [lane + n - half if lane & half else lane for lane in range(n)]
                second = [lane + n if lane & half else lane + half for lane in range(n)]
                mask = ir.VectorType(_INT32, n)
                rows[i] = builder.shuffle_vector(upper, lower, ir.Constant(mask, first))
                rows[i + half] = builder.shuffle_vector(upper, lower, ir.Constant(mask, second))
            half //= 2
        for row, place in zip(rows, places, strict=True):
            builder.store(row, place)
        return context.get_dummy_value()

    return types.void(square), codegen
