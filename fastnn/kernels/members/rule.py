"""Which networks are trained in lanes."""

from __future__ import annotations

from fastnn.spec import NetworkSpec

#: A network of more parameters than this is trained by itself: its copies in all lanes would leave the nearest cache.
MOST_PARAMS = 1000


def serves(spec: NetworkSpec) -> bool:
    """Whether networks of a spec are trained in lanes."""
    return spec.n_params <= MOST_PARAMS
