"""Backfills from our database into Home Assistant's statistics over a real websocket."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from support.cli import Said, esquirell
from support.long_term_server import TOKEN, HomeAssistantDouble, serving
from support.staged import ENERGY, POWER, StagedFiles, StagedHistory, hours_ago

from esquirell.domain.errors import HomeAssistantError
from esquirell.domain.long_term import HOUR, Row
from esquirell.homeassistant.connection import Connection
from esquirell.homeassistant.statistics import LongTermStatistics
from esquirell.services.backfill import begin_of, write_and_see
from esquirell.storage.database import Database

SENSOR, POWER_SENSOR = "sensor.cellar", "sensor.power"
COUNT = 12


@pytest.fixture
def double() -> Iterator[HomeAssistantDouble]:
    with serving(HomeAssistantDouble()) as double:
        yield double


class House:
    """What Home Assistant has recorded, what we have, and the command line."""

    def __init__(self, folder: Path, double: HomeAssistantDouble, unit: str = "kWh") -> None:
        self.double = double
        self.history = StagedHistory(hours_ago(COUNT), COUNT)
        self.files = StagedFiles(folder, f"http://127.0.0.1:{double.port}", TOKEN)
        self.files.store(self.history, self.history.during((0, COUNT)))
        double.add(SENSOR, "esquirell_main_energy_import", unit)
        double.add(POWER_SENSOR, "esquirell_main_active_power", "W")
        double.add("sensor.alien", "something_else", "kWh")
        double.add("sensor.of_others", "esquirell_main_energy_export", "kWh", platform="template")

    def record(self, missed: set[int], gone: set[int] = frozenset(), factor: float = 1) -> None:  # type: ignore[assignment]
        seen = 1000.0
        for hour in range(COUNT):
            start = self.history.start + hour * HOUR
            seen = seen if hour in missed else self.history.at_end(hour)
            mean, least, most = self.history.power(hour)
            if hour in missed:
                mean = least = most = 500.0
            if hour not in gone:
                row = {"state": seen * factor, "sum": (seen - 1000.0) * factor}
                self.double.rows[SENSOR][start] = row
                power = {"mean": mean, "min": least, "max": most}
                self.double.rows[POWER_SENSOR][start] = power

    def backfill(self, *options: str) -> Said:
        return self.files.backfill(*options)

    @property
    def changes(self) -> dict[int, float]:
        found, before = {}, 0.0
        for start, row in sorted(self.double.rows[SENSOR].items()):
            found[round((start - self.history.start) / HOUR)] = round(row["sum"] - before, 3)
            before = row["sum"]
        return found

    @property
    def rows(self) -> Any:  # noqa: ANN401 - JSON is anything
        return json.loads(
            json.dumps(
                {n: sorted((str(k), v) for k, v in r.items()) for n, r in self.double.rows.items()}
            )
        )


@pytest.fixture
def house(tmp_path: Path, double: HomeAssistantDouble) -> Iterator[House]:
    house = House(tmp_path, double)
    yield house
    house.files.close()


def test_a_dry_run_changes_nothing_and_shows_each_hour(house: House) -> None:
    house.record(missed={4, 5})
    said = esquirell("--config", str(house.files.config), "ha", "backfill", "--dry-run")
    assert said.code == 0
    assert said.rows[0] == ["hour", "meter", "sensor", "shows", "becomes", "unit"]
    assert said.rows[-1] == ["main: 2 hours would be written, 0 left alone"]
    filled = [row for row in said.rows if row[2:3] == [ENERGY]]
    assert [row[3:] for row in filled] == [
        ["0.00", f"{house.history.used(hour):.2f}", "kWh"] for hour in (4, 5)
    ]
    assert not house.double.sent("recorder/import_statistics")


def test_holes_are_filled_once(house: House) -> None:
    house.record(missed={4, 5, 8}, gone={8})
    said = house.backfill()
    assert said.json["hours"] == {"main": {"written": 3, "left": 0}}
    assert house.changes == {hour: house.history.used(hour) for hour in range(COUNT)}
    assert house.backfill().json["hours"] == {"main": {"written": 0, "left": 0}}
    assert len(house.double.sent("recorder/import_statistics")) == 2


def test_only_the_unit_of_the_statistic_is_ever_sent(
    tmp_path: Path, double: HomeAssistantDouble
) -> None:
    house = House(tmp_path, double, unit="MWh")
    house.record(missed={4, 5}, factor=0.001)
    described = dict(double.described[SENSOR])
    house.double.rows[SENSOR].pop(house.history.start)
    assert house.backfill().code == 0
    assert house.files.undo().code == 0
    sent = [message["metadata"] for message in double.sent("recorder/import_statistics")]
    units = {one["statistic_id"]: one["unit_of_measurement"] for one in sent}
    assert units == {SENSOR: "MWh", POWER_SENSOR: "W"}
    assert {
        one["adjustment_unit_of_measurement"]
        for one in double.sent("recorder/adjust_sum_statistics")
    } == {"MWh"}
    assert {one["unit_class"] for one in sent} == {"energy", "power"}
    assert double.described[SENSOR] == described
    house.files.close()


def test_nothing_is_ever_cleared_without_a_span(house: House) -> None:
    house.record(missed={0, 1, 4, 7}, gone={0, 1, 4, 7})
    before = house.rows
    assert house.backfill().code == 0
    assert house.files.undo().json["removed"] == 8
    assert house.rows == before
    cleared = house.double.sent("recorder/clear_statistics")
    assert cleared
    for message in cleared:
        since, until = (datetime.fromisoformat(message[key]) for key in ("start_time", "end_time"))
        assert since < until
        assert (until - since) % HOUR == 0 * HOUR
        assert len(message["statistic_ids"]) == 1


def test_where_only_all_can_be_cleared_nothing_is(house: House) -> None:
    house.double.is_old = True
    house.record(missed={4, 5, 7}, gone={7})
    house.backfill()
    filled = house.changes
    said = house.files.undo()
    assert said.code == 1
    assert "can only delete a whole statistic" in said.sentence
    # What was written over is put back all the same; after an update the rest follows.
    assert (house.changes[4], house.changes[7]) == (0, filled[7])
    house.double.is_old = False
    assert house.files.undo().json["removed"] == 2
    assert 7 not in house.changes


def test_only_sensors_of_ours_are_looked_at(house: House) -> None:
    house.record(missed={4})
    house.backfill()
    touched = {
        name for message in house.double.received for name in message.get("statistic_ids", ())
    }
    assert touched == {SENSOR, POWER_SENSOR}


def test_nothing_is_written_for_an_hour_that_is_not_over(house: House) -> None:
    house.record(missed={10, 11})
    said = house.backfill()
    written = [
        datetime.fromisoformat(stat["start"])
        for message in house.double.sent("recorder/import_statistics")
        for stat in message["stats"]
    ]
    assert max(written, default=hours_ago(9)) < hours_ago(0)
    assert {one["reason"] for one in said.json["sensors"][1]["left"]} == {"waiting"}


def test_a_sensor_without_any_row_waits_for_home_assistant(house: House) -> None:
    said = house.backfill()
    assert said.json["hours"] == {"main": {"written": 0, "left": 0}}
    assert len([one for one in said.json["problems"] if "no statistics" in one]) == 2


def test_nothing_is_filled_where_home_assistant_has_none_of_our_sensors(house: House) -> None:
    house.double.entities.clear()
    (problem,) = house.backfill().json["problems"]
    assert "has no sensor of these meters" in problem


def test_a_statistic_with_a_foreign_unit_is_left_alone(house: House) -> None:
    house.record(missed={4})
    house.double.described[SENSOR]["statistics_unit_of_measurement"] = "m³"
    said = house.backfill()
    assert said.json["problems"] == [
        "sensor.cellar is kept in m³, which can't be converted from kWh"
    ]
    assert {
        m["metadata"]["statistic_id"] for m in house.double.sent("recorder/import_statistics")
    } == {POWER_SENSOR}


def test_a_token_without_administrator_rights_allows_dry_runs_only(house: House) -> None:
    house.record(missed={4})
    house.double.is_admin = False
    said = house.backfill()
    assert said.code == 2
    assert "administrator" in said.sentence
    assert house.backfill("--dry-run").json["hours"]["main"]["written"] == 1


def test_hours_that_home_assistant_accepts_but_does_not_write_are_reported(house: House) -> None:
    house.record(missed={4})
    house.double.writes = False
    with Connection(house.double.url, TOKEN) as connection:
        home = LongTermStatistics(connection)
        home.written_within_s = 0.5
        kept = home.find({"esquirell_main_energy_import": "kWh"})["esquirell_main_energy_import"]
        assert not isinstance(kept, str)
        row = Row(house.history.start + 4 * HOUR, state=1004.0, sum=4.0)
        with pytest.raises(HomeAssistantError, match="are not there after"):
            write_and_see(home, kept, [row])


def test_undo_keeps_hours_that_were_changed_since(house: House) -> None:
    house.record(missed={4, 5, 6})
    before = house.changes
    house.backfill()
    start = house.history.start
    house.double.rows[POWER_SENSOR][start + 4 * HOUR]["mean"] = 1.0
    for hour in range(5, COUNT):  # somebody corrects an hour
        house.double.rows[SENSOR][start + hour * HOUR]["sum"] += 0.25
    undone = house.files.undo().json
    assert (undone["restored"], undone["removed"], undone["left"]) == (5, 0, 1)
    assert house.double.rows[POWER_SENSOR][start + 4 * HOUR]["mean"] == 1.0
    assert house.changes == before | {5: 0.25}


def test_undo_keeps_an_added_hour_that_was_changed_since(house: House) -> None:
    house.record(missed={4, 5, 6}, gone={4, 5, 6})
    house.backfill()
    start, power = house.history.start, house.double.rows[POWER_SENSOR]
    power[start + 4 * HOUR]["mean"] = 1.0
    del power[start + 5 * HOUR]
    undone = house.files.undo().json
    assert (undone["removed"], undone["left"]) == (4, 1)
    assert power[start + 4 * HOUR]["mean"] == 1.0
    assert {start + 5 * HOUR, start + 6 * HOUR}.isdisjoint(power)
    assert {start + hour * HOUR for hour in (4, 5, 6)}.isdisjoint(house.double.rows[SENSOR])


def test_undoing_names_the_statistic_that_is_gone(house: House) -> None:
    house.record(missed={4})
    house.backfill()
    del house.double.entities[0], house.double.rows[SENSOR], house.double.described[SENSOR]
    undone = house.files.undo().json
    assert undone["problems"] == ["Home Assistant has no energy_import of main any more"]


def test_backfills_are_undone_the_last_one_first(house: House) -> None:
    house.record(missed={3, 4, 7, 8})
    first = house.rows
    start = house.history.start
    house.backfill("--until", (start + 6 * HOUR).isoformat())
    second = house.rows
    house.backfill()
    assert house.changes == {hour: house.history.used(hour) for hour in range(COUNT)}
    house.files.undo()
    assert house.rows == second
    house.files.undo()
    assert house.rows == first
    assert house.files.undo().out == "null\n"


def test_an_interrupted_backfill_is_undone_as_far_as_it_got(house: House) -> None:
    house.record(missed={0, 1, 5}, gone={0, 1})
    before = house.rows
    done = len(house.double.received)
    house.double.end_after = done + 12
    said = house.backfill()
    assert said.code == 1
    house.double.end_after = None
    assert house.files.undo().code == 0
    assert house.rows == before


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
def test_a_token_that_others_can_read_is_not_used(house: House, mode: int) -> None:
    house.files.token.chmod(mode)
    said = house.backfill()
    assert said.code == 2
    assert f"chmod 600 {house.files.token}" in said.err
    assert not house.double.received


def test_without_a_token_it_says_how_to_get_one(house: House) -> None:
    text = house.files.config.read_text().replace('token_file = "ha-token"', "")
    house.files.config.write_text(text)
    said = house.backfill()
    assert said.code == 2
    assert "long-lived access token" in said.sentence


def test_an_unknown_meter_and_a_turned_span_are_refused(house: House) -> None:
    assert "there is no meter 'nobody'" in house.backfill("--meter", "nobody").sentence
    said = house.backfill("--since", "2026-11-02", "--until", "2026-11-01")
    assert "is after --until" in said.sentence


def test_the_undo_journal_survives_in_the_database(house: House) -> None:
    house.record(missed={4, 5}, gone={5})
    house.backfill()
    database = Database(f"sqlite:///{house.files.config.parent}/data/esquirell.db")
    try:
        from esquirell.storage.backfills import Backfills  # noqa: PLC0415

        found = Backfills(database).last_run()
    finally:
        database.close()
    assert found
    at, steps = found
    assert abs(at - datetime.now(UTC)) < HOUR
    assert all(step.done for step in steps)
    energy = next(step for step in steps if step.key == ENERGY)
    assert [write.before and write.before.sum for write in energy.writes] == [
        None,
        pytest.approx(house.history.at_end(3) - 1000),
    ]
    assert {step.key for step in steps} == {ENERGY, POWER}


def test_a_month_before_our_first_hour_is_looked_at() -> None:
    """What Home Assistant shows there says where an outage began."""
    since, until = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)
    first = datetime(2026, 3, 10, 12, 30, tzinfo=UTC)
    assert begin_of((since, until), {first: 1.0}) == datetime(2026, 2, 7, 12, tzinfo=UTC)
    assert begin_of((since, until), {}) == datetime(2026, 10, 1, tzinfo=UTC)
    assert begin_of((first, until), {since: 1.0}) == datetime(2026, 2, 7, 12, tzinfo=UTC)
