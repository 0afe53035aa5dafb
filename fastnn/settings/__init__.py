"""What a user chooses: a network's spec, the optimizer, schedules, early stopping; and a catalogue of it all.

- `catalogue`: activations, losses and optimizers, a row each; `own`: rows of the user's.
- `spec`: a network; `initializers`: its initial weights; `domain`: the samples that it knows; `methods`: what it does.
- `optimizers`, `solvers`, `schedules`, `early_stopping`: frozen dataclasses, whose fields state their `intervals`.
- `constants`: numbers in formulas and checks; `describing`: what came, for messages.
"""
