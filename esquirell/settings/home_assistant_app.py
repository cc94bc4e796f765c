"""Settings in a Home Assistant app: its options, and the Supervisor's MQTT broker.

The Supervisor writes the options to `options.json` in the state directory before each start. They
override the configuration file; the defaults of an app fill what the file leaves out.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from esquirell.domain.errors import ConfigError
from esquirell.domain.record import record
from esquirell.settings.environment import Assignment
from esquirell.settings.layers import Table

TOKEN = "SUPERVISOR_TOKEN"  # noqa: S105 - the variable's name
OPTIONS_FILE = "options.json"
BROKER_FILE = "mqtt-broker.json"
# The host name of the app "Mosquitto broker".
MOSQUITTO = "core-mosquitto"
EVERYWHERE = "0.0.0.0"  # noqa: S104 - only with a port and a password of the user's

NO_BROKER = (
    'Home Assistant has no MQTT broker: install and start the app "Mosquitto broker"; until then '
    "readings are stored and shown on the page only"
)
NO_METER = "no meter is configured yet: open the page of this app in Home Assistant and add one"

# The options of the app, and the settings that they set.
OPTIONS: Mapping[str, tuple[str, str]] = {
    "log_level": ("log", "level"),
    "mqtt_host": ("mqtt", "host"),
    "mqtt_port": ("mqtt", "port"),
    "mqtt_username": ("mqtt", "username"),
    "mqtt_password": ("mqtt", "password"),
    "mqtt_tls": ("mqtt", "tls"),
    "cloud_region": ("cloud", "region"),
    "cloud_api_key": ("cloud", "api_key"),
    "cloud_api_secret": ("cloud", "api_secret"),
    "page_port": ("web", "port"),
    "page_password": ("web", "password"),
}
# With one of these, the file or the options name a broker of the user's choice.
_CHOOSE_BROKER = frozenset({"host", "username", "password", "password_file"})


@record
class App:
    """What Home Assistant provides: the options that are set, and its broker, if there is one."""

    options: list[Assignment]
    broker: Table | None

    def complete(self, tables: Table) -> Iterator[str]:
        """Fill in the defaults of an app in the tables of a file; yield warnings."""
        tables.setdefault("redis", {}).setdefault("url", "embedded")
        tables.setdefault("web", {}).setdefault("port", 0)
        mqtt = tables.setdefault("mqtt", {})
        chosen = {option.key for option in self.options if option.table == ("mqtt",)} | mqtt.keys()
        if chosen & _CHOOSE_BROKER:
            mqtt.setdefault("host", MOSQUITTO)
            return
        if self.broker is None:
            yield NO_BROKER
        mqtt.update(self.broker or {"host": MOSQUITTO})


def state_dir_of(environ: Mapping[str, str]) -> Path | None:
    """Return the state directory of the app; None outside of Home Assistant."""
    folder = environ.get("STATE_DIRECTORY")
    if not folder or not environ.get(TOKEN):
        return None
    return Path(folder) if (Path(folder) / OPTIONS_FILE).is_file() else None


def read(environ: Mapping[str, str]) -> App | None:
    """Read the options and the broker; None outside of Home Assistant. Raises ConfigError."""
    folder = state_dir_of(environ)
    if folder is None:
        return None
    given = {
        name: value
        for name, value in _object(folder / OPTIONS_FILE).items()
        if value not in (None, "")
    }
    broker = folder / BROKER_FILE
    return App(list(_assignments(given)), _object(broker) if broker.exists() else None)


def _assignments(given: Mapping[str, Any]) -> Iterator[Assignment]:
    for name, value in given.items():
        if name not in OPTIONS:
            raise ConfigError(
                f"option {name} is unknown to this version: update the app, or remove the option"
            )
        section, key = OPTIONS[name]
        yield Assignment(f"option {name}", (section,), key, value)
    if "page_port" in given:
        if "page_password" not in given:
            raise ConfigError("option page_port needs page_password: set one to log in with")
        yield Assignment("option page_port", ("web",), "address", EVERYWHERE)


def _object(file: Path) -> Table:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except PermissionError as error:
        raise ConfigError(
            f"{file} can't be read by this user: use sudo, or run as its owner"
        ) from error
    except (OSError, ValueError) as error:
        raise ConfigError(f"{file} can't be read ({error}): restart the app") from error
    if not isinstance(found, dict):
        raise ConfigError(f"{file} must contain a JSON object: save the app's configuration again")
    return found
