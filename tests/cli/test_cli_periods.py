import csv
import io
from datetime import UTC, datetime, timedelta

import pytest
from support.cli import Home, esquirell, meter

from esquirell.domain.reading import Reading
from esquirell.domain.status import MeterStatus

MIDNIGHT = datetime(2025, 11, 18, 23, tzinfo=UTC)  # in Warsaw
KEYS = ("energy_import", "active_power", "voltage_a")
SPAN = ("--since", "2025-11-19", "--until", "2025-11-22")
DAY = ("readings", "main", "--resolution", "day", *SPAN)


@pytest.fixture
def house(home: Home) -> Home:
    """Two days of readings, one each ten minutes; voltage is missing."""
    home.configure(meter())
    readings = [
        Reading(
            "main",
            MIDNIGHT + timedelta(minutes=10 * number),
            {"energy_import": 100 + number / 10, "active_power": 600.0 + number % 2},
        )
        for number in range(2 * 144)
    ]
    home.store(readings, {"main": MeterStatus(keys=KEYS)})
    return home


@pytest.mark.usefixtures("house")
def test_days_have_the_energy_and_three_figures_of_all_else() -> None:
    first, second = esquirell(*DAY, "--json").json
    assert first == {
        "start": "2025-11-18T23:00:00.000Z",
        "energy_import": 14.4,
        "active_power_min": 600.0,
        "active_power_mean": 600.5,
        "active_power_max": 601.0,
        "voltage_a_min": None,
        "voltage_a_mean": None,
        "voltage_a_max": None,
    }
    assert second["start"] == "2025-11-19T23:00:00.000Z"


@pytest.mark.usefixtures("house")
def test_hours_begin_with_the_one_that_since_lies_in() -> None:
    span = ("--since", "2025-11-19T10:30", "--until", "2025-11-19T12:30")
    said = esquirell("readings", "--resolution", "hour", *span, "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(said.out)))
    assert [row["start"][11:16] for row in rows] == ["09:00", "10:00", "11:00"]
    assert {row["energy_import"] for row in rows} == {"0.6"}


@pytest.mark.usefixtures("house")
def test_months_of_one_quantity() -> None:
    (month,) = esquirell(
        "readings", "--resolution", "month", *SPAN, "--quantity", "active_power", "--json"
    ).json
    assert [*month] == [
        "start",
        "active_power_min",
        "active_power_mean",
        "active_power_max",
    ]


@pytest.mark.usefixtures("house")
def test_the_demand_is_shown_to_who_asks_for_it() -> None:
    asked = ("statistics", *SPAN, "--quantity", "peak_demand,energy_import")
    first = esquirell(*asked, "--json").json[0]
    assert first == {"start": "2025-11-18T23:00:00.000Z", "peak_demand": 0.6, "energy_import": 14.4}
    assert "peak_demand (kW)" in esquirell(*asked, "--plot").out
    refused = esquirell("readings", "--quantity", "peak_demand")
    assert refused.code == 2
    assert "no quantity" in refused.sentence


def test_rollup_and_prune_tell_what_they_did(house: Home) -> None:
    assert esquirell("db", "rollup", "--json").json == {"readings": {"main": 288}}
    assert "up to date: 0 readings" in esquirell("db", "rollup").out
    again = esquirell("db", "rollup", "--since", "2025-11-19", "--json")
    assert again.json["readings"]["main"] >= 288
    before = esquirell(*DAY, "--json").json
    house.configure(meter(), database__raw_retention="1d")
    removed = esquirell("db", "prune", "--json").json["removed"]["main"]
    assert removed > 0
    assert esquirell(*DAY, "--json").json == before
    assert esquirell("db", "prune", "--json").json == {"removed": {"main": 0}}


@pytest.mark.usefixtures("house")
def test_a_moment_that_is_none_is_refused() -> None:
    said = esquirell("db", "rollup", "--since", "tomorrow")
    assert said.code == 2
    assert "--since: 'tomorrow' is no moment" in said.sentence
