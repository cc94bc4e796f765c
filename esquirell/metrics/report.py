"""The health report as gauges, evaluated at each scrape."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector


class ReportCollector(Collector):
    """Turns the health report into gauges; unknown values are left out."""

    def __init__(self, report: Callable[[], Mapping[str, Any]]) -> None:
        self._report = report

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Describe nothing in advance: registering must not query the database."""
        yield from ()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Return the gauges."""
        report = self._report()
        database, queue = report["database"], report["queue"]
        yield _gauge("healthy", "Whether everything works.", float(report["healthy"]))
        yield _gauge("database_up", "Whether the database answers.", float(database["ok"]))
        yield _gauge(
            "spooled_readings", "Readings that wait for the database.", database["spooled"]
        )
        yield _gauge("queue_length", "Tasks that wait for a worker.", queue["length"])
        yield _gauge("queue_age_seconds", "Age of the oldest waiting task.", queue["oldest_s"])
        yield _per("role", "Whether a role is alive.", _alive(report["roles"]), "role_up")
        meters = report["meters"]
        yield _per("meter", "Failed polls in a row.", _failures(meters), "meter_failures")
        yield _per(
            "meter",
            "When a meter last answered, in seconds since 1970.",
            _successes(meters),
            "meter_last_success_timestamp_seconds",
        )


def _gauge(name: str, text: str, value: float | None) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"esquirell_{name}", text)
    if value is not None:
        family.add_metric([], value)
    return family


def _per(label: str, text: str, values: Mapping[str, float], name: str) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"esquirell_{name}", text, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family


def _alive(roles: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(role["alive"]) for name, role in roles.items()}


def _failures(meters: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(meter["failures"]) for name, meter in meters.items()}


def _successes(meters: Mapping[str, Any]) -> dict[str, float]:
    found = {name: meter["last_success"] for name, meter in meters.items()}
    return {name: datetime.fromisoformat(at).timestamp() for name, at in found.items() if at}
