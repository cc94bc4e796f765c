"""A meter, a computer and what befalls them, to see whether any energy is lost or invented."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from support.fakes import Clock, meter
from support.statistics import Workshop

from esquirell.domain.periods import Calendar
from esquirell.domain.reading import Outcome, Reading
from esquirell.services.ledgers import Ledgers
from esquirell.services.saving import Saver
from esquirell.services.statuses import Statuses
from esquirell.services.timekeeping import Dating, Timekeeper
from esquirell.storage.corrections.store import EVER, Corrections
from esquirell.storage.database import Database
from esquirell.storage.history import ReadingHistory
from esquirell.storage.readings import Readings
from esquirell.storage.spool import Spool

KEY, EXPORT = KEYS = ("energy_import", "energy_export")
# The counters of this device have 24 bits, with steps of 0.01 kWh.
RANGE = 167_772.16
ZONES = ("Europe/Warsaw", "Asia/Kolkata", "Asia/Kathmandu", "Australia/Adelaide", "UTC")
# What a clock shows after a boot without a network, and wrong by how much others may be.
CLOCKS: dict[str, datetime | timedelta] = {
    "1970": datetime(1970, 1, 1, 0, 0, 20, tzinfo=UTC),
    "2000": datetime(2000, 1, 1, 0, 0, 20, tzinfo=UTC),
    "a month behind": timedelta(days=-30),
    "half an hour behind": timedelta(minutes=-30),
    "a day ahead": timedelta(days=1),
    "ten years ahead": timedelta(days=3650),
    "right": timedelta(0),
}


class Event(NamedTuple):
    """What happens: `what`, after so many seconds, in which so many kWh were used."""

    what: str
    seconds: float = 60.0
    kwh: float = 0.0


class Machine:
    """What outlives the clock: how long it has run, and whether anything keeps the clock."""

    def __init__(self, boot: str = "boot 0", uptime_s: float = 7200.0) -> None:
        self.boot = boot
        self.uptime = uptime_s
        self.synchronized = False

    def uptime_s(self) -> float:
        return self.uptime

    def is_synchronized(self) -> bool:
        return self.synchronized

    def is_own_clock(self) -> bool:
        return True

    def keeps_time(self) -> bool:
        return False


class House:
    """Lives through events; `start` is when it begins."""

    def __init__(self, database: Database, folder: Path, start: datetime) -> None:
        self.shop = Workshop(database, ZONES[0])
        self.shop.statistics.step_readings = 3
        self.database = database
        self.folder = folder
        self.machine = Machine()
        self.clock = Clock()
        self.true = start
        self.wrong = timedelta(0)
        self.raw, self.export = 1000.0, 20.0
        self.device = "first"
        self.late: list[Reading] = []
        self.last: Reading | None = None
        self._boots = 0
        self.start()

    def start(self) -> None:
        """Start the service, as after kill -9: only the disk remembers."""
        corrections = Corrections(self.database, Calendar(self.shop.zone), self.clock)
        spool, history = Spool(self.folder / "spool.db"), ReadingHistory(self.database)
        self.timekeeper = Timekeeper(self.machine)
        dating = Dating(self.timekeeper, spool, history, lambda: corrections, self.clock)
        store = Readings(self.database)
        self.saver = Saver(store, spool, dating)
        self.statuses = Statuses(store)
        self.ledgers = Ledgers(store, self.timekeeper, self.statuses.newest)

    def lives(self, events: Sequence[Event]) -> None:
        for event in events:
            self.passes(event.seconds)
            self.raw = round((self.raw + event.kwh) % RANGE, 2)
            self.export = round(self.export + event.kwh / 10, 2)
            getattr(self, event.what.partition(" ")[0])(event.what.partition(" ")[2])

    def ends(self) -> None:
        """Let the time be known, what is late come in, and everything be worked up."""
        self.wrong = timedelta(0)
        self.machine.synchronized = True
        self.start()
        for _ in range(4):
            self.passes(60)
            self.read("")
        Readings(self.database).add(self.late, {})
        # What comes late out of a spool may be from a clock that was ahead: the next start sees it.
        self.start()
        self.passes(60)
        self.read("")
        self.roll("")

    def passes(self, seconds: float) -> None:
        self.true += timedelta(seconds=seconds)
        self.machine.uptime += seconds
        self.clock.now = self.true + self.wrong

    def read(self, _: str) -> None:
        self._take(self.raw)

    def dip(self, _: str) -> None:
        self._take(round(self.raw / 3, 2))

    def zero(self, _: str) -> None:
        self._take(0.0)

    def jump(self, _: str) -> None:
        self._take(self.raw + 4869)

    def silent(self, _: str) -> None:
        self._take(None)

    def reset(self, _: str) -> None:
        self.raw = 0.0
        self._take(self.raw)

    def export_reset(self, _: str) -> None:
        """Let one of two counters begin anew, while the other goes on."""
        self.export = 0.0
        self._take(self.raw)

    def exchange(self, level: str) -> None:
        self.device += "'"
        self.raw = self.export = float(level)
        self._take(self.raw)

    def undone(self, _: str) -> None:
        """Reset the offsets of the counters, and take that back before they are read again."""
        corrections = Corrections(self.database, Calendar(self.shop.zone), self.clock)
        if "main" in self.shop.store.meters() and corrections.forget_offsets("main").sums:
            corrections.undo("main", ["counter"])

    def duplicate(self, _: str) -> None:
        if self.last is not None:
            self.saver.save([self.last], {})

    def withhold(self, _: str) -> None:
        """Read, and let the reading come late, as out of another worker's spool."""
        self._take(self.raw, late=True)

    def kill(self, _: str) -> None:
        self.start()

    def boot(self, clock: str) -> None:
        """Start the machine anew, with whatever its clock shows then."""
        self._boots += 1
        self.machine.boot = f"boot {self._boots}"
        self.machine.uptime = 20.0
        self.set(clock)
        self.start()

    def set(self, clock: str) -> None:
        shows = CLOCKS[clock]
        self.wrong = shows if isinstance(shows, timedelta) else shows - self.true
        self.passes(0)

    def zone(self, name: str) -> None:
        self.shop = Workshop(self.database, name)
        self.shop.statistics.step_readings = 3
        self.roll("")

    def roll(self, _: str) -> None:
        self.shop.now = self.clock.now
        self.shop.rollup()

    def anew(self, _: str) -> None:
        self.shop.now = self.clock.now
        self.shop.statistics.rollup(self.true - timedelta(days=2))

    def _take(self, kwh: float | None, *, late: bool = False) -> None:
        counters = {} if kwh is None else {KEY: kwh, EXPORT: self.export}
        one = meter(device_id=self.device)
        self.saver.date_waiting(self.ledgers, self.statuses)
        self.ledgers.prepare(["main"])
        taken = Reading("main", self.clock.now, {"active_power": 100.0, **counters}, holds_s=180)
        judged = self.ledgers.judge(taken, one, (*KEYS, "active_power"))
        statuses = self.statuses.after({"main": Outcome(judged)}, {"main": KEYS})
        if late and not judged.undated and judged.ledger:
            # Its ledger is there, as that of the next reading goes on from it.
            self.late.append(replace(judged, ledger=None))
            ledger_only = replace(judged, values={}, retracted={}, begins=frozenset())
            self.saver.save([replace(ledger_only, measured_at=_beside(judged))], statuses)
            return
        self.saver.save([judged], statuses)
        self.last = judged

    def believed(self, key: str = KEY) -> list[float]:
        """The believed sums of a counter that are stored, in the order of their times."""
        found = Readings(self.database).query(None, *EVER)
        return [one.values[key] for one in found if key in one.values]


def _beside(reading: Reading) -> datetime:
    return reading.measured_at + timedelta(milliseconds=1)
