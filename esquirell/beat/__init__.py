"""When schedules run: rules, and the entries of RedBeat in Redis; `redbeat` imports RedBeat."""

from esquirell.broker import redis_import  # noqa: F401 - before redis
