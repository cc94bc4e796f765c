"""Redis: the broker of tasks, and what the processes of a service share through it.

redis-py's clients for asyncio, which nothing here uses, are not loaded: 1.4 MiB.
"""

from esquirell.lazy_import import lazy_import

with lazy_import("redis.asyncio"):
    import redis  # noqa: F401 - loaded here, without that
