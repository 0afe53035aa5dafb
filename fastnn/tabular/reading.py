"""Opening a CSV or Parquet file (extra ``data``)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastnn.checks.extras import require

#: What stands for a missing value in a CSV file, beside an empty field.
MISSING = ["NA", "N/A", "NaN", "nan", "null", "NULL", "None", "?"]

#: What separates columns, if no comma does.
SEPARATORS = ("\t", ";", "|")


def read_table(path: str) -> Any:
    """Read a table.

    Parameters
    ----------
    path : str
        A ``.parquet`` file, or any other name for a CSV file with a header; tabs, semicolons or bars may separate
        its columns.

    Returns
    -------
    polars.DataFrame
        NaN is missing, as is an empty field.

    Raises
    ------
    ImportError
        If polars is not installed.
    OSError
        If the file cannot be read.
    ValueError
        If it is no such file, or has no rows.
    """
    polars = require("polars", extra="data")
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path} is not a file")
    try:
        if Path(path).suffix == ".parquet":
            frame = polars.read_parquet(path)
        else:
            options = {"null_values": MISSING, "infer_schema_length": None}
            frame = polars.read_csv(path, **options)
            separators = [s for s in SEPARATORS if frame.width == 1 and s in frame.columns[0]]
            if separators:
                frame = polars.read_csv(path, separator=separators[0], **options)
    except polars.exceptions.PolarsError as error:
        raise ValueError(f"{path} cannot be read as a table: {str(error).splitlines()[0]}") from error
    if frame.height == 0:
        raise ValueError(f"{path} has a header and no rows")
    return frame.fill_nan(None)
