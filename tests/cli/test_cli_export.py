import json
import re
import stat
import sys
import tracemalloc
from datetime import timedelta
from pathlib import Path

import pytest
from support.cli import Home, esquirell, esquirell_process, meter
from support.db_samples import START
from support.terminal import Terminal

from esquirell.domain.reading import MeterStatus, Reading

ALWAYS = ("--since", "2026-01-01")
KEYS = ("active_power", "energy_import", "voltage_a")
COUNT = 300


@pytest.fixture
def house(home: Home) -> Home:
    """Five hours of minutes; the voltage is missing in every second reading."""
    home.configure(meter())
    readings = [
        Reading(
            "main",
            START + number * timedelta(minutes=1),
            {"active_power": -484.0, "energy_import": 100 + number / 100}
            | ({"voltage_a": 236.5} if number % 2 else {}),
        )
        for number in range(COUNT)
    ]
    home.store(readings, {"main": MeterStatus(keys=KEYS)})
    return home


def columns_of(file: Path) -> dict[str, list[object]]:
    parquet = pytest.importorskip("pyarrow.parquet")
    found: dict[str, list[object]] = parquet.read_table(file).to_pydict()
    return found


@pytest.mark.parametrize("name", ["out.csv", "out.json"])
def test_a_file_holds_what_would_have_been_printed(house: Home, name: str) -> None:
    file = house.path / name
    said = esquirell("readings", *ALWAYS, "--output", str(file))
    assert said == (0, "", "")
    printed = esquirell("readings", *ALWAYS, "--format", file.suffix[1:]).out
    assert file.read_text() == printed
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_parquet_has_moments_and_doubles(house: Home) -> None:
    pytest.importorskip("pyarrow")
    file = house.path / "out.parquet"
    assert esquirell("readings", *ALWAYS, "--output", str(file)).code == 0
    found = columns_of(file)
    assert [*found] == ["measured_at", *KEYS]
    assert found["measured_at"][:2] == [START, START + timedelta(minutes=1)]
    assert found["voltage_a"][:2] == [None, 236.5]
    assert {len(column) for column in found.values()} == {COUNT}


def test_parquet_of_statistics_of_several_meters(house: Home) -> None:
    pytest.importorskip("pyarrow")
    house.store([], {"plug": MeterStatus(keys=("voltage",))})
    file = house.path / "days"
    said = esquirell("statistics", *ALWAYS, "--format", "parquet", "--output", str(file))
    assert said.code == 0
    found = columns_of(file)
    assert [*found][:3] == ["start", "meter", "active_power_min"]
    assert found["energy_import"] == [pytest.approx(2.99)]


def test_statistics_are_readings_by_day() -> None:
    assert esquirell("statistics", "--resolution", "raw").code == 2


def test_statistics_say_the_same_as_readings(house: Home) -> None:
    assert house.database.exists()
    by_hour = ("--resolution", "hour", *ALWAYS, "--json")
    found = esquirell("statistics", "main", *by_hour).json
    assert found == esquirell("readings", "main", *by_hour).json
    assert len(esquirell("statistics", *ALWAYS, "--json").json) == 1


def test_an_existing_file_is_overwritten_only_with_force(house: Home) -> None:
    file = house.path / "out.csv"
    file.write_text("mine")
    said = esquirell("readings", *ALWAYS, "--output", str(file))
    assert said.code == 2
    assert "already exists: choose another name, or add --force" in said.sentence
    assert file.read_text() == "mine"
    assert esquirell("readings", *ALWAYS, "--output", str(file), "--force").code == 0
    assert len(file.read_text().splitlines()) == 1 + COUNT


def test_an_export_that_fails_leaves_nothing_behind(house: Home) -> None:
    file = house.path / "out.json"
    house.database.write_bytes(b"no database at all" * 1000)
    before = house.files
    assert esquirell("readings", *ALWAYS, "--output", str(file)).code == 1
    assert {name for name in house.files - before if "out" in name} == set()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--output", "out.txt"), "the format of out.txt is not clear"),
        (("--output", "no/such/folder.csv"), "no/such/folder.csv can't be written"),
        (("--output", "data", "--force", "--format", "csv"), "data already exists"),
        (("--format", "parquet"), "--format parquet needs --output FILE"),
        (("--output", "out.txt", "--format", "table"), "the format of out.txt is not clear"),
    ],
)
def test_misuse_is_one_sentence(house: Home, arguments: tuple[str, ...], sentence: str) -> None:
    assert house.database.exists()
    said = esquirell("readings", *ALWAYS, *arguments)
    assert said.code == 2
    assert sentence in said.sentence


def test_without_the_library_parquet_says_what_to_install(
    house: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    said = esquirell("readings", *ALWAYS, "--output", "out.parquet")
    assert said.code == 2
    assert re.search(r"not installed: \S+ -m pip install 'pyarrow\S+'$", said.sentence)
    assert "out.parquet" not in " ".join(house.files)


def test_progress_is_shown_in_a_terminal(house: Home) -> None:
    file = house.path / "out.json"
    program = (sys.executable, "-m", "esquirell", "--config", str(house.config))
    with Terminal([*program, "readings", *ALWAYS, "--output", str(file)]) as terminal:
        assert terminal.finish() == 0
    assert "export" in terminal.text
    assert "100%" in terminal.text
    assert len(json.loads(file.read_text())) == COUNT


def test_the_memory_does_not_grow_with_the_rows(house: Home) -> None:
    def peak(count: int) -> int:
        tracemalloc.start()
        span = ("--until", (START + timedelta(minutes=count)).isoformat())
        said = esquirell("readings", *ALWAYS, *span, "--output", "out.json", "--force")
        _, top = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert said.code == 0
        return top

    rows = [
        Reading("main", START + number * timedelta(seconds=5), dict.fromkeys(KEYS, float(number)))
        for number in range(1, 12 * 1200)
        if number % 12
    ]
    house.store(rows)
    peak(1)
    assert peak(1200) < peak(800) * 1.3


def test_in_a_pipe_nothing_but_the_file_is_written(house: Home) -> None:
    said = esquirell_process("readings", *ALWAYS, "--output", "out.csv", folder=house.path)
    assert said == (0, "", "")
