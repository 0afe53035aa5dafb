"""The derivatives of a network: with respect to its inputs, along a direction, and with respect to its parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import ArrayLike, NDArray

from fastnn import checks
from fastnn.settings import own
from fastnn.settings.spec import NetworkSpec


class Derivatives:
    """The derivatives of an `MLP`; the same methods can be called inside ``@njit``."""

    _spec: NetworkSpec
    _params: NDArray[Any]
    _methods: Any

    # ---------------------------------------------------------------- with respect to the inputs
    def jacobian(
        self, x: ArrayLike, out: NDArray[Any], jac: NDArray[Any], workspace: NDArray[Any] | None = None
    ) -> None:
        """Write the outputs and their derivatives with respect to the inputs.

        Parameters
        ----------
        x : array_like, shape (n_in,) or (n, n_in)
            One sample, or several.
        out : ndarray, shape (n_out,) or (n, n_out), of the network's dtype
            Receives the outputs.
        jac : ndarray, shape (n_out, n_in) or (n, n_out, n_in), of the network's dtype
            Receives the derivatives.
        workspace : ndarray, optional
            For wide networks inside compiled code, as in `MLP.workspace`; from Python it must be left out.

        Raises
        ------
        TypeError, ValueError
            If an array has the wrong shape or dtype; or if one to write to is not writable, or shares its memory with
            another argument or the parameters.
        """
        self._refuse_workspace(workspace)
        spec = self._spec
        x, rows = self._samples(x)
        self._check_written({"out": (out, (*rows, spec.n_out)), "jac": (jac, (*rows, spec.n_out, spec.n_in))}, x=x)
        self._methods.jacobian(self, x, out, jac)

    def vjp(
        self,
        x: ArrayLike,
        v: ArrayLike,
        out: NDArray[Any],
        workspace: NDArray[Any] | None = None,
        grad: NDArray[Any] | None = None,
    ) -> None:
        """Write ``v^T J``, where J is the Jacobian at a sample: the gradient of ``v^T outputs``.

        Parameters
        ----------
        x : array_like, shape (n_in,)
            The sample.
        v : array_like, shape (n_out,)
            Factors of the outputs.
        out : ndarray, shape (n_in,), of the network's dtype
            Receives the product.
        workspace : ndarray, optional
            For wide networks inside compiled code, as in `MLP.workspace`; from Python it must be left out.
        grad : ndarray, shape (n_params,), of the network's dtype, optional
            The gradient with respect to the parameters is added to it in the same pass, as `vjp_params` does.

        Raises
        ------
        TypeError, ValueError
            As in `jacobian`.
        """
        self._refuse_workspace(workspace)
        spec = self._spec
        x, v = checks.check_sample(x, spec), self._vector("v", v, spec.n_out)
        written = {"out": (out, (spec.n_in,))}
        if grad is not None:
            written["grad"] = grad, (spec.n_params,)
        self._check_written(written, x=x, v=v)
        self._methods.vjp(self, x, v, out, grad)

    def jvp(self, x: ArrayLike, t: ArrayLike, out: NDArray[Any], workspace: NDArray[Any] | None = None) -> None:
        """Write ``J t``, where J is the Jacobian at a sample: the derivative of the outputs along `t`.

        Parameters
        ----------
        x, t : array_like, shape (n_in,)
            The sample, and the direction.
        out : ndarray, shape (n_out,), of the network's dtype
            Receives the product.
        workspace : ndarray, optional
            For wide networks inside compiled code, as in `MLP.workspace`; from Python it must be left out.

        Raises
        ------
        TypeError, ValueError
            As in `jacobian`.
        """
        self._refuse_workspace(workspace)
        spec = self._spec
        x, t = checks.check_sample(x, spec), self._vector("t", t, spec.n_in)
        self._check_written({"out": (out, (spec.n_out,))}, x=x, t=t)
        self._methods.jvp(self, x, t, out)

    # ---------------------------------------------------------------- of second order
    def hessian(
        self, x: ArrayLike, h: NDArray[Any], workspace: NDArray[Any] | None = None, v: ArrayLike | None = None
    ) -> None:
        """Write the second derivatives of ``v^T outputs`` with respect to the inputs.

        Parameters
        ----------
        x : array_like, shape (n_in,)
            The sample.
        h : ndarray, shape (n_in, n_in), of the network's dtype
            Receives the second derivatives.
        workspace : ndarray, optional
            For wide networks inside compiled code, as in `MLP.workspace`; from Python it must be left out.
        v : array_like, shape (n_out,), optional
            Factors of the outputs; needed unless the network has one output.

        Raises
        ------
        TypeError, ValueError
            As in `jacobian`, or if `v` is left out for several outputs, or an activation of your own lacks its second
            derivative.
        """
        self._refuse_workspace(workspace)
        self._require_derivatives(2)
        spec = self._spec
        if v is None and spec.n_out != 1:
            raise ValueError(f"v must say which outputs, as the network has {spec.n_out}; got None")
        x, v = checks.check_sample(x, spec), None if v is None else self._vector("v", v, spec.n_out)
        self._check_written({"h": (h, (spec.n_in, spec.n_in))}, x=x, v=v)
        self._methods.hessian(self, x, h, v)

    def hvp(
        self, x: ArrayLike, v: ArrayLike, t: ArrayLike, out: NDArray[Any], workspace: NDArray[Any] | None = None
    ) -> None:
        """Write the derivative of ``v^T J`` along `t`: the Hessian of ``v^T outputs`` times `t`.

        Parameters
        ----------
        x : array_like, shape (n_in,)
            The sample.
        v : array_like, shape (n_out,)
            Factors of the outputs.
        t : array_like, shape (n_in,)
            The direction.
        out : ndarray, shape (n_in,), of the network's dtype
            Receives the product.
        workspace : ndarray, optional
            For wide networks inside compiled code, as in `MLP.workspace`; from Python it must be left out.

        Raises
        ------
        TypeError, ValueError
            As in `jacobian`, or if an activation of your own lacks its second derivative.
        """
        self._refuse_workspace(workspace)
        self._require_derivatives(2)
        spec = self._spec
        x, v, t = checks.check_sample(x, spec), self._vector("v", v, spec.n_out), self._vector("t", t, spec.n_in)
        self._check_written({"out": (out, (spec.n_in,))}, x=x, v=v, t=t)
        self._methods.hvp(self, x, v, t, out)

    def taylor(
        self,
        x: ArrayLike,
        t: ArrayLike,
        out: NDArray[Any],
        slope: NDArray[Any],
        curvature: NDArray[Any] | None = None,
        workspace: NDArray[Any] | None = None,
    ) -> None:
        """Write u, du/ds and d2u/ds2 at s = 0, where u(s) are the outputs at ``x + s t``.

        Parameters
        ----------
        x, t : array_like, shape (n_in,)
            The sample, and the direction.
        out, slope : ndarray, shape (n_out,), of the network's dtype
            Receive the outputs, and their derivatives.
        curvature : ndarray, shape (n_out,), of the network's dtype, optional
            Receives the second derivatives.
        workspace : ndarray, optional
            For wide networks inside compiled code, as in `MLP.workspace`; from Python it must be left out.

        Raises
        ------
        TypeError, ValueError
            As in `jacobian`, or if an activation of your own lacks its second derivative, which the curvature needs.
        """
        self._refuse_workspace(workspace)
        self._require_derivatives(1 if curvature is None else 2)
        spec = self._spec
        x, t = checks.check_sample(x, spec), self._vector("t", t, spec.n_in)
        written = {"out": (out, (spec.n_out,)), "slope": (slope, (spec.n_out,))}
        if curvature is not None:
            written["curvature"] = curvature, (spec.n_out,)
        self._check_written(written, x=x, t=t)
        self._methods.taylor(self, x, t, out, slope, curvature)

    # ---------------------------------------------------------------- with respect to the parameters
    def vjp_params(self, x: ArrayLike, v: ArrayLike, grad: NDArray[Any], workspace: NDArray[Any] | None = None) -> None:
        """Add the derivative of ``v^T outputs`` with respect to the parameters, over all samples, to `grad`.

        Parameters
        ----------
        x : array_like, shape (n_in,) or (n, n_in)
            One sample, or several.
        v : array_like, shape (n_out,) or (n, n_out)
            Factors of the outputs of each sample, such as the derivative of a loss with respect to them.
        grad : ndarray, shape (n_params,), of the network's dtype
            The derivative is added to it. In the order of ``net.params``, but not that array itself.
        workspace : ndarray, optional
            For wide networks inside compiled code, as in `MLP.workspace`; from Python it must be left out.

        Raises
        ------
        TypeError, ValueError
            As in `jacobian`.
        """
        self._refuse_workspace(workspace)
        x, rows = self._samples(x)
        v = checks.check_numbers("v", v, (*rows, self._spec.n_out), self._spec)
        self._check_written({"grad": (grad, (self._spec.n_params,))}, x=x, v=v)
        self._methods.vjp_params(self, x, v, grad)

    def taylor_vjp_params(
        self,
        x: ArrayLike,
        t: ArrayLike,
        v: ArrayLike,
        v_slope: ArrayLike,
        v_curvature: ArrayLike | None,
        grad: NDArray[Any],
        workspace: NDArray[Any] | None = None,
    ) -> None:
        """Add the derivative of ``v^T u + v_slope^T du/ds + v_curvature^T d2u/ds2`` with respect to the parameters.

        Parameters
        ----------
        x, t : array_like, shape (n_in,)
            The sample, and the direction, as in `taylor`.
        v, v_slope, v_curvature : array_like, shape (n_out,)
            Factors of the outputs, their slopes and their curvatures. None for `v_curvature` leaves curvatures out.
        grad : ndarray, shape (n_params,), of the network's dtype
            The derivative is added to it.
        workspace : ndarray, optional
            For wide networks inside compiled code, as in `MLP.workspace`; from Python it must be left out.

        Raises
        ------
        TypeError, ValueError
            As in `jacobian`, or if an activation of your own lacks its second derivative, or its third for curvatures.
        """
        self._refuse_workspace(workspace)
        self._require_derivatives(2 if v_curvature is None else 3)
        spec = self._spec
        x, t = checks.check_sample(x, spec), self._vector("t", t, spec.n_in)
        v, v_slope = self._vector("v", v, spec.n_out), self._vector("v_slope", v_slope, spec.n_out)
        if v_curvature is not None:
            v_curvature = self._vector("v_curvature", v_curvature, spec.n_out)
        gradient = {"grad": (grad, (spec.n_params,))}
        self._check_written(gradient, x=x, t=t, v=v, v_slope=v_slope, v_curvature=v_curvature)
        self._methods.taylor_vjp_params(self, x, t, v, v_slope, v_curvature, grad)

    # ---------------------------------------------------------------- checks
    def _vector(self, argument: str, value: ArrayLike, length: int) -> NDArray[Any]:
        """An array of the network's dtype and this length."""
        return checks.check_numbers(argument, value, (length,), self._spec)

    def _samples(self, x: ArrayLike) -> tuple[NDArray[Any], tuple[int, ...]]:
        """One sample or several, and the leading dimension that several add to a shape."""
        x = checks.check_samples(x, self._spec)
        return x, x.shape[:-1]

    def _refuse_workspace(self, workspace: Any) -> None:
        """From Python none is needed: what stands in its place was meant for another argument."""
        if not self._methods.as_inside:
            checks.check_no_workspace(workspace)

    def _require_derivatives(self, order: int) -> None:
        """Refuse activations of the user's own without derivatives of this order."""
        lacks = own.lacking(self._spec.activations, order)
        if lacks is not None:
            raise ValueError(lacks)

    def _check_out(self, name: str, array: Any, shape: tuple[int, ...]) -> NDArray[Any]:
        """Check an array to write to, whose numbers may lie apart as inside compiled code, but those of a gradient."""
        strided = self._methods.as_inside and name != "grad"
        return checks.check_out(name, array, shape, self._spec, strided=strided)

    def _check_written(
        self, written: Mapping[str, tuple[NDArray[Any], tuple[int, ...]]], **read: ArrayLike | None
    ) -> None:
        """Check arrays to write to, each with its shape: each lies apart from the others and the parameters."""
        for name, (array, shape) in written.items():
            self._check_out(name, array, shape)
        for name, (array, _) in written.items():
            checks.check_apart(**{name: array}, params=self._params, **read)
            read[name] = array
