"""Keys of ours in Redis with foreign content: written by others, or by a damaged disk.

Everything in Redis is disposable, so it is discarded; what is needed is rewritten.
"""

from collections.abc import Iterator
from fnmatch import fnmatchcase

from esquirell.broker.connection import Client

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
