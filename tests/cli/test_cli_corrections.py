from datetime import UTC, datetime, timedelta

import pytest
from support.cli import Home, esquirell, meter

from esquirell.domain.counters import Counter
from esquirell.domain.reading import Ledger, MeterStatus, Reading

NOON = datetime(2026, 11, 22, 11, tzinfo=UTC)  # in Warsaw
MINUTE = timedelta(minutes=1)
REMOVE, RESTAMP = "db readings remove --meter", "db readings restamp --meter"
OLD = datetime(1970, 1, 1, tzinfo=UTC)
SPAN = ("--since", "2026-11-22", "--until", "2026-11-23", "--json")


@pytest.fixture
def house(home: Home) -> Home:
    """An hour of readings, and five that a clock of 1970 has stamped."""
    home.configure(meter())
    counter = Counter(1064.21, NOON, NOON, "device", offset=-1064.21)
    ledger = Ledger(NOON, counters={"energy_import": counter})
    readings = [
        Reading("main", NOON + n * MINUTE, {"energy_import": 1 + n / 100}) for n in range(60)
    ]
    old = [Reading("main", OLD + n * MINUTE, {"energy_import": 0.5}) for n in range(5)]
    last = Reading("main", NOON + 60 * MINUTE, {"energy_import": 1.6}, ledger=ledger)
    home.store([*old, *readings, last], {"main": MeterStatus(keys=("energy_import",))})
    return home


def times() -> list[str]:
    found = esquirell("readings", "main", "--since", "1960-01-01", "--json").json
    return [row["measured_at"] for row in found]


@pytest.mark.usefixtures("house")
def test_readings_of_a_wrong_year_are_shown_then_removed_then_brought_back() -> None:
    remove = ("db", "readings", "remove", "--meter", "main")
    said = esquirell(*remove, "--until", "2020-01-01", "--dry-run")
    assert said.out.splitlines() == [
        "5 readings of main, 1970-01-01 01:00:00 to 1970-01-01 01:04:00 (Europe/Warsaw)",
        "  energy_import: 0.50 to 0.50 kWh",
        "would be removed.",
    ]
    assert len(times()) == 66
    assert "log" not in esquirell("log").out
    said = esquirell(*remove, "--until", "2020-01-01")
    assert said.out.splitlines()[-1] == "are removed. --undo reverts that."
    assert len(times()) == 61
    assert (
        len(esquirell("readings", "--resolution", "month", "--since", "1960-01-01", "--json").json)
        == 1
    )
    (entry,) = esquirell("log", "--json").json
    assert (entry["command"], entry["source"], entry["outcome"]) == (
        "db/readings/remove",
        "cli",
        "ok",
    )
    assert entry["request"]["readings"] == 5
    undone = esquirell(*remove, "--undo", "--json").json
    assert (undone["readings"], undone["undone"]) == (5, True)
    assert len(times()) == 66


@pytest.mark.usefixtures("house")
@pytest.mark.parametrize("where", [("--to", "2026-11-22T09:00"), ("--by", "-3h")])
def test_readings_are_put_at_another_time(where: tuple[str, str]) -> None:
    restamp = (*RESTAMP.split(), "main")
    esquirell(*REMOVE.split(), "main", "--until", "2020-01-01")
    said = esquirell(*restamp, "--since", "2026-11-22", *where)
    assert said.out.splitlines()[-1] == (
        "are moved: the first is now at 2026-11-22 09:00:00. --undo reverts that."
    )
    hours = esquirell("readings", "--resolution", "hour", *SPAN).json
    assert [(row["start"], row["energy_import"]) for row in hours] == [
        ("2026-11-22T08:00:00.000Z", 0.6),
        ("2026-11-22T09:00:00.000Z", None),
    ]
    esquirell(*restamp, "--undo")
    assert times()[0] == "2026-11-22T11:00:00.000Z"


@pytest.mark.usefixtures("house")
def test_the_offset_of_a_counter_is_forgotten() -> None:
    counter = ("meters", "counter", "main")
    said = esquirell(*counter, "--reset", "--dry-run")
    assert said.out.splitlines() == [
        "energy_import: 0.00 -> 1064.21 kWh",
        "Nothing was changed.",
    ]
    said = esquirell(*counter, "--reset", "--json")
    assert not said.err, said.err
    assert said.json["sums"] == {"energy_import": [0, 1064.21]}
    refused = esquirell(*counter, "--reset")
    assert (refused.code, refused.err) == (
        1,
        "esquirell: the sums of main have no offset to forget\n",
    )
    said = esquirell(*counter, "--undo")
    assert said.out.splitlines()[0] == "energy_import: 1064.21 -> 0.00 kWh"
    assert [entry["command"] for entry in esquirell("log", "--json").json] == ["meters/counter"] * 2


@pytest.mark.usefixtures("house")
@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (f"{REMOVE} main", 2, "name a span"),
        (f"{REMOVE} attic --until 1d", 2, "nothing is stored for attic"),
        (f"{REMOVE} main --undo", 1, "nothing to undo for main"),
        (f"{REMOVE} main --undo --since 1d", 2, "leave out the span"),
        (f"{REMOVE} main --since 2026-01-02 --until 2026-01-01", 2, "is not before --until"),
        (f"{REMOVE} main --since 2025-01-01 --until 2025-01-02", 1, "no readings in that span"),
        (f"{RESTAMP} main --since 2026-11-22", 2, "either --to or --by"),
        (f"{RESTAMP} main --since 2026-11-22 --by soon", 2, "'soon' is not a shift: write +3h"),
        (
            f"{RESTAMP} main --until 1980-01-01 --to 2026-11-22T12:30",
            1,
            "has a reading at 2026-11-22 11:30:00 UTC",
        ),
        ("meters counter main", 2, "--reset or --undo"),
        ("meters counter main --undo", 1, "nothing to undo for main"),
    ],
)
def test_impossible_values_are_refused_in_a_sentence(
    arguments: str, code: int, sentence: str
) -> None:
    before = times()
    refused = esquirell(*arguments.split())
    assert refused.code == code
    assert sentence in refused.err
    assert times() == before
