"""A small Home Assistant on a real websocket: registry and long-term statistics, as 2026.11 does.

It checks what it is sent as strictly as the real one, and keeps all messages.
"""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, ClassVar

from support.ports import free_port
from support.waiting import LIMIT_S
from tornado.httpserver import HTTPServer
from tornado.web import Application, RequestHandler
from tornado.websocket import WebSocketHandler

from esquirell.domain.long_term import whole_hour

TOKEN = "an-administrators-token"
KEYS: dict[str, set[str]] = {
    "auth/current_user": set(),
    "config/entity_registry/list": set(),
    "recorder/get_statistics_metadata": {"statistic_ids"},
    "recorder/statistics_during_period": {
        "start_time",
        "end_time",
        "statistic_ids",
        "period",
        "types",
        "units",
    },
    "recorder/import_statistics": {"metadata", "stats"},
    "recorder/adjust_sum_statistics": {
        "statistic_id",
        "start_time",
        "adjustment",
        "adjustment_unit_of_measurement",
    },
    "recorder/clear_statistics": {"statistic_ids", "start_time", "end_time"},
}
FACTORS = {"kWh": 1.0, "Wh": 1000.0, "MWh": 0.001, "W": 1.0, "kW": 0.001}


class HomeAssistantDouble:
    """`entities` are its registry, `described` its metadata, `rows` its hours, by start."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"ws://127.0.0.1:{self.port}/api/websocket"
        self.entities: list[dict[str, Any]] = []
        self.described: dict[str, dict[str, Any]] = {}
        self.rows: dict[str, dict[datetime, dict[str, Any]]] = {}
        self.is_admin = True
        self.is_old = False
        self.writes = True
        self.received: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.end_after: int | None = None

    def add(self, entity: str, unique_id: str, unit: str, platform: str = "mqtt") -> None:
        counts = unit not in ("W", "kW")
        self.entities.append({"entity_id": entity, "unique_id": unique_id, "platform": platform})
        self.rows[entity] = {}
        self.described[entity] = {
            "statistic_id": entity,
            # The sensor itself may show another unit than is kept.
            "display_unit_of_measurement": "kWh" if counts else "W",
            "has_mean": not counts,
            "mean_type": 0 if counts else 1,
            "has_sum": counts,
            "name": None,
            "source": "recorder",
            "statistics_unit_of_measurement": unit,
            "unit_class": "energy" if counts else "power",
        }

    def sent(self, command: str) -> list[dict[str, Any]]:
        return [message for message in self.received if message["type"] == command]

    def answer(self, message: dict[str, Any]) -> tuple[bool, Any]:
        """Return whether it succeeds, and the result, or the error's code."""
        command = message["type"]
        known = KEYS.get(command)
        if known is None:
            return False, "unknown_command"
        if command == "recorder/clear_statistics" and self.is_old:
            known = {"statistic_ids"}
        if message.keys() - {"id", "type"} - known:
            return False, "invalid_format"
        if "metadata" in message and message["metadata"].keys() != self._import_keys:
            return False, "invalid_format"
        changes = command.startswith(("recorder/import", "recorder/adjust", "recorder/clear"))
        if changes and not self.is_admin:
            return False, "unauthorized"
        return True, getattr(self, f"_{command.partition('/')[2].replace('/', '_')}")(message)

    @property
    def _import_keys(self) -> set[str]:
        """What an import has to describe: releases up to 2025 take no more than this."""
        keys = {"has_sum", "name", "source", "statistic_id", "unit_of_measurement"}
        return keys | ({"has_mean"} if self.is_old else {"mean_type", "unit_class"})

    def _current_user(self, _message: dict[str, Any]) -> object:
        return {"id": "1", "is_admin": self.is_admin}

    def _entity_registry_list(self, _message: dict[str, Any]) -> object:
        return self.entities

    def _get_statistics_metadata(self, message: dict[str, Any]) -> object:
        return [self.described[name] for name in message["statistic_ids"] if name in self.described]

    def _statistics_during_period(self, message: dict[str, Any]) -> object:
        since, until = (datetime.fromisoformat(message[key]) for key in ("start_time", "end_time"))
        (name,) = message["statistic_ids"]
        described = self.described[name]
        kept = described["statistics_unit_of_measurement"]
        shown = described["display_unit_of_measurement"]
        if described["unit_class"] in message.get("units", {}):
            shown = message["units"][described["unit_class"]]
        factor = FACTORS.get(shown, 1.0) / FACTORS.get(kept, 1.0)
        rows = [
            {"start": _milliseconds(start), "last_reset": row.get("last_reset")}
            | {
                key: None if row.get(key) is None else row[key] * factor
                for key in message["types"]
                if key != "last_reset"
            }
            for start, row in sorted(self.rows[name].items())
            if since <= start < until
        ]
        return {name: rows} if rows else {}

    def _import_statistics(self, message: dict[str, Any]) -> object:
        metadata = message["metadata"]
        name = metadata["statistic_id"]
        described = self.described[name]
        # As the real one does: what comes with an import becomes the statistic's own.
        described["statistics_unit_of_measurement"] = metadata["unit_of_measurement"]
        described["unit_class"] = metadata.get("unit_class", described["unit_class"])
        for stat in message["stats"] if self.writes else ():
            row = dict(stat)
            start = datetime.fromisoformat(row.pop("start"))
            assert start.tzinfo
            assert start == whole_hour(start)
            if row.get("last_reset"):
                row["last_reset"] = _milliseconds(datetime.fromisoformat(row["last_reset"]))
            self.rows[name][start.astimezone(UTC)] = row
        return None

    def _adjust_sum_statistics(self, message: dict[str, Any]) -> object:
        name, since = message["statistic_id"], datetime.fromisoformat(message["start_time"])
        kept = self.described[name]["statistics_unit_of_measurement"]
        assert message["adjustment_unit_of_measurement"] == kept
        for start, row in self.rows[name].items():
            if start >= since:
                row["sum"] += message["adjustment"]
        return None

    def _clear_statistics(self, message: dict[str, Any]) -> object:
        for name in message["statistic_ids"]:
            if "start_time" not in message:
                self.rows[name].clear()
                continue
            since, until = (datetime.fromisoformat(message[k]) for k in ("start_time", "end_time"))
            for start in [one for one in self.rows[name] if since <= one < until]:
                del self.rows[name][start]
        return None


def _milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


class _Socket(WebSocketHandler):
    double: ClassVar[HomeAssistantDouble]

    def initialize(self, double: HomeAssistantDouble) -> None:
        self._double = double
        self._is_in = False

    async def open(self, *_args: str, **_kwargs: str) -> None:
        self._double.headers.append(dict(self.request.headers))
        await self.write_message({"type": "auth_required", "ha_version": "2026.11.0"})

    async def on_message(self, message: str | bytes) -> None:
        given = json.loads(message)
        if not self._is_in:
            self._is_in = given == {"type": "auth", "access_token": TOKEN}
            await self.write_message({"type": "auth_ok" if self._is_in else "auth_invalid"})
            return
        double = self._double
        double.received.append(given)
        if double.end_after is not None and len(double.received) > double.end_after:
            self.close()
            return
        works, result = double.answer(given)
        head = {"id": given["id"], "type": "result", "success": works}
        # Something that nobody asked for comes in between.
        await self.write_message({"id": 0, "type": "event"})
        told = {"result": result} if works else {"error": {"code": result, "message": "no"}}
        await self.write_message(head | told)


class _Elsewhere(RequestHandler):
    def get(self) -> None:
        self.redirect("/api/websocket")


class _Page(RequestHandler):
    def get(self) -> None:
        self.write("hello")


@contextmanager
def serving(double: HomeAssistantDouble) -> Iterator[HomeAssistantDouble]:
    """Serve it in a thread."""
    ready, ended = threading.Event(), threading.Event()
    loops: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def serve() -> None:
        end = asyncio.Event()
        loops.append((asyncio.get_running_loop(), end))
        handlers: list[Any] = [
            ("/api/websocket", _Socket, {"double": double}),
            ("/elsewhere/api/websocket", _Elsewhere),
            ("/page/api/websocket", _Page),
        ]
        server = HTTPServer(Application(handlers))
        server.listen(double.port, "127.0.0.1")
        ready.set()
        await end.wait()
        server.stop()
        await server.close_all_connections()

    def work() -> None:
        asyncio.run(serve())
        ended.set()

    threading.Thread(target=work, daemon=True).start()
    assert ready.wait(LIMIT_S)
    try:
        yield double
    finally:
        loop, end = loops[0]
        loop.call_soon_threadsafe(end.set)
        assert ended.wait(LIMIT_S)
