"""One training run: called again and again, watched, interrupted, written down."""
