"""The methods that tell whether a network has seen samples like this one; they can also be called inside ``@njit``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastnn import checks
from fastnn.jobs.aligned import aligned_copy
from fastnn.models import domain
from fastnn.settings.domain import OUTSIDE
from fastnn.settings.spec import NetworkSpec


class InDomain:
    """The domain of an `MLP`: the region of its training samples."""

    _spec: NetworkSpec
    _params: NDArray[Any]
    _domain: NDArray[np.float64] | None
    _outside: str
    _sharing: Callable[..., Any]

    def with_domain(self, X: ArrayLike | None = None, *, outside: str = "ignore") -> Self:
        """Make a network that remembers the region of its training samples, for `distance` and `inside`.

        It keeps the smallest and the largest value of each input, their means and their covariance, which are saved
        with it. `distance` and `inside` work in compiled code too.

        Parameters
        ----------
        X : array_like, shape (n, n_in), optional
            The samples it was trained on. By default the network keeps the domain it already has.
        outside : {"ignore", "clip", "raise", "nan"}
            What `predict`, `forward`, `forward_with` and a call do with a sample that is not `inside`: compute it all
            the same, move each input to the nearest value seen, raise ValueError, or return NaN. Training and
            derivatives do not look at the domain; `cfunc` and exports refuse all but "ignore".

        Returns
        -------
        MLP
            A network with parameters of its own.

        Raises
        ------
        TypeError, ValueError
            If X is not a finite array of this shape, or is None for a network without a domain; if the network has more
            than 4,096 inputs; or if `outside` is none of these.

        Notes
        -----
        Each input is standardised, a constant one with the scale 1. The correlations are shrunk towards zero by the
        oracle approximating shrinkage (Chen, Wiesel, Eldar and Hero, 2010), so that a few samples are enough.
        """
        outside = checks.check_name("outside", outside, OUTSIDE)
        if X is None and self._domain is None:
            raise ValueError("X must be samples that the network was trained on, for it has no domain yet; got None")
        measured = self._domain if X is None else domain.measure(X, self._spec)
        return type(self)._sharing(self._spec, aligned_copy(self._params), measured, outside)

    def distance(self, x: ArrayLike) -> float | NDArray[np.float64]:
        """The Mahalanobis distance from the mean of the domain.

        It is about ``sqrt(n_in)`` for a typical sample, or less where some inputs follow from others.

        Parameters
        ----------
        x : array_like, shape (n_in,) or (n, n_in)
            One sample or several.

        Returns
        -------
        float, or ndarray of float64, shape (n,)
            NaN where a sample contains NaN or infinity.

        Raises
        ------
        TypeError, ValueError
            If the network has no domain, or `x` is not a real array of this shape.
        """
        known, one, X = self._placed("distance", x)
        distances = domain.distance(known, X)
        return float(distances[0]) if one else distances

    def inside(self, x: ArrayLike) -> bool | NDArray[np.bool_]:
        """Whether every input of a sample lies between the smallest and the largest value seen.

        Parameters
        ----------
        x : array_like, shape (n_in,) or (n, n_in)
            One sample or several.

        Returns
        -------
        bool, or ndarray of bool, shape (n,)
            False where a sample contains NaN.

        Raises
        ------
        TypeError, ValueError
            As in `distance`.
        """
        known, one, X = self._placed("inside", x)
        flags = domain.inside(known, X)
        return bool(flags[0]) if one else flags

    def _placed(self, method: str, x: ArrayLike) -> tuple[NDArray[np.float64], bool, NDArray[Any]]:
        """The domain, whether it is one sample, and the samples as rows."""
        if self._domain is None:
            raise ValueError(f"{method} needs a network with a domain, which with_domain(X) makes; got one without")
        x = checks.check_samples(x, self._spec)
        return self._domain, x.ndim == 1, np.atleast_2d(x)


def kept_domain(net: InDomain) -> tuple[NDArray[np.float64] | None, str]:
    """The domain of a network, None if it has none, and what the network does with samples outside it."""
    return net._domain, net._outside


def respect_domain(net: InDomain, compute: Callable[[NDArray[Any]], NDArray[Any]], X: NDArray[Any]) -> NDArray[Any]:
    """What `compute` gives for samples, shape (n, n_in); those outside the domain are treated as the network says."""
    if net._domain is None or net._outside == "ignore":
        return compute(X)
    if net._outside == "clip":
        return compute(domain.clipped(net._domain, X))
    if net._outside == "raise":
        domain.refuse_outside(net._domain, X)
        return compute(X)
    outputs = compute(X)
    outputs[~domain.inside(net._domain, X)] = np.nan
    return outputs
