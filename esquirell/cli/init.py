"""`esquirell init`: write a configuration from answers, a devices.json, or a cloud account."""

import os
import socket
import sys
from collections.abc import Callable, Collection, Container, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click
from pydantic import SecretStr

from esquirell.cli import guide
from esquirell.cli.call import Command
from esquirell.cli.checks.machine import exposed
from esquirell.cli.choice import OneOf
from esquirell.cli.meter_names import unknown
from esquirell.cli.output import say, warn
from esquirell.daemon.redis_server import find_redis
from esquirell.domain.errors import ConfigError
from esquirell.domain.hosts import check_peer
from esquirell.domain.meter import LOCAL_KEY_LENGTH, Meter, ProtocolVersion
from esquirell.domain.nearest import similar
from esquirell.domain.numbers import whole
from esquirell.profiles import shipped
from esquirell.settings import MqttSettings, RedisSettings, WebSettings, private_files
from esquirell.settings.devices import read_devices
from esquirell.settings.files import SEARCHED
from esquirell.settings.slugs import LONGEST, slug
from esquirell.settings.urls import EMBEDDED
from esquirell.settings.writing import Answers, compose
from esquirell.settings.zones import machine_zone

if TYPE_CHECKING:
    from esquirell.runtime.unconfigured import Announcement

_FILE = click.Path(dir_okay=False, path_type=Path)
_LAST_PORT = 65535
_PROTOCOLS = get_args(ProtocolVersion)
_LONGEST_ID = 64
OPENING = (
    "This writes {output} and one file for each secret, readable by you only, into {folder}.\n"
    "It asks for {asked}, and checks each answer at once.\n"
    "Ctrl-C writes nothing.\n"
)
OWN_HOSTS = ("localhost", "127.0.0.1", "::1")
BROKER = (
    "MQTT broker: Home Assistant's Mosquitto has the address of Home Assistant, and takes the name "
    "and password of any Home Assistant user."
)
NO_BROKER = "No broker runs on this machine. To install one: sudo apt install mosquitto"
REDIS = ("localhost", 6379)
LOOK_S = 0.5
LISTED = 12
# Set for containers: the file leaves them out, and nobody is asked.
BROKER_GIVEN = "ESQUIRELL_MQTT__HOST"
REDIS_GIVEN = "ESQUIRELL_REDIS__URL"
EVERYWHERE = "0.0.0.0"  # noqa: S104 - if the user wants that, and with a password


@click.command("init", cls=Command)
@click.option(
    "--output", type=_FILE, default=SEARCHED[0], show_default=True, help="The file to write."
)
@click.option(
    "--from-devices", "devices", type=_FILE, help="Take the meters from tinytuya's devices.json."
)
@click.option(
    "--from-cloud",
    "cloud",
    is_flag=True,
    help="Take the meters from an account in the Tuya cloud, and keep the list in devices.json.",
)
@click.option("--force", is_flag=True, help="Overwrite files that exist.")
def init(output: Path, devices: Path | None, cloud: bool, force: bool) -> None:
    """Write a configuration from your answers, tinytuya's devices.json or the Tuya cloud."""
    if not force:
        private_files.refuse_existing([output])
    _refuse_closed(output.absolute().parent)
    if sys.stdin.isatty():
        asked = "your meters" if BROKER_GIVEN in os.environ else "your MQTT broker and your meters"
        say(OPENING.format(output=output, folder=output.absolute().parent, asked=asked))
    if cloud:
        devices = _listed_devices(output, devices, force=force)
    answers = replace(_answers(devices), redis_url=_redis_url())
    files = compose(replace(answers, page_address=_page_address()), output)
    if not force:
        private_files.refuse_existing(files)
    private_files.write(files)
    _report(files, output)


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

    Of a container it is not the question: its ports say who may.
    """
    local = WebSettings().address
    if not sys.stdin.isatty() or BROKER_GIVEN in os.environ:
        return local
    question = "May other machines on your network open the page, with its password?"
    return EVERYWHERE if click.confirm(question, default=False) else local


def _listed_devices(output: Path, devices: Path | None, *, force: bool) -> Path:
    if devices:
        raise click.UsageError("--from-cloud and --from-devices exclude each other: give one")
    file = output.absolute().parent / guide.DEVICES
    if not force:
        private_files.refuse_existing([file])
    guide.write_devices(file)
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
    zone = machine_zone(os.environ)
    if devices:
        meters = _take_over(devices)
        if not sys.stdin.isatty():
            given = BROKER_GIVEN in os.environ
            return Answers(zone, None if given else _default_mqtt(), _ask_upstream(meters))
        mqtt = _mqtt()
        if click.confirm("Read each of them once now?", default=True):
            meters = _read_once(meters)
        return Answers(zone, mqtt, _ask_upstream(meters))
    try:
        return Answers(zone, _mqtt(), _ask_upstream(_ask_meters()))
    except click.Abort:
        if sys.stdin.isatty():
            raise
        raise ConfigError(
            "init asks questions and got no answer: run it in a terminal, or give --from-devices"
        ) from None


def _take_over(devices: Path) -> tuple[Meter, ...]:
    meters, left_out = read_devices(devices)
    for meter in meters:
        say(f"{meter.label or meter.device_id}: added as {meter.name}")
    for name, reason in left_out:
        say(f"{name}: left out, {reason}")
    for finding in exposed(meters, None):
        warn(f"{finding.message} and the keys in it: {finding.remedy}")
    if not meters:
        raise ConfigError(
            f"{devices} holds no energy meter: nothing was written; init without --from-devices "
            "searches the network, and takes keys from a devices.json in this folder"
        )
    return meters


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
    mqtt = _ask_broker(MqttSettings())
    while sys.stdin.isatty() and (trouble := guide.broker_trouble(mqtt)):
        warn(trouble.replace(" in [mqtt]", ""))  # the file is not written yet
        if mqtt.host in OWN_HOSTS and not _listens(mqtt.host, mqtt.port):
            say(NO_BROKER)
        if not click.confirm("Change these answers?", default=True):
            break
        mqtt = _ask_broker(mqtt)
    else:
        if sys.stdin.isatty():
            say(f"MQTT: the broker at {mqtt.host}:{mqtt.port} accepts these answers")
    return mqtt


def _ask_broker(before: MqttSettings) -> MqttSettings:
    host = click.prompt("MQTT host", default=before.host, value_proc=_host)
    port = click.prompt("MQTT port", default=before.port, value_proc=_port)
    none = "" if before.username else " (empty: none)"
    username = click.prompt(
        f"MQTT user{none}", default=before.username, show_default=bool(before.username)
    )
    password = _ask_secret("MQTT password", str, "") if username else ""
    return MqttSettings(host=host, port=port, username=username, password=SecretStr(password))


def _ask_meters() -> tuple[Meter, ...]:
    meters = [_ask_meter(())]
    while click.confirm("Another meter?", default=False):
        meters.append(_ask_meter([meter.name for meter in meters]))
    return tuple(meters)


def _ask_upstream(meters: tuple[Meter, ...]) -> tuple[Meter, ...]:
    """Ask which meter measures what the others measure, too: else a house counts it twice."""
    names = [meter.name for meter in meters]
    if len(names) < 2:  # noqa: PLR2004 - one alone is behind nothing
        return meters
    if not sys.stdin.isatty():
        say('Set upstream = "NAME" for those behind another meter: a house would count them twice')
        return meters
    listed = ", ".join(names[:LISTED]) + (", …" if len(names) > LISTED else "")
    say(f"Which one measures the whole house, including the others: {listed}?")

    def one_of_them(text: str) -> str:
        if text and text not in names:
            raise click.UsageError(unknown(text, names))
        return text

    main = click.prompt(
        "Its name (empty: none of them)", "", value_proc=one_of_them, show_default=False
    )
    return tuple(
        meter if meter.name == main else meter.model_copy(update={"upstream": main})
        for meter in meters
    )


def _ask_meter(taken: Container[str]) -> Meter:
    name = _ask_name(taken)
    if not sys.stdin.isatty():
        return _ask_rest(name, click.prompt("Device id", value_proc=_device_id))
    typed = click.prompt(
        "Device id (empty: search the network)", "", value_proc=_any_id, show_default=False
    )
    found = None if typed else guide.choose()
    device_id = typed or (found and found.device_id)
    device_id = device_id or click.prompt("Device id", value_proc=_device_id)
    return _read_once([_ask_rest(name, device_id, found)])[0]


def _read_once(meters: Sequence[Meter]) -> tuple[Meter, ...]:
    """Read meters; where one does not answer, ask for what its read depends on, and try again."""
    tried = guide.try_out(meters)
    return tuple(
        _corrected(meter) if meter in tried.failed else tried.settled(meter) for meter in meters
    )


def _corrected(meter: Meter) -> Meter:
    while click.confirm(f"Change the answers for {meter.title}?", default=True):
        meter = _ask_again(meter)
        tried = guide.try_out([meter])
        if not tried.failed:
            return tried.settled(meter)
    return meter


def _ask_again(meter: Meter) -> Meter:
    """Ask again for what a read depends on; an empty key keeps the one before."""
    device_id = click.prompt("Device id", meter.device_id, value_proc=_device_id)
    address = click.prompt("Address on your network", meter.address, value_proc=_host)
    key = _ask_secret("Local key (empty: keep it)", lambda text: text and _local_key(text), "")
    protocol = click.prompt("Protocol", meter.protocol, type=OneOf(_PROTOCOLS))
    changes = {"device_id": device_id, "address": address, "protocol": protocol}
    return meter.model_copy(update=changes | ({"local_key": SecretStr(key)} if key else {}))


def _ask_rest(name: str, device_id: str, found: "Announcement | None" = None) -> Meter:
    """Ask for the rest, with what a search has found as the defaults."""
    heard = found.address if found else None
    address = click.prompt("Address on your network", heard, value_proc=_host)
    key = guide.known_key(device_id) if found else None
    protocol = (found and found.protocol) or "auto"
    product_id = found.product_id if found else ""
    return Meter(
        name=name,
        device_id=device_id,
        address=address,
        local_key=SecretStr(key or _ask_secret("Local key", _local_key)),
        protocol=click.prompt("Protocol", default=protocol, type=OneOf(_PROTOCOLS)),
        profile=_ask_profile(),
        product_id=product_id,
    )


def _ask_name(taken: Container[str]) -> str:
    def unique(text: str) -> str:
        if text != slug(text):
            raise click.UsageError(f"a name holds a-z, 0-9, _ and - only, at most {LONGEST}")
        if text in taken:
            raise click.UsageError("another meter has this name")
        return text

    default = None if "main" in taken else "main"
    return click.prompt("Meter name", default=default, value_proc=unique)


def _ask_profile() -> str:
    known = ["auto", *shipped()]

    def one_of_ours(text: str) -> str:
        if text not in known:
            meant = similar(text, known)
            hint = f"did you mean {meant!r}?" if meant else "auto detects it"
            raise click.UsageError(f"there is no profile {text!r}; {hint}")
        return text

    say("Product: auto goes by what the meter answers; esquirell profiles list shows all")
    return click.prompt("Product", default="auto", value_proc=one_of_ours)


def _ask_secret(text: str, check: Callable[[str], str], default: str | None = None) -> str:
    # Piped answers are not shown anyway, and hiding them would ask the terminal instead.
    hidden = sys.stdin.isatty()
    return click.prompt(text, default, hide_input=hidden, value_proc=check, show_default=False)


def _any_id(text: str) -> str:
    return _device_id(text) if text.strip() else ""


def _host(text: str) -> str:
    try:
        return check_peer(text)
    except ValueError as error:
        raise click.UsageError(f"it {error}") from error


def _port(text: str | int) -> int:
    number = whole(text)
    if number is None or not 1 <= number <= _LAST_PORT:
        raise click.UsageError(f"a port is a whole number from 1 to {_LAST_PORT}")
    return number


def _device_id(text: str) -> str:
    if len(text.strip()) not in range(1, _LONGEST_ID + 1):
        raise click.UsageError(f"a device id has 1 to {_LONGEST_ID} characters")
    return text.strip()


def _local_key(text: str) -> str:
    if len(text) != LOCAL_KEY_LENGTH:
        raise click.UsageError(
            f"a local key has {LOCAL_KEY_LENGTH} characters, this one has {len(text)}"
        )
    return text


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
