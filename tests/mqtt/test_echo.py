"""Whether the broker delivers what it accepts."""

from pathlib import Path

import pytest
from support.mosquitto import broker_with
from support.mqtt_observer import Observer
from support.mqtt_parts import connected
from support.waiting import eventually

from esquirell.mqtt.echo import EVERY_S, MISSED_AFTER_S, Echo
from esquirell.mqtt.options import Options
from esquirell.mqtt.traffic import IDLE_WAIT_S

TOPIC = "esquirell/bridge/doctor"


MISSED_AFTER = "esquirell.mqtt.echo.MISSED_AFTER_S"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("esquirell.mqtt.echo.EVERY_S", 0.1)


def test_one_lost_message_is_no_fault_and_a_fault_is_named_within_half_a_minute() -> None:
    assert EVERY_S + IDLE_WAIT_S < MISSED_AFTER_S
    assert EVERY_S + IDLE_WAIT_S + MISSED_AFTER_S < 30


def test_a_broker_that_confirms_everything_and_delivers_nothing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        broker_with(tmp_path, "topic readwrite #\n") as (broker, change),
        connected(Options("127.0.0.1", broker.port), echo=Echo(TOPIC)) as connection,
    ):
        assert connection.problems == []
        change("topic write #\n")
        monkeypatch.setattr(MISSED_AFTER, 1.0)
        eventually(lambda: connection.problems != [])
        (problem,) = connection.problems
        assert problem == (
            f"the MQTT broker at 127.0.0.1:{broker.port} does not deliver what we publish to "
            f"{TOPIC}: commands may not be heard; check its access rights, or restart it"
        )
        monkeypatch.setattr(MISSED_AFTER, MISSED_AFTER_S)
        change("topic readwrite #\n")
        eventually(lambda: connection.problems == [])


def test_the_messages_of_other_clients_are_no_echo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        broker_with(tmp_path, f"topic write #\ntopic read {TOPIC}\n") as (broker, change),
        Observer(broker.port, TOPIC) as observer,
        connected(Options("127.0.0.1", broker.port), echo=Echo(TOPIC)) as connection,
    ):
        observer.publish(TOPIC, b"another word")
        observer.saw(lambda seen: seen.payload not in (b"", b"another word"))
        assert connection.problems == []
        change("topic write #\n")
        monkeypatch.setattr(MISSED_AFTER, 1.0)
        eventually(lambda: any("does not deliver" in one for one in connection.problems))
