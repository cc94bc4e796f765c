"""RedBeat: when schedules run, as entries in Redis."""

from esquirell.beat import tenacity_import  # noqa: F401 - before RedBeat
from esquirell.broker import redis_import  # noqa: F401 - before redis, which RedBeat imports
