"""A meter as the configuration describes it."""

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    model_validator,
)

from esquirell.domain.hosts import check_peer
from esquirell.domain.numbers import WholeNumber

Slug = Annotated[str, Field(pattern=r"^[a-z0-9_-]+$", max_length=64)]
ProtocolVersion = Literal["3.1", "3.2", "3.3", "3.4", "3.5", "auto"]
# Whether the counter of a replacement device starts again or continues.
NextCounter = Literal["auto", "anew", "continues"]

LOCAL_KEY_LENGTH = 16
_LONGEST_PERIOD_S = 31_536_000  # a year, as for schedules

# Names that the program and Celery use in Redis, which no queue of meters may have.
RESERVED_QUEUES = (
    "polls",
    "commands",
    "tasks",
    "default",
    "unacked",
    "unacked_index",
    "unacked_mutex",
)


def check_queue(name: str) -> str:
    """Return the name of a queue of meters if it is valid. Raises ValueError."""
    if name in RESERVED_QUEUES:
        raise ValueError(f"{name} is a name that the program itself uses: choose another one")
    return name


_QUOTES = ('""', "''", "``", "“”", "„“", "«»")
# Control characters, line breaks, changes of text direction, and characters without width.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u200b\u2028-\u202e\u2066-\u2069\ufeff]")


def as_shown(text: str) -> str:
    """Return a text as one visible line, without the characters that would break it."""
    return " ".join(_UNPRINTABLE.sub(" ", text).split())


def in_natural_order(text: str) -> tuple[object, ...]:
    """Return what a text is sorted by: `flat-2` comes before `flat-10`, whatever the case."""
    return tuple(
        int(part) if number % 2 else part
        for number, part in enumerate(re.split("([0-9]+)", text.casefold()))
    )


def as_pasted(text: str) -> str:
    """Return pasted text without surrounding blanks or a pair of quotation marks."""
    text = text.strip()
    quoted = len(text) > 1 and (text[0] + text[-1]) in _QUOTES
    return text[1:-1].strip() if quoted else text


def key_as_pasted(text: str) -> str:
    """Return a pasted local key; one of the right length is kept: any symbol may be part of it."""
    return text if len(text) == LOCAL_KEY_LENGTH else as_pasted(text)


def _id_as_pasted(device_id: object) -> object:
    return as_pasted(device_id) if isinstance(device_id, str) else device_id


def _check_id(device_id: str) -> str:
    if any(map(str.isspace, device_id)):
        raise ValueError("contains blanks, which no device id does: copy it again")
    return device_id


def worker_of(queue: str) -> str:
    """Return the role of the workers of a queue of meters; "" is for meters without a queue."""
    return f"worker@{queue}" if queue else "worker"


def _secret_as_pasted(key: SecretStr) -> SecretStr:
    return SecretStr(key_as_pasted(key.get_secret_value()))


# Set when a meter is added that turns out to report more often.
CALM_PUBLISH_EVERY_S = 10


class Meter(BaseModel):
    """A Tuya device that measures; its `name` identifies it everywhere.

    `publish_every` is in seconds: all readings are stored, and the newest is published at the end
    of each such period. With `push` the connection is held open and reports are received; one of
    them per `store_every` seconds is stored. A meter that is not `enabled` is left alone. A
    sub-device is reached through a gateway: `gateway` is the gateway's device id, `cid` the
    sub-device's node id; address, port, local key and protocol are the gateway's. `upstream` names
    the meter that also measures this one's energy, such as the main one.
    """

    model_config = ConfigDict(
        defer_build=True, frozen=True, extra="forbid", hide_input_in_errors=True
    )

    name: Slug
    label: Annotated[str, AfterValidator(as_shown)] = ""
    area: Annotated[str, AfterValidator(as_shown)] = ""
    device_id: Annotated[
        str,
        Field(min_length=1, max_length=64),
        BeforeValidator(_id_as_pasted),
        AfterValidator(_check_id),
    ]
    address: Annotated[str, AfterValidator(check_peer)] = "auto"
    port: Annotated[WholeNumber, Field(ge=1, le=65535)] = 6668
    gateway: Annotated[str, Field(max_length=64)] = ""
    cid: Annotated[str, Field(max_length=64)] = ""
    local_key: Annotated[SecretStr, AfterValidator(_secret_as_pasted)] = SecretStr("")
    protocol: ProtocolVersion = "auto"
    profile: str = "auto"
    product_id: str = ""
    mapping_file: Path | None = None
    transport: Literal["local", "cloud"] = "local"
    invert: bool | tuple[Literal["a", "b", "c"], ...] = False
    publish_every: Annotated[WholeNumber, Field(ge=0, le=_LONGEST_PERIOD_S)] = 0
    upstream: Annotated[str, Field(pattern=r"^[a-z0-9_-]*$", max_length=64)] = ""
    push: bool | Literal["auto"] = "auto"
    store_every: Annotated[WholeNumber, Field(ge=0, le=_LONGEST_PERIOD_S)] = 60
    enabled: bool = True
    queue: Annotated[
        str, Field(pattern=r"^[a-z0-9_-]*$", max_length=64), AfterValidator(check_queue)
    ] = ""

    def __hash__(self) -> int:
        """Hash the name, which is unique: hashing all fields would take twelve times as long."""
        return hash(self.name)

    @property
    def title(self) -> str:
        """The name shown to people: the label, else the name."""
        return self.label or self.name

    @property
    def lan_id(self) -> str:
        """The id of the device that answers on the LAN: the gateway's, if there is one."""
        return self.gateway or self.device_id

    @model_validator(mode="after")
    def _check_gateway(self) -> "Meter":
        if bool(self.gateway) != bool(self.cid):
            raise ValueError("gateway and cid go together: the gateway's device id, and a node id")
        return self

    @model_validator(mode="after")
    def _check_key(self) -> "Meter":
        key = self.local_key.get_secret_value()
        if self.transport == "local" and len(key) != LOCAL_KEY_LENGTH:
            raise ValueError(_key_sentence(key))
        return self


def _key_sentence(key: str) -> str:
    """Return what is wrong with a key, without revealing it."""
    if not key:
        return "local_key is missing: give local_key or local_key_file"
    return (
        f"local_key has {len(key)} characters, a Tuya local key has {LOCAL_KEY_LENGTH}: "
        "copy it again, into a file of its own (local_key_file), or between single quotes"
    )
