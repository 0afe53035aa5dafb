"""Many networks at once, one in each lane of a vector, each at its own place of its own training.

A block of lanes runs all its epochs before the next begins, so that its parameters stay in the nearest cache. Epochs
and batches go in step through the lanes, but each lane counts its own: when a member is finished, its lane goes to
the next one waiting. Nothing a lane computes depends on what stands in the others.
"""

from fastnn.kernels.lanes.members.data import Data, MemberSettings, Results, new_block, table
from fastnn.kernels.lanes.members.loop import run
from fastnn.kernels.lanes.members.step import new_step

__all__ = ["Data", "MemberSettings", "Results", "new_block", "new_step", "run", "table"]
