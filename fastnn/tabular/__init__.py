"""From a table to a trained network, and back to its predictions (extras ``data`` and ``io``).

`reading` opens a file, `encoding` turns its columns into numbers, `training` fits and judges a network on
them, `model` keeps the two together on disk. ``fastnn train``, ``predict`` and ``info`` drive them.
"""
