"""Held lines are polite: devices with each bad habit are still read, and left in peace."""

import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import pytest
from support.scripted_device import DPS, Ear, scripted
from support.tuya_devices import LanReader, a_meter, mock_device
from support.waiting import eventually

from esquirell.domain.raw_datapoints import Question
from esquirell.tuya.lan.access import (
    FIRST_S,
    YOUNG_S,
)


def test_heartbeats_are_sent_while_nothing_else_is(holder: LanReader) -> None:
    with scripted() as device:
        for _ in range(20):
            holder.dps(device.meter)
            holder.skip(5.0)
        assert device.heartbeats == 0
        holder.eventually(lambda: device.heartbeats >= 2)
        assert device.connections == 1


def test_a_device_that_never_answers_heartbeats_keeps_its_line(holder: LanReader) -> None:
    with scripted(ignores_heartbeats=True) as device:
        holder.dps(device.meter)
        holder.eventually(lambda: device.heartbeats >= 8, 2.0)
        assert (device.connections, device.queries) == (1, 2)


def test_a_line_that_fell_silent_is_opened_again_and_suspends_nothing(
    holder: LanReader, ear: Ear
) -> None:
    with scripted() as device:
        holder.dps(device.meter)
        device.awake = False
        holder.eventually(lambda: device.connections >= 5, 2.0)
        assert ear.events == []
        device.awake, queries = True, device.queries
        holder.eventually(lambda: device.queries > queries)
        assert holder.dps(device.meter) == DPS


@pytest.mark.parametrize("habits", [{"closes_after_answer": True}, {"closes_on_heartbeat": 2}])
def test_a_device_that_keeps_closing_its_line_is_only_polled(
    holder: LanReader, ear: Ear, habits: Mapping[str, Any]
) -> None:
    with scripted(**habits) as device:
        holder.dps(device.meter)
        holder.eventually(lambda: ear.kinds == ["push_suspended"])
        assert ear.events[0][1] == {"meter": "main", "seconds": FIRST_S}
        connections = device.connections
        for _ in range(25):
            holder.skip(FIRST_S / 30)
            time.sleep(0.01)
        assert device.connections == connections <= 4
        assert holder.dps(device.meter) == DPS


def test_while_suspended_each_poll_leaves_the_line_open_for_a_moment(
    holder: LanReader, ear: Ear
) -> None:
    with scripted(closes_on_heartbeat=1) as device:
        holder.dps(device.meter)
        holder.eventually(lambda: ear.kinds == ["push_suspended"])
        connections, heartbeats = device.connections, device.heartbeats
        assert holder.read(Question(device.meter)).push == "suspended"
        holder.skip(3.0)
        device.report({"18": 6})
        eventually(lambda: ear.last == DPS | {"18": 6})
        assert device.is_connected
        holder.skip(2.1)
        eventually(lambda: not device.is_connected)
        assert (device.connections, device.heartbeats) == (connections + 1, heartbeats)


def test_a_device_that_closes_each_line_after_a_while_is_held_all_the_same(
    holder: LanReader, ear: Ear
) -> None:
    """Some do so every twenty minutes: what lives longer than two is no sign of anything."""
    with scripted() as device:
        holder.dps(device.meter)
        for count in range(2, 7):
            holder.skip(YOUNG_S + 60)
            device.disconnect()
            holder.eventually(lambda: device.queries >= count)  # noqa: B023
            assert device.connections == count
        assert ear.events == []


def test_it_is_held_again_after_a_while_and_suspended_for_longer(
    holder: LanReader, ear: Ear
) -> None:
    with scripted(closes_after_answer=True) as device:
        holder.dps(device.meter)
        holder.eventually(lambda: ear.kinds == ["push_suspended"])
        holder.skip(FIRST_S)
        holder.eventually(lambda: len(ear.kinds) == 3)
        assert ear.kinds == ["push_suspended", "push_resumed", "push_suspended"]
        assert ear.events[2][1]["seconds"] == 2 * FIRST_S


def test_a_second_client_wins_in_the_end(holder: LanReader, ear: Ear) -> None:
    """The phone's app and we would throw each other out for ever."""
    with scripted(one_client=True) as device:
        holder.dps(device.meter)
        phone = socket.socket()
        while not ear.events:
            phone.close()
            holder.skip(1.0)
            phone = socket.create_connection(("127.0.0.1", device.port))
            phone.settimeout(0.2)
            with suppress(OSError):
                phone.recv(1)
        phone.close()
        assert ear.kinds == ["push_suspended"]


@pytest.mark.parametrize("push", [True, "auto"])
def test_true_never_suspends_and_incomplete_answers_neither(
    ear: Ear, holder: LanReader, *, push: bool | str
) -> None:
    only = {"6": "AAAA"} if push == "auto" else None
    with scripted(closes_after_answer=True, reports_only=only) as device:
        meter = device.meter.model_copy(update={"push": push})
        holder.dps(meter)
        holder.eventually(lambda: device.connections >= 6)
        assert ear.events == []


def test_a_meter_that_reports_increments_is_never_suspended(holder: LanReader, ear: Ear) -> None:
    """They come no other way, though each answer holds the last one."""
    with scripted(closes_after_answer=True, reports_only={"18": 5}) as device:
        holder.read(Question(device.meter, increments=frozenset({"18"})))
        holder.eventually(lambda: device.connections >= 6)
        assert ear.events == []


def test_lines_that_are_cut_together_suspend_nothing(holder: LanReader, ear: Ear) -> None:
    """The access point was started anew, or the power was gone."""
    with scripted() as one, scripted() as other:
        pairs = [
            (one, one.meter),
            (other, other.meter.model_copy(update={"name": "other", "device_id": "other"})),
        ]
        for _, meter in pairs:
            holder.dps(meter)
        for count in range(4):
            for device, _ in pairs:
                device.disconnect()
            holder.eventually(lambda: all(device.queries >= count + 2 for device, _ in pairs))  # noqa: B023
    assert ear.events == []


def test_a_device_that_needs_to_be_switched_off_and_on_is_not_hammered(
    holder: LanReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It refuses all connections: they are tried ever more seldom."""
    with mock_device("3.3") as mock:
        meter = a_meter(mock.port)
        holder.dps(meter)
    refused: list[float] = []
    usual = socket.socket.connect

    def connect(end: socket.socket, where: tuple[str, int]) -> None:
        if where[1] == meter.port:
            refused.append(time.monotonic())
        usual(end, where)

    monkeypatch.setattr(socket.socket, "connect", connect)
    for _ in range(120):
        holder.skip(1.0)
        time.sleep(0.005)
    assert 4 <= len(refused) <= 12
