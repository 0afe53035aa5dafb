"""Which path a call takes: every threshold, every choice, and the bench that measured it.

A choice is a function of the network, its dtype, the batch and the optimizer alone, never of how many threads or
members there are, so that the same call gives the same bits. `fastnn.explain` puts these choices into words.
"""

from __future__ import annotations

import os
from functools import lru_cache

import numpy as np

from fastnn.kernels.simd.registers import REGISTER_BYTES, REGISTER_FILE
from fastnn.settings.spec import Layer, NetworkSpec

#: Networks of at most this many parameters are trained with samples in lanes, in batches of at most this many
#: vectors of rows: within these bounds a step takes a tenth to two fifths of the tiles' time
#: (``pytest bench/bench_paths.py -s``). In longer batches it takes a sixth to two thirds, which is seldom worth the
#: wait for one more kernel to be compiled: users can ask for it (`specialize`).
TINY_PARAMS, TINY_ROW_VECTORS = 40, 4

#: A network of more parameters than this is trained by itself: one in every lane would outgrow the nearest caches.
#: ``pytest bench/bench_lanes.py`` measures it: with AVX-512 a step in lanes took 1/3.2 to 1/1.2 of the time up to 3,200
#: parameters, whatever the dtype and the batch; from 4,800 on the two are even where batches are long.
MEMBER_PARAMS = 4000

#: From this many parameters on, in batches of `MANY_ROWS` or more, products pack their operands and fetch ahead
#: (``pytest bench/bench_kernels.py -k layer``).
LARGE_PARAMS = 2**12

#: A product of at least this many rows first packs each panel of its other operand, if the stride of its rows is
#: critical (`fastnn.kernels.tiles.dense.CRITICAL_STRIDE`).
MANY_ROWS = 64

#: Least bytes of a layer's weights, and of one of their rows, for which few samples read the weights once, in the order
#: of memory: they outgrow the first-level cache. `RegisterFile.few_rows` says how many samples are few, `few_far_rows`
#: for weights that would otherwise be fetched ahead. With AVX2, 1 to 4 rows through 512-512 took 1/3 to 3/5 of the
#: tiles' time, 8 rows more; with AVX-512 one or two rows took 1/2, three or four as much as the tiles
#: (``pytest bench/bench_kernels.py -k few``).
FEW_ROWS_BYTES, FEW_ROWS_STRIDE = 2**15, 4 * REGISTER_BYTES

#: Least bytes of a layer's weights for which fewer rows than `MANY_ROWS` fetch the next strip of them ahead, where
#: `RegisterFile.fetches_weights` says so: they outgrow the second-level cache, here of 1 MB. From 4 MB on 2 to 60 rows
#: took 1/5 to 4/5 of the time, a step of training 2/3 to all of it; from 2 MB on 3/4 to all, below that there was no
#: gain (``pytest bench/bench_kernels.py -k few``).
FAR_BYTES = 2**21

#: Rows of a batch that go through the network together: few enough for their activations to stay in the cache.
BLOCK_ROWS = 256

#: From this many parameters on, they, their gradient and the optimizer's state outgrow the nearer caches: each part is
#: updated as soon as its gradient is known (``pytest bench/bench_fit.py``).
PARAMS_BY_PARTS = 2**18

#: From this many operations a step on, about ten microseconds, two threads are faster than one: 1.2 times here, 1.4
#: times at 14 million, twice at a billion. What one thread updates, the other has to fetch.
WORTH_SHARING = 3_000_000

#: Inside compiled code a batch goes through a network several samples at once if its weights have more bytes than this;
#: smaller weights are fetched fast enough sample by sample (``pytest bench/bench_embed.py``).
POINT_BYTES = 24 * 1024

#: Least bytes of a layer's weights that one sample in compiled code reads row by row, as far as
#: `RegisterFile.streamed_terms` allows, and for which many samples of a batch share tiles, if `RegisterFile.batch_rows`
#: does. With AVX2, one sample through layers of 64 KB took 1.1 times as long as down the columns, of 128 KB to 2 MB 0.7
#: to 0.9, of more 0.4 to 0.8; 1,000 samples through layers of 64 KB 1.2 times as long as a few at once, of 128 KB 0.8,
#: of 1 MB 0.6 and beyond that 1/3 to 1/4 (``pytest bench/bench_embed.py -k "alone or batch"``). With AVX-512, one
#: sample took as long through layers of up to 512 KB, of 1 MB 0.95, of 4 MB 0.9 of the time; its jvp 1.2 to 1.7.
LARGE_LAYER_BYTES = 96 * 1024


@lru_cache
def lanes_for(batch_size: int, dtype: str) -> int:
    """Lanes of a vector of samples: two registers at most, and no more than a batch fills."""
    register = REGISTER_BYTES // np.dtype(dtype).itemsize
    return min(2 * register, max(register // 2, 1 << (batch_size - 1).bit_length()))


def row_vectors(batch_size: int, dtype: str) -> int:
    """Vectors that the samples of a batch take, one in each lane."""
    return -(-batch_size // lanes_for(batch_size, dtype))


def samples_in_lanes(spec: NetworkSpec, batch_size: int) -> bool:
    """Whether one network is trained faster with samples in lanes: if it is tiny and its batches short."""
    return spec.n_params <= TINY_PARAMS and row_vectors(batch_size, spec.dtype) <= TINY_ROW_VECTORS


def members_in_lanes(spec: NetworkSpec) -> bool:
    """Whether many networks of a spec are trained faster with one in each lane."""
    return spec.n_params <= MEMBER_PARAMS


def fetches_ahead(batch_size: int, n_params: int) -> bool:
    """Whether products pack and fetch ahead."""
    return batch_size >= MANY_ROWS and n_params >= LARGE_PARAMS


def _weight_bytes(layer: Layer, dtype: str) -> int:
    return layer.n_in * layer.n_out * np.dtype(dtype).itemsize


def fetches_weights(layer: Layer, dtype: str, batch_size: int) -> bool:
    """Whether few samples fetch a layer's weights ahead; one alone only from twice as many bytes on."""
    least = FAR_BYTES if batch_size > 1 else 2 * FAR_BYTES
    large = _weight_bytes(layer, dtype) >= least
    return REGISTER_FILE.fetches_weights and large and batch_size < MANY_ROWS


def reads_weights_once(layer: Layer, dtype: str, batch_size: int) -> bool:
    """Whether a layer's weights are read row by row, for few samples."""
    stride = layer.n_out * np.dtype(dtype).itemsize
    few = REGISTER_FILE.few_far_rows if fetches_weights(layer, dtype, batch_size) else REGISTER_FILE.few_rows
    return batch_size <= few and stride >= FEW_ROWS_STRIDE and _weight_bytes(layer, dtype) >= FEW_ROWS_BYTES


def updates_by_parts(n_params: int, batch_size: int) -> bool:
    """Whether each part of the parameters is updated as soon as its gradient is known: that of one block of rows."""
    return n_params >= PARAMS_BY_PARTS and batch_size <= BLOCK_ROWS


def rows_at_once(spec: NetworkSpec) -> bool:
    """Whether compiled code takes several samples of a batch at once."""
    return spec.n_params * np.dtype(spec.dtype).itemsize > POINT_BYTES


def _is_large(layer: Layer, dtype: str) -> bool:
    return _weight_bytes(layer, dtype) >= LARGE_LAYER_BYTES


def streams_weights(layer: Layer, dtype: str, terms: int) -> bool:
    """Whether one sample in compiled code, or this many terms of a series, read a layer's weights row by row."""
    return terms <= REGISTER_FILE.streamed_terms and _is_large(layer, dtype)


def shares_tiles(layer: Layer, dtype: str) -> bool:
    """Whether the samples of a batch in compiled code go through a layer's weights by tiles."""
    return REGISTER_FILE.batch_rows > 0 and _is_large(layer, dtype)


def batch_in_tiles(spec: NetworkSpec) -> bool:
    """Whether more samples of a batch in compiled code go through a network together than `RegisterFile.samples`."""
    return any(shares_tiles(layer, spec.dtype) for layer in spec.layers)


def threads_for(threads: int, batch_size: int, n_params: int) -> int:
    """How many threads share a step: one, unless it takes long enough; never more than there are processors."""
    operations = 6 * batch_size * n_params + 20 * n_params
    return min(threads, _processors()) if operations > WORTH_SHARING else 1


@lru_cache
def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
