"""Writing a commented configuration for a user, with its secrets in files of their own.

Not re-exported by the package: only the command line writes, and a service need not load tomlkit.
"""

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import AoT, Table

from esquirell.domain.errors import ConfigError
from esquirell.domain.meter import Meter
from esquirell.domain.record import record
from esquirell.settings import files, private_files
from esquirell.settings.sections import MqttSettings, RedisSettings, WebSettings

_HEAD = """\
# The configuration of esquirell, written by `esquirell init`.
# Settings that are not listed have their defaults: see config/esquirell.example.toml.

"""
_TAIL = """
# Without a schedule all meters are read every 60 seconds. To read them every 10:
#[[schedules]]
#name = "fetch"
#every = 10
"""
_COMMENTS = {
    "url": '"embedded": `esquirell run` starts its own',
    "name": "history and topics depend on it: keep it when you replace a broken device",
    "address": "on your network; let the router always assign the same one",
    "gateway": "the meter is read through this device: address, key and protocol are the gateway's",
    "protocol": '3.1 to 3.5; "auto": detected at the first connection',
    "upstream": "this meter measures its energy as well; it is not counted twice",
    "publish_every": "seconds; it reports more often, and Home Assistant would store every message",
    "profile": 'what its datapoints mean; "auto": detected from product, mapping or answer',
}
_PAGE_COMMENTS = {"address": 'the whole network can open the page; "127.0.0.1": only this machine'}
_PASSWORD_FILE = "mqtt-password"  # noqa: S105 - the name of a file


@record
class Answers:
    """The user's answers; None is left out of the file, for example if the environment sets it."""

    timezone: str | None
    mqtt: MqttSettings | None
    meters: tuple[Meter, ...]
    redis_url: str | None = RedisSettings().url
    page_address: str = WebSettings().address


def compose(answers: Answers, target: Path) -> dict[Path, str]:
    """Return the files of a configuration, by path: those with secrets first, `target` last."""
    folder = target.parent
    files = {
        folder / _key_file(meter): _line(meter.local_key.get_secret_value())
        for meter in answers.meters
    }
    if answers.mqtt and answers.mqtt.password.get_secret_value():
        files[folder / _PASSWORD_FILE] = _line(answers.mqtt.password.get_secret_value())
    return files | {target: _document(answers, folder.absolute())}


def to_toml(tables: Mapping[str, Any]) -> str:
    """Return tables as TOML."""
    return tomlkit.dumps(tables)


def _document(answers: Answers, folder: Path) -> str:
    document = tomlkit.document()
    if answers.timezone:
        document.add("timezone", tomlkit.item(answers.timezone))
    if folder == files.SERVICE_FOLDER:
        document.add("state_dir", tomlkit.item(files.SERVICE_STATE))
    if answers.redis_url:
        document.add("redis", _table({"url": answers.redis_url}))
    if answers.mqtt:
        document.add("mqtt", _table(_mqtt(answers.mqtt)))
    if answers.page_address != WebSettings().address:
        document.add("web", _table({"address": answers.page_address}, _PAGE_COMMENTS))
    meters = tomlkit.aot()
    for meter in answers.meters:
        meters.append(_table(_meter(meter, folder)))
    document.add("meters", meters)
    return _HEAD + tomlkit.dumps(document) + _TAIL


def _table(said: Mapping[str, str | int], comments: Mapping[str, str] = _COMMENTS) -> Table:
    table = tomlkit.table()
    for key, value in said.items():
        if value == "":
            continue
        item = tomlkit.item(value)
        table.add(key, item.comment(comments[key]) if key in comments else item)
    return table


def _mqtt(mqtt: MqttSettings) -> dict[str, str | int]:
    secret = mqtt.password.get_secret_value()
    return {
        "host": mqtt.host,
        "port": mqtt.port,
        "username": mqtt.username,
        "password_file": _PASSWORD_FILE if secret else "",
    }


def _meter(meter: Meter, folder: Path) -> dict[str, str | int]:
    return {
        "name": meter.name,
        "label": meter.label,
        "device_id": meter.device_id,
        "address": meter.address,
        "gateway": meter.gateway,
        "cid": meter.cid,
        "local_key_file": _key_file(meter),
        "protocol": meter.protocol,
        "profile": meter.profile,
        "product_id": meter.product_id,
        "mapping_file": _relative(meter.mapping_file, folder),
        "publish_every": meter.publish_every or "",
        "upstream": meter.upstream,
    }


def _relative(path: Path | None, folder: Path) -> str:
    if path is None:
        return ""
    return str(path.relative_to(folder) if path.is_relative_to(folder) else path)


def _key_file(meter: Meter) -> str:
    return f"{meter.name}.key"


def _line(secret: str) -> str:
    return f"{secret}\n"


@record
class Update:
    """New values for a meter; None leaves the old one."""

    local_key: str | None = None
    product_id: str | None = None


def rewrite(source: Path, updates: Mapping[str, Update]) -> list[Path]:
    """Replace keys and product ids of meters, by name, in a configuration.

    A key goes into the meter's local_key_file, or else into the configuration. Returns the files
    that were written. Raises ConfigError; then nothing was written.
    """
    source = source.resolve()
    document = _parse(source)
    before = document.as_string()
    files: dict[Path, str] = {}
    for table, update in _affected(document, updates):
        files |= _key_file_of(table, update, source.parent)
        _put(table, update)
    if document.as_string() != before:
        files[source] = document.as_string()
    _write(files, source)
    return list(files)


def _parse(source: Path) -> tomlkit.TOMLDocument:
    try:
        return tomlkit.parse(source.read_text(encoding="utf-8"))
    except (OSError, ValueError, TOMLKitError) as error:
        raise ConfigError(f"{source} can't be changed: {error}") from error


def _affected(
    document: tomlkit.TOMLDocument, updates: Mapping[str, Update]
) -> Iterator[tuple[Table, Update]]:
    tables = document.get("meters")
    for table in tables if isinstance(tables, AoT) else ():
        if table.get("name") in updates:
            yield table, updates[table["name"]]


def _key_file_of(table: Table, update: Update, folder: Path) -> dict[Path, str]:
    file = table.get("local_key_file")
    if update.local_key is None or not file:
        return {}
    return {(folder / str(file)).resolve(): f"{update.local_key}\n"}


def _put(table: Table, update: Update) -> None:
    if update.local_key is not None and "local_key" in table:
        table["local_key"] = update.local_key
    elif update.local_key is not None and not table.get("local_key_file"):
        raise ConfigError(
            f"meters.{table['name']}: its local_key comes from a variable or a folder of secrets, "
            "which is not changed: put the new one there, or give local_key_file"
        )
    if update.product_id is not None:
        table["product_id"] = update.product_id


def _write(files: Mapping[Path, str], source: Path) -> None:
    """Write files, keeping owner and mode; files with a key are readable only by their owner."""
    old = {path: path.stat() for path in files if path.exists()}
    private_files.write(files)
    for path, was in old.items():
        mode = stat.S_IMODE(was.st_mode)
        path.chmod(mode if path == source else mode & ~0o007)
        if (was.st_uid, was.st_gid) != (os.geteuid(), os.getegid()):
            os.chown(path, was.st_uid, was.st_gid)
