"""One training run: its calls of a twin, its interruptions and its record; and what the solvers do in Python."""
