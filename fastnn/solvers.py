"""What type checkers and editors read as ``fastnn.solvers``; at run time it is `fastnn.settings.solvers`."""

from fastnn.settings.solvers import *  # noqa: F403
