"""fastnn's reference twin, by the same public API."""

from __future__ import annotations

from fastnn.apps.comparison.peers import fastnn


class Training(fastnn.Training):
    """`MLP.fit`, on NumPy's path."""

    backend = "numpy"
