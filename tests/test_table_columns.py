"""What columns and targets are found to be: nothing is guessed, left out or leaked in silence."""

from datetime import date, datetime, timedelta

import numpy as np
import pytest

polars = pytest.importorskip("polars")
pytest.importorskip("sklearn")

from fastnn.apps.commands.table_output import tell_table  # noqa: E402 - after importorskip()
from fastnn.apps.commands.terminal import Terminal  # noqa: E402 - after importorskip()
from fastnn.tabular import preparing  # noqa: E402 - after importorskip()
from fastnn.tabular.encoding import Column, many_means  # noqa: E402 - after importorskip()
from fastnn.tabular.kinds import profile_of  # noqa: E402 - after importorskip()
from fastnn.tabular.numerals import Numerals, date_format, days  # noqa: E402 - after importorskip()
from fastnn.tabular.reading import Table  # noqa: E402 - after importorskip()
from fastnn.tabular.target import infer_target  # noqa: E402 - after importorskip()

N = 200
RNG = np.random.default_rng(0)
Y = RNG.normal(size=N).round(6)
NOISE = RNG.normal(size=N)


def prepared(y=Y, **columns):
    return preparing.prepare(polars.DataFrame({"noise": NOISE, **columns, "y": y}), "y", None, 0)


@pytest.mark.parametrize(
    ("levels", "given", "read"),
    [
        (("False", "True", "unknown"), [True, False, None], ["True", "False", None]),
        (("False", "True", "unknown"), ["0", "TRUE", "unknown"], ["False", "True", "unknown"]),
        (("False", "True", "unknown"), [1.0, 0.0, None], ["True", "False", None]),
        (("0", "1", "x"), [True, False, None], ["1", "0", None]),
        (("TRUE", "True", "False"), ["1", "True", "true"], ["1", "True", "true"]),  # of two levels either may be meant
        (("1", "2", "x"), ["true", "1", "0"], ["true", "1", "0"]),
        (("1", "2", "x"), [1.0, None, 2.0, 3.0], ["1", None, "2", "3.0"]),
        (("1", "1.0", "2.5"), [1.0, 2.5], ["1.0", "2.5"]),
        (("1", "2", "x"), ["1.0", "2"], ["1.0", "2"]),  # texts are as they are
    ],
)
def test_truth_values_and_whole_numbers_as_floats_are_the_levels_of_their_own(levels, given, read):
    assert Column("c", levels).read(polars.Series("c", given), Numerals()).to_list() == read


@pytest.mark.parametrize("form", ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"])
def test_dates_in_iso_8601_are_read_with_a_time_and_without(form):
    column = Column("when", None, kind="date", form=form)
    read = column.read(
        polars.Series("when", ["1970-01-02", "1970-01-02 12:00:00", "1970-01-02T12:00", None]), Numerals()
    )
    np.testing.assert_array_equal(read, [1, 1.5, 1.5, np.nan])


def test_dates_with_the_hours_of_half_a_day_are_read():
    series = polars.Series("when", ["1/2/1970 12:00 AM", "1/2/1970 12:00 PM", "1/2/1970 6:00 pm", "1/13/1970 6:00 AM"])
    form = date_format(series)
    assert form == "%m/%d/%Y %I:%M %p"
    assert days(series, form).to_list() == [1, 1.5, 1.75, 12.25]


def test_how_dates_must_be_written_is_told_where_training_had_no_texts():
    with pytest.raises(ValueError, match=r"dates as year-month-day; it holds '02\.01\.1970' in row 1"):
        Column("when", None, kind="date").read(polars.Series("when", ["02.01.1970"]), Numerals())


@pytest.mark.parametrize(
    ("name", "column", "reason"),
    [
        ("again", Y, "a copy of the target"),
        ("scaled", 3 * Y + 1, "an exact function of the target"),
        ("log", np.exp(Y), "an exact function of the target"),
        ("y (2)", NOISE**2, "the target's name again"),
        ("twice", NOISE, "a copy of 'noise'"),
        ("row", np.arange(N), "row numbers"),
        ("patient_id", np.arange(N) * 7, "an identifier: every row has its own"),
        ("five", np.full(N, 5.0), "constant"),
        ("nearly", 14.62 + 1e-15 * np.arange(N), "constant"),
        ("note", [f"a longer text {k} of words" for k in range(N)], "a different text in most rows"),
        ("empty", [""] * N, "empty"),
        ("tiny", np.arange(N) * 1e-200, "constant"),
        ("falling", -(Y**3), "an exact function of the target"),
        ("priced", [f"${k}.50" for k in range(N)], "200 different texts, as '$0.50', too many for categories"),
    ],
)
def test_a_column_of_no_use_is_left_out_with_the_reason(name, column, reason):
    assert prepared(**{name: column}).left_out == {name: reason}


LEVELS = RNG.integers(0, 4, N)
TENTHS = np.searchsorted(np.quantile(Y, np.arange(1, 10) / 10), Y)


@pytest.mark.parametrize(
    ("y", "column", "left_out"),
    [
        (LEVELS + 0.5, [f"grade {'bdac'[k]}" for k in LEVELS], True),
        (LEVELS + 0.5, 3 - LEVELS, True),
        (Y, [f"tenth {'hbdacegfji'[k]}" for k in TENTHS], True),
        (LEVELS + 0.5, [f"grade {'bdac'[k]}" for k in np.roll(LEVELS, 1)], False),
        (Y, [f"half {k // 5}" for k in TENTHS], False),  # as a few categories may be by themselves
    ],
)
def test_categories_that_give_a_number_away_are_left_out(y, column, left_out):
    assert prepared(y, c=column).left_out == ({"c": "an exact function of the target"} if left_out else {})


@pytest.mark.parametrize(
    "column", [[f"metal {'hbdacegfjilk'[k % 12]}" for k in range(60)], 10 ** (np.arange(60) % 12 / 4)]
)
def test_a_column_that_tells_the_clusters_of_a_number_is_used(column):
    y = np.arange(60) % 12 * 3 + 0.1 * RNG.normal(size=60)  # as repeated measurements of each metal or dose are
    table = preparing.prepare(polars.DataFrame({"noise": NOISE[:60], "c": column, "y": y}), "y", None, 0)
    assert table.left_out == {}


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        (["01234", "00042"] * 100, "category"),
        (["1.10", "1E5", "x"] * 66 + ["x", "x"], "category"),
        ([f"{day:02d}.03.2023" for day in range(1, 21)] * 10, "date"),
        (["broken"] + [f"{k % 17}" for k in range(N - 1)], "number"),
        ([f"t{k % 60}" for k in range(N)], "many"),
        ([f"March {day}, 2023" for day in range(1, 21)] * 10, "date"),
        ([f"2023-03-{day:02d}T10:00:00+02:00" for day in range(1, 21)] * 10, "date"),
        ([f"2023-03-{day:02d} 10:00:00.5+00:00" for day in range(1, 21)] * 10, "date"),
        ([f"3/{day}/2023 {day % 12 + 1}:30:00 {'AP'[day % 2]}M" for day in range(1, 21)] * 10, "date"),
        (["True", "False"] * 100, "number"),
        ([".", "#N/A", " ", "3.5"] * 50, "number"),
    ],
)
def test_a_column_is_taken_for_what_it_is(column, kind):
    assert {c.name: c.kind for c in prepared(c=column).columns} == {"noise": "number", "c": kind}


@pytest.mark.parametrize("strays", [{7: "unknown"}, {7: "0000-00-00", 150: "?!"}])
def test_a_few_texts_among_dates_count_as_missing(strays):
    days = np.array([f"{1 + k % 12:02d}/{1 + k % 28:02d}/2023" for k in range(N)], object)
    days[list(strays)] = list(strays.values())
    table = prepared(c=days)
    _, column = table.columns
    told = next(profile for profile in table.profiles if profile.name == "c")
    assert (column.kind, column.form, column.strays) == ("date", "%m/%d/%Y", tuple(sorted(strays.values())))
    assert told.n_missing == len(strays)
    assert told.remark.startswith("month/day/year, days since 1970; missing: ")
    assert all(f"{text!r} in row {row + 1}" in told.remark for row, text in strays.items())
    read = column.read(polars.Series("c", ["01/02/1970", strays[7]]), Numerals())
    np.testing.assert_array_equal(read, [1, np.nan])
    with pytest.raises(ValueError, match="dates as month/day/year; it holds 'never' in row 1"):
        column.read(polars.Series("c", ["never"]), Numerals())


def test_dates_in_iso_8601_without_a_time_are_none_of_those_texts():
    days = [f"2023-03-{1 + k % 20:02d}" + " 12:00:00" * (k % 5 > 0) for k in range(N)]  # midnight, as R writes it
    column = prepared(c=days).columns[1]
    assert (column.kind, column.form, column.strays, column.missing) == ("date", "%Y-%m-%d %H:%M:%S", (), False)


def test_dates_with_too_many_other_texts_are_none():
    dates = [f"2023-03-{1 + k % 20:02d}" for k in range(N)]
    for texts in (["x"] * 11, [f"x{k}" for k in range(6)]):  # more than one in twenty; more than five different ones
        assert prepared(c=dates[: N - len(texts)] + texts).columns[1].kind == "category"


@pytest.mark.parametrize(
    ("texts", "kind", "what"),
    [
        ([f"{k % 7}" for k in range(N)], "category", "numbers"),
        ([f"{k % 70}.5" for k in range(N)], "many", "encoded by the target's mean; numbers"),
        ([f"{k}.5" for k in range(N)], "text", "numbers"),
        ([f"2023-03-{1 + k % 20:02d}" for k in range(N)], "category", "dates"),
        ([f"level {k % 7}" for k in range(N)], "category", ""),
        ([f"{k % 7:02d}" for k in range(N)], "category", ""),  # codes
    ],
)
def test_a_column_that_a_text_keeps_from_being_one_of_numbers_says_so(texts, kind, what):
    found = profile_of(
        polars.Series("c", ["unknown" if k % 10 == 3 else text for k, text in enumerate(texts)]), Numerals()
    )
    said = "'unknown' in row 4, 'unknown' in row 14, 'unknown' in row 24 and 17 more: --missing='unknown' counts that"
    assert found.kind == kind
    assert (found.left_out if kind == "text" else found.remark) == (what and f"{what} except for {said} as missing")


@pytest.mark.parametrize(
    ("values", "classes"),
    [
        (["0.0", "1.0"] * 50, ("0.0", "1.0")),
        ([0.0, 1.0] * 50, ("0", "1")),
        (["None", "NA", "mild"] * 30, ("NA", "None", "mild")),
        (np.random.default_rng(0).poisson(2, 500), None),
        (["01", "02"] * 50, ("01", "02")),
        ([2**53, 2**53 + 1, 5] * 30, ("5", str(2**53), str(2**53 + 1))),
        (["1", "1.0", "0", None, None, None] * 15, ("0", "1")),
        ([str(2**53), str(2**53 + 1), "5"] * 30, ("5", str(2**53), str(2**53 + 1))),
    ],
)
def test_a_target_is_taken_for_what_it_is(values, classes):
    assert infer_target(polars.Series("y", values), None, Numerals())[0].classes == classes


def test_signs_alone_make_no_number_of_a_class():
    target, *_ = infer_target(polars.Series("y", ["--1", "+-2"] * 50), "classification", Numerals())
    assert target.classes == ("+-2", "--1")


def test_a_target_that_is_nearly_numbers_is_refused_with_rows_and_ways_out():
    values = [f"{value:.2f}" for value in Y]
    values[4] = values[77] = "<1.0"
    series = polars.Series("y", values)
    said = r"'<1.0' in row 5, '<1.0' in row 78: --missing='<1.0' .*, and --task classification"
    with pytest.raises(ValueError, match=said):
        infer_target(series, None, Numerals())
    target, y, _ = infer_target(series, None, Numerals(missing=("<1.0",)))
    assert (target.classes, np.isnan(y).sum()) == (None, 2)
    assert len(infer_target(series, "classification", Numerals())[0].classes) > 100


@pytest.mark.parametrize("missing", [("NA",), ("?", "."), ("-9", "-9"), ("", "n.d.")])
def test_what_is_named_as_missing_may_be_so_anyway_or_be_named_twice(missing):
    read = Column("c", strays=("n.d.",)).read(polars.Series("c", ["1.5", *missing]), Numerals(missing=missing))
    np.testing.assert_array_equal(read, [1.5, *[np.nan] * len(missing)])
    classes = polars.Series("y", ["None", "mild", *missing] * 10)
    assert infer_target(classes, None, Numerals(missing=missing))[0].classes == ("None", "mild")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([f"2023-01-{day:02d}" for day in range(1, 29)], "it holds dates, such as '2023-01-01' in row 1"),
        ([f"place {k}" for k in range(28)], "28 different texts in 28 rows, such as 'place 0' in"),
        ([f"name {k}" for k in range(30)], "classes of several rows each; it holds 30 different texts"),
        ([f"{k % 9}.5%" for k in range(90)], "without currency or percent signs; it holds '0.5%' in row 1"),
        ([f"$1,{k % 9}00" for k in range(90)], "without currency or percent signs"),
        ([f"{k} €" for k in range(90)], "without currency or percent signs"),
        ([f"2020-01-{k % 9 + 10}" for k in range(90)], "must hold numbers or classes; it holds dates, such as"),
        ([f"{k % 9 + 10}.01.2020" for k in range(90)], "must hold numbers or classes; it holds dates, such as"),
        (["unknown", *(f"2020-01-{k % 9 + 11}" for k in range(89))], "it holds dates, such as '2020-01-11' in row 2"),
    ],
)
def test_texts_that_are_hardly_classes_are_refused(values, said):
    series = polars.Series("y", values)
    with pytest.raises(ValueError, match="--task classification makes each a class") as caught:
        infer_target(series, None, Numerals())
    assert said in str(caught.value)
    assert infer_target(series, "classification", Numerals())[0].classes


def test_a_target_of_too_many_classes_is_refused():
    series = polars.Series("y", [f"name {k}" for k in range(1001)])
    with pytest.raises(ValueError, match="column 'y' has 1,001 classes; at most 1,000 are possible"):
        infer_target(series, "classification", Numerals())
    assert len(infer_target(series[1:], "classification", Numerals())[0].classes) == 1000


def test_a_row_alone_is_no_split():
    with pytest.raises(ValueError, match="1 rows are too few to hold some out of each class"):
        preparing.split(np.zeros(1), 0)


@pytest.mark.parametrize("seed", [3, 2**40])
def test_many_categories_are_encoded_by_the_seed(seed, monkeypatch):
    rng = np.random.default_rng(0)
    places = [f"place {k}" for k in rng.integers(60, size=400)]
    frame = polars.DataFrame({"place": places, "y": rng.normal(size=400)})
    first, again = (preparing.prepare(frame, "y", None, seed) for _ in range(2))
    assert first.columns[0].kind == "many"
    np.testing.assert_array_equal(first.train.X, again.train.X)
    held_out = preparing.split(np.zeros(400, np.intp), seed)
    monkeypatch.setattr(preparing, "split", lambda labels, seed: held_out)
    other = preparing.prepare(frame, "y", None, seed + 1)
    np.testing.assert_array_equal(first.train.y, other.train.y)
    assert not np.array_equal(first.train.X, other.train.X)


@pytest.mark.parametrize("classes", [None, 2, 3])
def test_many_categories_are_their_means_drawn_towards_that_of_all(classes):
    rng = np.random.default_rng(0)
    texts = polars.Series([f"place {k}" for k in rng.integers(20, size=300)])
    y = rng.normal(size=300) if classes is None else rng.integers(classes, size=300)
    levels = sorted(set(texts))
    means, crossed = many_means(texts, levels, y, classes, 0)
    values = y[:, np.newaxis] == np.arange(3) if classes == 3 else y[:, np.newaxis]
    for level, found in zip(levels, means[:-1], strict=True):
        own = values[(texts == level).to_numpy()]
        share = 1 / (1 + own.var(axis=0) / values.var(axis=0) / len(own))  # few rows that differ say little
        np.testing.assert_allclose(found, share * own.mean(axis=0) + (1 - share) * values.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(means[-1], values.mean(axis=0), rtol=1e-12)
    assert crossed.shape == (300, values.shape[1])


@pytest.mark.parametrize("classes", [3, 100])
def test_many_categories_take_classes_of_few_rows(classes):
    texts = polars.Series([f"place {k % 60}" for k in range(300)])
    y = np.arange(300) // 3 if classes == 100 else np.r_[[2, 2], np.arange(298) % 2]
    means, crossed = many_means(texts, sorted(set(texts)), y, classes, 0)
    np.testing.assert_allclose(means[-1], np.bincount(y) / 300, rtol=1e-12)
    assert crossed.shape == (300, classes)
    assert np.isfinite(crossed).all()


def test_texts_of_too_few_rows_for_means_over_others_are_categories():
    frame = polars.DataFrame({"noise": NOISE, "c": ["one", "two", "three", *[None] * (N - 3)], "y": Y})
    _, column = preparing.prepare(frame, "y", None, 0, use=["c"]).columns
    assert (column.kind, column.missing) == ("category", True)


@pytest.mark.parametrize("y", [np.arange(300) % 2 * 2, np.zeros(300, int)])
def test_many_categories_where_all_rows_of_a_class_are_held_out(y):
    texts = polars.Series([f"place {k % 60}" for k in range(300)])
    means, crossed = many_means(texts, sorted(set(texts)), y, 3, 0)
    assert means[-1] == ((y == 2).mean(),)
    assert crossed.shape == (300, 1)


def test_a_rows_own_target_does_not_enter_its_inputs():
    rng = np.random.default_rng(0)
    texts, y = polars.Series([f"place {k}" for k in rng.integers(20, size=300)]), rng.normal(size=300)
    crossed, other = (
        many_means(texts, sorted(set(texts)), y + up, None, 0)[1][:, 0] for up in (0, np.arange(300) == 7)
    )
    fold = crossed == other  # the row's own part, which has its means from the others
    assert fold[7]
    assert fold.sum() == 300 / 5
    of_its_level = (texts == texts[7]).to_numpy() & ~fold
    assert (other[of_its_level] > crossed[of_its_level]).all()


def test_inputs_to_learn_from_are_means_over_other_rows_and_stand_in_their_place():
    rng = np.random.default_rng(0)
    places = [f"place {k}" if k else None for k in rng.integers(60, size=400)]
    frame = polars.DataFrame({"a": rng.normal(size=400), "place": places, "b": rng.normal(size=400)})
    y = rng.integers(3, size=400)
    table = preparing.prepare(frame.with_columns(y=y), "y", "classification", 5)
    learning = preparing.split(y, 5) >= 0
    texts, there = frame["place"].filter(learning), frame["place"].is_not_null().to_numpy()
    known = texts.drop_nulls()
    means, crossed = many_means(known, sorted(set(known)), y[learning & there], 3, 5)
    assert [column.name for column in table.columns] == ["a", "place", "b"]
    of_all = np.tile(means[-1], (learning.sum(), 1))
    of_all[there[learning]] = crossed
    np.testing.assert_allclose(table.train.X[:, 1:4], of_all, rtol=1e-6)
    np.testing.assert_array_equal(table.train.X[:, 4], ~there[learning])
    by_level = dict(zip(sorted(set(known)), means, strict=False))
    held_out = [by_level.get(text, means[-1]) for text in frame["place"].filter(~learning)]
    np.testing.assert_allclose(table.held_out.X[:, 1:4], held_out, rtol=1e-6)


DAYS = [date(2020, 1, 2), date(2021, 3, 4)]
MORNING = [datetime(2020, 1, 2, 6), datetime(2021, 3, 4, 6)]


@pytest.mark.parametrize("form", ["", "%d.%m.%Y"])
@pytest.mark.parametrize(
    ("values", "hours"),
    [
        (DAYS, 0),
        (MORNING, 6),
        (["2020-01-02", "2021-03-04"], 0),
        (["2020-01-02 06:00", "2021-03-04T06:00:00Z"], 6),
        (["02.01.2020", "04.03.2021"], 0),
    ],
)
def test_dates_are_read_as_they_come(form, values, hours):
    column, texts = Column("d", kind="date", form=form), isinstance(values[0], str)
    series = polars.Series("d", [*values, None])
    if texts and (values[0][2] == ".") != bool(form):
        with pytest.raises(ValueError, match="column 'd' must hold dates"):
            column.read(series, Numerals())
    else:
        epoch = date(1970, 1, 1)
        expected = [(day - epoch).days + hours / 24 for day in DAYS]
        np.testing.assert_allclose(column.read(series, Numerals()), [*expected, np.nan], rtol=1e-12)


@pytest.mark.parametrize("dtype", [polars.Null, polars.Date, polars.Float64, polars.String, polars.List(polars.Int64)])
@pytest.mark.parametrize("kind", ["number", "date"])
def test_a_column_without_values_is_of_any_kind(dtype, kind):
    nothing = polars.Series("z", [None, None], dtype)
    np.testing.assert_array_equal(Column("z", kind=kind).read(nothing, Numerals()), [np.nan, np.nan])
    assert Column("z", ("a", "b")).read(nothing, Numerals()).to_list() == [None, None]


@pytest.mark.parametrize("values", [[[1.0]], [{"a": 1.0}], [object()]])
def test_a_column_of_what_is_no_single_value_is_refused(values):
    series = polars.Series("z", values, polars.Object if type(values[0]) is object else None)
    for column in (Column("z"), Column("z", kind="date"), Column("z", ("a", "b"))):
        with pytest.raises(ValueError, match="column 'z' must hold single values, as in training; it holds "):
            column.read(series, Numerals())


@pytest.mark.parametrize("values", [[b"\xff", b"b"], [timedelta(hours=1), timedelta(hours=2)]])
def test_a_column_of_what_has_no_text_is_no_category(values):
    series = polars.Series("z", values)
    with pytest.raises(ValueError, match=r"column 'z' must hold categories, as in training; it holds (Binary|Dur)"):
        Column("z", ("a", "b")).read(series, Numerals())


def test_numbers_that_are_not_written_as_in_training_are_told_with_how_that_was():
    texts = polars.Series("x", ["1.5", "2,5"])
    with pytest.raises(ValueError, match=r"must hold numbers \(',' decimal\), as in training; it holds '1.5' in row 1"):
        Column("x").read(texts, Numerals(","))


def test_dates_of_a_time_zone_are_the_moments_they_are():
    from fastnn.tabular.numerals import days

    texts = polars.Series("at", ["1970-01-02T02:00:00+02:00", "1970-01-03 00:00:00+00:00"])
    assert days(texts[:1], "%Y-%m-%dT%H:%M:%S%z").to_list() == [1.0]
    assert days(texts[1:], "%Y-%m-%d %H:%M:%S%z").to_list() == [2.0]


@pytest.mark.parametrize(
    ("texts", "form"),
    [
        (["01.02.99", "01.02.20"], "%d.%m.%y"),
        (["1/2/99", "1/2/20"], "%d/%m/%y"),
        (["2/1/99 00:00", "2/28/20 00:00"], "%m/%d/%y %H:%M"),
        (["1 Feb 99", "1 Feb 20"], "%d %b %y"),
        (["99.2.1.5", "1.2.3"], None),
    ],
)
def test_a_year_has_two_digits_or_four(texts, form):
    from fastnn.tabular.numerals import date_format, days

    assert date_format(polars.Series(texts)) == form
    if form:
        assert [day // 365.25 for day in days(polars.Series(texts), form)] == [29, 50]
        with pytest.raises(ValueError, match="column 'd' must hold dates"):
            Column("d", kind="date", form=form.replace("%y", "%Y")).read(polars.Series("d", texts), Numerals())


@pytest.mark.parametrize("dtype", [polars.Int64, polars.Float64, polars.Float32, polars.Decimal(10, 2)])
def test_numbers_named_as_missing_are_so_in_columns_of_numbers(dtype):
    named = Numerals(missing=("-999", "-99.9" if dtype.is_float() else "?", "1e300"))
    values = polars.Series("c", [1, -999, 3, -99.9 if dtype.is_float() else None] * (N // 4), strict=False).cast(dtype)
    expected = [1, np.nan, 3, np.nan]
    np.testing.assert_array_equal(Column("c").read(values, named)[:4], expected)
    [column] = preparing.prepare(Table(polars.DataFrame({"c": values, "y": Y}), named, ""), "y", None, 0).profiles
    np.testing.assert_array_equal(column.values[:4], expected)
    target, y, _ = infer_target(values, "classification", named)
    assert (target.classes, np.isnan(y).sum()) == (("1", "3"), N // 2)


def test_a_date_named_as_missing_is_so_in_a_column_of_dates():
    dates = polars.Series("c", [date(1900, 1, 1), date(1970, 1, 2)] * (N // 2))
    named = Numerals(missing=("1900-01-01", "-999"))
    for given in (dates, dates.cast(polars.Datetime)):
        np.testing.assert_array_equal(Column("c", kind="date").read(given, named)[:2], [np.nan, 1])
        table = preparing.prepare(Table(polars.DataFrame({"c": given, "y": Y}), named, ""), "y", None, 0)
        np.testing.assert_array_equal(table.profiles[0].values[:2], [np.nan, 1])


def test_a_date_named_as_missing_in_a_file_of_texts_is_so_in_one_of_dates():
    named = Numerals(missing=("01.01.1900",))
    for given in (["01.01.1900", "02.01.1970"], [date(1900, 1, 1), date(1970, 1, 2)]):
        column = Column("c", kind="date", form="%d.%m.%Y")
        np.testing.assert_array_equal(column.read(polars.Series("c", given), named), [np.nan, 1])


@pytest.mark.parametrize("kind", [polars.String, polars.Float64])
def test_numbers_named_as_missing_are_so_however_they_are_written(kind):
    named = Numerals(missing=("-999", "0"))
    values = polars.Series("c", ["-999.0", "1", "-999.00", "0.0"] * (N // 4)).cast(kind)
    assert (np.isnan(Column("c").read(values, named)) == [True, False, True, True] * (N // 4)).all()
    assert Column("c", levels=("1", "2")).read(values, named)[:4].to_list() == [None, "1", None, None]
    assert profile_of(values, named).n_missing == 3 * N // 4
    target, y, _ = infer_target(values, "classification", named)
    assert (target.classes, np.isnan(y).sum()) == (("1",), 3 * N // 4)
    codes = profile_of(polars.Series("c", ["00", "07", "0", "7"] * (N // 4)), Numerals(missing=("0", "7")))
    assert (codes.kind, codes.n_missing) == ("category", N // 2)


def test_a_number_named_as_missing_is_no_truth_value():
    flags = polars.Series("c", [True, False])
    assert Column("c").read(flags, Numerals(missing=("0",))).tolist() == [1, 0]


def test_a_truth_value_among_numbers_is_told():
    [column] = [c for c in prepared(c=["1.5", "2.5", "3.5", "True"] * (N // 4)).profiles if c.name == "c"]
    assert column.remark == "true is 1, false 0"


def test_a_column_that_is_not_wanted_may_hold_anything_and_have_a_copy():
    table = preparing.prepare(
        polars.DataFrame({"wild": [np.inf] + [1.0] * (N - 1), "noise": NOISE, "again": NOISE, "y": Y}),
        "y",
        None,
        0,
        leave_out=["wild", "noise"],
    )
    assert [c.name for c in table.columns] == ["again"]
    assert table.left_out == {"wild": "as you asked", "noise": "as you asked"}


# ---------------------------------------------------------------- what is said of many, of one, and of none
def told(table, capsys, rows=N):
    tell_table(table, rows, Terminal())
    return capsys.readouterr().out


def test_a_wide_table_takes_a_few_lines(capsys):
    wide = {f"x{k}": values for k, values in enumerate(RNG.normal(size=(70, N)))} | {"five": np.full(N, 5.0)}
    said = told(prepared(**wide), capsys)
    assert said.count("number") == 12  # one of them the target
    assert "and 61 more columns of numbers, of which none is missing" in said
    assert "LEFT OUT: constant" in said
    assert " more columns" not in told(prepared(**dict(list(wide.items())[:40])), capsys)


def test_the_first_of_many_classes_are_named(capsys):
    said = " ".join(told(prepared([f"k{k % 12:02d}" for k in range(N)]), capsys).split())
    assert "'y' has 12 classes: k00, k01, k02, k03, k04, k05, k06, k07, k08, k09 and 2 more." in said


def test_a_name_that_is_not_there_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match="the table has no column 'Y'; it has noise, y; did you mean 'y'"):
        preparing.prepare(polars.DataFrame({"noise": NOISE, "y": Y}), "Y", None, 0)
    with pytest.raises(ValueError, match="to predict 'y' from; the table has no others"):
        preparing.prepare(polars.DataFrame({"y": Y}), "y", None, 0)


def test_the_scale_of_one_value_is_1():
    table = prepared(**{f"{v}": [v if i % 5 else None for i in range(N)] for v in (0.1, 0.7, 1.1, 2.3)})
    for column in table.columns[1:]:  # of some the computed deviation is not zero, by rounding
        assert (column.mean, column.scale) == (pytest.approx(float(column.name)), 1.0)
