"""Regularisers that draw random numbers: dropout and Gaussian noise on the inputs, the same as the reference's."""

from __future__ import annotations

import numpy as np

from fastnn.jobs.random_bits import RANGE
from fastnn.kernels.functions.random import bits, key, subkey
from fastnn.kernels.jit.compiling import callee, inlined
from fastnn.kernels.simd import pointer_at
from fastnn.kernels.simd.threads import meet, own_part
from fastnn.kernels.tiles.dense import TILE_ROWS
from fastnn.kernels.tiles.layers import COLUMNS, DROP, FACTORS, N_IN, N_OUT, STRIDE, THRESHOLD


@inlined
def gaussian(k, i):
    """The i-th number of a stream's normal distribution (Box and Muller, 1958)."""
    radius = np.sqrt(-2.0 * np.log((np.float64(bits(k, 2 * i)) + 1.0) / RANGE))
    return radius * np.cos(2.0 * np.pi / RANGE * np.float64(bits(k, 2 * i + 1)))


@callee
def draw(job, step, start, n, work, team):
    """Factors of dropout, and noise added to the inputs, for rows ``start : start + n`` of the batch of a step."""
    k, layers = key(job.noise_seed, job.noise_member, step), pointer_at(job.layers, np.int64)
    first, stop = own_part(n, TILE_ROWS, team)
    if job.input_noise > 0.0:
        stream, n_in, x = subkey(k, 0), layers[N_IN], work + job.x_place
        for r in range(first, stop):
            for j in range(n_in):
                noise = job.input_noise * gaussian(stream, (start + r) * n_in + j)
                x[r * job.x_stride + j] = x[r * job.x_stride + j] + noise
    for l in range(job.n_layers):
        layer = layers + l * COLUMNS
        if layer[DROP] != 0:
            stream, n_out, zero_below = subkey(k, l + 1), layer[N_OUT], np.uint64(layer[THRESHOLD])
            factor = RANGE / (RANGE - np.float64(layer[THRESHOLD]))
            for r in range(first, stop):
                factors = work + (layer[FACTORS] + r * layer[STRIDE])
                for j in range(n_out):
                    factors[j] = factor if bits(stream, (start + r) * n_out + j) >= zero_below else 0.0
    meet(team)


@callee
def draw_nothing(job, n, work):
    """Factors of dropout that leave `n` rows as they are, for validation."""
    for l in range(job.n_layers):
        layer = pointer_at(job.layers, np.int64) + l * COLUMNS
        if layer[DROP] != 0:
            factors = work + layer[FACTORS]
            for i in range(n * layer[STRIDE]):
                factors[i] = 1.0
