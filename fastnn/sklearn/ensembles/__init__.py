"""Ensembles as estimators: many networks that differ by their seed, or their bootstrap, trained in one call."""

from fastnn.sklearn.ensembles.classifier import MLPEnsembleClassifier
from fastnn.sklearn.ensembles.regressor import MLPEnsembleRegressor

__all__ = ["MLPEnsembleClassifier", "MLPEnsembleRegressor"]
