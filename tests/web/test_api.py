"""/api/v1: tokens, rights, answers, streams: against a running service."""

import json
import sqlite3
import time
from contextlib import closing
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest
from openapi_spec_validator import validate
from support.cli import Said, esquirell_process
from support.page import Browser, Reply
from support.page_house import KEY, House
from support.waiting import LIMIT_S, eventually

API = "/api/v1"


def cli(house: House, *words: str) -> Said:
    return esquirell_process("--config", str(house.service.config), *words)


class Program(Browser):
    """Asks with a token."""

    def __init__(self, port: int, token: str, source: str = "127.0.0.1") -> None:
        super().__init__(port, source=source)
        self.bearer = token

    def read(self, path: str) -> Reply:
        return self.get(API + path, Authorization=f"Bearer {self.bearer}")

    def give(self, command: str, payload: Any = None) -> Reply:  # noqa: ANN401 - JSON is anything
        body = json.dumps({} if payload is None else payload)
        headers = {"Authorization": f"Bearer {self.bearer}", "Content-Type": "application/json"}
        return self.ask("POST", f"{API}/requests/{command}", body, headers)


@pytest.fixture(scope="module")
def tokens(house: House) -> dict[str, str]:
    writes = cli(house, "web", "token", "add", "writer", "--write")
    reads = cli(house, "web", "token", "add", "reader", "--json")
    assert writes.code == 0, writes
    assert reads.json["write"] is False
    return {"writer": writes.out.strip(), "reader": reads.json["token"]}


@pytest.fixture
def writer(house: House, tokens: dict[str, str]) -> Program:
    return Program(house.port, tokens["writer"])


@pytest.fixture
def reader(house: House, tokens: dict[str, str]) -> Program:
    return Program(house.port, tokens["reader"])


def test_a_token_is_shown_once_and_kept_as_a_hash(house: House, tokens: dict[str, str]) -> None:
    listed = cli(house, "web", "token", "list", "--json").json
    assert [(one["name"], one["write"]) for one in listed] == [("reader", False), ("writer", True)]
    kept = house.service.folder / "data" / "web-tokens.json"
    assert kept.stat().st_mode & 0o777 == 0o600
    for token in tokens.values():
        assert token not in kept.read_text()
        assert token not in house.service.log
    again = cli(house, "web", "token", "add", "reader")
    assert "a token 'reader' exists already" in again.sentence


def test_a_removed_token_is_refused(house: House) -> None:
    token = cli(house, "web", "token", "add", "short").out.strip()
    assert Program(house.port, token).read("/health").status == 200
    assert cli(house, "web", "token", "remove", "short").code == 0
    assert Program(house.port, token).read("/health").status == 401
    assert cli(house, "web", "token", "remove", "short").code == 2


def test_a_stream_ends_when_its_token_is_removed(house: House) -> None:
    token = cli(house, "web", "token", "add", "watcher").out.strip()
    watcher = Browser(house.port)
    with watcher.events(f"{API}/events", Authorization=f"Bearer {token}") as events:
        next(events)
        assert cli(house, "web", "token", "remove", "watcher").code == 0
        ends_at = time.monotonic() + LIMIT_S
        for _ in events:
            assert time.monotonic() < ends_at


def test_without_a_token_nothing_is_answered(house: House) -> None:
    for path in ("/meters", "/readings", "/events", "/openapi.json", "/nothing"):
        reply = house.stranger("127.0.0.31").get(API + path)
        assert reply.status == 401
        assert reply.json["code"] == "unauthorized"
        assert reply.headers["WWW-Authenticate"] == "Bearer"


def test_five_wrong_tokens_a_minute_are_enough(house: House) -> None:
    wrong = Program(house.port, "esq_wrong", source="127.0.0.32")
    assert [wrong.read("/health").status for _ in range(6)] == [401] * 5 + [429]
    assert int(wrong.read("/health").headers["Retry-After"]) > 0


def test_a_token_that_reads_changes_nothing(reader: Program) -> None:
    for command, payload in (
        ("schedule/disable", {"name": "fetch"}),
        ("fetch", {}),
        ("meter/try", {"device_id": "x", "local_key": KEY}),
        ("task/run", {"task": "rollup"}),
    ):
        reply = reader.give(command, payload)
        assert reply.status == 403, command
        assert reply.json["code"] == "forbidden"
    assert reader.give("schedule/list").status == 200


def test_lists_are_those_of_the_command_line(house: House, reader: Program) -> None:
    assert {one["name"] for one in reader.read("/meters").json} == {"main", "hung"}
    listed = cli(house, "schedule", "list", "--json").json
    (here,) = reader.read("/schedules").json
    changing = {"last_run_at", "next_run_at", "last_result"}
    assert here.keys() == listed[0].keys()
    assert all(here[key] == listed[0][key] for key in here.keys() - changing)
    assert reader.read("/health").json["database"]["ok"] is True


def test_readings_are_those_of_the_command_line(house: House, reader: Program) -> None:
    eventually(lambda: house.service.readings() > 2, what="some readings")
    moment = reader.read("/readings?meter=main").json["data"][1]["measured_at"]
    words = ("readings", "main", "--until", moment, "--json")
    expected = cli(house, *words).json
    found = reader.read(f"/readings?meter=main&until={moment}").json
    assert found["next"] is None
    assert found["data"] == expected
    assert len(expected) == 1
    only = reader.read("/readings?meter=main&quantity=voltage_a").json["data"]
    assert only[0].keys() == {"measured_at", "voltage_a"}
    hours = reader.read("/statistics?meter=main&resolution=hour").json["data"]
    assert "active_power_mean" in hours[-1]


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/readings?meter=nobody", 404, "unknown_meter"),
        ("/readings?since=soon", 422, "invalid_payload"),
        ("/readings?since=2026-01-02&until=2026-01-01", 422, "invalid_payload"),
        ("/readings?resolution=week", 422, "invalid_payload"),
        ("/readings?quantity=volts", 422, "invalid_payload"),
        ("/readings?quantity=", 422, "invalid_payload"),
        ("/readings?quantity=voltage_a,", 422, "invalid_payload"),
        ("/readings?since=0001-01-01", 422, "invalid_payload"),
        ("/log?last=all", 422, "invalid_payload"),
        ("/log/00000000-0000-0000-0000-000000000000", 404, "unknown_task"),
        ("/nothing", 404, "not_found"),
    ],
)
def test_a_wrong_value_is_named(reader: Program, path: str, status: int, code: str) -> None:
    reply = reader.read(path)
    assert (reply.status, reply.json["code"]) == (status, code)
    assert reply.json["error"]


@pytest.mark.parametrize(
    ("command", "payload", "status", "code"),
    [
        ("nothing", {}, 404, "unknown_command"),
        ("fetch", [], 422, "invalid_payload"),
        ("fetch", {"meters": ["nobody"]}, 404, "unknown_meter"),
        ("schedule/add", {"name": "fetch", "every": 5}, 409, "already_exists"),
        ("schedule/run", {"name": "nobody"}, 404, "unknown_schedule"),
        ("task/run", {"task": "nobody"}, 404, "unknown_task"),
        ("meter/test", {"name": "hung"}, 502, "no_data"),
    ],
)
def test_a_command_that_fails_says_why(
    writer: Program, command: str, payload: object, status: int, code: str
) -> None:
    reply = writer.give(command, payload)
    assert (reply.status, reply.json["code"]) == (status, code), reply.text
    assert reply.json["status"] == "error"


def test_invalid_or_oversized_json_is_refused(writer: Program, tokens: dict[str, str]) -> None:
    headers = {"Authorization": f"Bearer {tokens['writer']}"}
    assert writer.ask("POST", f"{API}/requests/fetch", "{", headers).json["code"] == "invalid_json"
    large = json.dumps({"meters": ["x" * 70_000]})
    reply = writer.ask("POST", f"{API}/requests/fetch", large, headers)
    assert (reply.status, reply.json["code"]) == (413, "too_large")


def test_a_fetch_is_answered_with_its_end(writer: Program) -> None:
    began = time.monotonic()
    reply = writer.give("fetch", {"meters": ["main"], "transaction": "t-1"})
    assert reply.status == 200, reply.text
    assert time.monotonic() - began < 10
    assert reply.json["transaction"] == "t-1"
    task_id = reply.json["data"]["task_id"]
    assert reply.json["data"]["meters"]["main"]["status"] == "ok"
    entry = writer.read(f"/log/{task_id}").json
    assert (entry["source"], entry["command"], entry["outcome"]) == ("api", "fetch", "ok")
    assert entry["answer"]["data"]["meters"]["main"]["status"] == "ok"
    assert writer.read("/log?last=1").json[0]["id"]


def test_a_browser_that_is_logged_in_needs_the_token_of_a_page(house: House) -> None:
    browser = house.browser()
    assert browser.get(f"{API}/health").status == 200
    refused = browser.ask("POST", f"{API}/requests/schedule/list", "{}")
    assert refused.status == 403
    header = {"X-XSRFToken": browser.token}
    assert browser.ask("POST", f"{API}/requests/schedule/list", "{}", header).status == 200


def test_events_are_readings_and_what_happens(house: House, writer: Program) -> None:
    authorization = writer.bearer
    with writer.events(f"{API}/events", Authorization=f"Bearer {authorization}") as events:
        # A page that is open beside it has the day worked up, which is no event.
        assert house.browser().get("/").status == 200
        seen = [next(events) for _ in range(4)]
        assert all("meter" in one or {"type", "at", "data"} <= one.keys() for one in seen), seen
        reading = next(one for one in seen if "meter" in one)
        assert reading["meter"] == "main"
        assert "active_power" in reading or "active_power_a" in reading
        assert "diagnostics" in reading


def test_the_description_is_complete(reader: Program) -> None:
    described = reader.read("/openapi.json").json
    assert described["openapi"].startswith("3.1")
    posts = {path for path, one in described["paths"].items() if "post" in one}
    listed = {f"/requests/{name}" for name in ("fetch", "meter/add", "schedule/add", "task/run")}
    assert listed <= posts

    def references(part: object) -> set[str]:
        if isinstance(part, dict):
            own = {part["$ref"]} if "$ref" in part else set()
            return own.union(*(references(one) for one in part.values()))
        return set().union(*map(references, part)) if isinstance(part, list) else set()

    known = {f"#/components/schemas/{name}" for name in described["components"]["schemas"]}
    assert references(described) <= known


def test_the_description_is_valid_and_its_parameters_are_those_that_count(reader: Program) -> None:
    described = reader.read("/openapi.json").json
    validate(described)
    for path, one in described["paths"].items():
        if "get" not in one or "{" in path or path == "/events":
            continue
        for parameter in one["get"]["parameters"]:
            assert reader.read(f"{path}?{parameter['name']}=x").status != 200
        refused = reader.read(f"{path}?colour=red")
        assert (refused.status, refused.json["code"]) == (422, "invalid_payload")
        assert all(one["name"] in refused.json["error"] for one in one["get"]["parameters"])


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("/meters?x=1", "x: is not known here; there are no parameters"),
        ("/log?lst=1", "lst: is not known here; did you mean last? known: last"),
        ("/readings?since=1h&since=2h", "since: may be given only once"),
        (
            "/readings?until=soon",
            (
                "until: 'soon' is not a time: write 2026-11-22, 2026-11-22T10:15, "
                "or how long ago: 24h (s, m, h, d or w)"
            ),
        ),
        ("/log?last=0", "last: must be a whole number from 1 to 1000"),
        ("/log?last=1001", "last: must be a whole number from 1 to 1000"),
        ("/log?last=٣", "last: must be a whole number from 1 to 1000"),
        (
            "/cost?tariff=x",
            "no tariff is configured: add [[tariffs]] with name, currency and import_price",
        ),
    ],
)
def test_a_query_that_would_not_be_understood_is_refused(
    reader: Program, path: str, sentence: str
) -> None:
    reply = reader.read(quote(path, safe="/?&="))
    assert (reply.status, reply.json["error"]) == (422, sentence)


def test_every_method_is_answered(writer: Program, tokens: dict[str, str]) -> None:
    headers = {"Authorization": f"Bearer {tokens['writer']}"}
    for path, allowed in (
        ("/api/v1/health", "GET, HEAD, OPTIONS"),
        ("/api/v1/events", "GET, HEAD, OPTIONS"),
        ("/api/v1/requests/fetch", "POST, OPTIONS"),
    ):
        known = writer.ask("OPTIONS", path, headers=headers)
        assert (known.status, known.headers["Allow"]) == (204, allowed)
        refused = writer.ask("PUT", path, "{}", headers)
        assert (refused.status, refused.headers["Allow"]) == (405, allowed)
        assert refused.json["code"] == "method_not_allowed"
    for path in ("/api/v1/health", "/api/v1/events"):
        assert writer.ask("HEAD", path, headers=headers).status == 200
    for path in ("/api", "/api/v2/meters", "/api/v1/requests/Fetch"):
        unknown = writer.ask("GET", path, headers=headers)
        assert (unknown.status, unknown.json["code"]) == (404, "not_found")


def test_a_far_too_large_request_is_answered(house: House, tokens: dict[str, str]) -> None:
    headers = {"Authorization": f"Bearer {tokens['writer']}"}
    large = "x" * 3_000_000
    refused = house.stranger().ask("POST", f"{API}/requests/fetch", large, headers)
    assert (refused.status, refused.json["code"]) == (413, "too_large")
    assert "too large" in house.browser().ask("POST", "/add", large).words


def test_what_json_does_not_have_breaks_no_list(house: House, reader: Program) -> None:
    answer = '{"status": "ok", "data": {"result": {"worst": NaN, "text": "\\ud800"}}}'
    entry = (str(uuid4()), "2026-01-05 00:00:00.000000", "cli", "task/run", "ok")
    with closing(sqlite3.connect(house.service.database)) as database, database:
        database.execute(
            "INSERT INTO command_log (id, at, source, command, status, request, answer, ended_at,"
            " waits) SELECT ?, at, ?, ?, ?, request, ?, at, 0 FROM command_log LIMIT 1",
            (entry[0], *entry[2:], answer),
        )
    assert entry[0] in {one["id"] for one in reader.read("/log?last=1000").json}
    shown = reader.read(f"/log/{entry[0]}").json["answer"]["data"]["result"]
    assert shown == {"worst": None, "text": "?"}
    assert house.browser().get(f"/log/{entry[0]}").status == 200
