"""Mathematics on one vector: activations, losses, update rules, random numbers.

- `vecmath`: exp, log, tanh and the like, by the polynomials of `coefficients`.
- `activations`, with the first derivatives; `curvatures`: the second and third.
- `losses`: value and derivative; `optimizers`: the update rules, and the pass over all parameters.
- `own`: the user's own functions as functions of vectors; `math_overloads`: what these may call.
- `random`: numbers from a counter; `shuffle`: orders of rows as scikit-learn draws them.
"""
