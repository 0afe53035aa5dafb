"""The boundary: every argument is validated here, once; nothing behind it looks again.

A check returns the value that the rest of the package works with, or raises a `TypeError` or
`ValueError` of one sentence that names the argument, what was expected and what came.

- `values`, `arrays`: any number, flag, name or array; `settings`: any dataclass of settings; `memory`: what fits in.
- `networks`, `losses`, `optimizers`, `solvers`, `own`: each of these; `own` are functions of the user's.
- `data`: samples, targets and weights; `slopes`: derivatives; `monitor`: validation; `trainable`: frozen parameters.
- `jobs`: a whole run; `members`, `many`: many runs; `train_state`: training in compiled code.
- `extras`: packages that only some features need.
"""

from fastnn.checks.arrays import all_finite as all_finite
from fastnn.checks.arrays import as_numbers as as_numbers
from fastnn.checks.arrays import check_apart as check_apart
from fastnn.checks.arrays import check_columns as check_columns
from fastnn.checks.arrays import check_finite as check_finite
from fastnn.checks.arrays import check_means as check_means
from fastnn.checks.arrays import check_no_workspace as check_no_workspace
from fastnn.checks.arrays import check_numbers as check_numbers
from fastnn.checks.arrays import check_out as check_out
from fastnn.checks.arrays import check_params as check_params
from fastnn.checks.arrays import check_plain as check_plain
from fastnn.checks.arrays import check_scales as check_scales
from fastnn.checks.arrays import has_masked as has_masked
from fastnn.checks.data import check_batch as check_batch
from fastnn.checks.data import check_finite_data as check_finite_data
from fastnn.checks.data import check_inputs as check_inputs
from fastnn.checks.data import check_sample as check_sample
from fastnn.checks.data import check_sample_weight as check_sample_weight
from fastnn.checks.data import check_samples as check_samples
from fastnn.checks.data import check_some_present as check_some_present
from fastnn.checks.data import check_target_range as check_target_range
from fastnn.checks.data import check_targets as check_targets
from fastnn.checks.data import count_classes as count_classes
from fastnn.checks.data import naming as naming
from fastnn.checks.data import without_marks as without_marks
from fastnn.checks.jobs import check_batches_done as check_batches_done
from fastnn.checks.jobs import check_job as check_job
from fastnn.checks.jobs import check_l2 as check_l2
from fastnn.checks.jobs import check_shuffle as check_shuffle
from fastnn.checks.jobs import check_specialize as check_specialize
from fastnn.checks.jobs import check_state as check_state
from fastnn.checks.losses import check_loss as check_loss
from fastnn.checks.losses import check_loss_parameter as check_loss_parameter
from fastnn.checks.losses import check_loss_row as check_loss_row
from fastnn.checks.many import check_members_job as check_members_job
from fastnn.checks.members import check_ensemble_params as check_ensemble_params
from fastnn.checks.members import check_positions as check_positions
from fastnn.checks.members import check_quantiles as check_quantiles
from fastnn.checks.memory import check_epochs as check_epochs
from fastnn.checks.memory import check_memory as check_memory
from fastnn.checks.monitor import check_metric_exists as check_metric_exists
from fastnn.checks.monitor import check_monitor as check_monitor
from fastnn.checks.networks import check_hidden_activation as check_hidden_activation
from fastnn.checks.networks import check_network_spec as check_network_spec
from fastnn.checks.networks import check_rng as check_rng
from fastnn.checks.networks import check_spec as check_spec
from fastnn.checks.optimizers import check_optimizer as check_optimizer
from fastnn.checks.train_state import check_train_state as check_train_state
from fastnn.checks.train_state import check_trained_params as check_trained_params
from fastnn.checks.values import ABOVE_0 as ABOVE_0
from fastnn.checks.values import AT_LEAST_0 as AT_LEAST_0
from fastnn.checks.values import check_callback as check_callback
from fastnn.checks.values import check_flag as check_flag
from fastnn.checks.values import check_integer as check_integer
from fastnn.checks.values import check_name as check_name
from fastnn.checks.values import check_number as check_number
from fastnn.checks.values import check_optional_flag as check_optional_flag
from fastnn.checks.values import counted as counted
from fastnn.checks.values import describe as describe
from fastnn.checks.values import is_iterable as is_iterable
from fastnn.checks.values import is_sequence as is_sequence
from fastnn.checks.values import listed as listed
