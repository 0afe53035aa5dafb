"""The methods by which an `MLP` or an `Ensemble` is written out, to run elsewhere."""

from __future__ import annotations

import re
from os import PathLike
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from fastnn.checks import check_flag
from fastnn.models import domain
from fastnn.models.reading import path_of
from fastnn.models.writing import write_together, write_whole
from fastnn.settings import catalogue, own
from fastnn.settings.spec import NetworkSpec


class Exports:
    """Writes one network, or the mean and spread of many, for other languages and runtimes."""

    _spec: NetworkSpec
    _params: NDArray[Any]
    _outside: str = "ignore"

    @property
    def _params_to_write(self) -> NDArray[Any]:
        """The parameters, of at least one member."""
        domain.check_forgettable(self._outside)
        if not len(self._params):
            raise ValueError("an ensemble must have members to be written; this one has none")
        for name in self._spec.activations:
            if not catalogue.activation_of(name).exported:
                kind = "only computed here" if name in catalogue.ACTIVATIONS else "a function of your own"
                raise ValueError(
                    f"activations must be known to other languages to be written; {own.plain_name(name)!r} is {kind}: "
                    "train with another, or write net.weights, net.biases and the function yourself"
                )
        return self._params

    def to_onnx(self, path: str | PathLike[str]) -> None:
        """Write an ONNX file (extra ``onnx``), with input ``x`` (n, n_in) and output ``y`` (n, n_out).

        An ensemble has two outputs, ``mean`` and ``spread``. The metadata contain a self-test under
        ``fastnn.self_test``: JSON with samples ``x``, their ``outputs`` (for an ensemble the means, then the spreads),
        and the error ``allowed`` in each; what JSON lacks is a text, "Infinity", "-Infinity" or "NaN".

        Parameters
        ----------
        path : path_like
            The file, whose name ends in ``.onnx``.

        Raises
        ------
        ImportError
            If onnx is not installed.
        TypeError, ValueError
            If `path` is not a path that ends in ``.onnx``, an ensemble has no members, or a network has an activation
            of your own or does something of its own outside its domain.
        OSError
            If the file cannot be written.

        Notes
        -----
        ONNX Runtime lacks some activations in float64: to run there, a network with elu, selu, leaky_relu, softplus or
        gelu_tanh is best a float32 one. The standard has the constants of selu, leaky_relu and gelu_tanh in float32:
        of a float64 network their values may be off by 1e-7 of them elsewhere, which the self-test allows.
        """
        from fastnn.exchange import onnx_writing

        path = path_of(path)
        if path.suffix != ".onnx":
            raise ValueError(f"path must end in .onnx; got {str(path)!r}")
        write_whole(path, onnx_writing.write(self._spec, self._params_to_write))

    def to_numpy_source(self) -> str:
        """Write the source of a Python module that needs only NumPy.

        Returns
        -------
        str
            It defines ``predict(X)``, which for an ensemble returns the mean and the spread, and holds the weights
            exactly. Run as a program, it checks itself.

        Raises
        ------
        ValueError
            If an ensemble has no members, or a network has an activation of your own or does something of its own
            outside its domain.
        """
        from fastnn.exchange import numpy_source

        return numpy_source.write(self._spec, self._params_to_write)

    def to_fortran(self, path: str | PathLike[str]) -> None:
        """Write a Fortran 2018 module, named like the file, with a subroutine ``forward(x, out)``.

        For an ensemble it is ``forward(x, mean, spread)``. The weights are written as bit patterns, exactly. Its
        subroutine ``self_test`` checks it: it says how many outputs are wrong, and stops the program if any is.

        Parameters
        ----------
        path : path_like
            The file, such as ``surrogate.f90``.

        Raises
        ------
        TypeError, ValueError
            If `path` is not a valid Fortran name followed by ``.f90``, the module uses that name within, an ensemble
            has no members, or a network has an activation of your own or does something of its own outside its domain.
        OSError
            If the file cannot be written.
        """
        from fastnn.exchange import fortran

        path = _code_path(path, ".f90")
        write_whole(path, fortran.write(self._spec, self._params_to_write, path.stem).encode())

    def to_c(self, path: str | PathLike[str], *, derivatives: bool = False) -> None:
        """Write a C99 file and its header.

        The code allocates nothing and needs no library but libm; it holds the weights exactly. Compiled with
        ``-DSELF_TEST``, the file is a program that checks itself.

        Parameters
        ----------
        path : path_like
            The file, such as ``policy.c``. The header ``policy.h`` is written beside it. The functions are
            ``policy_forward(x, out)``, or ``policy_forward(x, mean, spread)`` for an ensemble, and with derivatives
            ``policy_jvp(x, t, out)`` and ``policy_vjp(x, v, out)``.
        derivatives : bool
            Whether to write the Jacobian's products with vectors as well; for an ensemble, those of the mean.

        Raises
        ------
        TypeError, ValueError
            If `path` is not a valid C name followed by ``.c``, is named like a header of the standard library, an
            ensemble has no members, or a network has an activation of your own or does something of its own outside its
            domain.
        OSError
            If a file cannot be written; then neither is.
        """
        from fastnn.exchange import c

        path = _code_path(path, ".c")
        source, header = c.write(self._spec, self._params_to_write, path.stem, check_flag("derivatives", derivatives))
        write_together({path: source.encode(), path.with_suffix(".h"): header.encode()})


def _code_path(path: str | PathLike[str], suffix: str) -> Path:
    """The path, checked to be a name that these languages can use, with this suffix."""
    path = path_of(path)
    if path.suffix != suffix or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,50}", path.stem):
        raise ValueError(
            f"path must be a name of at most 51 letters, digits and _, a letter first, that ends in {suffix}; "
            f"got {str(path)!r}"
        )
    return path
