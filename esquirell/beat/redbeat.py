"""RedBeat's settings and its connection to Redis, looked up once."""

from functools import cache
from typing import Any, cast

from celery import Celery

from esquirell.lazy_import import missing

# It imports Tornado wherever that is installed, for decorated coroutines that are not used here: a
# MiB in every process, even without the page.
with missing("tornado"):
    import tenacity  # noqa: F401 - before RedBeat, which uses it

from redbeat.schedulers import (
    RedBeatConfig,
    RedBeatJSONEncoder,
    RedBeatScheduler,
    RedBeatSchedulerEntry,
    get_redis,
)

__all__ = [
    "RedBeatJSONEncoder",
    "RedBeatScheduler",
    "RedBeatSchedulerEntry",
    "client_of",
    "settings_of",
]

ATTRIBUTE = "redbeat_conf"


class Settings(RedBeatConfig):
    """RedBeat's settings of an app; they do not change while it runs."""

    @cache  # noqa: B019 - there is one of them, as long as there is the app
    def is_key_in_conf(self, name: str) -> bool:
        """Return whether a setting was configured. RedBeat searches all of Celery's each time."""
        return bool(super().is_key_in_conf(name))


def settings_of(app: Celery) -> Settings:
    """Return the settings, which RedBeat itself finds on the app from now on."""
    if not hasattr(app, ATTRIBUTE):
        setattr(app, ATTRIBUTE, Settings(app))
    return cast("Settings", getattr(app, ATTRIBUTE))


def client_of(app: Celery) -> Any:  # noqa: ANN401 - redis-py's types leave open what it answers
    """Return the client that RedBeat uses itself."""
    settings_of(app)
    return get_redis(app)
