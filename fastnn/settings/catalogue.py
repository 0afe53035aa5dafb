"""One row for each activation, loss and optimizer.

A row holds the properties that the rest of the package asks for; the functions themselves are defined, under the same
names, in `fastnn.reference` and in `fastnn.kernels.functions`. Tests are driven by these tables, and hold a page of the
documentation to them.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Any, Self

from fastnn.settings.intervals import ABOVE_0, INSIDE_UNIT, Interval


@dataclass(frozen=True)
class Activation:
    """An activation function.

    Attributes
    ----------
    name : str
        The name that a user writes.
    code : int
        The number that compiled kernels are specialised on.
    needs_input : bool
        The derivative needs the pre-activation z; otherwise it is computed from the output h alone.
    hidden : bool
        Allowed in hidden layers as well as in the output layer.
    analytic : bool
        Smooth, so that a complex step differentiates it.
    elementwise : bool
        Each output depends on its own pre-activation alone; otherwise on all those of its row.
    derivatives : int
        The order up to which it has derivatives, from 1 to 3; what needs a higher one is refused.
    exported : bool
        It can be written out in other languages (`fastnn.exchange`).
    """

    name: str
    code: int
    needs_input: bool = False
    hidden: bool = True
    analytic: bool = True
    elementwise: bool = True
    derivatives: int = 3
    exported: bool = True


@dataclass(frozen=True)
class Parameter:
    """A number for each target that a loss takes, under the name of the user's argument; one number serves all."""

    name: str
    default: float
    interval: Interval


@dataclass(frozen=True)
class Loss:
    """A loss function.

    Attributes
    ----------
    name, code
        As in `Activation`.
    mean : bool
        The loss of a batch is the weighted mean of its rows' losses; otherwise their weighted sum.
    mean_output : bool
        The loss of a row is the mean over its targets; otherwise their sum.
    logits_of : str or None
        The only output activation it goes with; both are computed together from the pre-activation z.
        None goes with every output activation that is elementwise.
    elementwise : bool
        Each target has a loss of its own; otherwise a row's outputs enter together.
    outputs_per_target : int
        How many outputs describe one target: the first output of every target, then the second of every target.
    labels : bool
        Integer class labels are accepted as targets.
    parameter : Parameter or None
        The number that it takes for each target.
    one_target : bool
        One target may serve all outputs, which then describe different things about it.
    kink : bool
        The derivative jumps somewhere, so that finite differences fail near there.
    squared : bool
        It is a sum of squared residuals, as Gauss-Newton methods need.
    targets : tuple of float
        The smallest and the largest target it is defined for.
    metric : str
        The measure of how good a network is, the higher the better: ``"r2"`` or ``"accuracy"``.
    masked : bool
        A target of NaN takes no part (`Loss.where_present`); False for every row of the table.
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

    def where_present(self) -> Self:
        """The same loss, except that a target of NaN takes no part in it."""
        loss = object.__new__(type(self))  # as a copy of a loss of the user's is that loss
        vars(loss).update(vars(self), masked=True, code=masked_code(self.code))
        return loss

    def masked_as(self, other: Loss) -> Self:
        """The same loss, in which a target of NaN takes no part if it takes none in the other."""
        return self.where_present() if other.masked else self

    @property
    def may_be_masked(self) -> bool:
        """Whether some targets of a row may be missing; a class is either known or not."""
        return self.metric == "r2"

    @property
    def one_class(self) -> bool:
        """Whether a sample is of one class out of n_out; otherwise each output is a question of its own."""
        return self.labels

    @property
    def default(self) -> float:
        """The default of its parameter, for every target."""
        return 1.0 if self.parameter is None else self.parameter.default

    @property
    def default_output(self) -> str:
        """The output activation where none is asked for: the only one that it goes with, or the identity."""
        return self.logits_of or "identity"

    def n_targets(self, n_out: int) -> int:
        """The number of targets of a row with `n_out` outputs."""
        return n_out // self.outputs_per_target

    def divisor(self, n_out: int) -> float:
        """The divisor of the sum of a row's losses over its targets."""
        return float(self.n_targets(n_out)) if self.mean_output else 1.0

    def fits(self, n_out: int) -> bool:
        """Whether a network with `n_out` outputs can have this loss."""
        return n_out % self.outputs_per_target == 0

    def goes_with(self, output_activation: str) -> bool:
        """Whether the loss is defined for this output activation."""
        if self.logits_of is not None:
            return output_activation == self.logits_of
        return activation_of(output_activation).elementwise


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
        Number of vectors, each as long as the parameters, that it keeps from step to step.
    whole_batch : bool
        It needs the gradient over all the data in every step.
    corrects_bias : bool
        Its first two settings, `beta_1` and `beta_2`, are decay rates of means whose bias towards their initial value
        of 0 is corrected in every step.
    keeps_step_sizes : bool
        Its second slot holds a step size for each parameter, initially the learning rate.
    variants : tuple of str
        The values of `fastnn.settings.optimizers.Optimizer.variant`; each has its own function in compiled code.
    """

    name: str
    rule: str
    slots: int = 0
    whole_batch: bool = False
    corrects_bias: bool = False
    keeps_step_sizes: bool = False
    variants: tuple[str, ...] = ("",)


def _table(*rows: Any) -> dict[str, Any]:
    return {row.name: row for row in rows}


#: fastnn's activations, by their names.
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
    Activation("ascending", 13, hidden=False, elementwise=False),
)

#: Users' own activations, by their codes (`fastnn.settings.own`).
OWN_ACTIVATIONS: dict[int, Activation] = {}


def own_code(name: str) -> int:
    """The code of a user's own row: the fingerprint at the end of its name, whatever the user calls it; or -1."""
    try:
        return int(name.partition("@")[2], 16)
    except ValueError:
        return -1


def activation_of(name: str) -> Activation:
    """The activation with this name.

    Raises
    ------
    LookupError
        If it is a user's own activation that this process does not have.
    """
    row = ACTIVATIONS.get(name) or OWN_ACTIVATIONS.get(own_code(name))
    if row is None:
        raise LookupError(
            f"activation {name!r} is not fastnn's; each process must first make its own activations with "
            "fastnn.Activation"
        )
    return row


DELTA = Parameter("delta", 1.0, ABOVE_0)  # where the Huber loss turns from a parabola into a line
QUANTILES = Parameter("quantiles", 0.5, INSIDE_UNIT)  # the level of each output's quantile or expectile
MIN_VARIANCE = Parameter("min_variance", 1e-6, ABOVE_0)  # is added to the variance that an output gives
PARAMETERS = DELTA, QUANTILES, MIN_VARIANCE

#: fastnn's losses, by their names.
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
    Loss(
        "ascending_pinball",
        10,
        logits_of="ascending",
        elementwise=False,
        kink=True,
        parameter=QUANTILES,
        one_target=True,
    ),
)

#: Users' own losses, by their codes (`fastnn.settings.own`), for their functions: of those that share them, the first.
OWN_LOSSES: dict[int, Loss] = {}


def masked_code(code: int) -> int:
    """The code of the same loss where targets may be missing, which is negative; or from that one back."""
    return -1 - code


def loss_of(code: int) -> Loss:
    """The loss with this code."""
    if code < 0:
        return loss_of(masked_code(code)).where_present()
    return OWN_LOSSES.get(code) or next(row for row in LOSSES.values() if row.code == code)


#: The update rules, by the names of their classes.
OPTIMIZERS: dict[str, Optimizer] = _table(
    Optimizer("SGD", "sgd", slots=1, variants=("", "_momentum", "_nesterov")),
    Optimizer("RMSprop", "rmsprop", slots=1),
    Optimizer("Adam", "adam", slots=2, corrects_bias=True),
    Optimizer("AdamW", "adamw", slots=2, corrects_bias=True),
    Optimizer("Rprop", "rprop", slots=2, whole_batch=True, keeps_step_sizes=True),
    Optimizer("VelocitySGD", "velocity_sgd", slots=1, variants=("", "_nesterov")),
    Optimizer("AdamHat", "adam_hat", slots=2, corrects_bias=True),
)
