"""The vector registers that kernels are compiled for, and whatever is chosen by them: one row a kind of processor.

A choice is measured on a machine of that kind, by the bench that its comment names, and holds for that row alone.
"""

from __future__ import annotations

from typing import NamedTuple

import llvmlite.binding as llvm
from numba.core import config


class RegisterFile(NamedTuple):
    """Vector registers, and the choices that suit them, each with the bench that measures it.

    Attributes
    ----------
    bytes, number : int
        Size of a register, and how many there are.
    masks : str
        Which of "loads" and "stores" of a vector's first lanes are quick.
    tile : tuple of int
        Rows of a tile that is one vector wide, two, three (bench_kernels.py -k product).
    samples : int
        Samples in compiled code that go through a layer together, each with four vectors of features (bench_embed.py).
    horner : bool
        Whether polynomials are evaluated term by term, with fewer live numbers; otherwise by pairs
        (bench_kernels.py -k activation).
    few_rows : int
        Most rows for which large weights are read row by row (bench_kernels.py -k few).
    members : int
        Registers that hold one number of each member of a block (bench_many.py).
    jacobian_rows : int
        Most rows of a block of a Jacobian (bench_least_squares.py -k normal).
    side_by_side : bool
        Whether a tiny network's parameters lie side by side, several to a register; otherwise each has a register of
        its own (bench_paths.py).
    depth : int
        Deeper products are summed in parts of this depth (bench_kernels.py -k product).
    chunk : int
        Vectors of the left operand that are multiplied by all of the right one before the next (-k product).
    packs_rows : int
        Least bytes that a large gradient's left operand spans for its rows to be packed (-k product).
    packed : int
        Vectors of it that are packed at a time, on the stack; 0 where they never are (-k product).
    fetches_weights : bool
        Whether few rows fetch the weights of large layers ahead (-k few).
    few_far_rows : int
        Most rows for which such weights, and any of a batch by tiles, are read row by row instead (-k few).
    fetches_sums : bool
        Whether large products fetch the next tile of their result ahead (-k product).
    features : int
        Vectors of features of one sample that are summed at once (bench_embed.py).
    streamed_terms : int
        Most terms of a series, the value being the first, that read large weights row by row; 0 for none
        (bench_embed.py -k alone).
    batch_rows : int
        Most samples of a batch in compiled code that share tiles; 0 for none (bench_embed.py -k batch).
    together_bytes : int
        Most bytes of the stack for samples that go through a network together (bench_embed.py -k batch).
    fetches_panels : bool
        Whether large products fetch the next panel of a right operand ahead that they do not pack (-k product).
    estimates_reciprocals : bool
        Whether optimizers multiply by estimated reciprocals instead of dividing (bench_kernels.py -k optimizer).
    """

    bytes: int
    number: int
    masks: str
    tile: tuple[int, ...]
    samples: int
    horner: bool
    few_rows: int
    members: int
    jacobian_rows: int = 256
    side_by_side: bool = False
    depth: int = 400
    chunk: int = 6400
    packs_rows: int = 0
    packed: int = 0
    fetches_weights: bool = False
    few_far_rows: int = 1
    fetches_sums: bool = False
    features: int = 4
    streamed_terms: int = 0
    batch_rows: int = 0
    together_bytes: int = 128 * 1024
    fetches_panels: bool = False
    estimates_reciprocals: bool = False


#: AVX-512 as AMD has it, which multiplies half a register at a time (Zen 4).
_AVX512_AMD = RegisterFile(
    64,
    32,
    "loads and stores",
    tile=(8, 8, 8),
    samples=4,
    horner=False,
    few_rows=2,
    members=2,
    side_by_side=True,
    fetches_weights=True,
    few_far_rows=2,
    features=8,
    streamed_terms=1,
    fetches_panels=True,
    estimates_reciprocals=True,
)

REGISTER_FILES = {
    # Two whole registers are multiplied in a cycle, so that more waits for the caches (Intel's Emerald Rapids).
    "avx512": _AVX512_AMD._replace(
        jacobian_rows=64,
        depth=264,
        chunk=8448,
        packs_rows=2**19,
        packed=3072,
        fetches_sums=True,
        batch_rows=64,
        together_bytes=256 * 1024,
    ),
    "avx512_amd": _AVX512_AMD,
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
        side_by_side=True,
        depth=264,
        chunk=4356,
        packed=4356,
        fetches_weights=True,
        few_far_rows=2,
        fetches_sums=True,
        features=8,
        streamed_terms=3,
        batch_rows=36,
    ),
    "neon": RegisterFile(16, 32, "", tile=(16, 8, 8), samples=4, horner=False, few_rows=0, members=2),
    "sse": RegisterFile(16, 16, "", tile=(12, 6), samples=2, horner=False, few_rows=0, members=2),
}


def _cpu_features() -> dict[str, bool]:
    """The features Numba compiles for: those of NUMBA_CPU_FEATURES, or the host's, if need be without AVX."""
    if config.CPU_FEATURES is None:
        features = dict(llvm.get_host_cpu_features())
        return {name: has and (config.ENABLE_AVX or not name.startswith("avx")) for name, has in features.items()}
    flags = (flag.strip() for flag in config.CPU_FEATURES.split(","))
    return {flag[1:]: flag[0] == "+" for flag in flags if flag}


def kind_of(triple: str, features: dict[str, bool]) -> str:
    """The row of `REGISTER_FILES` for a processor.

    64-bit ARM has NEON, whether or not it lists its features. Of x86, AMD's processors alone have SSE4a.
    """
    if triple.startswith(("aarch64", "arm64")):
        return "neon"
    if features.get("avx512f"):
        return "avx512_amd" if features.get("sse4a") else "avx512"
    return "avx" if features.get("avx") else "sse"


FEATURES = _cpu_features()
KIND = kind_of(llvm.get_process_triple(), FEATURES)
REGISTER_FILE = REGISTER_FILES[KIND]
REGISTER_BYTES = REGISTER_FILE.bytes

#: Whether the processor's products and sums can be fused, with one rounding.
FUSES = KIND == "neon" or any(FEATURES.get(feature) for feature in ("fma", "fma4", "avx512f"))
