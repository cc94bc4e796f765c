"""`esquirell meters capture`: raw datapoints for a bug report, and nothing that names a device."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.cli import Home, esquirell, meter
from support.service import KEY
from support.waiting import eventually

from esquirell.profiles.capture import try_capture
from esquirell.tuya.simulator import SimulatedMeter

DEVICE_ID = "bf0123456789abcdefghij"
SERIAL = "202311813370"
PRODUCT = "gqmmtjclqb7reg5p"
DPS = {"101": 2361, "133": -484, "6": "CKMAAn0AAGw=", "18": SERIAL, "19": DEVICE_ID}
LISTED = {
    "id": DEVICE_ID,
    "name": "Main",
    "key": KEY,
    "ip": "127.0.0.1",
    "uuid": "8e3f2a1b",
    "product_id": PRODUCT,
    "product_name": "PC321",
    "category": "zndb",
    "mapping": {"101": {"code": "VoltageA", "type": "Integer", "values": {"scale": 1}, "x": KEY}},
}


@pytest.fixture
def device() -> Iterator[SimulatedMeter]:
    meter = SimulatedMeter(DEVICE_ID, KEY, "3.4", lambda: DPS)
    meter.start()
    yield meter
    meter.stop()


def configure(home: Home, port: int) -> None:
    (home.path / "devices.json").write_text(json.dumps([LISTED]))
    changes = {
        "device_id": f'device_id = "{DEVICE_ID}"',
        "mapping": 'mapping_file = "devices.json"',
    }
    home.configure(meter(port=port, **changes))


def test_a_capture_has_the_shape_that_profiles_try_reads(
    home: Home, device: SimulatedMeter
) -> None:
    configure(home, device.port)
    said = esquirell("meters", "capture", "main")
    assert (said.code, said.err) == (0, "")
    assert said.json.pop("esquirell")
    captured = json.loads(said.out)
    del captured["esquirell"]
    assert captured.pop("expected")["voltage_a"] == 236.1
    assert captured == {
        "product_id": PRODUCT,
        "category": "zndb",
        "product_name": "PC321",
        "protocol": "3.4",
        "mapping": {"101": {"code": "VoltageA", "type": "Integer", "values": {"scale": 1}}},
        "spec": {},
        "dps": DPS | {"18": "redacted", "19": "redacted"},
    }
    assert try_capture(captured).values["voltage_a"] == 236.1


def test_a_capture_names_no_device(home: Home, device: SimulatedMeter) -> None:
    configure(home, device.port)
    said = esquirell("meters", "capture", "main", "--output", "capture.json")
    assert said.code == 0
    written = Path("capture.json").read_text()
    for secret in (DEVICE_ID, KEY, "127.0.0.1", SERIAL, "Main", "8e3f2a1b"):
        assert secret not in written
    assert json.loads(written)["dps"]["101"] == 2361
    assert Path("capture.json").stat().st_mode & 0o777 == 0o600


def test_a_file_that_exists_is_left_as_it_is(home: Home, device: SimulatedMeter) -> None:
    configure(home, device.port)
    said = esquirell("meters", "capture", "main", "--output", "devices.json")
    assert said.code == 2
    assert "devices.json already exists" in said.sentence
    assert json.loads((home.path / "devices.json").read_text()) == [LISTED]


def test_a_meter_that_does_not_answer_is_one_sentence(home: Home) -> None:
    configure(home, 1)
    said = esquirell("meters", "capture", "main")
    assert said.code == 1
    assert "can't be reached" in said.sentence


def test_the_device_is_free_again_afterwards(home: Home, device: SimulatedMeter) -> None:
    configure(home, device.port)
    for _ in range(2):
        assert esquirell("meters", "capture", "main").code == 0
    eventually(lambda: device.answers == 2)
