"""Readings and periods as CSV, as spreadsheets open it."""

from datetime import UTC, datetime

import pytest

from esquirell.domain.periods import Calendar
from esquirell.services.csv_rows import csv_lines
from esquirell.services.history import Columns, Row, View

# 01:30 in Warsaw on the first of December.
AT = datetime(2026, 11, 30, 23, 0, tzinfo=UTC)
WARSAW = Calendar("Europe/Warsaw")
KEYS = ("voltage", "energy_import")


def lines(view: View, *rows: Row, separator: str = ",", meters: tuple[str, ...] = ("main",)) -> str:
    columns = Columns(dict.fromkeys(meters, KEYS), None, view)
    return "".join(csv_lines(rows, columns, WARSAW, separator))


def test_what_a_meter_did_not_send_is_empty_and_zero_is_zero() -> None:
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
