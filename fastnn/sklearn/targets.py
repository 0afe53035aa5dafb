"""What the outputs of both regressors say about their targets: a mean, quantiles, or a mean and its variance."""

from __future__ import annotations

from numbers import Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import r2_score
from sklearn.utils._param_validation import Interval, StrOptions

from fastnn.checks import is_sequence
from fastnn.models.normal_outputs import means_and_variances
from fastnn.settings.own import Loss
from fastnn.sklearn.conventions import REGRESSION_LOSSES, loss_row


class Targets:
    """The part of a regressor that knows its loss."""

    loss: str | Loss
    quantiles: Any = 0.5  # as is every regressor's that an older version has pickled
    min_variance: Any = 1e-6
    predict: Any

    _loss_constraints: ClassVar[dict] = {
        "loss": [StrOptions(set(REGRESSION_LOSSES)), Loss],
        "delta": [Interval(Real, 0, None, closed="neither")],
        "quantiles": [Interval(Real, 0, 1, closed="neither"), "array-like"],
        "min_variance": [Interval(Real, 0, None, closed="neither"), "array-like"],
    }

    def _targets(self, y: NDArray) -> NDArray:
        """Validated targets, shape (n, n_targets); one serves several quantiles."""
        levels = len(self.quantiles) if is_sequence(self.quantiles) else 1
        if not levels:
            raise ValueError(f"quantiles must be a number, or at least one; got {self.quantiles!r}")
        return _for_levels(y, self.loss, levels)

    def _outputs_per_target(self) -> int:
        return loss_row(self.loss).outputs_per_target

    def _learned(self) -> str | Loss:
        """The loss that the network was trained with, whatever `loss` may have been set to since."""
        return vars(self).get("_learned_loss", self.loss)

    def _means(self, outputs: NDArray) -> NDArray:
        """Of a network's outputs, shape (..., n_outputs), those that predict a target."""
        return outputs[..., : outputs.shape[-1] // loss_row(self._learned()).outputs_per_target]

    def _variances(self, outputs: NDArray) -> NDArray[np.float64]:
        """The variances that a network gives beside its means, with the least one that it was trained with."""
        least = vars(self).get("_learned_min_variance", self.min_variance)
        return means_and_variances(outputs.astype(np.float64), least)[1]  # which float32 may not hold

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """R2 of the predictions, the mean over the targets, or over several quantiles of one target.

        Parameters
        ----------
        X : array-like, shape (n, n_features)
            The samples.
        y : array-like, shape (n,) or (n, n_targets)
            The targets.
        sample_weight : array-like, shape (n,), optional
            Weight of each sample.

        Returns
        -------
        float

        Raises
        ------
        TypeError, ValueError
            As in `predict`, or if `y` or `sample_weight` is invalid.
        """
        predicted = self.predict(X)
        y = _for_levels(np.asarray(y), self._learned(), predicted.shape[1] if predicted.ndim > 1 else 1)
        return float(r2_score(y, predicted, sample_weight=sample_weight))


def _for_levels(y: NDArray, loss: str | Loss, levels: int) -> NDArray:
    """Targets, shape (n, n_targets); one column serves this many levels, if the loss learns several of one target."""
    y = y.reshape(len(y), -1)
    return np.repeat(y, levels, axis=1) if loss_row(loss).one_target and y.shape[1] == 1 else y
