"""Meters that nobody reads yet: whether they report by themselves, heard within seconds."""

import itertools
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from pydantic import SecretStr
from support.service import DPS, KEY
from support.tuya_devices import FakeDevice, hang_up

from esquirell.domain.errors import MeterError
from esquirell.domain.meter import Meter
from esquirell.domain.raw_datapoints import Question
from esquirell.tuya.simulator import SimulatedMeter
from esquirell.tuya.trial import Trial

Start = Callable[[str, float], Meter]


@pytest.fixture
def start() -> Iterator[Start]:
    devices: list[SimulatedMeter] = []

    def start(name: str, report_s: float) -> Meter:
        counted = itertools.count(2300)

        def measure() -> Mapping[str, object]:
            return DPS | {"101": next(counted)}

        device = SimulatedMeter(f"id-{name}", KEY, "3.4", measure, report_s=report_s)
        device.start()
        devices.append(device)
        return meter(name, device.port)

    yield start
    for device in devices:
        device.stop()


def meter(name: str, port: int, key: str = KEY) -> Meter:
    return Meter(
        name=name,
        device_id=f"id-{name}",
        address="127.0.0.1",
        port=port,
        local_key=SecretStr(key),
        protocol="3.4",
    )


def test_those_that_report_are_found_before_the_time_is_over(start: Start, tmp_path: Path) -> None:
    reporting = [start("main", 1.0), start("heat-pump", 1.0)]
    with Trial(tmp_path, tmp_path) as trial:
        for one in reporting:
            assert trial.read(Question(one)).values["133"] == -484
        began = time.monotonic()
        assert trial.reporting(60) == {"main", "heat-pump"}
        assert time.monotonic() - began < 30


def test_a_meter_that_does_not_report_is_detected(start: Start, tmp_path: Path) -> None:
    silent, reporting = start("silent", 0.0), start("main", 0.7)
    with Trial(tmp_path, tmp_path) as trial:
        for one in (silent, reporting):
            trial.read(Question(one))
        assert trial.reporting(4) == {"main"}


def test_a_meter_that_does_not_answer_is_not_waited_for(start: Start, tmp_path: Path) -> None:
    port = start("main", 1.0).port
    with Trial(tmp_path, tmp_path) as trial:
        with pytest.raises(MeterError):
            trial.read(Question(meter("main", port, KEY[::-1])))
        began = time.monotonic()
        assert trial.reporting(60) == set()
        assert time.monotonic() - began < 10


def test_a_meter_that_did_not_answer_is_left_alone_afterwards(tmp_path: Path) -> None:
    with FakeDevice(hang_up) as device, Trial(tmp_path, tmp_path) as trial:
        with pytest.raises(MeterError):
            trial.read(Question(meter("main", device.port)))
        connections = device.connections
        time.sleep(3.0)
        assert device.connections == connections
