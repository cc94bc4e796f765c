"""Redis unreachable, refusing, or with damaged keys: logged once, and discarded.

Everything in Redis is disposable; what is needed is rewritten.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase

from esquirell.broker.connection import Client, RedisError, RefusedError, unavailable

log = logging.getLogger(__name__)

# After working this long, Redis counts as working again; a shorter time is part of the outage.
SOUND_S = 5.0
# What lasts this long is a problem, not an interruption.
LASTS_S = 10.0
# Different messages during one outage; Redis' answers may contain changing numbers.
MOST_WORDS = 3
CLEANSE_EVERY_S = 5.0
OURS = "esquirell:*"

# The type of each of our keys; the first matching pattern counts. An asterisk means that the key
# must expire, as a lock without expiry would never be released.
TYPES = {
    "esquirell:celery:_kombu.binding_deadlines": "zset",
    "esquirell:celery:_kombu.binding*": "set",
    "esquirell:celery:unacked": "hash",
    "esquirell:celery:unacked_index": "zset",
    "esquirell:celery:unacked_mutex": "string",
    "esquirell:celery:celery-task-meta-*": "string",
    # Groups and chords: various types.
    "esquirell:celery:celery-taskset-meta-*": "any",
    "esquirell:celery:chord-unlock-*": "any",
    "esquirell:celery:*": "list",
    "esquirell:redbeat::schedule": "zset",
    "esquirell:redbeat:*": "hash",
    "esquirell:lease:*": "string*",
    "esquirell:role:*": "string*",
    "esquirell:process:*": "string*",
    "esquirell:held:*": "string*",
    "esquirell:places:*": "set",
    "esquirell:lines:members:*": "zset",
    "esquirell:lines:owners:*": "hash",
    "esquirell:schedules:turn": "string*",
    "esquirell:schedules:runs": "hash",
    "esquirell:schedules:version": "string",
    "esquirell:seeded": "string",
    "esquirell:cancelled": "zset",
    "esquirell:orders:*": "string*",
}


class Outage:
    """Collects from each part whether Redis works; logs when an outage begins and ends, and why."""

    def __init__(self, client: Client, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._clock = clock
        self._lock = threading.Lock()
        self._began: float | None = None
        self._failed_at = float("-inf")
        self._failing: set[str] = set()
        self._words = ""
        self._said: set[str] = set()
        self._failures = 0
        self._cleansed_at = float("-inf")

    def failed(self, part: str, error: Exception) -> None:
        """Record that Redis failed a part; each reason is logged once per outage."""
        reason = unavailable(error)
        words = str(reason)
        with self._lock:
            self._words = words
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
        else:
            # Where one was lost without a word, each of the idle ones would be waited for in turn.
            self._client.connection_pool.disconnect(inuse_connections=False)

    @property
    def problems(self) -> list[str]:
        """How Redis has failed for a while, in its last words; none while it works.

        What it refuses may be a command that `probe` does not try.
        """
        with self._lock:
            lasts = self._began is not None and self._clock() - self._began >= LASTS_S
            return [self._words] if lasts else []

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


def cleanse(client: Client) -> list[str]:
    """Remove our keys with foreign content; return them. Raises RedisError."""
    strangers = list(_strangers(client))
    if strangers:
        client.delete(*strangers)
    return strangers


def _strangers(client: Client) -> Iterator[str]:
    keys = [str(key) for key in client.scan_iter(OURS, count=1000)]
    with client.pipeline(transaction=False) as steps:
        for key in keys:
            steps.type(key)
            steps.pttl(key)
        answers = steps.execute()
    for key, kind, left_ms in zip(keys, answers[::2], answers[1::2], strict=True):
        if not _is_ours(key, str(kind), int(left_ms)):
            yield key


def _is_ours(key: str, kind: str, left_ms: int) -> bool:
    expected = next((type_ for pattern, type_ in TYPES.items() if fnmatchcase(key, pattern)), "any")
    never_expires = expected.endswith("*") and left_ms == -1
    return kind == "none" or (expected.rstrip("*") in ("any", kind) and not never_expires)
