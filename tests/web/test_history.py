"""The pictures and tables of History: from a real database, without a service."""

import json
from dataclasses import replace
from datetime import date
from html import unescape

import pytest
from plots.drawing import energies, figure, local
from support.past_house import LABEL, RECORDED, TEXTS, WARSAW, chosen, figures_of, sections, table

from esquirell.plots.axes import Frame, Periods
from esquirell.plots.figure import Point
from esquirell.runtime.storage import Storage
from esquirell.web.formats import MINUS, NOTHING, Formats
from esquirell.web.pictures import picture, readout_of, style, words_of
from esquirell.web.spans import LENGTHS, Length
from esquirell.web.tables import by_meter, shares


def test_energy_of_a_day_of_25_hours(storage: Storage) -> None:
    energy, _ = sections(storage, "at=2026-10-25")
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
    _, explained = sections(storage, "span=month&at=2026-10-25")
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


def test_a_sum_counts_once_what_several_meters_measure() -> None:
    upstream = {"plug": "board", "board": "main", "car": "main"}
    october = local(2026, 10, 1), local(2026, 11, 1)
    for meters, kwh in ((["main", "plug", "car"], 496), (["plug", "car"], 992)):
        drawn = figure(energies("day", october, meters), upstream=upstream)
        shown = by_meter(drawn, TEXTS, Formats(TEXTS, "UTC"), str)
        assert shown
        assert shown.sums
        assert figures_of(shown.sums.cells) == [f"{kwh}.00 kWh"]


def test_what_a_house_produces_is_not_called_untracked(storage: Storage) -> None:
    _, explained = sections(storage, "span=month&at=2026-10-25")
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
    energy = sections(storage, "span=month&at=2026-10-25&meter=main&meter=car&meter=gone")[0]
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
    figure = sections(storage, query)[0].figure
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


def test_the_energy_between_two_days_is_summed(storage: Storage) -> None:
    asked = chosen("span=range&at=2026-10-25&until=2026-10-26")
    assert (asked.span.first, asked.span.last, asked.view) == (
        date(2026, 10, 25),
        date(2026, 10, 26),
        "day",
    )
    energy = sections(storage, "span=range&at=2026-10-25&until=2026-10-26")[0]
    shown = table(energy).sums
    assert shown
    assert figures_of(shown.cells) == ["147.00 kWh", "49.00 kWh"]
    one_day = table(sections(storage, "span=range&at=2026-10-25&until=2026-10-25")[0])
    assert one_day.sums
    assert len(one_day.lines) == 25
    assert figures_of(one_day.sums.cells) == ["75.000 kWh", "25.000 kWh"]
    assert chosen(asked.address()) == asked
    assert chosen(asked.address(compare=True)).span == asked.span


def test_an_unknown_year_ago_is_not_zero(storage: Storage) -> None:
    energy = sections(storage, "span=month&at=2025-10-25&compare=1")[0]
    shown = table(energy).sums
    assert shown
    assert list(shown.cells)[2:] == [NOTHING, NOTHING]


def test_what_estimated_means_is_said(storage: Storage) -> None:
    year = sections(storage, "span=year&at=2026-10-25")[0]
    assert year.figure.is_estimated == ("spread evenly" in year.note)
    day = sections(storage, "at=2026-10-25")[0]
    assert day.note == ""


def test_the_same_period_a_year_ago_is_shown_beside(storage: Storage) -> None:
    energy = sections(storage, "span=month&at=2026-10-25&compare=1")[0]
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
    found = sections(storage, "span=month&at=2026-10-25&meter=main&meter=car&compare=1")
    assert [part.title for part in found][:2] == [
        "Energy per day",
        "Energy per day, a year ago",
    ]


def test_power_has_its_lowest_mean_and_highest(storage: Storage) -> None:
    (power,) = sections(storage, "show=power&span=month&by=day&at=2026-10-25")
    assert power.figure.kind == "lines"
    shown = table(power)
    assert shown.columns == ["min, W", "mean, W", "max, W"]
    assert list(shown.lines[0].cells) == ["2,000", "2,000", "2,000"]
    assert shown.sums
    assert shown.sums.title == "Overall"


def test_readings_one_by_one_have_a_summary_only(storage: Storage) -> None:
    (power,) = sections(storage, "show=power&at=2026-10-25")
    assert not isinstance(power.figure.axis, Periods)
    shown = table(power)
    assert [line.title for line in shown.lines] == ["Power"]
    assert figures_of(shown.lines[0].cells) == ["2,000 W", "2,000 W", "2,000 W"]


def test_a_quantity_that_is_measured_by_phases(storage: Storage) -> None:
    (voltage,) = sections(storage, "show=voltage&span=month&at=2026-10-25")
    assert [one.name for one in voltage.figure.series] == ["Voltage, phase A", "Voltage, phase B"]


def test_all_history_begins_with_the_first_stored_reading(storage: Storage) -> None:
    energy = sections(storage, "span=all&by=month")[0]
    assert isinstance(energy.figure.axis, Periods)
    assert energy.figure.axis.title(0, words_of(TEXTS)) == "Oct 2025"
    assert energy.figure.axis.count == 13
    (cost,) = sections(storage, "show=cost&span=all")
    assert isinstance(cost.figure.axis, Periods)
    assert cost.figure.axis.count == 2


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("show", ["energy", "power", "cost", "voltage", "frequency"])
def test_a_time_or_a_meter_without_anything_is_no_fault(
    storage: Storage, show: str, length: Length
) -> None:
    for query in (f"show={show}&span={length}&at=2020-02-02", f"show={show}&meter=gone"):
        for part in sections(storage, query):
            assert "</svg>" in picture(part.figure, TEXTS, "p")
            assert part.table is None or part.table.lines


def test_names_are_escaped_in_pictures_and_read_outs(storage: Storage) -> None:
    _, explained = sections(storage, "span=month&at=2026-10-25")
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


def test_of_a_day_that_has_just_begun_to_be_measured_the_hours_since_are_drawn(
    storage: Storage,
) -> None:
    def drawn(query: str) -> tuple[str, str]:
        (power,) = sections(storage, f"show=power&meter=main&{query}")
        axis = power.figure.axis
        assert isinstance(axis, Frame)
        begin, end = (at.astimezone(WARSAW).isoformat(timespec="minutes") for at in axis.span)
        return begin[5:16], end[5:16]

    # At one in the morning, after one reading at midnight.
    assert drawn("at=2026-10-27") == ("10-27T00:00", "10-27T01:00")
    assert drawn("at=2026-10-27&compare=1") == ("10-27T00:00", "10-28T00:00")
    assert drawn("at=2026-10-26") == ("10-26T00:00", "10-27T00:00")
    # A day of which nothing came after midnight has been measured all the same.
    assert drawn("at=2025-10-26") == ("10-26T00:00", "10-27T00:00")
    assert drawn("at=2020-02-02") == ("02-02T00:00", "02-03T00:00")
