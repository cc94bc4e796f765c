"""Figures for Prometheus: loaded only where `[metrics] port` asks for them."""
