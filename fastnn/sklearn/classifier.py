"""The classifier, with scikit-learn's parameters and attributes and some of fastnn's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any, ClassVar

import numpy as np
import sklearn.neural_network as theirs
from numpy.typing import ArrayLike, DTypeLike, NDArray
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_consistent_length, validate_data

from fastnn.settings.own import Activation
from fastnn.sklearn.attributes import store_arguments, unchanged_on_error
from fastnn.sklearn.fitting import fit_estimator
from fastnn.sklearn.perceptron import Perceptron


class MLPClassifier(Perceptron, theirs.MLPClassifier):
    """A classifier: scikit-learn's `sklearn.neural_network.MLPClassifier`, trained by fastnn.

    Parameters
    ----------
    hidden_layer_sizes : array-like of int or int, default=(100,)
        Width of each hidden layer.
    activation : str, fastnn.Activation, or one for each hidden layer, default="relu"
        scikit-learn's ``"identity"``, ``"logistic"``, ``"tanh"`` and ``"relu"``, and every other activation that fastnn
        allows in hidden layers.
    solver : {"adam", "sgd", "lbfgs", "adamw", "rmsprop", "rprop"}, default="adam"
        scikit-learn's three, in its form, and some of fastnn's. Rprop uses full batches.
    alpha : float, default=0.0001
        ``alpha / 2`` times the sum of squared weights, divided by the sum of the batch's sample weights, is added to
        each batch's loss.
    batch_size : int or "auto", default="auto"
        Number of samples in a batch; "auto" means 200, or all if there are fewer.
    learning_rate : {"constant", "invscaling", "adaptive"}, default="constant"
        How ``"sgd"`` changes its rate: not at all; after every epoch, to the initial one divided by
        ``(t_ + 1)**power_t``; or by dividing it by 5 whenever the loss stops improving.
    learning_rate_init : float, default=0.001
        Initial learning rate.
    power_t : float, default=0.5
        Exponent of ``"invscaling"``.
    max_iter : int, default=200
        Largest number of epochs, or of iterations of L-BFGS.
    shuffle : bool, default=True
        Whether each epoch visits the samples in a new random order.
    random_state : int, RandomState or None
        Source of the initial weights, the validation set and the shuffles, drawn as scikit-learn draws them.
    tol : float, default=1e-4
        Smallest change that counts as an improvement.
    verbose : bool, default=False
        Whether to print each epoch's loss.
    warm_start : bool, default=False
        Whether ``fit`` continues from the weights that the previous call found.
    momentum, nesterovs_momentum : float, default=0.9; bool, default=True
        Momentum of ``"sgd"``, and whether it is Nesterov's.
    early_stopping : bool, default=False
        Whether to stop by the score on a validation set, instead of by the loss, and to keep the best weights.
    validation_fraction : float, default=0.1
        Fraction of the data that is held out for early stopping.
    beta_1, beta_2, epsilon : float, defaults 0.9, 0.999, 1e-8
        Settings of ``"adam"`` and ``"adamw"``; epsilon also of ``"rmsprop"``.
    n_iter_no_change : int or inf, default=10
        Number of epochs without improvement after which the training ends.
    max_fun : int, default=15000
        Largest number of loss evaluations by ``"lbfgs"``.
    weight_decay : float, default=0.01
        Decoupled weight decay of ``"adamw"``.
    decay : float, default=0.99
        Decay rate of the mean of squared gradients in ``"rmsprop"``.
    n_restarts : int, default=1
        Number of initial weights that ``fit`` trains from, keeping the best result, by validation score or by loss. All
        are drawn before training begins. See the notes on when they are trained together.
    callbacks : callable or list of callable, optional
        Called with the estimator after each epoch; one that returns True ends the training.
    dtype : {"float32", "float64"}, optional
        Type of all computations; by default that of the data, and where a fitted network is trained on its own.
    threads : int, default=1
        Number of threads that may share a training step, if it takes long enough.
    class_weight : dict, "balanced" or None
        Weight of each class, which multiplies the sample weights, also those of the part held out for early stopping,
        but not those of ``validation_data``; "balanced" gives all classes the same sum of weights.

    Attributes
    ----------
    coefs_, intercepts_ : list of ndarray
        Weights, shape (n_in, n_out), and biases, shape (n_out,), of each layer.
    loss_, loss_curve_, best_loss_ : float, list of float, float or None
        Loss of the last epoch, of every epoch, and the lowest.
    validation_scores_, best_validation_score_ : list of float, float; or None
        With a validation set, the score after every epoch, and the best one.
    n_iter_, t_ : int
        Number of epochs, and of samples seen.
    n_layers_, n_outputs_, out_activation_
        Number of layers, including the input, number of outputs, and the output activation under scikit-learn's name.
    n_features_in_, feature_names_in_
        As in every estimator.
    classes_ : ndarray, shape (n_classes,)
        The class labels.

    Notes
    -----
    With scikit-learn's parameters, the same ``random_state`` gives scikit-learn's weights up to rounding, as initial
    weights, validation sets and shuffles are drawn from the same stream. Long runs diverge from scikit-learn's where
    rounding grows from step to step, and with ``solver="lbfgs"``. scikit-learn clips probabilities in the loss that it
    reports, which makes a difference only where the network is certain of a wrong class. Sparse samples are converted
    to dense ones for training, batch by batch if they would take more than a GiB. A batch whose samples all have weight
    zero is skipped, where scikit-learn divides by zero; and a warm start with early stopping keeps the best weights so
    far, which scikit-learn trains further.

    Several starts (``n_restarts``) are trained together by `fastnn.fit_many`, shared between `threads`, if the result
    is the same: for full batches of dense samples, one output or one of several classes, a stochastic solver at a
    constant rate, a ``tol`` above 0, and neither a validation set, `callbacks` nor `verbose`. The best start is then
    the one that training them in turn would find, and its weights and losses agree to rounding; but later draws from
    `random_state` differ, and a later ``partial_fit`` starts its solver afresh. Otherwise they are trained in turn.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fastnn.sklearn import MLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> MLPClassifier(max_iter=1000, random_state=0).fit(X, y).score(X, y) > 0.95
    True
    """

    _parameter_constraints: ClassVar[dict] = {
        **Perceptron._parameter_constraints,
        "class_weight": [dict, StrOptions({"balanced"}), None],
    }
    loss = "log_loss"

    def __init__(
        self,
        hidden_layer_sizes: ArrayLike = (100,),
        activation: str | Activation | Sequence[str | Activation] = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: int | np.random.RandomState | None = None,
        tol: float = 1e-4,
        verbose: bool = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: int = 10,
        max_fun: int = 15000,
        weight_decay: float = 0.01,
        decay: float = 0.99,
        n_restarts: int = 1,
        callbacks: Callable[[Any], object] | Sequence[Callable[[Any], object]] | None = None,
        dtype: DTypeLike | None = None,
        threads: int = 1,
        class_weight: Mapping[Any, float] | str | None = None,
    ) -> None:
        store_arguments(self, locals())

    _fit = fit_estimator  # which scikit-learn's ``partial_fit`` calls too

    @available_if(lambda estimator: estimator._check_solver())
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> MLPClassifier:
        """Train the network by one epoch on these samples.

        Parameters
        ----------
        X : {array-like, sparse matrix}, shape (n, n_features)
            The samples.
        y : array-like, shape (n,) or (n, n_labels)
            Class labels, or an indicator matrix of several labels.
        sample_weight : array-like, shape (n,), optional
            Weight of each sample.
        classes : array-like, shape (n_classes,), optional
            All classes that there are in any call; needed in the first.

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        TypeError, ValueError
            As in `fit`, or if `classes` is missing in the first call.
        AttributeError
            If the solver is ``"lbfgs"``, which has no epochs of batches.
        """
        # In the first call scikit-learn sets `classes_` before it looks at the samples.
        with nullcontext() if hasattr(self, "coefs_") else unchanged_on_error(self):
            return super().partial_fit(X, y, sample_weight, classes)

    def _validate_input(self, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[Any, NDArray]:
        """The samples, and the indicators of their classes, shape (n, n_outputs); sets `classes_` if it is not known.

        scikit-learn's own method inspects the labels four times over, which takes longer than training some networks.
        It is called only for labels that are floats or objects, for several labels a sample, and for labels that must
        be those of an earlier call.
        """
        known = hasattr(self, "classes_") and (self.warm_start or incremental)
        labels = np.asarray(y) if isinstance(y, (np.ndarray, list)) else None
        if known or labels is None or labels.ndim != 1 or labels.dtype.kind not in "biuU":
            return super()._validate_input(X, y, incremental, reset)
        X = validate_data(self, X, accept_sparse=["csr", "csc"], dtype=(np.float64, np.float32), reset=reset)
        check_consistent_length(X, labels)
        self.classes_, numbers = np.unique(labels, return_inverse=True)
        self._label_binarizer = LabelBinarizer()
        binary = len(self.classes_) <= 2
        vars(self._label_binarizer).update(
            y_type_="binary" if binary else "multiclass", sparse_input_=False, classes_=self.classes_
        )
        return X, (numbers == 1)[:, np.newaxis] if binary else numbers[:, np.newaxis] == np.arange(len(self.classes_))

    def _weigh_classes(self, y: NDArray, sample_weight: NDArray | None, incremental: bool) -> NDArray | None:
        if self.class_weight is None:
            return sample_weight
        if incremental and self.class_weight == "balanced":
            raise ValueError("class_weight='balanced' needs all samples at once, and partial_fit sees some of them")
        if self._label_binarizer.y_type_.startswith("multilabel"):
            raise ValueError(f"class_weight must be None with several labels a sample; got {self.class_weight!r}")
        numbers = y.argmax(axis=1) if y.shape[1] > 1 else y[:, 0].astype(np.intp)
        labels = self.classes_[numbers]
        with np.errstate(divide="ignore"):  # a class may have samples of weight 0 alone
            of_class = compute_class_weight(
                self.class_weight, classes=self.classes_, y=labels, sample_weight=sample_weight
            )
        if self.class_weight == "balanced":
            of_class[np.isinf(of_class)] = 0
        if not (np.isfinite(of_class).all() and (of_class >= 0).all()):
            raise ValueError(f"class_weight must be finite and at least 0; got {self.class_weight!r}")
        with np.errstate(over="ignore"):  # which is refused where the network is known
            weight = of_class[numbers] if sample_weight is None else of_class[numbers] * sample_weight
            total = weight.sum()
        if not total > 0:
            raise ValueError(f"class_weight must leave samples with a weight above 0; got {self.class_weight!r}")
        return weight
