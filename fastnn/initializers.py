"""What type checkers and editors read as ``fastnn.initializers``; at run time it is `fastnn.settings.initializers`."""

from fastnn.settings.initializers import *  # noqa: F403
