"""Leases in Redis: one process of a role is active, and each meter's line has one owner."""

import logging
import time
from collections.abc import Collection

from esquirell.broker.connection import Client, RedisError, reaching_redis

log = logging.getLogger(__name__)

LEASE_S = 15
RENEW_S = 4.0

# Take the lease if it is free, renew it if it is ours; 1 means that it is ours. A key without
# expiry is not a lease: it would never be released.
HOLD = """
local holder = redis.call('get', KEYS[1])
if holder and holder ~= ARGV[1] and redis.call('pttl', KEYS[1]) >= 0 then return 0 end
redis.call('set', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""

# Release the lease unless another process has taken it meanwhile.
RELEASE = """
if redis.call('get', KEYS[1]) == ARGV[1] then redis.call('del', KEYS[1]) end
"""

MEMBER_S = 15
KEPT_S = 60
PREFIX = "esquirell:lines:"

# Register a worker and return all that are alive, judged by Redis' clock, as those of other
# machines may differ.
JOIN = """
local now = tonumber(redis.call('TIME')[1])
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - tonumber(ARGV[2]))
redis.call('EXPIRE', KEYS[1], ARGV[3])
redis.call('EXPIRE', KEYS[2], ARGV[3])
return redis.call('ZRANGE', KEYS[1], 0, -1)
"""

# Take meters without a living owner; return those that are ours.
CLAIM = """
local ours = {}
for number = 2, #ARGV do
  local owner = redis.call('HGET', KEYS[2], ARGV[number])
  if not owner or owner == ARGV[1] or not redis.call('ZSCORE', KEYS[1], owner) then
    redis.call('HSET', KEYS[2], ARGV[number], ARGV[1])
    ours[#ours + 1] = ARGV[number]
  end
end
return ours
"""

# Hand meters over to another worker, unless a third one has taken them meanwhile.
HAND = """
for number = 3, #ARGV do
  if redis.call('HGET', KEYS[2], ARGV[number]) == ARGV[1] then
    redis.call('HSET', KEYS[2], ARGV[number], ARGV[2])
  end
end
return 0
"""


class Lease:
    """Held by one `owner` at a time; an owner that dies loses it after 15 s.

    Unless `quiet`, it logs when another process becomes active.
    """

    def __init__(self, client: Client, role: str, owner: str, *, quiet: bool = False) -> None:
        self._client = client
        self._key = f"esquirell:lease:{role}"
        self._role = role
        self._owner = owner
        self._quiet = quiet
        self._held: bool | None = None
        self._asked_at = 0.0

    def hold(self) -> bool:
        """Take or renew the lease; return whether it is ours. Raises UnavailableError."""
        if self._held and time.monotonic() - self._asked_at < RENEW_S:
            return True
        with reaching_redis():
            held = bool(self._client.eval(HOLD, 1, self._key, self._owner, LEASE_S * 1000))
        self._asked_at = time.monotonic()
        if not self._quiet:
            self._log_change(held=held)
        self._held = held
        return held

    def holder(self) -> str | None:
        """Return the holder of the lease; None if it is free. Raises UnavailableError."""
        with reaching_redis():
            found = self._client.get(self._key)
        return None if found is None else str(found)

    def seize(self) -> None:
        """Take the lease from its holder. Raises UnavailableError."""
        with reaching_redis():
            self._client.set(self._key, self._owner, px=LEASE_S * 1000)
        self._held, self._asked_at = True, time.monotonic()

    def release(self) -> None:
        """Release the lease if it is still ours, so that another takes over at once."""
        try:
            if self._held:
                self._client.eval(RELEASE, 1, self._key, self._owner)
        except RedisError as error:
            log.debug("the lease expires by itself: %s", error)
        self._held = None

    def _log_change(self, *, held: bool) -> None:
        if held and self._held is False:
            log.info("this %s is active now", self._role)
        elif not held and self._held is not False:
            log.info("another %s is active; this one stands by", self._role)


class Owners:
    """The owners of the meters of a queue ("": those without one), for the worker `instance`.

    A worker that is not heard of for 15 s owns nothing any more. All methods raise
    UnavailableError.
    """

    def __init__(self, client: Client, instance: str) -> None:
        self._client = client
        self.instance = instance

    def join(self, queue: str) -> list[str]:
        """Register this worker for the queue; return all that serve it."""
        return self._run(JOIN, queue, str(MEMBER_S), str(KEPT_S))

    def members(self, queue: str) -> list[str]:
        """Return the workers that serve a queue."""
        with reaching_redis():
            return [str(member) for member in self._client.zrange(_members(queue), 0, -1)]

    def owners(self, queue: str) -> dict[str, str]:
        """Return the owner of each meter that has one, whether or not it is alive."""
        with reaching_redis():
            found = self._client.hgetall(_owners(queue))
        return {str(meter): str(owner) for meter, owner in found.items()}

    def claim(self, queue: str, meters: Collection[str]) -> set[str]:
        """Claim meters that have no owner; return those that are ours now."""
        return set(self._run(CLAIM, queue, *meters)) if meters else set()

    def hand(self, queue: str, meters: Collection[str], worker: str) -> None:
        """Hand meters over to another worker."""
        if meters:
            self._run(HAND, queue, worker, *meters)

    def leave(self, queue: str) -> None:
        """Unregister this worker, which ends."""
        with reaching_redis():
            self._client.zrem(_members(queue), self.instance)

    def _run(self, script: str, queue: str, *more: str) -> list[str]:
        keys = (_members(queue), _owners(queue))
        with reaching_redis():
            found = self._client.eval(script, len(keys), *keys, self.instance, *more)
        return [str(owner) for owner in found] if isinstance(found, list) else []


def _members(queue: str) -> str:
    return f"{PREFIX}members:{queue}"


def _owners(queue: str) -> str:
    return f"{PREFIX}owners:{queue}"
