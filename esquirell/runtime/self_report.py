"""What this process reports about itself: its roles, and what keeps it from working."""

import socket
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta

from esquirell.domain.errors import UnavailableError
from esquirell.domain.process import Process
from esquirell.domain.reading import iso
from esquirell.domain.record import record
from esquirell.runtime.mqtt import Mqtt
from esquirell.runtime.polling import Polling
from esquirell.services.schedules import Schedules, pace_of
from esquirell.settings.state_files import StateDirectory

# How often to look how often meters are to be read: at a start it takes some seconds until they are
# shared out, and a schedule may change.
PACE_EVERY_S = 10.0
# A poll that is due ends within two intervals, and some seconds for those that are short. Meters
# that are being read already hold up no later poll, however long they take.
INTERVALS = 2
MOST_LATE_S = 20.0


@record
class ProcessRoles:
    """What the daemon knows about this process.

    `full` says when its tasks hold all its threads, `blocked` when they have done so for long.
    `problems` are sentences on what is wrong with other services, and with a user's tasks.
    """

    roles: tuple[str, ...] = ()
    standing_by: Callable[[], tuple[str, ...]] = tuple
    queues: tuple[str, ...] = ()
    full: Callable[[], bool] = lambda: False
    blocked: Callable[[], bool] = lambda: False
    problems: Callable[[], tuple[str, ...]] = tuple


class Punctuality:
    """Checks that due polls finish, for the meters that this process reads."""

    def __init__(
        self,
        pace_s: Callable[[], int | None],
        polled_at: Callable[[], float],
        now: Callable[[], datetime],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pace_of_schedules = pace_s
        self._polled_at = polled_at
        self._now = now
        self._monotonic = monotonic
        self._pace_s: int | None = None
        self._due_from = monotonic()
        self._looked_at = float("-inf")

    def problem(self) -> str:
        """Return the sentence for a due poll that has not finished; empty when all is well."""
        now = self._monotonic()
        if now - self._looked_at >= PACE_EVERY_S:
            self._looked_at = now
            self._look(now)
        if self._pace_s is None:
            return ""
        since = max(self._polled_at(), self._due_from)
        if now - since <= INTERVALS * self._pace_s + MOST_LATE_S:
            return ""
        moment = (self._now() - timedelta(seconds=now - since)).replace(microsecond=0)
        return f"no poll has ended since {iso(moment)}, though one is due every {self._pace_s} s"

    def _look(self, now: float) -> None:
        try:
            pace_s = self._pace_of_schedules()
        except UnavailableError:
            return  # the record can't be read: as it was
        if pace_s != self._pace_s:
            self._pace_s, self._due_from = pace_s, now


class SelfReport:
    """Describes this process to all others; cheap enough for every few seconds.

    `surroundings` says what is wrong with the files that it uses, and with Redis.
    """

    def __init__(
        self,
        directory: StateDirectory,
        started_at: datetime,
        mqtt: Mqtt,
        polling: Polling,
        schedules: Schedules,
        surroundings: Callable[[], Sequence[str]],
    ) -> None:
        self._directory = directory
        self._since = iso(started_at)
        self._mqtt = mqtt
        self._polling = polling
        self._schedules = schedules
        self._surroundings = surroundings
        self._punctuality = Punctuality(
            self._pace_s, lambda: polling.poller.polled_at, polling.upkeep.clock
        )
        self.duties = ProcessRoles()

    def process(self) -> Process:
        """Return the description of this process; never raises."""
        duties, polling = self.duties, self._polling
        return Process(
            socket.gethostname(),
            duties.roles,
            self._since,
            duties.standing_by(),
            duties.queues,
            polling.poller.waiting if polling.reads else 0,
            tuple(self.problems()),
            duties.full(),
        )

    def problems(self) -> list[str]:
        """List what keeps this process from its work, one sentence each; never raises."""
        return list(self._problems())

    def _problems(self) -> Iterator[str]:
        polling = self._polling
        if problem := self._directory.problem() or self._directory.unwritable():
            yield problem
        if self._mqtt.is_connected:
            yield from self._mqtt.connection.problems
        yield from self._surroundings()
        yield from self.duties.problems()
        if not polling.reads:
            return
        waits = polling.poller.delivery.saver.problems
        yield from waits
        if not waits and (problem := polling.poller.ledgers.problem):
            yield problem
        if polling.upkeep.timekeeper.doubts:
            yield "the clock is doubted: readings wait until the time is known"
        if self.duties.blocked():
            yield "all places of the worker are held by tasks that take over ten minutes"
        if problem := self._punctuality.problem():
            yield problem

    def _pace_s(self) -> int | None:
        """Return the shortest interval (s) of the meters that this process reads.

        Raises UnavailableError.
        """
        schedules, polling = list(self._schedules.active().values()), self._polling
        is_mine = polling.lines.is_mine
        paces = [pace_of(schedules, meter.name) for meter in polling.meters() if is_mine(meter)]
        return min((pace for pace in paces if pace is not None), default=None)
