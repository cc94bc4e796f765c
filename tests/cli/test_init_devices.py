"""`esquirell init` with devices that are known already, or are found."""

import itertools
import json
import os
import re
import stat
import subprocess
import tomllib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner
from support.configuration import KEY
from support.docs import ROOT
from support.init_command import COMMAND, FIRST, names, put_devices, refusal, run
from support.mosquitto import Mosquitto
from support.ports import free_port
from support.terminal import Terminal
from support.tuya_broadcasts import Broadcaster
from support.tuya_cloud import API_KEY, API_SECRET, TuyaCloud, device

from esquirell.cli import guide, init
from esquirell.cli.scan import ScanResult
from esquirell.domain.errors import MeterError
from esquirell.settings import load
from esquirell.tuya.discovery.listener import Announcement, Ports
from esquirell.tuya.simulator import SimulatedMeter

# What a metering plug answers.
PLUG = {"1": True, "9": 0, "17": 12, "18": 512, "19": 1170, "20": 2310, "21": 1, "26": 0}


def test_devices_of_tinytuya_become_meters(folder: Path) -> None:
    result = run("--from-devices", str(put_devices(folder)))
    assert result.exit_code == 0
    lines = result.output.splitlines(keepends=True)
    assert [line for line in lines if line.startswith("Redis: ")]
    assert "".join(line for line in lines if not line.startswith("Redis: ")).startswith(
        "Küche Steckdose: added as kueche-steckdose\n"
        "Lamp: left out, none of its datapoints measures electricity\n"
        "MQTT: localhost:1883 without a password; change it under [mqtt]\n"
        "Written, readable by you only: kueche-steckdose.key, esquirell.toml\n"
    )
    (meter,) = load(None, {}).meters
    assert (meter.name, meter.label, meter.profile) == (
        "kueche-steckdose",
        "Küche Steckdose",
        "plug",
    )
    assert meter.local_key.get_secret_value() == KEY
    assert meter.mapping_file == folder / "devices.json"
    text = tomllib.loads((folder / "esquirell.toml").read_text())
    assert text["meters"][0]["mapping_file"] == "devices.json"


def test_for_the_service_the_list_is_kept_beside_its_configuration(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    etc = folder / "etc"
    monkeypatch.setattr(init, "SERVICE_FOLDER", etc)
    listed = put_devices(folder)
    result = run("--from-devices", str(listed), "--output", str(etc / "esquirell.toml"))
    assert result.exit_code == 0
    listed.unlink()
    (meter,) = load(etc / "esquirell.toml", {}).meters
    assert meter.mapping_file == etc / "devices.json"
    assert stat.S_IMODE(meter.mapping_file.stat().st_mode) == 0o600


def test_a_meter_behind_a_gateway_is_written_with_it(folder: Path) -> None:
    gateway = {"id": "bfgw", "name": "Gateway", "key": KEY, "ip": "192.168.1.9", "version": "3.4"}
    child = {"id": "bf09", "name": "Attic", "category": "zndb", "mapping": {}, "sub": True}
    child |= {"parent": "bfgw", "node_id": "a4c1380123456789"}
    (folder / "devices.json").write_text(json.dumps([gateway, child]))
    assert run("--from-devices", "devices.json").exit_code == 0
    (meter,) = load(folder / "esquirell.toml", {}).meters
    assert (meter.name, meter.address) == ("attic", "192.168.1.9")
    assert (meter.gateway, meter.cid) == ("bfgw", "a4c1380123456789")


def test_a_list_of_keys_that_others_can_read_is_named(folder: Path) -> None:
    file = put_devices(folder)
    assert "other users" not in run("--from-devices", str(file)).output
    file.chmod(0o644)
    said = "".join(run("--from-devices", str(file), "--force").output.split())
    assert f"otheruserscanread{file}andthekeysinit:chmod600{file}" in said


def test_an_account_in_the_cloud_becomes_meters(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lamp = device("bf02", name="Lamp", category="dj", product_id="lamp", specification={})
    with TuyaCloud(device(), lamp, device("bf03", name="Fridge", sub=True)) as cloud:
        monkeypatch.setenv("ESQUIRELL_CLOUD__URL", cloud.url)
        result = run("--from-cloud", answers=["", API_KEY, API_SECRET])
        assert (result.exit_code, cloud.asked["/v1.0/devices/bf03"]) == (0, 0)
    (meter,) = load(folder / "esquirell.toml", {}).meters
    assert (meter.name, meter.label, meter.address) == ("plug", "Plug", "auto")
    assert meter.local_key.get_secret_value() == "cloud$key=(6789a"
    assert "Lamp: left out" in result.output
    assert "gateway" in result.output
    assert "cloud$key=(6789a" not in result.output
    assert stat.S_IMODE((folder / "devices.json").stat().st_mode) == 0o600


def test_a_cloud_that_refuses_writes_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with TuyaCloud(device()) as cloud:
        monkeypatch.setenv("ESQUIRELL_CLOUD__URL", cloud.url)
        result = run("--from-cloud", answers=["eu", API_KEY, "wrong"])
    assert isinstance(result.exception, MeterError)
    assert list(folder.iterdir()) == []


def test_a_list_of_devices_is_not_overwritten(folder: Path) -> None:
    put_devices(folder)
    sentence = refusal("--from-cloud")
    assert "devices.json already exists" in sentence
    assert sentence.endswith(f"--from-devices {folder}/devices.json takes what it lists")
    assert run("--from-cloud", "--from-devices", "devices.json").exit_code == 2


def test_devices_without_a_meter_write_nothing(folder: Path) -> None:
    file = folder / "devices.json"
    file.write_text("[]")
    sentence = refusal("--from-devices", str(file))
    assert sentence.startswith(f"{file} holds no energy meter: nothing was written; init without")
    assert names(folder) == ["devices.json"]


@pytest.mark.usefixtures("own_ports")
def test_a_key_of_the_list_that_is_refused_is_asked_for_again(
    folder: Path, broker: Mosquitto
) -> None:
    house = {"id": "bf07", "name": "House", "key": "another-key-1234", "ip": "127.0.0.1"}
    house |= {"product_id": "gqmmtjclqb7reg5p"}
    (folder / "devices.json").write_text(json.dumps([house]))
    device = SimulatedMeter("bf07", KEY, "3.4", lambda: {"101": 2361}, port=6668)
    device.start()
    try:
        with Terminal([*COMMAND, "--from-devices", "devices.json"]) as terminal:
            for prompt, answer in (
                ("MQTT host", "127.0.0.1"),
                ("MQTT port", str(broker.port)),
                ("MQTT user", ""),
                ("Read each of them once now?", ""),
                ("Change the answers for House?", ""),
                ("Device id", ""),
                ("Address", ""),
                ("Local key", KEY),
                ("Protocol", "3.4"),
                ("May other machines on your network open the page", ""),
            ):
                terminal.answer(prompt, answer)
            assert terminal.finish() == 0
    finally:
        device.stop()
    assert "check its local_key" in " ".join(terminal.text.split())
    assert re.search(r"^Voltage +236\.1 ", terminal.text, re.MULTILINE)
    (meter,) = load(folder / "esquirell.toml", {}).meters
    assert (meter.local_key.get_secret_value(), meter.protocol) == (KEY, "3.4")


def test_in_a_container_the_environment_sets_the_servers(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_devices(folder)
    monkeypatch.setenv("ESQUIRELL_MQTT__HOST", "mosquitto")
    monkeypatch.setenv("ESQUIRELL_REDIS__URL", "redis://redis:6379/0")
    with Terminal([*COMMAND, "--from-devices", "devices.json"]) as terminal:
        terminal.answer("Read each of them once now?", "n")
        assert terminal.finish() == 0
    assert "It asks for your meters, and checks" in terminal.text
    assert "MQTT: set by ESQUIRELL_MQTT__HOST in the environment" in terminal.text
    assert "docker compose restart worker beat bridge web" in " ".join(terminal.text.split())
    written = tomllib.loads((folder / "esquirell.toml").read_text())
    assert {"mqtt", "redis", "web", "timezone"}.isdisjoint(written)
    assert load(folder / "esquirell.toml").mqtt.host == "mosquitto"


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is closed to root")
def test_a_folder_that_is_closed_is_named_before_the_first_question(folder: Path) -> None:
    put_devices(folder)
    folder.chmod(0o500)
    assert refusal("--from-devices", "devices.json").startswith(f"{folder} can't be written")


def put_two_devices(folder: Path) -> None:
    file = put_devices(folder)
    (plug, lamp) = json.loads(file.read_text())
    house = plug | {"name": "House", "id": "bf02"}
    file.write_text(json.dumps([house, plug, lamp]))


def test_meters_behind_the_main_one_are_not_counted_twice(folder: Path) -> None:
    put_two_devices(folder)
    with Terminal([*COMMAND, "--from-devices", "devices.json"]) as terminal:
        terminal.answer("MQTT host", "127.0.0.1")
        terminal.answer("MQTT port", str(free_port()))
        terminal.answer("MQTT user", "")
        terminal.answer("Change these answers?", "n")
        terminal.answer("Read each of them once now?", "n")
        terminal.answer("Which one measures the whole house", "main")
        terminal.answer("there is no meter 'main'; known: house, kueche-steckdose", "house")
        terminal.answer("May other machines on your network open the page", "")
        assert terminal.finish() == 0
    meters = load(folder / "esquirell.toml", {}).meters
    assert {one.name: one.upstream for one in meters} == {"house": "", "kueche-steckdose": "house"}


def test_a_spreadsheet_of_many_meters_is_taken_over_as_documented(folder: Path) -> None:
    page = (ROOT / "docs/how-to/find-meters.md").read_text()
    columns = page.partition("```csv\n")[2].partition("\n")[0]
    kinds = ("zndb", "cz")
    rows = (f"Flat {n},bf{n:018d},{KEY},192.168.1.{n + 2},{kinds[n % 2]}\n" for n in range(60))
    (folder / "meters.csv").write_text(f"{columns}\n{''.join(rows)}")
    command = next(line for line in page.splitlines() if line.startswith("python3 -c"))
    subprocess.run(["/bin/sh", "-c", command], check=True)
    result = run("--from-devices", "devices.json")
    assert result.exit_code == 0
    assert "60 files with keys (*.key)" in result.output
    meters = load(folder / "esquirell.toml", {}).meters
    assert (len(meters), meters[59].name, meters[59].address) == (60, "flat-59", "192.168.1.61")


def test_without_a_terminal_it_says_what_to_do_about_that(folder: Path) -> None:
    put_two_devices(folder)
    result = run("--from-devices", "devices.json")
    assert result.exit_code == 0
    assert 'Set upstream = "NAME"' in result.output
    assert [one.upstream for one in load(None, {}).meters] == ["", ""]


@pytest.mark.usefixtures("own_ports")
def put_list(folder: Path, plugs: Mapping[str, str]) -> Path:
    """Write the maker's list of plugs, by name and address, whose mappings were not downloaded."""
    known = {"key": KEY, "category": "cz", "product_id": "unknown", "version": "3.4"}
    listed = [
        known | {"name": name, "id": f"bf-{name}", "ip": address} for name, address in plugs.items()
    ]
    (folder / "devices.json").write_text(json.dumps(listed))
    return Path("devices.json")


def put_entries(folder: Path, plugs: Mapping[str, str]) -> Path:
    """Write Home Assistant's settings of Tuya Local, with devices by name and address."""
    known = {"local_key": KEY, "protocol_version": 3.4, "type": "smartplugv2"}
    entries = [
        {
            "domain": "tuya_local",
            "title": name,
            "data": known | {"device_id": f"bf-{name}", "host": address},
            "options": {},
        }
        for name, address in plugs.items()
    ]
    file = folder / "core.config_entries"
    file.write_text(json.dumps({"key": "core.config_entries", "data": {"entries": entries}}))
    return Path(file.name)


@pytest.mark.parametrize("put", [put_list, put_entries])
def test_devices_of_which_the_list_says_nothing_are_taken_if_they_measure(
    folder: Path, broker: Mosquitto, put: Callable[[Path, Mapping[str, str]], Path]
) -> None:
    answers = {"Fridge": PLUG, "Radio": {"1": True, "9": 0}}
    addresses = {name: f"127.0.0.{number}" for number, name in enumerate(answers, 1)}
    file = put(folder, addresses | {"Bell": "127.0.0.7", "Door": "127.0.0.8"})
    plugs = [
        SimulatedMeter(f"bf-{name}", KEY, "3.4", partial(dict, dps), addresses[name], 6668)
        for name, dps in answers.items()
    ]
    for plug in plugs:
        plug.start()
    try:
        with Terminal([*COMMAND, "--from-devices", str(file)]) as terminal:
            terminal.answer("MQTT host", "127.0.0.1")
            terminal.answer("MQTT port", str(broker.port))
            terminal.answer("MQTT user", "")
            terminal.answer("Read each of them once now?", "")
            terminal.answer("2 devices could not be read", "")
            terminal.answer("May other machines", "")
            assert terminal.finish() == 0
    finally:
        for plug in plugs:
            plug.stop()
    assert re.search(r"^Voltage +231\.0 ", terminal.text, re.MULTILINE)
    said = " ".join(terminal.text.split())
    assert "Radio: left out, nothing in its answer is known as a mea" in said
    assert "Door: left out, as it could not be read" in said
    assert f"meters add --from-devices {file}" in said
    (meter,) = load(folder / "esquirell.toml", {}).meters
    assert (meter.name, meter.address) == ("fridge", "127.0.0.1")


def put_plugs(folder: Path) -> None:
    """Write the maker's list of a meter and two plugs whose mappings were not downloaded."""
    known = {"key": KEY, "category": "cz", "product_id": "unknown", "ip": "127.0.0.1"}
    plugs = [known | {"name": name, "id": f"bf-{name}"} for name in ("Radio", "Lamp")]
    house = known | {"name": "House", "id": "bf01", "category": "zndb"}
    (folder / "devices.json").write_text(json.dumps([house, *plugs]))


def test_plugs_that_were_not_read_are_left_out_and_named(folder: Path) -> None:
    put_plugs(folder)
    result = run("--from-devices", "devices.json")
    assert result.exit_code == 0
    assert [one.name for one in load(None, {}).meters] == ["house"]
    said = " ".join(result.output.split())
    for name in ("Radio", "Lamp"):
        assert f"{name}: left out, as it was not read; if it measures: " in said
        assert f"meters add --from-devices devices.json --device-id bf-{name}`" in said
        assert f"{name}: added" not in said


def test_plugs_are_left_out_when_reading_is_declined(folder: Path) -> None:
    put_plugs(folder)
    with Terminal(COMMAND) as terminal:
        terminal.answer("Take the meters from devices.json?", "")
        terminal.answer("MQTT host", "127.0.0.1")
        terminal.answer("MQTT port", str(free_port()))
        terminal.answer("MQTT user", "")
        terminal.answer("Change these answers?", "n")
        terminal.answer("Read each of them once now?", "n")
        terminal.answer("May other machines on your network open the page", "")
        assert terminal.finish() == 0
    assert "Radio: left out, as it was not read" in " ".join(terminal.text.split())
    assert [one.name for one in load(folder / "esquirell.toml", {}).meters] == ["house"]


def test_a_list_of_unread_plugs_only_writes_nothing(folder: Path) -> None:
    put_plugs(folder)
    (folder / "devices.json").write_text(
        json.dumps(json.loads((folder / "devices.json").read_text())[1:])
    )
    assert "run init in a terminal and let it read each once" in refusal(
        "--from-devices", "devices.json"
    )
    assert names(folder) == ["devices.json"]


@pytest.mark.usefixtures("own_ports")
def test_from_a_search_to_the_first_reading(folder: Path, broker: Mosquitto) -> None:
    listed = [{"id": FIRST, "name": "House", "key": "another-key-1234"}]
    (folder / "devices.json").write_text(json.dumps(listed))
    volts = itertools.count(2361)
    device = SimulatedMeter(FIRST, KEY, "3.4", lambda: {"101": next(volts)}, port=6668, report_s=1)
    device.start()
    try:
        with Broadcaster(Ports(), FIRST, "3.4"), Terminal(COMMAND) as terminal:
            terminal.answer("Take the meters from devices.json?", "n")
            for prompt, answer in (("MQTT host", "127.0.0.1"), ("MQTT port", str(broker.port))):
                terminal.answer(prompt, answer)
            for prompt in ("MQTT user", "Device id"):
                terminal.answer(prompt, "")
            terminal.answer("Which one", "1")
            for prompt in (
                *("Address", "Protocol", "Product", "Meter name"),
                "Change the answers for main",
            ):
                terminal.answer(prompt, "")
            for prompt in ("Device id", "Address"):
                terminal.answer(prompt, "")
            assert "local_key" in terminal.text
            terminal.answer("Local key", KEY)
            for prompt in (
                "Protocol",
                "Another meter",
                "May other machines on your network open the page",
            ):
                terminal.answer(prompt, "")
            assert terminal.finish() == 0
    finally:
        device.stop()
    assert re.search(r"^Voltage +236\.\d ", terminal.text, re.MULTILINE)
    assert "publish_every = 10 is set" in terminal.text
    (meter,) = load(folder / "esquirell.toml", {}).meters
    assert (meter.device_id, meter.address, meter.protocol) == (FIRST, "127.0.0.1", "3.4")
    assert meter.local_key.get_secret_value() == KEY
    assert meter.product_id == "gqmmtjclqb7reg5p"
    assert meter.publish_every == 10


@pytest.mark.usefixtures("folder", "own_ports")
def test_a_search_that_found_nothing_can_be_repeated(broker: Mosquitto) -> None:
    with Terminal(COMMAND) as terminal:
        for prompt, answer in (("MQTT host", "127.0.0.1"), ("MQTT port", str(broker.port))):
            terminal.answer(prompt, answer)
        for prompt in ("MQTT user", *2 * ("Device id (empty: search the network)",)):
            terminal.answer(prompt, "")
        terminal.answer("Device id (empty: search the network)", "bf01")
        terminal.answer("Address on your network", "127.0.0.63")


def test_a_device_that_was_found_alone_is_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Announcement(FIRST, "192.168.1.50", "3.4")
    monkeypatch.setattr(guide, "listen", lambda _seconds: ScanResult({FIRST: found}, ""))
    with CliRunner().isolation(input="\n"):
        assert guide.choose() == found
