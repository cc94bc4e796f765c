"""What is measured, the health report as gauges, and the endpoint that Prometheus reads."""

import logging
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import datetime
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    Info,
    PlatformCollector,
    ProcessCollector,
    start_http_server,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from esquirell.domain.quantity import Quantity, is_counter, split_key
from esquirell.domain.reading import Reading

log = logging.getLogger(__name__)

# Seconds. A meter answers within 10 ms to a few seconds; database and broker are faster.
POLL_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
WRITE_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)
# The names of units as Prometheus writes them.
UNITS = {
    "": "ratio",
    "%": "percent",
    "A": "amperes",
    "Hz": "hertz",
    "V": "volts",
    "VA": "voltamperes",
    "W": "watts",
    "kWh": "kwh",
    "var": "vars",
    "°C": "celsius",
}


class Exporter:
    """Readings, counters and timings; `serve` exposes them to Prometheus.

    Latencies are not kept per meter: with hundreds of meters that would be thousands of rows.
    """

    def __init__(self, version: str) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        build = Info("esquirell_build", "The version that runs.", registry=self.registry)
        build.info({"version": version})
        self._polls = Counter(
            "esquirell_polls",
            "Polls by meter and result: ok, or the reason of the failure.",
            ["meter", "result"],
            registry=self.registry,
        )
        self._readings = Counter(
            "esquirell_readings_stored", "Readings stored.", registry=self.registry
        )
        self._poll_s = self._histogram("poll", "Seconds from the request to a meter's answer.")
        self._store_s = self._histogram("store", "Seconds of one transaction.", WRITE_BUCKETS)
        self._publish_s = self._histogram(
            "publish", "Seconds from sending a message to the broker's confirmation.", WRITE_BUCKETS
        )

    def polled(self, meter: str, result: str, seconds: float) -> None:
        """Record a poll: "ok" or its error code, and how long it took in seconds."""
        self._polls.labels(meter, result).inc()
        self._poll_s.observe(seconds)

    def stored(self, readings: int, seconds: float) -> None:
        """Record a transaction with a number of readings."""
        self._readings.inc(readings)
        self._store_s.observe(seconds)

    def published(self, seconds: float) -> None:
        """Record a message that the broker confirmed."""
        self._publish_s.observe(seconds)

    def show(self, meters: Callable[[], Collection[str]]) -> Callable[..., None]:
        """Expose the readings of those meters that this process reads; return what takes them."""
        readings = _ReadingCollector(meters)
        self.registry.register(readings)
        return readings.take

    def watch(self, report: Callable[[], Mapping[str, Any]]) -> None:
        """Expose the health report, evaluated at each scrape."""
        self.registry.register(_ReportCollector(report))

    def serve(self, address: str, port: int) -> None:
        """Serve the metrics in a thread; if that is impossible, log it and go on."""
        try:
            start_http_server(port, address, registry=self.registry)
        except OSError as error:
            log.error(  # noqa: TRY400 - one sentence for people
                "no metrics: can't listen on %s:%d (%s); change [metrics] address or port",
                address,
                port,
                error.strerror or error,
            )
            return
        log.info("metrics on http://%s:%d/metrics", address, port)

    def _histogram(
        self, name: str, text: str, buckets: tuple[float, ...] = POLL_BUCKETS
    ) -> Histogram:
        return Histogram(f"esquirell_{name}_seconds", text, registry=self.registry, buckets=buckets)


class _ReadingCollector(Collector):
    """Exposes what each meter read last, for as long as that holds.

    A meter that was removed, disabled or handed to another worker is left out at once: two workers
    would otherwise expose it.
    """

    def __init__(self, meters: Callable[[], Collection[str]]) -> None:
        self._meters = meters
        self._taken: dict[str, tuple[float, Mapping[str, float]]] = {}

    def take(self, reading: Reading, _keys: tuple[str, ...] = ()) -> None:
        """Take a reading in, from whatever thread."""
        self._taken[reading.meter] = time.monotonic() + (reading.holds_s or 0), reading.values

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        now = time.monotonic()
        families: dict[str, CounterMetricFamily | GaugeMetricFamily] = {}
        for meter in sorted({*self._meters()} & self._taken.keys()):
            until, values = self._taken[meter]
            for key, value in values.items() if now < until else ():
                quantity, part = split_key(key)
                family = families.setdefault(quantity.key, _family(quantity))
                family.add_metric([meter, part], value)
        yield from families.values()


def _family(quantity: Quantity) -> CounterMetricFamily | GaugeMetricFamily:
    kind = CounterMetricFamily if is_counter(quantity.key) else GaugeMetricFamily
    name = f"esquirell_{quantity.key}_{UNITS[quantity.unit]}"
    return kind(name, f"{quantity.label} of a meter.", labels=["meter", "part"])


class _ReportCollector(Collector):
    """Turns the health report into gauges; unknown values are left out."""

    def __init__(self, report: Callable[[], Mapping[str, Any]]) -> None:
        self._report = report

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Describe nothing in advance: registering must not query the database."""
        yield from ()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        report = self._report()
        database, queue = report["database"], report["queue"]
        yield _gauge("healthy", "Whether everything works.", float(report["healthy"]))
        yield _gauge("database_up", "Whether the database answers.", float(database["ok"]))
        yield _gauge("spooled_readings", "Readings waiting for the database.", database["spooled"])
        yield _gauge("queue_length", "Tasks waiting for a worker.", queue["length"])
        yield _gauge("queue_age_seconds", "Age of the oldest waiting task.", queue["oldest_s"])
        yield _per(
            "role",
            "Whether a role is alive.",
            {name: float(role["alive"]) for name, role in report["roles"].items()},
            "role_up",
        )
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


def _failures(meters: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(meter["failures"]) for name, meter in meters.items()}


def _successes(meters: Mapping[str, Any]) -> dict[str, float]:
    found = {name: meter["last_success"] for name, meter in meters.items()}
    return {name: datetime.fromisoformat(at).timestamp() for name, at in found.items() if at}
