"""Every method of a network in compiled code, on arrays of any strides, and on such of other lengths.

From Python most arrays to write to must be contiguous, so that only a caller of the user's own meets these.
"""

import numpy as np
import pytest
from embed_cases import network
from numba import njit

import fastnn

#: More inputs than outputs, fewer, and a single one; weights that a sample reads row by row, see `LARGE_LAYER_BYTES`.
#: One layer alone, as strides are those of arguments.
NETS = {
    name: network(sizes, output_activation="tanh")
    for name, sizes in {"rows": (3, 2), "columns": (2, 3), "one output": (3, 1), "large": (101, 130)}.items()
}
SAMPLES = 2

#: What calls each method, and the lengths of its arguments: of inputs i, outputs o, parameters p, samples n, members m.
CALLS = {
    "forward": (lambda net, x, out: net.forward(x, out), {"x": "i", "out": "o"}),
    "forward of samples": (lambda net, x, out: net.forward(x, out), {"x": "ni", "out": "no"}),
    "forward_with": (
        lambda net, params, x, out: net.forward_with(params, x, out),
        {"params": "p", "x": "i", "out": "o"},
    ),
    "many.forward": (lambda many, x, out: many.forward(x, out), {"x": "i", "out": "mo"}),
    "jacobian": (lambda net, x, out, jac: net.jacobian(x, out, jac), {"x": "i", "out": "o", "jac": "oi"}),
    "jacobian of samples": (
        lambda net, x, out, jac: net.jacobian(x, out, jac),
        {"x": "ni", "out": "no", "jac": "noi"},
    ),
    "vjp": (lambda net, x, v, out: net.vjp(x, v, out), {"x": "i", "v": "o", "out": "i"}),
    "vjp with grad": (
        lambda net, x, v, out, grad: net.vjp(x, v, out, grad=grad),
        {"x": "i", "v": "o", "out": "i", "grad": "p"},
    ),
    "jvp": (lambda net, x, t, out: net.jvp(x, t, out), {"x": "i", "t": "i", "out": "o"}),
    "hessian": (lambda net, x, h, v: net.hessian(x, h, v=v), {"x": "i", "h": "ii", "v": "o"}),
    "hvp": (lambda net, x, v, t, out: net.hvp(x, v, t, out), {"x": "i", "v": "o", "t": "i", "out": "i"}),
    "taylor": (
        lambda net, x, t, out, slope: net.taylor(x, t, out, slope),
        {"x": "i", "t": "i", "out": "o", "slope": "o"},
    ),
    "taylor with curvature": (
        lambda net, x, t, out, slope, curvature: net.taylor(x, t, out, slope, curvature),
        {"x": "i", "t": "i", "out": "o", "slope": "o", "curvature": "o"},
    ),
    "vjp_params": (lambda net, x, v, grad: net.vjp_params(x, v, grad), {"x": "i", "v": "o", "grad": "p"}),
    "vjp_params of samples": (lambda net, x, v, grad: net.vjp_params(x, v, grad), {"x": "ni", "v": "no", "grad": "p"}),
    "taylor_vjp_params": (
        lambda net, x, t, v, v_slope, grad: net.taylor_vjp_params(x, t, v, v_slope, None, grad),
        {"x": "i", "t": "i", "v": "o", "v_slope": "o", "grad": "p"},
    ),
    "taylor_vjp_params with v_curvature": (
        lambda net, x, t, v, v_slope, v_curvature, grad: net.taylor_vjp_params(x, t, v, v_slope, v_curvature, grad),
        {"x": "i", "t": "i", "v": "o", "v_slope": "o", "v_curvature": "o", "grad": "p"},
    ),
}
WRITTEN = {"out", "jac", "h", "slope", "curvature", "grad"}
CONTIGUOUS = {"params", "grad"}  # which are anything else only where it is refused
#: Of the others each takes seconds to compile, and most goes the same way.
QUICK = {"forward of samples", "many.forward", "jacobian of samples", "hvp", "taylor_vjp_params with v_curvature"}


def apart(shape, step=3):
    """A view of numbers that lie apart along every axis, backwards along the last, and the array that it is of."""
    around = np.full([step * n for n in shape], 7.0)
    return around[tuple(slice(1, None, step) for _ in shape[:-1])][..., ::-step], around


def by_hand(net, x, t=0.0, v=0.0, v_slope=0.0, v_curvature=0.0):
    """All that any method writes, by its name, for one layer of tanh."""
    (W,), (b,) = net.weights, net.biases
    h, z1 = np.tanh(x @ W + b), (x * 0 + t) @ W
    first, second = 1 - h * h, -2 * h * (1 - h * h)
    third = -2 * first**2 - 2 * h * second
    dz = v * first + v_slope * second * z1 + v_curvature * third * z1**2
    dz1 = v_slope * first + 2 * v_curvature * second * z1
    grad = np.concatenate([(np.outer(x, dz) + np.outer(x * 0 + t, dz1)).ravel(), dz])
    return {
        "outputs": h, "jac": (W * first).T, "vjp": W @ (v * first), "slope": first * z1, "curvature": second * z1**2,
        "h": (W * (v * second)) @ W.T, "hvp": W @ (v * second * z1), "grad": grad,
    }  # fmt: skip


def arguments(net, lengths, rng):
    """A call's arguments, random numbers or sevens to be written over; and what lies around those that are written.

    The numbers of no two of them lie equally far apart.
    """
    count = {"i": net.spec.n_in, "o": net.spec.n_out, "p": net.spec.n_params, "n": SAMPLES, "m": SAMPLES}
    given, around = {}, {}
    for step, (name, letters) in enumerate(lengths.items(), start=2):
        shape = tuple(count[letter] for letter in letters)
        given[name], around[name] = (np.empty(shape), None) if name in CONTIGUOUS else apart(shape, step)
        given[name][...] = 7.0 if name in WRITTEN else rng.normal(size=shape)
    return given, {name: array for name, array in around.items() if name in WRITTEN and array is not None}


def expected(name, net, given):
    """What the arrays to write to then hold."""
    method, of_samples = name.split()[0], name.endswith("samples")
    if "forward" in method:
        nets = [net] * SAMPLES if method == "many.forward" else [net]
        nets = [fastnn.MLP.from_params(net.spec, given["params"])] if method == "forward_with" else nets
        samples = given["x"] if of_samples else [given["x"]] * len(nets)
        out = [by_hand(nets[0], x)["outputs"] for x in samples]
        return {"out": out if of_samples or len(nets) > 1 else out[0]}
    read = {key: array for key, array in given.items() if key not in WRITTEN}
    if of_samples:
        each = [by_hand(net, **{key: array[r] for key, array in read.items()}) for r in range(SAMPLES)]
        found = {key: sum(one[key] for one in each) if key == "grad" else [one[key] for one in each] for key in each[0]}
    else:
        found = by_hand(net, **read)
    found["out"] = found[{"vjp": "vjp", "hvp": "hvp", "jvp": "slope"}.get(method, "outputs")]
    found["grad"] = 7.0 + found["grad"]  # to which is added
    return {key: found[key] for key in given if key in WRITTEN}


@pytest.mark.parametrize(
    ("name", "which"),
    [
        pytest.param(name, which, marks=() if name in QUICK or which != "rows" else pytest.mark.slow)
        for name, which in [
            *((name, "rows") for name in CALLS),
            ("jacobian", "columns"),
            ("forward", "one output"),
            *((name, "large") for name in ("forward", "vjp_params", "taylor_vjp_params with v_curvature")),
        ]
    ],
)
def test_arrays_of_any_strides_and_of_other_lengths(name, which):
    call, lengths = CALLS[name]
    call, net, rng = njit(call), NETS[which], np.random.default_rng(1)
    thing = fastnn.Ensemble(net.spec, np.tile(net.params, (SAMPLES, 1))) if name == "many.forward" else net
    given, around = arguments(net, lengths, rng)
    wrong, _ = arguments(net, lengths, rng)
    for argument, letters in lengths.items():
        for axis in range(len(letters)):
            if letters == "ni" and axis == 0 and argument == "x":
                continue  # the samples are counted there
            for more in (-1, 1):
                shape = np.array(wrong[argument].shape)
                shape[axis] += more
                bad = np.empty(shape) if argument in CONTIGUOUS else apart(shape)[0]
                bad[...] = 7.0
                with pytest.raises(ValueError, match=rf"^\S+{name.split()[0].split('.')[-1]}: .* must have shape"):
                    call(thing, *(wrong | {argument: bad}).values())
                assert (bad == 7).all()
    assert all((wrong[key] == 7).all() for key in wrong if key in WRITTEN)
    results = expected(name, net, given)
    call(thing, *given.values())
    for key, result in results.items():
        np.testing.assert_allclose(given[key], result, rtol=1e-12, atol=1e-14)
        given[key][...] = 7.0
    for array in around.values():
        assert (array == 7).all()
