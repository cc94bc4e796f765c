"""The status of the meters, from one poll to the next."""

import logging
import re
import threading
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import lru_cache
from itertools import chain

from esquirell.domain.errors import UnavailableError
from esquirell.domain.quantity import summary
from esquirell.domain.reading import MeterStatus, Outcome
from esquirell.services.ports import ReadingStore

log = logging.getLogger(__name__)

_SHAPES = 256
# Not the digits of a name or key, such as phase_1.
_NUMBER = re.compile(r"(?<![\w.-])-?\d[\d.]*")


class Statuses:
    """The status of each meter: as stored, then updated by the polls of this process."""

    def __init__(self, store: ReadingStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._known: dict[str, MeterStatus] = {}
        self._polled: set[str] = set()
        self._loaded = False
        self._newest: datetime | None = None
        self._warned: dict[str, frozenset[str]] = {}

    def of(self, meter: str) -> MeterStatus:
        """Return the status of one meter; that of a new meter is empty."""
        with self._lock:
            return self._load().get(meter, MeterStatus())

    def newest(self) -> datetime | None:
        """Return the time of the newest reading of any meter; None if unknown."""
        with self._lock:
            self._load()
            return self._newest

    def forget(self) -> None:
        """Look up the stored statuses again, as readings from the future were set aside."""
        with self._lock:
            self._known, self._loaded, self._newest = {}, False, None

    def forget_meters(self, meters: Iterable[str]) -> None:
        """Forget the status of some meters."""
        with self._lock:
            for name in meters:
                self._known.pop(name, None)
                self._warned.pop(name, None)
                self._polled.discard(name)

    def known(self) -> dict[str, MeterStatus]:
        """Return the statuses of the meters that this process has polled."""
        with self._lock:
            return {name: self._load()[name] for name in self._polled if name in self._load()}

    def after(
        self, outcomes: Mapping[str, Outcome], keys: Mapping[str, Iterable[str]]
    ) -> dict[str, MeterStatus]:
        """Return the statuses after these polls; `keys` are those of each meter's profile."""
        with self._lock:
            known = self._load()
            changed = {
                name: _after(known.get(name, MeterStatus()), outcome, keys[name])
                for name, outcome in outcomes.items()
            }
            for name, status in changed.items():
                self._log_state(name, known.get(name), status, outcomes[name])
                self._log_warnings(name, outcomes[name])
            known.update(changed)
            times = filter(None, (newest(changed), self._newest))
            self._newest = max(times, default=None)
            self._polled |= changed.keys()
        return changed

    def _log_state(
        self, name: str, before: MeterStatus | None, after: MeterStatus, outcome: Outcome
    ) -> None:
        """Log the first outcome in this process, then each change of state once."""
        is_first = name not in self._polled
        if after.failures:
            is_new = is_first or after.reason != (before.reason if before else None)
            log.log(logging.WARNING if is_new else logging.DEBUG, "%s", outcome.error)
        elif outcome.reading and (is_first or before is None or before.failures):
            failed = before.failures if before and before.last_success else 0
            again = (
                f" answers again after {failed} failed poll{'s' * (failed != 1)}" if failed else ""
            )
            log.info(
                "meter %s%s: %s",
                name,
                again,
                summary(outcome.reading.values, outcome.reading.withheld),
            )

    def _log_warnings(self, name: str, outcome: Outcome) -> None:
        """Log warnings that are new or have ended; persistent ones are not repeated."""
        if outcome.reading is None:
            return
        now, before = frozenset(outcome.reading.warnings), self._warned.get(name, frozenset())
        if now == before:
            return
        for warning in sorted(now - before):
            log.warning("meter %s: %s", name, warning, extra=_counted(name, warning))
        for warning in sorted(before - now):
            line = "meter %s: the warning has ended: %s"
            log.info(line, name, warning, extra=_counted(name, warning))
        self._warned[name] = now

    def _load(self) -> dict[str, MeterStatus]:
        """Read the stored statuses once; try again next time if the database is unreachable."""
        if not self._loaded:
            try:
                stored = self._store.statuses()
                self._newest = max(filter(None, (newest(stored), self._newest)), default=None)
                self._known = stored | self._known
                self._loaded = True
            except UnavailableError as error:
                log.debug("the stored statuses are unknown: %s", error)
        return self._known


def _counted(name: str, warning: str) -> dict[str, str]:
    """Return what makes its lines equal: a value that flickers is another one each time."""
    return {"counted_as": f"{name}: {_NUMBER.sub('#', warning)}"}


def newest(statuses: Mapping[str, MeterStatus]) -> datetime | None:
    """Return the time of the newest reading of any meter; None if there is none."""
    found = statuses.values()
    times = (status.last_success for status in found if status.last_success and not status.undated)
    return max(times, default=None)


def latest(
    stored: Mapping[str, MeterStatus], known: Mapping[str, MeterStatus]
) -> dict[str, MeterStatus]:
    """Return the status of each meter: this process's, unless it has answered another one since.

    Failures seen by another process count less: this one will see them itself.
    """
    return dict(stored) | {
        name: status
        for name, status in known.items()
        if not _answered_since(stored.get(name), status)
    }


def _answered_since(stored: MeterStatus | None, known: MeterStatus) -> bool:
    if stored is None or stored.last_success is None:
        return False
    return known.last_success is None or stored.last_success > known.last_success


def _after(before: MeterStatus, outcome: Outcome, keys: Iterable[str]) -> MeterStatus:
    reading = outcome.reading
    if reading is None:
        code = outcome.error.code if outcome.error else None
        return MeterStatus(before.failures + 1, code, before.last_success, before.keys)
    seen = _together(before.keys, tuple(keys), tuple(reading.values))
    return MeterStatus(0, None, reading.measured_at, seen, reading.undated is not None)


# Mostly the keys of one reading are those of the one before.
@lru_cache(_SHAPES)
def _together(*keys: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(chain(*keys)))
