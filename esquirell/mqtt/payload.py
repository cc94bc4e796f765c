"""How payloads are written."""

import json
from collections.abc import Mapping


def encode(payload: Mapping[str, object]) -> bytes:
    """Write a payload as compact JSON in UTF-8.

    Raises ValueError for NaN and infinities, which are no JSON, and TypeError for what has no
    JSON form at all.
    """
    text = json.dumps(payload, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode("utf-8")
