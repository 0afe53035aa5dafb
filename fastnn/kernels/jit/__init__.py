"""How kernels are compiled and cached: all that touches Numba's internals."""
