"""A profile as a TOML document: parsed and validated, with errors in sentences."""

import math
import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from esquirell.domain.errors import ConfigError
from esquirell.domain.frames.codecs import CODECS
from esquirell.domain.nearest import nearest
from esquirell.domain.payload import PROBLEMS
from esquirell.domain.profile import Datapoint, Profile
from esquirell.domain.quantity import QUANTITIES

LARGEST_FILE = 256 * 1024
AUTO = "auto"
_NAME = re.compile(r"[a-z0-9_-]{1,64}")
_DATAPOINT = 'must be a table, such as {{ code = "cur_power", key = "active_power" }}'
_NUMBER = "must be a number"

# Where a file is written otherwise than a payload; each text follows the place.
_PROBLEMS = PROBLEMS | {
    "string_type": "must be text in quotes",
    "string_too_short": "must not be empty",
    "string_pattern_mismatch": "may contain only a-z, 0-9 and _",
    "int_type": _NUMBER,
    "int_parsing": _NUMBER,
    "greater_than": "must be greater than {gt:g}",
    "tuple_type": 'must be a list, such as ["18", "19"]',
    "model_type": _DATAPOINT,
    "model_attributes_type": _DATAPOINT,
    "dict_type": "must be a table",
    "mapping_type": "must be a table",
}
LAST_DP = 255
_DP_NUMBER = re.compile(r"[1-9][0-9]{0,2}")
_CODE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_KEY = re.compile(r"[a-z0-9_]{1,64}")


def read(file: Path) -> Profile:
    """Read a user's own profile; its name is the file's. Raises ConfigError."""
    text = read_text(file, LARGEST_FILE, "profile")
    _check_name(file)
    return parse(file.stem, text, str(file))


def read_text(file: Path, most: int, kind: str) -> str:
    """Read a file of at most `most` bytes. Raises ConfigError, which calls it a `kind`."""
    try:
        if file.exists() and not file.is_file():  # opening a pipe would wait for its other end
            raise ConfigError(f"{file} is not a file: name a {kind}")
        with file.open("rb") as stream:
            raw = stream.read(most + 1)
    except OSError as error:
        raise ConfigError(f"{file} can't be read: {error.strerror}") from error
    if len(raw) > most:
        raise ConfigError(f"{file} is larger than {most // 1024} KiB: that is not a {kind}")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file} must be text in UTF-8") from error


def parse(name: str, text: str, where: str = "") -> Profile:
    """Parse a profile from TOML; errors call it `where`. Raises ConfigError with the first one."""
    where = where or f"profile {name}"
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{where} is not valid TOML: {error}") from error
    if "name" in data:
        raise ConfigError(f"{where}: name is not allowed: a profile is named after its file")
    try:
        profile = Profile.model_validate(data | {"name": name})
    except ValidationError as error:
        raise ConfigError(f"{where}: {first_sentence(error)}") from error
    for problem in problems(profile):
        raise ConfigError(f"{where}: {problem}")
    return profile


def _check_name(file: Path) -> None:
    if file.stem == AUTO or not _NAME.fullmatch(file.stem):
        raise ConfigError(
            f"{file}: a profile is named after its file, whose name may contain only a-z, 0-9, _ "
            f'and - and may not be "{AUTO}"'
        )


def first_sentence(error: ValidationError) -> str:
    """Return the place of the first error, and what to write there instead."""
    first = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    return f"{place} {_problem(first['loc'], first)}"


def _problem(place: tuple[int | str, ...], fault: Any) -> str:  # noqa: ANN401 - pydantic's dict
    last = str(place[-1])
    match fault["type"], last:
        case "extra_forbidden", _:
            known = Datapoint if len(place) > 1 else Profile
            keys = known.model_fields.keys() - {"name"}
            return f"is not a known key; the nearest known key is {nearest(last, keys)}"
        case "value_error", "key":
            return (
                f"{fault['input']} is not a quantity; did you mean {_quantity(fault['input'])!r}?"
            )
        case "value_error", "frame":
            known_frame = nearest(fault["input"], ["auto", *CODECS])
            return f"{fault['input']} is not a known frame; did you mean {known_frame!r}?"
        case "value_error", _:
            return f"is not valid: {fault['ctx']['error']}"
    return _PROBLEMS.get(fault["type"], "is not valid").format_map(fault.get("ctx", {}))


def _quantity(key: str) -> str:
    """Return the nearest valid key, with or without its suffix."""
    start, _, suffix = key.rpartition("_")
    with_suffix = [f"{name}_{suffix}" for name in QUANTITIES] if start else []
    return nearest(key, [*QUANTITIES, *with_suffix])


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
        yield f"{place}.key may contain only a-z, 0-9 and _"
    if not point.key and not point.adds and point.divisor != 1:
        yield f"{place}.divisor belongs to a key: other values are kept as they are"
    if point.adds and not dp.isdecimal():
        yield f"{place}.adds needs a DP id: increments are only heard on the LAN"
    if point.frame is None and point.suffix:
        yield f"{place}.suffix belongs to a frame: a key has its suffix in it, as voltage_a"
    if point.direction is not None and point.direction not in profile.datapoints:
        yield f"{place}.direction names {point.direction}, which is not one of the datapoints"


def _doubles(profile: Profile) -> Iterator[str]:
    """Reject a duplicate key; a frame may contain it as well, as with some products."""
    for name in ("key", "code"):
        counts = Counter(getattr(point, name) for point in profile.datapoints.values())
        for value, count in counts.items():
            if value is not None and count > 1:
                yield f"datapoints: {name} {value} is given {count} times: it must be unique"


def _is_dp(dp: str) -> bool:
    return _DP_NUMBER.fullmatch(dp) is not None and int(dp) <= LAST_DP
