"""A meter of which only the device id is known is known by the product that it broadcasts."""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest
from support.configuration import ConfigurationFolder
from support.tuya_broadcasts import Broadcaster, free_ports, listener
from support.tuya_devices import DEVICE_ID, KEY, simulated

from esquirell.domain.meter import Meter
from esquirell.domain.raw_datapoints import Question
from esquirell.profiles.choice_changes import Change
from esquirell.runtime import devices as module
from esquirell.runtime.devices import Devices
from esquirell.settings import Settings
from esquirell.tuya.discovery.finder import Finder
from esquirell.tuya.discovery.listener import Ports
from esquirell.tuya.lan.network import NullListener

PRODUCT = "gqmmtjclqb7reg5p"
# What the simulated meter says: 230.1 V of phase a and -1250 W, if one knows the product.
KNOWN = {"voltage_a": 230.1, "active_power": -1250.0}
METER = f"""
[[meters]]
name = "main"
device_id = "{DEVICE_ID}"
local_key = '''{KEY}'''
port = {{port}}
protocol = "3.4"
"""


@pytest.fixture
def ports(monkeypatch: pytest.MonkeyPatch) -> Ports:
    """Ports of loopback, where the finder of the devices then listens."""
    ports = free_ports()
    monkeypatch.setattr(module, "Finder", lambda: Finder(lambda: listener(ports)))
    return ports


@pytest.fixture
def announced() -> list[Change]:
    return []


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def settings(folder: Path, port: int, also: str = "") -> Settings:
    return ConfigurationFolder(folder).load(METER.format(port=port) + also)


def devices(settings: Settings, announced: list[Change], stack: ExitStack) -> Devices:
    made = Devices(
        lambda: settings,
        lambda _: 60.0,
        NullListener,
        lambda: datetime.now(UTC),
        lambda _, change: announced.append(change),
    )
    stack.callback(made.transport.close)
    return made


def values(devices: Devices, meter: Meter) -> dict[str, float]:
    heard = devices.transport.read(Question(meter))
    return dict(devices.profiles.decode(meter, heard.values).values)


def test_the_first_answer_is_understood_and_a_restart_needs_no_broadcast(
    tmp_path: Path, ports: Ports, announced: list[Change], stack: ExitStack
) -> None:
    with simulated("3.4") as device:
        known = settings(tmp_path, device.port)
        (meter,) = known.meters
        assert (meter.address, meter.product_id, meter.profile) == ("auto", "", "auto")
        with Broadcaster(ports, DEVICE_ID, product=PRODUCT):
            first = devices(known, announced, stack)
            assert values(first, meter) == KNOWN
            assert first.described(meter).product_id == PRODUCT
        assert values(devices(known, announced, stack), meter) == KNOWN
    assert announced == []


def test_what_a_meter_announces_later_changes_what_is_published_and_that_is_reported(
    tmp_path: Path, announced: list[Change], stack: ExitStack
) -> None:
    known = settings(tmp_path, 1)
    (meter,) = known.meters
    ours = devices(known, announced, stack)
    answer = {"101": 2301, "133": -1250}
    assert ours.profiles.decode(meter, answer).values == {}
    ours.learn(meter, PRODUCT)
    assert ours.profiles.decode(meter, answer).values == KNOWN
    (change,) = announced
    assert change.profile == "owon_pc321"
    assert KNOWN.keys() <= set(change.gained)
    # Every search tells it again, which changes nothing.
    ours.learn(meter, PRODUCT)
    ours.profiles.decode(meter, answer)
    assert len(announced) == 1


@pytest.mark.parametrize("also", ['product_id = "mine"', 'gateway = "bf01gateway"\ncid = "a1"'])
def test_a_gateway_or_what_is_configured_is_not_overruled(
    tmp_path: Path, announced: list[Change], stack: ExitStack, also: str
) -> None:
    known = settings(tmp_path, 1, also)
    (meter,) = known.meters
    ours = devices(known, announced, stack)
    ours.learn(meter, PRODUCT)
    assert ours.described(meter).product_id == meter.product_id


@pytest.mark.parametrize("content", [b"", b"\xff", b"no product", b"x" * 9999])
def test_a_damaged_note_counts_as_none(
    tmp_path: Path, announced: list[Change], stack: ExitStack, content: bytes
) -> None:
    known = settings(tmp_path, 1)
    (meter,) = known.meters
    ours = devices(known, announced, stack)
    ours.learn(meter, PRODUCT)
    (note,) = (known.state_dir / "products").iterdir()
    assert DEVICE_ID not in note.name
    note.write_bytes(content)
    assert devices(known, announced, stack).describe(meter).product_id == ""
