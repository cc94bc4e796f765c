"""Removing everything of ours from the broker, and thereby from Home Assistant."""

import time

from esquirell.domain.errors import UnavailableError
from esquirell.mqtt.client import Connection
from esquirell.mqtt.memory import Memory
from esquirell.mqtt.retained import ours
from esquirell.mqtt.topics import Topics
from esquirell.runtime.connections import options_of
from esquirell.settings import Settings
from esquirell.settings.state_files import MQTT_MEMORY

REACH_S = 12.0
CLEAR_S = 30.0
LOOK_EVERY_S = 0.05
STOP_S = 3.0


def leave_broker(settings: Settings) -> list[str]:
    """Clear all our retained topics and the session of the bridge; return the topics.

    Raises UnavailableError while the broker can't be reached, or a service uses it.
    """
    topics = Topics(settings.mqtt.base_topic, settings.mqtt.discovery_prefix)
    connection = Connection(options_of(settings, bridges=False))
    connection.start()
    try:
        _reach(connection)
        found = _clear(connection, topics)
    finally:
        connection.stop(STOP_S)
    Connection(options_of(settings, bridges=True)).end_session()
    memory = Memory(settings.state_dir / MQTT_MEMORY)
    memory.forget_everything()
    return found


def _reach(connection: Connection) -> None:
    deadline = time.monotonic() + REACH_S
    while not connection.connected:
        if connection.trouble or time.monotonic() > deadline:
            raise UnavailableError(connection.trouble or "the MQTT broker does not answer")
        time.sleep(LOOK_EVERY_S)


def _clear(connection: Connection, topics: Topics) -> list[str]:
    holder = connection.holder_of(topics)
    if holder is not None:
        raise UnavailableError(
            f"esquirell on {holder} serves base_topic {topics.base!r} and would "
            "republish everything: stop it first"
        )
    found = ours(connection.scan(topics), topics)
    for topic in found:
        connection.retain(topic, None)
    deadline = time.monotonic() + CLEAR_S
    while connection.report()["unconfirmed"]:
        if time.monotonic() > deadline:
            raise UnavailableError("the MQTT broker does not confirm that the topics are cleared")
        time.sleep(LOOK_EVERY_S)
    return found
