"""The boundary: every argument is validated here, once; nothing behind it looks again.

A check returns the value that the rest of the package works with, or raises a `TypeError` or
`ValueError` of one sentence that names the argument, what was expected and what came.

- `values`, `arrays`: any number, flag, name or array; `settings`: any dataclass of settings; `memory`: what fits in.
- `networks`, `losses`, `optimizers`, `solvers`, `own`: each of these; `own` are functions of the user's.
- `data`: samples, targets and weights; `slopes`: derivatives; `monitor`: validation; `trainable`: frozen parameters.
- `jobs`: a whole run; `members`, `many`: many runs; `train_state`: training in compiled code.
- `extras`: packages that only some features need.
"""

from fastnn.checks.arrays import (
    all_finite,
    as_numbers,
    check_apart,
    check_columns,
    check_finite,
    check_means,
    check_no_workspace,
    check_numbers,
    check_out,
    check_params,
    check_plain,
    check_scales,
    check_vector,
    has_masked,
)
from fastnn.checks.data import (
    check_batch,
    check_finite_data,
    check_inputs,
    check_sample,
    check_sample_weight,
    check_samples,
    check_some_present,
    check_target_range,
    check_targets,
    count_classes,
    without_marks,
)
from fastnn.checks.jobs import (
    check_batches_done,
    check_job,
    check_l2,
    check_shuffle,
    check_specialize,
    check_state,
)
from fastnn.checks.losses import check_loss, check_loss_parameter, check_loss_row
from fastnn.checks.many import check_members_job
from fastnn.checks.members import (
    check_ensemble_params,
    check_positions,
    check_quantiles,
)
from fastnn.checks.memory import check_epochs, check_memory
from fastnn.checks.monitor import check_metric_exists, check_monitor
from fastnn.checks.networks import check_hidden_activation, check_network_spec, check_rng, check_spec
from fastnn.checks.optimizers import check_optimizer
from fastnn.checks.train_state import check_train_state, check_trained_params
from fastnn.checks.values import (
    ABOVE_0,
    AT_LEAST_0,
    check_callback,
    check_flag,
    check_integer,
    check_name,
    check_number,
    check_optional_flag,
    counted,
    describe,
    is_iterable,
    is_sequence,
    listed,
)

__all__ = [
    "ABOVE_0",
    "AT_LEAST_0",
    "all_finite",
    "as_numbers",
    "check_apart",
    "check_batch",
    "check_batches_done",
    "check_callback",
    "check_columns",
    "check_ensemble_params",
    "check_epochs",
    "check_finite",
    "check_finite_data",
    "check_flag",
    "check_hidden_activation",
    "check_inputs",
    "check_integer",
    "check_job",
    "check_l2",
    "check_loss",
    "check_loss_parameter",
    "check_loss_row",
    "check_means",
    "check_members_job",
    "check_memory",
    "check_metric_exists",
    "check_monitor",
    "check_name",
    "check_network_spec",
    "check_no_workspace",
    "check_number",
    "check_numbers",
    "check_optimizer",
    "check_optional_flag",
    "check_out",
    "check_params",
    "check_plain",
    "check_positions",
    "check_quantiles",
    "check_rng",
    "check_sample",
    "check_sample_weight",
    "check_samples",
    "check_scales",
    "check_shuffle",
    "check_some_present",
    "check_spec",
    "check_specialize",
    "check_state",
    "check_target_range",
    "check_targets",
    "check_train_state",
    "check_trained_params",
    "check_vector",
    "count_classes",
    "counted",
    "describe",
    "has_masked",
    "is_iterable",
    "is_sequence",
    "listed",
    "without_marks",
]
