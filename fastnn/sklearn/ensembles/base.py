"""What the two ensembles have in common: their settings, and their training in one call."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, is_classifier
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from fastnn.ensembles.fit_many import fit_many
from fastnn.settings.early_stopping import EarlyStopping
from fastnn.settings.optimizers import SGD, Adam, AdamW, Optimizer, RMSprop, Rprop
from fastnn.settings.own import Activation, Loss
from fastnn.sklearn.attributes import store_arguments
from fastnn.sklearn.conventions import (
    HIDDEN_ACTIVATIONS,
    activations_of,
    effective_batch_size,
    hidden_sizes,
    loss_and_convention,
    loss_numbers,
    spec_of,
)

#: Samples, targets and weights.
_Samples = tuple[NDArray, NDArray, NDArray]

_RULES: dict[str, type[Optimizer]] = {"adam": Adam, "adamw": AdamW, "rmsprop": RMSprop, "rprop": Rprop, "sgd": SGD}


class EnsembleBase(BaseEstimator):
    """Many networks that differ by their seed, or by their bootstrap."""

    _parameter_constraints: ClassVar[dict] = {
        "n_estimators": [Interval(Integral, 1, None, closed="left")],
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "activation": [StrOptions(set(HIDDEN_ACTIVATIONS)), Activation, tuple, list],
        "solver": [StrOptions(set(_RULES))],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "bootstrap": ["boolean"],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "random_state": ["random_state"],
        "threads": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        n_estimators: int = 50,
        hidden_layer_sizes: ArrayLike = (32,),
        activation: str | Activation | Sequence[str | Activation] = "tanh",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate_init: float = 0.01,
        max_iter: int = 200,
        bootstrap: bool = False,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        tol: float = 1e-4,
        random_state: int | np.random.RandomState | None = None,
        threads: int = 1,
    ) -> None:
        store_arguments(self, locals())

    def _train(self, X: NDArray, y: NDArray, sample_weight: Any, n_out: int, output: str, loss: str | Loss) -> None:
        """Train the members on validated samples and targets, or labels."""
        weight = _checked_weight(X, sample_weight)
        hidden = hidden_sizes(self.hidden_layer_sizes)
        spec = spec_of((X.shape[1], *hidden, n_out), activations_of(self.activation, len(hidden)), output, X.dtype)
        rng = check_random_state(self.random_state)
        validation, stopping = None, None
        if self.early_stopping:
            (X, y, weight), validation = self._split(X, y, weight, rng)
            stopping = EarlyStopping(int(self.n_iter_no_change), float(self.tol))
        n, members = len(X), int(self.n_estimators)
        if self.bootstrap:
            weight = weight * _bootstraps(weight, members, rng)
        batch = effective_batch_size(self.solver, self.batch_size, n)
        # As in the other estimators, a batch's penalty is divided by its weight, here by what that is on average, and
        # goes with half of a squared error, of which the members learn the whole.
        divisor = loss_and_convention(getattr(self, "loss", "log_loss"), spec)[1].divisor
        with np.errstate(all="ignore"):  # of sums that are refused where the members are trained
            l2 = divisor * float(self.alpha) * n / (batch * weight.sum(axis=-1))
        ensemble = fit_many(
            spec,
            X,
            y,
            members=members,
            epochs=int(self.max_iter),
            loss=loss,
            optimizer=_RULES[self.solver](float(self.learning_rate_init)),
            batch_size=batch,
            sample_weight=weight,
            l2=l2,
            **loss_numbers(self),
            rng=int(rng.randint(2**31 - 1)),
            threads=int(self.threads),
            progress=False,
            validation_data=validation,
            early_stopping=stopping,
        )
        if not len(ensemble):  # Ctrl-C before any was finished
            raise KeyboardInterrupt
        sound = ensemble.stopped != "diverged"
        if not sound.any():
            raise ValueError(
                "every member diverged; the input data may contain large values and need to be preprocessed"
            )
        self.ensemble_ = ensemble[sound]
        self.n_iter_ = self.ensemble_.records.epochs

    def _split(self, X: NDArray, y: NDArray, weight: NDArray, rng: np.random.RandomState) -> tuple[_Samples, _Samples]:
        """Samples, targets and weights to train on and to validate on; raises ValueError if either has no weight."""
        X, X_val, y, y_val, weight, weight_val = train_test_split(
            X,
            y,
            weight,
            test_size=self.validation_fraction,
            random_state=rng,
            stratify=y if is_classifier(self) else None,
        )
        for part, of in ((weight, "that are trained on"), (weight_val, "of the validation set")):
            if not part.any():
                raise ValueError(f"sample_weight must be above 0 for some of the samples {of}; got only zeros")
        return (X, y, weight), (X_val, y_val, weight_val)

    def _outputs(self, X: Any) -> NDArray:
        """Every member's outputs, (members, n, n_outputs)."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=(np.float64, np.float32), reset=False)
        return self.ensemble_.predict(X)


def _checked_weight(X: NDArray, sample_weight: Any) -> NDArray:
    """The weight of each sample; raises ValueError if one is below 0, or all are 0."""
    weight = np.ones(len(X), X.dtype) if sample_weight is None else _check_sample_weight(sample_weight, X)
    if not weight.any() or weight.min() < 0:
        raise ValueError(
            "sample_weight must be at least 0 everywhere, and above it somewhere; "
            f"got numbers from {weight.min():g} to {weight.max():g}"
        )
    return weight


def _bootstraps(weight: NDArray, members: int, rng: np.random.RandomState) -> NDArray[np.int64]:
    """How often each member's bootstrap has each sample, shape (members, n); only samples with a weight are drawn."""
    counts = weight > 0  # so that every bootstrap has some of those that count
    total = max(1, int(counts.sum()))
    return rng.multinomial(total, counts / total, size=members)
