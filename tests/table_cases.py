"""What the tests of tables share: a table as people have them, and networks that learned it."""

from functools import cache

import numpy as np
import polars

from fastnn.tabular import preparing, scoring, training

QUICK = training.TableSettings(hidden=(8,), epochs=60, repeats=3)


def messy(n=300):
    """Numbers, categories, missing values, and columns of no use; the target depends on the first two."""
    rng = np.random.default_rng(0)
    a, colour = rng.normal(size=n), rng.choice(["red", "green", "blue"], n)
    y = 2 * a + np.where(colour == "red", 1.5, -0.5)
    frame = polars.DataFrame({"a": a, "colour": colour, "flag": a > 0, "constant": np.full(n, 5)})
    return frame.with_columns(
        polars.Series("a", [None if i % 7 == 0 else value for i, value in enumerate(a)]),
        polars.Series("name", [f"id{i}" for i in range(n)]),
        polars.Series("empty", [None] * n, dtype=polars.Float64),
        polars.Series("when", [None] * n, dtype=polars.Date),
        polars.Series("y", [None if i % 50 == 0 else value for i, value in enumerate(y)]),
    )


@cache
def prepared_messy():
    """The table, encoded."""
    return preparing.prepare(messy(), "y", None, 0)


@cache
def trained_on_messy():
    """A few small networks that learned it."""
    return training.train(prepared_messy(), QUICK, scoring.baselines(prepared_messy()), progress=False)
