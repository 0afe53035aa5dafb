"""The methods that take one sample, which a network also has inside compiled code.

They call what `fastnn.embed` compiles, once for a spec, and keeps on disk.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastnn import checks
from fastnn.kernels.jit.importing import importing_numba
from fastnn.kernels.jit.turned_off import compiler_is_off, refuse
from fastnn.models import domain
from fastnn.models.derivatives import Derivatives
from fastnn.models.in_domain import respect_domain
from fastnn.settings.methods import METHODS

if TYPE_CHECKING:
    from fastnn.embed.cfunction import CFunction
    from fastnn.embed.training import TrainState


class SingleSample(Derivatives):
    """The methods of an `MLP` that take one sample; the same ones can be called inside ``@njit``."""

    numba_type: Any
    _outside: str

    @property
    def _numba_type_(self) -> Any:  # what Numba asks for when the network is an argument
        return self.numba_type

    @cached_property
    def _methods(self) -> Any:
        if compiler_is_off():
            from fastnn.reference.one_sample import NumpyMethods

            return NumpyMethods(self._spec, respect_domain)
        with importing_numba():
            from fastnn.embed import from_python
        return from_python.CompiledMethods(self._spec)

    def workspace(self, method: str = "forward") -> NDArray[Any]:
        """Allocate scratch for a method of a wide network, for the calls of one thread inside compiled code.

        Parameters
        ----------
        method : str
            The method to be called: ``"forward"``, ``"jacobian"``, ``"vjp"``, ``"jvp"``, ``"hessian"``, ``"hvp"``,
            ``"taylor"``, ``"vjp_params"`` or ``"taylor_vjp_params"``. Use ``"forward"`` for ``forward_with`` and
            ``__call__`` too, and ``"vjp_params"`` for ``vjp`` with a `grad`.

        Returns
        -------
        ndarray, 1-D, of the network's dtype

        Raises
        ------
        TypeError, ValueError
            If `method` is none of these.
        """
        checks.check_name("method", method, METHODS)
        return self._methods.workspace(method)

    def forward(self, x: ArrayLike, out: NDArray[Any], workspace: NDArray[Any] | None = None) -> None:
        """Write the outputs for one sample; inside compiled code also for several, a row each of `x` and `out`.

        Parameters
        ----------
        x : array_like, shape (n_in,)
            The sample.
        out : ndarray, shape (n_out,), of the network's dtype
            Receives the outputs.
        workspace : ndarray, optional
            For wide networks inside compiled code, as in `MLP.workspace`; from Python it must be left out.

        Raises
        ------
        TypeError, ValueError
            If an array has the wrong type or shape, or `x` lies outside the domain of a network made by
            ``with_domain(..., outside="raise")``.
        """
        self._refuse_workspace(workspace)
        spec = self._spec
        if self._methods.as_inside and (X := checks.check_samples(x, spec)).ndim == 2:  # as inside compiled code
            out = checks.check_out("out", out, (len(X), spec.n_out), spec, strided=True)
            checks.check_apart(out=out, x=X, params=self._params)
            self._methods.forward(self, X, out)
            return
        x, out = checks.check_sample(x, spec), self._check_out("out", out, (spec.n_out,))
        checks.check_apart(out=out, params=self._params)
        self._methods.forward(self, x, out)

    def __call__(self, x: ArrayLike) -> NDArray[Any]:
        """Return the outputs, shape (n_out,), for one sample `x`, shape (n_in,); raises as `forward`.

        Inside compiled code it takes several samples, too, as `forward` does.
        """
        if self._methods.as_inside and (X := checks.check_samples(x, self._spec)).ndim == 2:
            outputs = np.empty((len(X), self._spec.n_out), self._spec.dtype)
            self.forward(X, outputs)
            return outputs
        out = np.empty(self._spec.n_out, self._spec.dtype)
        self._methods.forward(self, checks.check_sample(x, self._spec), out)
        return out

    def forward_with(
        self, params: ArrayLike, x: ArrayLike, out: NDArray[Any], workspace: NDArray[Any] | None = None
    ) -> None:
        """Write the outputs that a network of the same spec with other parameters has for one sample.

        Parameters
        ----------
        params : array_like, shape (n_params,)
            The other network's parameters, in the order of `MLP.params`.
        x, out, workspace
            As in `forward`.

        Raises
        ------
        TypeError, ValueError
            As in `forward`, or if `params` has the wrong type or shape.
        """
        self._refuse_workspace(workspace)
        spec = self._spec
        params, x = checks.check_params(params, spec), checks.check_sample(x, spec)
        checks.check_apart(out=self._check_out("out", out, (spec.n_out,)), params=params)
        checks.check_apart(out=out, params=self._params)
        self._methods.forward_with(self, params, x, out)

    def train_step(self, x: NDArray[Any], y: NDArray[Any], state: TrainState) -> float:
        """Take one training step on a sample or a batch, in a training loop of your own.

        Parameters
        ----------
        x : ndarray, shape (n, n_in) or (n_in,), of the network's dtype
            At most ``max_batch`` samples; contiguous.
        y : ndarray, shape (n, n_out) or (n_out,), of the network's dtype
            Their targets; or, with a 2-D x and a loss that takes them, class labels, shape (n,) of int64.
        state : fastnn.TrainState
            The loss, the optimizer, and what the optimizer keeps from step to step.

        Returns
        -------
        float
            The batch's loss before the step. If the loss or the data are not finite, nothing is changed and the result
            is NaN or infinite.

        Raises
        ------
        TypeError, numba.TypingError, ValueError
            If an array has the wrong type or shape, the loss is not defined for y, or the parameters are read-only.
        RuntimeError
            If Numba's compiler is turned off.
        """
        if compiler_is_off():
            refuse("net.train_step")
        from fastnn.embed import steps

        checks.check_plain(x=x, y=y, state=state)
        checks.check_trained_params(self)
        for name, array in {"x": x, "y": y}.items():
            if isinstance(array, np.ndarray):
                checks.check_apart(**{name: array}, params=self._params)
        try:
            return steps.train_step(self, x, y, state)
        except ValueError as error:  # whose text compiled code cannot make
            shapes = f"x of shape {x.shape} and y of shape {y.shape}"
            sums = f" and sums from {y.sum(axis=-1).min():g} to {y.sum(axis=-1).max():g}" if "sum" in str(error) else ""
            came = shapes if "shape" in str(error) else f"numbers from {np.nanmin(y):g} to {np.nanmax(y):g}{sums}"
            raise ValueError(f"{error}; got {came}") from None

    @cached_property
    def _cfunctions(self) -> dict[str, CFunction]:
        return {}

    def cfunc(self, caller: str = "C") -> CFunction:
        """Compile the network into a C function, for callers outside Python.

        Parameters
        ----------
        caller : str
            The caller, which decides the signature:

            - "C": ``void f(const T *x, T *out)``, where T is double or float, like the network's dtype;
            - "quad": ``double f(int n, double *x)``, which `scipy.integrate.quad` and ``nquad`` integrate over the
              network's inputs; a wrong number of variables gives NaN;
            - "generic_filter": for `scipy.ndimage.generic_filter`, with the elements of the window as inputs;
            - "generic_filter1d": likewise, with a window as long as the network has inputs;
            - "geometric_transform": for `scipy.ndimage.geometric_transform`, from coordinates in the result to
              coordinates in the source.

            All but "C" need float64, and all but "C" and "geometric_transform" a single output. SciPy's optimizers and
            differential-equation solvers do not take C functions.

        Returns
        -------
        CFunction
            Its ``address``, and its ``ctypes`` object, for ``scipy.LowLevelCallable(net.cfunc("quad").ctypes)``. Both
            are valid as long as the network lives, and see changes of its parameters.

        Raises
        ------
        TypeError, ValueError
            If `caller` is none of these, or the network is too wide for its scratch to lie on the stack, is not what
            the caller needs, or does something of its own outside its domain.
        RuntimeError
            If Numba's compiler is turned off.
        """
        domain.check_forgettable(self._outside)
        if compiler_is_off():
            refuse("net.cfunc")
        known = self._cfunctions
        if not isinstance(caller, str) or caller not in known:
            known[caller] = self._methods.cfunc(self, caller)
        return known[caller]
