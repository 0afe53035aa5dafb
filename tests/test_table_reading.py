"""Files as people have them are read right, by what a reader that others keep can tell and what the model knows."""

import contextlib
import errno
import gzip
import io
import signal
import sys
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from odd_tables import ODD, PEOPLE, people
from spreadsheets import xlsx

polars = pytest.importorskip("polars")
pytest.importorskip("duckdb")

from fastnn.tabular import csv_files  # noqa: E402 - after importorskip()
from fastnn.tabular.frames import as_frame, distinct  # noqa: E402 - after importorskip()
from fastnn.tabular.numerals import Numerals  # noqa: E402 - after importorskip()
from fastnn.tabular.reading import read_table  # noqa: E402 - after importorskip()
from fastnn.tabular.reading_settings import Reading  # noqa: E402 - after importorskip()

LONG = b"x" * 150_000


def values(series, numerals):
    """A column as numbers if all of it are, else as texts."""
    if series.dtype != polars.String:
        return series.to_list()
    texts = numerals.present(series)
    parsed = numerals.parse(texts)
    codes = texts.str.contains(r"^0\d").any()
    return (texts if codes or parsed.null_count() > texts.null_count() else parsed).to_list()


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: odd.name)
def test_an_odd_file_is_read_right(odd, tmp_path):
    path = tmp_path / odd.file_name
    path.write_bytes(odd.data)
    options = dict(odd.options)
    known = options.pop("known", [odd.columns[-1]])
    table = read_table(str(path), known, Reading(**options))
    assert table.frame.columns == odd.columns
    columns = [values(series, table.numerals) for series in table.frame]
    assert list(zip(*columns, strict=True)) == odd.rows


def test_what_was_guessed_is_told(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes("Größe;y\n1,5;2\n".encode("cp1252"))
    assert read_table(str(path)).guesses == "';' between columns, ',' decimal, Windows-1252"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_a_byte_order_mark_is_no_part_of_the_first_name(encoding, tmp_path):
    path, mark = tmp_path / "t.csv", "" if encoding in ("utf-8-sig", "utf-16") else "\ufeff"
    path.write_bytes(f"{mark}y;a,b\n1;2,5\n2;3,5\n".encode(encoding))
    for said in (encoding, None):
        assert read_table(str(path), ["y"], Reading(encoding=said)).frame.columns == ["y", "a,b"]


def test_the_folder_for_temporary_files_may_have_any_name(tmp_path, monkeypatch):
    folder = tmp_path / "O'Brien [1]"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    path = tmp_path / "t.csv"
    path.write_bytes(people(";", ","))
    assert read_table(str(path)).frame.columns == ["name", "age", "dose"]


@pytest.mark.parametrize("suffix", [".parquet", ".arrow", ".xlsx", ".csv.zst"])
def test_other_formats(suffix, tmp_path):
    frame = polars.DataFrame(PEOPLE, schema=["name", "age", "dose"], orient="row")
    path = str(tmp_path / f"odd[1]{suffix}")
    with open(path, "wb") as file:
        if suffix == ".parquet":
            frame.write_parquet(file)
        elif suffix == ".arrow":
            frame.write_ipc(file)
        elif suffix == ".xlsx":
            pytest.importorskip("fastexcel")
            file.write(xlsx(people=[frame.columns, *frame.rows()]))
        else:
            file.write(pytest.importorskip("zstandard").compress(people()))
    for reading in [Reading()] + [Reading(sheet="people")] * (suffix == ".xlsx"):
        table = read_table(path, ["dose"], reading)
        assert list(zip(*(values(s, table.numerals) for s in table.frame), strict=True)) == PEOPLE
    if suffix == ".xlsx":
        with pytest.raises(ValueError, match="cannot be read as a spreadsheet"):
            read_table(path, (), Reading(sheet="none"))


def test_how_texts_of_numbers_are_read_is_told_of_any_file_and_can_be_said(tmp_path):
    path = str(tmp_path / "t.parquet")
    polars.DataFrame({"x": ["1,234", "999"], "y": [1.5, 2.5]}).write_parquet(path)
    assert read_table(path, ["y"]).guesses == "texts of numbers, ',' decimal (--thousands , if it is between thousands)"
    said = read_table(path, ["y"], Reading(decimal=".", thousands=","))
    assert values(said.frame["x"], said.numerals) == [1234, 999]
    polars.DataFrame({"x": ["1.5", "u"], "y": [1.5, 2.5]}).write_parquet(path)
    assert read_table(path, ["y"]).guesses == ""
    told = r"--no-header must be left out for .*, which is a table whose columns have names"
    with pytest.raises(ValueError, match=told):
        read_table(path, ["y"], Reading(header=False))
    polars.DataFrame({"x": [1, 2], "y": [1.5, 2.5]}).write_parquet(path)
    assert read_table(path, ["x"], like=Numerals(",")).guesses == ""


def sheet(path, *rows, **reading):
    """What is read of a spreadsheet of these rows."""
    pytest.importorskip("fastexcel")
    path.write_bytes(xlsx(sheet=rows))
    return read_table(str(path), ["y"], Reading(**reading)).frame


NOON, DAY = datetime(2024, 1, 2, 12), date(2024, 1, 3)


@pytest.mark.parametrize(
    ("first", "last", "read"),
    [(1.5, "<5", "<5"), (NOON, "soon", "soon"), (True, "maybe", "maybe"), (True, 7, 7), (None, 2.5, 2.5)],
)
def test_no_cell_of_a_spreadsheet_is_lost_for_not_being_like_the_first(first, last, read, tmp_path):
    column = sheet(tmp_path / "t.xlsx", ("a", "y"), *[(first, 1)] * 1200, (last, 1))["a"]
    assert column[-1] == read
    assert column.null_count() == (1200 if first is None else 0)


def test_columns_of_a_spreadsheet_have_names_and_types_as_elsewhere(tmp_path):
    rows = [(" a ", None, "moment", "day", "y", None, "none"), (1, 0.1 + 0.2, NOON, DAY, 3.0e20, None, None)]
    frame = sheet(tmp_path / "t.xlsx", *rows)
    assert frame.columns == ["a", "column_2", "moment", "day", "y", "none"]
    assert frame.row(0) == (1, 0.1 + 0.2, NOON, DAY, 3.0e20, None)
    assert isinstance(frame["a"][0], int)
    assert sheet(tmp_path / "t.xlsx", rows[1], header=False).columns == [f"column_{k}" for k in range(1, 6)]


def test_a_name_twice_in_a_spreadsheet_has_a_counter_as_in_a_csv_file(tmp_path):
    frame = sheet(tmp_path / "t.xlsx", ("a", "a", None, "a_1", 2019, "y"), (1, 2, 3, 4, 5, 6), (2, 3, 4, 5, 6, 7))
    assert frame.columns == ["a", "a (2)", "column_3", "a_1", "2019", "y"]
    assert frame.row(0) == (1, 2, 3, 4, 5, 6)
    with pytest.raises(ValueError, match=r"t\.xlsx cannot be read as a spreadsheet: --sheet must be .*; got ''"):
        sheet(tmp_path / "t.xlsx", ("a", "y"), (1, 2), sheet="")


def test_an_empty_row_within_a_spreadsheet_is_a_row(tmp_path):
    empty = (None, None)
    frame = sheet(tmp_path / "t.xlsx", ("a", "y"), (1, 2), empty, (3, 4), empty, empty)
    assert frame.rows() == [(1, 2), empty, (3, 4)]
    assert sheet(tmp_path / "t.xlsx", ("a", "y"), empty).shape == (0, 2)
    with pytest.raises(ValueError, match="cannot be read as a spreadsheet: it is empty"):
        sheet(tmp_path / "t.xlsx")


def test_standard_input(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(gzip.compress(people(";")))))
    assert read_table("-", ["dose"]).frame.shape == (4, 3)
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(ValueError, match="- stands for standard input, which is closed"):
        read_table("-", ["dose"])


def packed(*texts):
    """A .zst file of a frame for each text."""
    zstandard = pytest.importorskip("zstandard")
    return b"".join(map(zstandard.compress, texts))


def test_a_packed_file_is_read_to_its_end_or_not_at_all(tmp_path):
    path, rows = tmp_path / "t.csv.zst", [f"{k},{k % 7}\n".encode() for k in range(20_000)]
    text = b"x,y\n" + b"".join(rows)
    for whole in (packed(text), packed(text[:9], text[9:50_000], b"", text[50_000:])):
        path.write_bytes(whole)
        assert read_table(str(path), ["y"]).frame.height == 20_000
        for cut in (1, 5, len(whole) // 2, len(whole) - 5):
            path.write_bytes(whole[:-cut])
            with pytest.raises(ValueError, match="cannot be unpacked: it ends in the middle"):
                read_table(str(path), ["y"])


@pytest.mark.parametrize(
    ("data", "reading", "said"),
    [
        (b"", Reading(), "it is empty"),
        (bytes(range(256)), Reading(), "--encoding says what it is"),
        ("Größe\n1\n".encode("cp1252"), Reading(encoding="utf-8"), "not text in utf-8"),
        (b"a\n1\n", Reading(encoding="utf-99"), "--encoding must be one that Python knows"),
        (b"a\n1\n", Reading(encoding=""), "--encoding must be one that Python knows, such as utf-8; got ''"),
        (b"a,y\n1,2\n", Reading(comment=","), "--comment and the separator must differ; both are ','"),
        (b"PK\x03\x04\x00", Reading(), "it is not text, but a .zip archive or a spreadsheet$"),
        (b"PAR1\x00PAR1", Reading(), "it is not text, but a Parquet file$"),
        (b"a,y\n1,2\n3,4,5\n6,7\n", Reading(), "line 3 has 3 fields, where the header has 2"),
        (b"a,y\n1,2\n3\n6,7\n", Reading(), "line 3 has 1 field, where the header has 2"),
        (b"# of\na,y\n" + 30_000 * b"1,2\n" + b"3,4,5\n", Reading(), "line 30003 has 3 fields, where the header has 2"),
        (b"sep=;\na;y\n1;2\n3;4;5\n", Reading(), "line 4 has 3 fields, where the header has 2"),
        (b'a,y\n1,2\n"b,3\n', Reading(), "line 3 has a quote that is not closed where its field ends"),
        (b"a,y\n" + 30_000 * b"1,2\n" + b'"b\\"c",3\n', Reading(), "line 30002 has a quote that is not closed"),
        (b"\x1f\x8bnothing", Reading(), "cannot be unpacked"),
        (b"a," + LONG + b"\n1,2\n", Reading(), r"line 1 has a field larger than field limit \(131072\)"),
        (b"a,y\n1," + 20 * LONG + b"\n", Reading(), "line 2 has more than 2,000,000 bytes, which are too many"),
    ],
)
def test_what_cannot_be_read_is_refused_in_a_sentence(data, reading, said, tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=said) as caught:
        read_table(str(path), ["y"], reading)
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_read_or_copied_is_told_by_its_name(tmp_path, monkeypatch):
    path = tmp_path / "t.arrow"
    path.write_bytes(b"a,y\n1,2\n")
    with pytest.raises(ValueError, match=r"t\.arrow cannot be read as a table: "):
        read_table(str(path), ["y"])

    def full(self, *text, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match=r"No space left on device: '.*table\.csv'"):
        read_table(str(path.rename(tmp_path / "t.csv")), ["y"])


@pytest.mark.parametrize("kind", ["parquet", "ipc"])
def test_a_file_at_which_polars_panics_is_refused_in_a_sentence(kind, tmp_path, monkeypatch):
    def panic(file):
        raise polars.exceptions.PanicException("assertion failed\nsomewhere")

    path = tmp_path / f"t.{kind}"
    path.write_bytes(b"damaged")
    monkeypatch.setattr(polars, f"read_{kind}", panic)
    with pytest.raises(ValueError, match=f"t.{kind} cannot be read as a table: assertion failed$"):
        read_table(str(path))


@pytest.mark.parametrize("comment", [None, "#"])
@pytest.mark.parametrize("above", ["# a,y\n", "#y\n\n", '  # y, b\n# 5" wide\n'])
def test_a_comment_that_names_columns_is_not_the_header(above, comment, tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(f'{above}a,y,b\n1,2,5"\n3,4,x\n')
    frame = read_table(str(path), ["y"], Reading(comment=comment)).frame
    assert frame.columns == ["a", "y", "b"]
    assert frame.rows() == [("1", "2", '5"'), ("3", "4", "x")]


def test_a_comment_is_the_header_where_there_is_no_other(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("# by a logger\n# a,y,b\n1,2,x\n3,4,y\n")
    frame = read_table(str(path), ["y"]).frame
    assert frame.columns == ["# a", "y", "b"]
    assert frame.height == 2


def test_ctrl_c_within_the_sniffer_is_not_lost(tmp_path, monkeypatch):
    path, sql = tmp_path / "t.csv", csv_files._sql

    def swallowed(text):
        with contextlib.suppress(KeyboardInterrupt):  # as DuckDB and what it is called by do
            signal.raise_signal(signal.SIGINT)
        return sql(text)

    path.write_bytes(people())
    monkeypatch.setattr(csv_files, "_sql", swallowed)
    with pytest.raises(KeyboardInterrupt):
        read_table(str(path), ["dose"])


def test_a_long_text_is_read(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes(b"# above\n\na,y\n" + LONG + b',1\n"' + LONG + b'\n",2\n')
    for known in (["y"], []):
        frame = read_table(str(path), known).frame
        assert frame.columns == ["a", "y"]
        assert frame["a"].str.len_chars().to_list() == [150_000] * 2


@pytest.mark.parametrize("options", [{"decimal": ","}, {"thousands": "."}, {"decimal": ",", "thousands": "."}])
def test_numerals_that_are_said_are_not_guessed(options, tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a;y\n1.234;2\n5.678;3\n")
    plain = read_table(str(path), ["y"])
    assert plain.numerals.parse(plain.frame["a"]).to_list() == [1.234, 5.678]
    said = read_table(str(path), ["y"], Reading(**options))
    assert said.numerals.parse(said.frame["a"]).to_list() == [1234, 5678]


def test_a_fraction_is_no_group_of_thousands(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text('x,y\n"0,125","0,250"\n"-0,375","12,500"\n')
    table = read_table(str(path), ["y"])
    assert [values(series, table.numerals) for series in table.frame] == [[0.125, -0.375], [0.25, 12.5]]
    assert Numerals(".", ",").parse(polars.Series(["1,250", "0,125", "012,500"])).to_list() == [1250.0, None, None]


@pytest.mark.parametrize(
    ("separator", "numbers", "doubtful"),
    [
        (";", ["126.329", "847", "1.234"], "."),
        ("\t", ["126,329", "847", "1,234"], ","),
        (",", ["126.329", "847", "1.234"], ""),  # a comma between columns goes with a point before fractions
        ("\t", ["0.329", "847", "1.234"], ""),
        (";", ["126.329", "847", "1.5"], ""),
        (";", ["05.01.2023", "06.01.2023", "07.01.2023"], ""),
    ],
)
def test_a_point_or_comma_that_may_be_between_thousands_is_told(separator, numbers, doubtful, tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(f"x{separator}y\n" + "".join(f"{text}{separator}1\n" for text in numbers))
    table = read_table(str(path), ["y"])
    told = f" (--thousands {doubtful} if it is between thousands)"
    assert (told in table.guesses) == bool(doubtful)
    assert "--thousands" not in read_table(str(path), ["y"], Reading(decimal=table.numerals.decimal)).guesses
    assert "--thousands" not in read_table(str(path), ["x"], like=table.numerals).guesses


def test_thousands_at_the_end_of_a_long_sorted_table_are_seen(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("x;y\n" + "".join(f"{k / 10:,.1f};1\n" for k in range(4000, 14_000)))
    table = read_table(str(path), ["y"])
    assert table.numerals == Numerals(".", ",")
    assert values(table.frame["x"], table.numerals)[-1] == 1399.9


def test_numerals_of_training_go_before_a_guess(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text('a,y\n"1,234",2\n')
    assert read_table(str(path), ["y"]).numerals == Numerals(".", ",")
    assert read_table(str(path), ["a", "y"], like=Numerals(",", "")).numerals == Numerals(",", "")


def test_columns_that_training_did_not_have_tell_nothing_of_numerals(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a;b;c\n1.234;1,5;2,5\n5.678;2,5;3,5\n")
    assert read_table(str(path), ["a", "b"]).numerals == Numerals(",", ".")
    assert read_table(str(path), ["a"], like=Numerals()).numerals == Numerals()


def test_frames_of_python():
    pandas = pytest.importorskip("pandas")
    frame = as_frame(pandas.DataFrame({"x": [1.0, np.nan], "c": ["u", None], "b": [True, False]}))
    assert frame.rows() == [(1.0, "u", True), (None, None, False)]
    assert as_frame({"x": [1.0, float("nan")]}).rows() == [(1.0,), (None,)]


def test_columns_of_python_keep_their_kinds():
    pandas = pytest.importorskip("pandas")
    berlin = pandas.to_datetime(["2020-01-02", None]).tz_localize("Europe/Berlin")
    frame = pandas.DataFrame(
        {
            "text": pandas.Series(["u", pandas.NA], dtype=object),
            "flag": pandas.array([True, None], dtype="boolean"),
            "whole": pandas.array([3, None], dtype="Int64"),
            "real": pandas.Series([1.5, None], dtype=object),
            "second": np.array(["2020-01-02", "NaT"], "datetime64[s]"),
            "day": pandas.Series([date(2020, 1, 2), None], dtype=object),
            "moment": pandas.Series([datetime(2020, 1, 2), pandas.NaT], dtype=object),
            "zone": berlin,
        }
    )
    midnight = datetime(2020, 1, 2)
    expected = ("u", "True", 3, 1.5, midnight, date(2020, 1, 2), midnight, midnight - timedelta(hours=1))
    for given in (frame, {name: frame[name] for name in frame.columns[:-1]}):
        assert as_frame(given).rows() == [expected[: len(given.keys())], (None,) * len(given.keys())]
    assert as_frame({"t": np.array(["2020-01-02T03:04"], "datetime64[m]")}).rows() == [(datetime(2020, 1, 2, 3, 4),)]
    assert as_frame(polars.LazyFrame({"x": [1.0]})).rows() == [(1.0,)]
    assert as_frame({"x": pandas.Series([np.ones(2), None])}).rows() == [("[1. 1.]",), (None,)]
    days = np.array([np.datetime64("2020-01-02"), np.datetime64("NaT", "D")], object)
    assert as_frame({"x": days}).rows() == [("2020-01-02",), (None,)]


@pytest.mark.parametrize("values", [[np.nan, "u"], ("u", np.nan), [np.nan, date(2020, 1, 2)], [np.nan, True, None]])
def test_what_is_missing_from_a_list_may_be_nan(values):
    read = {date(2020, 1, 2): date(2020, 1, 2), "u": "u", True: "True"}
    assert as_frame({"x": values})["x"].to_list() == [read.get(value) for value in values]


@pytest.mark.parametrize(
    "values", [[1, 2.5], [np.float32(2.5), 1], (1, np.nan, 2.5), [2**70, None], [2**63, -1], [-(2**70), 1]]
)
def test_whole_numbers_among_others_are_numbers(values):
    floats = [None if value is None or value != value else float(value) for value in values]
    read = as_frame({"x": values})["x"]
    assert (read.dtype, read.to_list()) == (polars.Float64, floats)


def test_a_matrix_is_read_as_an_array():
    assert as_frame(np.eye(2).view(np.matrix)).equals(as_frame(np.eye(2)))


def test_records_are_read_to_the_last():
    records = [{"x": 1}] * 200 + [{"x": 2.5, "z": "u"}]
    assert as_frame(records).row(-1) == (2.5, "u")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"x": [1.0, 2.0], "z": [1.0]}, "could not create a new DataFrame"),
        ({"x": [1.0, "2"]}, "unexpected value while building Series"),
        (3.0, ""),
    ],
)
def test_what_is_no_frame_is_refused_in_a_sentence(data, said):
    with pytest.raises(ValueError, match=f"frame cannot be read as a table: {said}"):
        as_frame(data)


def test_a_column_twice_has_a_counter_as_in_a_file():
    pandas = pytest.importorskip("pandas")
    frame = as_frame(pandas.DataFrame([[1.0, 2**200]], columns=["x", "x"]))
    assert frame.to_dict(as_series=False) == {"x": [1.0], "x (2)": [2.0**200]}


def test_one_name_for_thousands_of_columns_has_counters():
    names = distinct(["m"] * 5000 + ["m (2)", "", "", "column_5003"])
    assert names[:2] == ["m", "m (2)"]
    assert names[4999:] == ["m (5000)", "m (2) (2)", "column_5002", "column_5003", "column_5003 (2)"]
