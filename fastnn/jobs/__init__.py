"""A training run as data: plain records that the boundary makes and both twins take.

- `job`: one run (`Job`), its progress (`State`), and how a call that trains ends (`Status`).
- `monitor`: the validation set and early stopping; `slopes`: derivatives to train on; `missing`: missing targets.
- `members`: many runs (`MembersJob`); `records`: how each of them went.
- `aligned`: arrays that begin at cache lines; `random_bits`: what dropout and noise make of random bits.
"""
