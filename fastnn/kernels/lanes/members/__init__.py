"""Many networks at once, one in each lane of a vector, each at its own place of its own training.

A block of lanes runs all its epochs before the next begins, so that its parameters stay in the nearest cache. Epochs
and batches go in step through the lanes, but each lane counts its own: when a member is finished, its lane goes to
the next one waiting. Nothing a lane computes depends on what stands in the others.

- `loop`: the kernel: members from the queue into the lanes, through their epochs, and out again.
- `turnover`: how a member gets a lane, is watched, and leaves it.
- `batches`: each lane's order of the samples, its rows of a batch, and their shares in its loss.
- `step`: a step and a loss, compiled for a kind of network and called by address.
- `data`: the records that Python fills in; `pointers`: the same as the kernel sees them.
"""

from fastnn.kernels.lanes.members.data import Data, MemberSettings, Results, new_block, table
from fastnn.kernels.lanes.members.loop import run
from fastnn.kernels.lanes.members.step import new_step

__all__ = ["Data", "MemberSettings", "Results", "new_block", "new_step", "run", "table"]
