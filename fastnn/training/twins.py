"""The backends, under the names that a user writes; each is imported when it is first used."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, Literal, Protocol, overload

import numpy as np
from numpy.typing import NDArray

from fastnn.checks import check_name
from fastnn.jobs.job import Job, State, Train
from fastnn.kernels.jit.importing import importing_numba
from fastnn.kernels.jit.signals import InterruptsHeld
from fastnn.kernels.jit.turned_off import compiler_is_off, warn_of_stand_in
from fastnn.settings.catalogue import Loss
from fastnn.settings.spec import NetworkSpec


class Network(Protocol):
    """One network on many samples; see `fastnn.reference.network`."""

    def predict(self, spec: NetworkSpec, params: NDArray, X: NDArray) -> NDArray:
        """The outputs, shape (n, n_out)."""

    def predict_each(self, spec: NetworkSpec, params: NDArray, X: NDArray) -> NDArray:
        """The outputs of several networks, shape (K, n, n_out), for parameters of shape (K, n_params)."""

    def loss_and_grad(
        self,
        spec: NetworkSpec,
        params: NDArray,
        X: NDArray,
        y: NDArray,
        loss: Loss,
        *,
        sample_weight: NDArray | None = None,
        l2: float = 0.0,
        loss_parameter: NDArray | float | None = None,
        out: NDArray | None = None,
    ) -> tuple[float, NDArray]:
        """The loss of a batch and its gradient, shape (n_params,)."""

    def evaluate(self, job: Job) -> tuple[float, float]:
        """The loss and the metric on a job's validation set."""


class Training(Protocol):
    """The training loop; see `fastnn.reference.training`."""

    def trainer(self, job: Job, state: State, **options: Any) -> Train:
        """What runs a job from where a state of it stands; the compiled twin takes `threads` and `specialize`."""

    def objective(self, job: Job, gradient: NDArray) -> Callable[[], float]:
        """What gives the loss of all a job's data, and its gradient."""


class EndOfEpoch(Protocol):
    """The decisions at the end of an epoch, for loops in Python; see `fastnn.reference.end_epoch`."""

    def end_epoch(
        self,
        job: Job,
        state: State,
        loss: float,
        learning_rates: NDArray[np.float64],
        i: int,
        evaluate: Callable[[Job], tuple[float, float]] = ...,
    ) -> bool:
        """Evaluate, stop or reduce the learning rate after an epoch; whether to stop."""


class NormalEquations(Protocol):
    """The normal equations of the Levenberg-Marquardt method; see `fastnn.reference.normal_equations`."""

    def residuals(self, job: Job, outputs: NDArray) -> tuple[NDArray, NDArray]:
        """What the loss squares, and its derivative with respect to the outputs, each of shape (n, n_out)."""

    def normal_equations(self, job: Job, scale: NDArray, block_rows: int, answer: Callable[[], None]) -> NDArray:
        """``[J r]^T [J r]`` in float64, J the Jacobian and r the residuals, shape (n_params + 1, n_params + 1)."""

    def cholesky(
        self, matrix: NDArray[np.float64], damping: float, answer: Callable[[], None]
    ) -> NDArray[np.float64] | None:
        """The upper Cholesky factor of a damped matrix, or None if it is not positive definite."""

    def cholesky_solve(self, factor: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
        """The solution of a system with this Cholesky factor."""

    def trace_of_inverse(self, factor: NDArray[np.float64], n: int, answer: Callable[[], None]) -> float:
        """The trace of the inverse of a matrix with this Cholesky factor."""


class SlopesOfOutputs(Protocol):
    """Slopes of the outputs, and their derivatives with respect to the parameters; see `fastnn.reference.slopes`."""

    def slope_values(self, spec: NetworkSpec, params: NDArray, X: NDArray, directions: NDArray) -> NDArray:
        """The slopes, shape (n, n_directions, n_out)."""

    def slope_jacobian(
        self, spec: NetworkSpec, params: NDArray, X: NDArray, directions: NDArray
    ) -> tuple[NDArray, NDArray]:
        """The slopes, and their derivatives, shape (n, n_directions, n_out, n_params)."""


#: Where each backend has its parts.
MODULES = {
    "numba": {
        "network": "fastnn.kernels.tiles.predict",
        "training": "fastnn.kernels.train",
        "normal_equations": "fastnn.kernels.tiles.normal_equations",
        "slopes": "fastnn.kernels.slopes",
        "shuffle": "fastnn.kernels.functions.shuffle",
    },
    "plain": {
        "network": "fastnn.kernels.plain",
        "training": "fastnn.training.plain",
        "normal_equations": "fastnn.reference.normal_equations",
        "slopes": "fastnn.reference.slopes",
        "shuffle": "fastnn.reference.shuffle",
    },
    "numpy": {
        "network": "fastnn.reference.network",
        "training": "fastnn.reference.training",
        "end_epoch": "fastnn.reference.end_epoch",
        "normal_equations": "fastnn.reference.normal_equations",
        "slopes": "fastnn.reference.slopes",
        "shuffle": "fastnn.reference.shuffle",
    },
}
BACKENDS = tuple(MODULES)
_modules: dict[tuple[str, str], Any] = {}


@overload
def twin(backend: str, module: Literal["network"]) -> Network: ...
@overload
def twin(backend: str, module: Literal["training"]) -> Training: ...
@overload
def twin(backend: str, module: Literal["end_epoch"]) -> EndOfEpoch: ...
@overload
def twin(backend: str, module: Literal["normal_equations"]) -> NormalEquations: ...
@overload
def twin(backend: str, module: Literal["slopes"]) -> SlopesOfOutputs: ...
@overload
def twin(backend: Literal["numba"], module: Literal["shuffle"]) -> Any: ...


def twin(backend: str, module: str) -> Any:
    """A module of the twin with this name, such as ``network`` of ``fastnn.reference``.

    Raises
    ------
    TypeError, ValueError
        If the backend is none of ``"numba"``, ``"plain"`` and ``"numpy"``.

    Warns
    -----
    RuntimeWarning
        If plain loops replace the tuned kernels, because Numba's compiler is turned off.
    """
    name = check_name("backend", backend, MODULES)
    return _modules.get((name, module)) or _load(name, module)


def _load(name: str, module: str) -> Any:
    """Import a module, with a warning if plain loops replace it."""
    if name == "numba" and compiler_is_off():
        warn_of_stand_in(stacklevel=4)
        name = "plain"
    with InterruptsHeld() if name == "numpy" else importing_numba():
        found = _modules[name, module] = importlib.import_module(MODULES[name][module])
    return found
