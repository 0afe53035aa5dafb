"""What a network computes for one sample: the methods that it also has inside compiled code.

They call what `fastnn.embed` compiles for the network's sizes, once for a spec, and keeps on disk.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastnn import checks
from fastnn.kernels.jit.held import InterruptsHeld
from fastnn.kernels.jit.turned_off import compiler_is_off, refuse
from fastnn.models.derivatives import Derivatives

if TYPE_CHECKING:
    from fastnn.embed.cfunction import CFunction
    from fastnn.embed.training import TrainState


#: What scratch is asked for by: `fastnn.kernels.point.METHODS`, which imports Numba.
METHODS = (
    "forward", "jacobian", "vjp", "jvp", "hessian", "vjp_params", "hvp", "taylor", "taylor_vjp_params",
)  # fmt: skip


class SingleSample(Derivatives):
    """The methods of an `MLP` that take one sample; the same ones can be called inside ``@njit``."""

    numba_type: Any

    @property
    def _numba_type_(self) -> Any:  # what Numba asks for when the network is an argument
        return self.numba_type

    @cached_property
    def _compiled(self) -> Any:
        if compiler_is_off():
            from fastnn.reference.one_sample import OneSample

            return OneSample(self._spec)
        with InterruptsHeld():
            from fastnn.embed import from_python
        return from_python.Compiled(self._spec)

    def workspace(self, method: str = "forward") -> NDArray:
        """Scratch for one thread's calls of a method inside compiled code, which wide networks need.

        Parameters
        ----------
        method : str
            What is called: ``"forward"``, ``"jacobian"``, ``"vjp"``, ``"jvp"``, ``"hessian"``, ``"hvp"``, ``"taylor"``,
            ``"vjp_params"`` or ``"taylor_vjp_params"``. ``forward_with`` and ``__call__`` take what ``forward`` does,
            and ``vjp`` with a `grad` what ``vjp_params`` does.

        Returns
        -------
        ndarray, 1-D, of the network's dtype

        Raises
        ------
        TypeError, ValueError
            If there is no such method, or it takes no scratch.
        """
        checks.check_name("method", method, METHODS)
        return self._compiled.workspace(method)

    def forward(self, x: ArrayLike, out: NDArray) -> None:
        """Write the outputs for one sample `x`, shape (n_in,), to `out`, shape (n_out,) of the network's dtype."""
        spec = self._spec
        x, out = checks.check_sample(x, spec), checks.check_out("out", out, (spec.n_out,), spec)
        self._compiled.forward(self, x, out)

    def __call__(self, x: ArrayLike) -> NDArray:
        """The outputs, shape (n_out,), for one sample `x`, shape (n_in,)."""
        out = np.empty(self._spec.n_out, self._spec.dtype)
        self._compiled.forward(self, checks.check_sample(x, self._spec), out)
        return out

    def forward_with(self, params: ArrayLike, x: ArrayLike, out: NDArray) -> None:
        """`forward` with other parameters, shape (n_params,)."""
        spec = self._spec
        params, x = checks.check_params(params, spec), checks.check_sample(x, spec)
        self._compiled.forward_with(self, params, x, checks.check_out("out", out, (spec.n_out,), spec))

    def train_step(self, x: NDArray, y: NDArray, state: TrainState) -> float:
        """Train on one sample or a batch; inside compiled code, a training loop of your own.

        Parameters
        ----------
        x : ndarray, shape (n, n_in) or (n_in,), of the network's dtype
            At most ``max_batch`` samples; contiguous.
        y : ndarray, shape (n, n_out) or (n_out,), of the network's dtype
            Their targets; or, beside a 2-D x and for a loss that takes them, class labels, shape (n,) of int64.
        state : fastnn.TrainState
            What is minimised how, and what is kept from step to step.

        Returns
        -------
        float
            The batch's loss before the step. Where it or the data are not finite nothing is changed, and it is NaN or
            infinite.

        Raises
        ------
        numba.TypingError, ValueError
            If an array is not what it must be.
        """
        if compiler_is_off():
            refuse("net.train_step")
        from fastnn.embed import training

        return training.train_step(self, x, y, state)

    @cached_property
    def _cfunctions(self) -> dict[str, CFunction]:
        return {}

    def cfunc(self, caller: str = "C") -> CFunction:
        """The network as a C function, for callers that know no Python.

        Parameters
        ----------
        caller : str
            Who calls it, which settles its signature:

            - "C": ``void f(const T *x, T *out)``, where T is double or float, as the network's dtype;
            - "quad": ``double f(int n, double *x)``, what `scipy.integrate.quad` and ``nquad`` integrate over the
              network's inputs; other numbers of variables give NaN;
            - "generic_filter": what `scipy.ndimage.generic_filter` takes, the inputs being the window's elements;
            - "generic_filter1d": likewise, the window being as long as the network has inputs;
            - "geometric_transform": what `scipy.ndimage.geometric_transform` takes, from places in the result to places
              in the source.

            All but the first are for float64 and, except for the last, one output. SciPy's optimizers and solvers of
            differential equations take no C functions.

        Returns
        -------
        CFunction
            Its ``address``, and its ``ctypes`` object, for ``scipy.LowLevelCallable(net.cfunc("quad").ctypes)``. Both
            serve as long as the network lives; changes of its parameters show.

        Raises
        ------
        ValueError
            If the network is so wide that its scratch does not belong on the stack, or not what the caller takes.
        """
        if compiler_is_off():
            refuse("net.cfunc")
        if caller not in self._cfunctions:
            self._cfunctions[caller] = self._compiled.cfunc(self, caller)
        return self._cfunctions[caller]
