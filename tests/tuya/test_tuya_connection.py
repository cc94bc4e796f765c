import json
import threading
import time
from dataclasses import replace

import pytest
import tinytuya
from support.tuya_devices import (
    DPS,
    QUICK,
    FakeDevice,
    LanReader,
    MakeTransport,
    MockRequest,
    MockSession,
    a_meter,
    frame,
    hang_up,
    mock_device,
)
from support.waiting import eventually

from esquirell.domain.errors import MeterError
from esquirell.domain.meter import ProtocolVersion

QUERIES = (tinytuya.DP_QUERY, tinytuya.DP_QUERY_NEW)


@pytest.mark.parametrize(("keep", "connections"), [(True, 1), (False, 3)])
def test_connections_are_kept_as_asked(
    make_transport: MakeTransport, connections: int, *, keep: bool
) -> None:
    transport = make_transport(keep="kept" if keep else "closed")
    with mock_device("3.4") as device:
        for _ in range(3):
            assert transport.dps(a_meter(device.port, "3.4")) == DPS
        assert device.server.connections == connections


@pytest.mark.parametrize("version", ["3.3", "3.5"])
def test_a_kept_connection_that_the_device_closed_is_opened_again(
    make_transport: MakeTransport, version: ProtocolVersion
) -> None:
    transport = make_transport(keep="kept")
    with mock_device(version) as device:
        meter = a_meter(device.port, version)
        transport.dps(meter)
    with mock_device(version, port=meter.port) as device:
        assert transport.dps(meter) == DPS
        assert device.server.connections == 1


@pytest.mark.parametrize(("version", "until_dark"), [("3.3", 1), ("3.4", 2)])
def test_a_kept_connection_that_fell_silent_is_opened_again(
    make_transport: MakeTransport, version: ProtocolVersion, until_dark: int
) -> None:
    transport = make_transport(keep="kept")
    with mock_device(version, go_dark_after=until_dark, outages=1) as device:
        meter = a_meter(device.port, version)
        transport.dps(meter)
        assert transport.dps(meter) == DPS
        assert device.server.connections == 2


def test_a_fresh_connection_is_not_tried_twice(make_transport: MakeTransport) -> None:
    transport = make_transport(keep="kept")
    with mock_device("3.3") as mock:
        meter = a_meter(mock.port)
        transport.dps(meter)
    with FakeDevice(hang_up, meter.port) as device:
        with pytest.raises(MeterError):
            transport.dps(meter)
        assert device.connections == 1


def test_a_report_from_before_the_question_is_no_answer(make_transport: MakeTransport) -> None:
    transport = make_transport(keep="kept")
    with mock_device("3.4") as device:
        meter = a_meter(device.port, "3.4")
        transport.dps(meter)
        assert device.push({"18": 1})
        assert transport.dps(meter) == DPS
        assert device.server.connections == 1


@pytest.mark.parametrize("version", ["3.1", "3.3", "3.4", "3.5"])
def test_a_report_that_comes_before_the_answer_is_no_answer(
    transport: LanReader, version: ProtocolVersion
) -> None:
    def report_first(
        session: MockSession, request: MockRequest, answer: bytes | None
    ) -> bytes | None:
        if request.cmd in QUERIES and answer:
            return session.status_push({"18": 1}) + answer
        return answer

    with mock_device(version, report_first) as device:
        assert transport.dps(a_meter(device.port, version)) == DPS


@pytest.mark.parametrize("version", ["3.3", "3.5"])
def test_a_device_that_answers_with_a_report_is_read(
    transport: LanReader, version: ProtocolVersion
) -> None:
    def report(session: MockSession, request: MockRequest, answer: bytes | None) -> bytes | None:
        if request.cmd in QUERIES:
            return session.status_push({"18": 1})
        return answer

    with mock_device(version, report) as device:
        assert transport.dps(a_meter(device.port, version)) == {"18": 1}


def test_an_empty_acknowledgement_is_waited_out(transport: LanReader) -> None:
    def acknowledge_first(
        session: MockSession, request: MockRequest, answer: bytes | None
    ) -> bytes | None:
        if request.cmd in QUERIES and answer:
            return frame(session, request.cmd, b"") + answer
        return answer

    with mock_device("3.3", acknowledge_first) as device:
        assert transport.dps(a_meter(device.port)) == DPS


def test_a_partial_answer_is_completed_by_earlier_frames_of_the_connection(
    make_transport: MakeTransport,
) -> None:
    transport = make_transport(keep="kept")
    with mock_device("3.4") as device:
        meter = a_meter(device.port, "3.4")
        assert transport.dps(meter) == DPS
        del device.dps["18"]
        device.dps["19"] = 7
        assert transport.dps(meter) == DPS | {"19": 7}


@pytest.mark.parametrize("version", ["3.1", "3.3", "3.4", "3.5"])
def test_dps_are_refreshed_before_the_question_when_asked_for(
    transport: LanReader, version: ProtocolVersion
) -> None:
    requests: list[tuple[int, bytes]] = []

    def listen(_: MockSession, request: MockRequest, answer: bytes | None) -> bytes | None:
        requests.append((request.cmd, request.payload))
        return answer

    with mock_device(version, listen) as device:
        meter = a_meter(device.port, version)
        assert transport.dps(meter, (18, 19)) == DPS
        assert transport.dps(meter) == DPS
    asked = [
        (command, json.loads(payload))
        for command, payload in requests
        if command in (*QUERIES, tinytuya.UPDATEDPS)
    ]
    assert asked[0] == (tinytuya.UPDATEDPS, {"dpId": [18, 19]})
    assert [command in QUERIES for command, _ in asked] == [False, True, True]


def test_a_device_that_ignores_a_refresh_is_read_all_the_same_after_a_while(
    transport: LanReader,
) -> None:
    came: list[tuple[int, float]] = []

    def ignore(_: MockSession, request: MockRequest, answer: bytes | None) -> bytes | None:
        came.append((request.cmd, time.monotonic()))
        return None if request.cmd == tinytuya.UPDATEDPS else answer

    with mock_device("3.3", ignore) as device:
        assert transport.dps(a_meter(device.port), (18,)) == DPS
    (refresh, refreshed_at), (question, asked_at) = came[:2]
    assert (refresh, question in QUERIES) == (tinytuya.UPDATEDPS, True)
    assert asked_at - refreshed_at > QUICK.refresh_s / 2


def test_changed_settings_open_a_connection_of_their_own(make_transport: MakeTransport) -> None:
    transport = make_transport(keep="kept")
    with mock_device("3.3") as old, mock_device("3.4") as new:
        transport.dps(a_meter(old.port))
        assert transport.dps(a_meter(new.port, "3.4")) == DPS
        eventually(lambda: not old.connected, what="the old connection is closed")


def test_a_forgotten_meter_is_hung_up(make_transport: MakeTransport) -> None:
    transport = make_transport(keep="kept")
    with mock_device("3.3") as device:
        meter = a_meter(device.port)
        transport.dps(meter)
        assert device.connected
        transport.forget("main")
        transport.forget("never heard of")
        eventually(lambda: not device.connected, what="the connection is closed")
        assert transport.dps(meter) == DPS


def test_a_meter_forgotten_while_it_is_read_is_hung_up_after_that(
    make_transport: MakeTransport,
) -> None:
    transport = make_transport(keep="kept", limits=replace(QUICK, answer_s=3.0))
    with mock_device("3.3", response_delay=0.3) as device:
        meter = a_meter(device.port)
        answers: list[object] = []
        reader = threading.Thread(target=lambda: answers.append(transport.dps(meter)))
        reader.start()
        eventually(lambda: device.connected, what="the read has begun")
        transport.forget("main")
        reader.join()
        assert answers == [DPS]
        eventually(lambda: not device.connected, what="the connection is closed")
