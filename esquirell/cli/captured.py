"""Captured device answers, as users have them in files."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from esquirell.domain.errors import ConfigError
from esquirell.profiles.document import read_text

LARGEST_FILE = 1024 * 1024
_ANSWERS = ("dps", "status")
_NAMES: Mapping[type, str] = {str: "text", dict: "an object", list: "a list"}
_KINDS: Mapping[str, tuple[type, ...]] = {
    "dps": (dict,),
    "status": (dict, list),
    "mapping": (dict,),
    "spec": (dict, list),
    "product_id": (str,),
    "category": (str,),
}


def capture(file: Path) -> Mapping[str, Any]:
    """Read a captured answer. Raises ConfigError when the file contains none."""
    found = _json(file)
    if not isinstance(found, dict):
        raise ConfigError(
            f"{file} contains no JSON object: it must be one device with its dps or status"
        )
    for name, kinds in _KINDS.items():
        if found.get(name) is not None and not isinstance(found[name], kinds):
            wanted = " or ".join(_NAMES[kind] for kind in kinds)
            raise ConfigError(f"{file}: {name} must be {wanted}")
    if all(found.get(name) is None for name in _ANSWERS):
        raise ConfigError(f"{file} has neither dps nor status: add what the device answered")
    return found


def _json(file: Path) -> object:
    text = read_text(file, LARGEST_FILE, "captured answer")
    try:
        found = json.loads(text)
        # What can't be serialized can't be shown or stored either: NaN, infinity, lone surrogates.
        json.dumps(found, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{file} is not valid JSON: {error}") from error
    return found
