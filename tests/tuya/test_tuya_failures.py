import logging
import os
import socket
import subprocess
import sys
import threading
import time
import traceback
from dataclasses import replace
from pathlib import Path

import pytest
from support.tcp_proxy import TcpProxy
from support.tuya_devices import (
    DEVICE_ID,
    KEY,
    MEASURED,
    OTHER_KEY,
    QUICK,
    VERSIONS,
    FakeDevice,
    LanReader,
    MakeTransport,
    MockRequest,
    MockSession,
    a_meter,
    frame,
    hang_up,
    mock_device,
    say_nothing,
    simulated,
    swallowing_port,
    unused_port,
)
from support.waiting import LIMIT_S
from tinytuya.core import unpack_message

from esquirell.domain.errors import (
    ConfigError,
    MeterError,
    MeterRejectedError,
    MeterUnreachableError,
)
from esquirell.domain.meter import Meter, ProtocolVersion
from esquirell.tuya.lan.network import Limits
from esquirell.tuya.simulator import SimulatedMeter


def failure_of(transport: LanReader, meter: Meter) -> MeterError:
    with pytest.raises(MeterError) as failure:
        transport.dps(meter)
    return failure.value


@pytest.mark.parametrize("version", ["3.1", "3.4", "3.5"])
def test_a_wrong_key_is_reported_where_it_is_certain(
    hasty: LanReader, version: ProtocolVersion
) -> None:
    with mock_device(version) as device:
        failure = failure_of(hasty, a_meter(device.port, version, OTHER_KEY))
    assert isinstance(failure, MeterRejectedError)
    assert failure.code == "wrong_key"
    assert "local_key" in str(failure)


def test_a_wrong_key_is_a_suspect_where_the_device_is_just_silent(hasty: LanReader) -> None:
    with simulated("3.3") as device:
        failure = failure_of(hasty, a_meter(device.port, "3.3", OTHER_KEY))
    assert isinstance(failure, MeterUnreachableError)
    assert failure.code == "no_data"
    assert "local_key" in str(failure)


def test_a_refusal_encrypted_with_another_key_means_a_wrong_key(hasty: LanReader) -> None:
    def refuse(session: MockSession, request: MockRequest, _: bytes | None) -> bytes | None:
        return frame(session, request.cmd, b"json obj data unvalid")

    with mock_device("3.3", refuse) as device:
        device.server.device.unpack = lambda _, frame: unpack_message(frame, no_retcode=True)
        failure = failure_of(hasty, a_meter(device.port, "3.3", OTHER_KEY))
    assert failure.code == "wrong_key"


@pytest.mark.parametrize("version", ["3.4", "3.5"])
def test_a_device_that_closes_on_a_wrong_key_is_no_busy_one(
    hasty: LanReader, version: ProtocolVersion
) -> None:
    with simulated(version) as device:
        failure = failure_of(hasty, a_meter(device.port, version, OTHER_KEY))
    assert failure.code == "wrong_key"


def test_a_refused_port_is_unreachable(transport: LanReader) -> None:
    meter = a_meter(unused_port())
    failure = failure_of(transport, meter)
    assert isinstance(failure, MeterUnreachableError)
    assert failure.code == "unreachable"
    assert str(failure) == (
        f"main (127.0.0.1:{meter.port}) can't be reached (Connection refused): check that it "
        "has power and Wi-Fi, and that its address is still 127.0.0.1"
    )


def test_an_unknown_name_is_unreachable(transport: LanReader) -> None:
    failure = failure_of(transport, a_meter(6668, address="meter.invalid"))
    assert failure.code == "unreachable"


def test_an_address_that_swallows_all_packets_is_unreachable(transport: LanReader) -> None:
    with swallowing_port() as port:
        failure = failure_of(transport, a_meter(port))
    assert failure.code == "unreachable"
    assert "timed out" in str(failure)


ENDLESS = replace(QUICK, total_s=300.0)
SHORT = replace(QUICK, total_s=1.0)


@pytest.mark.parametrize(
    ("limits", "protocol", "refresh"),
    [
        (replace(SHORT, connect_s=300.0), "3.3", ()),
        (replace(SHORT, key_s=300.0), "3.4", ()),
        (replace(SHORT, answer_s=300.0), "3.3", ()),
        (replace(SHORT, refresh_s=300.0), "3.3", (18,)),
        (ENDLESS, "3.3", ()),
        (ENDLESS, "3.4", ()),
        (ENDLESS, "3.3", (18,)),
    ],
)
def test_a_read_ends_at_the_limit_of_its_step_and_at_its_own(
    make_transport: MakeTransport,
    limits: Limits,
    protocol: ProtocolVersion,
    refresh: tuple[int, ...],
) -> None:
    transport = make_transport(limits=limits)
    with swallowing_port() as swallowing, FakeDevice(say_nothing) as silent:
        port = swallowing if limits.connect_s > LIMIT_S else silent.port
        began = time.monotonic()
        with pytest.raises(MeterUnreachableError):
            transport.dps(a_meter(port, protocol), refresh)
    assert time.monotonic() - began < LIMIT_S


@pytest.mark.parametrize("protocol", ["3.1", "3.3", "auto"])
def test_a_silent_device_has_no_data(hasty: LanReader, protocol: ProtocolVersion) -> None:
    with FakeDevice(say_nothing) as device:
        failure = failure_of(hasty, a_meter(device.port, protocol))
    assert isinstance(failure, MeterUnreachableError)
    assert failure.code == "no_data"
    assert "local_key" in str(failure)


@pytest.mark.parametrize("protocol", ["3.4", "3.5"])
def test_a_device_that_falls_silent_after_the_key_has_no_data(
    transport: LanReader, protocol: ProtocolVersion
) -> None:
    with mock_device(protocol, go_dark_after=1) as device:
        assert failure_of(transport, a_meter(device.port, protocol)).code == "no_data"


def test_a_device_that_worked_and_agrees_on_no_key_any_more_has_no_data(
    transport: LanReader,
) -> None:
    with mock_device("3.4") as device:
        meter = a_meter(device.port, "3.4")
        transport.dps(meter)
        device.server.go_dark_after = 0
        assert failure_of(transport, meter).code == "no_data"


def test_a_device_that_worked_and_closes_the_connection_is_held_by_another(
    transport: LanReader,
) -> None:
    with mock_device("3.3") as mock:
        meter = a_meter(mock.port)
        transport.dps(meter)
    with FakeDevice(hang_up, meter.port) as device:
        failure = failure_of(transport, meter)
        assert device.connections == 1
    assert isinstance(failure, MeterUnreachableError)
    assert failure.code == "busy"


@pytest.mark.parametrize("version", ["3.4", "3.5"])
def test_a_device_that_was_paired_again_is_reported_as_a_wrong_key(
    transport: LanReader, version: ProtocolVersion
) -> None:
    def dps() -> dict[str, int]:
        return {"101": 2300}

    device = SimulatedMeter(DEVICE_ID, KEY, version, dps)
    device.start()
    meter = a_meter(device.port, version)
    transport.dps(meter)
    device.stop()
    again = SimulatedMeter(DEVICE_ID, OTHER_KEY, version, dps, port=device.port)
    again.start()
    failure = failure_of(transport, meter)
    again.stop()
    assert failure.code == "wrong_key"


class CutsOnce(TcpProxy):
    """Cuts the next connection when its client begins to speak."""

    armed = False

    def _forward(self, source: socket.socket, target: socket.socket) -> None:
        if self.armed:
            self.armed = False
            source.recv(4096)
            self.cut()
        super()._forward(source, target)


@pytest.mark.parametrize("version", ["3.4", "3.5"])
def test_a_line_that_is_cut_over_the_key_is_no_wrong_key(
    transport: LanReader, version: ProtocolVersion
) -> None:
    with simulated(version) as device, CutsOnce(device.port) as network:
        meter = a_meter(network.port, version)
        transport.dps(meter)
        network.armed = True
        assert transport.dps(meter) == MEASURED
        assert not network.armed


@pytest.mark.parametrize("version", ["3.3", "3.4", "3.5"])
def test_a_device_that_serves_another_client_is_busy(
    transport: LanReader, version: ProtocolVersion
) -> None:
    with simulated(version) as device, socket.create_connection(("127.0.0.1", device.port)):
        failure = failure_of(transport, a_meter(device.port, version))
    assert failure.code == "busy"
    assert "Tuya app" in str(failure)


def test_a_device_that_closes_the_connection_has_no_data(hasty: LanReader) -> None:
    with FakeDevice(hang_up) as device:
        assert failure_of(hasty, a_meter(device.port)).code == "no_data"


def test_an_answer_without_dps_is_no_data(hasty: LanReader) -> None:
    with mock_device("3.3", dps={}) as device:
        assert failure_of(hasty, a_meter(device.port)).code == "no_data"


@pytest.mark.parametrize("protocol", [*VERSIONS, "auto"])
def test_garbage_is_no_reading(hasty: LanReader, protocol: ProtocolVersion) -> None:
    def babble(connection: socket.socket) -> None:
        connection.recv(4096)
        for prefix in (b"\x00\x00\x55\xaa", b"\x00\x00\x66\x99", b""):
            connection.sendall(prefix + os.urandom(400))

    with FakeDevice(babble) as device:
        failure = failure_of(hasty, a_meter(device.port, protocol))
    assert failure.code in {"no_data", "wrong_key", "wrong_protocol"}


def test_bytes_that_trickle_in_do_not_stretch_the_time_limit(
    make_transport: MakeTransport,
) -> None:
    ended = threading.Event()

    def trickle(connection: socket.socket) -> None:
        while not ended.wait(0.02):
            connection.sendall(b"\x00")

    transport = make_transport(limits=replace(QUICK, total_s=1.0))
    with FakeDevice(trickle) as device:
        began = time.monotonic()
        failure = failure_of(transport, a_meter(device.port))
        assert time.monotonic() - began < LIMIT_S
        ended.set()
    assert failure.code == "no_data"


def test_a_key_that_cannot_be_one_is_not_repeated(transport: LanReader) -> None:
    key = "0123456789abcde€"
    failure = failure_of(transport, a_meter(unused_port(), "3.3", key))
    assert failure.code == "wrong_key"
    assert key not in str(failure)


@pytest.mark.parametrize("version", ["3.1", "3.3", "3.4", "3.5"])
@pytest.mark.parametrize("key", [KEY, OTHER_KEY])
def test_no_key_and_no_payload_is_logged_or_reported(
    hasty: LanReader, caplog: pytest.LogCaptureFixture, version: ProtocolVersion, key: str
) -> None:
    caplog.set_level(logging.DEBUG)
    told = ""
    with mock_device(version) as device:
        try:
            hasty.dps(a_meter(device.port, version, key))
        except MeterError as failure:
            told = "".join(traceback.format_exception(failure))
    assert key not in caplog.text + told
    assert not [record for record in caplog.records if record.name.startswith("tinytuya")]


def test_a_folder_for_locks_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="set state_dir"):
        LanReader(tmp_path / "file" / "locks")


def test_a_lock_file_that_cannot_be_opened_is_named(transport: LanReader, lock_dir: Path) -> None:
    with mock_device("3.3") as device:
        meter = a_meter(device.port)
        transport.dps(meter)
        (lock,) = lock_dir.iterdir()
        lock.unlink()
        lock.mkdir()
        failure = failure_of(transport, meter)
    assert failure.code == "unreachable"
    assert str(lock) in str(failure)


def test_tinytuya_is_loaded_only_where_a_meter_is_read() -> None:
    check = "import sys, esquirell.tuya.transport; sys.exit('tinytuya' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", check], check=False, timeout=LIMIT_S).returncode == 0
    )
