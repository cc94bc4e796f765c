"""Costs on History, and its CSV: from a real database, without a service."""

import csv
import io
from datetime import UTC, datetime
from pathlib import Path

import pytest
from support.past_house import (
    HOME,
    LABEL,
    RECORDED,
    TEXTS,
    chosen,
    figures_of,
    past_house,
    sections,
    table,
)

from esquirell.runtime.storage import Storage
from esquirell.services.costs import CostQuery
from esquirell.web.formats import NARROW_SPACE
from esquirell.web.history import HistoryView

OCTOBER = datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)


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
    (part,) = sections(storage, "show=cost&span=range&at=2026-10-25&until=2026-10-26")
    shown = table(part).sums
    assert shown
    total = sum(float(row["total"]) for row in costs)
    assert figures_of(shown.cells)[-1] == f"{total:.2f} zł"
    assert csv_of(storage, "show=cost&meter=car") == []


def test_costs_of_a_meter_say_what_they_are_made_of(storage: Storage) -> None:
    (cost,) = sections(storage, "show=cost&span=month&at=2026-10-25")
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
    assert sections(storage, "show=cost&meter=car") == []


def test_a_sum_of_costs_counts_energy_once_and_each_fee(tmp_path: Path) -> None:
    each = HOME.model_copy(update={"meters": ("main", "pump", "car"), "fee_for_each_meter": True})
    query = "show=cost&span=month&at=2026-10-25&by=hour"
    with past_house(tmp_path, each) as storage:
        (main,) = sections(storage, f"{query}&meter=main")
        (all_,) = sections(storage, f"{query}&meter=main&meter=pump&meter=car")
        rows = storage.costs.read(CostQuery(*OCTOBER, "month", ["main", "pump", "car"]))
        fees = [float(row.cost.fee) for row in rows]
    shown = table(all_)
    assert [line.title for line in shown.lines] == [LABEL, "Heat pump", "car"]
    assert shown.sums
    whole = float(figures_of(shown.sums.cells)[0].removesuffix(" zł"))
    alone = table(main).sums
    assert alone
    total = float(figures_of(alone.cells)[-1].removesuffix(" zł"))
    assert whole == pytest.approx(total + sum(fees[1:]), abs=0.011)


def test_without_a_tariff_of_its_own_a_meter_costs_what_its_submeters_cost(tmp_path: Path) -> None:
    flats = HOME.model_copy(update={"meters": ("pump", "car")})
    query = "show=cost&span=month&at=2026-10-25"
    with past_house(tmp_path, flats) as storage:
        (house,) = sections(storage, query)
        billed = {row["meter"] for row in csv_of(storage, query)}
        (both,) = sections(storage, f"{query}&meter=pump&meter=car")
        (all_,) = sections(storage, f"{query}&meter=main&meter=pump&meter=car")
    assert [series.meter for series in house.figure.series] == ["pump", "car"]
    assert billed == {"pump", "car"}
    assert table(house).sums == table(both).sums == table(all_).sums
