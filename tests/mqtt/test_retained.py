"""Which retained messages are cleared: only ours, and only of what no longer exists."""

import json

import pytest

from esquirell.mqtt.client import Connection
from esquirell.mqtt.memory import Memory
from esquirell.mqtt.options import Options
from esquirell.mqtt.retained import Present, RetainedTopics
from esquirell.mqtt.topics import Topics

TOPICS = Topics("home", "ha")
ALL = Present(["main"], ["main"], ["fetch"])


def announcement(base: str = "home", origin: str = "esquirell") -> bytes:
    place = [{"topic": f"{base}/bridge/state"}]
    return json.dumps({"origin": {"name": origin}, "availability": place}).encode()


@pytest.fixture
def connection() -> Connection:
    """Return a connection that was never started: what it is to publish waits."""
    return Connection(Options(host="127.0.0.1"))


@pytest.fixture
def memory() -> Memory:
    return Memory()


@pytest.fixture
def retained(connection: Connection, memory: Memory) -> RetainedTopics:
    return RetainedTopics(connection, TOPICS, memory)


@pytest.mark.parametrize(
    ("topic", "payload", "present", "cleared"),
    [
        (TOPICS.meter_cost("main"), b"{}", ALL, False),
        (TOPICS.meter_cost("main"), b"{}", Present(["main"], [], ["fetch"]), True),
        (TOPICS.meter_state("main"), b"{}", Present(["main"], [], ["fetch"]), False),
        (TOPICS.meter_state("old"), b"{}", ALL, True),
        (TOPICS.meter_availability("old"), b"{}", ALL, True),
        (TOPICS.meter_availability("main"), b"{}", ALL, False),
        (TOPICS.schedule_state("fetch"), b"{}", ALL, False),
        (TOPICS.schedule_state("old"), b"{}", ALL, True),
        # Nothing of schedules is cleared while they are unknown.
        (TOPICS.schedule_state("old"), b"{}", Present(["main"], [], None), False),
        (TOPICS.schedule_discovery("old"), announcement(), ALL, True),
        (TOPICS.schedule_discovery("old"), announcement(), Present(["main"], [], None), False),
        (TOPICS.schedule_discovery("old"), announcement("other"), ALL, False),
        (TOPICS.discovery("home_old"), announcement(), ALL, True),
        (TOPICS.discovery("home_old"), announcement("other"), ALL, False),
        (TOPICS.discovery("home_old"), announcement(origin="zigbee2mqtt"), ALL, False),
        (TOPICS.discovery("home_old"), b"no JSON", ALL, False),
        (TOPICS.discovery(TOPICS.bridge_id), announcement(), ALL, False),
        (TOPICS.bridge_info, b"{}", ALL, False),
        ("home/notes", b"{}", ALL, False),
    ],
)
def test_only_our_obsolete_retained_topics_are_cleared(
    retained: RetainedTopics,
    connection: Connection,
    topic: str,
    payload: bytes,
    present: Present,
    *,
    cleared: bool,
) -> None:
    retained.found({topic: payload})
    assert retained.held(topic) == payload
    retained.reconcile(present)
    assert connection.retained(topic) == (b"" if cleared else None)
    assert retained.held(topic) == (b"" if cleared else payload)


def test_topics_of_removed_objects_are_cleared_once(
    retained: RetainedTopics, connection: Connection, memory: Memory
) -> None:
    device = TOPICS.discovery("home_barn")
    mine = {
        TOPICS.meter_availability("barn"): ("meter", "barn"),
        TOPICS.meter_cost("main"): ("cost", "main"),
        TOPICS.schedule_state("night"): ("schedule", "night"),
        device: ("meter", "barn"),
    }
    for topic, (kind, name) in mine.items():
        retained.publish(topic, {"made": "here"}, kind, name)
    everything = Present(["main", "barn"], ["main"], ["fetch", "night"])
    retained.reconcile(everything)
    retained.reconcile(Present(["main", "barn"], ["main"], None))
    assert all(connection.retained(topic) for topic in mine)
    retained.reconcile(Present(["main"], [], ["fetch"]))
    assert [connection.retained(topic) for topic in mine] == [b""] * 4
    # Home Assistant is to learn of the device's end even if it is down now.
    assert memory.removed == {device: '{"made":"here"}'}
    memory.removed.clear()
    retained.reconcile(Present(["main"], [], ["fetch"]))
    assert memory.removed == {}


def test_unchanged_retained_topics_are_not_published_again(
    retained: RetainedTopics, connection: Connection
) -> None:
    topic = TOPICS.meter_availability("main")
    retained.publish(topic, {"state": "online"}, "meter", "main")
    said = connection.retained(topic) or b""
    retained.found({topic: said})
    assert retained.held(topic) == b""
    retained.found({topic: b"something else"})
    assert retained.held(topic) == b"something else"
