"""The classic tutorial's four samples: two bits and a constant 1, which stands in for a bias; their targets are xor.

They stand apart from `tutorial`, which imports Numba: the comparison times the imports of its peers.
"""

import numpy as np

TUTORIAL_X = np.array([[0.0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 1]])
TUTORIAL_Y = np.array([[0.0], [1], [1], [0]])
