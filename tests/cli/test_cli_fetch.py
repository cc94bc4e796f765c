import sys
from collections.abc import Iterator

import pytest
from support.cli import Home, Said, esquirell, meter
from support.mosquitto import Mosquitto
from support.mqtt_observer import retained
from support.service import simulated
from support.terminal import Terminal

from esquirell.tuya.simulator import SimulatedMeter


@pytest.fixture
def garage() -> Iterator[SimulatedMeter]:
    device = simulated("garage")
    yield device
    device.stop()


def stored() -> list[str]:
    return [row.get("meter", "main") for row in esquirell("readings", "--json").json]


def measured_at(said: Said) -> str:
    moment: str = said.json["meters"]["main"]["measured_at"]
    return moment


def test_all_meters_are_read_stored_and_published(
    home: Home, device: SimulatedMeter, garage: SimulatedMeter, broker: Mosquitto
) -> None:
    home.configure(
        meter(port=device.port),
        # Nobody waits for the end of an hour here.
        meter("garage", port=garage.port, publish_every="publish_every = 3600"),
        mqtt__port=broker.port,
        mqtt__base_topic="all",
    )
    said = esquirell("fetch")
    assert (said.code, said.err) == (0, "")
    assert ["main", "voltage_a", "236.1", "V"] in said.rows
    assert ["main", "voltage_b", "", "V"] in said.rows
    assert ["garage", "active_power", "-484.0", "W"] in said.rows
    assert sorted(stored()) == ["garage", "main"]
    published = retained(broker.port, "all/meter/#")
    assert sorted(published) == [
        f"all/meter/{name}/{what}"
        for name in ("garage", "main")
        for what in ("availability", "state")
    ]


def test_those_named_are_read_and_answered_as_over_mqtt(
    home: Home, device: SimulatedMeter, broker: Mosquitto
) -> None:
    home.configure(meter(port=device.port), meter("garage"), mqtt__port=broker.port)
    said = esquirell("fetch", "main", "main", "--json")
    assert said.code == 0
    assert said.json == {"meters": {"main": {"status": "ok", "measured_at": measured_at(said)}}}
    assert device.answers == 1


def test_a_meter_that_fails_is_reported_beside_those_that_do_not(
    home: Home, device: SimulatedMeter, broker: Mosquitto
) -> None:
    home.configure(meter(port=device.port), meter("garage"), mqtt__port=broker.port)
    said = esquirell("fetch", "--json")
    assert said.code == 1
    assert said.json["meters"]["main"]["status"] == "ok"
    assert said.json["meters"]["garage"]["code"] == "unreachable"
    (sentence,) = said.err.splitlines()
    assert sentence == f"esquirell: {said.json['meters']['garage']['error']}"
    assert stored() == ["main"]


def test_a_broker_that_is_away_is_said_and_costs_no_reading(
    home: Home, device: SimulatedMeter
) -> None:
    home.configure(meter(port=device.port))
    said = esquirell("fetch", "--json")
    assert said.code == 1
    (warning,) = said.err.splitlines()
    assert warning.startswith("esquirell: nothing was published: the MQTT broker at localhost:1")
    assert stored() == ["main"]


def test_nothing_is_stored_that_is_not_to_be(
    home: Home, device: SimulatedMeter, broker: Mosquitto
) -> None:
    home.configure(meter(port=device.port), mqtt__port=broker.port, mqtt__base_topic="no-save")
    assert esquirell("fetch", "--no-save").err == ""
    assert stored() == []
    assert "no-save/meter/main/state" in retained(broker.port, "no-save/#")


def test_nothing_is_published_that_is_not_to_be(
    home: Home, device: SimulatedMeter, broker: Mosquitto
) -> None:
    home.configure(meter(port=device.port), mqtt__port=broker.port, mqtt__base_topic="no-publish")
    assert esquirell("fetch", "--no-publish").err == ""
    assert stored() == ["main"]
    assert retained(broker.port, "no-publish/#") == {}


def test_a_database_that_is_damaged_costs_no_reading_but_is_reported(
    home: Home, device: SimulatedMeter
) -> None:
    home.configure(meter(port=device.port))
    home.store()
    home.database.write_bytes(b"no database " * 1000)
    said = esquirell("fetch", "--no-publish")
    assert said.code == 2
    assert "esquirell db restore FILE" in said.sentence
    assert device.answers == 0


def test_a_terminal_shows_values_as_a_table(home: Home, device: SimulatedMeter) -> None:
    home.configure(meter(port=device.port))
    with Terminal([sys.executable, "-m", "esquirell", "fetch", "--no-publish"]) as terminal:
        assert terminal.finish() == 0
    rows = [line.split() for line in terminal.text.splitlines()]
    assert ["Power", "-140", "-", "-", "-484", "W"] in rows
    labels = [row[0] for row in rows if row]
    assert labels.index("Energy") < labels.index("Power")
    assert "(Europe/Warsaw)" in terminal.text
