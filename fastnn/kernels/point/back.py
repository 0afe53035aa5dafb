"""Back through the weights of a layer: the product ``W d`` for each term of a series, and the weights' gradient.

With h the layer's inputs, d the cotangents of its pre-activations and g those of its inputs, one pass over the weights
takes both ``g = W d`` and ``dW += h d^T``, summed over the terms. A literal that is 0 leaves out either: `inputs` the
former, `params` the latter.
"""

from __future__ import annotations

from fastnn.kernels.jit.compiling import inlined
from fastnn.kernels.point.products import SUMS
from fastnn.kernels.simd import broadcast, fma, lanes, load, load_first, store, store_first, tile, totals, with_lanes


def rows_of(terms: int, params: int) -> int:
    """How many rows of the weights are taken at once: each has a sum a term, and a factor for the gradient."""
    return max(2, SUMS // (terms * (1 + params)))


@inlined(literals=("terms", "params", "inputs", "rows", "rest"))
def back(terms, params, inputs, rows, rest, n_in, n_out, w, dw, h, h_row, d, g, buffer):
    """Through all weights: terms of h lie `h_row` apart, those of d and of g a `buffer`.

    The literal `rest` is that of the last features, which do not fill a vector.
    """
    for first in range((n_in - 1) // rows * rows, -1, -rows):  # the last rows first: they are in the cache
        _through_rows(terms, params, inputs, rows, rest, first, n_in, n_out, w, dw, h, h_row, d, g, buffer)


@inlined(literals=("terms", "params", "inputs"))
def back_from_one(terms, params, inputs, n_in, w, dw, h, h_row, d, g, buffer):
    """`back` for a layer of one output: its inputs lie in the lanes."""
    factors = tile(w, terms, 1)
    for k in range(terms):
        factors[k, 0] = broadcast(d[k * buffer], w)
    for i in range(0, n_in, lanes(w)):
        left = n_in - i
        if inputs > 0:
            w_i = load_first(w + i, left)
            for k in range(terms):
                store(g + (k * buffer + i), w_i * factors[k, 0])
        if params > 0:
            change = load_first(dw + i, left)
            for k in range(terms):
                change = fma(load_first(h + (k * h_row + i), left), factors[k, 0], change)
            store_first(dw + i, change, left)


@inlined(literals=("terms", "params", "inputs", "rows", "rest"))
def _through_rows(terms, params, inputs, rows, rest, first, n_in, n_out, w, dw, h, h_row, d, g, buffer):
    """Through `rows` rows from `first` on, beyond the last of which that one is repeated."""
    sums, factors = tile(w, rows, terms), tile(w, rows, terms)
    for s in range(rows):
        for k in range(terms):
            sums[s, k] = broadcast(0.0, w)
            if params > 0:
                factors[s, k] = broadcast(h[k * h_row + min(first + s, n_in - 1)], w)
    whole = n_out - rest
    for j in range(0, whole, lanes(w)):
        _through_vector(terms, params, inputs, rows, 0, first, n_in, n_out, w + j, dw + j, d + j, buffer, factors, sums)
    if rest > 0:
        w, dw, d = w + whole, dw + whole, d + whole
        _through_vector(terms, params, inputs, rows, rest, first, n_in, n_out, w, dw, d, buffer, factors, sums)
    if inputs > 0:
        left = -(-n_in // lanes(w)) * lanes(w) - first  # whole registers, as they are read again
        for k in range(terms):
            place = with_lanes(g + (k * buffer + first), rows)
            if rows <= lanes(w):
                store(place, totals(sums, k))
            else:
                store_first(place, totals(sums, k), left)


@inlined(literals=("terms", "params", "inputs", "rows", "rest"))
def _through_vector(terms, params, inputs, rows, rest, first, n_in, n_out, w, dw, d, buffer, factors, sums):
    """Through one vector of features of these rows, or the literal `rest` of one: to the sums and the gradient."""
    change = tile(w, rows, 1)
    for s in range(rows):
        row = min(first + s, n_in - 1)
        if inputs > 0:
            w_s = _load_some(rest, w + row * n_out)
            for k in range(terms):
                sums[s, k] = fma(w_s, _load_some(rest, d + k * buffer), sums[s, k])
        if params > 0:
            change[s, 0] = _load_some(rest, dw + row * n_out)
            for k in range(terms):
                change[s, 0] = fma(factors[s, k], _load_some(rest, d + k * buffer), change[s, 0])
    if params > 0:
        for s in range(rows):
            place = dw + min(first + s, n_in - 1) * n_out
            if rest > 0:
                store_first(place, change[s, 0], rest)
            else:
                store(place, change[s, 0])


@inlined(literals=("rest",))
def _load_some(rest, place):
    """The first `rest` numbers, a literal, or a whole vector if that is 0."""
    return load_first(place, rest) if rest > 0 else load(place)
