"""Adds timing to the ports if metrics are enabled."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from esquirell.mqtt.client import Connection
from esquirell.services.measured import MeasuredStore, MeasuredTransport
from esquirell.services.ports import ReadingStore, Transport

if TYPE_CHECKING:
    from esquirell.metrics.exporter import Exporter


def exporter_of(
    connection: Connection, report: Callable[[], Mapping[str, Any]] | None
) -> "Exporter":
    """Return the exporter; with `report` it also exposes the health report."""
    from esquirell.metrics.exporter import Exporter  # noqa: PLC0415 - megabytes that few need

    exporter = Exporter()
    connection.on_confirmed(exporter.published)
    if report:
        exporter.watch(report)
    return exporter


def ports_of(
    transport: Transport, store: ReadingStore, exporter: "Exporter | None"
) -> tuple[Transport, ReadingStore]:
    """Return the ports with timing, or as they are."""
    if exporter is None:
        return transport, store
    return MeasuredTransport(transport, exporter), MeasuredStore(store, exporter)
