"""What a training step costs on this machine: fastnn beside NumPy, scikit-learn, PyTorch and JAX.

`workloads` says what is computed and on which data; a module of `peers` computes it the way that
library's own users would; `measure` checks one peer against the float64 reference and times it, in a
process of its own; `running` starts those processes one after another, `elsewhere` those of another
environment; `machine` says where; `results` reads what came out and compares it with earlier results; `report` and
`pictures` show it. ``fastnn bench`` drives it all.
"""
