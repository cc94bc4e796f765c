"""What a broker does not let us do, as doctor finds it out."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import pytest
from support.mosquitto import Mosquitto
from support.scripted_broker import ScriptedBroker
from support.waiting import eventually

from esquirell.mqtt.client import Connection
from esquirell.mqtt.options import Options
from esquirell.mqtt.rights import SIZE, RightsCheck
from esquirell.mqtt.topics import Topics

Protocol = Literal["5", "3.1.1"]
Start = Callable[..., Mosquitto]

OURS, DEVICES = "esquirell/#", "homeassistant/device/#"


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[Mosquitto] = []

    def make(*rules: str, settings: tuple[str, ...] = ()) -> Mosquitto:
        acl = tmp_path / "acl"
        acl.write_text("\n".join(f"topic {rule}" for rule in rules) + "\n")
        lines = ["allow_anonymous true", *([f"acl_file {acl}"] if rules else []), *settings]
        started.append(Mosquitto(tmp_path, lines))
        started[-1].start()
        return started[-1]

    yield make
    for broker in started:
        broker.kill()


def problems(port: int, protocol: Protocol = "5", topics: Topics | None = None) -> list[str]:
    connection = Connection(Options("127.0.0.1", port, protocol=protocol))
    check = RightsCheck(connection, topics or Topics(), limit_s=2.0)
    check.listen()
    connection.start()
    eventually(lambda: connection.connected)
    found = check.problems()
    connection.stop(1)
    return found


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_with_all_rights_nothing_is_missing(start: Start, protocol: Protocol) -> None:
    broker = start(f"readwrite {OURS}", f"readwrite {DEVICES}")
    assert problems(broker.port, protocol) == []


def test_without_discovery_its_topics_are_not_needed(start: Start) -> None:
    broker = start(f"readwrite {OURS}")
    assert problems(broker.port, topics=Topics(discovery_prefix="")) == []


def test_forbidden_topics_are_named(start: Start) -> None:
    broker = start(f"read {OURS}", f"readwrite {DEVICES}")
    assert problems(broker.port) == [
        (
            "it does not let us publish to esquirell/bridge/doctor: "
            "allow this user to write esquirell/#"
        )
    ]


def test_topics_without_echo_are_named(start: Start) -> None:
    broker = start(f"readwrite {OURS}", f"write {DEVICES}")
    (problem,) = problems(broker.port)
    assert "homeassistant/device/esquirell_doctor/config does not come back to us" in problem
    assert "allow this user to read and write homeassistant/device/#" in problem


def test_mqtt_3_1_1_reports_fewer_reasons(start: Start) -> None:
    broker = start(f"read {OURS}", f"read {DEVICES}")
    found = problems(broker.port, "3.1.1")
    assert len(found) == 2
    assert all("allow this user to read and write" in one for one in found)


def test_a_limit_below_an_announcement_is_named(start: Start) -> None:
    broker = start(settings=("max_packet_size 10000",))
    assert problems(broker.port) == [
        f"the broker does not take {SIZE} bytes at once: raise its limit"
    ]


def test_a_limit_that_is_only_enforced_is_named() -> None:
    with ScriptedBroker() as broker:
        broker.largest = 10_000
        found = problems(broker.port, "3.1.1")
    assert f"it cuts the connection at a message of {SIZE} bytes: raise its limit" in found


def test_a_refused_subscription_is_named(caplog: pytest.LogCaptureFixture) -> None:
    with ScriptedBroker() as broker:
        broker.refused_filters = {"esquirell/bridge/doctor"}
        found = problems(broker.port)
    assert found[0] == (
        "it does not let us subscribe to esquirell/bridge/doctor: "
        "allow this user to read esquirell/#"
    )
    assert "does not let us subscribe to esquirell/bridge/doctor" in caplog.text
