"""What Redis says of the schedules, looked up in one go."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from celery import Celery
from redbeat.decoder import to_timestamp

from esquirell.beat.queue import POLLS
from esquirell.beat.redbeat import client_of, settings_of

SEEDED_KEY = "esquirell:seeded"
VERSION_KEY = "esquirell:schedules:version"
RUNS_KEY = "esquirell:schedules:runs"

# A beat looks each second; whoever else is in its process need not ask again.
SHARED_S = 1.2

# The definition only of what is due until ARGV[1]; a value of another type is none of ours.
LOOK = """
local entries = {}
local listed = redis.call('zrange', KEYS[1], 0, -1, 'withscores')
for i = 1, #listed, 2 do
  local due = tonumber(listed[i + 1])
  local meta = redis.pcall('hget', listed[i], 'meta')
  local definition = false
  if due >= 0 and due <= tonumber(ARGV[1]) then
    definition = redis.pcall('hget', listed[i], 'definition') or ''
  end
  if type(meta) == 'table' then meta = false end
  if type(definition) == 'table' then definition = '' end
  table.insert(entries, {listed[i], meta, definition})
end
local runs = redis.call('hgetall', KEYS[4])
return {redis.call('get', KEYS[2]), redis.call('get', KEYS[3]), runs, redis.call('llen', KEYS[5]),
  entries}
"""


@dataclass(frozen=True, slots=True)
class Glance:
    """Schedules as Redis had them at one moment.

    `seeded` is the digest of the entries that were written, `version` differs after each change,
    `runs` are the runs that were noted, by schedule; `metas` and `due` are what the entries say,
    by their keys, `due` only for those that are due. `waiting` tasks are in the queue.
    """

    seeded: str | None = None
    version: str | None = None
    runs: Mapping[str, str] = field(default_factory=dict)
    waiting: int = 0
    metas: Mapping[str, str | None] = field(default_factory=dict)
    due: Mapping[str, str] = field(default_factory=dict)


class Glances:
    """Looks at the schedules in Redis, once for all in this process who want to know."""

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._last: tuple[float, Glance] = (float("-inf"), Glance())

    def look(self, ahead_s: float = 0.0) -> Glance:
        """Look now; what is due within `ahead_s` seconds counts as due. Raises RedisError."""
        client, keys = client_of(self._app), settings_of(self._app)
        until = to_timestamp(self._app.now()) + ahead_s
        names = (keys.schedule_key, SEEDED_KEY, VERSION_KEY, RUNS_KEY, POLLS)
        glance = _glance(*client.eval(LOOK, len(names), *names, until))
        self._last = (time.monotonic(), glance)
        return glance

    def recent(self) -> Glance:
        """Give what somebody saw within the last second, or look now. Raises RedisError."""
        seen_at, glance = self._last
        return glance if time.monotonic() - seen_at < SHARED_S else self.look()


def _glance(
    seeded: str | None,
    version: str | None,
    runs: list[str],
    waiting: int,
    entries: list[tuple[str, str | None, Any]],
) -> Glance:
    metas = {key: meta for key, meta, _ in entries}
    due = {key: definition for key, _, definition in entries if definition is not None}
    return Glance(
        seeded, version, dict(zip(runs[::2], runs[1::2], strict=True)), waiting, metas, due
    )
