"""What a page of its own makes of states and events, which anybody may publish."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from support.mosquitto import Mosquitto
from support.mqtt_observer import Observer
from support.waiting import eventually

from esquirell.domain.reading import Reading
from esquirell.runtime.mqtt import published
from esquirell.settings import Settings

AT = "2026-11-22T10:15:00+00:00"


def test_odd_states_and_events_are_left_out(
    broker: Mosquitto, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = Settings.model_validate(
        {"state_dir": tmp_path, "mqtt": {"host": "127.0.0.1", "port": broker.port}}
    )
    states: list[bytes | dict[str, Any]] = [
        b"[" * 50_000,
        b"[]",
        b"\xff",
        {"measured_at": "soon"},
        {"measured_at": AT, "diagnostics": {"hints": 5}},
        {"measured_at": AT, "diagnostics": [1]},
        {"measured_at": AT, "voltage": 10**400, "current": float("nan"), "active_power": "x"},
    ]
    readings: list[Reading] = []
    events: list[Mapping[str, Any]] = []
    with published(settings, readings.append, events.append), Observer(broker.port) as neighbour:
        eventually(lambda: _heard(neighbour, readings), what="a first state")
        readings.clear()
        for state in states:
            payload = state if isinstance(state, bytes) else json.dumps(state).encode()
            neighbour.publish("esquirell/meter/main/state", payload)
            neighbour.publish("esquirell/bridge/event", payload)
        neighbour.publish("esquirell/bridge/event", b'{"type": "last"}')
        eventually(lambda: {"type": "last"} in events, what="all events")
    assert [reading.values for reading in readings if reading.meter == "main"] == [{}]
    assert not [record for record in caplog.records if record.exc_info]


def _heard(neighbour: Observer, readings: list[Reading]) -> bool:
    neighbour.publish("esquirell/meter/first/state", json.dumps({"measured_at": AT}).encode())
    return bool(readings)
