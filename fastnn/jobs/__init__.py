"""A training run as data: plain records that the boundary makes and both twins take."""
