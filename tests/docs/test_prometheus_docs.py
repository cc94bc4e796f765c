"""Figures that the page and the dashboard name are figures that there are."""

import json
import re
from pathlib import Path

from prometheus_client import generate_latest
from support.fakes import NOON

from esquirell.domain.quantity import QUANTITIES
from esquirell.domain.reading import Reading
from esquirell.metrics import Exporter

DOCS = Path(__file__).parents[2] / "docs"
NAME = re.compile(r"\besquirell_[a-z_]+\b")

REPORT = {
    "healthy": True,
    "database": {"ok": True, "spooled": 0},
    "queue": {"length": 0, "oldest_s": 0.0},
    "roles": {"worker": {"alive": True}},
    "meters": {"main": {"failures": 0, "last_success": "2026-11-22T10:15:00Z"}},
}


def existing() -> set[str]:
    exporter = Exporter("0.1.0")
    exporter.show(lambda: ["main"])(
        Reading("main", NOON, dict.fromkeys(QUANTITIES, 0.0), holds_s=3600)
    )
    exporter.polled("main", "ok", 0.1)
    exporter.watch(lambda: REPORT)
    page = generate_latest(exporter.registry).decode()
    return set(NAME.findall(page))


def test_the_page_names_all_figures_and_no_other() -> None:
    named = set(NAME.findall((DOCS / "how-to" / "prometheus.md").read_text()))
    assert named <= existing()
    parts = ("_bucket", "_count", "_sum", "_created")
    assert {name for name in existing() if not name.endswith(parts)} <= named


def test_the_dashboard_asks_for_figures_that_there_are() -> None:
    board = json.loads((DOCS / "grafana" / "esquirell-service.json").read_text())
    asked = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    names = {name for expression in asked for name in NAME.findall(expression)}
    assert names
    assert names <= existing()
