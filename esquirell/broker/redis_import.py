"""redis-py, imported without its clients for asyncio, which nothing here uses: 1.4 MiB.

Import this module before redis.
"""

from esquirell.lazy_import import lazy_import

with lazy_import("redis.asyncio"):
    import redis  # noqa: F401 - for what it does not
