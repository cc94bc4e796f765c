"""Meters from `devices.json`, the list that tinytuya's wizard writes, and from lists like it."""

import itertools
from collections.abc import Container, Sequence
from pathlib import Path
from typing import Any, NamedTuple, get_args

from pydantic import SecretStr, ValidationError

from esquirell.domain.device import Device
from esquirell.domain.errors import ConfigError
from esquirell.domain.hosts import is_at_home
from esquirell.domain.inference import infer, specified
from esquirell.domain.meter import LOCAL_KEY_LENGTH, Meter, ProtocolVersion, key_as_pasted
from esquirell.domain.record import record
from esquirell.profiles import shipped
from esquirell.settings.device_lists import ONLY_GATEWAY, UNDESCRIBED, Entry, parse
from esquirell.settings.slugs import unique_slug

# Tuya's categories of measuring devices: meters and inverters.
_CATEGORIES = ("zndb", "znnbq", "wxnbq")
# Plugs, power strips and breakers, of which many measure, and as many do not.
_PLUGS = ("cz", "pc", "dlq", "tdq")
_PLUG = {"18": "cur_current", "19": "cur_power", "20": "cur_voltage"}


class SkippedDevice(NamedTuple):
    """A device that is skipped, and why."""

    name: str
    reason: str


class DeviceList(NamedTuple):
    """The contents of a device list.

    `undescribed`: the names of devices of which it does not say whether they measure. Only people
    write lists `by_hand` that have a plug's key and not its product: of meters, as they want them
    read.
    """

    meters: tuple[Meter, ...]
    left_out: tuple[SkippedDevice, ...]
    undescribed: frozenset[str]
    by_hand: frozenset[str]


@record
class ListedMeter:
    """A metering device from a list: as a meter, and what else the list contains about it."""

    meter: Meter
    device: Device

    @property
    def is_described(self) -> bool:
        """Whether the list says that it measures."""
        return _is_described(self.device)

    @property
    def fields(self) -> dict[str, Any]:
        """Its settings as the meter commands expect them, including its key."""
        shown = self.meter.model_dump(exclude={"name", "mapping_file"}, exclude_defaults=True)
        key = self.meter.local_key.get_secret_value()
        return shown | {
            "local_key": key,
            "mapping": dict(self.device.mapping),
            "category": self.device.category,
        }


Listed = dict[str, ListedMeter]


def read_devices(file: Path) -> DeviceList:
    """Return the metering devices of tinytuya's `devices.json` as meters with unique names.

    A device behind a gateway takes address, key and protocol from the gateway's entry. Raises
    ConfigError when the file is not in one of tinytuya's formats.
    """
    entries = _entries(file)
    listed, left_out = _read(entries, file)
    undescribed = frozenset(device.meter.name for device in listed if not device.is_described)
    meters = tuple(device.meter for device in listed)
    by_hand = {meter.name for meter in meters if not meter.product_id}
    if any(entry.get(UNDESCRIBED) for entry in entries):
        by_hand = set()
    return DeviceList(meters, tuple(left_out), undescribed, undescribed & by_hand)


class UploadedDevices(NamedTuple):
    """The contents of an uploaded device list."""

    devices: tuple[ListedMeter, ...]
    left_out: tuple[SkippedDevice, ...]


def read_list(content: bytes, name: str) -> UploadedDevices:
    """Return the metering devices of an uploaded `devices.json`, which is not kept.

    `name` is its name in errors. Raises ConfigError as `read_devices` does.
    """
    listed, left_out = _read(parse(content, name), None)
    return UploadedDevices(tuple(listed), tuple(left_out))


def _read(
    entries: Sequence[Entry], file: Path | None
) -> tuple[list[ListedMeter], list[SkippedDevice]]:
    listed: Listed = {}
    left_out: list[SkippedDevice] = []
    by_id = {_text(entry, "id"): entry for entry in entries}
    for device in entries:
        line = by_id.get(_text(device, "parent")) if _is_behind_gateway(device) else device
        reason = _reason_against(device, line)
        if _text(device, "id") and by_id[_text(device, "id")] is not device:
            reason = "a later entry has the same id"
        meter = _meter(device, line, listed, file) if line and not reason else None
        if meter:
            listed[meter.name] = ListedMeter(meter, _device(device))
        elif not device.get(ONLY_GATEWAY):
            left_out.append(SkippedDevice(_title(device), reason or "its id is missing or wrong"))
    return list(listed.values()), left_out


def describe(file: Path, device_id: str) -> Device:
    """Return what tinytuya's `devices.json` says about one device; empty if it is not listed.

    Raises ConfigError when the file is not in one of tinytuya's formats.
    """
    entry = next((entry_ for entry_ in _entries(file) if entry_.get("id") == device_id), {})
    return _device(entry)


def _device(entry: Entry) -> Device:
    return Device(
        product_id=_text(entry, "product_id"),
        category=_text(entry, "category"),
        product_name=_text(entry, "product_name"),
        mapping=_by_dp(entry.get("mapping")),
        mac=_text(entry, "mac").lower(),
        serial=_text(entry, "sn"),
    )


def _by_dp(mapping: object) -> Entry:
    """Return a mapping by DP id, also from a list as the cloud sends it."""
    if isinstance(mapping, list):
        points = [item for item in mapping if isinstance(item, dict) and "dp_id" in item]
        return {str(point["dp_id"]): point for point in points}
    return mapping if isinstance(mapping, dict) else {}


def key_of(file: Path, device_id: str) -> str | None:
    """Return the local key of a device, if listed. Raises ConfigError as `describe` does."""
    keys = {entry.get("id"): _key(entry) for entry in _entries(file)}
    key = keys.get(device_id, "")
    return key if len(key) == LOCAL_KEY_LENGTH else None


def _entries(file: Path) -> list[Entry]:
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        raise ConfigError(
            f"{file} does not exist: give the path of the devices.json that tinytuya's wizard wrote"
        ) from None
    except OSError as error:
        raise ConfigError(f"{file} can't be read: {error.strerror}") from error
    return parse(content, str(file))


def _is_behind_gateway(device: Entry) -> bool:
    return bool(device.get("sub") or (device.get("parent") and not _key(device)))


def _reason_against(device: Entry, line: Entry | None) -> str | None:
    """Return why a device is skipped; `line` is the entry of the device on the network."""
    if device.get(UNDESCRIBED):
        return _reason_against_line(device, line)
    if not _measures(device) and not _is_undescribed_plug(device):
        return _why_no_meter(device)
    return _reason_against_line(device, line)


def _reason_against_line(device: Entry, line: Entry | None) -> str | None:
    """Return why a device can't be reached; `line` as above."""
    if line is None:
        return "it is behind a gateway (parent) that is not in the list"
    if line is not device and not _text(device, "node_id"):
        return "it is behind a gateway, but its entry has no node_id"
    characters = len(_key(line))
    if characters != LOCAL_KEY_LENGTH:
        key = "its local key" if line is device else "its gateway's local key"
        wrong = (
            f"has {characters} characters, not {LOCAL_KEY_LENGTH}" if characters else "is missing"
        )
        return f"{key} {wrong}"
    return None


def _measures(device: Entry) -> bool:
    if device.get("category") in _CATEGORIES or _is_known(_text(device, "product_id")):
        return True
    described = specified(device.get("mapping"))
    counts = any(point.code.startswith("add_ele") for point in described)
    return counts or infer(described, {}).measures_electricity


def _is_known(product_id: str) -> bool:
    return any(product_id in profile.products for profile in shipped().values())


def _is_undescribed_plug(device: Entry) -> bool:
    """Whether only reading it can show if a device measures: its mapping was not downloaded."""
    return device.get("category") in _PLUGS and not specified(device.get("mapping"))


def _is_described(device: Device) -> bool:
    """Whether a list says that a device measures."""
    return (
        device.category in _CATEGORIES
        or bool(specified(device.mapping))
        or _is_known(device.product_id)
    )


def _why_no_meter(device: Entry) -> str:
    if specified(device.get("mapping")):
        return "none of its datapoints measures electricity"
    category = _text(device, "category") or "unknown"
    return f"the list has no datapoints of it, and its category ({category}) is none of meters"


def _codes(device: Entry) -> dict[str, str]:
    """Return the datapoint codes, by DP id or, for a list without ids, by code."""
    return {point.name: point.code for point in specified(device.get("mapping"))}


def _meter(device: Entry, line: Entry, taken: Listed, file: Path | None) -> Meter | None:
    label = _text(device, "name") or _text(device, "product_name")
    name = unique_slug(label, taken)
    behind_gateway = line is not device
    try:
        return Meter(
            name=name,
            label=_unique_label(label, {listed.meter.label for listed in taken.values()}),
            device_id=_text(device, "id"),
            address=_address(line),
            gateway=_text(line, "id") if behind_gateway else "",
            cid=_text(device, "node_id") if behind_gateway else "",
            local_key=SecretStr(_key(line)),
            protocol=_protocol(line),
            profile=_profile(device),
            product_id=_text(device, "product_id"),
            mapping_file=file.absolute() if file and _codes(device) else None,
        )
    except ValidationError:
        return None


def _unique_label(label: str, taken: Container[str]) -> str:
    """Return a label that is not taken, as the app allows the same name twice."""
    numbered = itertools.chain([label], (f"{label} {number}" for number in itertools.count(2)))
    return next(shown for shown in numbered if not shown or shown not in taken)


def _address(device: Entry) -> str:
    """Return the device's address on the home network; the cloud may list the public one."""
    listed = (_text(device, key) for key in ("last_ip", "ip"))
    return next(filter(is_at_home, listed), "auto")


def _protocol(device: Entry) -> ProtocolVersion:
    version = _text(device, "version")
    return next((known for known in get_args(ProtocolVersion) if known == version), "auto")


def _profile(device: Entry) -> str:
    codes = _codes(device)
    return "plug" if all(codes.get(dp) == code for dp, code in _PLUG.items()) else "auto"


def _title(device: Entry) -> str:
    named = (_text(device, key) for key in ("name", "product_name", "id"))
    return next(filter(None, named), "a device without a name")


def _key(device: Entry) -> str:
    value = device.get("key")
    return "" if value is None else key_as_pasted(str(value))


def _text(device: Entry, key: str) -> str:
    value = device.get(key)
    return "" if value is None else str(value).strip()
