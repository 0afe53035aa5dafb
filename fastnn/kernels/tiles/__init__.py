"""Networks of any size: matrix products by tiles held in registers."""
