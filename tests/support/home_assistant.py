"""A real Home Assistant, with a folder of its own; the past can be staged in its database.

HOME_ASSISTANT names the program that runs it (`hass`), or several with a colon in between, with all
that its integrations `mqtt`, `recorder` and `energy` require. It is started with `-c FOLDER` and
options.
"""

import contextlib
import copy
import http.client
import json
import os
import re
import shlex
import shutil
import signal
import sqlite3
import subprocess
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from support.ports import free_port
from support.waiting import eventually

from esquirell.homeassistant.connection import Connection

PROGRAMS = [one for one in os.environ.get("HOME_ASSISTANT", "").split(os.pathsep) if one]
LIMIT_S = 180.0

CONFIGURATION = """\
homeassistant:
  name: Home
  latitude: 52.2
  longitude: 21.0
  elevation: 100
  unit_system: metric
  time_zone: {zone}
  currency: PLN
  language: {language}
  country: PL
http:
  server_host: 127.0.0.1
  server_port: {port}
api:
websocket_api:
config:
history:
logbook:
energy:
frontend:
recorder:
  commit_interval: 1
"""
# Moments of its tables, in seconds of unix time; those of `statistics_runs` are text.
MOMENTS = {
    "states": ("last_changed_ts", "last_updated_ts"),
    "statistics": ("start_ts", "created_ts", "last_reset_ts"),
    "statistics_short_term": ("start_ts", "created_ts", "last_reset_ts"),
    "events": ("time_fired_ts",),
}
# 2025.4 clears the topic of a removed device once more for each entity of it, and wonders.
CLEARED_ITSELF = "No device components to cleanup"
TEXTS = {"statistics_runs": ("start",), "recorder_runs": ("start", "end", "created")}


class HomeAssistant:
    """Home Assistant as a process; the first start makes an administrator and a token.

    `entities` are the ids of those that a test uses, by names of its own.
    """

    def __init__(self, program: str, folder: Path, zone: str = "UTC", language: str = "en") -> None:
        self._program = program
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.token = ""
        self.entities: dict[str, str] = {}
        self.folder = folder / "homeassistant"
        self._process: subprocess.Popen[bytes] | None = None
        self._write_configuration(zone, language)

    def start(self) -> None:
        command = [
            *shlex.split(self._program),
            "--skip-pip",
            "--log-no-color",
            "-c",
            str(self.folder),
        ]
        with (self.folder / "output.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        eventually(lambda: self._status("/api/onboarding") in (200, 404), LIMIT_S, self._last_words)
        if not self.token:
            self._log_in()
        eventually(self._is_running, LIMIT_S, self._last_words)

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(LIMIT_S)
            self._process = None

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(LIMIT_S)
            self._process = None

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        with Connection(f"ws://127.0.0.1:{self.port}/api/websocket", self.token) as connection:
            yield connection

    def call(self, command: str, **parameters: object) -> Any:  # noqa: ANN401 - JSON is anything
        with self.connection() as connection:
            return connection.call(command, **parameters)

    def token_of_a_child(self) -> str:
        """Add a person who is no administrator; return a token of theirs."""
        user: dict[str, str] = self.call(
            "config/auth/create", name="Ben", group_ids=["system-users"]
        )["user"]
        login = {"username": "ben", "password": "not-a-secret"}
        self.call("config/auth_provider/homeassistant/create", user_id=user["id"], **login)
        client = f"{self.url}/"
        flow = self._post(
            "/auth/login_flow",
            {"client_id": client, "handler": ["homeassistant", None], "redirect_uri": client},
        )
        given = {"client_id": client} | login
        code = str(self._post(f"/auth/login_flow/{flow['flow_id']}", given)["result"])
        return self._token(code)

    def add_mqtt(self, port: int) -> None:
        """Add the MQTT integration as a person does, with what the form proposes."""
        flow = self._post("/api/config/config_entries/flow", {"handler": "mqtt"})
        given = {"broker": "127.0.0.1", "port": port}
        values = _filled(flow["data_schema"], given)
        done = self._post(f"/api/config/config_entries/flow/{flow['flow_id']}", values)
        assert done["type"] == "create_entry", done

    def registered(self) -> dict[str, dict[str, Any]]:
        """Return the entities of MQTT as they were registered, by unique id."""
        found = self.call("config/entity_registry/list")
        return {one["unique_id"]: one for one in found if one["platform"] == "mqtt"}

    def state(self, entity: str) -> str | None:
        found = self._request("GET", f"/api/states/{entity}")
        return str(found[1]["state"]) if found[0] == 200 else None

    @property
    def database(self) -> Path:
        return self.folder / "home-assistant_v2.db"

    def age(self, seconds: float) -> None:
        """Make all that was recorded older: as if it had been stopped for so long."""
        assert self._process is None
        with closing(sqlite3.connect(self.database)) as connection, connection:
            for table, columns in MOMENTS.items():
                for column in columns:
                    # Downwards first, as the hours of a statistic are unique.
                    older = f"UPDATE {table} SET {column} = -({column} - ?)"  # noqa: S608 - names above
                    connection.execute(older, (seconds,))
                    connection.execute(f"UPDATE {table} SET {column} = -{column}")  # noqa: S608 - same
            for table, columns in TEXTS.items():
                for column in columns:
                    earlier = f"strftime('%Y-%m-%d %H:%M:%f', {column}, ?)"
                    older = f"UPDATE {table} SET {column} = {earlier}"  # noqa: S608 - the same
                    connection.execute(older, (f"-{seconds} seconds",))

    def remember(self, states: Mapping[str, Sequence[tuple[datetime, str]]]) -> None:
        """Put states into its recorder, by entity, in the place of all that it had recorded.

        At the next start it works its statistics up from them, as it always does.
        """
        assert self._process is None
        earliest = min(moment for found in states.values() for moment, _ in found)
        with closing(sqlite3.connect(self.database)) as connection, connection:
            # What it met in an earlier hour would make a statistic of its own.
            others = (
                "metadata_id NOT IN (SELECT metadata_id FROM states_meta WHERE entity_id IN ({}))"
            )
            others = others.format(", ".join("?" * len(states)))
            connection.execute("UPDATE states SET old_state_id = NULL")
            connection.execute(f"DELETE FROM states WHERE {others}", tuple(states))  # noqa: S608 - question marks
            for entity, found in states.items():
                _put_states(connection, entity, found)
            for table in ("statistics", "statistics_short_term", "statistics_runs"):
                connection.execute(f"DELETE FROM {table}")  # noqa: S608 - names just above
            start = earliest.replace(minute=0, second=0, microsecond=0) - timedelta(minutes=5)
            text = start.strftime("%Y-%m-%d %H:%M:%S.%f")
            connection.execute("INSERT INTO statistics_runs (start) VALUES (?)", (text,))

    def copy_to(self, folder: Path) -> "HomeAssistant":
        """Copy it, stopped, to another folder, to go on there on the same port."""
        assert self._process is None
        copied = copy.copy(self)
        copied.folder = folder / "homeassistant"
        shutil.copytree(self.folder, copied.folder)
        return copied

    def _write_configuration(self, zone: str, language: str) -> None:
        storage = self.folder / ".storage"
        storage.mkdir(parents=True)
        text = CONFIGURATION.format(port=self.port, zone=zone, language=language)
        (self.folder / "configuration.yaml").write_text(text)
        # The other steps would set up integrations that use the internet.
        _store(storage, "onboarding", {"done": ["core_config", "analytics", "integration"]}, 4)
        # What stands in configuration.yaml holds for five minutes only in newer releases.
        server = {
            "server_host": ["127.0.0.1"],
            "server_port": self.port,
            "cors_allowed_origins": ["https://cast.home-assistant.io"],
            "login_attempts_threshold": -1,
            "ip_ban_enabled": True,
            "ssl_profile": "modern",
            "use_x_frame_options": True,
        }
        _store(storage, "http", server, 1)

    def _log_in(self) -> None:
        client = f"{self.url}/"
        person = {
            "client_id": client,
            "name": "Anna",
            "username": "anna",
            "password": "not-a-secret",
            "language": "en",
        }
        code = self._post("/api/onboarding/users", person)["auth_code"]
        self.token = self._token(code)
        made = self.call("auth/long_lived_access_token", client_name="esquirell", lifespan=30)
        self.token = str(made)

    def _token(self, code: str) -> str:
        form = {"grant_type": "authorization_code", "code": code, "client_id": f"{self.url}/"}
        return str(self._post("/auth/token", urllib.parse.urlencode(form))["access_token"])

    def _is_running(self) -> bool:
        with contextlib.suppress(OSError, http.client.HTTPException):
            status, found = self._request("GET", "/api/config")
            return status == 200 and found["state"] == "RUNNING"
        return False

    def _status(self, path: str) -> int:
        with contextlib.suppress(OSError, http.client.HTTPException):
            return self._request("GET", path)[0]
        return 0

    def _post(self, path: str, body: Mapping[str, object] | str) -> Any:  # noqa: ANN401 - as above
        status, found = self._request("POST", path, body)
        assert status in (200, 201), (path, status, found)
        return found

    def _request(
        self, method: str, path: str, body: Mapping[str, object] | str | None = None
    ) -> tuple[int, Any]:
        kind = "application/x-www-form-urlencoded" if isinstance(body, str) else "application/json"
        headers = {"Content-Type": kind}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            data = body if isinstance(body, str | None) else json.dumps(body)
            connection.request(method, path, data, headers)
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        try:
            return answer.status, json.loads(text)
        except ValueError:
            return answer.status, text.decode(errors="replace")

    def complaints(self) -> list[str]:
        """Return the warnings and errors of its log about what was announced over MQTT."""
        log = (self.folder / "output.log").read_text(errors="replace")
        return [
            line
            for line in log.splitlines()
            if re.search(r" (WARNING|ERROR|CRITICAL) ", line)
            and re.search(r"esquirell|components\.mqtt", line)
            and CLEARED_ITSELF not in line
        ]

    def _last_words(self) -> str:
        return (self.folder / "output.log").read_text(errors="replace")[-3000:]


def _put_states(
    connection: sqlite3.Connection, entity: str, states: Sequence[tuple[datetime, str]]
) -> None:
    query = "SELECT metadata_id FROM states_meta WHERE entity_id = ?"
    (number,) = connection.execute(query, (entity,)).fetchone()
    query = "SELECT max(attributes_id) FROM states WHERE metadata_id = ?"
    (attributes,) = connection.execute(query, (number,)).fetchone()
    connection.execute("UPDATE states SET old_state_id = NULL WHERE metadata_id = ?", (number,))
    connection.execute("DELETE FROM states WHERE metadata_id = ?", (number,))
    connection.executemany(
        "INSERT INTO states (metadata_id, attributes_id, state, last_updated_ts) "
        "VALUES (?, ?, ?, ?)",
        [(number, attributes, state, moment.timestamp()) for moment, state in states],
    )


def _store(folder: Path, key: str, data: object, version: int) -> None:
    content = {"version": version, "minor_version": 1, "key": key, "data": data}
    (folder / key).write_text(json.dumps(content))


def _filled(schema: list[dict[str, Any]], given: Mapping[str, object]) -> dict[str, object]:
    """Fill a form in: what is given, else what it proposes."""
    values: dict[str, object] = {}
    for field in schema:
        name = field["name"]
        if field.get("type") == "expandable":
            values[name] = _filled(field["schema"], given)
        elif name in given:
            values[name] = given[name]
        elif "default" in field:
            values[name] = field["default"]
        elif field.get("required"):
            options = field.get("selector", {}).get("select", {}).get("options", ["off"])
            wanted = [one if isinstance(one, str) else one["value"] for one in options]
            values[name] = "off" if "off" in wanted else wanted[0]
    return values
