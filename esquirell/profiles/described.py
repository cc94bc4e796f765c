"""A device's entry in tinytuya's devices.json, reread when the file changes."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

from esquirell.domain.device import Device
from esquirell.domain.errors import ConfigError
from esquirell.domain.meter import Meter
from esquirell.profiles.capture import identity_of
from esquirell.profiles.chosen import Identity


def identity(meter: Meter, device: Device) -> Identity:
    """Return what is known about a meter's product: its configuration and its mapping file's entry.

    Without a mapping file `device` counts, what the cloud said about it. Raises ConfigError when
    the file can't be read.
    """
    entry = _entry(meter) if meter.mapping_file else asdict(device)
    found = identity_of(entry)
    return Identity(meter.product_id or found.product_id, found.category, found.described)


def _entry(meter: Meter) -> Mapping[str, Any]:
    if meter.mapping_file is None:
        return {}
    try:
        changed = meter.mapping_file.stat().st_mtime_ns
        entries = _entries(meter.mapping_file, changed)
    except OSError as error:
        sentence = f"mapping_file {meter.mapping_file} can't be read: {error.strerror}"
        raise ConfigError(f"meter {meter.name}: {sentence}") from error
    return next((entry for entry in entries if entry.get("id") == meter.device_id), {})


@lru_cache(maxsize=16)
def _entries(file: Path, _changed: int) -> tuple[Mapping[str, Any], ...]:
    try:
        found = json.loads(file.read_bytes())
    except (ValueError, RecursionError):
        raise ConfigError(f"mapping_file {file} is not JSON: use tinytuya's devices.json") from None
    if not isinstance(found, list):
        raise ConfigError(
            f"mapping_file {file} is not a list of devices: use tinytuya's devices.json"
        )
    return tuple(item for item in found if isinstance(item, Mapping))
