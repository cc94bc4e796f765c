"""How payloads are written."""

import json
from collections.abc import Mapping

_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def encode(payload: Mapping[str, object]) -> bytes:
    """Write a payload as compact JSON in UTF-8.

    Raises ValueError for NaN and infinities, which are no JSON, and TypeError for what has no
    JSON form at all.
    """
    return _ENCODER.encode(payload).encode("utf-8")
