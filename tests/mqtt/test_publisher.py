import json
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta

import pytest
from support.fakes import Clock
from support.mosquitto import Mosquitto
from support.mqtt_observer import Observer, retained
from support.mqtt_parts import NOON, connected, reading

from esquirell.domain.reading import MeterStatus, Reading
from esquirell.mqtt.options import Options
from esquirell.mqtt.publisher import MqttPublisher
from esquirell.mqtt.topics import Topics

SECOND = timedelta(seconds=1)
STATE = "esquirell/meter/main/state"
AVAILABILITY = "esquirell/meter/main/availability"


@contextmanager
def publishing(
    broker: Mosquitto,
    publish_every: Mapping[str, int] | None = None,
    clock: Callable[[], datetime] = lambda: NOON,
) -> Iterator[tuple[MqttPublisher, Observer]]:
    paces = publish_every or {}

    def pace(name: str) -> int:
        return paces.get(name, 0)

    with (
        Observer(broker.port) as observer,
        connected(Options("127.0.0.1", broker.port)) as connection,
    ):
        yield MqttPublisher(connection, Topics(), pace, clock), observer


def published(publisher: MqttPublisher, observer: Observer, topic: str) -> list[object]:
    """Return what was published on a topic so far, in the order in which it was."""
    publisher.event("end", {})
    observer.saw(lambda seen: seen.topic.endswith("/event"))
    return [seen.json for seen in observer.of(topic)]


def test_a_reading_is_published_in_full_shape(broker: Mosquitto) -> None:
    with publishing(broker) as (publisher, observer):
        publisher.reading(reading(0.123), ("voltage_a", "current_a"))
        seen = observer.saw(lambda seen: seen.topic == STATE)
    assert json.loads(seen.payload) == {
        "measured_at": "2026-11-22T12:00:00.123Z",
        "voltage_a": 236.0,
        "current_a": None,
        "diagnostics": {"DeviceStatus": 0},
    }


def publish_all(publisher: MqttPublisher, observer: Observer, *seconds: float) -> list[object]:
    """Publish readings of these seconds, one by one; return those that came."""
    came: list[object] = []
    for second in seconds:
        observer.forget()
        publisher.reading(reading(second, voltage_a=second), ("voltage_a",))
        found = published(publisher, observer, STATE)
        came += [shape["voltage_a"] for shape in found if isinstance(shape, dict)]
    return came


def test_the_newest_reading_is_published_at_the_end_of_its_period(broker: Mosquitto) -> None:
    clock = Clock()
    with publishing(broker, {"main": 60}, clock) as (publisher, observer):

        def came_by(second: float) -> list[object]:
            observer.forget()
            clock.now = NOON + second * SECOND
            publisher.publish_due()
            found = published(publisher, observer, STATE)
            return [shape["voltage_a"] for shape in found if isinstance(shape, dict)]

        assert publish_all(publisher, observer, 0.4, 10.2, 50.1) == []
        assert came_by(59.9) == []
        assert came_by(60) == [50.1]
        assert came_by(61) == []
        # Nothing has looked meanwhile: what comes later shows that a period is over.
        assert publish_all(publisher, observer, 61.5, 119.9, 180.2) == [119.9]
        assert came_by(240.5) == [180.2]


def test_the_values_of_an_unreachable_meter_become_unknown(broker: Mosquitto) -> None:
    clock = Clock()
    answered, keys = MeterStatus(last_success=NOON), ("active_power", "energy_import")
    silent = MeterStatus(failures=2, reason="unreachable", last_success=NOON, keys=keys)
    with publishing(broker, clock=clock) as (publisher, observer):
        publisher.reading(
            Reading("main", NOON, {"active_power": 900.0, "energy_import": 7.5}), keys
        )
        publisher.status("main", answered)
        assert len(published(publisher, observer, STATE)) == 1

        def told(second: float) -> list[object]:
            observer.forget()
            clock.now = NOON + second * SECOND
            publisher.status("main", silent)
            return published(publisher, observer, STATE)

        unknown: dict[str, object] = {
            "measured_at": "2026-11-22T12:00:00.000Z",
            "active_power": None,
            "energy_import": 7.5,
            "diagnostics": {},
        }
        assert told(59) == []
        assert told(61) == [unknown]
        assert told(120) == []
        publisher.reading(reading(180, active_power=800.0), keys)
        publisher.status("main", answered)
        assert told(300) == [
            unknown | {"measured_at": "2026-11-22T12:03:00.000Z", "energy_import": None}
        ]


def test_what_an_earlier_process_published_of_an_unreachable_meter(broker: Mosquitto) -> None:
    silent = MeterStatus(failures=2, last_success=NOON, keys=("active_power", "energy_import"))
    with publishing(broker, clock=lambda: NOON + 120 * SECOND) as (publisher, observer):
        publisher.counters = {"main": {"energy_import": 7.5}, "never": {}}.__getitem__
        publisher.status("never", MeterStatus(failures=9))
        publisher.status("main", silent)
        (shape,) = published(publisher, observer, STATE)
    assert shape == {
        "measured_at": "2026-11-22T12:00:00.000Z",
        "active_power": None,
        "energy_import": 7.5,
        "diagnostics": {},
    }


def test_counters_that_another_process_read_since_do_not_fall_back(broker: Mosquitto) -> None:
    silent = MeterStatus(failures=2, last_success=NOON, keys=("energy_import",))
    with publishing(broker, clock=lambda: NOON + 120 * SECOND) as (publisher, observer):
        publisher.counters = lambda _: {"energy_import": 8.0}
        publisher.reading(reading(0, energy_import=7.5), ("energy_import",))
        publisher.status("main", silent)
        assert published(publisher, observer, STATE)[-1] == {
            "measured_at": "2026-11-22T12:00:00.000Z",
            "energy_import": 8.0,
            "diagnostics": {},
        }


def test_held_back_readings_go_out_at_the_end(broker: Mosquitto) -> None:
    with publishing(broker, {"main": 60, "other": 60}) as (publisher, observer):
        publish_all(publisher, observer, 1, 2)
        observer.forget()
        publisher.publish_held()
        publisher.publish_held()
        (shape,) = published(publisher, observer, STATE)
        assert isinstance(shape, dict)
        assert shape["voltage_a"] == 2


def test_nothing_more_is_published_of_a_meter_that_was_removed(broker: Mosquitto) -> None:
    with publishing(broker, {"main": 60}) as (publisher, observer):
        publish_all(publisher, observer, 1)
        publisher.forget("main")
        publisher.publish_held()
        assert published(publisher, observer, STATE) == []


def test_a_clock_set_back_stops_nothing(broker: Mosquitto) -> None:
    clock = Clock()
    with publishing(broker, {"main": 60}, clock) as (publisher, observer):
        assert publish_all(publisher, observer, 7200, -7200) == [7200]
        clock.now = NOON - timedelta(hours=4)
        observer.forget()
        publisher.publish_due()
        assert len(published(publisher, observer, STATE)) == 1


def test_without_a_period_every_reading_is_published(broker: Mosquitto) -> None:
    with publishing(broker) as (publisher, observer):
        assert publish_all(publisher, observer, 0, 0.25, 0.5, 1) == [0, 0.25, 0.5, 1]


def test_availability_is_published_when_there_is_news(broker: Mosquitto) -> None:
    well = MeterStatus(last_success=NOON)
    later = MeterStatus(last_success=NOON + timedelta(seconds=5))
    failing = MeterStatus(failures=1, reason="unreachable", last_success=NOON)
    failed = MeterStatus(failures=2, reason="unreachable", last_success=NOON)
    with publishing(broker, {"main": 60}) as (publisher, observer):
        came: list[object] = []
        for status in (well, well, later, failing, failed, failed):
            observer.forget()
            publisher.status("main", status)
            came += published(publisher, observer, AVAILABILITY)
    assert came == [well.payload(), failing.payload(), failed.payload()]
    assert came[-1] == {
        "state": "offline",
        "reason": "unreachable",
        "last_success": "2026-11-22T12:00:00.000Z",
        "failures": 2,
    }


def test_a_meter_may_be_removed_while_it_is_published(broker: Mosquitto) -> None:
    """The bridge forgets it in its own thread, between any two steps of the poll's."""
    with publishing(broker) as (publisher, observer):
        publisher.status("main", MeterStatus(last_success=NOON))
        publisher.forget("main")
        later = MeterStatus(last_success=NOON + SECOND)
        publisher.status("main", later)
        assert published(publisher, observer, AVAILABILITY)[-1] == later.payload()


def test_each_success_is_published_without_a_period(broker: Mosquitto) -> None:
    # Polled each five seconds, and this time a bit early.
    later = MeterStatus(last_success=NOON + timedelta(seconds=4.9))
    with publishing(broker) as (publisher, observer):
        publisher.status("main", MeterStatus(last_success=NOON))
        publisher.status("main", later)
        observer.saw(lambda seen: seen.topic == AVAILABILITY and seen.json == later.payload())


def test_repeated_success_is_not_announced_and_a_failure_is(broker: Mosquitto) -> None:
    first, second, third = (MeterStatus(last_success=NOON + n * SECOND) for n in range(3))
    failing = MeterStatus(failures=1, reason="busy", last_success=NOON + 2 * SECOND)
    with publishing(broker) as (publisher, observer):
        came: list[object] = []
        for status in (first, second, third, failing):
            observer.forget()
            publisher.status("main", status)
            came += published(publisher, observer, AVAILABILITY)
    assert came == [first.payload(), second.payload(), failing.payload()]


def test_a_success_that_was_reported_is_published_once_a_minute_and_a_failure_at_once(
    broker: Mosquitto,
) -> None:
    successes = [MeterStatus(last_success=NOON + n * SECOND) for n in (0, 10, 59, 60, 70)]
    failing = MeterStatus(failures=1, reason="busy", last_success=NOON + 70 * SECOND)
    with publishing(broker) as (publisher, observer):
        came: list[object] = []
        for status in (*successes, failing):
            observer.forget()
            publisher.status("main", status, reported=True)
            came += published(publisher, observer, AVAILABILITY)
    assert came == [successes[0].payload(), successes[3].payload(), failing.payload()]


def test_an_event_is_not_retained(broker: Mosquitto) -> None:
    with publishing(broker) as (publisher, observer):
        publisher.event("schedule_changed", {"name": "fetch"})
        seen = observer.saw(lambda seen: seen.topic == "esquirell/bridge/event")
        assert seen.json == {
            "type": "schedule_changed",
            "at": "2026-11-22T12:00:00.000Z",
            "data": {"name": "fetch"},
        }
        with Observer(broker.port) as newcomer:
            publisher.event("end", {})
            newcomer.saw(lambda seen: seen.json["type"] == "end")
            assert len(newcomer.messages) == 1


def test_values_without_a_json_form_fail_nothing(
    broker: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    with publishing(broker) as (publisher, _):
        publisher.reading(Reading("main", NOON, {"voltage": float("nan")}), ("voltage",))
        publisher.event("x", {"what": object()})
    errors = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert errors == [
        "esquirell/meter/main/state could not be published",
        "event x could not be published",
    ]


def test_a_missed_reading_is_not_retained(broker: Mosquitto) -> None:
    topic = "esquirell/meter/main/history"
    with publishing(broker) as (publisher, observer):
        publisher.missed(reading(), ("voltage_a", "current_a"))
        seen = observer.saw(lambda one: one.topic == topic)
    assert (seen.json["voltage_a"], seen.json["current_a"]) == (236.0, None)
    assert topic not in retained(broker.port)
