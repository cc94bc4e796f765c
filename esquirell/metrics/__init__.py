"""Metrics for Prometheus: loaded only if `[metrics] port` is set."""
