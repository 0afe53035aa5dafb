"""How kernels are compiled and cached: what they need of Numba's internals; the README says what each use buys.

- `compiling`: the decorators; `options`: the options of ``njit`` that they use.
- `compilers`, `passes`, `resolution`, `loading`, `raising`: Numba's compiler, with less to do.
- `cache`, `cache_folder`, `digest`: compiled kernels on disk, where they are, and the fingerprint of their code.
- `architecture`: a network's spec as a type; `lowering`: what intrinsics are written with.
- `signals`: Ctrl-C while Numba works; `importing`: declarations to it, one thread at a time; `recursion`: room for deep
  networks; `turned_off`: what happens without the compiler.
"""
