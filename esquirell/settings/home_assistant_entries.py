"""Devices of Tuya Local and LocalTuya, from `.storage/core.config_entries` of Home Assistant.

Layouts: config_flow.py of Tuya Local (make-all/tuya-local, August 2026), of LocalTuya
(rospogrigio/localtuya 5.2) and of its successor (xZetsubou/hass-localtuya, July 2026). They say
nothing about what datapoints mean, and so not whether a device measures.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Entry = Mapping[str, Any]

KEY = "core.config_entries"
# Marks a device that has to be read before anybody knows whether it measures.
UNDESCRIBED = "undescribed"
# Marks a gateway that is known by the device behind it alone.
ONLY_GATEWAY = "only_gateway"


def is_config_entries(document: Mapping[str, Any]) -> bool:
    """Whether a JSON document is the file of Home Assistant."""
    return document.get("key") == KEY


def devices(document: Mapping[str, Any]) -> list[Entry]:
    """Return the devices of both integrations, a gateway before what is behind it."""
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
