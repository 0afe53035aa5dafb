"""The modules that are imported by name when they are first used.

`fastnn.sklearn` is not among them, for it would bring all of scikit-learn: a program that imports it has it.
"""

from PyInstaller.utils.hooks import collect_submodules

hiddenimports = collect_submodules("fastnn", filter=lambda name: not name.startswith("fastnn.sklearn"))
