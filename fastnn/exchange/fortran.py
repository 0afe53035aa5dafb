"""A network, or an ensemble, as a Fortran 2018 module that can check itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from textwrap import indent

import numpy as np
from numpy.typing import NDArray

from fastnn.exchange.contents import title, weights_and_biases
from fastnn.exchange.self_test import SAMPLES, SelfTest, self_test
from fastnn.settings.constants import GELU_FACTOR, GELU_FACTOR_CUBIC, LEAKY_SLOPE, SELU_SCALE, SELU_SCALE_ALPHA
from fastnn.settings.spec import NetworkSpec

#: Lines of a statement, of four numbers each; the standard allows 255 beside the first.
LINES = 250

#: The most numbers of a table that gfortran takes without being told to take more.
LARGEST = 65535

#: Each activation h of a number z, by intrinsic functions; min and max drop NaN, a comparison with it is false.
_FUNCTIONS: dict[str, str] = {
    "sigmoid": "h = exp(min(z, 0.0_wp)) / (1.0_wp + exp(-abs(z)))",
    "tanh": "h = tanh(z)",
    "relu": "h = merge(0.0_wp, z, z < 0.0_wp)",
    "leaky_relu": f"h = merge(z, {LEAKY_SLOPE!r}_wp * z, z > 0.0_wp)",
    "elu": "h = merge(expm1(min(z, 0.0_wp)), z, z <= 0.0_wp)",
    "selu": f"h = merge({SELU_SCALE_ALPHA!r}_wp * expm1(min(z, 0.0_wp)), {SELU_SCALE!r}_wp * z, z <= 0.0_wp)",
    "silu": "h = max(z, -1.0e4_wp) * (exp(min(z, 0.0_wp)) / (1.0_wp + exp(-abs(z))))",
    "softplus": "h = max(z, 0.0_wp) + log1p(exp(-abs(z)))",
    "gelu_tanh": f"""\
y = merge(max(-100.0_wp, min(100.0_wp, z)), z, abs(z) >= 0.0_wp)
    v = y * ({GELU_FACTOR!r}_wp + y * y * {GELU_FACTOR_CUBIC!r}_wp)
    h = max(z, -100.0_wp) * (exp(min(v, 0.0_wp)) / (1.0_wp + exp(-abs(v))))""",
    "exp": "h = exp(z)",
    "sin": "h = sin(z)",
}

#: Words of the declarations, which may be names as well.
_KEYWORDS = {"module", "use", "intrinsic", "only", "implicit", "none", "private", "public", "integer", "parameter"}

#: Intrinsic functions of the procedures.
_INTRINSICS = {
    *("abs", "atanh", "count", "exp", "log", "matmul", "max", "maxval"),
    *("merge", "min", "real", "sin", "sqrt", "sum", "tanh"),
}

_HELPERS = {
    "expm1": """\
  !> exp(x) - 1 without cancellation, for x of at most 0: 2 t / (1 - t) with t = tanh(x / 2)
  elemental function expm1(x) result(e)
    real(wp), intent(in) :: x
    real(wp) :: e, t
    t = tanh(0.5_wp * x)
    e = 2.0_wp * t / (1.0_wp - t)
  end function expm1
""",
    "log1p": """\
  !> log(1 + u) without cancellation, for u from 0 to 1: 2 artanh(u / (2 + u))
  elemental function log1p(u) result(l)
    real(wp), intent(in) :: u
    real(wp) :: l
    l = 2.0_wp * atanh(u / (2.0_wp + u))
  end function log1p
""",
}

_MEAN_AND_SPREAD = """\
  !> Mean of the members' outputs at x, and their spread, the standard deviation
  pure subroutine forward(x, mean, spread)
    real(wp), intent(in) :: x(n_in)
    real(wp), intent(out) :: mean(n_out), spread(n_out)
    real(wp) :: outputs(n_out, n_members)
    integer :: k
    do k = 1, n_members
      call forward_of(k, x, outputs(:, k))
    end do
    mean = sum(outputs, 2) / n_members
    do k = 1, n_members
      outputs(:, k) = (outputs(:, k) - mean)**2
    end do
    spread = sqrt(sum(outputs, 2) / n_members)
  end subroutine forward
"""


def write(spec: NetworkSpec, params: NDArray, name: str) -> str:
    """The source: see `MLP.to_fortran`.

    Raises
    ------
    ValueError
        If the module uses the name within, for itself or for an intrinsic function.
    """
    source = "\n".join(_source(spec, params, name)) + "\n"
    if name.lower() in _taken(source, name):
        raise ValueError(f"path must be a name that the module does not use within; got {name!r}")
    return source


def _taken(source: str, name: str) -> set[str]:
    """Names that a module of this name uses in its own scope, in lower case; what is local to a procedure may be it."""
    code = re.sub(rf"!.*|'.*?'|(?<=module ){name}$", "", source, flags=re.MULTILINE).lower()
    declarations, procedures = code.split("\ncontains\n", 1)
    declared = set(re.findall(r"[a-z]\w*", declarations)) - _KEYWORDS
    called = set(re.findall(r"\b(\w+)\(", procedures))
    defined = re.findall(r"\b(?:subroutine|function|use, intrinsic ::) (\w+)", procedures)
    return declared | called & _INTRINSICS | set(defined)


def _source(spec: NetworkSpec, params: NDArray, name: str) -> Iterator[str]:
    many, test = params.ndim == 2, self_test(spec, params)
    largest = max(test.x.size, test.outputs.size, *(W.size for W, _ in weights_and_biases(spec, params)))
    more = f" -fmax-array-constructor={largest}" if largest > LARGEST else ""
    yield f"""\
!> {title(spec, params)} Written by fastnn.
!
!  To check it: echo "use {name}; call self_test; end" > {name}_check.f90
!               gfortran -O2{more} {name}.f90 {name}_check.f90 -o check && ./check
module {name}
  use, intrinsic :: iso_fortran_env, only: {"int32, real32" if spec.dtype == "float32" else "int64, real64"}
  implicit none
  private
  public :: forward, self_test

  integer, parameter, public :: wp = {"real32" if spec.dtype == "float32" else "real64"}
  integer, parameter, public :: n_in = {spec.n_in}, n_out = {spec.n_out}{f", n_members = {len(params)}" if many else ""}
"""
    # A bit pattern is the one exact number that Fortran has a constant for.
    for l, (W, b) in enumerate(weights_and_biases(spec, params)):
        yield from _table(f"W{l}", W)
        if b is not None:
            yield from _table(f"b{l}", b)
    yield "contains\n"
    written = ["softplus" if name == "ascending" else name for name in _activations(spec)]
    used = [name for name in dict.fromkeys(written) if name not in ("identity", "softmax")]
    for helper, text in _HELPERS.items():
        if any(helper in _FUNCTIONS[name] for name in used):
            yield text
    for activation in used:
        further = ", y, v" if activation == "gelu_tanh" else ""
        yield f"""\
  elemental function {activation}_of(z) result(h)
    real(wp), intent(in) :: z
    real(wp) :: h{further}
    {_FUNCTIONS[activation]}
  end function {activation}_of
"""
    if many:
        yield _MEAN_AND_SPREAD
    yield from _forward(spec, many)
    yield from _self_test(spec, test, name)
    yield f"end module {name}"


def _activations(spec: NetworkSpec) -> list[str]:
    """Each layer's activation; a single output is in ascending order as it is, and compilers warn of empty loops."""
    return ["identity" if name == "ascending" and spec.n_out == 1 else name for name in spec.activations]


def _forward(spec: NetworkSpec, many: bool) -> Iterator[str]:
    """The outputs of the network, or of one of many."""
    if many:
        yield "  !> The outputs of one member at x\n  pure subroutine forward_of(member, x, out)"
        yield "    integer, intent(in) :: member"
    else:
        yield "  !> The outputs at x\n  pure subroutine forward(x, out)"
    yield "    real(wp), intent(in) :: x(n_in)\n    real(wp), intent(out) :: out(n_out)"
    for l, layer in enumerate(spec.layers[:-1]):
        yield f"    real(wp) :: h{l}({layer.n_out})"
    if "ascending" in _activations(spec):
        yield "    integer :: j"
    here = "x"
    for l, (layer, activation) in enumerate(zip(spec.layers, _activations(spec), strict=True)):
        there = "out" if l == spec.n_layers - 1 else f"h{l}"
        W, b = (f"W{l}(:, :, member)", f"b{l}(:, member)") if many else (f"W{l}", f"b{l}")
        yield f"    {there} = matmul({W}, {here})" + (f" + {b}" if spec.bias else "")
        if activation == "softmax":
            yield f"    {there} = exp({there} - maxval({there}))\n    {there} = {there} / sum({there})"
        elif activation == "ascending":
            yield f"    {there}(2:) = softplus_of({there}(2:))"
            yield f"    do j = 2, {layer.n_out}\n      {there}(j) = {there}(j) + {there}(j - 1)\n    end do"
        elif activation != "identity":
            yield f"    {there} = {activation}_of({there})"
        here = there
    yield f"  end subroutine {'forward_of' if many else 'forward'}\n"


def _table(name: str, array: NDArray) -> Iterator[str]:
    """An array's numbers as the integers of the same bits, in parts, as a statement has at most 256 lines.

    Dimensions are reversed on the way, as Fortran stores columns.
    """
    single = array.dtype == np.float32
    integer, real = ("int32", "real32") if single else ("int64", "real64")
    bits = np.ascontiguousarray(array).view(np.int32 if single else np.int64).ravel().tolist()
    sign = 31 if single else 63  # the bit of -0, an integer that the standard does not have
    texts = [f"{k}_{integer}" if k > -(2**sign) else f"ibset(0_{integer}, {sign})" for k in bits]
    parts = [texts[i : i + 4 * LINES] for i in range(0, len(texts), 4 * LINES)]
    for number, part in enumerate(parts):
        yield f"  integer({integer}), parameter :: {name}_{number}({len(part)}) = [ &\n    {_lines(part)}]"
    joined = _lines([f"{name}_{number}" for number in range(len(parts))], 7)
    shape = ", ".join(str(n) for n in array.shape[::-1])
    numbers = f"transfer([ &\n    {joined}], [0.0_{real}])"
    value = numbers if array.ndim == 1 else f"reshape({numbers}, [{shape}])"
    yield f"  real({real}), parameter :: {name}({shape}) = {value}\n"


def _lines(items: list[str], each: int = 4) -> str:
    return ", &\n    ".join(", ".join(items[i : i + each]) for i in range(0, len(items), each))


def _self_test(spec: NetworkSpec, test: SelfTest, name: str) -> Iterator[str]:
    n = test.outputs.shape[1]
    outputs = "out" if n == spec.n_out else "out(:n_out), out(n_out + 1:)"
    yield """\
  !> Says how many outputs are wrong, and stops the program if any is
  subroutine self_test()
    use, intrinsic :: iso_fortran_env, only: int64, real64
    use, intrinsic :: ieee_arithmetic, only: ieee_is_nan
    ! Inputs, their outputs, and by how much these may be off."""
    for table, array in (("inputs", test.x), ("expected", test.outputs), ("allowed", test.allowed)):
        yield from (indent(text, "  ") for text in _table(table, array))
    yield f"""\
    real(wp) :: out({n})
    real(real64) :: got({n})
    integer :: i, wrong
    wrong = 0
    do i = 1, {SAMPLES}
      call forward(inputs(:, i), {outputs})
      got = real(out, real64)
      wrong = wrong + count(.not. (abs(got - expected(:, i)) <= allowed(:, i) .or. same(got, expected(:, i))))
    end do
    print '(a, i0, a)', '{name}: ', wrong, ' of {SAMPLES * n} outputs are wrong'
    if (wrong > 0) error stop
  contains
    !> Whether two numbers are the same, infinite or NaN, too
    elemental logical function same(a, b)
      real(real64), intent(in) :: a, b
      same = (a >= b .and. a <= b) .or. (ieee_is_nan(a) .and. ieee_is_nan(b))
    end function same
  end subroutine self_test"""
