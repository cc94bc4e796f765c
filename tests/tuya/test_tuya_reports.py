"""What meters report by themselves, over lines that are held open."""

import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import tinytuya
from support.tuya_devices import (
    DEVICE_ID,
    DPS,
    KEY,
    LanReader,
    MockRequest,
    MockSession,
    a_meter,
    frame,
    mock_device,
)
from support.waiting import eventually

from esquirell.domain.meter import Meter, ProtocolVersion
from esquirell.domain.raw_datapoints import Question, RawDatapoints
from esquirell.tuya.lan.network import Keep
from esquirell.tuya.simulator import SimulatedMeter

QUERIES = (tinytuya.DP_QUERY, tinytuya.DP_QUERY_NEW)
VERSIONS: tuple[ProtocolVersion, ...] = ("3.1", "3.3", "3.4", "3.5")


class Ear:
    """Notes what was reported, and when."""

    def __init__(self) -> None:
        self.heard: list[tuple[float, str, RawDatapoints]] = []
        self.events: list[tuple[str, Mapping[str, Any]]] = []

    def reported(self, meter: Meter, heard: RawDatapoints) -> None:
        self.heard.append((time.monotonic(), meter.name, heard))

    def event(self, kind: str, data: Mapping[str, Any]) -> None:
        self.events.append((kind, data))

    @property
    def last(self) -> Mapping[str, Any]:
        return self.heard[-1][2].values


@pytest.fixture
def ear() -> Ear:
    return Ear()


@pytest.fixture
def holder(lock_dir: Path, ear: Ear) -> Iterator[LanReader]:
    reader = LanReader(lock_dir, keep="held", listener=ear)
    yield reader
    reader.close()


@pytest.mark.parametrize("version", VERSIONS)
def test_a_report_completes_the_state(
    holder: LanReader, ear: Ear, version: ProtocolVersion
) -> None:
    with mock_device(version) as device:
        meter = a_meter(device.port, version)
        holder.dps(meter)
        assert device.push({"18": 77})
        eventually(lambda: ear.heard)
        assert ear.last == DPS | {"18": 77}
        assert ear.heard[-1][2].push == "on"
        assert device.server.connections == 1


def test_the_age_of_the_oldest_value_is_known(holder: LanReader, ear: Ear) -> None:
    with mock_device("3.4") as device:
        meter = a_meter(device.port, "3.4")
        assert holder.read(Question(meter)).oldest_s < 1
        time.sleep(1)
        device.push({"18": 77})
        eventually(lambda: ear.heard)
        assert ear.heard[-1][2].oldest_s >= 1
        assert holder.read(Question(meter)).oldest_s < 1


def test_a_line_is_opened_without_a_poll(holder: LanReader, ear: Ear) -> None:
    with mock_device("3.4") as device:
        holder.hold([Question(a_meter(device.port, "3.4"))])
        eventually(lambda: ear.heard)
        assert ear.last == DPS


def test_a_released_line_is_closed_without_a_poll(holder: LanReader, ear: Ear) -> None:
    """`push = false`, or another worker has the meter now."""
    with mock_device("3.4") as device:
        holder.hold([Question(a_meter(device.port, "3.4"))])
        eventually(lambda: ear.heard and device.connected)
        holder.hold([])
        eventually(lambda: not device.connected)


def test_reported_datapoints_are_in_the_answers(holder: LanReader) -> None:
    """A breaker that answers with its counters and reports its phases."""

    def partly(session: MockSession, request: MockRequest, usual: bytes | None) -> bytes | None:
        if request.cmd in QUERIES:
            return frame(session, request.cmd, json.dumps({"dps": {"1": 4496}}).encode())
        return usual

    with mock_device("3.3", partly) as device:
        meter = a_meter(device.port)
        assert holder.dps(meter) == {"1": 4496}
        device.push({"6": "AAAhqAAAAAA="})
        device.push({"7": "AAAjigAAAAA="})
        whole = {"1": 4496, "6": "AAAhqAAAAAA=", "7": "AAAjigAAAAA="}
        eventually(lambda: holder.dps(meter) == whole)
        assert device.server.connections == 1


def test_reports_in_quick_succession_are_one_state(holder: LanReader, ear: Ear) -> None:
    with mock_device("3.4") as device:
        holder.dps(a_meter(device.port, "3.4"))
        for name in ("18", "19", "20"):
            device.push({name: 5})
        eventually(lambda: ear.heard and ear.last["20"] == 5)
        assert ear.last == DPS | {"18": 5, "19": 5, "20": 5}
        assert len(ear.heard) <= 2


def test_a_stream_of_reports_does_not_hold_the_first_one_up(holder: LanReader, ear: Ear) -> None:
    with mock_device("3.4") as device:
        holder.dps(a_meter(device.port, "3.4"))
        began, number = time.monotonic(), 0
        while time.monotonic() - began < 0.5:
            number += 1
            device.push({"18": number})
            time.sleep(0.01)
        eventually(lambda: ear.last["18"] == number)
        assert len(ear.heard) >= 3


@pytest.mark.parametrize("keep", ["kept", "closed"])
def test_without_push_nothing_is_reported(lock_dir: Path, ear: Ear, keep: Keep) -> None:
    reader = LanReader(lock_dir, keep=keep, listener=ear)
    with mock_device("3.4") as device:
        meter = a_meter(device.port, "3.4")
        reader.dps(meter)
        device.push({"18": 77})
        time.sleep(0.2)
        assert ear.heard == []
        assert reader.read(Question(meter)).push == "off"
    reader.close()


@pytest.mark.parametrize("version", ["3.3", "3.4", "3.5"])
def test_the_shipped_simulator_reports_what_changes(
    holder: LanReader, ear: Ear, version: ProtocolVersion
) -> None:
    values = {"101": 2300, "103": 5}
    device = SimulatedMeter(DEVICE_ID, KEY, version, lambda: values)
    device.start()
    holder.dps(a_meter(device.port, version))
    values["103"] = 900
    device.report()
    eventually(lambda: ear.heard)
    assert ear.last == values
    assert device.reports == 1
    device.stop()


def test_children_of_a_gateway_share_its_line_and_get_their_own_reports(
    holder: LanReader, ear: Ear
) -> None:
    def answer(session: MockSession, request: MockRequest, usual: bytes | None) -> bytes | None:
        if request.cmd not in QUERIES:
            return usual
        cid = json.loads(request.payload)["cid"]
        said = {"data": {"cid": cid, "dps": {"18": 1}}}
        other = {"data": {"cid": "B" if cid == "A" else "A", "dps": {"18": 7}}}
        return frame(session, request.cmd, json.dumps(said).encode()) + frame(
            session, tinytuya.STATUS, json.dumps(other).encode()
        )

    with mock_device("3.4", answer) as device:
        gateway = a_meter(device.port, "3.4")
        children = [
            gateway.model_copy(
                update={"name": cid, "gateway": DEVICE_ID, "device_id": f"id-{cid}", "cid": cid}
            )
            for cid in ("A", "B")
        ]
        for child in children:
            assert holder.dps(child)["18"] == 1
        eventually(lambda: ear.heard)
        assert {(name, heard.values["18"]) for _, name, heard in ear.heard} == {("A", 7)}
        assert device.connected


def test_a_gateway_is_listened_to_for_the_child_that_reports(holder: LanReader, ear: Ear) -> None:
    def answer(session: MockSession, request: MockRequest, usual: bytes | None) -> bytes | None:
        if request.cmd not in QUERIES:
            return usual
        said = {"data": {"cid": json.loads(request.payload)["cid"], "dps": {"18": 1}}}
        report = {"data": {"cid": "A", "dps": {"18": 7}}}
        return frame(session, request.cmd, json.dumps(said).encode()) + frame(
            session, tinytuya.STATUS, json.dumps(report).encode()
        )

    with mock_device("3.4", answer) as device:
        gateway = a_meter(device.port, "3.4")
        for cid in ("A", "B"):
            of_child = {"name": cid, "gateway": DEVICE_ID, "device_id": f"id-{cid}", "cid": cid}
            holder.dps(gateway.model_copy(update=of_child))
        eventually(lambda: ear.heard)
        time.sleep(0.3)
        assert device.connected


def test_a_cut_line_is_opened_again_and_its_values_stay_for_a_while(
    holder: LanReader, ear: Ear
) -> None:
    with mock_device("3.4") as device:
        meter = a_meter(device.port, "3.4")
        holder.dps(meter)
        port = device.port
    with mock_device("3.4", port=port, dps={"18": 1}):
        eventually(lambda: ear.heard)
    assert ear.last == DPS | {"18": 1}
