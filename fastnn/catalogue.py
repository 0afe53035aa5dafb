"""What type checkers and editors read as ``fastnn.catalogue``; at run time it is `fastnn.settings.catalogue`."""

from fastnn.settings.catalogue import *  # noqa: F403
