"""From a table to a trained network, and back to its predictions (extras ``data`` and ``io``).

- `reading`: a file, by `csv_files` and `spreadsheets`, as `reading_settings` say; `frames`: a table in memory.
- `numerals`: how numbers and dates are written; `kinds`: what each column is; `target`: what is predicted.
- `encoding`: columns as inputs of a network; `preparing`: a table for training, some of its rows held out.
- `training`: networks on a table; `scoring`: how good they are; `sweeping`: settings compared.
- `model`: networks and columns together, which predict; `saved`: both on disk.

``fastnn train``, ``sweep``, ``predict``, ``export`` and ``info`` use them.
"""
