"""Metrics for Prometheus: what is timed, counted and exposed, if enabled."""

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from esquirell.runtime.mqtt import Mqtt
from esquirell.services.measured import MeasuredStore, MeasuredTransport
from esquirell.services.ports import ReadingStore, Transport
from esquirell.settings import Settings

if TYPE_CHECKING:
    from esquirell.metrics.exporter import Exporter


class Measuring:
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

    def ports(self, transport: Transport, store: ReadingStore) -> tuple[Transport, ReadingStore]:
        """Return the ports with timing if metrics are enabled, else as they are."""
        exporter = self._exporter
        if exporter is None:
            return transport, store
        return MeasuredTransport(transport, exporter), MeasuredStore(store, exporter)

    @cached_property
    def _exporter(self) -> "Exporter | None":
        if not self._given.port:
            return None
        from esquirell.metrics.exporter import Exporter  # noqa: PLC0415 - megabytes that few need

        exporter = Exporter()
        self._mqtt.connection.on_confirmed(exporter.published)
        if self._mqtt.bridges:
            exporter.watch(self._report)
        return exporter
