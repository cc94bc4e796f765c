import os
import re
import stat
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner
from support.configuration import KEY
from support.init_command import COMMAND, names, put_devices, refusal, run
from support.mosquitto import Mosquitto, set_password
from support.ports import free_port
from support.terminal import Terminal

from esquirell.cli import guide
from esquirell.cli.systemd.layout import CONFIGURATION
from esquirell.settings import load

NOBODY = 65534
BROKER = ["broker.lan", "1884", "esquirell", "p@ss $#='("]
METER = ["bf0123456789abcdefghij", "192.168.1.50", KEY, "3.4", "owon_pc321", "main"]
ANSWERS = [*BROKER, *METER, "n"]


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


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_root_writes_belongs_to_the_owner_of_the_folder(folder: Path) -> None:
    os.chown(folder, NOBODY, NOBODY)
    assert run(answers=ANSWERS).exit_code == 0
    assert {(folder / name).stat().st_uid for name in names(folder)} == {NOBODY}


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
    run(answers=["", "", "", "bf01", "", KEY, "", "plug", "", ""])
    settings = load(folder / "esquirell.toml", {})
    assert (settings.mqtt.host, settings.mqtt.port, settings.mqtt.username) == (
        "localhost",
        1883,
        "",
    )
    (meter,) = settings.meters
    assert (meter.name, meter.address, meter.protocol) == ("main", "auto", "auto")


def test_an_mqtt_user_may_have_no_password(folder: Path) -> None:
    assert run(answers=["", "", "u", "", *METER, "n"]).exit_code == 0
    assert load(folder / "esquirell.toml", {}).mqtt.username == "u"
    assert names(folder) == ["esquirell.toml", "main.key"]


def test_more_meters_are_asked_for_and_have_names_of_their_own(folder: Path) -> None:
    second = ["bf9876543210abcdefghij", *METER[1:], "attic"]
    result = run(answers=[*BROKER, *METER, "y", *second, "n"])
    assert "Error: another meter has this name" in result.output
    assert [meter.name for meter in load(folder / "esquirell.toml", {}).meters] == [
        "main",
        "attic",
    ]


@pytest.mark.parametrize(
    ("position", "wrong", "said"),
    [
        (0, "http://broker/", "it must be a name or an address only"),
        (1, "70000", "a port is a whole number from 1 to 65535"),
        (1, "mqtt", "a port is a whole number from 1 to 65535"),
        (9, "***", "a name needs a letter from a to z, or a digit"),
        (4, " ", "a device id has 1 to 64 characters"),
        (4, "bf01 23456789", "a device id has no blanks: copy it again"),
        (5, "192.168.1.500", "it must be four numbers from 0 to 255"),
        (6, KEY[:-1], "a local key has 16 characters, this one has 15"),
        (7, "4", "; auto finds it out"),
        (8, "toaster", "no profile has this name; auto detects it"),
        (8, "brekaer", "no profile has this name; did you mean 'breaker'?"),
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


def test_pasted_quotation_marks_and_blanks_are_no_part_of_an_id_or_a_key(folder: Path) -> None:
    answers = [f'"{METER[0]}"', METER[1], f" '{KEY}' ", *METER[3:]]
    assert run(answers=[*BROKER, *answers, "n"]).exit_code == 0
    (meter,) = load(folder / "esquirell.toml", {}).meters
    assert (meter.device_id, meter.local_key.get_secret_value()) == (METER[0], KEY)


def test_a_name_with_other_letters_becomes_the_label(folder: Path) -> None:
    result = run(answers=[*BROKER, *METER[:-1], "Küche", "n"])
    assert "It is shown as Küche, and called kueche in commands and MQTT topics" in result.output
    (meter,) = load(folder / "esquirell.toml", {}).meters
    assert (meter.name, meter.label) == ("kueche", "Küche")


def test_nothing_that_exists_is_overwritten(folder: Path) -> None:
    (folder / "esquirell.toml").write_text("mine")
    assert refusal() == (
        "esquirell.toml already exists: --force overwrites it; esquirell meters add adds a meter"
    )
    assert names(folder) == ["esquirell.toml"]
    assert (folder / "esquirell.toml").read_text() == "mine"


def test_no_key_that_exists_is_overwritten(folder: Path) -> None:
    (folder / "main.key").write_text("mine")
    sentence = refusal(answers=ANSWERS)
    assert sentence == "main.key already exists: --force overwrites it"
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
    answers = {
        "MQTT host": "127.0.0.1",
        "MQTT port": str(broker.port),
        "MQTT user": "esquirell",
        "MQTT password": BROKER[-1],
        "Device id": "id-main",
        "Address": "127.0.0.63",  # other tests have a device at 127.0.0.1, port 6668
        "Take the key from": "typed",
        "Local key": KEY,
        "Protocol": "3.4",
        "Product": "owon_pc321",
        "Meter name": "main",
        "Change the answers for main": "n",
        "Another meter": "n",
        "May other machines on your network open the page": "y",
    }
    with Terminal(COMMAND) as terminal:
        for prompt, answer in answers.items():
            terminal.answer(prompt, answer)
        assert terminal.finish() == 0
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
        assert "sudo systemctl start mosquitto" in " ".join(terminal.text.split())
        for prompt, answer in (("MQTT host", ""), ("MQTT port", str(broker.port))):
            terminal.answer(prompt, answer)
        terminal.answer("MQTT user", "")
        terminal.answer("Read each of them once now?", "n")
        terminal.answer("May other machines on your network open the page", "")
        assert terminal.finish() == 0
    assert f"the broker at 127.0.0.1:{broker.port} accepts these answers" in terminal.text
    mqtt = load(folder / "esquirell.toml", {}).mqtt
    assert (mqtt.host, mqtt.port) == ("127.0.0.1", broker.port)


@pytest.mark.parametrize("right", [True, False])
def test_of_a_broker_that_refuses_the_login_only_the_login_is_asked_again(
    folder: Path, broker: Mosquitto, right: bool
) -> None:
    put_devices(folder)
    set_password(folder / "passwd", "house", "right")
    broker.configure(["allow_anonymous false", f"password_file {folder / 'passwd'}"])
    broker.restart()
    with Terminal([*COMMAND, "--from-devices", "devices.json"]) as terminal:
        for prompt, answer in (("MQTT host", "127.0.0.1"), ("MQTT port", str(broker.port))):
            terminal.answer(prompt, answer)
        for answer in ("wrong", "right" if right else "wrong"):
            terminal.answer("MQTT user", "house")
            terminal.answer("MQTT password", answer)
            # Who changes nothing is not asked forever.
            if not right or answer == "wrong":
                terminal.answer("Change these answers?", "")
        terminal.answer("Read each of them once now?", "n")
        terminal.answer("May other machines on your network open the page", "")
        assert terminal.finish() == 0
    assert terminal.text.count("MQTT host") == terminal.text.count("MQTT port") == 1
    assert ("stays as you answered" in terminal.text) is not right
    mqtt = load(folder / "esquirell.toml", {}).mqtt
    assert mqtt.password.get_secret_value() == ("right" if right else "wrong")


@pytest.mark.parametrize("text", ["v3.4", " 3.4 "])
def test_a_protocol_may_be_written_as_people_write_it(folder: Path, text: str) -> None:
    answers = [*METER[:3], text, *METER[4:]]
    assert run(answers=[*BROKER, *answers, "n"]).exit_code == 0
    assert load(folder / "esquirell.toml", {}).meters[0].protocol == "3.4"


def test_a_key_at_another_question_is_not_repeated(folder: Path) -> None:
    answers = [*METER[:3], KEY, METER[3], KEY, *METER[4:]]
    result = run(answers=[*BROKER, *answers, "n"])
    assert result.exit_code == 0
    assert names(folder)
    assert "auto finds it out" in result.output
    assert "no profile has this name" in result.output
    assert f"{KEY!r}" not in result.output


def test_where_the_key_is_asked_for_it_may_be_pasted(folder: Path) -> None:
    too_long = f"{KEY}x"
    with CliRunner().isolation(input=f"{too_long}\n{KEY}\n") as (_, _out, shown):
        assert guide.known_key("bf01") == KEY
        assert not names(folder)
        said = shown.getvalue().decode()
    refusals = [line for line in said.splitlines() if line.startswith("Error")]
    assert refusals == [
        "Error: answer app, cloud, typed, or paste the key itself: it has 16 characters"
    ]


def test_leaving_the_questions_writes_nothing(folder: Path) -> None:
    with Terminal(COMMAND) as terminal:
        terminal.answer("MQTT host", "\x04")
        assert terminal.finish() == 1
        assert "esquirell: stopped" in terminal.text
        assert "Traceback" not in terminal.text
    assert names(folder) == []


def test_beside_an_installed_service_the_next_step_is_to_start_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(guide, "installed_unit", lambda: "esquirell.service")
    guide.next_steps(CONFIGURATION)
    said = capsys.readouterr().out
    assert "  sudo systemctl restart esquirell.service\n" in said
    assert "systemd install" not in said
