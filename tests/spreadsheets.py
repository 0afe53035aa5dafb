"""Spreadsheets without a package that writes them: sheets of numbers, truth values, moments and texts."""

import io
import zipfile
from datetime import date, datetime
from xml.sax.saxutils import escape

SPACE = "http://schemas.openxmlformats.org"
SHEET = "worksheets/sheet{}.xml"
TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"


def xlsx(**sheets):
    """An .xlsx file of these sheets, lists of rows; None is an empty cell."""
    numbers = range(1, len(sheets) + 1)
    files = {
        "[Content_Types].xml": _tag(
            "Types", f"{SPACE}/package/2006/content-types",
            '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
            f'<Override PartName="/xl/workbook.xml" ContentType="{TYPE}.sheet.main+xml"/>',
            *(f'<Override PartName="/xl/{SHEET.format(k)}" ContentType="{TYPE}.worksheet+xml"/>' for k in numbers),
        ),
        "_rels/.rels": _related([("officeDocument", "xl/workbook.xml")]),
        "xl/_rels/workbook.xml.rels": _related([("worksheet", SHEET.format(k)) for k in numbers]),
        "xl/workbook.xml": _tag(
            f'workbook xmlns:r="{SPACE}/officeDocument/2006/relationships"', f"{SPACE}/spreadsheetml/2006/main",
            "<sheets>",
            *(f'<sheet name="{name}" sheetId="{k}" r:id="r{k}"/>' for k, name in zip(numbers, sheets, strict=True)),
            "</sheets>",
        ),
    }  # fmt: skip
    for k, rows in zip(numbers, sheets.values(), strict=True):
        cells = [f"<row>{''.join(map(_cell, row))}</row>" for row in rows]
        files[f"xl/{SHEET.format(k)}"] = _tag(
            "worksheet", f"{SPACE}/spreadsheetml/2006/main", "<sheetData>", *cells, "</sheetData>"
        )
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return made.getvalue()


def _tag(name, space, *content):
    return f'<{name} xmlns="{space}">{"".join(content)}</{name.split()[0]}>'


def _related(parts):
    kind = f"{SPACE}/officeDocument/2006/relationships"
    some = [f'<Relationship Id="r{k}" Type="{kind}/{t}" Target="{p}"/>' for k, (t, p) in enumerate(parts, start=1)]
    return _tag("Relationships", f"{SPACE}/package/2006/relationships", *some)


def _cell(value):
    if value is None:
        return "<c/>"
    if isinstance(value, bool):
        return f'<c t="b"><v>{value:d}</v></c>'
    if isinstance(value, date):
        moment = value if isinstance(value, datetime) else datetime(value.year, value.month, value.day)
        return f'<c t="d"><v>{moment.isoformat()}</v></c>'
    if isinstance(value, int | float):
        return f"<c><v>{value!r}</v></c>"
    return f'<c t="inlineStr"><is><t xml:space="preserve">{escape(value)}</t></is></c>'
