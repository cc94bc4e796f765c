"""Readings and periods as CSV, as spreadsheets open it."""

import csv
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from esquirell.domain.cost import Cost
from esquirell.domain.periods import Calendar
from esquirell.domain.tariff import Tariff
from esquirell.services.costs import CostRow
from esquirell.services.csv_rows import cost_lines, csv_lines
from esquirell.services.history import Columns, Row, View

# 01:30 in Warsaw on the first of December.
AT = datetime(2026, 11, 30, 23, 0, tzinfo=UTC)
WARSAW = Calendar("Europe/Warsaw")
KEYS = ("voltage", "energy_import")


def lines(view: View, *rows: Row, separator: str = ",", meters: tuple[str, ...] = ("main",)) -> str:
    columns = Columns(dict.fromkeys(meters, KEYS), None, view)
    return "".join(csv_lines(rows, columns, WARSAW, separator))


def test_absent_values_are_empty_and_zero_is_zero() -> None:
    assert lines("raw", Row("main", AT, {"voltage": 0.0})) == (
        "measured_at,voltage,energy_import\n2026-11-30T23:00:00.000Z,0.0,\n"
    )


@pytest.mark.parametrize(
    ("view", "name"),
    [
        ("quarter", "2026-12-01T00:00+01:00"),
        ("hour", "2026-12-01T00:00+01:00"),
        ("day", "2026-12-01"),
        ("month", "2026-12"),
        ("year", "2026"),
    ],
)
def test_a_period_has_its_local_date(view: View, name: str) -> None:
    heading, row = lines(view, Row("main", AT, {"voltage": 1.5})).splitlines()
    assert heading == "start,voltage,energy_import,estimated"
    assert row == f"{name},1.5,,"


def test_an_estimated_period_says_so() -> None:
    row = lines("day", Row("main", AT, {"energy_import": 2}, estimated=True)).splitlines()[1]
    assert row == "2026-12-01,,2,true"


def test_of_several_meters_each_row_says_which() -> None:
    rows = [Row(name, AT, {"voltage": 1}) for name in ("yard", "main")]
    assert lines("raw", *rows, separator=";", meters=("main", "yard")).splitlines() == [
        "measured_at;meter;voltage;energy_import",
        "2026-11-30T23:00:00.000Z;yard;1;",
        "2026-11-30T23:00:00.000Z;main;1;",
    ]


def test_a_name_with_a_separator_is_quoted() -> None:
    columns = Columns({"main": ('a,"b',)}, None, "raw")
    heading, *_ = csv_lines([], columns, WARSAW)
    assert heading == 'measured_at,"a,""b"\n'


def test_without_rows_there_is_a_heading() -> None:
    assert lines("hour") == "start,voltage,energy_import,estimated\n"


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b"])
def test_no_cell_is_a_formula_to_a_spreadsheet(first: str) -> None:
    name = f'{first}HYPERLINK("http://x")'
    columns = Columns({name: (name,), "main": KEYS}, None, "raw")
    rows = [Row(name, AT, {name: -1.5}), Row("main", AT, {"voltage": -484.0})]
    cells = list(csv.reader(csv_lines(rows, columns, WARSAW)))
    assert cells[0][2] == f"'{name}"
    assert cells[1][1:] == [f"'{name}", "-1.5", "", ""]
    assert cells[2][1:] == ["main", "", "-484.0", ""]


def test_the_names_in_costs_are_no_formulas_either() -> None:
    tariff = Tariff(name="-night", currency="EUR", import_price=Decimal("0.5"))
    row = CostRow("-main", tariff, Cost(AT, sold=Decimal(2)))
    (line,) = csv.DictReader(cost_lines([row], WARSAW, "day"))
    assert (line["meter"], line["tariff"], line["currency"]) == ("'-main", "'-night", "EUR")
    assert float(line["total"]) == -2.0
    assert line["start"] == "2026-12-01"
