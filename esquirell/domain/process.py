"""A process of the service as it describes itself to the others, and orders to all of them."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from esquirell.domain.record import record

KEYS = ("host", "roles", "since", "standing_by", "queues", "spooled", "problems", "full")


@record
class Process:
    """One process: its `roles`, each with its start (ISO 8601), and what keeps it from working.

    `standing_by` are roles in which another process is active, `queues` those that a worker takes
    tasks from, `spooled` counts the readings that it holds back. `problems` are sentences. It is
    `full` while tasks hold all its threads. It was last heard of `gone_s` seconds ago; None while
    it is alive.
    """

    host: str
    roles: tuple[str, ...]
    since: str
    standing_by: tuple[str, ...] = ()
    queues: tuple[str, ...] = ()
    spooled: int = 0
    problems: tuple[str, ...] = ()
    full: bool = False
    gone_s: int | None = None

    @property
    def alive(self) -> bool:
        """Whether it reported recently, and has not signed off."""
        return self.gone_s is None

    def has(self, role: str) -> bool:
        """Whether it has a role; a worker of a single queue also has the role `worker`."""
        return any(one.partition("@")[0] == role for one in self.roles)

    def is_same(self, other: "Process") -> bool:
        """Whether both describe the same process, whenever that was."""
        return (self.host, self.roles, self.since) == (other.host, other.roles, other.since)

    def silent_for(self, seconds: int) -> "Process":
        """Return the same process, last heard of this many seconds ago."""
        return replace(self, gone_s=seconds)

    def payload(self) -> dict[str, Any]:
        """Return its JSON form, without empty fields."""
        values = {key: getattr(self, key) for key in KEYS}
        shape = {key: list(one) if isinstance(one, tuple) else one for key, one in values.items()}
        always = ("host", "roles", "since", "spooled")
        shown = {key: value for key, value in shape.items() if value or key in always}
        return shown if self.alive else shown | {"gone_s": self.gone_s}


@record
class Order:
    """An order to all processes; `id` distinguishes it from an earlier equal one."""

    id: str
    value: str = ""


def process_of(shape: Mapping[str, Any]) -> Process:
    """Parse the JSON form of a living process. Raises KeyError, TypeError or ValueError."""
    return Process(
        str(shape["host"]),
        _texts(shape["roles"]),
        str(shape["since"]),
        _texts(shape.get("standing_by", ())),
        _texts(shape.get("queues", ())),
        int(shape.get("spooled", 0)),
        _texts(shape.get("problems", ())),
        bool(shape.get("full", False)),
    )


def _texts(values: Any) -> tuple[str, ...]:  # noqa: ANN401 - JSON is anything
    return tuple(str(value) for value in values)
