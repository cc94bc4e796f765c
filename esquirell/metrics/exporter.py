"""What is measured, and the page that Prometheus reads."""

import logging
from collections.abc import Callable, Mapping
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    start_http_server,
)

from esquirell.metrics.report import ReportCollector

log = logging.getLogger(__name__)

# Seconds. A meter answers in some 10 ms to a few seconds; the database and the broker faster.
POLL_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
WRITE_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)


class Exporter:
    """Counts and times; `serve` shows it to Prometheus.

    Latencies are not kept per meter: with hundreds of meters that would be thousands of rows.
    """

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        self._polls = Counter(
            "esquirell_polls",
            "Polls by meter and result: ok, or the reason of the failure.",
            ["meter", "result"],
            registry=self._registry,
        )
        self._readings = Counter(
            "esquirell_readings_stored", "Readings stored.", registry=self._registry
        )
        self._poll_s = self._histogram("poll", "Seconds from asking a meter to its answer.")
        self._store_s = self._histogram("store", "Seconds of one transaction.", WRITE_BUCKETS)
        self._publish_s = self._histogram(
            "publish", "Seconds from sending a message to the broker's confirmation.", WRITE_BUCKETS
        )

    def polled(self, meter: str, result: str, seconds: float) -> None:
        """Note a poll: "ok" or the code of its failure, and how long it took."""
        self._polls.labels(meter, result).inc()
        self._poll_s.observe(seconds)

    def stored(self, readings: int, seconds: float) -> None:
        """Note a transaction with so many readings."""
        self._readings.inc(readings)
        self._store_s.observe(seconds)

    def published(self, seconds: float) -> None:
        """Note a message that the broker confirmed."""
        self._publish_s.observe(seconds)

    def watch(self, report: Callable[[], Mapping[str, Any]]) -> None:
        """Show what the health report says, each time that Prometheus asks."""
        self._registry.register(ReportCollector(report))

    def serve(self, address: str, port: int) -> None:
        """Serve the page in a thread of its own; say so when that is impossible, and go on."""
        try:
            start_http_server(port, address, registry=self._registry)
        except OSError as error:
            log.error(  # noqa: TRY400 - one sentence for people
                "no metrics: %s:%d can't be listened on (%s); change [metrics] address or port",
                address,
                port,
                error.strerror or error,
            )
            return
        log.info("metrics on http://%s:%d/metrics", address, port)

    def _histogram(
        self, name: str, text: str, buckets: tuple[float, ...] = POLL_BUCKETS
    ) -> Histogram:
        return Histogram(
            f"esquirell_{name}_seconds", text, registry=self._registry, buckets=buckets
        )
