"""Small files as people have them, and what a reader must make of each: names of columns, and rows of values.

`options` are those of `fastnn.tabular.reading.read_table`, where nobody could know without them.
"""

import gzip
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class OddTable:
    """A file, and what is in it."""

    name: str
    data: bytes
    columns: list[str]
    rows: list[tuple]
    options: dict[str, Any] = field(default_factory=dict)
    suffix: str = ".csv"
    file: str | None = None

    @property
    def file_name(self) -> str:
        return self.file or f"{self.name.replace(' ', '_')}{self.suffix}"


PEOPLE = [("Ann", 31.0, 1.5), ("Bob", 45.0, 2.25), ("Cid", 22.0, 3.0), ("Dee", 67.0, 0.5)]
NAMES = ["name", "age", "dose"]


def people(separator=",", decimal=".", end="\n", quote="", header=True, blank=""):
    lines = [NAMES] if header else []
    lines += [[name, f"{age:g}", f"{dose:g}".replace(".", decimal)] for name, age, dose in PEOPLE]
    glue = separator + blank
    return "".join(glue.join(f"{quote}{cell}{quote}" for cell in line) + end for line in lines).encode()


def of_people(name, data, **more):
    return OddTable(name, data, NAMES, PEOPLE, **more)


def numbers(name, text, columns, *rows, encoding="utf-8", **more):
    return OddTable(name, text.encode(encoding), columns, list(rows), **more)


UMLAUT = "Größe;Ort\n1,5;Köln\n2,25;Münster\n3,75;Fürth\n"
UMLAUTS = [(1.5, "Köln"), (2.25, "Münster"), (3.75, "Fürth")]
XY = [(1.0, 2.0), (3.0, 4.0), (5.0, 6.0)]
A_Y = [(1.5, 2.0), (2.5, 3.0), (3.5, 4.0)]

ODD = [
    # What separates columns.
    of_people("comma", people()),
    of_people("semicolon", people(";")),
    of_people("tab", people("\t"), suffix=".tsv"),
    of_people("tab in a csv", people("\t")),
    of_people("bar", people("|")),
    of_people("blank after each comma", people(blank=" ")),
    of_people("blanks around bars", people(" | ")),
    of_people("semicolon and decimal comma", people(";", ",")),
    of_people("tab and decimal comma", people("\t", ",")),
    of_people("quoted decimal comma", people(",", ",", quote='"')),
    of_people("all quoted", people(quote='"')),
    of_people("single quotes", people(quote="'"), options={}),
    numbers("commas in quotes", 'city,y\n"Bonn, Rhine",1\n"Ulm, Danube",2\n"Trier, Mosel",3\n', ["city", "y"],
            ("Bonn, Rhine", 1.0), ("Ulm, Danube", 2.0), ("Trier, Mosel", 3.0)),
    numbers("semicolons in quotes", 'city;y\n"Bonn; Rhine";1\n"Ulm; Danube";2\n', ["city", "y"],
            ("Bonn; Rhine", 1.0), ("Ulm; Danube", 2.0)),
    numbers("doubled quotes", 'word,y\n"say ""hi""",1\nplain,2\n', ["word", "y"], ('say "hi"', 1.0), ("plain", 2.0)),
    numbers("line end in quotes", 'note,y\n"first\nsecond",1\nplain,2\n', ["note", "y"],
            ("first\nsecond", 1.0), ("plain", 2.0)),
    numbers("one column", "y\n1.5\n2.5\n3.5\n", ["y"], (1.5,), (2.5,), (3.5,)),
    numbers("one column of texts", "kind\nup\ndown\nup\n", ["kind"], ("up",), ("down",), ("up",)),
    numbers("semicolons within commas", "a,list,y\n1,x;y,2\n2,z;w,3\n3,u;v,4\n", ["a", "list", "y"],
            (1.0, "x;y", 2.0), (2.0, "z;w", 3.0), (3.0, "u;v", 4.0)),
    # Lines and headers.
    of_people("windows lines", people(end="\r\n")),
    of_people("old mac lines", people(end="\r")),
    of_people("no last line end", people()[:-1]),
    of_people("empty lines at the end", people() + b"\n\n\n"),
    of_people("an empty line below the header", people().replace(b"dose\n", b"dose\n\n")),
    of_people("comments above", b"# made by a logger\n# 2023\n" + people(), options={"comment": "#"}),
    of_people("comments above, not said", b"# made by a logger\n# 2023\n" + people()),
    of_people("a title above", b"Patients of the ward\n\n" + people(), options={"known": ["dose"]}),
    of_people("sep= above", b"sep=;\n" + people(";")),
    OddTable("no header", people(header=False), ["column_1", "column_2", "column_3"], PEOPLE, {"header": False}),
    numbers("header of texts over texts", "kind,colour\nu,red\nv,blue\nu,green\n", ["kind", "colour"],
            ("u", "red"), ("v", "blue"), ("u", "green")),
    numbers("numbers as names", "2019,2020\n1,2\n3,4\n5,6\n", ["2019", "2020"], *XY, options={"known": ["2020"]}),
    numbers("blanks around names", " a , y \n1.5,2\n2.5,3\n3.5,4\n", ["a", "y"], *A_Y),
    numbers("an unnamed index", ",a,y\n0,1.5,2\n1,2.5,3\n2,3.5,4\n", ["column_1", "a", "y"],
            (0.0, 1.5, 2.0), (1.0, 2.5, 3.0), (2.0, 3.5, 4.0)),
    numbers("a name twice", "a,a,y\n1,5,2\n3,6,4\n5,7,6\n", ["a", "a (2)", "y"],
            (1.0, 5.0, 2.0), (3.0, 6.0, 4.0), (5.0, 7.0, 6.0)),
    numbers("quotes in names", '"a ""b""",y\n1,2\n3,4\n5,6\n', ['a "b"', "y"], *XY),
    numbers("line end in a name", '"a\nmore","y"\n1,2\n3,4\n5,6\n', ["a\nmore", "y"], *XY, options={"known": ["y"]}),
    numbers("two header rows", "left,left,right\na,b,y\n1,5,2\n3,6,4\n5,7,6\n", ["a", "b", "y"],
            (1.0, 5.0, 2.0), (3.0, 6.0, 4.0), (5.0, 7.0, 6.0), options={"known": ["y"]}),
    numbers("a quote that is an inch", 'size,y\n5",1\n6",2\n7,3\n', ["size", "y"], ('5"', 1.0), ('6"', 2.0), ("7", 3.0),
            options={"known": ["y"]}),
    numbers("columns below each other", "    x     y\n  1.5     2\n-12.5    30\n  3.5   400\n", ["x", "y"],
            (1.5, 2.0), (-12.5, 30.0), (3.5, 400.0), suffix=".txt"),
    numbers("comma at every end", "x,y,\n1,2,\n3,4,\n5,6,\n", ["x", "y", "column_3"],
            (1.0, 2.0, None), (3.0, 4.0, None), (5.0, 6.0, None)),
    # Characters.
    of_people("byte order mark", b"\xef\xbb\xbf" + people()),
    numbers("umlauts", UMLAUT, ["Größe", "Ort"], *UMLAUTS),
    numbers("umlauts in Windows-1252", UMLAUT, ["Größe", "Ort"], *UMLAUTS, encoding="cp1252"),
    numbers("header alone in Windows-1252", "Größe,y\n1.5,2\n2.5,3\n3.5,4\n", ["Größe", "y"], *A_Y, encoding="cp1252"),
    numbers("euro in Windows-1252", "€,y\n1.5,2\n2.5,3\n3.5,4\n", ["€", "y"], *A_Y, encoding="cp1252"),
    numbers("umlauts in UTF-16", UMLAUT, ["Größe", "Ort"], *UMLAUTS, encoding="utf-16"),
    numbers("Latin-2 as said", "město,y\nBrno,1\nTábor,2\n", ["město", "y"], ("Brno", 1.0), ("Tábor", 2.0),
            encoding="iso8859-2", options={"encoding": "iso8859-2"}),
    numbers("Japanese", "都市,y\n東京,1\n大阪,2\n", ["都市", "y"], ("東京", 1.0), ("大阪", 2.0)),
    # Numbers.
    numbers("thousands by commas, quoted", 'city,people\nUlm,"126,329"\nBonn,"336,465"\nKöln,"1,083,498"\n',
            ["city", "people"], ("Ulm", 126329.0), ("Bonn", 336465.0), ("Köln", 1083498.0)),
    numbers("thousands by points", "city;price\nUlm;1.234,50\nBonn;12.345,00\nKöln;999,90\n", ["city", "price"],
            ("Ulm", 1234.5), ("Bonn", 12345.0), ("Köln", 999.9)),
    numbers("thousands by blanks", "city;people\nUlm;126 329\nBonn;336 465\nKöln;1 083 498\n", ["city", "people"],
            ("Ulm", 126329.0), ("Bonn", 336465.0), ("Köln", 1083498.0), options={"thousands": " "}),
    numbers("thousands by apostrophes", "city;people\nUlm;126\u2019329\nBonn;336\u2019465\nKöln;1\u2019083\u2019498\n",
            ["city", "people"], ("Ulm", 126329.0), ("Bonn", 336465.0), ("Köln", 1083498.0)),
    numbers("scientific", "x,y\n1e-3,2E5\n-4.5e+2,+3\n.5,1.\n", ["x", "y"], (1e-3, 2e5), (-450.0, 3.0), (0.5, 1.0)),
    numbers("leading zeros", "code,y\n01234,1\n00042,2\n98765,3\n", ["code", "y"],
            ("01234", 1.0), ("00042", 2.0), ("98765", 3.0)),
    numbers("large integers", "x,y\n1,9007199254740993\n2,12\n", ["x", "y"], (1.0, 9007199254740992.0), (2.0, 12.0)),
    numbers("a late text", "code,y\n" + "12,1\n" * 40 + "A7,2\n" * 40, ["code", "y"],
            *[("12", 1.0)] * 40, *[("A7", 2.0)] * 40),
    # What is missing.
    numbers("empty fields", "x,y\n1,2\n,4\n5,\n", ["x", "y"], (1.0, 2.0), (None, 4.0), (5.0, None)),
    numbers("quoted empties", 'x,y\n"1","2"\n"","4"\n"5",""\n', ["x", "y"], (1.0, 2.0), (None, 4.0), (5.0, None)),
    numbers("points", "x,y\n1.5,2\n.,4\n5.5,.\n", ["x", "y"], (1.5, 2.0), (None, 4.0), (5.5, None)),
    numbers("spreadsheet errors", "x,y\n1.5,2\n#N/A,4\n5.5,#DIV/0!\n", ["x", "y"], (1.5, 2.0), (None, 4.0),
            (5.5, None)),
    numbers("blanks", "x,y\n1.5,2\n ,4\n5.5,  \n", ["x", "y"], (1.5, 2.0), (None, 4.0), (5.5, None)),
    numbers("many words", "x,y\n1.5,2\nNA,4\nn/a,NaN\nnull,?\n5.5,NULL\n", ["x", "y"],
            (1.5, 2.0), (None, 4.0), (None, None), (None, None), (5.5, None)),
    numbers("-999 as said", "x,y\n1.5,2\n-999,4\n5.5,6\n", ["x", "y"], (1.5, 2.0), (None, 4.0), (5.5, 6.0),
            options={"missing": ["-999"]}),
    numbers("'<1.0' as said", "x,y\n1.5,2\n<1.0,4\n5.5,6\n", ["x", "y"], (1.5, 2.0), (None, 4.0), (5.5, 6.0),
            options={"missing": ["<1.0"]}),
    # Where they are.
    of_people("gzip", gzip.compress(people(), mtime=0), suffix=".csv.gz"),
    of_people("a pattern for a name", people(), file="sales[2023].csv"),
    of_people("a question for a name", people(), file="what?.csv"),
    of_people("a star for a name", people(), file="all*.csv"),
    of_people("a plain text file", people(";"), suffix=".txt"),
    of_people("a data file", people("\t"), suffix=".dat"),
    of_people("capital suffix", people(), suffix=".CSV"),
    numbers("true and false", "x,y\nTrue,1\nFalse,2\nTrue,3\n", ["x", "y"], ("True", 1.0), ("False", 2.0),
            ("True", 3.0)),
    numbers("dates", "day;y\n2023-01-05;1\n2023-02-17;2\n", ["day", "y"], ("2023-01-05", 1.0), ("2023-02-17", 2.0)),
    numbers("German dates", "Tag;y\n05.01.2023;1,5\n17.02.2023;2,5\n", ["Tag", "y"],
            ("05.01.2023", 1.5), ("17.02.2023", 2.5)),
    numbers("times", "at,y\n12:30,1\n13:45,2\n", ["at", "y"], ("12:30", 1.0), ("13:45", 2.0)),
]  # fmt: skip
