"""All that a compiled training run needs, as one record: `fastnn.jobs.job.Job` in the form that kernels read."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from fastnn.kernels.tiles.end_epoch import MONITOR_RECORD

#: Arrays and functions come as addresses, 0 where there is none; a `fastnn.kernels.tiles.prepare.PreparedJob` keeps the
#: arrays alive.
JOB_RECORD = np.dtype(
    [
        # the data
        ("X", np.intp),
        ("y", np.intp),
        ("labels", np.intp),
        ("sample_weight", np.intp),
        ("n_rows", np.intp),
        ("n_targets", np.intp),  # of a row
        ("masked", np.intp),  # whether a target that is NaN takes no part
        ("batch_size", np.intp),
        ("seed", np.intp),
        ("member", np.intp),
        ("orders", np.intp),  # given orders in which to visit the rows
        ("n_orders", np.intp),
        # the network
        ("layers", np.intp),
        ("n_layers", np.intp),
        # what a step calls, where it is wanted
        ("draw_order", np.intp),
        ("weigh", np.intp),
        ("gather", np.intp),
        ("pack", np.intp),  # for samples in lanes: a batch into vectors of rows
        ("forward", np.intp),
        ("loss", np.intp),
        ("backward", np.intp),
        ("penalise", np.intp),
        ("clip", np.intp),
        ("optimizer", np.intp),
        ("by_parts", np.intp),  # whether parameters are updated as soon as their gradient is known
        # settings
        ("mean", np.intp),  # whether the batch's loss is a mean
        ("by_convention", np.intp),  # whether the loss goes by a `fastnn.jobs.job.LossConvention`
        ("reported", np.float64),
        ("row_divisor", np.float64),  # what the sum of a row's losses is divided by
        ("loss_parameter", np.intp),  # a number for each target
        ("settings", np.intp),  # of the optimizer
        ("parts", np.intp),  # of the parameters that are updated: where each begins and where it ends
        ("n_parts", np.intp),
        ("l2", np.float64),
        ("max_grad_norm", np.float64),
        # buffers
        ("gradient", np.intp),
        ("order", np.intp),  # the rows, shuffled
        ("order_epoch", np.intp),  # for which epoch: a run may take many calls for it
        ("bad_data", np.intp),  # an integer: whether a thread has met a number that is not finite
        ("block_labels", np.intp),
        ("block_losses", np.intp),  # of each `LOSS_ROWS` rows of a block
        ("work", np.intp),
        # places in `work`
        ("block_rows", np.intp),  # a batch goes through the network in blocks of this many rows
        ("zeros", np.intp),
        ("x_place", np.intp),
        ("x_stride", np.intp),  # 0 where blocks are read in place
        ("y_place", np.intp),
        ("scale_place", np.intp),
        # slopes that are trained on as well, see `fastnn.jobs.slopes.Slopes`
        ("add_slopes", np.intp),
        ("slopes", np.intp),
        ("directions", np.intp),
        ("n_directions", np.intp),
        ("slopes_weight", np.float64),
        ("slopes_work", np.intp),
        ("slopes_loss", np.intp),  # a number that all threads read
        # dropout and noise
        ("draw", np.intp),
        ("draw_nothing", np.intp),
        ("noise_seed", np.intp),
        ("noise_member", np.intp),
        ("input_noise", np.float64),
        # what is done when an epoch ends
        ("end_epoch", np.intp),
        ("monitor", MONITOR_RECORD),
    ]
)


def _structure(record: Any) -> Any:
    """The structure that lies in memory as a record does, whose fields have eight bytes each."""
    kinds = [(name, record[name]) for name in record.names]
    fields = [(name, _structure(kind) if kind.names else np.ctypeslib.as_ctypes_type(kind)) for name, kind in kinds]
    return type("Structure", (ctypes.Structure,), {"_fields_": fields})


#: The same as a structure, whose fields are set in a tenth of the time that NumPy takes. The one that NumPy makes of a
#: record is packed, of which Python 3.14 warns.
JobFields: Any = _structure(JOB_RECORD)
