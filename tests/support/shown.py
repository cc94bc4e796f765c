"""What a real Home Assistant shows of a staged past, and what a backfill makes of it."""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from paho.mqtt import publish
from support.cli import Said
from support.home_assistant import HomeAssistant
from support.staged import BEGINS, ENERGY, POWER, PRICE, StagedHistory, StagedHouse
from support.waiting import eventually

from esquirell.domain.errors import HomeAssistantError
from esquirell.domain.long_term import HOUR, KeptStatistic, Row
from esquirell.homeassistant.statistics import LongTermStatistics
from esquirell.mqtt.topics import Topics

QUARTER = timedelta(minutes=15)

COST = "cost_today"

UNITS = {ENERGY: "kWh", COST: "PLN"}

CLASSES = {
    ENERGY: {
        "device_class": "energy",
        "state_class": "total_increasing",
        "unit_of_measurement": "kWh",
    },
    POWER: {"device_class": "power", "state_class": "measurement", "unit_of_measurement": "W"},
    COST: {
        "device_class": "monetary",
        "state_class": "total",
        "unit_of_measurement": "PLN",
        "last_reset_value_template": "2026-11-29T00:00:00+00:00",
    },
}


def announce(port: int) -> None:
    topics = Topics()
    sensors = {
        key: {
            "platform": "sensor",
            "unique_id": topics.meter_id("main", key),
            "value_template": f"{{{{ value_json.{key} }}}}",
            **CLASSES[key],
        }
        for key in CLASSES
    }
    payload = {
        "device": {"identifiers": ["esquirell_main"], "name": "esquirell main"},
        "origin": {"name": "esquirell"},
        "state_topic": topics.meter_state("main"),
        "components": sensors,
    }
    retain(port, topics.discovery("esquirell_main"), payload)
    say(port, dict.fromkeys(CLASSES, 1.0))


def entities_of(ha: HomeAssistant) -> dict[str, str]:
    """Return the ids of the entities by the keys of their quantities."""
    registered, topics = ha.registered(), Topics()
    return {
        key: registered[unique_id]["entity_id"]
        for key in CLASSES
        if (unique_id := topics.meter_id("main", key)) in registered
    }


def say(port: int, values: Mapping[str, float]) -> None:
    """Publish what the meter shows."""
    retain(port, Topics().meter_state("main"), values)


def retain(port: int, topic: str, content: Mapping[str, object]) -> None:
    publish.single(topic, json.dumps(content), 1, retain=True, hostname="127.0.0.1", port=port)


Rows = dict[str, dict[int, dict[str, Any]]]


class Shown:
    """What Home Assistant shows of the staged past, by the number of the hour."""

    def __init__(self, house: StagedHouse, past: StagedHistory) -> None:
        self._house = house
        self._past = past
        self.entities = dict(house.ha.entities)

    def wait(self) -> "Shown":
        """Wait until it has worked its statistics up."""
        eventually(lambda: self._past.hours - 1 in self.rows(ENERGY), 120)
        return self

    def rows(self, key: str) -> dict[int, dict[str, Any]]:
        name = self.entities[key]
        found = self._house.ha.call(
            "recorder/statistics_during_period",
            start_time="2020-01-01T00:00:00+00:00",
            statistic_ids=[name],
            period="hour",
            types=["state", "sum", "change", "mean", "min", "max"],
            units={"energy": "kWh", "power": "W"},
        )
        begin = self._past.start.timestamp()
        return {
            hour: {
                name: None if value is None else round(value, 4)
                for name, value in row.items()
                if name not in ("start", "end")
            }
            for row in found.get(name, ())
            # A test may last until the next hour.
            if (hour := round((row["start"] / 1000 - begin) / 3600)) < self._past.hours
        }

    @property
    def all(self) -> Rows:
        return {key: self.rows(key) for key in (ENERGY, POWER)}

    @property
    def energy(self) -> dict[int, float]:
        return {hour: round(row["change"], 3) for hour, row in self.rows(ENERGY).items()}

    @property
    def power(self) -> dict[int, tuple[float, float, float]]:
        return {
            hour: (row["mean"], row["min"], row["max"]) for hour, row in self.rows(POWER).items()
        }


def hours_of(said: Said, key: str, kind: str, past: StagedHistory) -> dict[int, Any]:
    """Return what a backfill says of the hours of a sensor, by their numbers."""
    sensor = next(one for one in said.json["sensors"] if one["key"] == key)
    return {
        round((datetime.fromisoformat(hour["start"]) - past.start) / HOUR): hour
        for hour in sensor[kind]
    }


def fill(house: StagedHouse, *options: str) -> Said:
    """Look first, which changes nothing; then fill, and fill again, which changes nothing."""
    dry = house.backfill("--dry-run", *options)
    said = house.backfill(*options)
    assert (said.code, said.err) == (0, "")
    assert said.json == dry.json
    again = house.backfill(*options)
    assert again.json["hours"]["main"]["written"] == 0, again.out
    return said


def undo(house: StagedHouse, shown: "Shown", before: Rows) -> dict[str, Any]:
    """Undo, and see that all is as before; older releases can't remove what was added."""
    added = any(shown.rows(key).keys() - before[key].keys() for key in before)
    said = house.undo()
    if added and not clears_spans(house.ha):
        assert said.code == 1
        assert "can only delete a whole statistic" in said.sentence
        pytest.skip("this release keeps the hours that were added")
    assert (said.code, said.err) == (0, "")
    undone: dict[str, Any] = said.json
    assert undone["left"] == 0
    assert undone["problems"] == []
    assert {key: shown.rows(key) for key in before} == before
    return undone


def clears_spans(ha: HomeAssistant) -> bool:
    """Return whether single hours can be removed; asked for none of all statistics."""
    span = {"start_time": "2026-01-01T00:00:00+00:00", "end_time": "2026-01-01T01:00:00+00:00"}
    try:
        ha.call("recorder/clear_statistics", statistic_ids=[], **span)
    except HomeAssistantError as error:
        return error.reason != "invalid_format"
    return True


def energy_as_seen(past: StagedHistory, missed: Collection[int]) -> Iterator[Row]:
    seen = BEGINS
    for hour in range(past.hours):
        seen = seen if hour in missed else past.at_end(hour)
        yield Row(past.start + hour * HOUR, seen, seen - BEGINS)


def cost_as_seen(
    past: StagedHistory, missed: Collection[int], midnights: Sequence[int]
) -> Iterator[Row]:
    """Yield hours of a cost that starts again at midnight, of which the end was not always seen."""
    total, state, reset = 0.0, 0.0, midnights[0]
    for hour in range(past.hours):
        if hour not in missed:
            begun = max(one for one in midnights if one <= hour)
            new = PRICE * (past.at_end(hour) - past.at_end(begun - 1))
            total += new - (state if begun == reset else 0.0)
            state, reset = new, begun
        start, last_reset = (past.start + number * HOUR for number in (hour, reset))
        yield Row(start, state, total, last_reset)


def import_hours(ha: HomeAssistant, key: str, rows: Iterable[Row]) -> None:
    unique_id = Topics().meter_id("main", key)
    with ha.connection() as connection:
        statistics = LongTermStatistics(connection)
        kept = statistics.find({unique_id: UNITS[key]})[unique_id]
        assert isinstance(kept, KeptStatistic)
        statistics.write(kept, list(rows))


def wait_for_states(ha: HomeAssistant) -> None:
    none = {None, "unknown", "unavailable"}
    eventually(lambda: not none & {ha.state(entity) for entity in ha.entities.values()})


def day_in(ha: HomeAssistant, entity: str, day: str) -> float:
    found = ha.call(
        "recorder/statistics_during_period",
        start_time=f"{day}T12:00:00+00:00",
        end_time=f"{day}T13:00:00+00:00",
        statistic_ids=[entity],
        period="day",
        types=["change"],
    )
    return float(found[entity][0]["change"])
