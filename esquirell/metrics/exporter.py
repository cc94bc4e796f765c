"""What is measured, and the endpoint that Prometheus reads."""

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

# Seconds. A meter answers within 10 ms to a few seconds; database and broker are faster.
POLL_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
WRITE_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)


class Exporter:
    """Counters and timings; `serve` exposes them to Prometheus.

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

    def watch(self, report: Callable[[], Mapping[str, Any]]) -> None:
        """Expose the health report, evaluated at each scrape."""
        self._registry.register(ReportCollector(report))

    def serve(self, address: str, port: int) -> None:
        """Serve the metrics in a thread; if that is impossible, log it and go on."""
        try:
            start_http_server(port, address, registry=self._registry)
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
        return Histogram(
            f"esquirell_{name}_seconds", text, registry=self._registry, buckets=buckets
        )
