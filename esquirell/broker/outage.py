"""Outages and refusals of Redis: logged once for all parts of a process."""

import logging
import threading
import time
from collections.abc import Callable

from esquirell.broker.cleansing import cleanse
from esquirell.broker.connection import Client, RedisError, RefusedError, unavailable

log = logging.getLogger(__name__)

# After working this long, Redis counts as working again; a shorter time is part of the outage.
SOUND_S = 5.0
# Different messages during one outage; Redis' answers may contain changing numbers.
MOST_WORDS = 3
CLEANSE_EVERY_S = 5.0


class Outage:
    """Is told by each part whether Redis works, and logs the beginning, the reasons and the end."""

    def __init__(self, client: Client, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._clock = clock
        self._lock = threading.Lock()
        self._began: float | None = None
        self._failed_at = float("-inf")
        self._failing: set[str] = set()
        self._said: set[str] = set()
        self._failures = 0
        self._cleansed_at = float("-inf")

    def failed(self, part: str, error: Exception) -> None:
        """Record that Redis failed a part; each reason is logged once per outage."""
        reason = unavailable(error)
        words = str(reason)
        with self._lock:
            self._failing.add(part)
            self._failures += 1
            self._failed_at = self._clock()
            if self._began is None:
                self._began = self._failed_at
            if words not in self._said and len(self._said) < MOST_WORDS:
                log.warning("%s; tasks and schedules wait until it works", words)
                self._said.add(words)
        if isinstance(reason, RefusedError):
            self._cleanse()

    def works(self, part: str) -> None:
        """Record that Redis works for a part. Cheap: call it again and again."""
        if self._began is None:
            return
        with self._lock:
            self._failing.discard(part)
            now = self._clock()
            if self._began is None or self._failing or now - self._failed_at < SOUND_S:
                return
            lasted_s = self._failed_at - self._began
            log.info("Redis works again after %.0f s, %d tries failed", lasted_s, self._failures)
            self._began, self._failures = None, 0
            self._said.clear()

    def _cleanse(self) -> None:
        """Discard foreign content of our keys, which may be why Redis refuses."""
        now = self._clock()
        if now - self._cleansed_at < CLEANSE_EVERY_S:
            return
        self._cleansed_at = now
        try:
            removed = cleanse(self._client)
        except RedisError as error:
            log.debug("foreign content of our keys can't be removed: %s", error)
            return
        if removed:
            log.warning(
                "removed %d of our keys in Redis that had foreign content, starting with %s",
                len(removed),
                removed[0],
            )
