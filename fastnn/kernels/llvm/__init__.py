"""The only door to LLVM: the vector type, and what needs more than Numba says."""
