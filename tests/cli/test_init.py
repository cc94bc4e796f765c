import contextlib
import itertools
import json
import re
import stat
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from support.configuration import KEY
from support.mosquitto import Mosquitto
from support.ports import free_port
from support.service import simulated
from support.terminal import Terminal
from support.tuya_broadcasts import Broadcaster
from support.tuya_cloud import API_KEY, API_SECRET, TuyaCloud, device

from esquirell.cli.init import init
from esquirell.domain.errors import ConfigError, MeterError
from esquirell.settings import load
from esquirell.tuya.discovery.listener import Ports
from esquirell.tuya.simulator import SimulatedMeter

BROKER = ["broker.lan", "1884", "esquirell", "p@ss $#='("]
METER = ["main", "bf0123456789abcdefghij", "192.168.1.50", KEY, "3.4", "owon_pc321"]
ANSWERS = [*BROKER, *METER, "n"]
FIRST = "0bf0123456789"  # the first in a list, whoever else is heard
COMMAND = [sys.executable, "-m", "esquirell", "init"]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    with contextlib.chdir(tmp_path):
        yield tmp_path


def run(*arguments: str, answers: Sequence[str] = ()) -> Result:
    text = "".join(f"{answer}\n" for answer in answers)
    return CliRunner().invoke(init, arguments, input=text, env={"TZ": "Europe/Warsaw"})


def refusal(*arguments: str, answers: Sequence[str] = ()) -> str:
    """Return the sentence of the error, which whoever calls the command shows."""
    error = run(*arguments, answers=answers).exception
    assert isinstance(error, ConfigError)
    return str(error)


def put_devices(folder: Path) -> Path:
    plug = {"18": "cur_current", "19": "cur_power", "20": "cur_voltage"}
    mapping = {dp: {"code": code, "type": "Integer", "values": {}} for dp, code in plug.items()}
    known = {"id": "bf01", "key": KEY, "ip": "192.168.1.50", "version": "3.3", "category": "cz"}
    devices = [
        known | {"name": "Küche Steckdose", "mapping": mapping, "product_id": "abc"},
        known | {"name": "Lamp", "mapping": {"20": {"code": "switch_led"}}, "category": "dj"},
    ]
    file = folder / "devices.json"
    file.write_text(json.dumps(devices))
    file.chmod(0o600)
    return file


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_answers_become_a_configuration(folder: Path) -> None:
    result = run(answers=ANSWERS)
    assert result.exit_code == 0
    settings = load(None, {})
    assert settings.warnings == ()
    assert settings.timezone == "Europe/Warsaw"
    assert (settings.mqtt.host, settings.mqtt.port) == ("broker.lan", 1884)
    assert settings.mqtt.username == "esquirell"
    assert settings.mqtt.password.get_secret_value() == "p@ss $#='("
    (meter,) = settings.meters
    assert (meter.name, meter.address, meter.protocol) == ("main", "192.168.1.50", "3.4")
    assert meter.profile == "owon_pc321"
    assert meter.local_key.get_secret_value() == KEY
    assert names(folder) == ["esquirell.toml", "main.key", "mqtt-password"]


def test_all_that_is_written_is_private(folder: Path) -> None:
    run(answers=ANSWERS)
    modes = {stat.S_IMODE((folder / name).stat().st_mode) for name in names(folder)}
    assert modes == {0o600}


def test_it_ends_with_the_next_command(folder: Path) -> None:
    result = run(answers=ANSWERS)
    written = "Written, readable by you only: main.key, mqtt-password, esquirell.toml\n\nNext:\n"
    assert written in result.output
    steps = [line for line in result.output.splitlines() if re.match("  [^ ]", line)]
    assert [line.split()[-1] for line in steps[:3]] == ["doctor", "run", "password"]
    assert steps[3].endswith(f" systemd install --config {folder}/esquirell.toml")
    result = run("--output", "my etc/house.toml", answers=ANSWERS)
    assert " --config 'my etc/house.toml' doctor\n" in result.output
    assert load(folder / "my etc/house.toml", {}).meters[0].name == "main"


def test_empty_answers_are_the_defaults(folder: Path) -> None:
    run(answers=["", "", "", "", "bf01", "192.168.1.9", KEY, "", "plug", ""])
    settings = load(folder / "esquirell.toml", {})
    assert (settings.mqtt.host, settings.mqtt.port, settings.mqtt.username) == (
        "localhost",
        1883,
        "",
    )
    (meter,) = settings.meters
    assert (meter.name, meter.address, meter.protocol) == ("main", "192.168.1.9", "auto")


def test_an_mqtt_user_may_have_no_password(folder: Path) -> None:
    assert run(answers=["", "", "u", "", *METER, "n"]).exit_code == 0
    assert load(folder / "esquirell.toml", {}).mqtt.username == "u"
    assert names(folder) == ["esquirell.toml", "main.key"]


def test_more_meters_are_asked_for_and_have_names_of_their_own(folder: Path) -> None:
    second = ["main", "attic", "bf9876543210abcdefghij", *METER[2:]]
    result = run(answers=[*BROKER, *METER, "y", *second, "n"])
    assert "Error: another meter has this name" in result.output
    assert [meter.name for meter in load(folder / "esquirell.toml", {}).meters] == [
        "main",
        "attic",
    ]


@pytest.mark.parametrize(
    ("position", "wrong", "said"),
    [
        (1, "70000", "70000 is not in the range"),
        (4, "Main meter", "a name holds a-z, 0-9, _ and - only, at most 64"),
        (5, " ", "a device id has 1 to 64 characters"),
        (7, KEY[:-1], "a local key has 16 characters, this one has 15"),
        (8, "4", "'4' is not one of"),
        (9, "toaster", "'toaster' is not one of"),
    ],
)
def test_a_wrong_answer_is_asked_for_again(
    folder: Path, position: int, wrong: str, said: str
) -> None:
    answers = [*ANSWERS[:position], wrong, *ANSWERS[position:]]
    result = run(answers=answers)
    assert said in result.output
    assert result.exit_code == 0
    assert load(folder / "esquirell.toml", {}).meters[0].local_key.get_secret_value() == KEY


def test_devices_of_tinytuya_become_meters(folder: Path) -> None:
    result = run("--from-devices", str(put_devices(folder)))
    assert result.exit_code == 0
    lines = result.output.splitlines(keepends=True)
    assert [line for line in lines if line.startswith("Redis: ")]
    assert "".join(line for line in lines if not line.startswith("Redis: ")).startswith(
        "Küche Steckdose: added as kueche-steckdose\n"
        "Lamp: left out, it has no datapoint that measures electricity\n"
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
    assert "devices.json exists" in refusal("--from-cloud")
    assert run("--from-cloud", "--from-devices", "devices.json").exit_code == 2


def test_devices_without_a_meter_write_nothing(folder: Path) -> None:
    file = folder / "devices.json"
    file.write_text("[]")
    sentence = refusal("--from-devices", str(file))
    assert sentence == f"{file} holds no energy meter: nothing was written"
    assert names(folder) == ["devices.json"]


def test_nothing_that_exists_is_overwritten(folder: Path) -> None:
    (folder / "esquirell.toml").write_text("mine")
    assert refusal() == "esquirell.toml exists and is left as it is: --force overwrites it"
    assert names(folder) == ["esquirell.toml"]
    assert (folder / "esquirell.toml").read_text() == "mine"


def test_no_key_that_exists_is_overwritten(folder: Path) -> None:
    (folder / "main.key").write_text("mine")
    sentence = refusal(answers=ANSWERS)
    assert sentence == "main.key exists and is left as it is: --force overwrites it"
    assert names(folder) == ["main.key"]


def test_force_overwrites(folder: Path) -> None:
    for name in ("esquirell.toml", "main.key", "mqtt-password"):
        (folder / name).write_text("mine")
    assert run("--force", answers=ANSWERS).exit_code == 0
    assert load(folder / "esquirell.toml", {}).warnings == ()


@pytest.mark.parametrize("answered", range(len(ANSWERS)))
def test_without_all_answers_nothing_is_written(folder: Path, answered: int) -> None:
    sentence = refusal(answers=ANSWERS[:answered])
    assert sentence == (
        "init asks questions and got no answer: run it in a terminal, or give --from-devices"
    )
    assert names(folder) == []


def test_a_real_process_takes_piped_answers(folder: Path) -> None:
    text = "".join(f"{answer}\n" for answer in ANSWERS)
    done = subprocess.run(
        COMMAND,
        input=text.encode(),
        capture_output=True,
        timeout=60,
        check=True,
        start_new_session=True,  # without a terminal that could be asked instead
    )
    assert done.stderr == b""
    assert KEY.encode() not in done.stdout
    assert names(folder) == ["esquirell.toml", "main.key", "mqtt-password"]


def test_in_a_terminal_secrets_are_not_shown(folder: Path, broker: Mosquitto) -> None:
    meter = simulated()
    answers = {
        "MQTT host": "127.0.0.1",
        "MQTT port": str(broker.port),
        "MQTT user": "esquirell",
        "MQTT password": BROKER[-1],
        "Meter name": "main",
        "Device id": "id-main",
        "Address": "127.0.0.1",
        "Local key": KEY,
        "Protocol": "3.4",
        "Product": "owon_pc321",
        "Change these answers": "n",  # its port is not the one of Tuya devices
        "Another meter": "n",
        "May other machines on your network open the page": "y",
    }
    try:
        with Terminal(COMMAND) as terminal:
            for prompt, answer in answers.items():
                terminal.answer(prompt, answer)
            assert terminal.finish() == 0
    finally:
        meter.stop()
    assert "Ctrl-C writes nothing" in terminal.text
    assert KEY not in terminal.text
    assert BROKER[-1] not in terminal.text
    settings = load(folder / "esquirell.toml", {})
    assert settings.mqtt.password.get_secret_value() == BROKER[-1]
    assert settings.web.address == "0.0.0.0"


def test_a_broker_that_does_not_answer_is_asked_for_again(folder: Path, broker: Mosquitto) -> None:
    put_devices(folder)
    with Terminal([*COMMAND, "--from-devices", "devices.json"]) as terminal:
        for prompt, answer in (("MQTT host", "127.0.0.1"), ("MQTT port", str(free_port()))):
            terminal.answer(prompt, answer)
        terminal.answer("MQTT user", "")
        terminal.answer("Change these answers?", "y")
        assert "Connection refused" in " ".join(terminal.text.split())
        for prompt, answer in (("MQTT host", ""), ("MQTT port", str(broker.port))):
            terminal.answer(prompt, answer)
        terminal.answer("MQTT user", "")
        terminal.answer("Read each of them once now?", "n")
        terminal.answer("May other machines on your network open the page", "")
        assert terminal.finish() == 0
    mqtt = load(folder / "esquirell.toml", {}).mqtt
    assert (mqtt.host, mqtt.port) == ("127.0.0.1", broker.port)


def put_two_devices(folder: Path) -> None:
    file = put_devices(folder)
    (plug, lamp) = json.loads(file.read_text())
    house = plug | {"name": "House", "id": "bf02"}
    file.write_text(json.dumps([house, plug, lamp]))


def test_what_is_behind_the_main_meter_is_not_counted_twice(folder: Path) -> None:
    put_two_devices(folder)
    with Terminal([*COMMAND, "--from-devices", "devices.json"]) as terminal:
        terminal.answer("MQTT host", "127.0.0.1")
        terminal.answer("MQTT port", str(free_port()))
        terminal.answer("MQTT user", "")
        terminal.answer("Change these answers?", "n")
        terminal.answer("Read each of them once now?", "n")
        terminal.answer("Which one measures the whole house", "house")
        terminal.answer("May other machines on your network open the page", "")
        assert terminal.finish() == 0
    meters = load(folder / "esquirell.toml", {}).meters
    assert {one.name: one.upstream for one in meters} == {"house": "", "kueche-steckdose": "house"}


def test_without_a_terminal_it_says_what_to_do_about_that(folder: Path) -> None:
    put_two_devices(folder)
    result = run("--from-devices", "devices.json")
    assert result.exit_code == 0
    assert 'Set upstream = "NAME"' in result.output
    assert [one.upstream for one in load(None, {}).meters] == ["", ""]


def test_leaving_the_questions_writes_nothing(folder: Path) -> None:
    with Terminal(COMMAND) as terminal:
        terminal.answer("MQTT host", "\x04")
        assert terminal.finish() == 1
        assert "esquirell: stopped" in terminal.text
        assert "Traceback" not in terminal.text
    assert names(folder) == []


@pytest.mark.usefixtures("own_ports")
def test_from_a_search_to_the_first_reading(folder: Path, broker: Mosquitto) -> None:
    listed = [{"id": FIRST, "name": "House", "key": "another-key-1234"}]
    (folder / "devices.json").write_text(json.dumps(listed))
    volts = itertools.count(2361)
    device = SimulatedMeter(FIRST, KEY, "3.4", lambda: {"101": next(volts)}, port=6668, report_s=1)
    device.start()
    try:
        with Broadcaster(Ports(), FIRST, "3.4"), Terminal(COMMAND) as terminal:
            for prompt, answer in (("MQTT host", "127.0.0.1"), ("MQTT port", str(broker.port))):
                terminal.answer(prompt, answer)
            for prompt in ("MQTT user", "Meter name", "Device id"):
                terminal.answer(prompt, "")
            terminal.answer("Which one", "1")
            for prompt in ("Address", "Protocol", "Product", "Change these answers"):
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
    assert "reports by itself every few seconds: publish_every = 10 is set" in terminal.text
    (meter,) = load(folder / "esquirell.toml", {}).meters
    assert (meter.device_id, meter.address, meter.protocol) == (FIRST, "127.0.0.1", "3.4")
    assert meter.local_key.get_secret_value() == KEY
    assert meter.product_id == "gqmmtjclqb7reg5p"
    assert meter.publish_every == 10
