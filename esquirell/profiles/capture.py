"""Decodes a captured answer, with what it or an entry of devices.json says about the product."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

from esquirell.domain.decoding import Decoded, decode
from esquirell.domain.device import Device
from esquirell.domain.errors import ConfigError
from esquirell.domain.inference import mapping_of, specified
from esquirell.domain.meter import Meter
from esquirell.domain.plausibility import complaints
from esquirell.domain.record import record
from esquirell.profiles.choice import choose
from esquirell.profiles.chosen import Choice, Identity
from esquirell.profiles.library import own, shipped


@record
class Trial:
    """The meaning of a captured answer: the chosen profile and the decoded values."""

    profile: str
    values: Mapping[str, float]
    diagnostics: Mapping[str, Any]
    warnings: tuple[str, ...]


def try_capture(capture: Mapping[str, Any], directory: Path | None = None) -> Trial:
    """Choose a profile for a captured answer and decode it; warn about implausible values.

    `capture` has the shape of an entry of tinytuya's devices.json: `product_id`, `category`,
    `mapping` or `spec`, and `dps` by DP id or `status` by code; `directory` has the user's own
    profiles. Raises ConfigError when it is invalid.
    """
    answer = answer_of(capture)
    chosen = choose(
        identity_of(capture), answer, list(own(directory).values()), list(shipped().values())
    )
    return _trial(chosen, decode(answer, chosen.profile))


def as_capture(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a capture as it is; out of Home Assistant's diagnostics of a device, what is one.

    Layouts: diagnostics.py of Tuya Local (2026.8.1), which has the datapoints alone, and of Home
    Assistant's own Tuya integration (2026.11), whose specification names its fields differently.
    """
    device = document.get("data")
    if not isinstance(device, Mapping):
        return document
    if isinstance(state := device.get("cached_state"), Mapping):
        return {"dps": {dp: raw for dp, raw in state.items() if dp.isdecimal()}}
    if isinstance(ranges := device.get("status_range"), Mapping):
        described = [(code, one) for code, one in ranges.items() if isinstance(one, Mapping)]
        return {
            **device,
            "spec": {code: {**one, "values": one.get("value")} for code, one in described},
        }
    return document


def identity_of(entry: Mapping[str, Any]) -> Identity:
    """Return the product as described by an entry."""
    mapped = specified(mapping_of(entry))
    codes = {spec.code for spec in mapped}
    described = [spec for spec in specified(entry.get("spec") or {}) if spec.code not in codes]
    return Identity(_text(entry, "product_id"), _text(entry, "category"), (*mapped, *described))


def answer_of(capture: Mapping[str, Any]) -> dict[str, Any]:
    """Return the raw answer of a capture: `dps`, else `status`. Raises ConfigError."""
    sent = capture.get("dps") or capture.get("status") or {}
    if isinstance(sent, Mapping) and isinstance(sent.get("dps"), Mapping):
        sent = sent["dps"]
    if isinstance(sent, list) and all(
        isinstance(item, Mapping) and "code" in item for item in sent
    ):
        sent = {str(item["code"]): item.get("value") for item in sent}
    if not isinstance(sent, Mapping):
        raise ConfigError("the capture needs an object: dps by DP id or status by code")
    return {str(name): raw for name, raw in sent.items()}


def _trial(chosen: Choice, decoded: Decoded) -> Trial:
    warnings = (*chosen.warnings, *decoded.warnings)
    implausible = [
        complaint.sentence
        for complaint in complaints(decoded.values)
        if not any(said.startswith(f"{complaint.key}:") for said in warnings)
    ]
    warnings += tuple(dict.fromkeys(implausible))
    return Trial(chosen.profile.name, decoded.values, decoded.diagnostics, warnings)


def _text(entry: Mapping[str, Any], key: str) -> str:
    value = entry.get(key)
    return value if isinstance(value, str) else ""


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
