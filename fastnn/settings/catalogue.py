"""What there is: one row for each activation, loss and optimizer.

The rows say what goes with what; the functions themselves stand, under the same names, in
`fastnn.reference` and in `fastnn.kernels.functions`. Tests and documentation are driven by these tables.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf

from fastnn.settings.intervals import ABOVE_0, INSIDE_UNIT, Interval


@dataclass(frozen=True)
class Activation:
    """An activation function.

    Attributes
    ----------
    name : str
        What a user writes.
    code : int
        What a compiled kernel is specialised on.
    needs_input : bool
        Whether the derivative needs the pre-activation z; otherwise the output h alone is enough.
    hidden : bool
        May stand in a hidden layer as well as in the output.
    analytic : bool
        Smooth, so that a complex step differentiates it.
    elementwise : bool
        Each output hangs on its own pre-activation alone; otherwise on all of its row.
    """

    name: str
    code: int
    needs_input: bool = False
    hidden: bool = True
    analytic: bool = True
    elementwise: bool = True


@dataclass(frozen=True)
class Parameter:
    """A number for each target that a loss takes, by the name a user says; a single one goes for all."""

    name: str
    default: float
    interval: Interval


@dataclass(frozen=True)
class Loss:
    """A loss function.

    Attributes
    ----------
    name, code
        As for `Activation`.
    mean : bool
        Over a batch it is the weighted mean of the rows' losses; otherwise their weighted sum.
    mean_output : bool
        On one row it is the mean over the targets; otherwise their sum.
    logits_of : str or None
        The one output activation it goes with, computed together from the pre-activation z;
        None goes with every output but softmax.
    elementwise : bool
        Each target has a loss of its own; otherwise a row's outputs come in together.
    outputs_per_target : int
        How many outputs speak of one target: first the ones that all targets have, then the others.
    labels : bool
        Integer class labels are welcome as targets.
    parameter : Parameter or None
        The number for each target that it takes.
    one_target : bool
        A single target may go for all outputs, which then say different things about it.
    kink : bool
        The derivative jumps somewhere, so that finite differences fail near there.
    squared : bool
        A sum of squared residuals, as Gauss-Newton methods need.
    targets : tuple of float
        The least and the greatest target it is defined on.
    metric : str
        How good a network is, the higher the better: ``"r2"`` or ``"accuracy"``.
    masked : bool
        A target that is NaN takes no part (`Loss.where_present`); in the table none is.
    """

    name: str
    code: int
    mean: bool = True
    mean_output: bool = True
    logits_of: str | None = None
    elementwise: bool = True
    outputs_per_target: int = 1
    labels: bool = False
    parameter: Parameter | None = None
    one_target: bool = False
    kink: bool = False
    squared: bool = False
    targets: tuple[float, float] = (-inf, inf)
    metric: str = "r2"
    masked: bool = False

    def where_present(self) -> Loss:
        """The same loss, in which a target that is NaN takes no part."""
        return replace(self, masked=True, code=-1 - self.code)

    @property
    def may_be_masked(self) -> bool:
        """Whether single targets of a row may be missing; a class is either known or not."""
        return self.metric == "r2"

    @property
    def one_class(self) -> bool:
        """Whether a sample is of one class out of n_out; otherwise each output is a question of its own."""
        return self.labels

    @property
    def default(self) -> float:
        """What its parameter is for every target where nothing is said."""
        return 1.0 if self.parameter is None else self.parameter.default

    def n_targets(self, n_out: int) -> int:
        """How many targets a row of so many outputs has."""
        return n_out // self.outputs_per_target

    def divisor(self, n_out: int) -> float:
        """What the sum of a row's losses over the targets is divided by."""
        return float(self.n_targets(n_out)) if self.mean_output else 1.0

    def fits(self, n_out: int) -> bool:
        """Whether a network of so many outputs can have this loss."""
        return n_out % self.outputs_per_target == 0

    def goes_with(self, output_activation: str) -> bool:
        """Whether the loss is defined on this output activation."""
        if self.logits_of is not None:
            return output_activation == self.logits_of
        return output_activation != "softmax"


@dataclass(frozen=True)
class Optimizer:
    """An update rule.

    Attributes
    ----------
    name : str
        Name of the class in `fastnn.settings.optimizers`.
    rule : str
        Name of the function in either twin.
    slots : int
        Vectors of the length of the parameters that it keeps from step to step.
    whole_batch : bool
        Needs the gradient over all the data in every step.
    corrects_bias : bool
        Its first two settings, `beta_1` and `beta_2`, are decays of means whose start at 0 is corrected in every step.
    keeps_step_sizes : bool
        Its second slot holds a step size for each parameter, the learning rate at first.
    variants : tuple of str
        What `fastnn.settings.optimizers.Optimizer.variant` may say: each is a function of its own in compiled code.
    """

    name: str
    rule: str
    slots: int = 0
    whole_batch: bool = False
    corrects_bias: bool = False
    keeps_step_sizes: bool = False
    variants: tuple[str, ...] = ("",)


def _table(*rows):
    return {row.name: row for row in rows}


ACTIVATIONS: dict[str, Activation] = _table(
    Activation("identity", 0),
    Activation("sigmoid", 1),
    Activation("tanh", 2),
    Activation("relu", 3, analytic=False),
    Activation("leaky_relu", 4, analytic=False),
    Activation("elu", 5, analytic=False),
    Activation("selu", 6, analytic=False),
    Activation("silu", 7, needs_input=True),
    Activation("softplus", 8),
    Activation("gelu_tanh", 9, needs_input=True),
    Activation("softmax", 10, hidden=False, elementwise=False),
    Activation("exp", 11, hidden=False),
    Activation("sin", 12, needs_input=True),
)

#: Activations of the user's own, by their codes (`fastnn.settings.own`).
OWN_ACTIVATIONS: dict[int, Activation] = {}


def activation_of(name: str) -> Activation:
    """The activation of a name.

    Raises
    ------
    LookupError
        If it is one of the user's own that this process does not have.
    """
    row = ACTIVATIONS.get(name) or next((row for row in OWN_ACTIVATIONS.values() if row.name == name), None)
    if row is None:
        raise LookupError(
            f"activation {name!r} is one of the user's own, which each process must make by fastnn.Activation first"
        )
    return row


DELTA = Parameter("delta", 1.0, ABOVE_0)  # where the Huber loss turns from a parabola into a line
QUANTILES = Parameter("quantiles", 0.5, INSIDE_UNIT)  # the level of each output's quantile or expectile
MIN_VARIANCE = Parameter("min_variance", 1e-6, ABOVE_0)  # what is added to the variance that an output says
PARAMETERS = DELTA, QUANTILES, MIN_VARIANCE

LOSSES: dict[str, Loss] = _table(
    Loss("sse", 0, mean=False, mean_output=False, squared=True),
    Loss("mse", 1, squared=True),
    Loss("mae", 2, kink=True),
    Loss("huber", 3, kink=True, parameter=DELTA),
    Loss("poisson", 4, logits_of="exp", targets=(0, inf)),
    Loss(
        "cross_entropy",
        5,
        mean_output=False,
        logits_of="softmax",
        elementwise=False,
        labels=True,
        targets=(0, 1),
        metric="accuracy",
    ),
    Loss("binary_cross_entropy", 6, logits_of="sigmoid", targets=(0, 1), metric="accuracy"),
    Loss("pinball", 7, kink=True, parameter=QUANTILES, one_target=True),
    Loss("expectile", 8, kink=True, parameter=QUANTILES, one_target=True),
    Loss("gaussian_nll", 9, outputs_per_target=2, parameter=MIN_VARIANCE),
)


#: Losses of the user's own, by their codes (`fastnn.settings.own`).
OWN_LOSSES: dict[int, Loss] = {}


def loss_of(code: int) -> Loss:
    """The loss of a code."""
    if code < 0:
        return loss_of(-1 - code).where_present()
    return OWN_LOSSES.get(code) or next(row for row in LOSSES.values() if row.code == code)


OPTIMIZERS: dict[str, Optimizer] = _table(
    Optimizer("SGD", "sgd", slots=1, variants=("", "_momentum", "_nesterov")),
    Optimizer("RMSprop", "rmsprop", slots=1),
    Optimizer("Adam", "adam", slots=2, corrects_bias=True),
    Optimizer("AdamW", "adamw", slots=2, corrects_bias=True),
    Optimizer("Rprop", "rprop", slots=2, whole_batch=True, keeps_step_sizes=True),
    Optimizer("VelocitySGD", "velocity_sgd", slots=1, variants=("", "_nesterov")),
    Optimizer("AdamHat", "adam_hat", slots=2, corrects_bias=True),
)
