"""A lease in Redis: of several beats (or bridges) one is active, the others stand by."""

import logging
import time

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
