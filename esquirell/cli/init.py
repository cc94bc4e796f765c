"""`esquirell init`: write a configuration from answers, a devices.json, or an account at Tuya."""

import os
import shlex
import socket
import sys
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

import click
from pydantic import SecretStr

from esquirell.cli import accounts, guide
from esquirell.cli.call import Command
from esquirell.cli.checks.machine import exposed
from esquirell.cli.invocation import as_typed
from esquirell.cli.meter_questions import (
    LISTED,
    ask_meters,
    ask_secret,
    ask_upstream,
    checked_host,
    read_once,
)
from esquirell.cli.output import say, warn
from esquirell.cli.ownership import give_to_owner_of_folder
from esquirell.daemon.redis_server import find_redis, find_server
from esquirell.domain.errors import ConfigError
from esquirell.domain.meter import Meter
from esquirell.domain.numbers import whole
from esquirell.settings import MqttSettings, RedisSettings, WebSettings, private_files
from esquirell.settings.devices import DeviceList, read_devices
from esquirell.settings.files import SEARCHED, SERVICE_FOLDER
from esquirell.settings.urls import EMBEDDED
from esquirell.settings.writing import Answers, compose
from esquirell.settings.zones import machine_zone

_FILE = click.Path(dir_okay=False, path_type=Path)
_LAST_PORT = 65535
OPENING = (
    "This writes {output} and one file for each secret, readable by you only, into {folder}.\n"
    "It asks for {asked}, and checks each answer at once.\n"
    "Ctrl-C writes nothing{but}.\n"
)
OWN_HOSTS = ("localhost", "127.0.0.1", "::1")
BROKER = (
    "MQTT broker: Home Assistant's Mosquitto has the address of Home Assistant, and takes the name "
    "and password of any Home Assistant user."
)
NO_BROKER = "No broker runs on this machine. To install one: sudo apt install mosquitto"
IDLE_BROKER = (
    "Mosquitto is installed, but does not run. To start it: sudo systemctl start mosquitto"
)
REDIS = ("localhost", 6379)
LOOK_S = 0.5
# Set for containers: the file leaves them out, and they are not asked for.
BROKER_GIVEN = "ESQUIRELL_MQTT__HOST"
REDIS_GIVEN = "ESQUIRELL_REDIS__URL"
EVERYWHERE = "0.0.0.0"  # noqa: S104 - if the user wants that, and with a password


@click.command("init", cls=Command)
@click.option(
    "--output", type=_FILE, default=SEARCHED[0], show_default=True, help="The file to write."
)
@click.option(
    "--from-devices",
    "devices",
    type=_FILE,
    help="Take the meters from tinytuya's devices.json, or Home Assistant's core.config_entries.",
)
@click.option(
    "--from-cloud",
    "cloud",
    is_flag=True,
    help="Take the meters from an account in the Tuya cloud, and keep the list in devices.json.",
)
@click.option(
    "--from-app",
    "app",
    is_flag=True,
    help="Take the meters from your app, which scans a QR code, and keep the list in devices.json.",
)
@click.option("--force", is_flag=True, help="Overwrite files that exist.")
def init(output: Path, devices: Path | None, cloud: bool, app: bool, force: bool) -> None:
    """Write a configuration from your answers, your app, a devices.json or the Tuya cloud."""
    if [bool(devices), cloud, app].count(True) > 1:
        raise click.UsageError("--from-devices, --from-cloud and --from-app exclude each other")
    if not force:
        private_files.refuse_existing([output], "; esquirell meters add adds a meter")
    _refuse_closed(output.absolute().parent)
    if sys.stdin.isatty():
        asked = "your meters" if BROKER_GIVEN in os.environ else "your MQTT broker and your meters"
        but = f" but {guide.DEVICES}" if cloud or app else ""
        folder = output.absolute().parent
        say(OPENING.format(output=output, folder=folder, asked=asked, but=but))
    if not (devices or cloud or app):
        devices = _offered_list()
    if cloud or app:
        devices = _listed_devices(output, "app" if app else "cloud", force=force)
    answers = replace(_answers(devices), redis_url=_redis_url())
    answers, copies = _kept_beside(answers, output.absolute().parent)
    files = copies | compose(replace(answers, page_address=_page_address()), output)
    if not force:
        private_files.refuse_existing(files)
    private_files.write(files)
    give_to_owner_of_folder(files)
    _report(files, output)


def _offered_list() -> Path | None:
    """Return the list of devices in this folder, if the user wants its meters."""
    if not sys.stdin.isatty() or not guide.DEVICES.is_file():
        return None
    wanted = click.confirm(f"Take the meters from {guide.DEVICES}?", default=True)
    return guide.DEVICES if wanted else None


def _kept_beside(answers: Answers, folder: Path) -> tuple[Answers, dict[Path, str | Path]]:
    """Return the lists of devices to copy beside a service's configuration, and the meters' paths.

    The service's user can't read home directories.
    """
    if folder != SERVICE_FOLDER:
        return answers, {}
    known = {meter.mapping_file for meter in answers.meters if meter.mapping_file}
    meters = tuple(
        meter.model_copy(update={"mapping_file": folder / meter.mapping_file.name})
        if meter.mapping_file
        else meter
        for meter in answers.meters
    )
    copies: dict[Path, str | Path] = {
        folder / file.name: file for file in known if file.parent != folder
    }
    return replace(answers, meters=meters), copies


def _refuse_closed(folder: Path) -> None:
    """Raise ConfigError before the first question, rather than after the last."""
    if folder.exists() and not os.access(folder, os.W_OK | os.X_OK):
        owner = f"{os.getuid()}:{os.getgid()}"
        remedy = (
            f"on the host, hand the folder over (chown -R {owner} config), or set ESQUIRELL_USER "
            "in .env to its owner"
            if BROKER_GIVEN in os.environ
            else "call init in a folder of your own, or name another file with --output"
        )
        raise ConfigError(f"{folder} can't be written by this user: {remedy}")


def _page_address() -> str:
    """Ask whether the whole network may see the page; without a terminal, nobody else may.

    A container is not asked: its published ports decide.
    """
    local = WebSettings().address
    if not sys.stdin.isatty() or BROKER_GIVEN in os.environ:
        return local
    question = "May other machines on your network open the page, with its password?"
    return EVERYWHERE if click.confirm(question, default=False) else local


def _listed_devices(output: Path, way: accounts.Way, *, force: bool) -> Path:
    file = output.absolute().parent / guide.DEVICES
    if not force:
        instead = f", and --from-devices {shlex.quote(str(file))} takes what it lists"
        private_files.refuse_existing([file], instead)
    accounts.write_devices(file, way)
    give_to_owner_of_folder([file])
    return file


def _redis_url() -> str | None:
    """Return the Redis of this machine if there is one, else one of our own; None: it is given."""
    if REDIS_GIVEN in os.environ:
        say(f"Redis: set by {REDIS_GIVEN} in the environment")
        return None
    if not _listens(*REDIS):
        _say_which_starts()
        return EMBEDDED
    say("Redis: the one that runs on this machine is used")
    return RedisSettings().url


def _listens(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), LOOK_S).close()
    except OSError:
        return False
    return True


def _say_which_starts() -> None:
    try:
        find_redis()
    except ConfigError as error:
        warn(f"Redis: none runs here, and none can be started: {error}")
    else:
        say("Redis: none runs here, so `esquirell run` starts its own")


def _answers(devices: Path | None) -> Answers:
    # A container has it from .env, at each start anew.
    zone = None if BROKER_GIVEN in os.environ else machine_zone(os.environ)
    if devices:
        listed = _take_over(devices)
        if not sys.stdin.isatty():
            meters = _described(devices, listed)
            given = BROKER_GIVEN in os.environ
            return Answers(zone, None if given else _default_mqtt(), ask_upstream(meters))
        mqtt = _mqtt()
        if click.confirm("Read each of them once now?", default=True):
            meters = read_once(listed.meters, listed.undescribed - listed.by_hand)
            if len(meters) < len(listed.meters):
                add = shlex.join(["--from-devices", str(devices)])
                say(f"To add one of those later: {as_typed(f'`esquirell meters add {add}`')}")
            _refuse_none(devices, meters)
        else:
            meters = _described(devices, listed)
        return Answers(zone, mqtt, ask_upstream(meters))
    try:
        return Answers(zone, _mqtt(), ask_upstream(ask_meters()))
    except click.Abort:
        if sys.stdin.isatty():
            raise
        raise ConfigError(
            "init asks questions and got no answer: run it in a terminal, or give --from-devices"
        ) from None


def _take_over(devices: Path) -> DeviceList:
    """Return the devices of a list that may be meters, and say what became of each."""
    listed = read_devices(devices)
    for meter in listed.meters:
        if meter.name in listed.undescribed:
            say(f"{meter.title}: the list does not say whether it measures")
        else:
            say(f"{meter.label or meter.device_id}: added as {meter.name}")
    for name, reason in listed.left_out:
        say(f"{name}: left out, {reason}")
    for finding in exposed(listed.meters, None):
        warn(f"{finding.message} and the keys in it: {finding.remedy}")
    _refuse_none(devices, listed.meters)
    return listed


def _described(devices: Path, listed: DeviceList) -> tuple[Meter, ...]:
    """Leave out devices that were not read: one without a measurement would never have values."""
    doubtful = listed.undescribed - listed.by_hand
    if len(doubtful) == len(listed.meters):
        raise ConfigError(
            f"{devices} does not say of any of its devices whether it measures: nothing was "
            "written; run init in a terminal and let it read each once, or download the mappings "
            "with tinytuya's wizard"
        )
    for meter in listed.meters:
        if meter.name in doubtful:
            add = shlex.join(["--from-devices", str(devices), "--device-id", meter.device_id])
            remedy = as_typed(f"`esquirell meters add {add}`")
            say(f"{meter.title}: left out, as it was not read; if it measures: {remedy}")
        elif meter.name in listed.undescribed:
            say(f"{meter.title}: added as {meter.name}, but not read")
    return tuple(meter for meter in listed.meters if meter.name not in doubtful)


def _refuse_none(devices: Path, meters: Sequence[Meter]) -> None:
    if not meters:
        raise ConfigError(
            f"{devices} holds no energy meter: nothing was written; init without --from-devices "
            "searches the network, and takes keys from a devices.json in this folder"
        )


def _default_mqtt() -> MqttSettings:
    mqtt = MqttSettings()
    say(f"MQTT: {mqtt.host}:{mqtt.port} without a password; change it under [mqtt]")
    return mqtt


def _mqtt() -> MqttSettings | None:
    """Return the broker that is asked for; None where it is given."""
    if BROKER_GIVEN in os.environ:
        say(f"MQTT: set by {BROKER_GIVEN} in the environment")
        return None
    return _ask_mqtt()


def _ask_mqtt() -> MqttSettings:
    if sys.stdin.isatty():
        say(BROKER)
    before, mqtt = None, _ask_broker(MqttSettings())
    while sys.stdin.isatty() and (trouble := guide.broker_trouble(mqtt)):
        sentence, login_refused = trouble
        warn(sentence.replace(" in [mqtt]", ""))  # the file is not written yet
        if mqtt.host in OWN_HOSTS and not _listens(mqtt.host, mqtt.port):
            say(NO_BROKER if find_server(("mosquitto",)) is None else IDLE_BROKER)
        if not click.confirm("Change these answers?", default=mqtt != before):
            say(f"MQTT: {mqtt.host}:{mqtt.port} stays as you answered; change it under [mqtt]")
            break
        before, mqtt = mqtt, _ask_login(mqtt) if login_refused else _ask_broker(mqtt)
    else:
        if sys.stdin.isatty():
            say(f"MQTT: the broker at {mqtt.host}:{mqtt.port} accepts these answers")
    return mqtt


def _ask_broker(before: MqttSettings) -> MqttSettings:
    """Ask for a broker and its login."""
    host = click.prompt("MQTT host", default=before.host, value_proc=checked_host)
    port = click.prompt("MQTT port", default=before.port, value_proc=_port)
    return _ask_login(before.model_copy(update={"host": host, "port": port}))


def _ask_login(before: MqttSettings) -> MqttSettings:
    """Ask for user and password, with what was answered before as the default."""
    none = "" if before.username else " (empty: none)"
    username = click.prompt(
        f"MQTT user{none}", default=before.username, show_default=bool(before.username)
    )
    password = ask_secret("MQTT password", str) if username else ""
    return before.model_copy(update={"username": username, "password": SecretStr(password)})


def _port(text: str | int) -> int:
    number = whole(text)
    if number is None or not 1 <= number <= _LAST_PORT:
        raise click.UsageError(f"a port is a whole number from 1 to {_LAST_PORT}")
    return number


def _report(files: Collection[Path], output: Path) -> None:
    keys = [path for path in files if path.suffix == ".key"]
    named = [str(path) for path in files if len(keys) <= LISTED or path not in keys]
    if len(keys) > LISTED:
        named.append(f"{len(keys)} files with keys (*.key)")
    say(f"Written, readable by you only: {', '.join(named)}")
    if BROKER_GIVEN in os.environ:
        say("\nNext: restart the services: docker compose restart worker beat bridge web")
    else:
        guide.next_steps(output)
