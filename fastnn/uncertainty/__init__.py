"""How sure a network is: intervals that hold the target with a promised probability, and sets of classes that do.

`regression` and `classification` are conformal: they share `conformal`, and `saved`, their files. `posterior` is
Laplace's approximation.
"""

from fastnn.uncertainty.classification import PredictionSets, prediction_sets
from fastnn.uncertainty.posterior import Laplace, laplace
from fastnn.uncertainty.regression import Intervals, intervals

__all__ = ["Intervals", "Laplace", "PredictionSets", "intervals", "laplace", "prediction_sets"]
