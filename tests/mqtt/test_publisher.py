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


KEYS = ("active_power", "energy_import")


def measured(second: float, power: float, energy: float) -> Reading:
    values = {"active_power": power, "energy_import": energy}
    return Reading("main", NOON + second * SECOND, values, {"fault": 4})


def left(second: str, energy: float) -> dict[str, object]:
    """Return what is left of a reading of this time after noon: counters and diagnostics."""
    return {
        "measured_at": f"2026-11-22T12:{second}.000Z",
        "active_power": None,
        "energy_import": energy,
        "diagnostics": {"fault": 4},
    }


def test_the_values_of_an_offline_meter_become_unknown(broker: Mosquitto) -> None:
    clock = Clock()
    with publishing(broker, clock=clock) as (publisher, observer):

        def told(second: float) -> list[object]:
            observer.forget()
            clock.now = NOON + second * SECOND
            publisher.withdraw("main", b"", 180)
            return published(publisher, observer, STATE)

        assert told(0) == []
        observer.forget()
        publisher.reading(measured(0, 900, 7.5), KEYS)
        assert len(published(publisher, observer, STATE)) == 1
        assert told(180) == []
        assert told(181) == [left("00:00", 7.5)]
        assert told(600) == []
        observer.forget()
        publisher.reading(measured(900, 800, 7.6), KEYS)
        assert len(published(publisher, observer, STATE)) == 1
        assert told(1100) == [left("15:00", 7.6)]


def test_of_an_offline_meter_the_reading_that_was_held_back_counts(broker: Mosquitto) -> None:
    clock = Clock()
    with publishing(broker, {"main": 600}, clock) as (publisher, observer):
        for taken in (measured(-60, 1, 7.0), measured(10, 1, 7.1), measured(130, 1, 7.4)):
            publisher.reading(taken, KEYS)
        assert len(published(publisher, observer, STATE)) == 1
        observer.forget()
        clock.now = NOON + 311 * SECOND
        publisher.withdraw("main", b"", 180)
        assert not publisher.publish_due()
        assert published(publisher, observer, STATE) == [left("02:10", 7.4)]


def test_what_an_earlier_process_published_of_an_offline_meter(broker: Mosquitto) -> None:
    before = left("00:00", 7.5) | {"active_power": 900.0}
    withdrawn = json.dumps(left("00:00", 7.5)).encode()
    strange = (b"", b"[]", b"\xff", b'{"measured_at": "soon"}', b'{"measured_at": NaN}', withdrawn)
    with publishing(broker, clock=lambda: NOON + 181 * SECOND) as (publisher, observer):
        for state in strange:
            publisher.withdraw("main", state, 180)
        assert published(publisher, observer, STATE) == []
        observer.forget()
        publisher.withdraw("main", json.dumps(before).encode(), 180)
        assert published(publisher, observer, STATE) == [left("00:00", 7.5)]


def test_a_meter_that_was_published_as_offline_is_so_until_it_answers(broker: Mosquitto) -> None:
    well = MeterStatus(last_success=NOON)
    failing = MeterStatus(failures=1, reason="busy", last_success=NOON)
    answered = MeterStatus(last_success=NOON + SECOND)
    with publishing(broker) as (publisher, observer):
        publisher.availability("main", well, "offline")
        came = published(publisher, observer, AVAILABILITY)
        for status in (failing, answered):
            observer.forget()
            publisher.status("main", status)
            came += published(publisher, observer, AVAILABILITY)
    offline = {"state": "offline"}
    assert came == [well.payload() | offline, failing.payload() | offline, answered.payload()]


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
