"""A meter that is polled every minute by processes that come and go."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from support.db_samples import START
from support.fakes import Clock, Publisher, Spool, Transport, meter

from esquirell import profiles
from esquirell.services.delivery import Delivery
from esquirell.services.poll import Poller
from esquirell.services.saving import Saver
from esquirell.storage.database import Database
from esquirell.storage.readings import Readings

SECOND = timedelta(seconds=1)


class House:
    """A meter that is polled every minute by processes that come and go."""

    def __init__(self, database: Database, profile: str = "owon_pc321") -> None:
        self.database = database
        self.clock = Clock()
        self.publisher = Publisher()
        self.meter = meter(profile=profile)
        self.restart()

    def restart(self) -> None:
        """Begin anew as after kill -9: only the database remembers."""
        self.transport = Transport()
        self.poller = self.another_process()

    def another_process(self) -> Poller:
        return self.poller_with(Readings(self.database))

    def poller_with(self, store: Readings) -> Poller:
        saver = Saver(store, Spool())
        delivery = Delivery(profiles.Choices(), saver, self.publisher)
        return Poller(self.transport, profiles.Choices(), delivery, self.clock)

    def poll(self, dps: Mapping[str, int], poller: Poller | None = None) -> None:
        self.transport.scripts["main"] = dps
        self.clock.advance(60)
        (poller or self.poller).poll([self.meter])

    def count(self, raws: Sequence[int]) -> None:
        for raw in raws:
            self.poll({"131": raw})

    def stored(self, key: str = "energy_import") -> list[float | None]:
        begin, end = START - timedelta(days=1), self.clock.now + SECOND
        found = Readings(self.database).query(None, begin, end)
        return [reading.values.get(key) for reading in found]

    def published(self, key: str = "energy_import") -> list[float | None]:
        return [reading.values.get(key) for reading, _ in self.publisher.readings]
