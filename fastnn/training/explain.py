"""Which compiled path the calls of a network take, in words: the decisions of `fastnn.kernels.dispatch` and why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastnn import checks
from fastnn.checks.jobs import check_dropout
from fastnn.kernels.jit.importing import importing_numba
from fastnn.kernels.jit.turned_off import compiler_is_off
from fastnn.settings.optimizers import Adam, Optimizer
from fastnn.settings.schedules import ReduceOnPlateau
from fastnn.settings.solvers import Solver
from fastnn.settings.spec import NetworkSpec

#: What all calls take without the compiler.
_STAND_INS = "plain loops or NumPy, slowly, as NUMBA_DISABLE_JIT turns off the compiler that the kernels need"


def explain(
    net: Any,
    *,
    batch_size: int = 1,
    optimizer: Optimizer | Solver = Adam(),  # noqa: B008 - frozen
    dropout: float | Sequence[float] = 0.0,
    input_noise: float = 0.0,
    threads: int = 1,
) -> str:
    """Which compiled path each call of a network takes, and why.

    Parameters
    ----------
    net : MLP or NetworkSpec
        The network.
    batch_size : int
        Number of samples in a batch; if `fit` is called without one, the number of all samples.
    optimizer, dropout, input_noise, threads
        As in `MLP.fit`.

    Returns
    -------
    str
        A line for each of ``fit``, ``fit_many``, ``predict`` and calls from compiled code, to be printed; one for all
        where ``NUMBA_DISABLE_JIT`` turns the compiler off.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid.

    Examples
    --------
    >>> print(fastnn.explain(fastnn.MLP((3, 4, 1)), batch_size=4))  # doctest: +SKIP
    """
    spec = getattr(net, "spec", net)
    if not isinstance(spec, NetworkSpec):
        raise TypeError(f"net must be an MLP or a NetworkSpec; got {checks.describe(net)}")
    rows = checks.check_integer("batch_size", batch_size, 1)
    optimizer = checks.check_optimizer(optimizer)
    noise = checks.check_number("input_noise", input_noise, checks.AT_LEAST_0)
    noisy = bool(check_dropout(dropout, spec)) or noise > 0
    team = checks.check_integer("threads", threads, 1)
    size, params = "-".join(map(str, spec.sizes)), checks.counted(spec.n_params, "parameter")
    network = f"{size}, {params}, {spec.dtype}; batches of {checks.counted(rows, 'row')}"
    if compiler_is_off():
        return f"network   {network}\nall calls {_STAND_INS}"
    with importing_numba():
        import fastnn.kernels.dispatch  # noqa: F401 - which all of the following ask
    lines = {
        "network": network,
        "fit": _fit(spec, rows, optimizer, noisy, team),
        "fit_many": _fit_many(spec, optimizer),
        "predict": "tiles, in blocks of rows, on one thread: the same kernel for every network",
        "embedded": _embedded(spec),
    }
    return "\n".join(f"{name:<9} {text}" for name, text in lines.items())


def _fit(spec: NetworkSpec, rows: int, optimizer: Optimizer | Solver, noisy: bool, threads: int) -> str:
    from fastnn.kernels import dispatch

    name = type(optimizer).__name__
    if isinstance(optimizer, Solver):
        return f"tiles, as {name} uses all samples in every step"
    tiny = spec.n_params <= dispatch.TINY_PARAMS
    most = dispatch.TINY_ROW_VECTORS * dispatch.lanes_for(rows, spec.dtype)
    if dispatch.samples_in_lanes(spec, rows) and not noisy:
        return (
            f"lanes, a sample in each, by a kernel compiled for this network: at most {dispatch.TINY_PARAMS} "
            f"parameters and {most} rows (specialize=False turns it off)"
        )
    if noisy and tiny:
        why = "only tiles have dropout and noise"
    elif tiny:
        why = f"a batch has more than {most} rows (specialize=True compiles one for this network)"
    else:
        why = f"more than {dispatch.TINY_PARAMS} parameters"
    parts = [f"tiles, by the kernel that all networks share: {why}"]
    if dispatch.fetches_ahead(rows, spec.n_params):
        parts.append(
            f"products pack and fetch ahead: {dispatch.LARGE_PARAMS:,} parameters, {dispatch.MANY_ROWS} rows or more"
        )
    if any(dispatch.fetches_weights(layer, spec.dtype, rows) for layer in spec.layers):
        parts.append(f"few rows fetch ahead the weights of layers of {dispatch.FAR_BYTES >> 20} MB or more")
    if dispatch.updates_by_parts(spec.n_params, rows):
        parts.append("parameters are updated a part at a time, as they outgrow the caches")
    team = dispatch.threads_for(threads, rows, spec.n_params)
    if threads > 1:
        parts.append(f"{team} threads share a step" if team > 1 else "one thread, as a step is too short to share")
    return "; ".join(parts)


def _fit_many(spec: NetworkSpec, optimizer: Optimizer | Solver) -> str:
    from fastnn.kernels import dispatch

    if isinstance(optimizer, Solver):
        return f"one network after another: {type(optimizer).__name__} has no lanes"
    if isinstance(optimizer.learning_rate, ReduceOnPlateau):
        return "one network after another, by tiles: ReduceOnPlateau gives each its own rate"
    if dispatch.members_in_lanes(spec):
        return f"lanes, a network in each, by a kernel compiled for them: at most {dispatch.MEMBER_PARAMS:,} parameters"
    return f"one network after another, by tiles: more than {dispatch.MEMBER_PARAMS:,} parameters"


def _embedded(spec: NetworkSpec) -> str:
    from fastnn.kernels import dispatch

    parts = ["points: a sample at a time, by code compiled for this network into its caller"]
    if dispatch.rows_at_once(spec):
        parts.append(
            f"several samples of a batch at once, as the weights have more than {dispatch.POINT_BYTES:,} bytes"
        )
    if any(dispatch.shares_tiles(layer, spec.dtype) for layer in spec.layers):
        parts.append(f"many by tiles through layers whose weights have {dispatch.LARGE_LAYER_BYTES:,} bytes or more")
    return "; ".join(parts)
