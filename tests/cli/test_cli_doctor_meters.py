"""What `esquirell doctor` finds out about meters."""

import pytest
from support.cli import Home, findings, meter
from support.db_samples import sample
from support.redis_server import RedisProcess
from support.tuya_broadcasts import Broadcaster
from support.tuya_devices import FakeDevice

from esquirell.broker.connection import Address, connect
from esquirell.broker.processes import Presence
from esquirell.cli.checks.finding import MeterFindings, advice, fault, fine
from esquirell.domain.process import Process
from esquirell.domain.reading import MeterStatus
from esquirell.tuya.discovery.listener import Ports
from esquirell.tuya.simulator import SimulatedMeter


def test_meters_with_an_unusable_configuration_are_reported(home: Home) -> None:
    home.configure(meter(profile='profile = "owon"'), meter("garage"))
    found = findings()
    assert found["meter main: profile"][0] == "fault"
    assert found["meter garage: profile"][0] == "fine"


@pytest.mark.usefixtures("own_ports")
def test_a_meter_without_an_address_is_searched_for(home: Home, device: SimulatedMeter) -> None:
    home.configure(meter("found", device.port, address='address = "auto"'))
    with Broadcaster(Ports(), "id-found"):
        mark, message, _ = findings()["meter found: reading"]
    assert (mark, message) == ("fine", "it answers with 6 datapoints")


def test_a_meter_that_hangs_up(home: Home) -> None:
    with FakeDevice(lambda _: None) as busy:
        home.configure(meter(port=busy.port))
        mark, _, remedy = findings()["meter main: reading"]
    assert mark == "fault"
    assert remedy


@pytest.mark.parametrize(
    ("setting", "said", "to_do"),
    [
        (
            {"local_key": "local_key = 'fedcba9876543210'"},
            "encrypted session",
            "take it from the app",
        ),
        (
            {"protocol": 'protocol = "3.3"'},
            "speaks protocol 3.4, not 3.3",
            'protocol = "3.4"',
        ),
    ],
)
def test_a_key_or_a_protocol_that_is_wrong_is_found_by_reading(
    home: Home, device: SimulatedMeter, setting: dict[str, str], said: str, to_do: str
) -> None:
    home.configure(meter(port=device.port, **setting))
    mark, message, remedy = findings()["meter main: reading"]
    assert mark == "fault"
    assert said in message
    assert to_do in str(remedy)


def test_hundreds_of_meters_are_few_lines() -> None:
    found = MeterFindings()
    assert not found.take(fine("mqtt", "it accepts us"))
    for number in range(300):
        name = f"m{number:03}"
        assert found.take(fine(f"meter {name}: local key", "16 characters"))
        assert found.take(advice(f"meter {name}: values", "odd", "look")) if number < 7 else True
    found.take(fault("meter m299: reading", "m299 is silent", "check it"))
    said = [(one.mark, one.check, one.message) for one in found.findings()]
    assert said == [
        ("!", "meters m000, m001, m002, m003, m004 and 2 more: values", "odd"),
        ("✗", "meter m299: reading", "m299 is silent"),
        ("✓", "meters", "292 of 300 meters are fine"),
    ]


def test_of_meters_that_are_all_wrong_none_is_called_fine() -> None:
    found = MeterFindings()
    for number in range(60):
        found.take(fault(f"meter m{number:02}: reading", "no answer", "check it"))
    assert [finding.ok for finding in found.findings()] == [False]


def test_beside_a_worker_the_meters_are_left_alone(
    house: Home, server: RedisProcess, device: SimulatedMeter
) -> None:
    house.store([sample("main")], {"main": MeterStatus(3, "no_data")})
    client = connect(Address(server.url))
    presence = Presence(client, "garage-1")
    roles = ("beat", "bridge", "worker")
    presence.announce(Process("garage", roles, "2026-11-22T10:15:00Z"), roles)
    device.stop()
    found = findings()
    assert "meter main: reading" not in found
    mark, message, remedy = found["meter main: readings"]
    assert mark == "fault"
    assert message == "3 failed polls in a row (no_data), last read 2026-11-22T10:15:00.123Z"
    assert remedy == "esquirell meters test main shows more"
    house.store([], {"main": MeterStatus(1, "no_data")})
    assert findings()["meter main: readings"][1].startswith("1 failed poll in a row (no_data), ")
    assert found["service"] == ("fine", "beat, bridge, worker: alive", None)
    presence.withdraw("beat")
    remedy = "start esquirell run, or esquirell beat"
    assert findings()["service"] == ("fault", "no beat is alive", remedy)
    client.close()
