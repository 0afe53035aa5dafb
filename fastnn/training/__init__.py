"""One training run: its calls of a twin, its interruptions and its record; and what the solvers do in Python.

- `fit`: the run; `twins`: which modules compute it; `plain`: the training loop of plain loops.
- `batches`: data from a callable; `holding_out`: samples held out for validation.
- `history`: the record of the run; `progress`: the bar; `interrupts`: Ctrl-C; `blas`: the threads of BLAS.
- `least_squares`, with `slope_residuals` and `evidence`: Levenberg-Marquardt; `lbfgs`: L-BFGS; `verdict`: whether
  either has converged.
- `explain`: the path that each call takes, in words.
"""
