"""Networks from elsewhere and for elsewhere: a file for each format, or for each direction.

What is read becomes a list of steps (`steps`), which are folded into dense layers (`folding`): a spec and its
parameters. What is written is made of a spec and its parameters alone. No framework is imported in order to read its
objects: they are known by their class and its module, and read by their attributes. Only ONNX's package parses its
files.

- Read: `arrays`, `keras`, `onnx_reading`, `torch`; with the help of `activations`, `numbers` and `shape`.
- Written: `c` (with `c_functions` and `c_members`), `fortran`, `numpy_source`, `onnx_writing`, `torch` (with
  `torch_modules`); with the help of `contents` and `self_test`.
"""
