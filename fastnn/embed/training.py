"""`fastnn.TrainState`: what training inside compiled code keeps from step to step; `steps` has the steps."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np
from numba import typeof, types
from numpy.typing import NDArray

from fastnn import checks
from fastnn.checks.values import check_in_float32
from fastnn.embed.steps import TrainStateType, apply
from fastnn.jobs.job import Job, State
from fastnn.kernels.jit.compiling import address_of
from fastnn.kernels.jit.turned_off import compiler_is_off, refuse
from fastnn.kernels.tiles.job_record import JOB_RECORD
from fastnn.kernels.tiles.layers import TEAM
from fastnn.kernels.tiles.prepare import PreparedForTiles
from fastnn.kernels.tiles.run import run
from fastnn.settings.intervals import AT_LEAST_0
from fastnn.settings.optimizers import Adam, Optimizer
from fastnn.settings.own import Loss, plain_name
from fastnn.settings.spec import NetworkSpec


class _Record:
    """The record of a job as an array's memory, which keeps alive what the record points to.

    So does every array of it: compiled code may hold one, in a list say, for longer than Python holds the state.
    """

    def __init__(self, job: Job, state: State):
        self._prepared = PreparedForTiles(job, state)
        self.__array_interface__ = self._prepared.record.__array_interface__


class TrainState:
    """The settings of training on a stream of batches, and what it keeps from step to step.

    It is the last argument of ``net.train_step(x, y, state)``.

    Parameters
    ----------
    spec : NetworkSpec
        The spec of the networks that it trains, ``net.spec``.
    loss, optimizer, l2, max_grad_norm, delta, quantiles, min_variance, targets
        As in `MLP.fit`.
    max_batch : int
        Largest number of samples in a batch.

    Attributes
    ----------
    steps : int
        Number of steps taken. Inside compiled code it is ``state.counters[2]``.
    learning_rate : float
        The optimizer's learning rate, which may be changed between two steps; to no effect on `Rprop`, for which it is
        the first step size. Inside compiled code it is ``state.rates[0]``.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid.
    RuntimeError
        If Numba's compiler is turned off.

    Notes
    -----
    A state belongs to one stream of batches, so that two threads need two states. Class labels are 1-D arrays of int64.
    """

    def __init__(
        self,
        spec: NetworkSpec,
        *,
        loss: str | Loss = "mse",
        optimizer: Optimizer = Adam(),  # noqa: B008 - frozen
        l2: float = 0.0,
        max_grad_norm: float | None = None,
        delta: float | Sequence[float] = 1.0,
        quantiles: float | Sequence[float] = 0.5,
        min_variance: float | Sequence[float] = 1e-6,
        targets: str = "complete",
        max_batch: int = 1,
    ):
        if compiler_is_off():
            refuse("fastnn.TrainState")
        settings = {
            "loss": loss, "optimizer": optimizer, "l2": l2, "max_grad_norm": max_grad_norm, "delta": delta,
            "quantiles": quantiles, "min_variance": min_variance, "targets": targets, "max_batch": max_batch,
        }  # fmt: skip
        job = checks.check_train_state(spec, **settings)
        self._settings = deepcopy(settings)  # for copies, whatever becomes of a list of numbers
        rule, state = job.update_rule, State.fresh(spec, job.optimizer, 0)
        self._records = np.asarray(_Record(job, state))
        if job.loss.labels:
            self._label_records = np.asarray(_Record(replace(job, y=np.empty(0, np.intp)), state))
        self._slots, self._counters, self._sums = state.slots, state.counters, state.sums
        self._rates, self._losses = np.array([rule.learning_rate]), np.empty(1)
        self._constants = np.array([_run_address(spec.dtype), job.batch_size])
        self._numba_type_ = TrainStateType(spec, job.loss)
        self._made_for = f"{job.optimizer}, {plain_name(job.loss.name)}, batches of at most {job.batch_size}"

    def __repr__(self) -> str:
        return f"<TrainState: {self._made_for}, {checks.counted(self.steps, 'step')}>"

    def __reduce__(self) -> tuple[Any, ...]:  # of copies, too: the records point to this state's own arrays
        kept = self._slots, self._counters, self._sums, self._rates
        return _rebuilt, (self._numba_type_.spec, self._settings, kept)

    @property
    def steps(self) -> int:
        """Number of steps taken; inside compiled code ``state.counters[2]``."""
        return int(self._counters[2])

    @property
    def learning_rate(self) -> float:
        """The optimizer's learning rate; inside compiled code ``state.rates[0]``."""
        return float(self._rates[0])

    @learning_rate.setter
    def learning_rate(self, rate: float) -> None:
        rate = checks.check_number("learning_rate", rate, AT_LEAST_0)
        if self._slots.dtype == np.float32:
            check_in_float32("learning_rate", rate, AT_LEAST_0)
        self._rates[0] = rate

    def apply(self, net: Any, grad: NDArray[Any]) -> bool:
        """Take a step with the caller's own gradient, such as `fastnn.MLP.vjp_params` accumulates.

        Parameters
        ----------
        net : MLP
            The network, whose parameters are updated.
        grad : ndarray, shape (n_params,), of the network's dtype
            The gradient, which is not modified. The step also includes the penalty and clipping, as in `MLP.fit`.

        Returns
        -------
        bool
            Whether the gradient and the penalty are finite; if they are not, nothing is changed.

        Raises
        ------
        TypeError, numba.TypingError, ValueError
            If an argument has the wrong type or shape, or the network's parameters are read-only.
        """
        checks.check_plain(net=net, grad=grad)
        checks.check_trained_params(net)
        try:
            return bool(apply(self, net, grad))
        except ValueError as error:  # whose text compiled code cannot make
            raise ValueError(f"{error}; got {grad.shape}") from None


def _rebuilt(spec: NetworkSpec, settings: dict[str, Any], kept: tuple[NDArray[Any], ...]) -> TrainState:
    """A state with what another has kept."""
    state = TrainState(spec, **settings)
    for array, values in zip((state._slots, state._counters, state._sums, state._rates), kept, strict=True):
        array[...] = values
    return state


def _run_address(dtype: str) -> int:
    """Address of the training kernel."""
    numbers = typeof(np.empty(0, dtype)), typeof(np.empty((0, 0), dtype))
    integers, floats = typeof(np.empty(0, np.int64)), typeof(np.empty(0))
    records = typeof(np.zeros(1, JOB_RECORD))
    return address_of(run, records, *numbers, integers, floats, floats, floats, types.intp, types.intp, TEAM)
