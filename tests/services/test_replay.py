from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import pytest

from esquirell.domain.errors import UnavailableError
from esquirell.domain.reading import MeterStatus, Reading
from esquirell.services.replay import BATCH, BREATH_S, LONGEST, SLACK, TURN_S, Replay

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


class House:
    """A broker, a database with a reading each second, and who listens."""

    def __init__(self) -> None:
        self.now = NOON
        self.connected = True
        self.idle = True
        self.away = False
        self.heard: list[datetime] = []
        self.keys: set[tuple[str, ...]] = set()

    def query(
        self, names: Sequence[str] | None, since: datetime, until: datetime
    ) -> Iterator[Reading]:
        assert names is None
        if self.away:
            raise UnavailableError("away")
        start = since.replace(microsecond=0)
        moment = start if start == since else start + SECOND
        while moment < until:
            yield Reading("main", moment, {"voltage": 230.0})
            moment += SECOND

    def statuses(self) -> Mapping[str, MeterStatus]:
        return {"main": MeterStatus(keys=("voltage", "current"))}

    def publish(self, reading: Reading, keys: tuple[str, ...]) -> None:
        self.heard.append(reading.measured_at)
        self.keys.add(keys)


@pytest.fixture
def house() -> House:
    return House()


@pytest.fixture
def replay(house: House) -> Replay:
    """Someone who has nothing to catch up with."""
    one = Replay(house, house, house.publish, lambda: house.now)
    one.run_once()
    assert house.heard == []
    return one


def lose(house: House, replay: Replay, away: timedelta) -> None:
    """Let the broker be away for some time after a while in which all was well."""
    house.now += timedelta(hours=1)
    replay.run_once()
    house.connected = False
    replay.run_once()
    house.now += away
    house.connected = True


def finish(replay: Replay) -> None:
    while replay.run_once() == BREATH_S:
        pass


def test_missed_readings_are_replayed_in_order_and_once(house: House, replay: Replay) -> None:
    lose(house, replay, timedelta(minutes=5))
    back = house.now
    finish(replay)
    first = back - timedelta(minutes=5) - SLACK
    assert house.heard == [first + number * SECOND for number in range(360)]
    assert house.keys == {("voltage", "current")}
    finish(replay)
    assert len(house.heard) == 360


def test_a_turn_takes_few_and_waits_for_those_before(house: House, replay: Replay) -> None:
    lose(house, replay, timedelta(minutes=5))
    assert replay.run_once() == BREATH_S
    assert len(house.heard) == BATCH
    house.idle = False
    assert replay.run_once() == TURN_S
    assert len(house.heard) == BATCH


def test_a_broker_that_disconnects_again_gets_the_rest_later(house: House, replay: Replay) -> None:
    lose(house, replay, timedelta(minutes=5))
    replay.run_once()
    house.connected = False
    replay.run_once()
    house.connected = True
    house.now += timedelta(minutes=1)
    finish(replay)
    assert len(house.heard) == len(set(house.heard)) == 420


def test_not_more_than_a_day_is_reported(house: House, replay: Replay) -> None:
    lose(house, replay, timedelta(days=3))
    replay.run_once()
    assert house.heard[0] == house.now - LONGEST


def test_a_database_that_is_away_is_waited_for(house: House, replay: Replay) -> None:
    lose(house, replay, timedelta(minutes=1))
    house.away = True
    assert replay.run_once() == TURN_S
    assert house.heard == []
    house.away = False
    finish(replay)
    assert len(house.heard) == 120
