"""Readings and events as published, for a process that does not poll."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any

from esquirell.domain.quantity import is_quantity_key
from esquirell.domain.reading import Reading
from esquirell.mqtt.client import Connection
from esquirell.mqtt.link import Message
from esquirell.mqtt.topics import Topics
from esquirell.runtime.connections import options_of
from esquirell.settings import Settings

STOP_S = 1.0


@contextmanager
def published(
    settings: Settings,
    take: Callable[[Reading], None],
    note: Callable[[Mapping[str, Any]], None],
) -> Iterator[None]:
    """Pass on each published or retained reading and each event, until the end."""
    topics = Topics(settings.mqtt.base_topic, settings.mqtt.discovery_prefix)
    connection = Connection(options_of(settings, bridges=False))

    def receive(message: Message) -> None:
        reading = read_state(topics.meter_of(message.topic), message.payload)
        if reading is not None:
            take(reading)

    def receive_event(message: Message) -> None:
        with suppress(ValueError):
            event = json.loads(message.payload)
            if isinstance(event, dict):
                note(event)

    connection.subscribe(topics.meter_state("+"), receive, qos=0)
    connection.subscribe(topics.bridge_event, receive_event, qos=0)
    connection.start()
    try:
        yield
    finally:
        connection.stop(STOP_S)


def read_state(meter: str, payload: bytes) -> Reading | None:
    """Return the reading in the published state of a meter; None if there is none."""
    try:
        state: Mapping[str, Any] = json.loads(payload)
        moment = datetime.fromisoformat(state["measured_at"])
        diagnostics = dict(state.get("diagnostics") or {})
    except (ValueError, KeyError, TypeError):
        return None
    if moment.tzinfo is None:
        return None
    hints = tuple(map(str, diagnostics.pop("hints", ())))
    warnings = (*map(str, diagnostics.pop("warnings", ())), *hints)
    values = {
        key: float(value)
        for key, value in state.items()
        if is_quantity_key(key) and isinstance(value, int | float)
    }
    return Reading(meter, moment, values, diagnostics, warnings, hints)
