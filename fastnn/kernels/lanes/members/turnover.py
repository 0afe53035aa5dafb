"""How a member gets a lane (`admit`), is watched after every epoch (`note_best`), and leaves it again (`release`)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fastnn.jobs.records import DIVERGED
from fastnn.kernels.functions.random import member_key
from fastnn.kernels.jit.compiling import inlined
from fastnn.kernels.simd import any_lane, lanes, load, pointer, select, store
from fastnn.kernels.simd.opaque import opaque
from fastnn.kernels.simd.types import Pointer


class Lanes(NamedTuple):
    """Pointers to what stands in the lanes of a block, see `fastnn.kernels.lanes.members.data.Block`."""

    params: Pointer  # and behind them the gradient and two slots, and which features are seen where not all are
    pace: Pointer
    best: Pointer  # the least that was monitored
    best_params: Pointer
    members: Pointer
    started: Pointer
    waits: Pointer
    keys: Pointer


@inlined
def admit(here, lane, member, tick, results, settings, step):
    """Give a lane to a member. Where the rule keeps step sizes, the second slot starts at the rate."""
    width, params, n_params = lanes(here.params), pointer(results.params, 0), step.n_params
    rate = settings.rates[member]
    here.members[lane], here.started[lane], here.waits[lane] = member, tick, 0
    here.keys[lane] = member_key(settings.seeds[member], results.member[member])
    here.pace[lane], here.pace[width + lane] = rate * settings.schedule[0], settings.momenta[member]
    here.pace[4 * width + lane], here.best[lane] = settings.l2[member], np.inf
    for i in range(n_params):
        here.params[i * width + lane] = params[member * n_params + i]
    for i in range(settings.features.shape[1]):
        here.params[(4 * n_params + i) * width + lane] = 1.0 if settings.features[member, i] else 0.0
    for i in range(2 * n_params, (2 + step.n_slots) * n_params):
        here.params[i * width + lane] = rate if step.keeps_step_sizes and i >= 3 * n_params else 0.0


@inlined
def release(here, lane, results, status, epochs, n_batches, loss, restores, step):
    """Record what became of a lane's member, and leave the lane idle, with zeros, from which nothing overflows.

    A member has diverged, too, if a slot of its optimizer has overflowed, which would hold a parameter still. The
    parameters of one that has are NaN until `fastnn.ensembles.in_lanes.rewind` finds those that it had before.
    """
    width, n_params, member = lanes(here.params), step.n_params, here.members[lane]
    diverged, target = status == DIVERGED, pointer(results.params, 0)
    for i in range((2 + step.n_slots) * n_params):
        is_gradient = n_params <= i < 2 * n_params
        diverged = diverged or not (is_gradient or np.isfinite(here.params[i * width + lane]))
    source = here.best_params if restores and here.best[lane] < np.inf else here.params
    for i in range(n_params):
        target[member * n_params + i] = np.nan if diverged else source[i * width + lane]
    for i in range((2 + step.n_slots) * n_params):
        here.params[i * width + lane] = 0.0
    here.members[lane], here.pace[lane], here.pace[width + lane] = -1, 0.0, 0.0
    results.status[member], results.loss[member] = (DIVERGED, np.nan) if diverged else (status, loss)
    results.epochs[member], results.steps[member] = epochs, epochs * n_batches
    results.best[member] = here.best[lane]


@inlined
def note_best(here, monitored, settings, n_params):
    """Count each lane's epochs without improvement, and keep its best parameters if they are to be restored."""
    width = lanes(here.params)
    for lane in range(width):
        improved = np.float64(monitored[lane]) < np.float64(here.best[lane]) - settings.min_improvement
        here.waits[lane] = 0 if improved else here.waits[lane] + 1
    now, least = load(monitored), load(here.best)
    better = now < least
    if any_lane(better):
        store(here.best, select(better, now, least))
        for place in range(0, (n_params if settings.restore_best else 0) * width, width):
            kept = here.best_params + place
            # Opaque: if LLVM knew that it reads where it stores, it would make a masked store, which is slow with AVX.
            store(kept, select(better, load(here.params + place), load(opaque(kept))))
