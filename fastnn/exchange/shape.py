"""The shape of a value within a model from elsewhere, by which a step that would regroup features is found out."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod


class Shape:
    """A value's dimensions, the samples' first; 0 is any length, None any number of dimensions."""

    def __init__(self, dims: Sequence[int | None] | None):
        self.dims = None if dims is None else [max(dim or 0, 0) for dim in dims]
        self.is_output = False  # of a dense layer

    @property
    def width(self) -> int:
        """Numbers in a sample, all of its dimensions flattened; 0 if that is not known."""
        return 0 if self.dims is None else prod(self.dims[1:] or self.dims)

    def from_end(self, axis: int) -> int:
        """An axis counted from the last, -1, if the number of dimensions is known; 0 if there is no such axis."""
        return axis if self.dims is None or axis < 0 else min(axis - len(self.dims), 0)

    def multiply(self, n_out: int) -> None:
        """A dense layer takes the last dimension."""
        self.dims = None if self.dims is None else [*self.dims[:-1], n_out]
        self.is_output = True

    def reshape(self, width: int, place: str) -> None:
        """Samples become rows of this width, 0 if it is not known.

        Raises
        ------
        ValueError
            If that may put features of several samples, or of several of a layer's rows, together or apart.
        """
        if self.is_output and (self.dims is None or self.width != self.dims[-1]):
            got = "a number that is not known" if self.dims is None else len(self.dims)
            raise ValueError(f"{place} must come where values have 2 dimensions, or before any layer; got {got}")
        if self.width and width and self.width != width:
            raise ValueError(f"{place} must keep the {self.width} features of each sample; it makes rows of {width}")
        self.dims = [self.dims[0] if self.dims else 0, width or self.width]
