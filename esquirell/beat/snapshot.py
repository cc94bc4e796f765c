"""The schedules as Redis holds them, read in one round trip."""

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from typing import Any, NamedTuple

from redis.client import NEVER_DECODE

from esquirell.broker.connection import Client, RedisError
from esquirell.broker.queue import POLLS, REDBEAT_PREFIX, queue_key
from esquirell.domain.record import record

log = logging.getLogger(__name__)

SEEDED_KEY = "esquirell:seeded"
VERSION_KEY = "esquirell:schedules:version"
RUNS_KEY = "esquirell:schedules:runs"
# Where RedBeat lists its entries, by the time (s) at which they are due.
DUE_KEY = f"{REDBEAT_PREFIX}:schedule"

# Beat reads them every two seconds; other parts of its process reuse the result.
SHARED_S = 2.2
# Runs of schedules are announced at most this often (s); a caller that waits for one polls itself.
RUNS_S = 5.0

# Before the query, runs are recorded (ARGV[2]) and messages sent (ARGV[3]), if the entry is still
# as it was seen: nothing is sent twice, or after a change. Redis undoes nothing of a script that
# fails: what counts a run as sent is taken back here if its messages can't be. Definitions are read
# only for entries that are due by ARGV[1]. A value of another type is foreign, and must not prevent
# the rest from being read; in place of the recorded runs it is discarded.
LOOK = """
local function ask(...)
  local found = redis.pcall(...)
  if type(found) == 'table' and found.err then return false end
  return found
end
local refused = false
for name, note in pairs(cjson.decode(ARGV[2])) do
  local kind = redis.pcall('type', KEYS[4]).ok
  if kind and kind ~= 'none' and kind ~= 'hash' then redis.pcall('del', KEYS[4]) end
  local done = redis.pcall('hset', KEYS[4], name, note)
  if type(done) == 'table' and done.err then refused = done.err end
end
for _, order in ipairs(cjson.decode(ARGV[3])) do
  local key, definition, meta, new_meta, due, messages, former = unpack(order)
  if ask('hget', key, 'definition') == definition and (ask('hget', key, 'meta') or '') == meta then
    local before, failure = redis.call('zscore', KEYS[1], key), false
    local function try(...)
      local done = failure or redis.pcall(...)
      if type(done) == 'table' and done.err then failure = done end
    end
    for _, message in ipairs(messages) do try('llen', message[1]) end
    try('hset', key, 'meta', new_meta)
    try('zadd', KEYS[1], due, key)
    for _, message in ipairs(messages) do try('lpush', message[1], message[2]) end
    if failure then
      redis.pcall('hset', key, 'meta', meta)
      if before then redis.pcall('zadd', KEYS[1], before, key) end
      return failure
    end
    for _, message in ipairs(former) do redis.pcall('lrem', message[1], 1, message[2]) end
  end
end
local entries = {}
local listed = redis.call('zrange', KEYS[1], 0, -1, 'withscores')
for i = 1, #listed, 2 do
  local due, definition = tonumber(listed[i + 1]), false
  if due >= 0 and due <= tonumber(ARGV[1]) then
    definition = ask('hget', listed[i], 'definition') or ''
  end
  table.insert(entries, {listed[i], ask('hget', listed[i], 'meta'), definition})
end
return {ask('get', KEYS[2]), ask('get', KEYS[3]), ask('hgetall', KEYS[4]) or {},
  ask('llen', KEYS[5]) or 0, entries, refused}
"""


class Order(NamedTuple):
    """The messages of a run, and the new state of its entry, which was seen as it is here.

    `due` is its next due time (unix time in s), and each message has the key of its queue. They
    take the place of the `former` ones, as far as these still wait.
    """

    key: str
    definition: str
    meta: str
    new_meta: str
    due: float
    messages: Sequence[tuple[str, str]]
    former: Sequence[tuple[str, str]] = ()


@record
class ScheduleSnapshot:
    """The schedules in Redis at one moment.

    `seeded` is the digest of the written entries, `version` changes with every change, `runs`
    holds the recorded runs by schedule, `metas` and `due` the entries' content by key (`due` only
    for due entries), and `waiting` the number of tasks in the queue.
    """

    seeded: str | None = None
    version: str | None = None
    runs: Mapping[str, str] = field(default_factory=dict)
    waiting: int = 0
    metas: Mapping[str, str | None] = field(default_factory=dict)
    due: Mapping[str, str] = field(default_factory=dict)


class ScheduleSnapshots:
    """Reads the schedules from Redis; the parts of a process share the latest snapshot."""

    def __init__(self, client: Client, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._clock = clock
        self._shared: tuple[float, ScheduleSnapshot] = (float("-inf"), ScheduleSnapshot())
        self._ran_at = float("-inf")
        self._lock = threading.Lock()
        self._notes: dict[str, str] = {}
        self._refused = ""
        self.on_work: Callable[[], None] = lambda: None
        self.on_change: Callable[[], None] = lambda: None

    def look(self, ahead_s: float = 0.0, orders: Sequence[Order] = ()) -> ScheduleSnapshot:
        """Carry out orders, then query; what is due within `ahead_s` seconds counts as due.

        Raises RedisError.
        """
        until = int(time.time()) + ahead_s
        names = (DUE_KEY, SEEDED_KEY, VERSION_KEY, RUNS_KEY, queue_key(POLLS))
        # Bytes that are no text would fail the whole answer if all of it were decoded at once.
        raw = {NEVER_DECODE: True}
        with self._lock:
            notes, self._notes = self._notes, {}
        execute: Any = self._client.execute_command
        given = (until, json.dumps(notes), json.dumps(orders))
        try:
            answer = execute("EVAL", LOOK, len(names), *names, *given, **raw)
        except RedisError:
            self._keep(notes)
            raise
        *seen, refused = _decoded(answer)
        if refused:
            self._keep(notes)
        if notes:
            self._complain(refused or "")
        return _snapshot(*seen)

    def _keep(self, notes: dict[str, str]) -> None:
        """Record these runs later, unless there are newer ones."""
        with self._lock:
            self._notes = notes | self._notes

    def _complain(self, refused: str) -> None:
        """Log once that Redis refuses to record runs; nothing else waits for that."""
        if refused and not self._refused:
            log.warning("Redis refuses to record when schedules ran: %s", refused)
        self._refused = refused

    def note_run(self, name: str, note: str) -> None:
        """Record a run of a schedule, with the next query if there is one soon.

        Raises RedisError.
        """
        if self.is_shared:
            with self._lock:
                self._notes[name] = note
        else:
            self._client.hset(RUNS_KEY, name, note)

    def close(self) -> None:
        """Stop sharing, and record what is pending. Raises RedisError."""
        self._shared = (float("-inf"), self._shared[1])
        if self._notes:
            self.look()

    def share(self, ahead_s: float, orders: Sequence[Order] = ()) -> ScheduleSnapshot:
        """Query as `look` does and share the result; calls `on_work` after a change."""
        began, (_, before) = self._clock(), self._shared
        snapshot = self.look(ahead_s, orders)
        self._shared = (began, snapshot)
        ran = snapshot.runs != before.runs or snapshot.metas != before.metas
        is_due = ran and began - self._ran_at >= RUNS_S
        if is_due or snapshot.version != before.version:
            self._ran_at = began
            self.on_work()
        return snapshot

    @property
    def is_shared(self) -> bool:
        """Whether a part of this process queries every two seconds."""
        return self._clock() - self._shared[0] < SHARED_S

    def recent(self) -> ScheduleSnapshot:
        """Return a shared snapshot up to two seconds old, else query now. Raises RedisError."""
        return self._shared[1] if self.is_shared else self.look()


def _decoded(answer: Any) -> Any:  # noqa: ANN401 - what Redis answers
    """Decode all bytes to text; invalid ones become unreadable, and are treated as such."""
    if isinstance(answer, list):
        return [_decoded(value) for value in answer]
    return answer.decode(errors="replace") if isinstance(answer, bytes) else answer


def _snapshot(
    seeded: str | None,
    version: str | None,
    runs: list[str],
    waiting: int,
    entries: list[tuple[str, str | None, str | None]],
) -> ScheduleSnapshot:
    noted = dict(zip(runs[::2], runs[1::2], strict=True))
    metas = {key: meta for key, meta, _ in entries}
    due = {key: definition for key, _, definition in entries if definition is not None}
    return ScheduleSnapshot(seeded, version, noted, waiting, metas, due)
