"""The share of meters that this worker reads: it holds their lines and receives their reports."""

import logging
import math
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from time import monotonic
from typing import Protocol

from esquirell.domain.errors import EsquirellError, UnavailableError
from esquirell.domain.meter import Meter
from esquirell.domain.raw_datapoints import Question

log = logging.getLogger(__name__)

# How often to look, with and without other workers.
SHARED_TURN_S = 1.0
ALONE_TURN_S = 5.0
# An owner may not have registered yet: it was alone, or Redis was emptied.
GRACE_S = ALONE_TURN_S + 2.0
# A worker that joins gets its share within this time, a few meters at a time.
HAND_OVER_S = 30.0


class Owners(Protocol):
    """Tracks which worker owns each meter of a queue. All methods raise UnavailableError."""

    instance: str

    def join(self, queue: str) -> list[str]:
        """Register this worker for a queue; return all that serve it."""

    def members(self, queue: str) -> list[str]:
        """Return the workers that serve a queue."""

    def owners(self, queue: str) -> dict[str, str]:
        """Return the owner of each meter that has one, whether it is still there or not."""

    def claim(self, queue: str, meters: Collection[str]) -> set[str]:
        """Claim meters that have no owner; return those that are ours now."""

    def hand(self, queue: str, meters: Collection[str], worker: str) -> None:
        """Hand meters over to another worker."""

    def leave(self, queue: str) -> None:
        """Unregister this worker, as it ends."""


def may_be_held(meter: Meter) -> bool:
    """Whether a line to a meter may be held: not through the cloud, nor if the user forbids it."""
    return meter.enabled and meter.push is not False and meter.transport == "local"


class Share:
    """This worker's share of the meters of one queue.

    A single worker has all. Several have about the same number each, and keep what they have as
    long as that is so. While Redis is unreachable everything stays as it is.
    """

    def __init__(self, queue: str, owners: Owners, clock: Callable[[], float]) -> None:
        self.queue = queue
        self.mine: set[str] = set()
        self.of: dict[str, str] = {}
        self.members: list[str] = []
        self._owners = owners
        self._clock = clock
        self._free_since: dict[str, float] = {}
        self._others_at = -GRACE_S

    @property
    def shared(self) -> bool:
        """Whether other workers serve this queue as well."""
        return len(self.members) > 1

    def update(self, names: Collection[str], close: Callable[[], None]) -> None:
        """Read workers and owners; claim free meters, hand over those beyond this worker's share.

        `close` closes the connections of meters that are handed over, before others open theirs.
        """
        try:
            self._update(set(names), close)
        except UnavailableError as error:
            log.debug("the owners of meters are unknown: %s", error)
            self.mine = self.mine & set(names) or set(names) - self.of.keys()

    def _update(self, names: set[str], close: Callable[[], None]) -> None:
        now, self.members = self._clock(), self._owners.join(self.queue)
        self._others_at = now if self.shared else self._others_at
        # Missing workers may not have registered again yet, after Redis was emptied.
        if now - self._others_at >= GRACE_S:
            self.mine, self.of = names, {}
            return
        self._owners.claim(self.queue, self.mine & names)
        self._look(names)
        fair = math.ceil(len(names) / len(self.members))
        if free := self._free(names)[: max(0, fair - len(self.mine))]:
            self._owners.claim(self.queue, free)
            self._look(names)
        self._hand_over(names, fair, close)

    def _look(self, names: set[str]) -> None:
        self.of = self._owners.owners(self.queue)
        self.mine = {name for name in names if self.of.get(name) == self._owners.instance}

    def _hand_over(self, names: set[str], fair: int, close: Callable[[], None]) -> None:
        """Hand surplus meters to the worker with the fewest."""
        has = Counter(dict.fromkeys(self.members, 0))
        has.update(owner for name, owner in self.of.items() if owner in has and name in names)
        worker, fewest = has.most_common()[-1]
        excess = min(len(self.mine) - fair, fair - fewest)
        if excess <= 0:
            return
        handed = sorted(self.mine)[: min(excess, math.ceil(len(names) / HAND_OVER_S))]
        log.info("handed over to another worker: %s", ", ".join(handed))
        self.mine -= set(handed)
        close()
        self._owners.hand(self.queue, handed, worker)
        self.of |= dict.fromkeys(handed, worker)

    def leave(self) -> None:
        """Hand all meters over, as this worker ends. Raises UnavailableError."""
        others = [member for member in self.members if member != self._owners.instance]
        for number, worker in enumerate(others):
            handed = sorted(self.mine)[number :: len(others)]
            self._owners.hand(self.queue, handed, worker)
        self._owners.leave(self.queue)

    def _free(self, names: set[str]) -> list[str]:
        """Return the meters that have had no owner for a while."""
        now = self._clock()
        alive = set(self.members)
        free = {name for name in names - self.mine if self.of.get(name) not in alive}
        self._free_since = {name: self._free_since.get(name, now) for name in free}
        return sorted(name for name in free if now - self._free_since[name] >= GRACE_S)


class Lines:
    """Keeps the lines of this worker's meters open, and follows the configuration.

    `queues` are the queues that it serves, "" for meters without one.
    """

    elsewhere = False

    def __init__(
        self,
        meters: Callable[[], Sequence[Meter]],
        question: Callable[[Meter], Question],
        hold: Callable[[Sequence[Question]], None],
        owners: Owners,
        queues: Collection[str] = ("",),
    ) -> None:
        self._meters = meters
        self._question = question
        self._hold = hold
        self._owners = owners
        self.clock: Callable[[], float] = monotonic
        self._shares = {queue: Share(queue, owners, self._now) for queue in queues}
        self._held: list[Meter] | None = None

    def _now(self) -> float:
        return self.clock()

    @property
    def shared(self) -> bool:
        """Whether other workers serve meters of this one as well."""
        return any(share.shared for share in self._shares.values())

    def is_mine(self, meter: Meter) -> bool:
        """Whether this worker reads a meter."""
        share = self._shares.get(meter.queue)
        return share is not None and meter.name in share.mine

    def owner(self, meter: Meter) -> str | None:
        """Return the worker that reads a meter; None if it is this one.

        Raises UnavailableError, and LookupError when no worker serves its queue.
        """
        share = self._shares.get(meter.queue)
        if share is not None:
            return self._other(meter, share) if meter.name not in share.mine else None
        members = self._owners.members(meter.queue)
        if not members:
            raise LookupError(meter.queue)
        owner = self._owners.owners(meter.queue).get(meter.name)
        return owner if owner in members else members[0]

    def _other(self, meter: Meter, share: Share) -> str | None:
        """Return the owner, or another worker for a meter without one: it may hold the line."""
        others = [member for member in share.members if member != self._owners.instance]
        owner = share.of.get(meter.name)
        return owner if owner in others else next(iter(others), None)

    def other(self) -> str | None:
        """Return another worker that can read this worker's meters; None if there is none."""
        share = self._shares.get("")
        others = (
            [member for member in share.members if member != self._owners.instance] if share else []
        )
        return min(others, default=None)

    def run_once(self) -> float:
        """Open the lines that are due to be held; return the seconds until the next round."""
        meters = [meter for meter in self._meters() if meter.enabled]
        for queue, share in self._shares.items():
            names = [meter.name for meter in meters if meter.queue == queue]
            share.update(names, lambda: self._hold_mine(meters))
        self._hold_mine(meters)
        return SHARED_TURN_S if self.shared else ALONE_TURN_S

    def leave(self) -> None:
        """Release the meters at once, as this worker ends."""
        for share in self._shares.values():
            try:
                share.leave()
            except UnavailableError as error:
                log.debug("the leases expire by themselves: %s", error)

    def _hold_mine(self, meters: Sequence[Meter]) -> None:
        held = [meter for meter in meters if self.is_mine(meter) and may_be_held(meter)]
        if held != self._held:
            self._hold([asked for meter in held if (asked := self._asked(meter)) is not None])
            self._held = held

    def _asked(self, meter: Meter) -> Question | None:
        try:
            return self._question(meter)
        except EsquirellError as error:
            log.debug("the line of %s is not held: %s", meter.name, error)
            return None
