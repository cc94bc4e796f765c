"""Reading the meters: on schedule, on request, for other workers, and what they report; timed."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from esquirell.domain.errors import SpoolError
from esquirell.domain.meter import Meter
from esquirell.domain.raw_datapoints import Question
from esquirell.domain.reading import MeterStatus
from esquirell.runtime.devices import Devices
from esquirell.runtime.mqtt import Mqtt
from esquirell.runtime.products import VERSION
from esquirell.runtime.shared import Shared
from esquirell.runtime.storage import Storage
from esquirell.runtime.upkeep import Upkeep
from esquirell.services.batch_inbox import BatchInbox
from esquirell.services.delivery import Delivery
from esquirell.services.fetch import Fetch
from esquirell.services.lines import Lines
from esquirell.services.patience import PatientStore
from esquirell.services.poll import Poller
from esquirell.services.reads import InFlightReads
from esquirell.services.remote_reads import OneWorker, RemoteReads
from esquirell.services.reports import Reports
from esquirell.services.saving import Saver
from esquirell.services.timekeeping import Dating
from esquirell.settings import Settings

if TYPE_CHECKING:
    from esquirell.metrics import Exporter


class Metrics:
    """The metrics of this process; nothing of them is loaded unless they are enabled.

    `report` returns the health report, which the bridge exposes too.
    """

    def __init__(
        self, settings: Settings, mqtt: Mqtt, report: Callable[[], Mapping[str, Any]]
    ) -> None:
        self._given = settings.metrics
        self._mqtt = mqtt
        self._report = report

    def serve(self) -> None:
        """Expose the metrics to Prometheus, if enabled."""
        if self._exporter:
            self._exporter.serve(self._given.address, self._given.port)

    def measure(
        self, reads: InFlightReads, store: PatientStore, meters: Callable[[], Collection[str]]
    ) -> None:
        """Count and time reads and transactions, and expose readings of `meters`, if enabled."""
        if self._exporter:
            reads.on_read, store.on_stored = self._exporter.polled, self._exporter.stored
            self._mqtt.publisher.on_reading(self._exporter.show(meters))

    @cached_property
    def _exporter(self) -> "Exporter | None":
        if not self._given.port:
            return None
        from esquirell.metrics import Exporter  # noqa: PLC0415 - megabytes that few need

        exporter = Exporter(VERSION)
        self._mqtt.connection.on_confirmed(exporter.published)
        if self._mqtt.bridges:
            exporter.watch(self._report)
        return exporter


@dataclass(eq=False)
class Polling:
    """What reads the configured meters, and where the readings go; built on first use.

    `queues` are those of meters that this process serves, beside the meters without one, `served`
    all of them with "" for those. `parent` is the worker that reads the meters for this process.
    `left_out` maps meters whose files are damaged to the reason.
    """

    meters: Callable[[], Sequence[Meter]]
    devices: Devices
    storage: Storage
    upkeep: Upkeep
    shared: Shared
    mqtt: Mqtt
    metrics: Metrics
    queues: tuple[str, ...] = ()
    served: tuple[str, ...] = ("",)
    parent: str = ""
    left_out: Callable[[], Mapping[str, str]] = dict

    @property
    def reads(self) -> bool:
        """Whether this process reads meters, as a worker does."""
        return "poller" in self.__dict__

    @cached_property
    def poller(self) -> Poller:
        devices, storage, upkeep, clock = self.devices, self.storage, self.upkeep, self.upkeep.clock
        store = PatientStore(storage.readings)
        history = storage.reading_history
        dating = Dating(
            upkeep.timekeeper, storage.spool, history, lambda: upkeep.corrections, clock
        )
        saver = Saver(store, storage.spool, dating)
        delivery = Delivery(devices.profiles, saver, self.mqtt.publisher)
        poller = Poller(devices.transport, devices.profiles, delivery, clock, devices.interval_s)
        self.metrics.measure(poller.reads, store, self._mine)
        return poller

    @cached_property
    def reports(self) -> Reports:
        """Handles what meters report by themselves."""
        poller, clock = self.poller, self.upkeep.clock
        return Reports(poller.intake, poller.ledgers, poller.delivery, self.mqtt.publisher, clock)

    @cached_property
    def lines(self) -> Lines:
        """The connections to meters that this process holds."""
        owners = self.shared.owners
        return Lines(self.meters, self.poller.question, self._hold, owners, self.served)

    @cached_property
    def fetch(self) -> Fetch:
        """The work behind the tasks."""
        return Fetch(
            self.poller, self.meters, self.remote, self.devices.capture.take, self.left_out
        )

    @cached_property
    def remote(self) -> RemoteReads:
        """Reads of other workers on behalf of this one."""
        ownership = OneWorker(self.parent) if self.parent else self.lines
        return RemoteReads(self.shared.relay, ownership)

    @cached_property
    def inbox(self) -> BatchInbox:
        """Reads of this worker on behalf of others."""
        return BatchInbox(self.shared.relay, self.fetch.batch, self.remote.reading)

    def waiting(self) -> int:
        """Count the readings waiting on this machine; counting must not build what polls."""
        if self.reads:
            return self.poller.waiting
        try:
            return self.storage.spool.count()
        except SpoolError:
            return 0

    def statuses(self) -> dict[str, MeterStatus]:
        """Return what this process itself knows about the meters, even if not stored yet."""
        return self.poller.delivery.statuses.known() if self.reads else {}

    def forget(self, meters: Sequence[str]) -> None:
        """Forget what is known about meters that are no longer configured."""
        if self.reads:
            self.poller.forget(meters)

    def finish_readings(self) -> None:
        """Close all connections; store and publish what was held back."""
        self.poller.close()
        if "reports" in self.__dict__:
            self.reports.close()
        self.mqtt.publisher.publish_held()

    def close(self) -> None:
        """Stop reading meters, and release them to other workers at once."""
        self.finish_readings()
        if self.devices.lines is not None:
            self.lines.leave()

    def _mine(self) -> list[str]:
        """Return the names of the meters that this process reads."""
        return [one.name for one in self.meters() if one.enabled and self.lines.is_mine(one)]

    def _hold(self, questions: Sequence[Question]) -> None:
        """Hold exactly these connections; what arrived over closed ones is stored."""
        self.poller.ledgers.prepare([question.meter.name for question in questions])
        self.devices.transport.hold(questions)
        self.reports.flush()
