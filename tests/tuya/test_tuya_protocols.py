import logging
from dataclasses import replace
from pathlib import Path

import pytest
from support.tuya_devices import (
    DPS,
    QUICK,
    VERSIONS,
    LanReader,
    MakeTransport,
    a_meter,
    mock_device,
)

from esquirell.domain.errors import MeterError, MeterRejectedError
from esquirell.domain.meter import ProtocolVersion

MISMATCHES = [
    ("3.3", "3.4"),
    ("3.4", "3.3"),
    ("3.4", "3.5"),
    ("3.5", "3.4"),
    ("3.3", "3.1"),
    ("3.2", "3.3"),
    ("3.5", "3.1"),
]


@pytest.mark.parametrize("version", VERSIONS)
def test_reads_all_dps_in_each_protocol(transport: LanReader, version: ProtocolVersion) -> None:
    with mock_device(version) as device:
        assert transport.dps(a_meter(device.port, version)) == DPS


@pytest.mark.parametrize("version", VERSIONS)
def test_auto_finds_each_protocol(transport: LanReader, version: ProtocolVersion) -> None:
    with mock_device(version) as device:
        assert transport.dps(a_meter(device.port, "auto")) == DPS


@pytest.mark.parametrize("version", ["3.2", "3.3", "3.4"])
@pytest.mark.parametrize("auto", [True, False])
def test_reads_devices_that_answer_only_for_dps_asked_by_id(
    transport: LanReader, version: ProtocolVersion, *, auto: bool
) -> None:
    with mock_device(version, dev22=True) as device:
        meter = a_meter(device.port, "auto" if auto else version)
        assert transport.dps(meter) == DPS
        assert transport.dps(meter) == DPS


def test_a_found_protocol_is_remembered_for_other_processes(
    make_transport: MakeTransport, lock_dir: Path
) -> None:
    with mock_device("3.5") as device:
        meter = a_meter(device.port, "auto")
        make_transport().dps(meter)
        searching = device.server.connections
        make_transport().dps(meter)
        assert device.server.connections == searching + 1
    (note,) = lock_dir.iterdir()
    assert note.read_text() == "3.5\n"
    assert meter.device_id not in note.name


def test_a_remembered_protocol_that_is_wrong_by_now_is_found_again(
    make_transport: MakeTransport,
) -> None:
    with mock_device("3.5") as device:
        make_transport().dps(a_meter(device.port, "auto"))
    with mock_device("3.4") as device:
        assert make_transport().dps(a_meter(device.port, "auto")) == DPS


def test_a_device_that_changes_its_protocol_while_we_run_is_found_after_some_failures(
    make_transport: MakeTransport,
) -> None:
    transport = make_transport(limits=replace(QUICK, failures_to_cool=2))
    with mock_device("3.4") as device:
        meter = a_meter(device.port, "auto")
        transport.dps(meter)
        port = device.port
    with mock_device("3.3", port=port):
        with pytest.raises(MeterError):
            transport.dps(meter)
        assert transport.dps(meter) == DPS


def test_the_found_protocol_is_reported_once(
    transport: LanReader, caplog: pytest.LogCaptureFixture
) -> None:
    with mock_device("3.4") as device, caplog.at_level(logging.INFO, "esquirell"):
        for _ in range(2):
            transport.dps(a_meter(device.port, "auto"))
    told = [record.getMessage() for record in caplog.records if "esquirell" in record.name]
    assert told == ["main: the meter speaks protocol 3.4"]


@pytest.mark.parametrize(("speaks", "configured"), MISMATCHES)
def test_a_wrong_protocol_is_reported_with_the_right_one(
    transport: LanReader, speaks: str, configured: ProtocolVersion
) -> None:
    with mock_device(speaks) as device, pytest.raises(MeterRejectedError) as failure:
        transport.dps(a_meter(device.port, configured))
    assert failure.value.code == "wrong_protocol"
    assert f'set protocol = "{speaks}"' in str(failure.value)


def test_other_protocols_are_tried_only_once(hasty: LanReader) -> None:
    with mock_device("3.3", go_dark_after=0) as device:
        meter = a_meter(device.port, "3.3")
        connections = []
        for _ in range(2):
            before = device.server.connections
            with pytest.raises(MeterError):
                hasty.dps(meter)
            connections.append(device.server.connections - before)
    assert connections == [4, 1]
