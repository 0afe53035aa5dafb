"""What type checkers and editors read as ``fastnn.schedules``; at run time it is `fastnn.settings.schedules`."""

from fastnn.settings.schedules import *  # noqa: F403
