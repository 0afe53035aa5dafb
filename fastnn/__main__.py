"""``python -m fastnn`` is the ``fastnn`` command."""

import sys

from fastnn.apps.cli import main

sys.exit(main())
