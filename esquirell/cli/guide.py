"""The guided part of `esquirell init`: search, try each answer at once, show the next steps."""

import logging
import shlex
import shutil
import tempfile
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from esquirell.cli import accounts
from esquirell.cli.call import Between
from esquirell.cli.invocation import program
from esquirell.cli.mqtt import LEAVE_S, reach
from esquirell.cli.output import print_table, say, warn
from esquirell.cli.scan import COLUMNS, NOTHING, SECONDS, described, listen
from esquirell.cli.systemd.layout import CONFIGURATION, Layout
from esquirell.cli.systemd.machine import ALL_IN_ONE, Machine
from esquirell.cli.values import print_grid
from esquirell.domain.errors import ConfigError, EsquirellError, MeterError
from esquirell.domain.meter import CALM_PUBLISH_EVERY_S, LOCAL_KEY_LENGTH, Meter, key_as_pasted
from esquirell.domain.raw_datapoints import Question
from esquirell.domain.record import record
from esquirell.profiles import Choices
from esquirell.settings import MqttSettings
from esquirell.settings.devices import key_of
from esquirell.settings.files import SEARCHED

if TYPE_CHECKING:
    from esquirell.runtime.unconfigured import Announcement

DEVICES = Path("devices.json")
KEY_HELP = """\
The meter must be paired with the app Tuya Smart or Smart Life. Its local key, once, from:
  app    scan a QR code with that app: a minute
  cloud  a project on Tuya's developer platform: ten minutes, step by step in \
docs/how-to/local-key.md
  typed  another program has it already"""

_WAYS = ("app", "cloud", "typed")

REPORTS_OFTEN = (
    "{names}: reports every few seconds, so publish_every = 10 is set: Home Assistant would "
    "otherwise store several hundred thousand rows a day of each meter"
)


def choose() -> "Announcement | None":
    """Search the network and let the user choose a device; None if there is none to choose."""
    try:
        found = listen(SECONDS)
    except EsquirellError as error:
        warn(str(error))
        return None
    devices = list(found.devices.values())
    if not devices:
        warn(found.trouble or NOTHING)
        return None
    rows = [described(device) for device in devices]
    cells = [[str(number), *row.values()] for number, row in enumerate(rows, 1)]
    print_table(("no.", *COLUMNS), cells)
    only = 1 if len(devices) == 1 else None
    number = click.prompt("Which one (0: none of them)", only, type=Between(0, len(devices)))
    return devices[number - 1] if number else None


def known_key(device_id: str) -> str | None:
    """Return the local key of a device from a devices.json in this folder, or from an account."""
    key = _listed_key(device_id)
    if key:
        say(f"Local key: taken from {DEVICES}")
        return key
    say(KEY_HELP)
    way: str = click.prompt("Take the key from", default="app", value_proc=_way_or_key)
    if way == "typed":
        return None
    if way in _WAYS:
        return accounts.key_of(device_id, "app" if way == "app" else "cloud")
    return way


def _way_or_key(text: str) -> str:
    """Return a way to get a key, or the pasted key; what is refused is never shown."""
    way = text.strip()
    if way in _WAYS or len(way := key_as_pasted(text)) == LOCAL_KEY_LENGTH:
        return way
    raise click.UsageError(
        f"answer {', '.join(_WAYS)}, or paste the key itself: it has {LOCAL_KEY_LENGTH} characters"
    )


def broker_trouble(mqtt: MqttSettings) -> tuple[str, bool] | None:
    """Try to log in to a broker; return why it fails, and whether the login is why; None if not."""
    # Only the interactive questions need it.
    from esquirell.runtime.unconfigured import connection  # noqa: PLC0415

    # What the connection logs is returned, in words.
    logging.getLogger("esquirell.mqtt").setLevel(logging.CRITICAL)
    tried = connection(mqtt)
    tried.start()
    trouble = reach(tried)
    tried.stop(LEAVE_S)
    return (trouble, tried.login_refused) if trouble else None


@record
class TryOut:
    """The result of reading meters once: those that failed, and the names of some others.

    `valueless` answered without a known measurement; `reporting` report often.
    """

    failed: Sequence[Meter] = ()
    valueless: Collection[str] = ()
    reporting: Collection[str] = ()

    def settled(self, meter: Meter) -> Meter:
        """Return a meter with `publish_every` if it reports often."""
        if meter.name not in self.reporting:
            return meter
        return meter.model_copy(update={"publish_every": CALM_PUBLISH_EVERY_S})


def try_out(meters: Sequence[Meter]) -> TryOut:
    """Read each meter once and show its values, or why there are none; listen for reports."""
    # Only the interactive questions need it.
    from esquirell.runtime.unconfigured import Trial  # noqa: PLC0415

    failed, valueless = [], []
    with tempfile.TemporaryDirectory() as folder, Trial(Path(folder), Path(folder)) as trial:
        for meter in meters:
            say(f"Reading {meter.title} …")
            try:
                if not _show(meter, dict(trial.read(Question(meter)).values)):
                    valueless.append(meter.name)
            except MeterError as error:
                warn(str(error))
                failed.append(meter)
        reporting = trial.reporting()
    if reporting:
        say(REPORTS_OFTEN.format(names=", ".join(sorted(reporting))))
    return TryOut(failed, valueless, reporting)


def next_steps(output: Path) -> None:
    """Show what to do with the configuration that was written."""
    unit = installed_unit() if output.absolute() == CONFIGURATION else None
    steps = _steps_of_service(unit) if unit else _steps_in_folder(output)
    click.echo("\nNext:")
    for step, purpose in steps.items():
        # A command stays on one line so that it can be copied.
        click.echo(f"  {step}")
        say(f"      {purpose}")


def _steps_of_service(unit: str) -> dict[str, str]:
    return {
        f"sudo systemctl restart {unit}": "starts the service with it",
        "sudo esquirell doctor": "checks everything and says what to do",
        "sudo esquirell web password": "shows the password of the page",
    }


def _steps_in_folder(output: Path) -> dict[str, str]:
    command = program()
    option = "" if output in SEARCHED else f" --config {shlex.quote(str(output))}"
    everywhere = shutil.which(command[0]) or command[0]
    typed = shlex.join(command)
    for_root = shlex.join([str(Path(everywhere).absolute()), *command[1:]])
    return {
        f"{typed}{option} doctor": "checks everything and says what to do",
        f"{typed}{option} run": (
            "reads, stores and publishes until Ctrl-C, and says where its page is. In Home "
            "Assistant the meters appear under Settings > Devices & services > MQTT"
        ),
        f"{typed}{option} web password": "shows the password of the page",
        f"sudo {for_root} systemd install --config {shlex.quote(str(output.absolute()))}": (
            "starts it with this machine from now on"
        ),
    }


def installed_unit() -> str | None:
    """Return the unit that starts with this machine, if the service is installed here."""
    from esquirell.cli.systemd import installing  # noqa: PLC0415 - few have one already

    layout = Layout()
    if not (layout.packaged.exists() or (layout.units / ALL_IN_ONE).exists()):
        return None
    return installing.present_unit(Machine(layout))


def _show(meter: Meter, dps: dict[str, object]) -> bool:
    """Show the values of a meter; return whether there are any."""
    decoded = Choices().decode(meter, dps)
    print_grid(decoded.values)
    if not decoded.values:
        say(
            f"  It answers, but none of its datapoints is known as a measurement: {len(dps)} "
            "datapoints. Its product id or a devices.json helps; so does a profile of your own"
        )
    return bool(decoded.values)


def _listed_key(device_id: str) -> str | None:
    try:
        return key_of(DEVICES, device_id)
    except ConfigError:
        return None
