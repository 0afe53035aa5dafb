"""The Numba types of the kernels: a SIMD vector, a pointer into an array, a tile of registers."""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import models, register_model

from fastnn.kernels.simd.registers import REGISTER_BYTES


class Vector(types.Type):
    """`lanes` numbers of one dtype, side by side in a register; a comparison gives booleans."""

    def __init__(self, dtype: types.Type, lanes: int):
        self.dtype, self.lanes = dtype, lanes
        super().__init__(f"Vector({dtype}, {lanes})")


class Pointer(types.Type):
    """A place in an array of `dtype`, and how many lanes a load from it takes.

    Nothing checks its bounds.
    """

    def __init__(self, dtype: types.Type, lanes: int):
        self.dtype, self.lanes = dtype, lanes
        super().__init__(f"Pointer({dtype}, {lanes})")

    @property
    def vector(self) -> Vector:
        """What a load gives."""
        return Vector(self.dtype, self.lanes)


class Tile(types.Type):
    """A block of ``rows x columns`` vectors, for the compiler to keep in registers."""

    def __init__(self, vector: Vector, rows: int, columns: int):
        self.vector, self.rows, self.columns = vector, rows, columns
        super().__init__(f"Tile({vector}, {rows}, {columns})")


def llvm_number(dtype: types.Type) -> ir.Type:
    """The LLVM type of one number."""
    if dtype == types.float32:
        return ir.FloatType()
    if dtype == types.float64:
        return ir.DoubleType()
    return ir.IntType(1 if dtype == types.boolean else dtype.bitwidth)


def llvm_vector(vector: Vector) -> ir.VectorType:
    """The LLVM type of a vector."""
    return ir.VectorType(llvm_number(vector.dtype), vector.lanes)


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, dmm, fe_type):
        super().__init__(dmm, fe_type, llvm_vector(fe_type))


@register_model(Pointer)
class _PointerModel(models.PrimitiveModel):
    def __init__(self, dmm, fe_type):
        super().__init__(dmm, fe_type, llvm_number(fe_type.dtype).as_pointer())


@register_model(Tile)
class _TileModel(models.PrimitiveModel):
    def __init__(self, dmm, fe_type):
        super().__init__(dmm, fe_type, llvm_vector(fe_type.vector).as_pointer())


def native_lanes(dtype: types.Type) -> int:
    """How many numbers of `dtype` fill one register."""
    return REGISTER_BYTES * 8 // dtype.bitwidth


def number_type(dtype: str) -> types.Float:
    """The Numba type of a network's numbers, float32 or float64."""
    return types.float32 if dtype == "float32" else types.float64


def pointer_type(dtype: str) -> Pointer:
    """The Numba type of a pointer to such numbers, whose loads fill one register."""
    number = number_type(dtype)
    return Pointer(number, native_lanes(number))
