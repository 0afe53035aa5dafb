"""What a kernel of lanes is compiled for (`StepKind`), and the places in memory that it works on."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from functools import cached_property
from typing import Any, NamedTuple

from numba import types
from numba.extending import NativeValue, models, register_model, unbox

from fastnn.kernels.simd.registers import REGISTER_FILE
from fastnn.kernels.simd.types import Pointer
from fastnn.settings import catalogue
from fastnn.settings.spec import NetworkSpec


@dataclass(frozen=True)
class StepKind:
    """What a kernel is compiled for; passed to it, it carries nothing at run time.

    Attributes
    ----------
    spec : NetworkSpec
        The network.
    loss, rule : int
        Codes of `fastnn.settings.catalogue.LOSSES` and of `fastnn.kernels.functions.optimizers.RULES`.
    lanes : int
        Lanes of every vector.
    rows : int
        Rows of a batch (vectors of rows, where lanes hold samples) that go through the network together.
    lanes_hold_samples : bool
        Whether the lanes hold samples of one network; else they hold networks.
    penalised, clipped : bool
        Whether there is an L2 penalty, and a bound on the gradient's norm.
    packed : bool
        Whether every lane has rows of its own, copied to where a vector holds them; else all share those of the data.
    selective : bool
        Whether a lane's network may see only some of the features: the weights of the others get no gradient.
    one_block : bool
        Whether a batch is one block of rows, so that their number is known to the compiler.
    """

    spec: NetworkSpec
    loss: int
    rule: int
    lanes: int
    rows: int
    lanes_hold_samples: bool
    penalised: bool = False
    clipped: bool = False
    packed: bool = False
    selective: bool = False
    one_block: bool = False

    def __reduce__(self) -> tuple:
        return _again, astuple(self)  # without users' functions, as in `TypeOfSpec`

    @cached_property
    def _numba_type_(self) -> StepKindType:  # where Numba looks for the type of an argument first
        return StepKindType(self)

    @property
    def fused(self) -> bool:
        """Whether the loss takes the output's pre-activations."""
        return catalogue.loss_of(self.loss).logits_of is not None

    @property
    def n_targets(self) -> int:
        """Targets of a row."""
        return catalogue.loss_of(self.loss).n_targets(self.spec.n_out)

    def activation(self, layer: int) -> catalogue.Activation:
        """The activation that is computed in a layer."""
        if self.fused and layer == self.spec.n_layers - 1:
            return catalogue.ACTIVATIONS["identity"]
        return self.spec.layers[layer].activation

    @property
    def side_by_side(self) -> bool:
        """Whether parameters lie side by side, to be repeated in every lane as they are read: samples share them."""
        return self.lanes_hold_samples and REGISTER_FILE.side_by_side

    @property
    def param_vectors(self) -> int:
        """Vectors that the parameters take."""
        return -(-self.spec.n_params // self.lanes) if self.side_by_side else self.spec.n_params

    @cached_property
    def offsets(self) -> list[tuple[int, int, int]]:
        """The offsets of each layer's z, h and d among the values of a block of rows, counted in vectors."""
        offsets, z = [], 0
        for l, layer in enumerate(self.spec.layers):
            count = self.rows * layer.n_out
            h = z + count if self.activation(l).needs_input else z
            d = h + count
            offsets.append((z, h, d))
            z = d + count
        return offsets

    @property
    def columns(self) -> int:
        """Numbers that a row of a batch takes, with its share in the loss."""
        return self.spec.n_in + self.n_targets + 1

    @property
    def n_values(self) -> int:
        """Vectors that the values of a block of rows take."""
        *_, (_, _, d) = self.offsets
        return d + self.rows * self.spec.n_out


def _again(spec: tuple, *rest: Any) -> StepKind:
    return StepKind(NetworkSpec(*spec), *rest)


class StepKindType(types.Type):
    """The type of a `StepKind`."""

    def __init__(self, kind: StepKind):
        self.value = kind
        super().__init__(repr(kind))


@register_model(StepKindType)
class _StepKindModel(models.OpaqueModel):
    pass


@unbox(StepKindType)
def _unbox_kind(typ, kind, context):
    return NativeValue(context.context.get_dummy_value())


class LanePointers(NamedTuple):
    """Pointers to what a step reads and writes: vectors of the kind's length, or numbers that hold for all lanes."""

    params: Pointer
    parts: Pointer  # each lane's part of the gradient; where lanes hold networks, the gradient itself
    gradient: Pointer
    slot_0: Pointer
    slot_1: Pointer
    values: Pointer  # of a block of rows, see `StepKind.offsets`
    features: Pointer  # 1 where a network sees a feature, else 0, where the kind is selective


class Batch(NamedTuple):
    """Pointers to the rows of a batch, whose loads take one lane if all lanes share the rows."""

    x: Pointer
    y: Pointer
    share: Pointer  # what a row's loss is multiplied by
    share_stride: int  # 0 where it is the same for every row
    rows: int
