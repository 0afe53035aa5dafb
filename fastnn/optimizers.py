"""What type checkers and editors read as ``fastnn.optimizers``; at run time it is `fastnn.settings.optimizers`."""

from fastnn.settings.optimizers import *  # noqa: F403
