import socket
import threading
from typing import Any

import pytest
import tinytuya
from support.tuya_devices import DEVICE_ID, KEY, MEASURED, OTHER_KEY, simulated
from support.waiting import eventually

from esquirell.tuya.simulator.meter import VERSIONS, SimulatedMeter


def client(port: int, version: str, key: str = KEY) -> Any:  # noqa: ANN401  tinytuya has no types
    """Connect as any program on tinytuya would."""
    device = tinytuya.Device(
        DEVICE_ID,
        address="127.0.0.1",
        local_key=key,
        version=float(version),
        port=port,
        persist=True,
        connection_timeout=1,
        connection_retry_limit=1,
        connection_retry_delay=0,
    )
    device.set_retry(retry=False)
    return device


@pytest.mark.parametrize("version", VERSIONS)
def test_any_client_reads_it(version: str) -> None:
    with simulated(version) as meter:
        device = client(meter.port, version)
        for _ in range(3):
            assert device.status()["dps"] == MEASURED
            assert device.cmd_retcode == 0
        device.close()
        assert meter.answers == 3


@pytest.mark.parametrize("version", VERSIONS)
def test_it_measures_again_for_each_answer(version: str) -> None:
    turns = iter(range(100))
    meter = SimulatedMeter(DEVICE_ID, KEY, version, lambda: {"101": next(turns)})
    meter.start()
    device = client(meter.port, version)
    assert [device.status()["dps"]["101"] for _ in range(3)] == [0, 1, 2]
    device.close()
    meter.stop()


@pytest.mark.parametrize("version", VERSIONS)
def test_heartbeats_and_refreshes_are_acknowledged_and_are_no_readings(version: str) -> None:
    with simulated(version) as meter:
        device = client(meter.port, version)
        for command in (tinytuya.HEART_BEAT, tinytuya.UPDATEDPS):
            device.send(device.generate_payload(command))
            device.receive()
            assert device.raw_recv[-1].cmd == command
        assert device.status()["dps"] == MEASURED
        device.close()
        assert meter.answers == 1


@pytest.mark.parametrize("version", VERSIONS)
def test_it_serves_one_client_at_a_time(version: str) -> None:
    with simulated(version) as meter:
        first, second = client(meter.port, version), client(meter.port, version)
        assert first.status()["dps"] == MEASURED
        assert "Err" in second.status()
        assert first.status()["dps"] == MEASURED
        first.close()
        assert eventually(second.status)["dps"] == MEASURED
        second.close()


def test_a_wrong_key_goes_unanswered_with_3_3() -> None:
    with simulated("3.3") as meter:
        device = client(meter.port, "3.3", OTHER_KEY)
        device.send(device.generate_payload(tinytuya.DP_QUERY))
        device.set_socketTimeout(0.2)
        assert device.receive() is None
        device.close()
        assert meter.answers == 0


@pytest.mark.parametrize("version", ["3.4", "3.5"])
def test_a_wrong_key_ends_the_connection_with_later_protocols(version: str) -> None:
    with simulated(version) as meter:
        device = client(meter.port, version, OTHER_KEY)
        assert device.status()["Err"] == str(tinytuya.ERR_KEY_OR_VER)
        device.close()
        assert meter.answers == 0


@pytest.mark.parametrize("version", ["3.4", "3.5"])
def test_it_answers_nothing_before_a_session_key_is_agreed_on(version: str) -> None:
    with simulated(version) as meter:
        device = client(meter.port, version)
        with socket.create_connection(("127.0.0.1", meter.port)) as connection:
            query = device.generate_payload(tinytuya.DP_QUERY)
            connection.sendall(device._encode_message(query))  # noqa: SLF001 - tinytuya's
            assert connection.recv(100) == b""
        assert meter.answers == 0


@pytest.mark.parametrize("version", VERSIONS)
def test_garbage_ends_the_connection_and_nothing_else(version: str) -> None:
    with simulated(version) as meter:
        with socket.create_connection(("127.0.0.1", meter.port)) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\n\r\n" * 4)
            assert connection.recv(100) == b""
        device = client(meter.port, version)
        assert device.status()["dps"] == MEASURED
        device.close()


def test_requests_in_pieces_are_answered() -> None:
    with simulated("3.3") as meter:
        device = client(meter.port, "3.3")
        query = device.generate_payload(tinytuya.DP_QUERY)
        frame = device._encode_message(query)  # noqa: SLF001 - tinytuya's
        with socket.create_connection(("127.0.0.1", meter.port)) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for byte in frame + frame:
                connection.sendall(bytes([byte]))
            eventually(lambda: meter.answers == 2)
    device.close()


def test_a_silent_client_is_disconnected() -> None:
    class Impatient(SimulatedMeter):
        idle_s = 0.1

    meter = Impatient(DEVICE_ID, KEY, "3.3", lambda: MEASURED)
    meter.start()
    with socket.create_connection(("127.0.0.1", meter.port), timeout=5) as connection:
        assert connection.recv(1) == b""
    meter.stop()


def test_many_run_in_one_process_and_all_stop() -> None:
    meters = [SimulatedMeter(f"id{n}", KEY, "3.4", lambda: MEASURED) for n in range(40)]
    for meter in meters:
        meter.start()
    devices = [client(meter.port, "3.4") for meter in meters]
    assert all(device.status()["dps"] == MEASURED for device in devices)
    for meter, device in zip(meters, devices, strict=True):
        meter.stop()
        device.close()
    # Threads of other tests may end meanwhile.
    assert not [one.name for one in threading.enumerate() if one.name.startswith("meter-id")]


def test_a_taken_port_is_reported() -> None:
    with simulated("3.3") as meter, pytest.raises(OSError, match="in use"):
        SimulatedMeter(DEVICE_ID, KEY, "3.3", lambda: MEASURED, port=meter.port).start()


def test_a_protocol_it_does_not_speak_is_refused() -> None:
    with pytest.raises(ValueError, match=r"not 3\.1"):
        SimulatedMeter(DEVICE_ID, KEY, "3.1", lambda: MEASURED)
