"""Valid JSON for programs and browsers, whatever was stored."""

import json
import math
from typing import Any
from zlib import crc32


def encode(data: object, indent: int | None = None) -> bytes:
    """Return data as JSON in UTF-8.

    Values that JSON lacks are replaced by the nearest one: NaN and the infinities by null, half
    of a surrogate pair by a question mark.
    """
    try:
        text = json.dumps(data, ensure_ascii=False, allow_nan=False, indent=indent)
    except ValueError:
        text = json.dumps(_finite(data), ensure_ascii=False, allow_nan=False, indent=indent)
    return text.encode(errors="replace")


def fingerprint(shown: object) -> str:
    """Return a short hash that differs if the data differ."""
    return f"{crc32(repr(shown).encode(errors='replace')):x}"


def _finite(data: Any) -> Any:  # noqa: ANN401 - JSON is anything
    if isinstance(data, dict):
        return {key: _finite(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_finite(value) for value in data]
    return None if isinstance(data, float) and not math.isfinite(data) else data
