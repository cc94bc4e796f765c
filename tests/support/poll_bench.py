"""A poller with fakes around it."""

from support.fakes import Clock, Publisher, ReadingStore, Spool, Transport

from esquirell import profiles
from esquirell.domain.reading import USUAL_INTERVAL_S
from esquirell.services.delivery import Delivery
from esquirell.services.poll import Poller
from esquirell.services.saving import Saver


class Bench:
    store: ReadingStore
    make_store: type[ReadingStore] = ReadingStore

    def __init__(self, **scripts: object) -> None:
        self.transport = Transport(**scripts)
        self.store = self.make_store()
        self.spool = Spool()
        self.saver = Saver(self.store, self.spool)
        self.publisher = Publisher()
        self.clock = Clock()
        self.interval_s = USUAL_INTERVAL_S
        self.profiles = profiles.Choices()
        self.poller = Poller(
            self.transport,
            self.profiles,
            Delivery(profiles.Choices(), self.saver, self.publisher),
            self.clock,
            lambda _: self.interval_s,
        )
