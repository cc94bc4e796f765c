import csv
import io
import sys
from datetime import UTC, datetime, timedelta

import pytest
from support.cli import Home, esquirell, meter
from support.terminal import Terminal

from esquirell.domain.reading import MeterStatus, Reading

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
def test_hours_begin_with_the_hour_that_contains_since() -> None:
    span = ("--since", "2025-11-19T10:30", "--until", "2025-11-19T12:30")
    said = esquirell("readings", "--resolution", "hour", *span, "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(said.out)))
    hours = ["2025-11-19T10:00+01:00", "2025-11-19T11:00+01:00", "2025-11-19T12:00+01:00"]
    assert [row["start"] for row in rows] == hours
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
def test_quarters_add_up_to_the_hours() -> None:
    span = ("--since", "2025-11-19T10:00", "--until", "2025-11-19T12:00", "--json")
    asked = ("readings", "main", "--quantity", "energy_import,active_power", *span)
    found = esquirell(*asked, "--resolution", "quarter").json
    assert [row["start"][11:16] for row in found[:5]] == [
        "09:00",
        "09:15",
        "09:30",
        "09:45",
        "10:00",
    ]
    assert [row["energy_import"] for row in found] == [0.15] * 8
    # 600 from the full hour on, 601 from ten past, 600 from twenty past.
    assert found[0]["active_power_mean"] == pytest.approx(600 + 5 / 15)
    assert (found[0]["active_power_min"], found[0]["active_power_max"]) == (600, 601)
    hours = esquirell(*asked, "--resolution", "hour").json
    assert [row["energy_import"] for row in hours] == [0.6, 0.6]


def test_quarters_are_shown_as_far_as_the_readings_are_kept(house: Home) -> None:
    house.configure(meter(), database__raw_retention="1d")
    assert esquirell("db", "prune", "--json").json["removed"]["main"] > 0
    found = esquirell("readings", "main", "--resolution", "quarter", *SPAN, "--json").json
    # All but the last hour, to which energy may still be added.
    assert [row["start"][:16] for row in found] == [
        f"2025-11-20T22:{minute:02}" for minute in (0, 15, 30, 45)
    ]


@pytest.mark.parametrize(
    ("period", "names"),
    [("day", ["2025-11-19", "2025-11-20"]), ("month", ["2025-11"]), ("year", ["2025"])],
)
@pytest.mark.usefixtures("house")
def test_in_tables_and_csv_a_period_has_its_local_date(period: str, names: list[str]) -> None:
    asked = ("readings", "main", "--resolution", period, *SPAN, "--quantity", "energy_import")
    rows = list(csv.DictReader(io.StringIO(esquirell(*asked, "--format", "csv").out)))
    assert [row["start"] for row in rows] == names
    assert [row[0] for row in esquirell(*asked).rows[1:]] == names


@pytest.mark.usefixtures("house")
def test_a_year_is_the_sum_of_its_months() -> None:
    (year,) = esquirell("readings", "main", "--resolution", "year", *SPAN, "--json").json
    assert year["start"] == "2024-12-31T23:00:00.000Z"
    assert year["energy_import"] == pytest.approx(28.7)
    assert year["active_power_max"] == 601.0
    assert "estimated" not in year


@pytest.mark.usefixtures("house")
def test_the_peak_demand_is_shown_on_request() -> None:
    asked = ("statistics", *SPAN, "--quantity", "peak_demand,energy_import")
    first = esquirell(*asked, "--json").json[0]
    assert first == {"start": "2025-11-18T23:00:00.000Z", "peak_demand": 0.6, "energy_import": 14.4}
    assert "Peak demand (kW)" in esquirell(*asked, "--plot").out
    refused = esquirell("readings", "--quantity", "peak_demand")
    assert refused.code == 2
    assert "not a quantity" in refused.sentence


def test_rollup_and_prune_report_their_results(house: Home) -> None:
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
    assert esquirell("db", "prune").out == "No raw readings had to be removed.\n"


@pytest.mark.usefixtures("house")
def test_an_invalid_time_is_refused() -> None:
    said = esquirell("db", "rollup", "--since", "tomorrow")
    assert said.code == 2
    assert "--since: 'tomorrow' is not a time" in said.sentence


def test_where_a_gap_was_spread_hours_say_that_they_are_estimated(house: Home) -> None:
    later = MIDNIGHT + timedelta(hours=52)
    house.store([Reading("main", later, {"energy_import": 129.7})], {})
    span = ("--since", "2025-11-20T22:00", "--until", "2025-11-21T06:00", "--quantity")
    asked = ("readings", "--resolution", "hour", *span, "energy_import")
    hours = esquirell(*asked, "--json").json
    assert [hour.get("estimated") for hour in hours] == [None, True, True, True, True, True, None]
    rows = list(csv.DictReader(io.StringIO(esquirell(*asked, "--format", "csv").out)))
    assert [row["estimated"] for row in rows] == ["", *["true"] * 5, ""]
    command = [sys.executable, "-m", "esquirell", "--config", str(house.config), *asked]
    with Terminal(command) as terminal:
        assert terminal.finish() == 0
    marked = [line for line in terminal.text.splitlines() if " ~" in line]
    assert [line[11:16] for line in marked[:2]] == ["23:00", "00:00"]
    assert len(marked) == 5
    assert "~ estimated" in terminal.text
    assert "estimated" not in esquirell(*DAY, "--json").json[0]


def test_the_sum_counts_energy_once_that_two_meters_measure(home: Home) -> None:
    home.configure(
        meter(),
        meter("fridge", upstream='upstream = "main"'),
        meter("ice", upstream='upstream = "fridge"'),
        meter("barn"),
    )
    energies = {"main": 10.0, "fridge": 2.0, "ice": 1.0, "barn": 4.0}
    home.store(
        [
            Reading(name, MIDNIGHT + timedelta(hours=hour), {"energy_import": hour * kwh})
            for name, kwh in energies.items()
            for hour in (0, 1)
        ],
        {name: MeterStatus(keys=("energy_import",)) for name in energies},
    )
    command = [sys.executable, "-m", "esquirell", "statistics", "--since", "2025-11-19"]
    for named, kwh, contained in (
        (energies, "14.00", "fridge, ice"),
        (["main", "ice"], "10.00", "ice"),
    ):
        with Terminal([*command, *named]) as terminal:
            assert terminal.finish() == 0, terminal.text
        assert next(line for line in terminal.text.splitlines() if "sum " in line).split()[1] == kwh
        assert f"the sum leaves out what is behind another meter: {contained}" in terminal.text


def test_a_meter_that_measured_nothing_contains_none_and_one_row_has_no_sum(home: Home) -> None:
    home.configure(
        meter(),
        meter("fridge", upstream='upstream = "main"'),
        meter("ice", upstream='upstream = "fridge"'),
    )
    home.store(
        [
            *(
                Reading(name, MIDNIGHT + timedelta(hours=hour), {"energy_import": hour * kwh})
                for name, kwh in {"fridge": 2.0, "ice": 1.0}.items()
                for hour in (0, 1)
            ),
            *(
                Reading("main", MIDNIGHT + timedelta(hours=hour), {"voltage": 230})
                for hour in (0, 1)
            ),
        ],
        {
            name: MeterStatus(keys=("energy_import", "voltage"))
            for name in ("main", "fridge", "ice")
        },
    )
    command = [sys.executable, "-m", "esquirell", "statistics", "--since", "2025-11-19"]
    for named, row in (((), "2.00"), (("main", "ice"), "1.00"), (("ice",), None)):
        with Terminal([*command, *named]) as terminal:
            assert terminal.finish() == 0, terminal.text
        sums = [line.split()[1] for line in terminal.text.splitlines() if "sum " in line]
        assert sums[:1] == ([row] if row else []), terminal.text
        assert ("the sum leaves out" in terminal.text) == (not named)
