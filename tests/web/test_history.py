"""What the History page shows, from a real database; without a service."""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from html import unescape
from pathlib import Path
from urllib.parse import parse_qs
from zoneinfo import ZoneInfo

import pytest

from esquirell.domain.meter import Meter
from esquirell.domain.reading import MeterStatus, Reading
from esquirell.domain.tariff import Tariff
from esquirell.plots.axes import Periods
from esquirell.plots.figure import Point
from esquirell.runtime.storage import Storage
from esquirell.settings import Settings
from esquirell.storage.maintenance.migrate import upgrade
from esquirell.web.formats import MINUS, NARROW_SPACE, NOTHING, Formats
from esquirell.web.history import HistoryView, Part
from esquirell.web.pictures import picture, readout_of, style, words_of
from esquirell.web.selection import RecordedMeters, Selection, select
from esquirell.web.spans import LENGTHS, Length, Span
from esquirell.web.tables import Table, by_meter, shares
from esquirell.web.texts import DEFAULT, texts_of

TEXTS = texts_of(DEFAULT)
WARSAW = ZoneInfo("Europe/Warsaw")
TODAY = date(2026, 10, 26)
LABEL = "<b>Main</b> & 'co'"
KEYS = {
    "main": ("active_power", "energy_import", "energy_export", "voltage_a", "voltage_b"),
    "pump": ("active_power", "energy_import_a", "energy_import_b"),
    "car": ("active_power", "energy_import"),
    "gone": ("energy_import",),
}
METERS = [
    Meter(name=name, label=label, device_id=name, local_key="0" * 16, upstream=above)
    for name, label, above in (
        ("main", LABEL, ""),
        ("pump", "Heat pump", "main"),
        ("car", "", "main"),
    )
]
RECORDED = RecordedMeters(METERS, KEYS)
HOME = Tariff.model_validate(
    {
        "name": "home",
        "meters": ("main",),
        "currency": "PLN",
        "import_price": "1",
        "export_price": "0.5",
        "fee_per_day": "2",
    }
)


def chosen(query: str) -> Selection:
    found = parse_qs(query)
    return select(lambda name: found.get(name, []), RECORDED, TODAY)


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Storage]:
    """Two days of readings each ten minutes; a year before, one."""
    folder: Path = tmp_path_factory.mktemp("history")
    settings = Settings(timezone="Europe/Warsaw", state_dir=folder, meters=METERS, tariffs=[HOME])
    storage = Storage(lambda: settings, lambda: datetime(2026, 10, 27, tzinfo=UTC))
    upgrade(settings.database_url)
    used = 0.0
    # Nothing is used in the year between. The 25th of 2026 has 25 hours.
    for first, days in ((datetime(2025, 10, 25, tzinfo=WARSAW), 1), (_local(25), 2)):
        end = first + timedelta(days=days)
        at, readings = first.astimezone(UTC), []
        while at <= end:
            readings += [Reading(name, at, values) for name, values in _values(used).items()]
            at, used = at + timedelta(minutes=10), used + 1 / 6
        used -= 1 / 6
        storage.readings.add(readings, {n: MeterStatus(keys=keys) for n, keys in KEYS.items()})
    yield storage
    storage.database.close()


def _local(day: int) -> datetime:
    return datetime(2026, 10, day, tzinfo=WARSAW)


def _values(hours: float) -> dict[str, dict[str, float]]:
    """Main imports 3 kWh an hour and exports 1; of these the pump has 1.5, and the car 1.

    Sums are rounded as the ledger rounds them.
    """
    return {
        "main": {
            "active_power": 2000.0,
            "energy_import": round(100 + 3 * hours, 6),
            "energy_export": round(50 + hours, 6),
            "voltage_a": 231.0,
            "voltage_b": 233.0,
        },
        "pump": {
            "active_power": 1500.0,
            "energy_import_a": round(hours, 6),
            "energy_import_b": round(hours / 2, 6),
        },
        "car": {"active_power": 1000.0, "energy_import": round(hours, 6)},
    }


def parts(storage: Storage, query: str) -> list[Part]:
    return HistoryView(storage, RECORDED, chosen(query), TEXTS).parts()


def table(part: Part) -> Table:
    assert part.table
    return part.table


def figures_of(cells: Sequence[str]) -> list[str]:
    return [cell.replace(NARROW_SPACE, " ") for cell in cells]


@pytest.mark.parametrize(
    ("length", "first", "end"),
    [
        ("day", date(2026, 10, 26), date(2026, 10, 27)),
        ("week", date(2026, 10, 26), date(2026, 11, 2)),
        ("month", date(2026, 10, 1), date(2026, 11, 1)),
        ("year", date(2026, 1, 1), date(2027, 1, 1)),
    ],
)
def test_spans_are_whole_and_follow_each_other(length: Length, first: date, end: date) -> None:
    span = Span.around(length, TODAY)
    assert (span.first, span.end) == (first, end)
    assert span.earlier.end == first
    assert span.later.first == end
    assert span.later.earlier == span


def test_a_year_ago_is_the_same_date_and_of_a_week_the_same_weekdays() -> None:
    assert Span.around("day", date(2028, 2, 29)).year_before.first == date(2027, 2, 28)
    assert Span.around("month", TODAY).year_before.first == date(2025, 10, 1)
    week = Span.around("week", TODAY)
    assert week.year_before.first == date(2025, 10, 27)
    assert week.year_before.first.weekday() == week.first.weekday()


def test_a_span_begins_and_ends_at_local_midnights() -> None:
    begin, end = Span.around("day", date(2026, 10, 25)).moments("Europe/Warsaw")
    assert (end - begin) == timedelta(days=1)  # by the clock on the wall
    assert end.astimezone(UTC) - begin.astimezone(UTC) == timedelta(hours=25)


def test_the_first_view_is_the_energy_of_the_house_today() -> None:
    assert chosen("") == Selection("energy", Span.around("day", TODAY), "hour", ("main",))


@pytest.mark.parametrize(
    "query",
    [
        "span=decade&show=money&by=second&at=yesterday&meter=nobody&compare=yes",
        "at=0001-01-01",
        "at=9999-12-31&span=week",
        "show=../../etc/passwd",
    ],
)
def test_what_makes_no_sense_is_left_to_its_default(query: str) -> None:
    found = chosen(query)
    assert (found.show, found.view, found.meters, found.compare) == (
        "energy",
        "day" if "week" in query else "hour",
        ("main",),
        False,
    )
    assert found.span.first in {TODAY, Span.around("week", TODAY).first}


def test_an_address_asks_for_the_same_again_and_for_what_is_changed() -> None:
    asked = chosen("span=month&show=power&by=day&meter=car&meter=main&compare=1&at=2026-09-09")
    assert asked.meters == ("main", "car")
    assert chosen(asked.address()) == asked
    earlier = chosen(asked.address(span=asked.span.earlier))
    assert (earlier.span.first, earlier.view) == (date(2026, 8, 1), "day")
    # Of another length, what it is divided into is chosen anew.
    week = chosen(asked.address(span=Span.around("week", TODAY)))
    assert week.view == "hour"


def test_readings_of_many_meters_are_not_drawn_one_by_one() -> None:
    many = [METERS[0].model_copy(update={"name": f"m{number}"}) for number in range(5)]
    found = parse_qs("show=power&by=raw&" + "&".join(f"meter=m{number}" for number in range(5)))
    selection = select(lambda name: found.get(name, []), RecordedMeters(many, {}), TODAY)
    assert selection.view == "quarter"


def test_meters_that_have_only_a_past_can_be_chosen() -> None:
    assert RECORDED.names == ["main", "pump", "car", "gone"]
    assert chosen("meter=gone").meters == ("gone",)
    assert RECORDED.title("gone") == "gone"
    assert RECORDED.keys("main", "voltage") == ["voltage_a", "voltage_b"]
    assert RECORDED.quantities() == ["voltage", "active_power"]


def test_energy_of_a_day_of_25_hours(storage: Storage) -> None:
    energy, _ = parts(storage, "at=2026-10-25")
    assert energy.title == "Energy per hour"
    assert isinstance(energy.figure.axis, Periods)
    assert energy.figure.axis.count == 25
    shown = table(energy)
    assert shown.columns == ["Energy imported, kWh", "Energy exported, kWh"]
    assert len(shown.lines) == 25
    assert [line.title[-5:] for line in shown.lines[1:5]] == ["01:00", "02:00", "02:00", "03:00"]
    assert list(shown.lines[0].cells) == ["3.000", "1.000"]
    assert shown.sums
    assert figures_of(shown.sums.cells) == ["75.000 kWh", "25.000 kWh"]


def test_what_the_meters_below_do_not_explain(storage: Storage) -> None:
    _, explained = parts(storage, "span=month&at=2026-10-25")
    assert explained.title == f"Breakdown of {LABEL}"
    assert explained.figure.stacked
    names = [one.name for one in explained.figure.series]
    assert names == ["Heat pump", "car", f"{LABEL}, untracked"]
    shown = table(explained)
    # 49 hours; the pump has no total, but two phases.
    assert [(line.title, figures_of(line.cells)) for line in shown.lines] == [
        ("Heat pump", ["73.50 kWh", "50.0 %"]),
        ("car", ["49.00 kWh", "33.3 %"]),
        ("Untracked", ["24.50 kWh", "16.7 %"]),
    ]
    assert shown.sums
    assert figures_of(shown.sums.cells) == ["147.00 kWh", "100.0 %"]
    assert explained.figure.series[-1].points[24].mean == pytest.approx(12.5)


def test_what_a_house_produces_is_not_called_untracked(storage: Storage) -> None:
    _, explained = parts(storage, "span=month&at=2026-10-25")
    *below, main = explained.figure.series
    used = [replace(one, points={0: Point(20, 20, 20)}) for one in below]
    imported = replace(main, name="Main", points={0: Point(30, 30, 30)})
    figure = replace(explained.figure, series=[imported, *used])
    for exports, title in ((True, "From own production"), (False, "Untracked")):
        shown = shares(figure, TEXTS, Formats(TEXTS, "UTC"), exports=exports)
        assert shown
        last = shown.lines[-1]
        assert (last.title, figures_of(last.cells)) == (
            title,
            [f"{MINUS}10.00 kWh", f"{MINUS}33.3 %"],
        )


def test_several_meters_are_compared(storage: Storage) -> None:
    energy = parts(storage, "span=month&at=2026-10-25&meter=main&meter=car&meter=gone")[0]
    shown = table(energy)
    assert shown.columns == [
        f"{LABEL}, Energy imported, kWh",
        f"{LABEL}, Energy exported, kWh",
        "car, Energy imported, kWh",
        "gone, Energy imported, kWh",
    ]
    assert list(shown.lines[24].cells) == ["75.00", "25.00", "25.00", NOTHING]


def test_many_meters_have_a_line_each_and_a_sum_of_each_energy(storage: Storage) -> None:
    query = "span=month&at=2026-10-25&meter=main&meter=pump&meter=car&meter=gone"
    figure = parts(storage, query)[0].figure
    shown = by_meter(figure, TEXTS, Formats(TEXTS, "UTC"), RECORDED.title)
    assert shown
    assert shown.leads
    assert shown.columns == ["Energy imported, kWh", "Energy exported, kWh"]
    assert [(line.title, list(line.cells)) for line in shown.lines] == [
        (LABEL, ["147.00", "49.00"]),
        ("Heat pump", ["73.50", NOTHING]),
        ("car", ["49.00", NOTHING]),
    ]
    # What the pump and the car use is in the main meter's.
    assert shown.sums
    assert figures_of(shown.sums.cells) == ["147.00 kWh", "49.00 kWh"]


def csv_of(storage: Storage, query: str) -> list[dict[str, str]]:
    lines = HistoryView(storage, RECORDED, chosen(query), TEXTS).csv()
    return list(csv.DictReader(io.StringIO("".join(lines))))


def test_a_csv_has_what_is_shown_and_nothing_else(storage: Storage) -> None:
    energy = csv_of(storage, "span=month&at=2026-10-25&meter=main&meter=pump")
    energies = ["energy_import", "energy_export", "energy_import_a", "energy_import_b"]
    assert list(energy[0]) == ["start", "meter", *energies, "estimated"]
    assert sum(float(row["energy_import"] or 0) for row in energy) == pytest.approx(147)
    power = csv_of(storage, "show=power&span=month&at=2026-10-25")
    assert [key for key in power[0] if "_" in key] == [
        f"active_power_{part}" for part in ("min", "mean", "max")
    ]
    assert csv_of(storage, "show=temperature&meter=gone") == []


def test_a_csv_of_costs_has_the_costs(storage: Storage) -> None:
    costs = csv_of(storage, "show=cost&span=range&at=2026-10-25&until=2026-10-26")
    assert [(row["start"], row["meter"], row["currency"]) for row in costs] == [
        ("2026-10-25", "main", "PLN"),
        ("2026-10-26", "main", "PLN"),
    ]
    (part,) = parts(storage, "show=cost&span=range&at=2026-10-25&until=2026-10-26")
    shown = table(part).sums
    assert shown
    total = sum(float(row["total"]) for row in costs)
    assert figures_of(shown.cells)[-1] == f"{total:.2f} zł"
    assert csv_of(storage, "show=cost&meter=car") == []


def test_the_energy_between_two_days_is_summed(storage: Storage) -> None:
    asked = chosen("span=range&at=2026-10-25&until=2026-10-26")
    assert (asked.span.first, asked.span.last, asked.view) == (
        date(2026, 10, 25),
        date(2026, 10, 26),
        "day",
    )
    energy = parts(storage, "span=range&at=2026-10-25&until=2026-10-26")[0]
    shown = table(energy).sums
    assert shown
    assert figures_of(shown.cells) == ["147.00 kWh", "49.00 kWh"]
    one_day = table(parts(storage, "span=range&at=2026-10-25&until=2026-10-25")[0])
    assert one_day.sums
    assert len(one_day.lines) == 25
    assert figures_of(one_day.sums.cells) == ["75.000 kWh", "25.000 kWh"]
    assert chosen(asked.address()) == asked
    assert chosen(asked.address(compare=True)).span == asked.span


@pytest.mark.parametrize(
    ("query", "first", "last", "view"),
    [
        ("at=2026-10-05", date(2026, 10, 1), date(2026, 10, 5), "day"),
        ("at=2026-10-05&until=2026-10-01", date(2026, 10, 5), date(2026, 10, 5), "hour"),
        ("at=2026-10-05&until=nonsense", date(2026, 10, 5), TODAY, "day"),
        ("at=2026-01-01&until=2026-12-31", date(2026, 1, 1), date(2026, 12, 31), "day"),
        # More than a year is divided by months, and has whole ones.
        ("at=2025-03-15&until=2026-05-02", date(2025, 3, 1), date(2026, 5, 31), "month"),
        ("at=2000-01-01&until=2100-01-01", date(2000, 1, 1), date(2029, 12, 31), "month"),
    ],
)
def test_from_one_day_to_another(query: str, first: date, last: date, view: str) -> None:
    found = chosen(f"span=range&{query}")
    assert (found.span.first, found.span.last, found.view) == (first, last, view)


def test_a_range_is_turned_over_by_its_own_length() -> None:
    span = Span.between(date(2026, 10, 5), date(2026, 10, 7))
    assert span.earlier == Span.between(date(2026, 10, 2), date(2026, 10, 4))
    assert span.later == Span.between(date(2026, 10, 8), date(2026, 10, 10))
    assert span.year_before == Span.between(date(2025, 10, 5), date(2025, 10, 7))
    leap = Span.between(date(2028, 2, 29), date(2028, 2, 29)).year_before
    assert (leap.first, leap.last) == (date(2027, 2, 28), date(2027, 2, 28))


def test_a_year_ago_of_which_nothing_is_known_is_no_zero(storage: Storage) -> None:
    energy = parts(storage, "span=month&at=2025-10-25&compare=1")[0]
    shown = table(energy).sums
    assert shown
    assert list(shown.cells)[2:] == [NOTHING, NOTHING]


def test_what_estimated_means_is_said(storage: Storage) -> None:
    year = parts(storage, "span=year&at=2026-10-25")[0]
    assert year.figure.is_estimated == ("spread evenly" in year.note)
    day = parts(storage, "at=2026-10-25")[0]
    assert day.note == ""


def test_the_same_a_year_ago_stands_beside(storage: Storage) -> None:
    energy = parts(storage, "span=month&at=2026-10-25&compare=1")[0]
    grey = [one for one in energy.figure.series if one.colour == -1]
    assert [one.name for one in grey] == [
        "Energy imported, a year ago",
        "Energy exported, a year ago",
    ]
    # The 25th of both years: 24 hours, and 25.
    assert grey[0].points[24].mean == pytest.approx(72)
    assert energy.figure.series[0].points[24].mean == pytest.approx(75)
    assert len(table(energy).columns) == 4


def test_of_several_meters_a_year_ago_is_a_picture_of_its_own(storage: Storage) -> None:
    found = parts(storage, "span=month&at=2026-10-25&meter=main&meter=car&compare=1")
    assert [part.title for part in found][:2] == [
        "Energy per day",
        "Energy per day, a year ago",
    ]


def test_power_has_its_lowest_mean_and_highest(storage: Storage) -> None:
    (power,) = parts(storage, "show=power&span=month&by=day&at=2026-10-25")
    assert power.figure.kind == "lines"
    shown = table(power)
    assert shown.columns == ["min, W", "mean, W", "max, W"]
    assert list(shown.lines[0].cells) == ["2,000", "2,000", "2,000"]
    assert shown.sums
    assert shown.sums.title == "Overall"


def test_readings_one_by_one_have_a_summary_only(storage: Storage) -> None:
    (power,) = parts(storage, "show=power&at=2026-10-25")
    assert not isinstance(power.figure.axis, Periods)
    shown = table(power)
    assert [line.title for line in shown.lines] == ["Power"]
    assert figures_of(shown.lines[0].cells) == ["2,000 W", "2,000 W", "2,000 W"]


def test_a_quantity_that_is_measured_by_phases(storage: Storage) -> None:
    (voltage,) = parts(storage, "show=voltage&span=month&at=2026-10-25")
    assert [one.name for one in voltage.figure.series] == ["Voltage, phase A", "Voltage, phase B"]


def test_costs_of_a_meter_say_what_they_are_made_of(storage: Storage) -> None:
    (cost,) = parts(storage, "show=cost&span=month&at=2026-10-25")
    shown = table(cost)
    assert shown.columns == ["Imported, kWh", "Import cost", "Export credit", "Fixed fees", "Total"]
    assert list(shown.lines[24].cells) == ["75.00", "75.00", "12.50", "2.00", "64.50"]
    assert shown.sums
    # The fees go on in a gap, and in the first hour of the 27th.
    sums = [cell.partition(NARROW_SPACE) for cell in shown.sums.cells]
    assert [number for number, _, _ in sums] == ["147.00", "147.00", "24.50", "52.08", "174.58"]
    assert [unit for _, _, unit in sums] == ["kWh", *["zł"] * 4]
    assert (cost.title, cost.figure.unit) == ("Cost in zł", "zł")


def test_without_a_tariff_there_is_nothing_to_show(storage: Storage) -> None:
    assert parts(storage, "show=cost&meter=car") == []


def test_everything_begins_with_what_is_stored(storage: Storage) -> None:
    energy = parts(storage, "span=all&by=month")[0]
    assert isinstance(energy.figure.axis, Periods)
    assert energy.figure.axis.title(0, words_of(TEXTS)) == "Oct 2025"
    assert energy.figure.axis.count == 13
    (cost,) = parts(storage, "show=cost&span=all")
    assert isinstance(cost.figure.axis, Periods)
    assert cost.figure.axis.count == 2


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("show", ["energy", "power", "cost", "voltage", "frequency"])
def test_a_time_or_a_meter_without_anything_is_no_fault(
    storage: Storage, show: str, length: Length
) -> None:
    for query in (f"show={show}&span={length}&at=2020-02-02", f"show={show}&meter=gone"):
        for part in parts(storage, query):
            assert "</svg>" in picture(part.figure, TEXTS, "p")
            assert part.table is None or part.table.lines


def test_names_are_escaped_in_pictures_and_read_outs(storage: Storage) -> None:
    _, explained = parts(storage, "span=month&at=2026-10-25")
    assert "<b>Main" not in picture(explained.figure, TEXTS, "p")
    readout = readout_of(explained.figure, TEXTS)
    assert "<" not in readout
    assert "'" not in readout
    data = json.loads(unescape(readout))
    assert data["series"][-1]["name"] == f"{LABEL}, untracked"
    assert data["series"][-1]["values"][24] == "12.50 kWh"


def test_the_style_sheet_has_a_version() -> None:
    text, version = style()
    assert ".plot" in text
    assert len(version) == 16
