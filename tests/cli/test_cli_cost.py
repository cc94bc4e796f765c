import csv
import io
import sys
from datetime import UTC, datetime, timedelta

import pytest
from support.cli import Home, esquirell, meter
from support.terminal import Terminal

from esquirell.domain.reading import Reading

# In Warsaw the day before has 25 hours.
MIDNIGHT = datetime(2025, 10, 25, 22, tzinfo=UTC)
SPAN = ("--since", "2025-10-26", "--until", "2025-10-28")
TARIFF = """
[[tariffs]]
name = "home"
meters = ["main"]
currency = "PLN"
import_price = 1
export_price = 0.5
fee_per_day = 2.5
windows = [{ begin = "22:00", end = "06:00", import_price = 0.1 }]
"""
MARKET = '[[tariffs]]\nname = "market"\ncurrency = "EUR"\n'


@pytest.fixture
def house(home: Home) -> Home:
    """49 hours of 1 kWh in and 2 kWh out."""
    home.configure(meter(), TARIFF)
    readings = [
        Reading(
            "main",
            MIDNIGHT + number * timedelta(minutes=30),
            {"energy_import": 100 + number / 2, "energy_export": 50.0 + number},
        )
        for number in range(49 * 2 + 1)
    ]
    home.store(readings)
    return home


@pytest.mark.usefixtures("house")
def test_days_of_25_and_24_hours() -> None:
    long, short = esquirell("cost", *SPAN, "--json").json
    assert long == {
        "start": "2025-10-25T22:00:00.000Z",
        "meter": "main",
        "tariff": "home",
        "currency": "PLN",
        "energy_import": 25.0,
        "import_cost": 16.9,
        "energy_export": 50.0,
        "export_credit": 25.0,
        "fee": 2.5,
        "total": -5.6,
        "unpriced": 0.0,
    }
    assert (short["import_cost"], short["fee"]) == (16.8, 2.5)


@pytest.mark.usefixtures("house")
def test_hours_and_months_add_up_alike() -> None:
    said = esquirell("cost", "main", *SPAN, "--resolution", "hour", "--format", "csv")
    hours = list(csv.DictReader(io.StringIO(said.out)))
    assert len(hours) == 49
    (month,) = esquirell("cost", *SPAN, "--resolution", "month", "--json").json
    assert sum(float(one["import_cost"]) for one in hours) == pytest.approx(month["import_cost"])
    assert month["total"] == pytest.approx(-5.6 - 4.7)


def test_imported_prices_win_and_end(house: Home) -> None:
    prices = house.path / "prices.csv"
    prices.write_text("start,price\n2025-10-26T10:00,3\n2025-10-26T11:00,-1\n")
    said = esquirell("tariffs", "import", str(prices))
    assert said.out == (
        "2 prices imported for home, from 2025-10-26 10:00:00 to 2025-10-26 11:00:00\n"
    )
    span = ("--since", "2025-10-26T09:00", "--until", "2025-10-26T13:00")
    hours = esquirell("cost", *span, "--resolution", "hour", "--json").json
    assert [one["import_cost"] for one in hours] == [1, 3, -1, 1]


def test_an_import_replaces_the_prices_of_its_span(house: Home) -> None:
    prices = house.path / "prices.csv"
    for rows in ("10:00,3 11:00,4 12:00,5", "10:00,6 12:00,7"):
        lines = [f"2025-10-26T{row}" for row in rows.split()]
        prices.write_text("\n".join(["start,price", *lines]))
        esquirell("tariffs", "import", str(prices), "--tariff", "home")
    shown = esquirell("tariffs", "show", "home", "--json").json
    assert shown["windows"][0]["begin"] == "22:00:00"
    # The end of the first list, an hour after its last row, is there still.
    assert [one["price"] for one in shown["prices"]] == [6, 7, None, None]


def test_energy_without_a_price_is_reported(house: Home) -> None:
    house.configure(meter(), MARKET)
    said = esquirell("cost", *SPAN)
    assert "49.00 kWh have no price" in said.err
    assert "\t0.0\t" in said.out


def test_what_another_tariff_would_cost(house: Home) -> None:
    house.configure(meter(), TARIFF, MARKET + "import_price = 2\n")
    (month,) = esquirell(
        "cost", *SPAN, "--resolution", "month", "--tariff", "market", "--json"
    ).json
    assert (month["total"], month["currency"]) == (98, "EUR")


@pytest.mark.usefixtures("house")
def test_tariffs_are_listed() -> None:
    (one,) = esquirell("tariffs", "list", "--json").json
    assert (one["name"], one["meters"], one["imported"]) == ("home", ["main"], 0)
    assert "home\tmain\tPLN\t1.0\t0.5\t0" in esquirell("tariffs", "list").out
    shown = esquirell("tariffs", "show").out
    assert "fee_per_day: 2.5" in shown
    assert "fee_for_each_meter: no\n" in shown
    assert shown.endswith("no prices are imported\n")


@pytest.mark.parametrize("arguments", [("cost",), ("tariffs", "show")])
def test_without_a_tariff_an_example_says_what_to_add(
    house: Home, arguments: tuple[str, ...]
) -> None:
    house.configure(meter())
    said = esquirell(*arguments)
    assert (said.code, said.out) == (2, "")
    sentence, _, example = said.err.partition("\n\n")
    assert sentence == (
        f"esquirell: no tariff is configured: add one to {house.config} "
        "(more in docs/how-to/tariffs.md), such as"
    )
    house.configure(meter(), example)
    assert esquirell(*arguments).code == 0


@pytest.mark.parametrize(
    ("configured", "arguments", "sentence"),
    [
        ((TARIFF,), ("cost", "x"), "there is no meter 'x'; known: main"),
        ((TARIFF,), ("cost", "--tariff", "x"), "there is no tariff 'x'; known: home"),
        ((TARIFF,), ("cost", "--since", "1h", "--until", "2h"), "is after --until"),
        ((TARIFF,), ("cost", "--json", "--format", "csv"), "exclude each other"),
        ((TARIFF, MARKET), ("tariffs", "show"), "name one of them: home, market"),
        ((TARIFF,), ("tariffs", "import", "esquirell.toml"), "its first line has to name"),
        ((TARIFF,), ("tariffs", "import", "data/esquirell.db"), "is not text in UTF-8"),
    ],
)
def test_misuse_is_one_sentence(
    house: Home, configured: tuple[str, ...], arguments: tuple[str, ...], sentence: str
) -> None:
    house.configure(meter(), *configured)
    said = esquirell(*arguments)
    assert said.code == 2
    assert sentence in said.sentence


@pytest.mark.usefixtures("house")
@pytest.mark.parametrize(
    ("resolution", "start"),
    [("hour", "2025-10-26 00:00"), ("day", "2025-10-26"), ("month", "2025-10")],
)
def test_in_a_terminal_each_row_fits_into_a_line(resolution: str, start: str) -> None:
    command = [sys.executable, "-m", "esquirell", "cost", *SPAN, "--resolution", resolution]
    with Terminal(command) as terminal:
        assert terminal.finish() == 0
    assert terminal.text.startswith("tariff home, currency PLN")
    rows = [line.split() for line in terminal.text.splitlines() if "main" in line]
    assert len(rows) == {"hour": 49, "day": 2, "month": 1}[resolution]
    assert " ".join(rows[0]).startswith(f"{start} main ")
    last = terminal.text.splitlines()[-1].split()
    assert last[0] == ("sum" if len(rows) > 1 else start)


def test_the_sum_counts_energy_once_that_two_meters_measure_and_each_fee(house: Home) -> None:
    each = TARIFF.replace('meters = ["main"]', "fee_for_each_meter = true")
    house.configure(meter(), meter("fridge", upstream='upstream = "main"'), each)
    house.store(
        [
            Reading("fridge", MIDNIGHT + timedelta(hours=hour), {"energy_import": hour})
            for hour in (0, 9)
        ],
        {},
    )
    command = [sys.executable, "-m", "esquirell", "cost", *SPAN, "--resolution", "month"]
    with Terminal(command, columns=120) as terminal:
        assert terminal.finish() == 0, terminal.text
    cells = [line.split() for line in terminal.text.splitlines()]
    main = next(row[2:] for row in cells if "main" in row)
    fridge = next(row[2:] for row in cells if row[1:2] == ["fridge"])
    total = next(row[1:] for row in cells if row[:1] == ["sum"])
    assert fridge[0] == "9.00"
    assert total[:4] == main[:4]
    assert float(total[4]) == float(main[4]) + float(fridge[4])
    assert float(total[5]) == pytest.approx(float(main[5]) + float(fridge[4]), abs=0.011)


def test_the_sum_counts_a_meter_behind_one_without_a_tariff(house: Home) -> None:
    behind = [meter(name, upstream='upstream = "main"') for name in ("fridge", "ice")]
    house.configure(meter(), *behind, TARIFF.replace('["main"]', '["fridge", "ice"]'))
    house.store(
        [
            Reading(name, MIDNIGHT + timedelta(hours=hour), {"energy_import": hour})
            for name in ("fridge", "ice")
            for hour in (0, 9)
        ],
        {},
    )
    command = [sys.executable, "-m", "esquirell", "cost", *SPAN, "--resolution", "month"]
    with Terminal(command, columns=120) as terminal:
        assert terminal.finish() == 0, terminal.text
    cells = [line.split() for line in terminal.text.splitlines()]
    assert next(row[1] for row in cells if row[:1] == ["sum"]) == "18.00"
    assert "leaves out" not in terminal.text
