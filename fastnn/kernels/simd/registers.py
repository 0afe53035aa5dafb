"""The vector registers that kernels are compiled for, and whatever is chosen by them: one row a kind of processor.

A choice is measured on a machine of that kind, by the bench that its comment names, and holds for that row alone.
"""

from __future__ import annotations

from typing import NamedTuple

import llvmlite.binding as llvm
from numba.core import config


class RegisterFile(NamedTuple):
    """Vector registers, and the shapes of kernels that fit them."""

    bytes: int  # of a register
    number: int  # of registers
    masks: str  # which of "loads" and "stores" of a vector's first lanes are quick
    tile: tuple[int, ...]  # rows of a tile of one vector, of two, of three (bench_kernels.py -k product)
    samples: int  # at once with four vectors of features each (bench_embed.py)
    horner: bool  # polynomials term by term, for fewer live numbers; else by pairs (bench_kernels.py -k activation)
    few_rows: int  # most rows for which large weights are read row by row (bench_kernels.py -k few)
    members: int  # registers that hold a number of each member of a block (bench_many.py)
    jacobian_rows: int = 256  # at most of a block of a Jacobian (bench_least_squares.py -k normal)
    together: bool = False  # a tiny network's parameters are, several to a register; else each has one (bench_paths.py)
    depth: int = 400  # of the parts in which deeper products are summed (bench_kernels.py -k product)
    chunk: int = 6400  # vectors of the left operand that are multiplied by all of the right one at once (likewise)
    packs_rows: bool = False  # of the left operand of large gradients (likewise)
    fetches_weights: bool = False  # of large layers, for few rows (bench_kernels.py -k few)
    few_far_rows: int = 1  # for which such weights, and any of a batch in tiles, are read row by row instead (likewise)
    fetches_sums: bool = False  # of the next tile of large products (likewise)
    features: int = 4  # vectors of features of one sample that are summed at once (bench_embed.py)
    streams: int = 0  # terms of a series at most, the value first, that read large weights row by row (-k alone)
    batch_rows: int = 0  # samples of a batch in compiled code that share tiles; 0 for none (bench_embed.py -k batch)
    estimates_reciprocals: bool = False  # instead of dividing, in the optimizers (bench_kernels.py -k optimizer)


REGISTER_FILES = {
    "avx512": RegisterFile(
        64,
        32,
        "loads and stores",
        tile=(16, 8, 8),
        samples=4,
        horner=False,
        few_rows=1,
        members=2,
        together=True,
        fetches_weights=True,
        features=8,
        streams=1,
        estimates_reciprocals=True,
    ),
    "avx": RegisterFile(
        32,
        16,
        "loads",
        tile=(12, 6, 4),
        samples=2,
        horner=True,
        few_rows=4,
        members=1,
        jacobian_rows=96,
        together=True,
        depth=264,
        chunk=4356,
        packs_rows=True,
        fetches_weights=True,
        few_far_rows=2,
        fetches_sums=True,
        features=8,
        streams=3,
        batch_rows=36,
    ),
    "neon": RegisterFile(16, 32, "", tile=(16, 8, 8), samples=4, horner=False, few_rows=0, members=2),
    "sse": RegisterFile(16, 16, "", tile=(12, 6), samples=2, horner=False, few_rows=0, members=2),
}


def _cpu_features() -> dict[str, bool]:
    """The features Numba compiles for: the host's, or those of NUMBA_CPU_FEATURES."""
    if config.CPU_FEATURES is None:
        return dict(llvm.get_host_cpu_features())
    flags = (flag.strip() for flag in config.CPU_FEATURES.split(","))
    return {flag[1:]: flag[0] == "+" for flag in flags if flag}


def kind_of(triple: str, features: dict[str, bool]) -> str:
    """The row of `REGISTER_FILES` for a processor; 64-bit ARM has NEON, whether or not it lists its features."""
    if triple.startswith(("aarch64", "arm64")):
        return "neon"
    return next((kind for kind, feature in (("avx512", "avx512f"), ("avx", "avx")) if features.get(feature)), "sse")


FEATURES = _cpu_features()
REGISTER_FILE = REGISTER_FILES[kind_of(llvm.get_process_triple(), FEATURES)]
REGISTER_BYTES = REGISTER_FILE.bytes
