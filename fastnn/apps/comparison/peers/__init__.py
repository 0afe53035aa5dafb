"""One module for each library: the same training step, written as that library's own users would at its best.

A module has a class ``Training(workload, threads)``, which builds what is timed; and, if the library can train many
networks together, a class ``Many`` for such workloads. Both have

- ``reset()``: back to the initial parameters and a fresh optimizer;
- ``run(steps)``: that many steps from the first batch on, and only then returns; `steps` is at most a pass, or
  whole passes;
- ``params()``: what it has learned, as the flat vector of a `fastnn.MLP`, or one for each network.
"""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass
from typing import Protocol

from numpy.typing import NDArray

from fastnn.apps.comparison.workloads import NotComparable, Workload


class Training(Protocol):
    """What is timed."""

    def __init__(self, workload: Workload, threads: int) -> None: ...

    def reset(self) -> None:
        """Back to the initial parameters and a fresh optimizer."""

    def run(self, steps: int) -> None:
        """Train from the first batch on."""

    def params(self) -> NDArray:
        """What was learned, shape (n_params,) or (members, n_params)."""


@dataclass(frozen=True)
class Peer:
    """One way to compute a workload.

    Attributes
    ----------
    name : str
        What a user says, and the module's name here.
    title : str
        What tables and pictures show.
    imports : tuple of str
        The modules that its users import, and that must be there.
    distribution : str
        Whose version is recorded.
    how : str
        How it is written, in a line.
    """

    name: str
    title: str
    imports: tuple[str, ...]
    distribution: str
    how: str

    @property
    def installed(self) -> bool:
        """Whether its modules can be imported."""
        return all(importlib.util.find_spec(name.partition(".")[0]) is not None for name in self.imports)

    def training(self, workload: Workload, threads: int) -> Training:
        """Build what is timed; imports the library.

        Raises
        ------
        NotComparable
            If the library cannot compute the workload.
        """
        module = importlib.import_module(f"fastnn.apps.comparison.peers.{self.name}")
        if workload.members > 1 and not hasattr(module, "Many"):
            raise NotComparable("it trains one network at a time")
        return (module.Training if workload.members == 1 else module.Many)(workload, threads)


PEERS: dict[str, Peer] = {
    p.name: p
    for p in (
        Peer(
            "reference",
            "fastnn, reference",
            ("fastnn",),
            "numpy",
            "fit(backend='numpy'): the twin written for reading",
        ),
        Peer(
            "plain_numpy", "NumPy", ("numpy",), "numpy", "one array expression a line; many networks on the last axis"
        ),
        Peer(
            "sklearn",
            "scikit-learn",
            ("sklearn.neural_network",),
            "scikit-learn",
            "MLP estimator, partial_fit of a whole pass",
        ),
        Peer("torch", "PyTorch", ("torch",), "torch", "eager nn.Sequential, fused optimizer; many by baddbmm"),
        Peer(
            "jax", "JAX", ("jax",), "jax", "whole passes in one compiled loop (lax.scan), donated state; many by vmap"
        ),
        Peer(
            "fastnn", "fastnn", ("fastnn", "numba"), "numba", "fit: whole passes in one compiled call; many by fit_many"
        ),
    )
}
