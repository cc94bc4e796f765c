"""What Redis says of itself, for those who look whether it is set up well."""

from dataclasses import dataclass

import redis

from esquirell.beat.redis import RedisError, unavailable

KEEPS_ALL = "noeviction"


@dataclass(frozen=True, slots=True)
class RedisFacts:
    """The version, what happens when memory runs out, and whether it can (`limited`)."""

    version: str
    policy: str
    limited: bool

    @property
    def loses_tasks(self) -> bool:
        """Tell whether waiting tasks are thrown away when memory runs out."""
        return self.policy != KEEPS_ALL


def examine(client: redis.Redis) -> RedisFacts:
    """Ask a server for its facts. Raises UnavailableError."""
    try:
        # Not CONFIG GET, which users with few rights and hosted servers are refused.
        facts = client.info()
    except RedisError as error:
        raise unavailable(error) from None
    return RedisFacts(
        str(facts.get("valkey_version", facts.get("redis_version", "unknown"))),
        str(facts.get("maxmemory_policy", KEEPS_ALL)),
        bool(facts.get("maxmemory")),
    )
