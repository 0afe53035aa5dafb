"""How time grows with what there is to do: ``pytest bench/bench_growth.py``, a table for each thing that grows.

The last column is what one of them costs. It should fall, and then stay: a rise is a cache that overflows, a jump
between neighbours a remainder that is computed badly.
"""

from functools import partial

import numpy as np
import pytest
from calls import tell_each

from fastnn import MLP, SGD, fit_many

RNG = np.random.default_rng(0)

#: Without timing, more weights, rows or members than this show nothing that fewer do not.
MOST_UNTIMED = 100_000

AROUND_WHOLE_VECTORS = [width + more for width in (2, 8, 16, 32, 64, 128, 256) for more in (-1, 0, 1)]


def _timed(benchmark, group, unit, count, call, rounds=10):
    """Time a call, and write down the nanoseconds that each of `count` things took; without timing, few of them do."""
    if not benchmark.enabled and count > MOST_UNTIMED:
        pytest.skip("times by itself")
    benchmark.group = group
    benchmark.pedantic(call, rounds=rounds, warmup_rounds=1)
    tell_each(benchmark, unit, count)


def _step(sizes, batch, steps):
    """Training of a float32 network on as many batches as steps."""
    net = MLP(sizes, dtype="float32", rng=0)
    X = RNG.standard_normal((batch * steps, sizes[0]), dtype=np.float32)
    y = RNG.standard_normal((batch * steps, sizes[-1]), dtype=np.float32)
    optimizer = SGD(learning_rate=1e-6)
    return net, lambda: net.fit(X, y, optimizer=optimizer, epochs=1, batch_size=batch, shuffle=False, progress=False)


@pytest.mark.parametrize("width", [4, 8, 24, 96, 310, 1000, 3150])
def bench_weights(benchmark, width):
    """From a hundred weights to ten million, in batches of 32."""
    steps = max(1, 2_000_000 // (width * width))
    net, train = _step((width, width, 1), 32, steps)
    _timed(benchmark, "weights", "weight and row", net.spec.n_params * 32 * steps, train)


@pytest.mark.parametrize("width", [*AROUND_WHOLE_VECTORS, 100, 512, 513, 1023, 1024, 1030])
def bench_widths(benchmark, width):
    """Around whole vectors; a batch of 64 through two layers as wide."""
    steps = max(1, 500_000 // (width * width + 50 * width))
    net, train = _step((width, width, width), 64, steps)
    _timed(benchmark, "widths", "weight and row", net.spec.n_params * 64 * steps, train)


@pytest.mark.parametrize("batch", [1, 2, 4, 8, 16, 32, 64, 256, 1024, 4096])
def bench_batches(benchmark, batch):
    """4,096 rows through 16-64-64-1, in batches of this size."""
    net, train = _step((16, 64, 64, 1), batch, 4096 // batch)
    _timed(benchmark, "batches", "weight and row", net.spec.n_params * 4096, train)


@pytest.mark.parametrize("rows", [1000, 100_000, 1_000_000, 10_000_000])
def bench_epochs(benchmark, rows):
    """An epoch of this many rows through 2-4-1, in shuffled batches of 1,000."""
    net = MLP((2, 4, 1), dtype="float32", rng=0)
    X = RNG.standard_normal((rows, 2), dtype=np.float32)
    train = partial(net.fit, X, X[:, 0], optimizer=SGD(1e-6), epochs=1, batch_size=1000, progress=False)
    _timed(benchmark, "epochs", "row", rows, train, rounds=3)


@pytest.mark.parametrize("rows", [1, 2, 4, 8, 64, 1000, 30_000, 1_000_000])
def bench_rows(benchmark, rows):
    """`predict` of 16-64-64-1 for this many rows."""
    net = MLP((16, 64, 64, 1), dtype="float32", rng=0)
    X = RNG.standard_normal((rows, 16), dtype=np.float32)
    _timed(benchmark, "rows", "row", rows, lambda: net.predict(X))


@pytest.mark.parametrize("members", [10, 100, 1000, 10_000, 100_000, 1_000_000])
def bench_members(benchmark, members):
    """Epochs of this many tutorials, fewer for a million; the first call compiles."""
    net = MLP.tutorial()
    X = np.array([[0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1.0]])
    y, epochs = np.array([[0.0], [1], [1], [0]]), 100 if members < 1_000_000 else 20
    settings = {"loss": "sse", "optimizer": SGD(learning_rate=1.0), "epochs": epochs, "rng": 0, "progress": False}
    call = partial(fit_many, net.spec, X, y, members=members, **settings)
    _timed(benchmark, "members", "member and epoch", members * epochs, call, rounds=5)
