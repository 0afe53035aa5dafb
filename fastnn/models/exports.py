"""What an `MLP` or an `Ensemble` can be turned into to run elsewhere."""

from __future__ import annotations

import re
from os import PathLike
from pathlib import Path

from numpy.typing import NDArray

from fastnn.checks import check_flag
from fastnn.models import files
from fastnn.settings import catalogue
from fastnn.settings.spec import NetworkSpec


class Exports:
    """The methods that write one network, or the mean and spread of many, for other languages and runtimes."""

    _spec: NetworkSpec
    _params: NDArray

    @property
    def _written(self) -> NDArray:
        """The parameters, of a member at least."""
        if not len(self._params):
            raise ValueError("an ensemble must have members to be written; this one has none")
        own = [name for name in self._spec.activations if name not in catalogue.ACTIVATIONS]
        if own:
            raise ValueError(f"activations must be fastnn's to be written, not the user's own; got {own[0]!r}")
        return self._params

    def to_onnx(self, path: str | PathLike[str]) -> None:
        """Write an ONNX file (extra ``onnx``), with input ``x`` (n, n_in) and output ``y`` (n, n_out).

        An ensemble's has two outputs, ``mean`` and ``spread``. The metadata hold a self-test under
        ``fastnn.self_test``: JSON of samples ``x``, their ``outputs``, of an ensemble the mean and beside it the
        spread, and by how much these may be off, ``allowed``.

        Raises
        ------
        ImportError
            If onnx is not installed.
        ValueError
            If the path does not end in ``.onnx``, or an ensemble has no members.
        OSError
            If the file cannot be written.

        Notes
        -----
        ONNX Runtime has not every activation for float64: a network of elu, selu, leaky_relu, softplus or gelu_tanh is
        for it best one of float32.
        """
        from fastnn.exchange import onnx_writing

        path = Path(path)
        if path.suffix != ".onnx":
            raise ValueError(f"path must end in .onnx; got {str(path)!r}")
        files.write_whole(path, onnx_writing.write(self._spec, self._written))

    def to_numpy_source(self) -> str:
        """The source of a Python module that needs NumPy alone.

        Returns
        -------
        str
            It has ``predict(X)``, of an ensemble a pair, mean and spread, and holds the weights exactly. Run as a
            program it checks itself.

        Raises
        ------
        ValueError
            If an ensemble has no members.
        """
        from fastnn.exchange import numpy_source

        return numpy_source.write(self._spec, self._written)

    def to_fortran(self, path: str | PathLike[str]) -> None:
        """Write a Fortran 2018 module of the file's name, whose subroutine is ``forward(x, out)``.

        Of an ensemble it is ``forward(x, mean, spread)``. The weights stand in it as bits, exactly. Compiled with
        ``-cpp -DSELF_TEST`` it is a program that checks itself.

        Parameters
        ----------
        path : path_like
            The file, such as ``surrogate.f90``.

        Raises
        ------
        ValueError
            If the path does not end in ``.f90`` after a name that Fortran can use, or an ensemble has no members.
        OSError
            If the file cannot be written.
        """
        from fastnn.exchange import fortran

        path = _code_path(path, ".f90")
        files.write_whole(path, fortran.write(self._spec, self._written, path.stem).encode())

    def to_c(self, path: str | PathLike[str], *, derivatives: bool = False) -> None:
        """Write one file of C99 and its header.

        The code allocates nothing and needs no library but libm; the weights stand in it exactly. Compiled with
        ``-DSELF_TEST`` it is a program that checks itself.

        Parameters
        ----------
        path : path_like
            The file, such as ``policy.c``; ``policy.h`` is written beside it, and the functions are
            ``policy_forward(x, out)``, of an ensemble ``policy_forward(x, mean, spread)``, and, with derivatives,
            ``policy_jvp(x, t, out)`` and ``policy_vjp(x, v, out)``.
        derivatives : bool
            Whether to write the products of the Jacobian, of an ensemble the mean's, with vectors, too.

        Raises
        ------
        ValueError
            If the path does not end in ``.c`` after a name that C can use, or an ensemble has no members.
        OSError
            If a file cannot be written.
        """
        from fastnn.exchange import c

        path = _code_path(path, ".c")
        source, header = c.write(self._spec, self._written, path.stem, check_flag("derivatives", derivatives))
        files.write_whole(path.with_suffix(".h"), header.encode())
        files.write_whole(path, source.encode())


def _code_path(path: str | PathLike[str], suffix: str) -> Path:
    """A path that ends so, after a name that the languages can use."""
    path = Path(path)
    if path.suffix != suffix or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,50}", path.stem):
        raise ValueError(f"path must be a name of letters, digits and _ that ends in {suffix}; got {str(path)!r}")
    return path
