"""The ``fastnn`` command, and what only it needs."""
