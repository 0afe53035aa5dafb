"""Figures, each drawn on one matplotlib Axes and returned as it, and an animation (extra ``plot``).

Series differ by lightness and by line style as well as by hue, so that every figure can be read in
grey and by colour-blind readers.
"""

from fastnn.checks.extras import require

require("matplotlib", extra="plot")

from fastnn.plots.animation import learning  # noqa: E402 - after require()
from fastnn.plots.networks import network_diagram, weight_images  # noqa: E402 - after require()
from fastnn.plots.outputs import (  # noqa: E402 - after require()
    confusion,
    decision_regions,
    outputs_against_targets,
    predicted_against_true,
    sample_images,
)
from fastnn.plots.style import STYLES  # noqa: E402 - after require()
from fastnn.plots.training import loss_curves, spread, time_per_iteration  # noqa: E402 - after require()
from fastnn.plots.uncertainty import (  # noqa: E402 - after require()
    coverage,
    error_over_distance,
    intervals,
    reliability,
)

__all__ = [
    "STYLES",
    "confusion",
    "coverage",
    "decision_regions",
    "error_over_distance",
    "intervals",
    "learning",
    "loss_curves",
    "network_diagram",
    "outputs_against_targets",
    "predicted_against_true",
    "reliability",
    "sample_images",
    "spread",
    "time_per_iteration",
    "weight_images",
]
