"""Which processes are alive and in which roles, as each reports in Redis every few seconds."""

import json
from collections.abc import Iterable

import redis

from esquirell.broker.connection import reaching_redis
from esquirell.broker.diagnosis import probe
from esquirell.domain.process import Process, process_of

ALIVE_S = 20
# A process that disappeared without shutting down is listed for a day.
NAMED_S = 86_400
PREFIX = "esquirell:role:"
PROCESSES = "esquirell:process:"


class Presence:
    """Registers a process as alive, and lists those that are; an entry expires after 20 s."""

    def __init__(self, client: redis.Redis, instance: str) -> None:
        self._client = client
        self._instance = instance
        self._has_spoken = False

    def announce(self, process: Process, working: Iterable[str]) -> None:
        """Record this process and its roles as alive. Raises UnavailableError."""
        with reaching_redis():
            with self._client.pipeline() as steps:
                for role in working:
                    key = f"{PREFIX}{role}:{self._instance}"
                    steps.set(key, process.since, ex=ALIVE_S)
                description = json.dumps(process.payload())
                steps.set(f"{PROCESSES}{self._instance}", description, ex=NAMED_S)
                steps.execute()
            if not self._has_spoken:
                self._take_place(process)
                self._has_spoken = True

    def withdraw(self, *roles: str) -> None:
        """Record that this process, with these roles, has ended. Raises UnavailableError."""
        keys = [f"{PREFIX}{role}:{self._instance}" for role in roles]
        with reaching_redis():
            self._client.delete(*keys, f"{PROCESSES}{self._instance}")

    def probe(self) -> None:
        """Test what the roles need from Redis. Raises UnavailableError with Redis' own words."""
        probe(self._client)

    def roles(self) -> dict[str, str]:
        """Return the roles that are alive anywhere, and since when. Raises UnavailableError."""
        with reaching_redis():
            keys = sorted(self._client.scan_iter(f"{PREFIX}*", count=1000))
            values = self._client.mget(keys) if keys else []
        found = zip(keys, values, strict=True)
        return {str(key).split(":")[2]: str(value) for key, value in found if value}

    def count(self, role: str) -> int:
        """Count the processes in which a role is alive. Raises UnavailableError."""
        with reaching_redis():
            return sum(1 for _ in self._client.scan_iter(f"{PREFIX}{role}:*", count=1000))

    def processes(self) -> list[Process]:
        """Return the processes that are alive, and those that disappeared within a day.

        The living come first, by host and roles. Raises UnavailableError.
        """
        with reaching_redis():
            found = self._described()
        return sorted(found.values(), key=lambda one: (not one.alive, one.host, one.roles))

    def _described(self) -> dict[str, Process]:
        """Return the processes by the keys of their descriptions."""
        keys = sorted(self._client.scan_iter(f"{PROCESSES}*", count=1000))
        with self._client.pipeline(transaction=False) as steps:
            for key in keys:
                steps.get(key)
                steps.ttl(key)
            answers = steps.execute()
        found = {}
        for key, text, left_s in zip(keys, answers[::2], answers[1::2], strict=True):
            process = _read(text)
            if process is not None:
                silent_s = NAMED_S - int(left_s)
                found[str(key)] = process.silent_for(silent_s) if silent_s > ALIVE_S else process
        return found

    def _take_place(self, process: Process) -> None:
        """Forget a process that disappeared on this machine, whose roles this process now has."""
        for key, other in self._described().items():
            same = (other.host, other.roles) == (process.host, process.roles)
            if same and not other.alive:
                self._client.delete(key)
                return


def _read(text: str | None) -> Process | None:
    """Parse a description; None if it is gone meanwhile, or foreign."""
    try:
        return process_of(json.loads(text)) if text else None
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
