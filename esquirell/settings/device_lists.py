"""Lists of devices by several programs, as entries of tinytuya's `devices.json`.

Its `snapshot.json` and `tuya-raw.json` are read, too, and the file in which Home Assistant keeps
the devices of Tuya Local and LocalTuya, the list of tuya-cli, which tuya-mqtt and others use,
rustuya-bridge's `rustuya.json`, an object with a device per id, and rustuya-manager's
`tuyadevices.json`.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from esquirell.domain.errors import ConfigError
from esquirell.domain.inference import mapping_of

Entry = Mapping[str, Any]

# The file `.storage/core.config_entries` of Home Assistant.
_CONFIG_ENTRIES = "core.config_entries"
# Marks a device that has to be read before anybody knows whether it measures.
UNDESCRIBED = "undescribed"
# Marks a gateway that is known by the device behind it alone.
ONLY_GATEWAY = "only_gateway"
# Where the list is in `snapshot.json` and in `tuya-raw.json`.
_LISTS = ("devices", "result")
# Names in other lists: snapshot.json, the cloud's answers, localtuya's configuration, and those
# that rustuya-bridge and evcc take.
_OTHER_NAMES = {
    "id": ("gwId", "device_id", "devId"),
    "key": ("local_key", "localKey", "localkey"),
    "ip": ("host", "ipAddress", "address"),
    "version": ("ver", "protocol_version", "protocol"),
    "name": ("friendly_name",),
    "parent": ("gateway_id", "parent_id", "gatewayId", "parentId"),
    "node_id": ("cid", "nodeId"),
    "product_id": ("productKey", "product_key"),
}
_DESCRIPTION = ("category", "product_id", "mapping")


def parse(content: bytes, name: str) -> list[Entry]:
    """Return the entries of a list, with the key names of `devices.json`.

    `name` is its name in errors. Raises ConfigError when it is in no known format.
    """
    try:
        entries = json.loads(content)
    except (ValueError, RecursionError):
        raise ConfigError(
            f"{name} is not JSON: use tinytuya's devices.json; docs/how-to/find-meters.md says how "
            "to make one from a spreadsheet"
        ) from None
    if isinstance(entries, dict) and entries.get("key") == _CONFIG_ENTRIES:
        entries = _of_home_assistant(entries)
        if not entries:
            raise ConfigError(f"{name} has no devices of Tuya Local or LocalTuya")
    if isinstance(entries, dict):
        alone = [entries] if "id" in entries else _by_id(entries)
        entries = next((entries[key] for key in _LISTS if key in entries), alone)
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ConfigError(f"{name} is not a list of devices: use tinytuya's devices.json")
    return [_renamed(entry) for entry in entries]


def _by_id(document: Mapping[str, Any]) -> Mapping[str, Any] | list[Any]:
    """Return the devices of an object that has them by their ids; anything else as it is.

    Older rustuya-bridges do not repeat the ids.
    """
    if not document or not all(isinstance(entry, dict) for entry in document.values()):
        return document
    found = [_renamed({"id": id_} | entry) for id_, entry in document.items()]
    alike = all(
        entry["id"] == id_ and (entry.get("key") or entry.get("parent"))
        for id_, entry in zip(document, found, strict=True)
    )
    return found if alike else document


def _renamed(entry: Entry) -> Entry:
    """Return an entry with the key names of `devices.json`; mark one without any description."""
    known = {
        name: next((entry[other] for other in others if entry.get(other)), "")
        for name, others in _OTHER_NAMES.items()
        if not entry.get(name)
    }
    renamed = {**entry, **{name: value for name, value in known.items() if value}}
    if mapping := mapping_of(entry):
        renamed["mapping"] = mapping
    if renamed.get(ONLY_GATEWAY) or any(renamed.get(key) for key in _DESCRIPTION):
        return renamed
    return {**renamed, UNDESCRIBED: True}


def _of_home_assistant(document: Mapping[str, Any]) -> list[Entry]:
    """Return the devices of Tuya Local and LocalTuya, a gateway before what is behind it.

    Layouts: config_flow.py of Tuya Local (make-all/tuya-local, August 2026), of LocalTuya
    (rospogrigio/localtuya 5.2) and of its successor (xZetsubou/hass-localtuya, July 2026). They
    say nothing about what datapoints mean, and so not whether a device measures.
    """
    found: dict[str, Entry] = {}
    for entry in _dicts(_dict(document.get("data")).get("entries")):
        for device in _of_entry(entry):
            for known in _with_gateway(device):
                if not found.get(str(known["id"]), {}).get(UNDESCRIBED):
                    found[str(known["id"])] = known
    return list(found.values())


def _of_entry(entry: Entry) -> Iterator[Entry]:
    settings = {**_dict(entry.get("data")), **_dict(entry.get("options"))}
    if entry.get("domain") == "tuya_local":
        yield {**settings, "name": entry.get("title"), "node_id": settings.get("device_cid")}
    elif entry.get("domain") == "localtuya":
        # Before version 4 each device had an entry of its own.
        for device in (_dict(settings.get("devices")) or {"": settings}).values():
            yield _dict(device)


def _with_gateway(device: Entry) -> Iterator[Entry]:
    """Return a device; one behind a gateway follows that, whose address and key it holds.

    Tuya Local calls the gateway `device_id`, LocalTuya `gateway_id`.
    """
    id_, node_id = device.get("device_id"), device.get("node_id")
    if not id_:
        return
    known = {key: value for key, value in device.items() if key != "device_id"} | {
        UNDESCRIBED: True
    }
    if not node_id:
        yield {**known, "id": id_}
        return
    gateway = device.get("gateway_id") or id_
    line = ("host", "local_key", "protocol_version")
    yield {"id": gateway, ONLY_GATEWAY: True, **{key: device.get(key) for key in line}}
    own = id_ if id_ != gateway else node_id
    yield {**known, "id": own, "sub": True, "parent": gateway, "node_id": node_id}


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _dicts(value: object) -> Sequence[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
