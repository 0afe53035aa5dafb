"""Many networks of one kind, side by side: what `fit_many` returns."""

from __future__ import annotations

import operator
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import cached_property, partial
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastnn.checks import (
    check_apart,
    check_ensemble_params,
    check_inputs,
    check_integer,
    check_network_spec,
    check_no_workspace,
    check_out,
    check_positions,
    check_quantiles,
    check_sample,
    counted,
    describe,
    has_masked,
)
from fastnn.jobs.records import STATUS_NAMES, Records
from fastnn.kernels.jit.importing import importing_numba
from fastnn.kernels.jit.turned_off import compiler_is_off
from fastnn.models.exports import Exports
from fastnn.models.mlp import MLP, network_over
from fastnn.settings.spec import NetworkSpec
from fastnn.training.twins import twin

#: Rows, or outputs of all members, that are summarised at once; of fewer rows the last bits could differ.
ROWS_AT_ONCE, OUTPUTS_AT_ONCE = 256, 2**20


class Ensemble(Exports):
    """Networks of one kind: a sequence of members, each an `MLP` that shares the ensemble's parameters.

    Parameters
    ----------
    spec : NetworkSpec
        The description of every member.
    params : array_like, shape (K, n_params)
        The parameters of each member; copied unless it is a C-contiguous, writable array of the spec's dtype.
    records : Records, optional
        How the training of each member went.
    seed : int, optional
        The seed of the members' random numbers.
    positions : ndarray of int, shape (K,), optional
        The position of each member among those that were asked for; 0, 1, 2 ... by default.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid, or not of K members.

    Examples
    --------
    >>> many = fastnn.fit_many(net.spec, X, y, members=100, epochs=500, rng=0)
    >>> many.mean(X), many.std(X), many.quantile(X, [0.05, 0.95])
    >>> many.best(10).mean(X)
    """

    def __init__(
        self,
        spec: NetworkSpec,
        params: ArrayLike,
        records: Records | None = None,
        seed: int | None = None,
        positions: NDArray[np.intp] | None = None,
    ):
        self._spec, self._params = check_network_spec(spec), check_ensemble_params(params, spec)
        if records is not None and not isinstance(records, Records):
            raise TypeError(f"records must be those of an ensemble, many.records; got {describe(records)}")
        count = len(self._params)
        if records is not None and len(records.member) != count:
            raise ValueError(f"records must be those of {counted(count, 'member')}; got {len(records.member)}")
        self._records, self._seed = records, None if seed is None else check_integer("seed", seed, 0)
        self._positions = check_positions(positions, count)

    @property
    def spec(self) -> NetworkSpec:
        """The frozen description of every member."""
        return self._spec

    @property
    def params(self) -> NDArray[Any]:
        """The members' parameters, shape (K, n_params)."""
        return self._params

    @property
    def records(self) -> Records:
        """How the training of each member went.

        Raises
        ------
        AttributeError
            If the members were not trained together.
        """
        if self._records is None:
            raise AttributeError("only fit_many keeps records; these members do not come from one call of it")
        return self._records

    @property
    def seed(self) -> int | None:
        """Seed of the members' random numbers; None if each had its own, or none was kept."""
        return self._seed

    @property
    def positions(self) -> NDArray[np.intp]:
        """Position of each member among those asked for, shape (K,); after Ctrl-C or a selection, some are missing."""
        return self._positions

    @property
    def loss(self) -> NDArray[np.float64]:
        """Loss of each member in its last epoch, shape (K,); see `fastnn.jobs.records.Records`."""
        return self.records.loss

    @property
    def stopped(self) -> NDArray[np.str_]:
        """Why each member's training ended: "finished", "early", "diverged", "converged" or "stalled"; shape (K,)."""
        return np.array(STATUS_NAMES)[self.records.status]

    @cached_property
    def numba_type(self) -> Any:
        """The Numba type of ensembles with this spec."""
        with importing_numba():
            from fastnn.embed import ensembles  # imports Numba
        return ensembles.type_of(self._spec)

    @property
    def _numba_type_(self) -> Any:  # what Numba asks for when the ensemble is an argument
        return self.numba_type

    def forward(self, x: ArrayLike, out: NDArray[Any], workspace: NDArray[Any] | None = None) -> None:
        """Write every member's outputs for one sample; also inside ``@njit``, where the ensemble is an argument.

        Parameters
        ----------
        x : array_like, shape (n_in,)
            The sample.
        out : ndarray, shape (K, n_out), of the members' dtype
            Receives the outputs.
        workspace : ndarray, optional
            For wide networks inside compiled code, as a member's `MLP.workspace` makes it; from Python it must be left
            out.

        Raises
        ------
        TypeError, ValueError
            If an array has the wrong shape or dtype, or `out` shares the memory of `x` or the parameters.
        """
        if not (off := compiler_is_off()):
            check_no_workspace(workspace)
        spec = self._spec
        x, out = check_sample(x, spec), check_out("out", out, (len(self), spec.n_out), spec, strided=off)
        check_apart(out=out, x=x, params=self._params)
        if off:
            out[:] = self.predict(x[np.newaxis])[:, 0]
            return
        scratch = self._methods.scratch("forward")
        from fastnn.embed import ensembles

        ensembles.forward(self, x, out, scratch)

    @cached_property
    def _methods(self) -> Any:
        with importing_numba():
            from fastnn.embed import ensembles, from_python  # noqa: F401 - which `forward` needs
        return from_python.CompiledMethods(self._spec)

    def __len__(self) -> int:
        return len(self._params)

    @overload
    def __getitem__(self, index: int | np.integer) -> MLP: ...
    @overload
    def __getitem__(self, index: slice | Sequence[int] | Sequence[bool] | NDArray[Any]) -> Ensemble: ...
    def __getitem__(self, index: Any) -> MLP | Ensemble:
        try:
            number = operator.index(index)
        except TypeError:
            return self._some(index)
        if not -len(self) <= number < len(self):
            raise IndexError(f"an index must be that of one of {counted(len(self), 'member')}; got {describe(number)}")
        return network_over(self._spec, self._params[number])

    def _some(self, index: Any) -> Ensemble:
        """The members of a slice, a list or a mask."""
        positions: Any = None
        if not has_masked(index):
            with suppress(Exception):  # ragged, or whatever the array of another library raises
                positions = self._positions[index]
        if np.ndim(positions) != 1:
            raise IndexError(
                f"an index must be a number, a slice, or a list or mask of {counted(len(self), 'member')}; "
                f"got {describe(index)}"
            )
        records = None if self._records is None else self._records[index]
        return type(self)(self._spec, self._params[index], records, self._seed, positions)

    def __iter__(self) -> Iterator[MLP]:
        return (self[k] for k in range(len(self)))

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Compute every member's outputs.

        Parameters
        ----------
        X : array_like, shape (n, n_in)
            The samples.

        Returns
        -------
        ndarray, shape (K, n, n_out), of the members' dtype

        Raises
        ------
        TypeError, ValueError
            As in `MLP.predict`.
        """
        return twin("numba", "network").predict_each(self._spec, self._params, check_inputs(X, self._spec))

    def mean(self, X: ArrayLike) -> NDArray[Any]:
        """Compute the mean of the members' outputs.

        Parameters
        ----------
        X : array_like, shape (n, n_in)
            The samples.

        Returns
        -------
        ndarray, shape (n, n_out), of the members' dtype

        Raises
        ------
        TypeError, ValueError
            As in `MLP.predict`, or if there are no members.
        """
        return self._summary("mean", X, mean_of)

    def std(self, X: ArrayLike) -> NDArray[Any]:
        """Compute the standard deviation of the members' outputs, the root of their mean squared distance from `mean`.

        Parameters
        ----------
        X : array_like, shape (n, n_in)
            The samples.

        Returns
        -------
        ndarray, shape (n, n_out), of the members' dtype

        Raises
        ------
        TypeError, ValueError
            As in `MLP.predict`, or if there are no members.
        """
        return self._summary("std", X, std_of)

    def quantile(self, X: ArrayLike, q: ArrayLike) -> NDArray[Any]:
        """Compute quantiles of the members' outputs.

        Parameters
        ----------
        X : array_like, shape (n, n_in)
            The samples.
        q : float or array_like, shape (...)
            The levels of the quantiles, in [0, 1].

        Returns
        -------
        ndarray of float64, shape (..., n, n_out)

        Raises
        ------
        TypeError, ValueError
            As in `mean`, or if `q` holds anything but numbers in [0, 1].
        """
        q = check_quantiles("q", q)
        return self._summary("quantile", X, partial(quantiles_of, q=q))

    def _summary(self, method: str, X: ArrayLike, summarise: Callable[[NDArray[Any]], NDArray[Any]]) -> NDArray[Any]:
        """Summarise the outputs of the members, of which there must be some.

        It goes through the rows in blocks: all outputs at once would take as many times the result's memory as there
        are members. The bits are the same.
        """
        X = check_inputs(X, self._spec)
        if not len(self):
            raise ValueError(f"{method} needs an ensemble with members; got one of none")
        rows = max(ROWS_AT_ONCE, OUTPUTS_AT_ONCE // (len(self) * self._spec.n_out))
        predict = partial(twin("numba", "network").predict_each, self._spec, self._params)
        parts = [summarise(predict(part)) for part in np.array_split(X, max(1, len(X) // rows))]
        return np.concatenate(parts, axis=-2)

    def best(self, n: int) -> Ensemble:
        """Choose the members with the lowest loss.

        The loss is the best one monitored by early stopping, or without early stopping that of the last epoch.

        Parameters
        ----------
        n : int
            How many.

        Returns
        -------
        Ensemble
            The members in ascending order of their loss; diverged ones come last.

        Raises
        ------
        TypeError, ValueError
            If `n` is not an integer from 1 to the number of members.
        AttributeError
            If the members were not trained together.
        """
        n = check_integer("n", n, 1)
        if n > len(self):
            raise ValueError(f"n must be at most the number of members, {len(self)}; got {n}")
        records = self.records
        monitored = np.isfinite(records.best).any()  # a member that never had a finite one comes last
        rank = np.where(records.diverged, np.nan, records.best if monitored else records.loss)
        return self[np.argsort(rank, kind="stable")[:n]]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Save the members, their records and positions for `fastnn.load`; the file appears whole or not at all.

        Parameters
        ----------
        path : path_like
            The file, whose name ends in ``.npz``.

        Raises
        ------
        TypeError, ValueError
            If `path` is not a path with such an ending.
        OSError
            If the file cannot be written.
        """
        from fastnn.models import files

        content = files.SavedEnsemble(self._spec, self._params, self._records, self._seed, self._positions)
        files.save(path, content)

    def __repr__(self) -> str:
        first = f": {self[0]!r}" if len(self) else ""
        return f"<Ensemble of {counted(len(self), 'member')}{first}>"


# ---- over members, the first axis, in double precision: float32 may not hold the sums, squares and differences
@np.errstate(under="ignore")
def mean_of(outputs: NDArray[Any]) -> NDArray[Any]:
    """Means, shape (n, n_out), of the outputs' dtype."""
    return outputs.mean(axis=0, dtype=np.float64).astype(outputs.dtype)


@np.errstate(under="ignore")
def std_of(outputs: NDArray[Any]) -> NDArray[Any]:
    """Standard deviations, shape (n, n_out), of the outputs' dtype."""
    return outputs.std(axis=0, dtype=np.float64).astype(outputs.dtype)


@np.errstate(under="ignore")
def quantiles_of(outputs: NDArray[Any], q: NDArray[np.float64]) -> NDArray[np.float64]:
    """Quantiles, shape (..., n, n_out), for `q` of any shape, of which NumPy takes few."""
    return np.quantile(outputs.astype(np.float64, copy=False), q.ravel(), axis=0).reshape(*q.shape, *outputs.shape[1:])
