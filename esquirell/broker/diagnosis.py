"""What Redis reports about itself, and whether it does what is needed."""

import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import redis
from redis.client import Pipeline

from esquirell.broker.connection import Client, reaching_redis
from esquirell.broker.queue import KEY_PREFIX
from esquirell.domain.record import record

# Celery's transport is tested with this one; Debian has had newer ones since 2023.
OLDEST = (6, 2)
KEEPS_ALL = "noeviction"
# Policies that discard any key, not only what expires: results expire, waiting tasks do not.
ANY_KEY = "allkeys-"
PREFIX = "esquirell:probe:"
KEPT_MS = 5000
# A Redis that takes longer to answer delays polls: each asks it twice.
SLOW_S = 1.0
# Only if the message before it was refused.
WAIT_S = 0.01

# What a lease and a queue do.
TRY = """
redis.call('set', KEYS[1], ARGV[1], 'PX', ARGV[2])
return redis.call('get', KEYS[1])
"""


@record
class RedisFacts:
    """The version, what happens when memory runs out, and whether it can (`limited`).

    `too_old`: the version lacks what this program, or Celery, needs. `slow` says that it takes long
    to answer; empty if it does not.
    """

    version: str
    too_old: bool
    policy: str
    limited: bool
    slow: str = ""

    @property
    def loses_tasks(self) -> bool:
        """Return whether queued tasks are discarded when memory runs out."""
        return self.policy.startswith(ANY_KEY)


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdecimal()) or OLDEST


def examine(client: redis.Redis) -> RedisFacts:
    """Return a server's facts, and test that it does what is needed. Raises UnavailableError."""
    probe(client)
    with reaching_redis():
        # Not CONFIG GET, which users with few rights and hosted servers are refused.
        began = time.monotonic()
        facts = client.info()
    return facts_of(facts, slowness(time.monotonic() - began))


def slowness(answered_s: float) -> str:
    """Return the sentence for a Redis that took long to answer; empty if it did not."""
    if answered_s < SLOW_S:
        return ""
    return f"Redis takes {answered_s:.1f} s to answer: polls are late; check the way to redis.url"


def facts_of(facts: Mapping[str, Any], slow: str = "") -> RedisFacts:
    """Parse the facts from the answer to INFO."""
    # Valkey reports the Redis version that it is compatible with.
    version = str(facts.get("redis_version", "unknown"))
    return RedisFacts(
        str(facts.get("valkey_version", version)),
        _parts(version) < OLDEST,
        str(facts.get("maxmemory_policy", KEEPS_ALL)),
        bool(facts.get("maxmemory")),
        slow,
    )


def _nothing(_: Pipeline) -> None:
    """Ask nothing else."""


def probe(client: Client, ask: Callable[[Pipeline], object] = _nothing) -> list[Any]:
    """Write, run a script, pass a message and publish one; return the answers.

    `ask` adds queries to the same round trip. Raises UnavailableError with Redis' own words.
    """
    key = PREFIX + uuid.uuid4().hex
    with reaching_redis():
        # A refused command is named in the error; a refused script only says that it was refused.
        # In one round trip, as a distant Redis takes its time; kombu reconnects forever without
        # rights on the channel that all workers subscribe to.
        database = client.get_connection_kwargs().get("db", 0)
        with client.pipeline(transaction=False) as steps:
            steps.set(key, "1", px=KEPT_MS)
            steps.eval(TRY, 1, key, "1", KEPT_MS)
            steps.lpush(f"{key}:queue", "1")
            steps.brpop([f"{key}:queue"], timeout=WAIT_S)
            steps.delete(key)
            steps.publish(f"{KEY_PREFIX}/{database}.probe", "")
            ask(steps)
            return steps.execute()
