"""Each way in which devices answer: in parts, late, by reports, by ids, for others as well."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from threading import Event

import pytest
import tinytuya
from support.tuya_devices import (
    DEVICE_ID,
    DPS,
    QUICK,
    FakeDevice,
    LanReader,
    MakeTransport,
    MockRequest,
    MockSession,
    a_meter,
    frame,
    mock_device,
)
from support.waiting import LIMIT_S, eventually

from esquirell.domain.errors import MeterError
from esquirell.domain.meter import ProtocolVersion
from esquirell.domain.raw_datapoints import Question

QUERIES = (tinytuya.DP_QUERY, tinytuya.DP_QUERY_NEW)
PARTS = ({"1": 11, "6": "AAAhqAAAAAA="}, {"101": 2, "102": 3}, {"111": 4})
ALL = {name: value for part in PARTS for name, value in part.items()}
PATIENT = replace(QUICK, answer_s=4.0, key_s=4.0, total_s=20.0)
VERSIONS: tuple[ProtocolVersion, ...] = ("3.1", "3.3", "3.4", "3.5")


def said(session: MockSession, command: int, dps: object, **more: object) -> bytes:
    return frame(session, command, json.dumps({"dps": dps, **more}).encode())


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("command", [tinytuya.STATUS, None])
def test_an_answer_in_several_frames_is_one_answer(
    transport: LanReader, version: ProtocolVersion, command: int | None
) -> None:
    def in_parts(session: MockSession, request: MockRequest, usual: bytes | None) -> bytes | None:
        if request.cmd not in QUERIES:
            return usual
        empty = frame(session, request.cmd, b"")
        nothing = said(session, request.cmd, {})
        parts = [said(session, command or request.cmd, part) for part in PARTS]
        return b"".join([empty, nothing, *parts])

    with mock_device(version, in_parts) as device:
        assert transport.dps(a_meter(device.port, version)) == ALL


def test_a_poll_ends_when_all_earlier_datapoints_have_arrived(
    make_transport: MakeTransport,
) -> None:
    transport = make_transport(keep="kept", limits=replace(QUICK, quiet_s=1.0))
    with mock_device("3.4") as device:
        meter = a_meter(device.port, "3.4")
        took = []
        for _ in range(3):
            began = time.monotonic()
            assert transport.dps(meter) == DPS
            took.append(time.monotonic() - began)
    assert took[0] >= 1.0
    assert min(took[1:]) < 0.5


def test_nothing_is_waited_for_any_more_that_was_missing_twice(
    make_transport: MakeTransport,
) -> None:
    transport = make_transport(keep="kept", limits=replace(QUICK, quiet_s=1.0))
    with mock_device("3.4") as device:
        question = Question(a_meter(device.port, "3.4"), ids=frozenset([*DPS, "200"]))
        took = []
        for _ in range(4):
            began = time.monotonic()
            transport.read(question)
            took.append(time.monotonic() - began)
    assert min(took[:2]) >= 1.0
    assert min(took[2:]) < 0.5


@pytest.mark.parametrize("version", ["3.3", "3.4"])
@pytest.mark.parametrize("inside", [True, False])
def test_what_another_child_of_the_gateway_reports_is_not_ours(
    transport: LanReader, version: ProtocolVersion, *, inside: bool
) -> None:
    def other_first(
        session: MockSession, request: MockRequest, usual: bytes | None
    ) -> bytes | None:
        if request.cmd not in QUERIES:
            return usual
        data = {"cid": "B", "dps": {"18": 999}}
        report = {"protocol": 4, "data": data} if inside else data
        own = {"protocol": 4, "data": {"cid": "A", "dps": {"18": 111}}}
        return frame(session, 8, json.dumps(report).encode()) + frame(
            session, request.cmd, json.dumps(own).encode()
        )

    with mock_device(version, other_first) as device:
        child = {"gateway": DEVICE_ID, "device_id": "id-a", "cid": "A"}
        meter = a_meter(device.port, version).model_copy(update=child)
        assert transport.dps(meter) == {"18": 111}


def test_an_answer_of_another_device_is_not_taken(transport: LanReader) -> None:
    def pretend(session: MockSession, request: MockRequest, usual: bytes | None) -> bytes | None:
        if request.cmd in QUERIES:
            return said(session, request.cmd, {"18": 1}, devId="another")
        return usual

    with mock_device("3.3", pretend) as device, pytest.raises(MeterError) as failure:
        transport.dps(a_meter(device.port))
    assert failure.value.code == "unreachable"
    assert "another device answers" in str(failure.value)
    assert DEVICE_ID not in str(failure.value)


@pytest.mark.parametrize("version", ["3.3", "3.4", "3.5"])
def test_a_device_that_is_asked_by_id_is_asked_for_what_its_profile_names(
    transport: LanReader, version: ProtocolVersion
) -> None:
    """On 3.5, too; and with ids that are not searched for."""
    held = {"1": True, "35": 35, "88": 88, "199": 199}

    def by_id(session: MockSession, request: MockRequest, usual: bytes | None) -> bytes | None:
        if request.cmd in QUERIES:
            return frame(session, request.cmd, b"json obj data unvalid")
        if request.cmd == tinytuya.CONTROL_NEW:
            names = json.loads(request.payload)["dps"]
            return said(session, request.cmd, {dp: held[dp] for dp in names if dp in held})
        return usual

    with mock_device(version, by_id) as device:
        question = Question(a_meter(device.port, version), ids=frozenset(["35", "88", "199"]))
        assert transport.read(question).values == held
        assert transport.read(question).values == held


def test_a_refusal_in_words_is_quoted(hasty: LanReader) -> None:
    def refuse(session: MockSession, request: MockRequest, usual: bytes | None) -> bytes | None:
        if request.cmd in (*QUERIES, tinytuya.CONTROL_NEW):
            return frame(session, request.cmd, b"data format error")
        return usual

    with mock_device("3.4", refuse) as device, pytest.raises(MeterError) as failure:
        hasty.dps(a_meter(device.port, "3.4"))
    assert failure.value.code == "no_data"
    assert '"data format error"' in str(failure.value)


@contextmanager
def ipv4_alone() -> Iterator[int]:
    """Take an IPv4 port without a listener on IPv6, under a name that has both."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield int(server.getsockname()[1])


def test_all_addresses_of_a_name_are_tried(
    transport: LanReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = socket.getaddrinfo

    def both(host: str, port: int, *rest: object, **options: object) -> object:
        if host != "meter.home":
            return usual(host, port, *rest, **options)  # type: ignore[arg-type]
        if options.get("flags"):
            raise socket.gaierror(socket.EAI_NONAME, "no address")
        found = [(socket.AF_INET6, ("::1", port, 0, 0)), (socket.AF_INET, ("127.0.0.1", port))]
        return [(family, socket.SOCK_STREAM, 6, "", where) for family, where in found]

    monkeypatch.setattr(socket, "getaddrinfo", both)
    with mock_device("3.4") as device:
        assert transport.dps(a_meter(device.port, "3.4", address="meter.home")) == DPS


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("meter.invalid", "the name 'meter.invalid' has no address: check its address"),
        ("meter.local", "put the IP address into its address, as names in .local need mDNS"),
    ],
)
def test_a_name_without_an_address_is_no_matter_of_power_and_network(
    transport: LanReader, monkeypatch: pytest.MonkeyPatch, name: str, remedy: str
) -> None:
    def unknown(*_: object, **__: object) -> object:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(MeterError) as failure:
        transport.dps(a_meter(6668, "3.4", address=name))
    assert failure.value.code == "unreachable"
    assert remedy in str(failure.value)


def test_a_meter_keeps_its_address_while_no_name_server_answers(
    transport: LanReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As while the router restarts that answers for the names of the network."""
    usual, is_known = socket.getaddrinfo, [True]

    def router(host: str, port: int, *rest: object, **options: object) -> object:
        if host != "meter.home":
            return usual(host, port, *rest, **options)  # type: ignore[arg-type]
        if options.get("flags") or not is_known[0]:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return usual("127.0.0.1", port, *rest, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", router)
    with mock_device("3.4") as device:
        meter = a_meter(device.port, "3.4", address="meter.home")
        assert transport.dps(meter) == DPS
        is_known[0] = False
        assert transport.dps(meter) == DPS
        moved = a_meter(device.port + 1, "3.4", address="meter.home")
        with pytest.raises(MeterError, match="has no address"):
            transport.dps(moved)


def test_an_address_that_is_looked_up_too_late_is_known_to_the_next_read(
    hasty: LanReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual, end = socket.getaddrinfo, Event()
    answered: list[object] = []

    def resolver(host: str, port: int, *rest: object, **options: object) -> object:
        if host != "meter.home":
            return usual(host, port, *rest, **options)  # type: ignore[arg-type]
        if options.get("flags"):
            raise socket.gaierror(socket.EAI_NONAME, "not a number")
        end.wait(LIMIT_S)
        answered.append(host)
        return usual("127.0.0.1", port, *rest, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    with mock_device("3.4") as device:
        meter = a_meter(device.port, "3.4", address="meter.home")
        with pytest.raises(MeterError, match="the name server takes too long"):
            hasty.dps(meter)
        end.set()
        eventually(lambda: answered)
        end.clear()
        try:
            assert hasty.dps(meter) == DPS
        finally:
            end.set()


def test_slow_meters_are_read(make_transport: MakeTransport) -> None:
    """Each step has its own time: neither UPDATEDPS nor the key eat that of the question."""
    transport = make_transport(limits=PATIENT)
    with mock_device("3.5", response_delay=1.5) as device:
        assert transport.dps(a_meter(device.port, "3.5"), (18, 19, 20)) == DPS


@pytest.mark.parametrize("version", ["3.4", "3.5"])
def test_a_device_that_takes_the_handshake_in_silence_has_no_data(
    hasty: LanReader, version: ProtocolVersion
) -> None:
    def swallow(connection: socket.socket) -> None:
        while connection.recv(4096):
            pass

    with FakeDevice(swallow) as device, pytest.raises(MeterError) as failure:
        hasty.dps(a_meter(device.port, version))
    assert failure.value.code == "no_data"


@pytest.mark.parametrize("version", VERSIONS)
def test_answers_longer_than_one_packet_are_read(
    transport: LanReader, version: ProtocolVersion
) -> None:
    many = {str(dp): "x" * 10 for dp in range(100, 220)}
    with mock_device(version, dps=many) as device:
        assert transport.dps(a_meter(device.port, version)) == many
