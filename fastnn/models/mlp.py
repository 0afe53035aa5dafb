"""One network: its spec and one flat vector of parameters; the work itself is done in the rooms below."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from os import PathLike
from typing import TYPE_CHECKING, Any, SupportsIndex

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from fastnn import checks
from fastnn.jobs.aligned import aligned_copy, aligned_empty
from fastnn.jobs.job import State
from fastnn.jobs.monitor import ValidationData
from fastnn.kernels.jit.importing import importing_numba
from fastnn.models import scaling
from fastnn.models.exports import Exports
from fastnn.models.in_domain import InDomain, respect_domain
from fastnn.models.one_sample import SingleSample
from fastnn.settings.early_stopping import EarlyStopping
from fastnn.settings.initializers import INITIALIZERS, initialize
from fastnn.settings.optimizers import Adam, Optimizer
from fastnn.settings.own import Activation, Loss, plain_name
from fastnn.settings.solvers import Solver
from fastnn.settings.spec import NetworkSpec
from fastnn.training.fit import Callback
from fastnn.training.fit import fit as fit_job
from fastnn.training.history import History
from fastnn.training.twins import twin

if TYPE_CHECKING:
    import torch

# Attributes that a copy or a pickle makes anew, beside what is cached; others are the user's or a subclass's.
_MADE_ANEW = {"_spec", "_params", "_domain", "_outside", "_weights", "_biases"}


class MLP(SingleSample, InDomain, Exports):
    """A multi-layer perceptron.

    Parameters
    ----------
    sizes : iterable of int
        Width of the input, of each hidden layer, and of the output.
    activation : str, Activation, or iterable of them
        Activation of the hidden layers, one for all of them or one for each: a name in
        `fastnn.catalogue.ACTIVATIONS`, or your own.
    output_activation : str or Activation
        Activation of the output layer.
    bias : bool
        Whether every layer has biases.
    dtype : {"float64", "float32"}
        Type of the parameters and of every computation.
    init : str
        How the initial weights are drawn: a name in `fastnn.initializers.INITIALIZERS`.
    rng : anything `numpy.random.default_rng` takes
        Source of the initial weights.

    Raises
    ------
    TypeError, ValueError
        If an argument is invalid, or the parameters do not fit into the machine's memory.

    Examples
    --------
    >>> net = fastnn.MLP((3, 16, 1), rng=0)
    >>> history = net.fit(X, y, epochs=100, batch_size=32)
    >>> net.predict(X)
    """

    def __init__(
        self,
        sizes: Iterable[SupportsIndex],
        *,
        activation: str | Activation | Iterable[str | Activation] = "tanh",
        output_activation: str | Activation = "identity",
        bias: bool = True,
        dtype: DTypeLike = "float64",
        init: str = "glorot_uniform",
        rng: Any = None,
    ):
        spec = checks.check_spec(sizes, activation, output_activation, bias, dtype)
        checks.check_memory("the parameters of all sizes", spec.n_params, 4 if spec.dtype == "float32" else 8)
        scheme = INITIALIZERS[checks.check_name("init", init, INITIALIZERS)]
        generator = checks.check_rng(rng)
        self._hold(spec, aligned_empty(spec.n_params, spec.dtype))
        initialize(spec, scheme, generator, self._params)

    @classmethod
    def tutorial(cls, rng: Any = 0) -> MLP:
        """Make the network of the classic tutorial: 3-4-1, sigmoids, no biases, weights uniform on [0, 1).

        Parameters
        ----------
        rng : anything `numpy.random.default_rng` takes
            Source of the initial weights.

        Returns
        -------
        MLP

        Raises
        ------
        TypeError, ValueError
            If `rng` is anything else.
        """
        return cls(
            (3, 4, 1), activation="sigmoid", output_activation="sigmoid", bias=False, init="unit_uniform", rng=rng
        )

    @classmethod
    def from_params(cls, spec: NetworkSpec, params: ArrayLike) -> MLP:
        """Make a network from given parameters, which are copied.

        Parameters
        ----------
        spec : NetworkSpec
            The description of the network, such as another network's ``spec``.
        params : array_like, shape (n_params,)
            Its parameters, in the order of `MLP.params`.

        Raises
        ------
        TypeError, ValueError
            If `spec` is not a `NetworkSpec`, or `params` is not a real array of this shape whose values fit the dtype.
        """
        net = cls.__new__(cls)
        net._hold(checks.check_network_spec(spec), aligned_copy(checks.check_params(params, spec)))
        return net

    @classmethod
    def _sharing(
        cls, spec: NetworkSpec, params: NDArray[Any], domain: NDArray[Any] | None = None, outside: str = "ignore"
    ) -> MLP:
        """A network that holds this very array of parameters, unchecked."""
        net = cls.__new__(cls)
        net._hold(spec, params, domain, outside)
        return net

    def _hold(
        self, spec: NetworkSpec, params: NDArray[Any], domain: NDArray[Any] | None = None, outside: str = "ignore"
    ) -> None:
        self._spec, self._params, self._domain, self._outside = spec, params, domain, outside
        self._weights, self._biases = tuple(spec.weights(params)), tuple(spec.biases(params))

    @property
    def spec(self) -> NetworkSpec:
        """The frozen description of the network."""
        return self._spec

    @property
    def params(self) -> NDArray[Any]:
        """All parameters, shape (n_params,): for each layer its weights in C order, then its biases.

        Assigned values are written into the same array.
        """
        return self._params

    @params.setter
    def params(self, values: ArrayLike) -> None:
        self._params[:] = checks.check_params(values, self._spec)

    @property
    def weights(self) -> tuple[NDArray[Any], ...]:
        """Each layer's weights, shape (n_in, n_out), as views of the parameters."""
        return self._weights

    @property
    def biases(self) -> tuple[NDArray[Any], ...]:
        """Each layer's biases, shape (n_out,), as views of the parameters; an empty tuple without biases."""
        return self._biases

    def predict(self, X: ArrayLike, *, backend: str = "numba") -> NDArray[Any]:
        """Compute the network's outputs.

        Parameters
        ----------
        X : array_like, shape (n, n_in)
            The samples.
        backend : {"numba", "plain", "numpy"}
            Which of the twins computes them.

        Returns
        -------
        ndarray, shape (n, n_out), of the network's dtype
            A sample that contains NaN has outputs of NaN.

        Raises
        ------
        TypeError, ValueError
            If `X` is not a real array of this shape, has a value that overflows the dtype, or lies outside the domain
            of a network made by ``with_domain(..., outside="raise")``; or if `backend` is none of these.
        """
        network, X = twin(backend, "network"), checks.check_inputs(X, self._spec)
        return respect_domain(self, lambda X: network.predict(self._spec, self._params, X), X)

    def loss_and_grad(
        self,
        X: ArrayLike,
        y: ArrayLike,
        loss: str | Loss = "mse",
        *,
        sample_weight: ArrayLike | None = None,
        l2: float = 0.0,
        delta: float | Sequence[float] = 1.0,
        quantiles: float | Sequence[float] = 0.5,
        min_variance: float | Sequence[float] = 1e-6,
        targets: str = "complete",
        out: NDArray[Any] | None = None,
        backend: str = "numba",
    ) -> tuple[float, NDArray[Any]]:
        """Compute the loss of a batch and its gradient with respect to the parameters.

        Parameters
        ----------
        X, y, loss, sample_weight, l2, delta, quantiles, min_variance, targets
            As in `fit`.
        out : ndarray, shape (n_params,), of the network's dtype, optional
            Receives the gradient.
        backend : {"numba", "plain", "numpy"}
            Which of the twins computes them.

        Returns
        -------
        loss : float
        gradient : ndarray, shape (n_params,), of the network's dtype
            `out`, where it is given.

        Raises
        ------
        TypeError, ValueError
            If an argument is invalid, or the data are not finite.
        """
        spec, params = self._spec, self._params
        row = checks.check_loss(loss, spec, targets)
        X = checks.check_inputs(X, spec, least=1)
        y = checks.check_targets(y, spec, row, len(X))
        weights = checks.check_sample_weight(sample_weight, spec, len(X))
        checks.check_finite_data(X, y, weights, masked=row.masked)
        checks.check_some_present(row, y, weights)
        if out is not None:
            checks.check_out("out", out, params.shape, spec)
            checks.check_apart(out=out, params=params, X=X, y=y, sample_weight=weights)
        X, y = checks.without_marks(X, weights), checks.without_marks(y, weights)
        parameter = checks.check_loss_parameter(row, spec, delta=delta, quantiles=quantiles, min_variance=min_variance)
        return twin(backend, "network").loss_and_grad(
            spec, params, X, y, row, sample_weight=weights, l2=checks.check_l2(l2), loss_parameter=parameter, out=out
        )

    def fit(
        self,
        X: ArrayLike | Callable[[], Iterable[Any]],
        y: ArrayLike | None = None,
        *,
        epochs: int,
        loss: str | Loss = "mse",
        optimizer: Optimizer | Solver = Adam(),  # noqa: B008 - frozen
        batch_size: int | None = None,
        shuffle: bool = True,
        sample_weight: ArrayLike | None = None,
        l2: float = 0.0,
        max_grad_norm: float | None = None,
        delta: float | Sequence[float] = 1.0,
        quantiles: float | Sequence[float] = 0.5,
        min_variance: float | Sequence[float] = 1e-6,
        targets: str = "complete",
        dropout: float | Sequence[float] = 0.0,
        input_noise: float = 0.0,
        dydx: ArrayLike | None = None,
        dydx_weight: float = 1.0,
        directions: ArrayLike | None = None,
        trainable: Sequence[int] | NDArray[Any] | None = None,
        validation_data: ValidationData | None = None,
        validation_fraction: float | None = None,
        early_stopping: EarlyStopping | None = None,
        callback: Callback | None = None,
        state: State | None = None,
        rng: Any = None,
        progress: bool | None = None,
        backend: str = "numba",
        threads: int = 1,
        specialize: bool | None = None,
    ) -> History:
        """Train the network; its parameters are updated in place.

        Parameters
        ----------
        X : array_like, shape (n, n_in), or callable
            The samples; columns of a data frame count by their order, not their names. A callable is called once an
            epoch and yields that epoch's batches, ``(X, y)`` or ``(X, y, sample_weight)``; the next batch is fetched on
            a thread while the current one is trained on.
        y : array_like, shape (n, n_out), or (n,)
            The targets; None if X yields them. One dimension is enough for a network with one output, and for class
            labels, integers from 0 to n_out - 1, with ``loss="cross_entropy"``. With ``loss="gaussian_nll"``, which
            uses two outputs for each target, y has n_out / 2 columns.
        epochs : int
            Number of passes over the samples.
        loss : str or Loss
            A name in `fastnn.catalogue.LOSSES` that suits the output activation, or your own.
        optimizer : Optimizer or Solver
            The update rule and its settings. It starts afresh in every run, unless `state` resumes one.
        batch_size : int, optional
            Number of samples in a batch; the last batch of an epoch may be smaller. By default all samples, so that an
            epoch is a single step: with a first-order optimizer, set it (32 is a usual choice).
        shuffle : bool
            Whether each epoch visits the samples in a new random order. A batch of all samples is not shuffled.
        sample_weight : array_like, shape (n,), optional
            Weight of each sample, at least 0.
        l2 : float
            ``l2 / 2`` times the sum of squared weights, without the biases, is added to each batch's loss.
        max_grad_norm : float, optional
            A gradient with a larger 2-norm is scaled down to this norm.
        delta : float or sequence of float
            Where the Huber loss turns from a parabola into a line, for all outputs or for each. Other losses ignore it.
        quantiles : float or sequence of float, in (0, 1)
            Which quantiles (``loss="pinball"``) or expectiles (``loss="expectile"``) the outputs learn: one for all
            outputs, or one for each. A target of one column then serves every output. Outputs may cross; sorting them
            never increases the loss. Those of ``output_activation="ascending"`` never cross, and learn quantiles by
            ``loss="ascending_pinball"``. Other losses ignore it.
        min_variance : float or sequence of float
            Keeps variances from collapsing with ``loss="gaussian_nll"``, for all targets or for each. The first half of
            the outputs are the means of the targets; the second half, s, give their variances,
            ``exp(s) + min_variance``. Other losses ignore it.
        targets : {"complete", "masked"}
            With "masked", NaN in y marks a missing target, which takes no part in the loss or in what a mean loss is
            divided by, in training or validation: a target that is present has its sample's weight. For every loss but
            the cross entropies, and without `dydx`.
        dropout : float or sequence of float
            Probability, in [0, 1), with which each output of a hidden layer is set to zero in a step, while the others
            are multiplied by ``1 / (1 - dropout)``: one for all hidden layers, or one for each.
        input_noise : float
            Standard deviation of the Gaussian noise that is added to the samples, drawn anew in every step.
        dydx : array_like, shape (n, n_out, n_in), or (n, n_in) for a network of one output, optional
            Derivatives of the targets with respect to the inputs, to be learned as well; NaN where one is missing. The
            mean of their squared errors, over samples (weighted as in a mean loss), outputs and inputs, is added to
            each batch's loss; a missing one counts as an error of zero. If X and y are standardised by
            `fastnn.standardize`, pass ``dydx * x_scale / y_scale[:, None]``.
        dydx_weight : float
            Factor of that mean.
        directions : array_like, shape (n_directions, n_in), optional
            Directions along which `dydx`, now of shape (n, n_out, n_directions), are the derivatives, instead of those
            with respect to each input.
        trainable : sequence of int, or ndarray of bool, shape (n_params,), optional
            Which layers, or which parameters, are updated; the others keep their exact values. Layers are counted from
            0, or backwards from -1, so that ``[-1]`` is the last. The penalty includes all parameters; `max_grad_norm`
            applies to those that are updated.
        validation_data : tuple (X, y) or (X, y, sample_weight), optional
            Samples that are not trained on: the history records the loss and a metric on them after each epoch.
        validation_fraction : float, optional
            Hold out this fraction of the samples instead; if y holds classes, this fraction of each class.
        early_stopping : EarlyStopping, optional
            Stop once the network has not improved for a while.
        callback : callable, optional
            Called after every epoch with a `fastnn.training.history.Epoch`; returning True ends the run. So does an
            error that it raises, which leaves the network as trained so far.
        state : State, optional
            The `History.state` of an earlier run. With the same data and settings, but without `rng`, whose seed it
            holds, `epochs` more are added to that run bit for bit, as if it had not stopped.
        rng : anything `numpy.random.default_rng` takes
            Source of the shuffles, the validation set, dropout and noise.
        progress : bool, optional
            Whether to show a progress bar. By default one appears after two seconds, on a terminal where rich is
            installed.
        backend : {"numba", "plain", "numpy"}
            Which of the twins trains it.
        threads : int
            Number of threads of the compiled twin, on which the results do not depend, bit for bit. Solvers use one.
            For the NumPy twin, the number of threads of its BLAS, on which the last bits do depend.
        specialize : bool, optional
            Whether to compile a kernel for just this network, which takes a few seconds once; results differ by
            rounding. By default for networks as small as the tutorial's in short batches, which run several times
            faster; in long batches they gain as well, but less. True is refused with `dydx`, `trainable`, dropout,
            noise, batches from a callable and solvers, and for a network of thousands of parameters, whose kernel would
            outgrow the stack. The NumPy twin has nothing to compile.

        Returns
        -------
        History

        Raises
        ------
        TypeError
            If an argument has the wrong type.
        ValueError
            If an argument, or a batch from a callable, is invalid, does not fit the others, or holds NaN or infinity.
            The parameters are then unchanged.
        ImportError
            If SciPy is not installed for `LBFGS`, or rich for ``progress=True``.
        RuntimeError
            If the data changed while the network was trained on them. The parameters are then unchanged.

        Warns
        -----
        RuntimeWarning
            If the run diverges; the parameters are then those after the last epoch that left them finite. Also if a
            solver stalls away from a minimum, as it does where units are saturated.

        Notes
        -----
        Ctrl-C ends the run within about a tenth of a second, or one step, or once a callable has yielded the batch that
        it is making; a solver's unfinished step is discarded. The parameters are then those after the last whole
        step, the history says ``"interrupted"``, and its state resumes the run.
        """
        job = checks.check_job(
            self._spec,
            self._params,
            X,
            y,
            loss=loss,
            delta=delta,
            quantiles=quantiles,
            min_variance=min_variance,
            targets=targets,
            optimizer=optimizer,
            batch_size=batch_size,
            shuffle=shuffle,
            sample_weight=sample_weight,
            l2=l2,
            max_grad_norm=max_grad_norm,
            dropout=dropout,
            input_noise=input_noise,
            dydx=dydx,
            dydx_weight=dydx_weight,
            directions=directions,
            trainable=trainable,
        )
        state = checks.check_state(state, rng, job)
        job.monitor = checks.check_monitor(job, validation_data, validation_fraction, early_stopping)
        return fit_job(
            job,
            state,
            epochs,
            callback=callback,
            progress=progress,
            backend=backend,
            threads=threads,
            specialize=specialize,
        )

    def with_scaling(
        self,
        x_mean: ArrayLike,
        x_scale: ArrayLike,
        y_mean: ArrayLike | None = None,
        y_scale: ArrayLike | None = None,
    ) -> MLP:
        """Make a network of the same layers for samples and outputs in other units.

        At x it computes ``y_mean + y_scale * self((x - x_mean) / x_scale)``, or without `y_mean` and `y_scale`
        ``self((x - x_mean) / x_scale)``. The scaling is folded into the first and the last layer, so that it costs
        nothing. Train before it: the network that results would learn badly from samples in such units.

        Parameters
        ----------
        x_mean, x_scale : array_like, shape (n_in,), or float
            Mean and scale by which this network's samples were standardised; scales above 0. See `fastnn.standardize`.
        y_mean, y_scale : array_like, shape (n_out,), or float, optional
            Mean and scale by which its targets were standardised; for a network whose output activation is the
            identity. Both, or neither: the outputs then stay as they are. With ``loss="gaussian_nll"`` the
            log-variances after the means have the mean ``2 log(scale)`` of their target's scale, and the scale 1;
            ``min_variance`` must then be multiplied by its square.

        Returns
        -------
        MLP
            A network with parameters of its own.

        Raises
        ------
        TypeError, ValueError
            If the network has no biases, or a domain, which is in its present units; if `y_mean` and `y_scale` are
            given for another output activation than the identity, or one without the other; or if an argument is
            invalid.

        Notes
        -----
        Rounding errors grow with the ratio of `x_mean` to `x_scale`: in float32 to about a thousandth where it is
        10,000, as for seconds since 1970 in samples of a few days. Subtract such an offset from the samples instead.
        """
        if self._domain is not None:
            raise ValueError("with_scaling must be called before with_domain, whose samples are in the final units")
        params = scaling.fold(self._spec, self._params, x_mean, x_scale, y_mean, y_scale)
        return type(self).from_params(self._spec, params)

    def to_torch(self) -> torch.nn.Sequential:
        """Copy the network into a ``torch.nn.Sequential``.

        Returns
        -------
        torch.nn.Sequential
            ``Linear`` and activation modules of the network's dtype, on the CPU, with trainable parameters.

        Raises
        ------
        ImportError
            If PyTorch is not installed.
        ValueError
            If the network has an activation of your own, or does something of its own outside its domain.
        """
        from fastnn.exchange import torch

        return torch.write(self._spec, self._params_to_write)

    def save(self, path: str | PathLike[str]) -> None:
        """Save the network, for `fastnn.load` to read; the file appears whole or not at all.

        Parameters
        ----------
        path : path_like
            The file, whose name ends in ``.npz`` or ``.safetensors``; a leading ``~`` is the home folder. An existing
            file is replaced, and its permissions are kept.

        Raises
        ------
        TypeError, ValueError
            If `path` is not a path with such an ending.
        ImportError
            If safetensors is needed and not installed.
        OSError
            If the file cannot be written.
        """
        from fastnn.models import files

        files.save(path, files.SavedNetwork(self._spec, self._params, self._domain, self._outside))

    @cached_property
    def numba_type(self) -> Any:
        """The Numba type of networks with this spec, for an attribute of a ``jitclass`` or for a signature."""
        with importing_numba():
            from fastnn import embed  # imports Numba
        return embed.type_of(self._spec, network_over, None if self._domain is None else self._outside)

    def copy(self) -> MLP:
        """An independent copy of the network, with its domain if it has one."""
        return type(self)._sharing(self._spec, aligned_copy(self._params), self._domain, self._outside)

    def __getstate__(self) -> tuple[Any, ...]:
        domain = () if self._domain is None else (self._domain, self._outside)
        cached = {name for name in vars(self) if isinstance(getattr(MLP, name, None), cached_property)}
        others = {name: value for name, value in vars(self).items() if name not in _MADE_ANEW | cached}
        return (self._spec, self._params, *domain, *([others] if others else []))

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        spec, params, *domain = state
        others = domain.pop() if domain and isinstance(domain[-1], dict) else {}
        self._hold(spec, aligned_copy(params), *domain)  # a copy, for copy.copy passes the array itself
        vars(self).update(others)

    def __repr__(self) -> str:
        spec = self._spec
        names = map(plain_name, spec.activations)
        layers = " -> ".join(f"{size} {name}" for size, name in zip(spec.sizes[1:], names, strict=True))
        biases = "biases" if spec.bias else "no biases"
        return f"<MLP: {spec.n_in} -> {layers}; {biases}, {checks.counted(spec.n_params, 'parameter')}, {spec.dtype}>"


def network_over(
    spec: NetworkSpec, params: NDArray[Any], domain: NDArray[np.float64] | None = None, outside: str = "ignore"
) -> MLP:
    """A network over this very array of parameters, which changes with it; nothing is checked.

    Parameters
    ----------
    spec : NetworkSpec
        Its description.
    params : ndarray, shape (n_params,), of the spec's dtype
        Its parameters, C-contiguous.
    domain : ndarray of float64, optional
        Its domain, as `fastnn.models.domain.measure` makes it.
    outside : str
        What it does with samples outside that.
    """
    return MLP._sharing(spec, params, domain, outside)
