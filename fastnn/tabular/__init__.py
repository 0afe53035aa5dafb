"""From a table to a trained network, and back to its predictions (extras ``data`` and ``io``).

`reading` reads a file, and `frames` takes a table in memory; `encoding` turns columns into numbers, `training` trains
networks on them and judges them, `model` predicts with networks and columns together, and `saved` keeps both on disk.
``fastnn train``, ``predict`` and ``info`` use them.
"""
