"""One training step with a network, or a few samples, in every lane of a vector.

Every number of a network is a vector here. Its lanes hold either many networks (`members`), each at the same place
of its own training, or many samples of one network (`samples`), whose parameters are then the same for all lanes and
whose gradients are summed over the lanes at the end of a batch. That is all that tells the two apart.

A `StepKind` says at compile time what is computed: the sizes are known to the compiler, and layers are unrolled by
recursion. A batch goes through the network in blocks of `StepKind.rows` rows, products and activations apart, so that
each is a small loop of independent operations.

- `kind`: `StepKind`, and the memory that a step works on.
- `layers`, `losses`: forward and backward, and the loss in between.
- `step`: a batch's gradient, and the optimizer's update along it.
- `samples`: the kernel that trains one tiny network; `members`: the one that trains many networks.
"""

from fastnn.kernels.lanes.kind import Batch, LanePointers, StepKind, StepKindType
from fastnn.kernels.lanes.step import Pace, gradient_step, pass_batch, update

__all__ = [
    "Batch",
    "LanePointers",
    "Pace",
    "StepKind",
    "StepKindType",
    "gradient_step",
    "pass_batch",
    "update",
]
