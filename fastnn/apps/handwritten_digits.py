"""Images of handwritten digits, for the demo to learn.

They are the 1,797 test images of "Optical Recognition of Handwritten Digits" by E. Alpaydin and C. Kaynak (1998), UCI
Machine Learning Repository, https://doi.org/10.24432/C50P49, licence CC BY 4.0; stored here as bytes, otherwise
unchanged. scikit-learn's `load_digits` gives the same ones, but would make the demo's installation half as large again.
"""

from __future__ import annotations

from importlib.resources import files

import numpy as np
from numpy.typing import NDArray


def load() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Load the images and what they show.

    Returns
    -------
    images : ndarray of uint8, shape (1797, 8, 8)
        Ink in each pixel, from 0 to 16.
    labels : ndarray of uint8, shape (1797,)
        The digits, from 0 to 9.
    """
    with files("fastnn.apps").joinpath("handwritten_digits.npz").open("rb") as file, np.load(file) as arrays:
        return arrays["images"], arrays["labels"]
