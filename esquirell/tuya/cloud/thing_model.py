"""Tuya's thing model: what a product's datapoints are, where the standard set knows none."""

import json
from typing import Any

_TYPES = {
    "value": "Integer",
    "float": "Float",
    "bool": "Boolean",
    "enum": "Enum",
    "string": "String",
    "raw": "Raw",
    "bitmap": "Bitmap",
}


def read_model(text: str) -> dict[str, Any]:
    """Turn a thing model into the mapping of a `devices.json`: by DP id, code, type and values.

    Layout: https://developer.tuya.com/en/docs/cloud/device-data-model-api . Raises ValueError,
    KeyError or TypeError when it is none.
    """
    services = json.loads(text)["services"]
    properties = [one for service in services for one in service.get("properties", [])]
    return {str(one["abilityId"]): _point(one) for one in properties}


def _point(declared: dict[str, Any]) -> dict[str, Any]:
    values = dict(declared["typeSpec"])
    kind = str(values.pop("type", "raw"))
    return {"code": declared["code"], "type": _TYPES.get(kind, kind), "values": values}
