"""The members of an ensemble in C: functions that are told which one they compute, and the mean over all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from fastnn.settings.spec import NetworkSpec


class MemberIndex(NamedTuple):
    """The index of an ensemble's member, as C functions take, pass on and apply it; empty for a single network."""

    parameter: str = ""
    argument: str = ""
    subscript: str = ""


NO_INDEX = MemberIndex()
INDEX = MemberIndex("int member, ", "member, ", "[member]")


def forward(spec: NetworkSpec, name: str, members: int) -> Iterator[str]:
    """Mean and spread of what ``forward_of`` gives."""
    root = "sqrtf" if spec.dtype == "float32" else "sqrt"
    yield f"""\
void {name}_forward(const real *restrict x, real *restrict mean, real *restrict spread)
{{
    real outputs[{members}][{spec.n_out}];
    for (int k = 0; k < {members}; ++k) forward_of(k, x, outputs[k]);
    for (int j = 0; j < {spec.n_out}; ++j) {{
        real sum = R(0.0), squares = R(0.0);
        for (int k = 0; k < {members}; ++k) sum += outputs[k][j];
        mean[j] = sum / R({members}.0);
        for (int k = 0; k < {members}; ++k) squares += (outputs[k][j] - mean[j]) * (outputs[k][j] - mean[j]);
        spread[j] = {root}(squares / R({members}.0));
    }}
}}
"""


def derivative(name: str, product: str, members: int, along: str, size: int) -> Iterator[str]:
    """Mean of what ``jvp_of`` or ``vjp_of`` gives: the same product with the mean's Jacobian."""
    yield f"""\
void {name}_{product}(const real *restrict x, const real *restrict {along}, real *restrict out)
{{
    real part[{size}];
    for (int j = 0; j < {size}; ++j) out[j] = R(0.0);
    for (int k = 0; k < {members}; ++k) {{
        {product}_of(k, x, {along}, part);
        for (int j = 0; j < {size}; ++j) out[j] += part[j];
    }}
    for (int j = 0; j < {size}; ++j) out[j] /= R({members}.0);
}}
"""
