"""Redis: the broker of tasks, and what the processes of a service share through it."""

from esquirell.broker import redis_import  # noqa: F401 - before redis
