"""The subcommands of ``fastnn``, a module each, and what they share.

A subcommand's module has a ``SUMMARY`` (one line, no full stop), ``EXAMPLES`` (the text that ``--help`` ends with),
``add_arguments(parser)`` and ``run(args, terminal)``. It imports what it needs inside ``run``, so
that ``fastnn --help`` stays quick, and reports failure by an ImportError, OSError,
RuntimeError or ValueError whose message is one line.

They share `terminal` (what is printed), `files` (what is written), and, where they take a table, `table_options`,
`table_output` and `learning`; `workload_tables` is a part of `bench`.
"""

#: In the order in which ``fastnn --help`` lists them.
COMMANDS = ("demo", "train", "sweep", "predict", "info", "convert", "export", "bench", "warmup", "cache")
