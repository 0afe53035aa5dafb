"""Which networks are trained in lanes."""

from __future__ import annotations

from fastnn.settings.spec import NetworkSpec

#: A network of more parameters than this is trained by itself: its copies in all lanes would leave the nearest caches.
#: ``pytest bench/bench_lanes.py`` measures it: with AVX-512 a step in lanes took 1/3.2 to 1/1.2 of the time up to 3,200
#: parameters, whatever the dtype and the batch; from 4,800 on the two are even where batches are long.
MOST_PARAMS = 4000


def serves(spec: NetworkSpec) -> bool:
    """Whether networks of a spec are trained in lanes."""
    return spec.n_params <= MOST_PARAMS
