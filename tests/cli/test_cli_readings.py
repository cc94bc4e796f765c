import csv
import io
import os
import sys
import tracemalloc
from contextlib import redirect_stdout
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.cli import Home, esquirell, meter
from support.db_samples import START, sample
from support.terminal import Terminal

from esquirell.cli.errors import run
from esquirell.domain.reading import MeterStatus, Reading, iso

THREE_PHASES = MeterStatus(keys=("voltage_a", "voltage_b", "active_power", "active_power_a"))
PLUG = MeterStatus(keys=("voltage", "active_power"))
ALWAYS = ("--since", "2026-01-01")


@pytest.fixture
def house(home: Home) -> Home:
    """Three readings of a meter with phases, and one of a plug."""
    home.configure(meter(), meter("plug"))
    values = {"voltage_a": 236.0, "voltage_b": 235.5, "active_power": -484.0}
    home.store(
        [
            sample("main", 0, **values),
            sample("main", 60, **values, active_power_a=-140.0),
            sample("plug", 90, voltage=230.1, active_power=12.5),
            sample("main", 120, voltage_a=237.0),
        ],
        {"main": THREE_PHASES, "plug": PLUG},
    )
    return home


def minutes(*arguments: str) -> list[float]:
    """Return when the readings shown were taken, in minutes from the first."""
    shown = esquirell("readings", "--json", *arguments).json
    moments = [datetime.fromisoformat(row["measured_at"]) for row in shown]
    return [(moment - START) / timedelta(minutes=1) for moment in moments]


def test_json_has_all_keys_of_the_meter_and_null_for_missing_values(house: Home) -> None:
    first, _, last = esquirell("readings", "main", *ALWAYS, "--json").json
    assert first == {
        "measured_at": "2026-11-22T10:15:00.123Z",
        "voltage_a": 236.0,
        "voltage_b": 235.5,
        "active_power": -484.0,
        "active_power_a": None,
    }
    assert (last["voltage_a"], last["active_power"]) == (237.0, None)
    assert house.files >= {"esquirell.toml", "data/esquirell.db"}


@pytest.mark.usefixtures("house")
def test_readings_of_several_meters_name_their_meter() -> None:
    shown = esquirell("readings", *ALWAYS, "--format", "json").json
    assert [row["meter"] for row in shown] == ["main", "main", "plug", "main"]
    assert [*shown[2]] == ["measured_at", "meter", "voltage", "active_power"]


@pytest.mark.usefixtures("house")
def test_csv_has_the_columns_of_all_meters() -> None:
    said = esquirell("readings", *ALWAYS, "--format", "csv")
    main, _, plug, _ = csv.DictReader(io.StringIO(said.out))
    assert (main["meter"], main["voltage_a"], main["voltage"]) == ("main", "236.0", "")
    assert (plug["meter"], plug["voltage_a"], plug["voltage"]) == ("plug", "", "230.1")


@pytest.mark.usefixtures("house")
def test_a_piped_table_is_complete_and_tab_separated() -> None:
    headings, first, *_ = esquirell("readings", "main", *ALWAYS).rows
    assert headings == ["measured_at", *THREE_PHASES.keys]
    assert first == ["2026-11-22T10:15:00.123Z", "236.0", "235.5", "-484.0", ""]


@pytest.mark.parametrize(
    ("wanted", "keys"),
    [
        (("--quantity", "voltage_b"), ["voltage_b"]),
        (("--quantity", "voltage"), ["voltage_a", "voltage_b"]),
        (("--quantity", "active_power"), ["active_power"]),
        (("--quantity", "active_power,voltage_a"), ["active_power", "voltage_a"]),
        (("--quantity", "voltage_b", "--quantity", "voltage_b"), ["voltage_b"]),
        (("--quantity", "frequency"), ["frequency"]),
    ],
)
@pytest.mark.usefixtures("house")
def test_only_some_quantities(wanted: tuple[str, ...], keys: list[str]) -> None:
    row, *_ = esquirell("readings", "main", *ALWAYS, "--json", *wanted).json
    assert [*row] == ["measured_at", *keys]


@pytest.mark.usefixtures("house")
def test_from_a_moment_until_just_before_another() -> None:
    assert minutes("main", *ALWAYS) == [0, 1, 2]
    assert minutes("main", "--since", "2026-11-22T10:16:00.123Z") == [1, 2]
    assert minutes("main", "--since", "2026-11-22 11:16:00.123") == [1, 2]
    assert minutes("main", *ALWAYS, "--until", "2026-11-22T11:16:00.123+01:00") == [0]


def test_the_last_24_hours_if_nothing_else_is_asked_for(home: Home) -> None:
    home.configure(meter())
    now = datetime.now(UTC)
    moments = [now - timedelta(hours=25), now - timedelta(hours=23), now - timedelta(minutes=1)]
    home.store([Reading("main", moment, {"voltage": 230.0}) for moment in moments])
    shown = [row["measured_at"] for row in esquirell("readings", "--json").json]
    assert shown == [iso(moment) for moment in moments[1:]]
    assert len(esquirell("readings", "--json", "--since", "26h", "--until", "24h").json) == 1


def test_nothing_stored_is_an_empty_list(home: Home) -> None:
    home.configure(meter())
    home.store()
    assert esquirell("readings", "main", "--json") == (0, "[]\n", "")
    assert esquirell("readings").rows == [["measured_at"]]


def test_a_meter_that_is_not_configured_any_more_has_its_history(house: Home) -> None:
    house.configure(meter("new"))
    assert minutes("main", *ALWAYS) == [0, 1, 2]
    assert minutes("new") == []


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--since", "yesterday"), "--since: 'yesterday' is not a time: write 2026-11-22"),
        (("--until", "25:00"), "--until: '25:00' is not a time"),
        (("--since", "1h", "--until", "2h"), "--since 1h is after --until 2h"),
        (("mian",), "there is no meter 'mian'; did you mean 'main'?"),
        (("--quantity", "volts"), "'volts' is not a quantity; did you mean 'voltage'?"),
        (("--quantity", "powr"), "'powr' is not a quantity; did you mean 'active_power'?"),
        (("--quantity", "spannung"), "'spannung' is not a quantity; known: voltage, current, "),
        (("--json", "--format", "csv"), "--json and --format csv exclude each other"),
        (("--format", "xml"), "'xml' is not one of"),
    ],
)
@pytest.mark.usefixtures("house")
def test_invalid_spans_and_quantities_are_refused(arguments: tuple[str, ...], told: str) -> None:
    said = esquirell("readings", *arguments)
    assert said.code == 2
    assert told in said.sentence


@pytest.mark.parametrize("form", ["table", "csv"])
def test_a_new_database_says_that_it_holds_nothing_yet(home: Home, form: str) -> None:
    home.configure(meter())
    home.store()
    said = esquirell("readings", "--format", form)
    assert (said.code, len(said.out.splitlines())) == (0, 1)
    assert said.err == "nothing is stored for that time\n"


def test_looking_makes_no_database(home: Home) -> None:
    home.configure(meter())
    said = esquirell("readings", "--json")
    assert said.code == 1
    assert "does not exist yet: esquirell run or" in said.sentence
    assert home.files == {"esquirell.toml"}


def peak_mib(*arguments: str) -> float:
    with Path(os.devnull).open("w", encoding="utf-8") as sink, redirect_stdout(sink):
        tracemalloc.start()
        assert run(["readings", *arguments]) == 0
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return peak / 1024 / 1024


def test_memory_does_not_grow_with_the_number_of_readings(home: Home) -> None:
    home.configure(meter())
    home.store([sample("main", second) for second in range(16_000)], {"main": PLUG})
    half = ("--since", iso(START), "--until", iso(START + timedelta(seconds=8_000)), "--json")
    assert len(esquirell("readings", *half).json) == 8_000
    assert peak_mib(*ALWAYS, "--until", "2027-01-01", "--json") < peak_mib(*half) * 1.3


def test_a_reader_that_leaves_early_is_no_fault(home: Home) -> None:
    home.configure(meter())
    home.store([sample("main", second) for second in range(5_000)], {"main": PLUG})
    command = (
        f"{sys.executable} -m esquirell readings --since 2026-01-01 2> said | head -n 2 > rows"
    )
    assert os.waitstatus_to_exitcode(os.system(command)) == 0  # noqa: S605 - a pipe of a shell
    assert (home.path / "said").read_text() == ""
    assert len((home.path / "rows").read_text().splitlines()) == 2


@pytest.mark.usefixtures("house")
def test_in_a_terminal_only_what_fits_in_the_time_of_the_house() -> None:
    command = [sys.executable, "-m", "esquirell", "readings", "main", *ALWAYS]
    with Terminal(command, columns=52) as terminal:
        assert terminal.finish() == 0
    headings, below, units, first, *_ = terminal.text.splitlines()
    assert headings.split() == ["Europe/Warsaw", "active", "active", "voltage", "a"]
    assert below.split() == ["power", "power", "a"]
    assert units.split() == ["W", "W", "V"]
    assert first.split() == ["2026-11-22", "11:15:00", "-484", "-", "236.0"]
    said = " ".join(terminal.text.split())
    assert said.endswith("1 quantity is not shown: --quantity KEY, or --format csv")


@pytest.mark.usefixtures("house")
@pytest.mark.parametrize("columns", [24, 35])
def test_in_a_narrow_terminal_the_year_goes_before_the_last_value(columns: int) -> None:
    command = [sys.executable, "-m", "esquirell", "readings", *ALWAYS]
    with Terminal(command, columns) as terminal:
        assert terminal.finish() == 0
    rows = [line.split() for line in terminal.text.splitlines()]
    assert ["11-22", "11:16:30", "plug", "12"] in rows
    assert terminal.text.partition("Europe/Warsaw")[2].split()[:2] == ["meter", "active"]
