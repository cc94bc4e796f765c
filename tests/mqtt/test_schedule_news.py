"""When schedules are published again: at once after a change, now and then after quick runs."""

import math
from datetime import UTC, datetime

import pytest
from support.mqtt_parts import schedule

from esquirell.domain.errors import UnavailableError
from esquirell.mqtt.client import Connection
from esquirell.mqtt.discovery import About
from esquirell.mqtt.memory import Memory
from esquirell.mqtt.options import Options
from esquirell.mqtt.publisher import MqttPublisher
from esquirell.mqtt.retained import RetainedTopics
from esquirell.mqtt.schedules import RUNS_S, ScheduleStates, Version
from esquirell.mqtt.topics import Topics

TOPICS = Topics("home", "")
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


class House:
    """Schedules that run and change, and how often they were published."""

    def __init__(self) -> None:
        # Never started: what is published waits.
        connection = Connection(Options(host="127.0.0.1"))
        retained = RetainedTopics(connection, TOPICS, Memory())
        publisher = MqttPublisher(connection, TOPICS, lambda _: 0, lambda: NOON)
        self.states = ScheduleStates(retained, TOPICS, publisher, About("0.1.0"))
        self.schedules = {"quick": schedule("quick", every=2), "slow": schedule("slow", every=60)}
        self.version: Version | None = ("1", {"quick": "a", "slow": "a"})
        self.published = 0

    def follows(self, now: float) -> int:
        """Look at some moment; return how often that published the schedules."""
        before = self.published
        self.states.follow(self._all, lambda _: self.version, now)
        return self.published - before

    def _all(self) -> dict[str, dict[str, object]]:
        self.published += 1
        return self.schedules


@pytest.fixture
def house() -> House:
    return House()


def test_all_is_published_at_first_and_then_after_each_change(house: House) -> None:
    assert [house.follows(now) for now in (100, 101, 102)] == [1, 0, 0]
    house.version = ("2", {"quick": "a", "slow": "a"})
    assert [house.follows(now) for now in (103, 104)] == [1, 0]
    house.states.forget()
    assert [house.follows(now) for now in (105, 106)] == [1, 0]


def test_a_run_is_published_at_once_and_quick_ones_now_and_then(house: House) -> None:
    house.follows(100)
    assert house.states.left_s(100) == RUNS_S
    house.version = ("1", {"quick": "a", "slow": "b"})
    assert house.follows(101) == 1
    house.version = ("1", {"quick": "b", "slow": "b"})
    assert house.states.left_s(103) == RUNS_S - 2
    assert [house.follows(now) for now in (102, 101 + RUNS_S - 0.1)] == [0, 0]
    assert [house.follows(now) for now in (101 + RUNS_S, 102 + RUNS_S)] == [1, 0]
    assert house.states.left_s(101 + 2 * RUNS_S) == math.inf


def test_without_a_quick_schedule_there_is_nothing_to_wait_for(house: House) -> None:
    assert house.states.left_s(100) == math.inf
    del house.schedules["quick"]
    house.follows(100)
    assert house.states.left_s(100) == math.inf


def test_nothing_is_published_twice_while_the_version_is_unknown(house: House) -> None:
    house.version = None
    assert [house.follows(now) for now in (100, 101)] == [1, 0]
    house.version = ("1", {})
    assert [house.follows(now) for now in (102, 103)] == [1, 0]


def test_what_could_not_be_read_is_published_later(house: House) -> None:
    def away() -> dict[str, dict[str, object]]:
        raise UnavailableError("the database is unreachable")

    with pytest.raises(UnavailableError):
        house.states.follow(away, lambda _: house.version, 100)
    assert house.follows(101) == 1
