"""`esquirell meters add | set | exchange | remove`: real files, real devices, a running service."""

import itertools
import json
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.cli import Home, Said, esquirell, esquirell_process
from support.mosquitto import Mosquitto
from support.mqtt_observer import Observer
from support.service import DPS, KEY, Service, configuration, simulated
from support.terminal import Terminal
from support.waiting import eventually

from esquirell.tuya.simulator import SimulatedMeter

MAIN = f'[[meters]]\nname = "house"\ndevice_id = "id-house"\nlocal_key = "{KEY}"\n'
SETTINGS = ("--address", "127.0.0.1", "--protocol", "3.4", "--profile", "owon_pc321")


@pytest.fixture
def key(tmp_path: Path) -> str:
    file = tmp_path / "new.key"
    file.write_text(f"{KEY}\n")
    return str(file)


@pytest.fixture
def empty_service(tmp_path: Path, broker: Mosquitto) -> Iterator[Service]:
    """A service that has no meter yet."""
    config = configuration(['mqtt.base_topic = "adding"'], mqtt_port=broker.port)
    service = Service(tmp_path, config)
    service.start()
    try:
        eventually(lambda: "up as worker" in service.log, what=lambda: service.log)
        yield service
        assert service.stop() == 0
    finally:
        service.kill()


def test_a_name_with_other_letters_is_the_label_of_a_meter_that_is_added(
    home: Home, device: SimulatedMeter, key: str
) -> None:
    home.write("")
    given = ("--device-id", '"id-main"', "--port", str(device.port), "--key-file", key, *SETTINGS)
    assert esquirell("meters", "add", "***", *given).code == 2
    said = esquirell("meters", "add", "Küche", *given, "--json")
    assert said.code == 0, said
    assert (said.json["name"], said.json["label"]) == ("kueche", "Küche")


def test_a_meter_is_added_to_a_running_service_and_found_by_home_assistant(
    empty_service: Service, broker: Mosquitto, device: SimulatedMeter, key: str
) -> None:
    def call(*words: str) -> Said:
        return esquirell_process("--config", str(empty_service.config), *words)

    with Observer(broker.port, "#") as observer:
        settings = ("--device-id", "id-main", "--port", str(device.port), "--key-file", key)
        said = call("meters", "add", "barn", *settings, *SETTINGS, "--label", "Barn")
        assert said.code == 0, said
        assert "energy_import\t1064.21\tkWh" in said.out
        file = empty_service.folder / "data" / "meters" / "barn.toml"
        assert f"barn: added; its settings are in {file}" in said.out
        assert file.stat().st_mode & 0o777 == 0o600
        eventually(lambda: empty_service.readings("barn") > 1, what=lambda: empty_service.log)
        discovered = "homeassistant/device/adding_barn/config"
        observer.saw(lambda one: one.topic == discovered and bool(one.payload))
    assert call("meters", "set", "barn", "--label", "Old barn").code == 0
    assert call("meters", "list", "--json").json[0]["label"] == "Old barn"
    other = simulated("other")
    try:
        new = ("--device-id", "id-other", "--port", str(other.port), "--key-file", key)
        said = call("meters", "exchange", "barn", *new, *SETTINGS, "--json")
        assert said.code == 0, said
        assert said.json["label"] == "Old barn"
        eventually(lambda: other.answers > 2, what="the new device is read")
    finally:
        other.stop()
    before = empty_service.readings("barn")
    assert call("meters", "remove", "barn", "--forget", "--yes").code == 0
    assert before
    assert call("meters", "list", "--json").json == []
    assert not file.exists()
    assert KEY not in empty_service.log
    logged = empty_service.rows("SELECT command, source, request FROM command_log ORDER BY at")
    assert [(one[0], one[1]) for one in logged] == [
        ("meter/add", "cli"),
        ("meter/set", "cli"),
        ("meter/exchange", "cli"),
        ("meter/remove", "cli"),
    ]
    assert KEY not in str(logged)


def test_without_a_service_a_meter_is_read_and_added_as_well(
    home: Home, device: SimulatedMeter, key: str
) -> None:
    home.configure()
    settings = ("--device-id", "id-main", "--port", str(device.port), "--key-file", key)
    said = esquirell("meters", "add", *settings, *SETTINGS, "--label", "Küche 2", "--json")
    assert said.code == 0, said
    assert "no meter is configured" not in said.err
    assert said.json["name"] == "kuche-2" or said.json["name"] == "kueche-2", said.json
    assert said.json["reading"]["energy_import"] == 1064.21


def test_a_meter_that_reports_often_is_published_less_often(home: Home, key: str) -> None:
    home.configure()
    watts = itertools.count(100)
    device = SimulatedMeter("id-main", KEY, "3.4", lambda: DPS | {"133": next(watts)}, report_s=1)
    device.start()
    try:
        settings = ("--device-id", "id-main", "--port", str(device.port), "--key-file", key)
        said = esquirell("meters", "add", "barn", *settings, *SETTINGS)
    finally:
        device.stop()
    assert said.code == 0, said
    assert "publish_every = 10 is set" in said.out
    file = home.path / "data" / "meters" / "barn.toml"
    assert tomllib.loads(file.read_text())["publish_every"] == 10


def test_a_meter_that_refuses_is_not_added(home: Home, device: SimulatedMeter, key: str) -> None:
    home.configure()
    Path(key).write_text("fedcba9876543210\n")
    settings = ("--device-id", "id-main", "--port", str(device.port), "--key-file", key)
    said = esquirell("meters", "add", "barn", *settings, *SETTINGS)
    assert said.code == 1
    assert "take it from the app again" in said.err
    assert not (home.path / "data" / "meters" / "barn.toml").exists()
    assert "fedcba9876543210" not in said.err


def test_in_a_terminal_wrong_answers_are_asked_for_again(
    home: Home, device: SimulatedMeter
) -> None:
    home.configure(MAIN)
    other = simulated("other")
    command = [sys.executable, "-m", "esquirell", "meters"]
    settings = ["--port", str(device.port), *SETTINGS]
    try:
        with Terminal([*command, "add", "--label", "Barn", *settings]) as terminal:
            terminal.answer("Device id (empty: search the network)", "id-main")
            terminal.answer("Take the key from", "typed")
            terminal.answer("Local key", "short")
            terminal.answer("Local key", "fedcba9876543210")
            terminal.answer("Meter name [barn]", "house")
            terminal.answer("Meter name [barn]", "")
            terminal.answer(
                "Meter it is behind, such as the main one (empty: none; house)", "house"
            )
            terminal.answer("Change these answers?", "")
            terminal.answer("Local key (empty: keep it)", KEY)
            for prompt in ("Device id", "Address", "Protocol"):
                terminal.answer(prompt, "")
            assert terminal.finish() == 0
        assert "take it from the app again" in " ".join(terminal.text.split())
        assert KEY not in terminal.text
        new = ["--port", str(other.port), *SETTINGS]
        with Terminal([*command, "exchange", "barn", *new]) as terminal:
            terminal.answer("Device id of the new device", "id-other")
            terminal.answer("Take the key from", "typed")
            terminal.answer("Local key", KEY)
            terminal.answer("Does its counter start again", "")
            assert terminal.finish() == 0
    finally:
        other.stop()
    added = tomllib.loads((home.path / "data" / "meters" / "barn.toml").read_text())
    assert (added["device_id"], added["upstream"]) == ("id-other", "house")


def listed(name: str, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON is anything
    return {
        "name": name,
        "id": "id-main",
        "key": KEY,
        "product_id": "gqmmtjclqb7reg5p",
        "category": "zndb",
        "version": "3.4",
        "mapping": {"101": {"code": "voltage_a", "type": "Integer"}},
    } | fields


def test_a_meter_of_a_devices_json_brings_its_key(home: Home, device: SimulatedMeter) -> None:
    home.configure()
    file = home.path / "devices.json"
    file.write_text(json.dumps([listed("Main"), listed("Other", id="id-other")]))
    said = esquirell("meters", "add", "--from-devices", str(file), "--no-test")
    assert said.code == 2
    assert "--device-id: id-main, id-other" in said.sentence
    said = esquirell(
        *("meters", "add", "--from-devices", str(file), "--device-id", "id-main"),
        *("--address", "127.0.0.1", "--port", str(device.port), "--json"),
    )
    assert said.code == 0, said
    assert said.json["name"] == "main"
    assert KEY not in said.out


@pytest.mark.usefixtures("home")
def test_without_a_configuration_nothing_is_asked_for() -> None:
    with Terminal([sys.executable, "-m", "esquirell", "meters", "add"]) as terminal:
        assert terminal.finish() == 2
    assert terminal.text.startswith("esquirell: there is no configuration")


def test_meters_of_the_configuration_file_are_not_changed(home: Home, key: str) -> None:
    home.configure(f'[[meters]]\nname = "main"\ndevice_id = "id-main"\nlocal_key = "{KEY}"\n')
    for words in (("set", "main", "--label", "x"), ("remove", "main", "--yes")):
        said = esquirell("meters", *words)
        assert said.code == 2
        assert said.sentence.startswith("main is defined in ")
    said = esquirell("meters", "add", "main", "--device-id", "x", "--key-file", key, "--no-test")
    assert said.code == 1
    assert "a meter main exists already" in said.sentence


def test_an_answer_that_is_missing_is_named(home: Home, key: str) -> None:
    home.configure()
    assert "Device id is missing" in esquirell("meters", "add", "barn").err
    said = esquirell(
        *("meters", "add", "barn", "--device-id", "x", "--address", "8.8.8.8", "--key-file", key)
    )
    assert said.code == 2
    assert "address: must be an address of your network" in said.err
