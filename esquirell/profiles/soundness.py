"""Consistency checks of a profile."""

import math
import re
from collections import Counter
from collections.abc import Iterator

from esquirell.domain.profile import Datapoint, Profile

LAST_DP = 255
_NUMBER = re.compile(r"[1-9][0-9]{0,2}")
_CODE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_KEY = re.compile(r"[a-z0-9_]{1,64}")


def problems(profile: Profile) -> Iterator[str]:
    """Return the contradictions, one sentence each."""
    if not profile.title.strip():
        yield "title must not be empty"
    if not profile.datapoints:
        yield "datapoints must not be empty: give at least one"
    for dp, point in profile.datapoints.items():
        yield from _of_one(dp, point, profile)
    yield from _doubles(profile)
    refreshed = tuple(str(dp) for dp in profile.refresh)
    for name, dps in (("requires", profile.requires), ("refresh", refreshed)):
        for dp in dps:
            if dp not in profile.datapoints:
                yield f"{name} names {dp}, which is not one of the datapoints"


def _of_one(dp: str, point: Datapoint, profile: Profile) -> Iterator[str]:
    place = f"datapoints.{dp}"
    if not (_is_dp(dp) or _CODE.fullmatch(dp)):
        yield f"{place} is not a datapoint: use its DP id, 1 to {LAST_DP}, or its Tuya code"
    if not math.isfinite(point.divisor):
        yield f"{place}.divisor must be a finite number"
    if point.key and not _KEY.fullmatch(point.key):
        yield f"{place}.key may hold only a-z, 0-9 and _"
    if not point.key and not point.adds and point.divisor != 1:
        yield f"{place}.divisor belongs to a key: other values are kept as they are"
    if point.adds and not dp.isdecimal():
        yield f"{place}.adds needs a DP id: increments are only heard on the LAN"
    if point.frame is None and point.suffix:
        yield f"{place}.suffix belongs to a frame: a key has its suffix in it, as voltage_a"
    if point.direction is not None and point.direction not in profile.datapoints:
        yield f"{place}.direction names {point.direction}, which is not one of the datapoints"


def _doubles(profile: Profile) -> Iterator[str]:
    """Reject a duplicate key; a frame may give it as well, as some products do."""
    for name in ("key", "code"):
        counts = Counter(getattr(point, name) for point in profile.datapoints.values())
        for value, count in counts.items():
            if value is not None and count > 1:
                yield f"datapoints: {name} {value} is given {count} times: it must be unique"


def _is_dp(dp: str) -> bool:
    return _NUMBER.fullmatch(dp) is not None and int(dp) <= LAST_DP
