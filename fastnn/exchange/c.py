"""A network, or an ensemble, as one file of C99 and its header: no allocation, no library but libm."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from math import isinf, isnan

import numpy as np
from numpy.typing import NDArray

from fastnn.exchange import c_functions, c_members
from fastnn.exchange.c_members import INDEX, NO_INDEX, MemberIndex
from fastnn.exchange.contents import title, weights_and_biases
from fastnn.exchange.self_test import SAMPLES, SelfTest, self_test
from fastnn.settings.spec import Layer, NetworkSpec

#: Names of the standard library's headers: a file of that name could be included in its place.
HEADERS = (
    "assert|complex|ctype|errno|fenv|float|inttypes|iso646|limits|locale|math|setjmp|signal|stdalign|stdarg|stdatomic|"
    "stdbool|stddef|stdint|stdio|stdlib|stdnoreturn|string|tgmath|threads|time|uchar|wchar|wctype"
)

#: Sums in which one output's terms are taken.
_PARTS = 16


def write(spec: NetworkSpec, params: NDArray, name: str, derivatives: bool) -> tuple[str, str]:
    """Source and header: see `MLP.to_c`.

    Raises
    ------
    ValueError
        If the name is that of a header of the standard library.
    """
    if re.fullmatch(HEADERS, name, re.IGNORECASE):
        raise ValueError(f"path must not be named like a header of the standard library's; got {name!r}")
    return "\n".join(_source(spec, params, name, derivatives)) + "\n", _header(spec, params, name, derivatives)


def _real(spec: NetworkSpec) -> str:
    return {"float32": "float", "float64": "double"}[spec.dtype]


def _header(spec: NetworkSpec, params: NDArray, name: str, derivatives: bool) -> str:
    real, n_in, n_out = _real(spec), f"{name.upper()}_N_IN", f"{name.upper()}_N_OUT"
    if params.ndim == 1:
        what, each, members, outputs = "outputs", "", "", f"{real} *out"
    else:
        what, each = "mean of the members' outputs and their spread, the standard deviation", " each"
        members = f"#define {name.upper()}_N_MEMBERS {len(params)}\n"
        outputs = f"{real} *mean, {real} *spread"
    said = (
        f"/* The {what}, {n_out} numbers{each}, at x, {n_in} numbers. "
        "No two arrays may overlap, here and below; every function may run on any number of threads. */"
    )
    comment = textwrap.fill(said, 79, subsequent_indent="   ", break_long_words=False)
    of = "outputs" if params.ndim == 1 else "mean"
    more = f"""
/* The derivative of the {of} at x along t, as long as x. */
void {name}_jvp(const {real} *x, const {real} *t, {real} *out);

/* The gradient, as long as x, of the sum of the {of} at x, each times its v. */
void {name}_vjp(const {real} *x, const {real} *v, {real} *out);
"""
    return f"""\
/* {title(spec, params)} Written by fastnn. */
#ifndef {name.upper()}_H
#define {name.upper()}_H

#define {n_in} {spec.n_in}
#define {n_out} {spec.n_out}
{members}
#ifdef __cplusplus
extern "C" {{
#endif

{comment}
void {name}_forward(const {real} *x, {outputs});
{more if derivatives else ""}
#ifdef __cplusplus
}}
#endif

#endif
"""


def _source(spec: NetworkSpec, params: NDArray, name: str, derivatives: bool) -> Iterator[str]:
    single = spec.dtype == "float32"
    yield f"""\
/* See {name}.h. To check that the compiler kept the arithmetic as it stands:

       cc -std=c99 -O3 -DSELF_TEST {name}.c -lm -o self_test && ./self_test

   It must not reorder sums: no -ffast-math. */
#include "{name}.h"

#include <math.h>
#include <stdint.h>

typedef {_real(spec)} real;
typedef uint{32 if single else 64}_t word;
#define R(number) number{"##f" if single else ""}

enum {{ WIDEST = {max(spec.sizes)} }};
"""
    functions = c_functions.sources(_functions_of(spec, derivatives), spec.dtype)
    if functions:
        yield functions + "\n"
    for l, (W, b) in enumerate(weights_and_biases(spec, params)):
        yield _table(f"W{l}", W)
        if b is not None:
            yield _table(f"b{l}", b)
    if derivatives or not spec.bias:
        yield "static const real zeros[WIDEST];\n"
    index = NO_INDEX if params.ndim == 1 else INDEX
    for l, layer in enumerate(spec.layers):
        yield from _product(l, layer, index)
    if spec.output_activation == "softmax":
        yield _SOFTMAX
    yield from _forward(spec, name, index)
    if derivatives:
        yield from _derivatives(spec, name, index)
    if index is INDEX:
        yield from c_members.forward(spec, name, len(params))
        if derivatives:
            yield from c_members.derivative(name, "jvp", len(params), "t", spec.n_out)
            yield from c_members.derivative(name, "vjp", len(params), "v", spec.n_in)
    yield _self_test(spec, name, self_test(spec, params))


def _functions_of(spec: NetworkSpec, derivatives: bool) -> list[str]:
    """The functions of one number that a network calls, by their names in `c_functions`."""
    calls = {"softmax": "exp", "ascending": "softplus"}
    used = {name for name in spec.activations if name != "identity"}
    functions = sorted({calls.get(name, name) for name in used})
    slopes = {calls.get(name, name) for name in used if name != "softmax"}
    return functions + (sorted(f"{name}_slope" for name in slopes) if derivatives else [])


def _table(name: str, array: NDArray) -> str:
    """An array with every number exact."""
    return f"static const real {name}{''.join(f'[{n}]' for n in array.shape)} = {_braces(array)};\n"


def _braces(array: NDArray) -> str:
    if array.ndim == 1:
        return "{" + ", ".join(map(_exact, array.tolist())) + "}"
    return "{" + ",\n    ".join(_braces(part) for part in array) + "}"


def _exact(x: float) -> str:
    if isnan(x):
        return "NAN"
    if isinf(x):
        return "INFINITY" if x > 0 else "-INFINITY"
    return f"R({x.hex()})"


# ---------------------------------------------------------------- products
def _product(l: int, layer: Layer, index: MemberIndex) -> Iterator[str]:
    """``z = x W + b``."""
    n_in, n_out, W = layer.n_in, layer.n_out, f"W{l}{index.subscript}"
    arrays = "const real *restrict x, const real *restrict b, real *restrict z"
    yield f"static void product_{l}({index.parameter}{arrays})\n{{"
    if n_out == 1:
        yield _dot(n_in, f"x[@] * {W}[@][0]", "z[0]", "b[0] + ")
    else:  # two inputs at a time, for half as many loads and stores of the sums
        odd = n_in % 2
        yield f"    for (int j = 0; j < {n_out}; ++j) z[j] = b[j]{f' + x[0] * {W}[0][j]' if odd else ''};"
        if n_in > 1:
            yield f"    for (int i = {odd}; i < {n_in}; i += 2)"
            yield f"        for (int j = 0; j < {n_out}; ++j) z[j] += x[i] * {W}[i][j] + x[i + 1] * {W}[i + 1][j];"
    yield "}\n"


def _dot(n: int, term: str, target: str, start: str = "", indent: str = "    ") -> str:
    """A sum of n terms, in parts whose terms lie side by side."""
    whole, lines = n - n % _PARTS, []
    if whole:
        lines = [
            f"real sums[{_PARTS}] = {{R(0.0)}};",
            f"for (int i = 0; i < {whole}; i += {_PARTS})",
            f"    for (int k = 0; k < {_PARTS}; ++k) sums[k] += {term.replace('@', 'i + k')};",
            *(f"for (int k = 0; k < {half}; ++k) sums[k] += sums[k + {half}];" for half in (8, 4, 2, 1)),
        ]
    lines.append(f"real sum = {start}{'sums[0]' if whole else 'R(0.0)'};")
    if whole < n:
        lines.append(f"for (int i = {whole}; i < {n}; ++i) sum += {term.replace('@', 'i')};")
    lines.append(f"{target} = sum;")
    return "\n".join(indent + line for line in lines)


_SOFTMAX = """\
static void softmax(int n, real *z)
{
    real largest = z[0], sum = R(0.0);
    for (int j = 1; j < n; ++j) largest = z[j] > largest ? z[j] : largest;
    for (int j = 0; j < n; ++j) z[j] = exp_(z[j] - largest);
    for (int j = 0; j < n; ++j) sum += z[j];
    for (int j = 0; j < n; ++j) z[j] /= sum;
}
"""


# ---------------------------------------------------------------- passes
def _places(spec: NetworkSpec, first: str, last: str) -> list[str]:
    """Where each layer's inputs and the outputs are: given arrays at the ends, two in turn between them."""
    return [first, *("gh"[l % 2] for l in range(spec.n_layers - 1)), last]


def _room(spec: NetworkSpec) -> Iterator[str]:
    """The arrays between the layers."""
    if names := ["g[WIDEST]", "h[WIDEST]"][: spec.n_layers - 1]:
        yield f"    real {', '.join(names)};"


def _head(name: str, function: str, index: MemberIndex) -> str:
    """The beginning of a function of all, or of one that computes a member's part of it."""
    return f"void {name}_{function}(" if index is NO_INDEX else f"static void {function}_of({index.parameter}"


def _bias(spec: NetworkSpec, l: int, index: MemberIndex) -> str:
    return f"b{l}{index.subscript}" if spec.bias else "zeros"


def _forward(spec: NetworkSpec, name: str, index: MemberIndex) -> Iterator[str]:
    yield f"{_head(name, 'forward', index)}const real *restrict x, real *restrict out)\n{{"
    yield from _room(spec)
    places = _places(spec, "x", "out")
    for l, layer in enumerate(spec.layers):
        source, target = places[l], places[l + 1]
        yield f"    product_{l}({index.argument}{source}, {_bias(spec, l, index)}, {target});"
        yield from _activate(layer, target)
    yield "}\n"


def _activate(layer: Layer, h: str) -> Iterator[str]:
    activation = layer.activation.name
    if activation == "softmax":
        yield f"    softmax({layer.n_out}, {h});"
    elif activation == "ascending":
        yield f"    for (int j = 1; j < {layer.n_out}; ++j) {h}[j] = {h}[j - 1] + softplus_({h}[j]);"
    elif activation != "identity":
        yield f"    for (int j = 0; j < {layer.n_out}; ++j) {h}[j] = {activation}_({h}[j]);"


def _derivatives(spec: NetworkSpec, name: str, index: MemberIndex) -> Iterator[str]:
    """The products of the Jacobian with vectors, which share the derivatives of the activations at x."""
    offsets = np.concatenate([[0], np.cumsum(spec.sizes[1:])]).tolist()  # of each layer's in one array
    for l, layer in enumerate(spec.layers):
        yield from _transposed_product(l, layer, index)
    yield from _slopes(spec, index, offsets)
    if spec.output_activation == "softmax":
        yield _SOFTMAX_SLOPE
    yield from _jvp(spec, name, index, offsets)
    yield from _vjp(spec, name, index, offsets)


def _transposed_product(l: int, layer: Layer, index: MemberIndex) -> Iterator[str]:
    """``u = W v``."""
    yield f"static void transposed_{l}({index.parameter}const real *restrict v, real *restrict u)\n{{"
    yield f"    for (int row = 0; row < {layer.n_in}; ++row) {{"
    yield _dot(layer.n_out, f"W{l}{index.subscript}[row][@] * v[@]", "u[row]", indent="        ")
    yield "    }\n}\n"


def _slopes(spec: NetworkSpec, index: MemberIndex, offsets: list[int]) -> Iterator[str]:
    yield "/* The derivative of every activation at x, layer after layer; of softmax the outputs. */"
    yield f"static void slopes_at({index.parameter}const real *restrict x, real *restrict slopes)\n{{"
    yield f"    real out[{spec.n_out}];"
    yield from _room(spec)
    places = _places(spec, "x", "out")
    for l, layer in enumerate(spec.layers):
        source, target, activation = places[l], places[l + 1], layer.activation.name
        yield f"    product_{l}({index.argument}{source}, {_bias(spec, l, index)}, {target});"
        slope = f"slopes[{offsets[l]} + j]"
        slopes = f"    for (int j = 0; j < {layer.n_out}; ++j) {slope} = @;"
        if activation in c_functions.OF_INPUT:
            yield slopes.replace("@", f"{activation}_slope({target}[j])")
        elif activation == "ascending":
            yield slopes.replace("@", f"j > 0 ? softplus_slope({target}[j]) : R(1.0)")
        yield from _activate(layer, target)
        if activation == "softmax":
            yield slopes.replace("@", f"{target}[j]")
        elif activation not in ("identity", "ascending", *c_functions.OF_INPUT):
            yield slopes.replace("@", f"{activation}_slope({target}[j])")
    yield f"    (void)out; (void)slopes;\n}}\n\nenum {{ SLOPES = {offsets[-1]} }};\n"


def _jvp(spec: NetworkSpec, name: str, index: MemberIndex, offsets: list[int]) -> Iterator[str]:
    yield f"{_head(name, 'jvp', index)}const real *restrict x, const real *restrict t, real *restrict out)\n{{"
    yield "    real slopes[SLOPES];"
    yield from _room(spec)
    yield f"    slopes_at({index.argument}x, slopes);"
    places = _places(spec, "t", "out")
    for l, layer in enumerate(spec.layers):
        yield f"    product_{l}({index.argument}{places[l]}, zeros, {places[l + 1]});"
        yield from _times_slopes(layer, places[l + 1], offsets[l])
    if spec.output_activation == "ascending":
        yield f"    for (int j = 1; j < {spec.n_out}; ++j) out[j] += out[j - 1];"
    yield "}\n"


def _vjp(spec: NetworkSpec, name: str, index: MemberIndex, offsets: list[int]) -> Iterator[str]:
    yield f"{_head(name, 'vjp', index)}const real *restrict x, const real *restrict v, real *restrict out)\n{{"
    yield f"    real slopes[SLOPES], d[{spec.n_out}];"
    yield from _room(spec)
    yield f"    slopes_at({index.argument}x, slopes);\n    for (int j = 0; j < {spec.n_out}; ++j) d[j] = v[j];"
    if spec.output_activation == "ascending":
        yield f"    for (int j = {spec.n_out - 2}; j >= 0; --j) d[j] += d[j + 1];"
    places = _places(spec, "out", "d")
    for l in reversed(range(spec.n_layers)):
        yield from _times_slopes(spec.layers[l], places[l + 1], offsets[l])
        yield f"    transposed_{l}({index.argument}{places[l + 1]}, {places[l]});"
    yield "}\n"


_SOFTMAX_SLOPE = """\
static void softmax_slope(int n, const real *restrict h, real *restrict d)
{
    real sum = R(0.0);
    for (int j = 0; j < n; ++j) sum += h[j] * d[j];
    for (int j = 0; j < n; ++j) d[j] = h[j] * (d[j] - sum);
}
"""


def _times_slopes(layer: Layer, d: str, offset: int) -> Iterator[str]:
    if layer.activation.name == "softmax":
        yield f"    softmax_slope({layer.n_out}, slopes + {offset}, {d});"
    elif layer.activation.name != "identity":
        yield f"    for (int j = 0; j < {layer.n_out}; ++j) {d}[j] *= slopes[{offset} + j];"


# ---------------------------------------------------------------- the self-test
def _self_test(spec: NetworkSpec, name: str, test: SelfTest) -> str:
    n = test.outputs.shape[1]
    arguments = "inputs[i], out" if n == spec.n_out else f"inputs[i], out, out + {spec.n_out}"

    def doubles(of: str, array: NDArray) -> str:
        rows = [", ".join(_exact(x).removeprefix("R(").removesuffix(")") for x in row) for row in array.tolist()]
        body = ",\n    ".join(f"{{{row}}}" for row in rows)
        return f"static const double {of}[{SAMPLES}][{n}] = {{{body}}};"

    return f"""\
#ifdef SELF_TEST
#include <stdio.h>

/* Inputs, their outputs, and by how much these may be off. */
{_table("inputs", test.x)}
{doubles("expected", test.outputs)}

{doubles("allowed", test.allowed)}

int main(void)
{{
    int wrong = 0;
    for (int i = 0; i < {SAMPLES}; ++i) {{
        real out[{n}];
        {name}_forward({arguments});
        for (int j = 0; j < {n}; ++j) {{
            double got = out[j], wanted = expected[i][j];
            int same = got == wanted || (got != got && wanted != wanted) || fabs(got - wanted) <= allowed[i][j];
            if (!same) printf("sample %d, output %d: %.17g instead of %.17g\\n", i, j, got, wanted);
            wrong += !same;
        }}
    }}
    printf("{name}: %d of {SAMPLES * n} outputs are wrong\\n", wrong);
    return wrong != 0;
}}
#endif"""
