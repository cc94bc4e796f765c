"""What devices and networks do to held lines: nothing is lost, nothing is made up."""

import struct
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support.scripted_device import DPS, Ear, scripted
from support.tuya_broadcasts import Broadcaster, free_ports, listener
from support.tuya_devices import (
    DEVICE_ID,
    KEY,
    OTHER_KEY,
    QUICK,
    FakeDevice,
    LanReader,
    a_meter,
    hang_up,
    unused_port,
)
from support.waiting import LIMIT_S, eventually

from esquirell.domain.errors import MeterError
from esquirell.domain.meter import Meter
from esquirell.domain.raw_datapoints import Question
from esquirell.tuya.device_files import Addresses
from esquirell.tuya.discovery.finder import Finder
from esquirell.tuya.discovery.listener import Ports
from esquirell.tuya.simulator import SimulatedMeter
from esquirell.tuya.tinytuya_import import STATUS

FIRST, SECOND = "127.0.0.2", "127.0.0.3"
HOURS_S = 6 * 3600.0


def test_a_frame_that_is_broken_off_hides_none_of_the_next(holder: LanReader, ear: Ear) -> None:
    """A module that restarts its program in the middle of a frame, and keeps the connection."""
    with scripted() as device:
        holder.dps(device.meter)
        for number in range(3):
            device.send(device.frame(STATUS, {"9": "x" * 4000})[: 200 + number])
            device.report({"18": number})
            eventually(lambda: ear.last == DPS | {"18": number})  # noqa: B023
        assert holder.dps(device.meter) == DPS
        assert device.connections == 1


@pytest.mark.parametrize("length", [0, 61_440, 2**32 - 1])
def test_a_frame_with_an_impossible_length_hides_none_of_the_next(
    holder: LanReader, ear: Ear, length: int
) -> None:
    with scripted() as device:
        holder.dps(device.meter)
        device.send(struct.pack(">4I", 0x55AA, 1, STATUS, length) + b"x" * 40)
        device.report({"18": 6})
        eventually(lambda: ear.last == DPS | {"18": 6})
        assert device.connections == 1


def test_frames_in_single_bytes_are_understood(holder: LanReader, ear: Ear) -> None:
    with scripted() as device:
        holder.dps(device.meter)
        for byte in device.frame(STATUS, {"18": 6}):
            device.send(bytes([byte]))
        eventually(lambda: ear.last == DPS | {"18": 6})


def test_a_device_that_does_not_renumber_frames_is_read(holder: LanReader, ear: Ear) -> None:
    with scripted(sequence=7) as device:
        for value in (1, 2, 3):
            device.dps["18"] = value
            assert holder.dps(device.meter)["18"] == value
        device.report({"18": 4})
        eventually(lambda: ear.last == DPS | {"18": 4})
        assert device.connections == 1


def test_increments_of_a_device_that_does_not_renumber_frames_count_once_each(
    holder: LanReader, ear: Ear
) -> None:
    with scripted(sequence=7) as device:
        holder.read(Question(device.meter, increments=frozenset({"17"})))
        for number in range(4):
            device.report({"17": 5, "18": number}, t=1_700_000_000 + 60 * number)
            device.report({"17": 5, "18": number}, t=1_700_000_000 + 60 * number)
            eventually(lambda: ear.last.get("18") == number)  # noqa: B023
            holder.skip(60.0)
        assert sum(heard.increments.get("17", 0) for heard in ear.heard) == 4 * 5


def test_a_flood_of_reports_is_thinned_out_and_holds_nothing_up(
    holder: LanReader, ear: Ear
) -> None:
    """A thousand reports a second: the last one counts, polls are answered all the same."""
    with scripted() as device:
        holder.dps(device.meter)
        began, number = time.monotonic(), 0
        while time.monotonic() - began < 1.0:
            device.report({"18": (number := number + 1)})
        assert holder.dps(device.meter)["18"] == DPS["18"]
        device.report({"18": -1})
        eventually(lambda: ear.last["18"] == -1)
        assert number > 500
        # Ten a second, and more on a machine on which the flood itself pauses.
        assert len(ear.heard) <= number / 10


def test_a_network_that_is_down_for_hours_costs_little_and_is_found_again(
    holder: LanReader, ear: Ear
) -> None:
    with scripted() as device:
        holder.dps(device.meter)
        port = device.port
    for _ in range(int(HOURS_S / 30)):
        holder.skip(30.0)
    with pytest.raises(MeterError) as caught:
        holder.dps(a_meter(port), forced=True)
    assert "refused" in str(caught.value)
    with scripted(port=port) as device:
        holder.eventually(lambda: ear.last == DPS)
        assert device.connections == 1
        assert ear.events == []


def test_a_key_that_changes_while_the_line_is_held_is_named_and_nothing_is_made_up(
    holder: LanReader, ear: Ear
) -> None:
    """Paired anew in the app: what was said last is believed no longer than other old values."""
    with scripted() as device:
        holder.dps(device.meter)
        device.key = OTHER_KEY
        device.report({"18": 6})
        with pytest.raises(MeterError) as caught:
            read_skipping(holder, device.meter)
        assert "local_key" in str(caught.value) or "local key" in str(caught.value)
        assert all(heard.values == DPS for heard in ear.heard)
        device.key = KEY
        assert holder.dps(device.meter, forced=True) == DPS


def read_skipping(holder: LanReader, meter: Meter) -> None:
    """Read a meter that never answers, while time is skipped. Raises MeterError."""
    done = threading.Event()

    def skip() -> None:
        while not done.wait(0.02):
            holder.skip(5.0)

    skipping = threading.Thread(target=skip)
    skipping.start()
    try:
        holder.dps(meter, forced=True)
    finally:
        done.set()
        skipping.join()


@pytest.fixture
def seeker(lock_dir: Path, tmp_path: Path, ear: Ear) -> Iterator[tuple[LanReader, Ports]]:
    """Hold the lines of meters that are searched for by their device ids."""
    ports = free_ports()
    finder = Finder(lambda: listener(ports), LIMIT_S, LIMIT_S)
    addresses = Addresses(tmp_path / "addresses")
    reader = LanReader(
        lock_dir, keep="held", limits=QUICK, finder=finder, addresses=addresses, listener=ear
    )
    yield reader, ports
    reader.close()


def a_device(device_id: str, key: str, address: str, port: int, value: int) -> SimulatedMeter:
    device = SimulatedMeter(device_id, key, "3.4", lambda: {"18": value}, address, port)
    device.start()
    return device


def sought(name: str, device_id: str, key: str, port: int) -> Meter:
    meter = a_meter(port, "3.4", key, name=name, address="auto")
    return meter.model_copy(update={"device_id": device_id})


def test_meters_that_swap_their_addresses_are_each_found_again(
    seeker: tuple[LanReader, Ports],
) -> None:
    """After a restart of the router (DHCP): no value of one is taken for the other's."""
    reader, ports = seeker
    port = unused_port()
    meters = [sought("one", "id-one", KEY, port), sought("two", "id-two", OTHER_KEY, port)]
    for one_at, two_at in ((FIRST, SECOND), (SECOND, FIRST)):
        devices = [
            a_device("id-one", KEY, one_at, port, 1),
            a_device("id-two", OTHER_KEY, two_at, port, 2),
        ]
        with (
            Broadcaster(ports, "id-one", "3.4", address=one_at),
            Broadcaster(ports, "id-two", "3.4", address=two_at),
        ):
            for _ in range(3):
                answers = [reader.dps(meter, forced=True) for meter in meters]
                assert answers == [{"18": 1}, {"18": 2}]
        for device in devices:
            device.stop()


def test_the_device_with_the_right_key_is_read_where_two_announce_one_id(
    seeker: tuple[LanReader, Ports],
) -> None:
    reader, ports = seeker
    with (
        FakeDevice(hang_up, address=FIRST) as other,
        ThreadPoolExecutor(1) as pool,
        Broadcaster(ports, DEVICE_ID, "3.4", address=FIRST),
    ):
        real = a_device(DEVICE_ID, KEY, SECOND, other.port, 1)
        meter = sought("main", DEVICE_ID, KEY, other.port)
        reading = pool.submit(reader.dps, meter, forced=True)
        eventually(lambda: other.connections)
        with Broadcaster(ports, DEVICE_ID, "3.4", address=SECOND):
            assert reading.result() == {"18": 1}
        real.stop()
